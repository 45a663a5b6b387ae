"""Where the worker gets its frames, clouds cut into patches: two sources with the same methods."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from s4token_model.effort import Effort
from s4token_model.kernels import parallel
from s4token_ros import cloud_messages
from s4token_ros.cloud_frames import CloudFrames
from s4token_ros.mailbox import Mailbox

POLL_S = 0.1

LABELED_AGAIN = "clouds arrive with labels: does another node send the labeled ones back to an input?"


class Arrival(NamedTuple):
    """A cloud as it was received."""

    topic: str  # in full
    message: Any  # a PointCloud2

    @property
    def topics(self) -> tuple[str, ...]:
        """Where it came from, as `fusion.Group.topics`."""
        return (self.topic,)


@dataclass(frozen=True)
class Frame:
    """A cloud on its way through the pipeline."""

    arrival: Any  # an Arrival or a fusion.Group
    cloud: cloud_messages.Cloud  # as it is published
    segmenter: Any  # the Segmenter that built the patches; no other may encode them
    patches: Any  # its PatchedCloud
    decode_ms: float
    warnings: tuple[str, ...] = ()  # on its frame, its fields and its time
    effort: Effort | None = None  # what latency.budget_ms leaves it
    encoded: Any = None  # its EncodedCloud, None until the network has run

    @property
    def topic(self) -> str:
        """Where it came from, as mailboxes read it."""
        return self.arrival.topic


def build_frame(arrival: Any, segmenter: Any, frames: CloudFrames) -> Frame:
    """Decode an Arrival or a Group and run everything before the network.

    ValueError if a message is malformed, or if a transform that is needed does not come.
    """
    start = time.perf_counter()
    cloud, notes = frames.decoded(arrival)
    published, coarse = frames.published(cloud)
    decode_ms = (time.perf_counter() - start) * 1e3
    rotation, warning = frames.rotation(arrival.topic, cloud.header)
    again = LABELED_AGAIN if cloud_messages.is_labeled(cloud) else ""
    effort, changes = frames.changes(arrival.topic, segmenter.config)
    patches = segmenter.build_patches(cloud.xyz, cloud.rgb, cloud.header.frame_id, rotation, changes)
    late = frames.latency.problem(arrival.topic)
    warnings = (*notes, *coarse, *filter(None, (warning, again, late)))
    return Frame(arrival, published, segmenter, patches, decode_ms, warnings, effort)


def encode_frame(frame: Frame) -> Frame:
    """Run the network."""
    return replace(frame, encoded=frame.segmenter.encode_patches(frame.patches, len(frame.cloud.xyz)))


class SequentialSource:
    """Builds a frame when the worker takes it, in the worker's thread: `arrivals` -> `build` -> worker."""

    def __init__(
        self, arrivals: Mailbox, build: Callable[[Arrival], Frame | None], wanted: Callable[[], bool],
        stop: threading.Event,
    ) -> None:  # fmt: skip
        """`build` returns None for a cloud that it had to drop."""
        self.arrivals, self.build, self.wanted, self.stop = arrivals, build, wanted, stop

    def start(self) -> None:
        """Nothing to start."""

    def join(self, timeout: float) -> bool:
        """Nothing to wait for."""
        return True

    def limit_worker_threads(self) -> None:
        """The worker computes on all processors."""

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds, longer while no output is wanted; return whether there is a frame to take."""
        ready = self.arrivals.wait(timeout)
        if not self.wanted():  # the cloud stays in the mailbox, for a subscriber or a query to come
            self.stop.wait(timeout)
            return False
        return ready

    def take(self) -> Frame | None:
        """Build and return the next frame; None if that failed, or if a query took the cloud in the meantime."""
        arrival = self.arrivals.take()
        return None if arrival is None else self.build(arrival)


class OverlappedSource:
    """Takes the next frame of `source` in a second thread while the worker's network runs on the current one.

    No frame is built before the worker has taken the last, so that none waits longer than the network needs for one.
    Each of the two threads computes on half of the processors; on all of them they would wait for each other.
    """

    def __init__(self, source: SequentialSource) -> None:
        self._source = source
        self._frames = Mailbox()  # never more than one

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="s4token patches", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end after `stop` was set, and drop a waiting frame; return whether it has ended."""
        self._thread.join(timeout)
        self._frames.clear()
        return not self._thread.is_alive()

    def limit_worker_threads(self) -> None:
        """Leave half of the processors to the other thread; called in the worker's thread."""
        parallel.set_thread_limit(max(1, parallel.processors() // 2))

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether there is a frame to take."""
        return self._frames.wait(timeout)

    def take(self) -> Frame | None:
        """Return the frame and let the thread start on the next one."""
        return self._frames.take()

    def _run(self) -> None:
        parallel.set_thread_limit(parallel.processors() - parallel.processors() // 2)
        source = self._source
        while not source.stop.is_set():
            if not source.wanted():
                source.stop.wait(POLL_S)
            elif self._frames.wait_empty(POLL_S) and source.arrivals.wait(POLL_S):
                if (frame := source.take()) is not None:
                    self._frames.put(frame)
