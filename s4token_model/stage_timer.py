"""Wall-clock time of the stages of a pipeline."""

from __future__ import annotations

import time


class StageTimer:
    """Milliseconds per stage: timer("superpoints") books the time since the previous call in timer.stages_ms."""

    def __init__(self, stages_ms: dict[str, float] | None = None):
        """Add to a copy of stages measured before."""
        self.stages_ms = dict(stages_ms or {})
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages_ms[stage] = self.stages_ms.get(stage, 0.0) + 1000 * (now - self._last)
        self._last = now

    def skip(self) -> None:
        """Leave the time since the previous call out of every stage."""
        self._last = time.perf_counter()
