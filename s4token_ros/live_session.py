"""The page of `s4token explore` over a running node: its labeled clouds, and its services for words and texts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import PointCloud2

from s4token_interfaces.msg import Vocabulary
from s4token_interfaces.srv import Query, SetVocabulary
from s4token_model import constants, word_lists
from s4token_model.explore import coloring, saving
from s4token_model.explore.state import HEAT, SCAN, SUPERPOINTS, About, Bar, Choice, Inspection, Match, View
from s4token_model.io import bags
from s4token_ros import cloud_messages, qos
from s4token_ros.live_frame import LiveFrame, stamp_of

FIRST_S, ANSWER_S = 60.0, 20.0
KEPT = 8  # vocabularies that are remembered


class LiveSession:
    """Answers of a running node about its last cloud; one thread asks, another one receives."""

    def __init__(self, node: Any, topic: str, limit: int, patience: float = 1.0) -> None:
        """Listen to the labeled clouds of `topic` with the rclpy node `node`, and wait for the first one.

        ValueError says what is missing after FIRST_S * patience seconds. `limit` bounds the drawn points.
        """
        self.wake = threading.Event()  # set when a cloud or a vocabulary has arrived
        self._node, self._topic, self._limit, self._patience = node, topic, limit, patience
        self._newest: PointCloud2 | None = None
        self._similarity: PointCloud2 | None = None
        self._vocabularies: dict[int, Vocabulary] = {}  # by their versions
        self._frame: LiveFrame | None = None
        self._heat: tuple[tuple[str, int], np.ndarray] | None = None
        self._notes: tuple[str, ...] = ()
        threading.Thread(target=_spin, args=(node,), daemon=True).start()
        self._subscribe()
        # Until the first cloud, and the words that it is labeled with
        self._wait(lambda: self._newest and self._vocabularies, FIRST_S, self._what_is_missing)
        words = self._vocabularies[max(self._vocabularies)]
        threshold = float(words.thresholds[0]) if words.thresholds else 0.0
        first = Choice(", ".join(words.names), round(threshold, 2))
        self._sent = first.words, first.threshold
        self.about = About(topic, first, 1, False)

    def preview(self, choice: Choice) -> View | None:
        """Nothing comes before the node's answer."""
        return None

    def view(self, choice: Choice) -> View:
        """Send the words if they have changed, and color the newest cloud; ValueError is the node's refusal."""
        self._send_words(choice)
        frame = self._current()
        if choice.coloring == HEAT:
            colors, bar = self._heat_map(choice.text, frame)
            return View(frame.drawn, colors, bar=bar, notes=self._notes)
        if choice.coloring == SUPERPOINTS:
            return coloring.superpoint_view(frame.drawn, frame.column("superpoint"), self._notes)
        if choice.coloring == SCAN:
            return coloring.scan_view(frame.drawn, frame.input_rgb, self._notes)
        words = self._words_of(frame)
        rows = () if words is None else coloring.class_rows(words.names, colors_of(words), frame.labels)
        return View(frame.drawn, frame.label_colors, rows, notes=self._notes)

    def inspect(self, choice: Choice, row: int) -> Inspection:
        """Ask the node how similar the superpoint of a drawn point is to each of its words."""
        frame = self._current(newest=False)
        words, point = self._words_of(frame), frame.drawn.index[row]
        names, ids = list(words.names) if words else [], frame.column("superpoint")
        superpoint = int(ids[point])
        label = coloring.label_name(names, int(frame.labels[point]))
        confidence = float(frame.column("confidence")[point])
        if superpoint == constants.NO_SUPERPOINT:
            return Inspection(label, confidence, None, np.zeros(0, np.int64), 0)
        members = np.flatnonzero(ids[frame.drawn.index] == superpoint)
        matches, note = self._cosines(names, superpoint, frame.stamp)
        return Inspection(label, confidence, superpoint, members, int((ids == superpoint).sum()), matches, (), note)

    def labels_file(self, choice: Choice, suffix: str) -> bytes:
        """Return a file of the cloud that is shown, as it was labeled."""
        return saving.cloud_file(bags.cloud_of(self._current(newest=False).message)[1], {}, suffix)

    def words_file(self, choice: Choice) -> str:
        """Return the words as a labels file."""
        return saving.words_file(word_lists.split_list(choice.words), choice)

    def _send_words(self, choice: Choice) -> None:
        if (choice.words, choice.threshold) == self._sent:
            return
        names = list(word_lists.split_list(choice.words))
        moved = choice.threshold != self._sent[1]  # else the node keeps its own, which others may have set meanwhile
        answer = self._call(self._set_vocabulary, names=names, thresholds=[choice.threshold] if moved else [])
        self._notes = (answer.message,) if answer.message else ()
        self._sent = choice.words, choice.threshold

    def _words_of(self, frame: LiveFrame) -> Vocabulary | None:
        """The vocabulary that a frame was labeled with, if it has arrived."""
        return self._vocabularies.get(frame.vocabulary_version)

    def _current(self, newest: bool = True) -> LiveFrame:
        """The frame that is shown; first that of the newest message, if wanted."""
        if self._frame is None or (newest and self._frame.message is not self._newest):
            self._frame = LiveFrame(self._newest, self._limit, self._frame)
        return self._frame

    def _heat_map(self, text: str, frame: LiveFrame) -> tuple[np.ndarray, Bar]:
        coloring.check_heat_text(text)
        key = text, frame.stamp
        if self._heat is None or self._heat[0] != key:
            self._similarity = None
            answer = self._call(self._query, texts=[text], max_matches=1)
            stamp = stamp_of(answer)
            self._wait(lambda: self._similarity and stamp_of(self._similarity) == stamp, ANSWER_S, "~/similarity")
            if stamp != frame.stamp:
                raise ValueError("the node has gone on to another cloud; its heat map comes with the next one")
            name = f"similarity_{cloud_messages.ros_names([text], fallback='text')[0]}"
            points = cloud_messages.decode(self._similarity).points
            self._heat = key, np.asarray(points[name], np.float32)
        return coloring.heat_colors(self._heat[1][frame.drawn.index], text)

    def _cosines(self, names: list[str], superpoint: int, stamp: int) -> tuple[tuple[Match, ...], str]:
        """The best words of a superpoint of the cloud of a stamp, and why there may be none."""
        names = names[: constants.MAX_QUERY_TEXTS]
        answer = self._call(self._query, texts=names, max_matches=constants.MAX_MATCHES)
        if stamp_of(answer) != stamp:
            return (), "the node has gone on to another cloud, whose superpoints are others"
        found = {match.text: match.score for match in answer.matches if match.superpoint == superpoint}
        return coloring.best_matches(list(found), np.array(list(found.values()), np.float32)), ""

    def _subscribe(self) -> None:
        base, listen = self._topic.partition("/labeled")[0], self._node.create_subscription
        self._wait(self._publishers, FIRST_S, self._what_is_missing)
        listen(PointCloud2, self._topic, self._on_cloud, qos.input_qos(self._publishers()))
        clouds = qos.cloud_qos("reliable", 5)
        listen(PointCloud2, f"{base}/similarity", self._on_similarity, clouds)
        listen(Vocabulary, f"{base}/vocabulary", self._on_vocabulary, qos.LATCHED)
        self._set_vocabulary = self._node.create_client(SetVocabulary, f"{base}/set_vocabulary")
        self._query = self._node.create_client(Query, f"{base}/query")

    def _publishers(self) -> list[Any]:
        return self._node.get_publishers_info_by_topic(self._topic)

    def _what_is_missing(self) -> str:
        publishers = self._publishers()
        if publishers and self._newest:
            return f"vocabulary beside {self._topic}: it is no topic of an s4token node"
        if not publishers:
            return f"publisher on {self._topic}: start the node, or name its topic with --live TOPIC"
        return f"labeled cloud: {qos.silence_hint(self._topic, publishers, qos.input_qos(publishers))}"

    def _call(self, client: Any, **request: Any) -> Any:
        """Return the response of a service; ValueError if it refuses, or does not answer."""
        if not client.wait_for_service(ANSWER_S * self._patience):
            raise ValueError(f"no service {client.srv_name}; is the node running?")
        done = threading.Event()
        future = client.call_async(client.srv_type.Request(**request))
        future.add_done_callback(lambda _: done.set())
        if not done.wait(ANSWER_S * self._patience):
            raise ValueError(f"no answer from {client.srv_name} within {ANSWER_S * self._patience:.0f} s")
        if not future.result().success:
            raise ValueError(future.result().message)
        return future.result()

    def _wait(self, done: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> None:
        end = time.monotonic() + seconds * self._patience
        while not done():
            if time.monotonic() > end:
                missing = what() if callable(what) else what
                raise ValueError(f"no {missing} (waited {seconds * self._patience:.0f} s)")
            time.sleep(0.02)

    def _on_cloud(self, message: PointCloud2) -> None:
        self._newest = message
        self.wake.set()

    def _on_similarity(self, message: PointCloud2) -> None:
        self._similarity = message

    def _on_vocabulary(self, message: Vocabulary) -> None:
        known = {version: words for version, words in self._vocabularies.items() if version != message.version}
        newest = [*known.items(), (message.version, message)][-KEPT:]
        self._vocabularies = dict(newest)  # replaced at once: another thread reads it
        self.wake.set()


def _spin(node: Any) -> None:
    """Receive until ROS is shut down."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    with suppress(ExternalShutdownException):
        executor.spin()


def colors_of(words: Vocabulary) -> np.ndarray:
    """Return the colors (C, 3) uint8 of a vocabulary message."""
    return np.array([[round(255 * v) for v in (c.r, c.g, c.b)] for c in words.colors], np.uint8).reshape(-1, 3)
