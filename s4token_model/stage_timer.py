"""Wall-clock time of the stages of a pipeline."""

from __future__ import annotations

import time


class StageTimer:
    """Milliseconds per stage: every call books the time since the previous one under the name of a stage.

    >>> timer = StageTimer()
    >>> ids = partition(points)
    >>> timer("superpoints")
    >>> timer.stages_ms  # {"superpoints": 135.7}
    """

    def __init__(self, stages_ms: dict[str, float] | None = None):
        """Add to a copy of stages measured before."""
        self.stages_ms = dict(stages_ms or {})
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        """Book the time since the previous call, or since construction, under `stage`."""
        now = time.perf_counter()
        self.stages_ms[stage] = 1000 * (now - self._last)
        self._last = now

    def skip(self) -> None:
        """Leave the time since the previous call out of every stage."""
        self._last = time.perf_counter()
