"""What the node reports on /diagnostics: rate, latency per stage, drops, and why nothing happens."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

WINDOW_S = 10.0  # rates and latencies are averaged over this time


@dataclass
class Statistics:
    """Counters since activation, and the most recent frames; times are monotonic [s], latencies [ms]."""

    received: int = 0
    labeled: int = 0
    stale: int = 0  # replaced by a newer cloud before the worker took it
    idle: int = 0  # replaced while no output had a subscriber
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    last_received: float | None = None
    last_error: str = ""
    failing: bool = False  # the newest frame failed
    unlabeled_reason: str = ""  # why no point of the newest cloud was labeled
    set_aside: dict[str, int] = field(default_factory=dict)  # of the newest cloud, reason -> points without a label
    warnings: tuple[str, ...] = ()  # what makes its labels worse, e.g. an optical frame while input.up is z
    temporal: dict[str, str] = field(default_factory=dict)  # figures of the smoothing over time, if it is on
    frame_id_missing: bool = False
    age_s: float = 0.0  # from the stamp of the newest labeled cloud to its publication
    recent: deque[tuple[float, dict[str, float]]] = field(default_factory=lambda: deque(maxlen=256))

    def receive(self) -> None:
        """Count an arrived cloud."""
        self.received += 1
        self.last_received = time.monotonic()

    def succeed(self, stages_ms: dict[str, float]) -> None:
        """Count a labeled cloud and record its latency per stage."""
        self.labeled += 1
        self.failing = False
        self.recent.append((time.monotonic(), dict(stages_ms)))

    def fail(self, error: str) -> None:
        """Count a cloud dropped because of an error."""
        self.failed += 1
        self.failing = True
        self.last_error = error

    def silent_s(self) -> float:
        """Seconds since the newest cloud, or since the start."""
        return time.monotonic() - (self.started if self.last_received is None else self.last_received)

    def rate_hz(self) -> float:
        """Labeled clouds per second over the last WINDOW_S seconds."""
        now = time.monotonic()
        return sum(now - t < WINDOW_S for t, _ in list(self.recent)) / min(WINDOW_S, max(now - self.started, 1.0))

    def stages_ms(self) -> dict[str, float]:
        """Mean time per stage [ms] over the last WINDOW_S seconds, or of the newest frame if that is older."""
        recent = list(self.recent)
        frames = [s for t, s in recent if time.monotonic() - t < WINDOW_S] or [s for _, s in recent[-1:]]
        names = dict.fromkeys(name for stages in frames for name in stages)
        return {name: sum(s.get(name, 0.0) for s in frames) / len(frames) for name in names}


def assess(stats: Statistics, state: str, wanted: bool, silence: str, problem: str) -> tuple[bytes, str]:
    """Return the level and a one-line message about the most serious problem, which is the first that is found.

    `wanted`: some output has a subscriber. `silence`: why no cloud arrives; `problem`: why the node is not configured.
    """
    if problem:
        return DiagnosticStatus.ERROR, problem
    if state != "active":
        return DiagnosticStatus.WARN, f"{state}: waiting for a lifecycle transition"
    if stats.failing:
        return DiagnosticStatus.ERROR, f"the last cloud was dropped: {stats.last_error}"
    if silence:
        return DiagnosticStatus.WARN, silence
    if not wanted:
        return DiagnosticStatus.OK, "idle: no output has a subscriber"
    if stats.unlabeled_reason:
        return DiagnosticStatus.WARN, f"no point of the last cloud was labeled: {stats.unlabeled_reason}"
    if stats.frame_id_missing:
        return DiagnosticStatus.WARN, "clouds have an empty frame_id; RViz and tf cannot place them"
    if stats.warnings:
        return DiagnosticStatus.WARN, "; ".join(stats.warnings)
    total = sum(stats.stages_ms().values())
    return DiagnosticStatus.OK, f"labeling at {stats.rate_hz():.1f} Hz, {total:.0f} ms per cloud"


def values(stats: Statistics) -> dict[str, str]:
    """Return the statistics as text, ready for KeyValues."""
    stages = stats.stages_ms()
    return {
        "rate_hz": f"{stats.rate_hz():.2f}",
        "latency_ms": f"{sum(stages.values()):.1f}",
        **{f"latency_ms.{name}": f"{ms:.1f}" for name, ms in stages.items()},
        "clouds_received": str(stats.received),
        "clouds_labeled": str(stats.labeled),
        "dropped_stale": str(stats.stale),
        "dropped_failed": str(stats.failed),
        "skipped_without_subscribers": str(stats.idle),
        "seconds_since_cloud": f"{stats.silent_s():.2f}",
        "age_when_published_s": f"{stats.age_s:.3f}",
        "last_error": stats.last_error,
        "set_aside": "; ".join(f"{count} points: {reason}" for reason, count in stats.set_aside.items()),
        "warnings": "; ".join(stats.warnings),
        **stats.temporal,
    }


def array_message(stamp, name: str, hardware: str, level: bytes, text: str, pairs: dict[str, str]) -> DiagnosticArray:
    """Return a DiagnosticArray with one status."""
    status = DiagnosticStatus(name=name, hardware_id=hardware, level=level, message=text)
    status.values = [KeyValue(key=key, value=value) for key, value in pairs.items()]
    array = DiagnosticArray(status=[status])
    array.header.stamp = stamp
    return array
