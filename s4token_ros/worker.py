"""The worker: decode the next cloud, build patches, encode, label and publish, all off the ROS executor.

The model is one reference to (segmenter, vocabulary), swapped under the lock that publishing holds. So every cloud is
labeled by exactly one vocabulary version, and no labels of an older version follow the announcement of a newer one.
That lock is held only to announce and to publish: nothing is encoded or labeled under it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from s4token_ros import frame_source, summaries, torch_threads
from s4token_ros.cloud_frames import CloudFrames
from s4token_ros.diagnostics import Statistics
from s4token_ros.frame_source import POLL_S, Arrival, Frame, OverlappedSource, SequentialSource
from s4token_ros.options import TemporalConfig
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
    """Labels the newest cloud of each topic in turn while any output has a subscriber."""

    def __init__(
        self,
        model: Model,  # its vocabulary has been announced already
        publishers: Publishers,
        now: Callable[[], Any],  # returns the ROS time as a message
        report_error: Callable[[str], None],  # called with the reason when a cloud is dropped
        frames: CloudFrames,  # joins clouds, takes them to other frames, and knows what is up
        overlap: bool,  # build the next cloud's patches in a second thread
    ) -> None:
        self.model, self.publishers = model, publishers
        self.stats = Statistics()
        self._now, self._report_error, self._frames, self._overlap = now, report_error, frames, overlap
        self._temporal: TemporalLabels | None = None  # smooths the labels
        # The clouds that wait, the one that was encoded last, and the query that ~/similarity shows
        self.arrivals, self.latency = frames.mailbox(), frames.latency
        self._frame: Frame | None = None
        self._unpublished = False  # `_frame` was encoded by a query, or for publishers that are gone
        self._query: tuple[Any, Any] | None = None  # (segmenter, Vocabulary of the texts)
        # Locks, taken in this order, and threads
        self._encoding = threading.Lock()  # one cloud is encoded at a time
        self._labeling = threading.RLock()  # one cloud is labeled at a time; guards temporal
        self._publishing = threading.RLock()  # guards model, publishers and the order of what is published
        self._stop = threading.Event()  # of the present run
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the threads with fresh statistics."""
        self.stats = Statistics()
        self._stop = threading.Event()  # a thread of an earlier run that is still in a long cloud keeps its own
        source: Any = SequentialSource(self.arrivals, self._build_or_drop, self._wanted, self._stop)
        self._source = OverlappedSource(source) if self._overlap else source
        self._source.start()
        given = (self._source, self._stop)
        self._thread = threading.Thread(target=self._run, args=given, name="s4token worker", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = JOIN_S) -> bool:
        """End the threads after the current cloud, and drop waiting clouds; return whether they have ended in time."""
        self._stop.set()
        if self._thread is None:
            return True
        end = time.monotonic() + timeout
        ended, thread, self._thread = self._source.join(timeout), self._thread, None
        thread.join(max(0.0, end - time.monotonic()))
        self.arrivals.clear()
        return ended and not thread.is_alive()

    def receive(self, topic: str, message: Any) -> None:
        """Take a PointCloud2; an older one of its topic that is still waiting is dropped and counted."""
        self.stats.receive(topic)
        for dropped in self.arrivals.put(Arrival(topic, message)):
            counts = self.stats.of(dropped)
            if self._wanted():
                counts.stale += 1
            else:
                counts.idle += 1

    def swap(self, model: Model) -> bool:
        """Make `model` the current one, with the next version; return whether the last cloud was relabeled.

        With the same segmenter the last cloud's encoding is reused; with another one its message is queued again.
        """
        query = self._query
        if query and query[0] is not model.segmenter:  # encoded now, since nothing is encoded under a lock
            query = (model.segmenter, torch_threads.answer(model.segmenter.make_vocabulary, query[1].names))
        with self._publishing:
            version = self.model.vocabulary.version + 1
            model = replace(model, vocabulary=replace(model.vocabulary, version=version))
            self.publishers.announce(model.vocabulary, self._now())  # may refuse it
            self.model, self._query = model, query
            frame = self._frame
            if frame is None:
                return False
            if frame.segmenter is not model.segmenter:
                self._frame = None
                self.arrivals.put_back(frame.arrival)
                return False
        return self._wanted() and torch_threads.answer(self._publish, frame, relabel=True)

    def replace_publishers(self, make: Callable[[], Publishers]) -> None:
        """Use the publishers that `make` creates instead of the old ones, which stay if there is an error."""
        with self._publishing:
            new = make()
            try:
                new.announce(self.model.vocabulary, self._now())
            except Exception:
                new.destroy()
                raise
            old, self.publishers = self.publishers, new
            old.destroy()
            self._unpublished |= new.latched and self._frame is not None  # the worker publishes it again

    def smooth(self, node: Any, config: TemporalConfig) -> None:
        """Smooth the labels of later clouds by the tf that `node` hears; a new `config` begins without votes."""
        with self._labeling:
            if config == (self._temporal.config if self._temporal else TemporalConfig()):
                return
            if self._temporal:
                self._temporal.close()
            self._temporal = TemporalLabels(config, Transforms(node)) if config.enabled else None

    def close(self) -> None:
        """Destroy the publishers and stop listening to tf."""
        with self._labeling, self._publishing:
            self.publishers.destroy()
            if self._temporal:
                self._temporal.close()

    def query(self, encode: Callable[[Any], Any], limit: int, timeout: float) -> tuple[Any, list[Any]]:
        """Return (header, matches): for each text the `limit` best superpoints of the last cloud.

        `encode(segmenter)` returns the Vocabulary of the texts, which ~/similarity shows from now on. ValueError if no
        cloud has been received yet, or if the last one is not encoded within `timeout` seconds.
        """
        frame = self._last_frame(timeout)
        words = encode(frame.segmenter)
        scores = torch_threads.answer(frame.segmenter.similarity, frame.encoded, words)
        with self._publishing:
            self._query = (frame.segmenter, words)
            self.publishers.publish_similarity(frame.cloud, words.names, scores)
        matches = summaries.matches(words.names, scores, frame.encoded.superpoints, frame.cloud.xyz, limit)
        return frame.cloud.header, matches

    def _wanted(self) -> bool:
        try:
            return self.publishers.wanted()
        except Exception:  # destroyed just now
            return False

    def _build_or_drop(self, arrival: Arrival) -> Frame | None:
        try:
            with self.stats.working():
                return frame_source.build_frame(arrival, self.model.segmenter, self._frames)
        except Exception as error:
            self._drop(arrival, error)
            return None

    def _last_frame(self, timeout: float) -> Frame:
        """Return the newest encoded cloud; while nobody subscribes, encode the newest received one first."""
        end = time.monotonic() + timeout
        while (frame := self._frame) is None or not self._wanted():
            if not self._encoding.acquire(timeout=POLL_S):
                if time.monotonic() > end or self._stop.is_set():
                    raise ValueError(f"the last cloud was not encoded within {timeout:.0f} s")
                continue  # the worker is busy, perhaps with the frame needed here
            try:
                if (arrival := self.arrivals.take_newest()) is not None:
                    built = frame_source.build_frame(arrival, self.model.segmenter, self._frames)
                    self._frame = torch_threads.answer(frame_source.encode_frame, built)
                    self._unpublished = True
                frame = self._frame
                break
            finally:
                self._encoding.release()
        if frame is None:
            raise ValueError("no cloud received yet; see /diagnostics for the reason")
        return frame

    def _run(self, source: SequentialSource | OverlappedSource, stop: threading.Event) -> None:
        source.limit_worker_threads()
        while not stop.is_set():
            if source.wait(POLL_S) or (self._unpublished and self._wanted()):
                with self._encoding:
                    if not stop.is_set():
                        self._process_next(source)

    def _process_next(self, source: SequentialSource | OverlappedSource) -> None:
        """Encode, label and publish the next frame, or publish the one that a query has encoded."""
        frame = source.take() or (self._frame if self._unpublished else None)
        if frame is None:
            return
        try:
            with self.stats.working():
                if frame.encoded is None:
                    self._frame = frame = frame_source.encode_frame(frame)
                self._unpublished = False
                if not self._publish(frame):
                    self.arrivals.put_back(frame.arrival)  # the segmenter was replaced in the meantime
        except Exception as error:  # a frame may fail here and nowhere else: report it, drop it, continue
            self._drop(frame.arrival, error)

    def _drop(self, arrival: Any, error: Exception) -> None:
        self.stats.fail(arrival.topics, str(error) or repr(error))
        if not self._stop.is_set():
            self._report_error(f"cloud dropped: {error}")

    def _publish(self, frame: Frame, relabel: bool = False) -> bool:
        """Label and publish a frame with the current model; False if another segmenter encoded it.

        To relabel is left out, too, if a newer frame is on its way. Labels are computed outside of the publishing lock,
        and once more if the model was replaced meanwhile.
        """
        with self._labeling:
            while (model := self.model).segmenter is frame.segmenter and not (relabel and frame is not self._frame):
                segmentation = self._temporal.label(frame, model.vocabulary) if self._temporal else None
                segmentation = segmentation or model.segmenter.label(frame.encoded, model.vocabulary)
                query, scores = self._query, None
                if not relabel and query and query[0] is frame.segmenter and self.publishers.similarity_wanted():
                    scores = frame.segmenter.similarity(frame.encoded, query[1])
                with self._publishing:
                    if model is not self.model:
                        continue
                    publish_ms = self.publishers.publish(frame.cloud, segmentation, frame.topic, self._temporal)
                    if scores is not None:
                        self.publishers.publish_similarity(frame.cloud, query[1].names, scores)
                    if not relabel:
                        stages_ms = {"decode": frame.decode_ms, **segmentation.stages_ms, "publish": publish_ms}
                        self.stats.succeed(frame, model.vocabulary, self._temporal, stages_ms, self._now())
                        self.latency.count(frame.topic, frame.effort, frame.encoded, stages_ms)
                return True
        return False
