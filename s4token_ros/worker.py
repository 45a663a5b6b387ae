"""The worker: decode the newest cloud, build patches, encode, label and publish, all off the ROS executor.

The model is one reference to (segmenter, vocabulary), swapped under the lock that publishing holds. So every cloud is
labeled by exactly one vocabulary version, and no labels of an older version follow the announcement of a newer one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s4token_ros import summaries
from s4token_ros.diagnostics import Statistics
from s4token_ros.frame_source import (
    POLL_S,
    Frame,
    OverlappedSource,
    Rotation,
    SequentialSource,
    build_frame,
    encode_frame,
)
from s4token_ros.mailbox import Mailbox
from s4token_ros.parameters import TemporalConfig
from s4token_ros.publishers import Publishers
from s4token_ros.temporal import TemporalLabels
from s4token_ros.transforms import Transforms

JOIN_S = 20.0


@dataclass(frozen=True)
class Model:
    """What labels a cloud: a `s4token_model.segmenter.Segmenter` and a Vocabulary that it made."""

    segmenter: Any
    vocabulary: Any


class Worker:
    """Labels the newest cloud while any output has a subscriber."""

    def __init__(
        self,
        model: Model,  # its vocabulary has been announced already
        publishers: Publishers,
        now: Callable[[], Any],  # returns the ROS time as a message
        report_error: Callable[[str], None],  # called with the reason when a cloud is dropped
        rotation: Rotation,  # takes a cloud to a frame whose z points up, if one is known
        overlap: bool,  # build the next cloud's patches in a second thread
    ) -> None:
        self.model, self.publishers = model, publishers
        self.stats = Statistics()
        self._now, self._report_error, self._rotation = now, report_error, rotation
        self._temporal: TemporalLabels | None = None  # smooths the labels
        # The message that waits, and the cloud that was encoded last
        self._messages = Mailbox()
        self._frame: Frame | None = None
        self._unpublished = False  # a query encoded `_frame` while nobody subscribed
        self._query_texts: tuple[str, ...] = ()
        # Locks and threads
        self._publishing = threading.RLock()  # guards model, publishers, temporal and the order of what is published
        self._encoding = threading.Lock()  # one cloud is encoded at a time
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        source = SequentialSource(self._messages, self._build, self._wanted, self._stop)
        self._source = OverlappedSource(source, self._drop) if overlap else source

    def start(self) -> None:
        """Start the threads with fresh statistics."""
        self.stats = Statistics()
        self._stop.clear()
        self._source.start()
        self._thread = threading.Thread(target=self._run, name="s4token worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the threads after the current cloud, and drop waiting clouds."""
        if self._thread is None:
            return
        self._stop.set()
        self._source.join(JOIN_S)
        self._thread.join(JOIN_S)
        self._thread = None
        self._messages.take()

    def receive(self, message: Any) -> None:
        """Take a PointCloud2; an older one that is still waiting is dropped and counted."""
        self.stats.receive()
        if self._messages.put(message):
            if self._wanted():
                self.stats.stale += 1
            else:
                self.stats.idle += 1

    def swap(self, model: Model) -> bool:
        """Make `model` the current one, with the next version; return whether the last cloud was relabeled.

        With the same segmenter the last cloud's encoding is reused; with another one its message is queued again.
        """
        with self._publishing:
            version = self.model.vocabulary.version + 1
            model = replace(model, vocabulary=replace(model.vocabulary, version=version))
            self.publishers.announce(model.vocabulary, self._now())  # may refuse it
            self.model = model
            frame = self._frame
            if frame is None:
                return False
            if frame.segmenter is not model.segmenter:
                self._frame = None
                self._messages.put_back(frame.message)
                return False
            return self._wanted() and self._publish(frame, relabel=True)

    def replace_publishers(self, make: Callable[[], Publishers]) -> None:
        """Use the publishers that `make` creates, and destroy the old ones; on an error, the old ones stay."""
        with self._publishing:
            new = make()
            try:
                new.announce(self.model.vocabulary, self._now())
            except Exception:
                new.destroy()
                raise
            old, self.publishers = self.publishers, new
            old.destroy()

    def smooth(self, node: Any, config: TemporalConfig) -> None:
        """Smooth the labels of later clouds by the tf that `node` hears; a new `config` begins without votes."""
        with self._publishing:
            if config == (self._temporal.config if self._temporal else TemporalConfig()):
                return
            self._close_temporal()
            self._temporal = TemporalLabels(config, Transforms(node)) if config.enabled else None

    def close(self) -> None:
        """Destroy the publishers and stop listening to tf."""
        with self._publishing:
            self.publishers.destroy()
            self._close_temporal()

    def _close_temporal(self) -> None:
        if self._temporal:
            self._temporal.close()
            self._temporal = None

    def query(self, texts: Sequence[str], limit: int) -> tuple[Any, list[Any]]:
        """Return (header, matches): for each text the `limit` best superpoints of the last cloud.

        From now on ~/similarity shows these texts. Raises ValueError if no cloud has been received yet.
        """
        frame = self._last_frame()
        scores = frame.segmenter.similarity(frame.encoded, texts)
        with self._publishing:
            self._query_texts = tuple(texts)
            self.publishers.publish_similarity(frame.cloud, texts, scores)
        matches = summaries.matches(texts, scores, frame.encoded.superpoints, frame.cloud.xyz, limit)
        return frame.cloud.header, matches

    def _wanted(self) -> bool:
        return self.publishers.wanted()

    def _build(self, message: Any) -> Frame:
        return build_frame(message, self.model.segmenter, self._rotation)

    def _last_frame(self) -> Frame:
        """Return the newest encoded cloud; while nobody subscribes, encode the newest received one first."""
        while (frame := self._frame) is None or not self._wanted():
            if not self._encoding.acquire(timeout=POLL_S):
                continue  # the worker is busy, perhaps with the frame needed here
            try:
                if (message := self._messages.take()) is not None:
                    self._frame = encode_frame(self._build(message))
                    self._unpublished = True
                frame = self._frame
                break
            finally:
                self._encoding.release()
        if frame is None:
            raise ValueError("no cloud received yet; see /diagnostics for the reason")
        return frame

    def _run(self) -> None:
        self._source.limit_worker_threads()
        while not self._stop.is_set():
            if self._source.wait(POLL_S) or (self._unpublished and self._wanted()):
                with self._encoding:
                    self._process_next()

    def _process_next(self) -> None:
        """Encode, label and publish the next frame, or publish the one that a query has encoded."""
        try:
            if (frame := self._source.take()) is not None:
                self._frame = encode_frame(frame)
            self._unpublished = False
            if self._frame is not None and not self._publish(self._frame):
                self._messages.put_back(self._frame.message)  # the segmenter was replaced in the meantime
        except Exception as error:  # a frame may fail here and nowhere else: report it, drop it, continue
            self._drop(error)

    def _drop(self, error: Exception) -> None:
        self.stats.fail(str(error) or repr(error))
        self._report_error(f"cloud dropped: {error}")

    def _publish(self, frame: Frame, relabel: bool = False) -> bool:
        """Label and publish a frame with the current model; False if another segmenter encoded it."""
        with self._publishing:
            model = self.model
            if frame.segmenter is not model.segmenter:
                return False
            segmentation = self._temporal.label(frame, model.vocabulary) if self._temporal else None
            segmentation = segmentation or model.segmenter.label(frame.encoded, model.vocabulary)
            publish_ms = self.publishers.publish(frame.cloud, segmentation)
            if not relabel:
                if self._query_texts and self.publishers.similarity_wanted():
                    scores = frame.segmenter.similarity(frame.encoded, self._query_texts)
                    self.publishers.publish_similarity(frame.cloud, self._query_texts, scores)
                self._count(frame, {"decode": frame.decode_ms, **segmentation.stages_ms, "publish": publish_ms})
        return True

    def _count(self, frame: Frame, stages_ms: dict[str, float]) -> None:
        self.stats.succeed(stages_ms)
        now, stamp = self._now(), frame.cloud.header.stamp
        self.stats.age_s = now.sec - stamp.sec + (now.nanosec - stamp.nanosec) * 1e-9
        self.stats.unlabeled_reason = frame.encoded.unlabeled_reason
        self.stats.set_aside = frame.encoded.set_aside
        self.stats.warnings = (*self.model.vocabulary.warnings, *frame.warnings, *frame.encoded.warnings)
        self.stats.temporal = self._temporal.figures if self._temporal else {}
        if self._temporal and self._temporal.problem:
            self.stats.warnings += (self._temporal.problem,)
        self.stats.frame_id_missing = not frame.cloud.header.frame_id
