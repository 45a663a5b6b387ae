"""What the node reports on /diagnostics: rate, latency per stage, drops, and why nothing happens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from s4token_model.config import Config, options

WINDOW_S = 10.0  # rates and latencies are averaged over this time
SLOW_S = 5.0  # a cloud that takes longer is reported, with the parameters that make it so
AHEAD_S = 1.0  # stamps further in the future than this are reported
COSTLY = ("sampling.tokens", "sampling.passes", "windows.maximum", "patches.points", "input.max_points")


@dataclass
class TopicCounts:
    """Clouds of one topic since activation."""

    received: int = 0
    labeled: int = 0
    stale: int = 0  # replaced by a newer cloud before the worker took it
    idle: int = 0  # replaced while no output had a subscriber
    failed: int = 0
    last_received: float | None = None  # monotonic [s]


@dataclass
class Statistics:
    """Counters since activation, and the most recent frames; times are monotonic [s], latencies [ms]."""

    topics: dict[str, TopicCounts] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    last_error: str = ""
    failing: bool = False  # the newest frame failed
    unlabeled_reason: str = ""  # why no point of the newest cloud was labeled
    set_aside: dict[str, int] = field(default_factory=dict)  # of the newest cloud, reason -> points without a label
    warnings: tuple[str, ...] = ()  # what makes its labels worse, e.g. an optical frame while input.up is z
    temporal: dict[str, str] = field(default_factory=dict)  # figures of the smoothing over time, if it is on
    frame_id_missing: bool = False
    age_s: float | None = 0.0  # from the stamp of the newest labeled cloud to its publication; None without a clock
    recent: deque[tuple[float, dict[str, float]]] = field(default_factory=lambda: deque(maxlen=256))

    _working: dict[int, float] = field(default_factory=dict)  # thread -> when it began with its cloud

    def of(self, topic: str) -> TopicCounts:
        """Return the counts of a topic."""
        return self.topics.setdefault(topic, TopicCounts())

    def total(self, name: str) -> int:
        """Return the sum of a count, such as "received", over the topics."""
        return sum(getattr(counts, name) for counts in list(self.topics.values()))

    def receive(self, topic: str) -> None:
        """Count an arrived cloud."""
        counts = self.of(topic)
        counts.received += 1
        counts.last_received = time.monotonic()

    def succeed(self, frame: Any, vocabulary: Any, temporal: Any, stages_ms: dict[str, float], now: Any) -> None:
        """Count a Frame that was labeled with a vocabulary, by TemporalLabels or None, at the ROS time `now`."""
        for topic in frame.arrival.topics:
            self.of(topic).labeled += 1
        self.failing = False
        self.recent.append((time.monotonic(), dict(stages_ms)))
        encoded, header = frame.encoded, frame.cloud.header
        stamp = header.stamp
        age_s = now.sec - stamp.sec + (now.nanosec - stamp.nanosec) * 1e-9
        self.age_s = age_s if now.sec or now.nanosec else None  # a clock at zero has not been set
        self.unlabeled_reason, self.set_aside = encoded.unlabeled_reason, encoded.set_aside
        self.temporal = temporal.figures if temporal else {}
        problem = (temporal.problem,) if temporal and temporal.problem else ()
        self.warnings = (*vocabulary.warnings, *frame.warnings, *encoded.warnings, *problem)
        self.frame_id_missing = not header.frame_id

    def fail(self, topics: Sequence[str], error: str) -> None:
        """Count a cloud, or those joined from several topics, dropped because of an error."""
        for topic in topics:
            self.of(topic).failed += 1
        self.failing = True
        self.last_error = error

    @contextmanager
    def working(self) -> Iterator[None]:
        """Note that the calling thread works on a cloud."""
        thread = threading.get_ident()
        outermost = self._working.setdefault(thread, now := time.monotonic()) == now
        try:
            yield
        finally:
            if outermost:
                self._working.pop(thread, None)

    def working_s(self) -> float:
        """Seconds since a thread began with the cloud that it still works on."""
        return max((time.monotonic() - since for since in list(self._working.values())), default=0.0)

    def silent_s(self, topic: str | None = None) -> float:
        """Seconds since the newest cloud, of one topic or any, or since the start."""
        found = [self.of(topic)] if topic else list(self.topics.values())
        times = [counts.last_received for counts in found if counts.last_received is not None]
        return time.monotonic() - max(times, default=self.started)

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


def assess(stats: Statistics, state: str, wanted: bool, problem: str, hints: Sequence[str]) -> tuple[bytes, str]:
    """Return the level and a one-line message about the most serious problem, which is the first that is found.

    `wanted`: some output has a subscriber. `problem`: an error of the node itself; `hints`: what is odd outside of it,
    told all together and with the warnings of the newest cloud: one may be why the other holds.
    """
    if problem:
        return DiagnosticStatus.ERROR, problem
    if state != "active":
        return DiagnosticStatus.WARN, f"{state}: waiting for a lifecycle transition"
    if stats.failing:
        return DiagnosticStatus.ERROR, f"the last cloud was dropped: {stats.last_error}"
    if any(hints):
        return DiagnosticStatus.WARN, "; ".join(filter(None, [*hints, *stats.warnings]))
    if not wanted:
        return DiagnosticStatus.OK, "idle: no output has a subscriber"
    if stats.unlabeled_reason:
        return DiagnosticStatus.WARN, f"no point of the last cloud was labeled: {stats.unlabeled_reason}"
    if stats.frame_id_missing:
        return DiagnosticStatus.WARN, "clouds have an empty frame_id; RViz and tf cannot place them"
    if stats.age_s is not None and stats.age_s < -AHEAD_S:
        found = f"stamps of clouds are {-stats.age_s:.1f} s ahead of this machine's ROS time"
        return DiagnosticStatus.WARN, f"{found}; synchronize the clocks, or set use_sim_time for a bag or a simulator"
    if stats.warnings:
        return DiagnosticStatus.WARN, "; ".join(stats.warnings)
    total = sum(stats.stages_ms().values())
    return DiagnosticStatus.OK, f"labeling at {stats.rate_hz():.1f} Hz, {total:.0f} ms per cloud"


def slowness(stats: Statistics, config: Config) -> str:
    """Return a sentence if a cloud takes longer than SLOW_S, with the parameters above their defaults, if any."""
    newest = sum(stats.recent[-1][1].values()) / 1e3 if stats.recent else 0.0
    working = stats.working_s()
    if max(newest, working) < SLOW_S:
        return ""
    found = f"a cloud has been worked on for {working:.0f} s" if working > newest else f"a cloud takes {newest:.0f} s"
    default, values = options(Config()), options(config)
    costly = [f"{path} ({values[path][0]})" for path in COSTLY if values[path][0] > default[path][0]]
    return f"{found}; lower {', '.join(costly) or 'windows.maximum or input.max_points'}"


def values(stats: Statistics) -> dict[str, str]:
    """Return the statistics as text, ready for KeyValues."""
    stages = stats.stages_ms()
    counts = {"clouds_received": "received", "clouds_labeled": "labeled", "dropped_stale": "stale",
              "dropped_failed": "failed", "skipped_without_subscribers": "idle"}  # fmt: skip
    topics = sorted(stats.topics.items())
    return {
        "rate_hz": f"{stats.rate_hz():.2f}",
        "latency_ms": f"{sum(stages.values()):.1f}",
        **{f"latency_ms.{name}": f"{ms:.1f}" for name, ms in stages.items()},
        **{key: str(stats.total(name)) for key, name in counts.items()},
        **{f"{key}.{topic}": str(getattr(count, name)) for topic, count in topics for key, name in counts.items()},
        "seconds_since_cloud": f"{stats.silent_s():.2f}",
        **{f"seconds_since_cloud.{topic}": f"{stats.silent_s(topic):.2f}" for topic, _ in topics},
        "age_when_published_s": "unknown" if stats.age_s is None else f"{stats.age_s:.3f}",
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
