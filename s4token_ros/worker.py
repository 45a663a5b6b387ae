"""The work on clouds, off the executor: newest cloud -> decode -> encode -> label -> publish, in one worker
thread, or two that overlap.

The model is one reference to (segmenter, vocabulary), swapped under the lock that publishing holds: a cloud is labeled
wholly by one version, and none with an older version's labels follows the message of a newer vocabulary.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s4token_model.kernels import parallel
from s4token_ros import cloud_messages, summaries
from s4token_ros.diagnostics import Statistics
from s4token_ros.mailbox import Inbox
from s4token_ros.publishers import Outputs

IDLE_POLL_S = 0.1


@dataclass(frozen=True)
class Model:
    """What labels a cloud: a `s4token_model.segmenter.Segmenter` and a Vocabulary it made."""

    segmenter: Any
    vocabulary: Any


@dataclass(frozen=True)
class Frame:
    """A cloud and what the network of `segmenter` made of it."""

    message: Any
    cloud: cloud_messages.Cloud
    encoding: Any
    segmenter: Any
    decode_ms: float


@dataclass(frozen=True)
class PatchedFrame:
    """A cloud cut into tokens, on its way to the network."""

    message: Any
    cloud: cloud_messages.Cloud
    geometry: Any
    segmenter: Any
    decode_ms: float


class Labeler:
    """Labels the newest cloud whenever somebody listens.

    With `overlap` a second thread cuts the next cloud into tokens while the network is at this one; it starts on none
    before the network has taken the last, so that no cloud waits longer than the one in front of it needs. Each of the
    two computes on half of the processors: on all of them they would wait for each other.

    `now` gives the ROS time as a message; `report` is called with the text of a frame's error.
    """

    def __init__(
        self,
        model: Model,
        outputs: Outputs,
        now: Callable[[], Any],
        report: Callable[[str], None],
        overlap: bool = False,
    ) -> None:
        self.model = model
        self.outputs = outputs
        self.stats = Statistics()
        self._now, self._report = now, report
        self._inbox = Inbox()
        self._frame: Frame | None = None
        self._unpublished = False  # a query encoded the frame while nobody listened
        self._query_texts: tuple[str, ...] = ()
        self._publishing = threading.RLock()  # guards model, outputs and the order of what is published
        self._working = threading.Lock()  # one cloud is encoded at a time
        self._stop = threading.Event()
        self._workers: list[threading.Thread] = []
        self._overlap = overlap
        self._formed = Inbox()  # of what waits for the network

    def start(self) -> None:
        """Start the worker threads with fresh statistics."""
        self.stats = Statistics()
        self._stop.clear()
        loops = [self._form_ahead, self._finish] if self._overlap else [self._work]
        self._workers = [threading.Thread(target=loop, name=f"s4token {loop.__name__}", daemon=True) for loop in loops]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End the worker threads after the cloud it is at, and forget waiting clouds."""
        self._stop.set()
        for worker in self._workers:
            worker.join(timeout=20.0)
        self._workers = []
        self._inbox.take()
        self._formed.take()

    def receive(self, message: Any) -> None:
        """Take a PointCloud2; an older one that waits is dropped and counted."""
        self.stats.receive()
        if self._inbox.put(message):
            if self.outputs.wanted():
                self.stats.stale += 1
            else:
                self.stats.idle += 1

    def swap(self, model: Model) -> bool:
        """Make `model` the current one, under the next version; return whether the last cloud was published again.

        With the same segmenter the last cloud's encoding is reused; with another one the cloud is queued again.
        """
        with self._publishing:
            version = self.model.vocabulary.version + 1
            self.model = replace(model, vocabulary=replace(model.vocabulary, version=version))
            self.outputs.announce(self.model.vocabulary, self._now())
            frame = self._frame
            if frame is None:
                return False
            if frame.segmenter is not model.segmenter:
                self._frame = None
                self._inbox.put_back(frame.message)
                return False
            return self.outputs.wanted() and self._publish(frame, relabel=True)

    def replace_outputs(self, make: Callable[[], Outputs]) -> None:
        """Destroy the publishers and use those that `make` creates."""
        with self._publishing:
            self.outputs.destroy()
            self.outputs = make()
            self.outputs.announce(self.model.vocabulary, self._now())

    def query(self, texts: Sequence[str], limit: int) -> tuple[Any, list[Any]]:
        """Return (header, matches): per text the `limit` superpoints of the last cloud that fit best.

        ValueError when no cloud was received yet. From now on ~/similarity shows these texts.
        """
        frame = self._last_frame()
        scores = frame.segmenter.similarity(frame.encoding, texts)
        with self._publishing:
            self._query_texts = tuple(texts)
            self.outputs.publish_similarity(frame.cloud, texts, scores)
        found = summaries.matches(texts, scores, frame.encoding.superpoints, frame.cloud.xyz, limit)
        return frame.cloud.header, found

    def _last_frame(self) -> Frame:
        """Return the newest encoded cloud; while nobody listens, encode the newest received one first."""
        while (frame := self._frame) is None or not self.outputs.wanted():
            if not self._working.acquire(timeout=IDLE_POLL_S):
                continue  # the worker is at a cloud; it may be the frame we wait for
            try:
                message = self._inbox.take()
                if message is not None:
                    self._frame, self._unpublished = self._encode(message), True
                frame = self._frame
                break
            finally:
                self._working.release()
        if frame is None:
            raise ValueError("no cloud received yet; see /diagnostics for the reason")
        return frame

    def _work(self) -> None:
        while not self._stop.is_set():
            waiting = self._inbox.wait(IDLE_POLL_S)
            if not self.outputs.wanted():
                self._stop.wait(IDLE_POLL_S)
            elif waiting or self._unpublished:
                with self._working:
                    self._process(self._inbox.take())

    def _form_ahead(self) -> None:
        """With `overlap`, the first thread: from a message to tokens."""
        parallel.set_thread_limit(parallel.processors() - parallel.processors() // 2)
        while not self._stop.is_set():
            if not self.outputs.wanted() or not self._formed.wait_empty(IDLE_POLL_S):
                self._stop.wait(0.0 if self.outputs.wanted() else IDLE_POLL_S)
            elif self._inbox.wait(IDLE_POLL_S) and (message := self._inbox.take()) is not None:
                try:
                    self._formed.put(self._form(message))
                except Exception as error:
                    self._drop(error)

    def _finish(self) -> None:
        """With `overlap`, the second thread: from tokens to a published cloud."""
        parallel.set_thread_limit(max(1, parallel.processors() // 2))
        while not self._stop.is_set():
            if self._formed.wait(IDLE_POLL_S) or (self._unpublished and self.outputs.wanted()):
                with self._working:
                    self._process(self._formed.take())

    def _process(self, work: Any) -> None:
        """Label and publish one cloud, a message or formed already; None: the one that a query has encoded."""
        try:
            if work is not None:
                self._frame = self._embed(work) if isinstance(work, PatchedFrame) else self._encode(work)
            self._unpublished = False
            if self._frame is not None and not self._publish(self._frame):
                self._inbox.put_back(self._frame.message)  # the segmenter was replaced meanwhile
        except Exception as error:  # the one place where a frame may fail: say why, drop it, go on
            self._drop(error)

    def _drop(self, error: Exception) -> None:
        self.stats.fail(str(error) or repr(error))
        self._report(f"cloud dropped: {error}")

    def _encode(self, message: Any) -> Frame:
        return self._embed(self._form(message))

    def _form(self, message: Any) -> PatchedFrame:
        start = time.perf_counter()
        cloud = cloud_messages.decode(message)
        decode_ms = (time.perf_counter() - start) * 1e3
        segmenter = self.model.segmenter
        return PatchedFrame(message, cloud, segmenter.build_patches(cloud.xyz, cloud.rgb), segmenter, decode_ms)

    def _embed(self, formed: PatchedFrame) -> Frame:
        encoding = formed.segmenter.encode_patches(formed.geometry, len(formed.cloud.xyz))
        return Frame(formed.message, formed.cloud, encoding, formed.segmenter, formed.decode_ms)

    def _publish(self, frame: Frame, relabel: bool = False) -> bool:
        """Label and publish a frame by the current model; False when another segmenter encoded it."""
        with self._publishing:
            model = self.model
            if frame.segmenter is not model.segmenter:
                return False
            segmentation = model.segmenter.label(frame.encoding, model.vocabulary)
            publish_ms = self.outputs.publish(frame.cloud, segmentation, frame.encoding.unlabeled_reason)
            if not relabel:
                self._show_similarity(frame)
                self._count(frame, {"decode": frame.decode_ms, **segmentation.stages_ms, "publish": publish_ms})
        return True

    def _show_similarity(self, frame: Frame) -> None:
        if self._query_texts and self.outputs.similarity_wanted():
            scores = frame.segmenter.similarity(frame.encoding, self._query_texts)
            self.outputs.publish_similarity(frame.cloud, self._query_texts, scores)

    def _count(self, frame: Frame, stages_ms: dict[str, float]) -> None:
        self.stats.succeed(stages_ms)
        now, stamp = self._now(), frame.cloud.header.stamp
        self.stats.age_s = now.sec - stamp.sec + (now.nanosec - stamp.nanosec) * 1e-9
        self.stats.unlabeled_reason = frame.encoding.unlabeled_reason
        self.stats.frame_id_missing = not frame.cloud.header.frame_id
