"""The node watches itself: a timer that publishes diagnostics, and the exceptions that callbacks did not handle."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

from s4token_ros import diagnostics, heap
from s4token_ros.parameters import Settings
from s4token_ros.subscriptions import Subscriptions
from s4token_ros.worker import Worker

RELEASE_S = 30.0  # between returns of free memory to the system
FAULT_SHOWN_S = 10.0  # an exception of a callback stays on /diagnostics for so long


class Watched(NamedTuple):
    """The state of a node."""

    phase: str
    problem: str  # of its configuration
    settings: Settings
    worker: Worker | None
    subscriptions: Subscriptions | None
    notes: tuple[str, ...]  # what is odd about its words


def steady_timer(node: Any, period: float, callback: Callable[[], None]) -> Any:
    """Create a timer that runs whatever ROS time does, which may stand still, jump or never begin."""
    return node.create_timer(
        period, callback, MutuallyExclusiveCallbackGroup(), Clock(clock_type=ClockType.STEADY_TIME)
    )


class Watch:
    """Publishes diagnostics of what `state()` returns, every diagnostics.period seconds."""

    def __init__(self, node: Any, state: Callable[[], Watched]) -> None:
        self._node, self._state = node, state
        self._faults, self._fault, self._fault_until, self._closed = 0, "", 0.0, False
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer: Any = None
        self.restart()
        steady_timer(node, RELEASE_S, heap.release)

    def restart(self) -> None:
        """Begin a new period."""
        old, period = self._timer, self._state().settings.node.diagnostics.period
        self._timer = steady_timer(self._node, period, self._publish)
        if old is not None:
            self._node.destroy_timer(old)

    def close(self) -> None:
        """Keep silent about what fails from now on, because the node ends."""
        self._closed = True

    def report_fault(self, error: Exception, callback: str) -> None:
        """Log an exception that a callback did not handle, and show it on /diagnostics for a while."""
        self._faults += 1
        self._fault, self._fault_until = f"{callback} failed: {error!r}", time.monotonic() + FAULT_SHOWN_S
        if not self._closed:
            trace = "".join(traceback.format_exception(error))
            self._node.get_logger().error(f"{self._fault}\n{trace}", throttle_duration_sec=5.0)

    def _publish(self) -> None:
        phase, problem, settings, worker, subscriptions, notes = self._state()
        stats = worker.stats if worker else diagnostics.Statistics()
        fault = self._fault if time.monotonic() < self._fault_until else ""
        slow = diagnostics.slowness(stats, settings.pipeline)
        limit = settings.node.diagnostics.stale_after
        filtered = worker.publishers.filter_problem if worker else ""
        silence = _explain_silence(stats, subscriptions, limit)
        hints = (self._explain_twins(), *notes, filtered, self._explain_clock(), silence, slow)
        wanted = worker is not None and worker.publishers.wanted()
        level, text = diagnostics.assess(stats, phase, wanted, problem or fault, hints)
        vocabulary = worker.model.vocabulary if worker else None
        pairs = diagnostics.values(stats) | {
            "state": phase,
            "device": settings.node.device,
            "vocabulary_version": str(vocabulary.version if vocabulary else 0),
            "vocabulary_size": str(len(vocabulary.names) if vocabulary else 0),
            "faults": str(self._faults),
            **(worker.latency.figures(settings.node.model) if worker else {}),
        }
        node = self._node
        name, stamp = f"{node.get_fully_qualified_name().lstrip('/')}: labeling", node.get_clock().now().to_msg()
        self._publisher.publish(diagnostics.array_message(stamp, name, settings.node.model, level, text, pairs))

    def _explain_twins(self) -> str:
        """Say that other nodes have this node's name: both publish on one topic, and either answers a call."""
        node = self._node
        count = node.get_node_names_and_namespaces().count((node.get_name(), node.get_namespace()))
        if count < 2:
            return ""
        return (
            f"{count} nodes are named {node.get_fully_qualified_name()}: stop all but one, or rename them with name:="
        )

    def _explain_clock(self) -> str:
        """Say that no /clock arrives, if one is wanted."""
        if not self._node.get_parameter("use_sim_time").value or self._node.get_clock().now().nanoseconds:
            return ""
        publishers = self._node.count_publishers("/clock")
        found = f"use_sim_time is true, but no /clock arrives ({publishers} publishers)"
        return f"{found}: start the simulator, play the bag with --clock, or set use_sim_time to false"


def _explain_silence(stats: diagnostics.Statistics, subscriptions: Subscriptions | None, limit: float) -> str:
    """Say why no cloud arrives, on all topics for `limit` seconds, or on one of them since the start."""
    if subscriptions is None:
        return ""
    silent = [topic for topic in subscriptions.weights if stats.silent_s(topic) > limit]
    if len(silent) < len(subscriptions.weights):
        silent = [topic for topic in silent if not stats.of(topic).received]
    reasons = [subscriptions.explain_silence(topic, stats.of(topic).received > 0) for topic in silent]
    pairs = zip(silent, reasons, strict=True)
    return "; ".join(f"no cloud for {stats.silent_s(topic):.0f} s: {reason}" for topic, reason in pairs)
