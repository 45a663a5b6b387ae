"""The services of the node; each has a callback group of its own, so that none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_msgs.msg import Header, String

from s4token_interfaces.srv import GetVocabulary, Query, SetVocabulary
from s4token_model import constants, vocabulary, word_lists
from s4token_ros import qos, summaries
from s4token_ros.parameters import Settings
from s4token_ros.text_encoding import TextEncoding
from s4token_ros.worker import Worker

# Services of rclpy that only read: they answer while a transition or a change of parameters is at work
READING = ("get_state", "get_available_states", "get_available_transitions", "get_transition_graph",
           "get_parameters", "get_parameter_types", "list_parameters", "describe_parameters")  # fmt: skip


class Services:
    """set_vocabulary, get_vocabulary and query; an error becomes the message of the response."""

    def __init__(
        self,
        node: Any,
        worker: Callable[[], Worker],  # raises ValueError while there is none
        settings: Callable[[], Settings],
        changing: Any,  # the lock that is held to replace the model or its vocabulary
        show_words: Callable[[Any], str],  # called with a Vocabulary that was set; returns what went wrong
    ) -> None:
        self._node, self._worker, self._settings, self._changing = node, worker, settings, changing
        self._show_words = show_words
        self._refused, self._refused_at = "", 0  # the last line on ~/set_words, and the version in use then
        # Of each kind one request is at work and one may wait
        self.names, self._texts = (TextEncoding(lambda: settings().node.services.deadline) for _ in range(2))
        self._queries = threading.BoundedSemaphore(2)
        # Further requests of these two have to be received, to be refused
        self._serve(SetVocabulary, "set_vocabulary", self._set_vocabulary, ReentrantCallbackGroup())
        self._serve(Query, "query", self._query, ReentrantCallbackGroup())
        self._serve(GetVocabulary, "get_vocabulary", self._get_vocabulary, MutuallyExclusiveCallbackGroup())
        once = qos.cloud_qos("reliable", depth=1)  # of several lines the newest counts
        node.create_subscription(
            String, "~/set_words", self._set_words, once, callback_group=MutuallyExclusiveCallbackGroup()
        )
        reading, changing_state = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        for service in node.services:
            name = service.srv_name.rpartition("/")[2]
            if name in (*READING, "change_state"):
                service.callback_group = reading if name in READING else changing_state
                service.callback_group.add_entity(service)
            if name == "change_state":
                service.callback = self._one_at_a_time(service.callback)

    @property
    def problem(self) -> str:
        """What is wrong with the last line on ~/set_words, until other words are in use."""
        return self._refused if self._refused_at == self._version() else ""

    def _version(self) -> int:
        try:
            return int(self._worker().model.vocabulary.version)
        except ValueError:
            return 0

    def close(self) -> None:
        """Give up what is at work."""
        self.names.close()
        self._texts.close()

    def _one_at_a_time(self, change_state: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Let a transition wait for the one at work; in its middle rcl takes results, e.g. 10, from anyone."""

        def callback(request: Any, response: Any) -> Any:
            if not self._changing.acquire(timeout=self._settings().node.services.deadline):
                self._node.get_logger().error("change_state: the node is busy with another change; try again")
                return response  # not successful
            try:
                return change_state(request, response)
            finally:
                self._changing.release()

        return callback

    def _serve(self, kind: type, name: str, answer: Callable[[Worker, Any, Any], None], group: Any) -> None:
        def callback(request: Any, response: Any) -> Any:
            try:
                answer(self._worker(), request, response)
                response.success = True
            except Exception as error:
                response.success, response.message = False, str(error) or repr(error)
                if not isinstance(error, ValueError):
                    self._node.get_logger().error(f"{name} failed: {error!r}", throttle_duration_sec=5.0)
            return response

        self._node.create_service(kind, f"~/{name}", callback, qos_profile=qos.SERVICES, callback_group=group)

    def _set_vocabulary(self, worker: Worker, request: Any, response: Any) -> None:
        old = worker.model.vocabulary
        response.version = old.version
        templates = list(request.templates) or old.templates
        thresholds = list(request.thresholds) or self._settings().pipeline.vocabulary.threshold
        segmenter = worker.model.segmenter
        words = self.names.vocabulary(segmenter, list(request.names), templates, thresholds)
        if not self._changing.acquire(timeout=self._settings().node.services.deadline):
            raise ValueError("parameters are being changed; try again")
        problem = None
        try:
            if worker.model.segmenter is segmenter:
                response.relabeled = worker.swap(replace(worker.model, vocabulary=words))
                problem = self._show_words(words)
                response.version = worker.model.vocabulary.version
        finally:
            self._changing.release()
        if problem is None:  # the model was replaced meanwhile: the new one encodes the words
            self._set_vocabulary(worker, request, response)
            return
        notes = (*words.warnings, words.note(), worker.publishers.filter_problem, problem)
        response.message = "; ".join(filter(None, notes))

    def _set_words(self, message: String) -> None:
        """Set the class names of one line, as set_vocabulary does; nobody waits for an answer but /diagnostics."""
        try:
            names = list(word_lists.split_list(message.data))
            self._set_vocabulary(self._worker(), SetVocabulary.Request(names=names), SetVocabulary.Response())
            self._refused = ""
        except Exception as error:
            self._refused_at = self._version()
            self._refused = f"the words of ~/set_words are not used: {str(error) or repr(error)}"
            self._node.get_logger().warning(self._refused, throttle_duration_sec=5.0)

    def _get_vocabulary(self, worker: Worker, request: Any, response: Any) -> None:
        header = Header(stamp=self._node.get_clock().now().to_msg())
        response.vocabulary = summaries.vocabulary_message(worker.model.vocabulary, header)

    def _query(self, worker: Worker, request: Any, response: Any) -> None:
        limit = request.max_matches or Query.Request.DEFAULT_MAX_MATCHES
        for count, bound, what in (
            (len(request.texts), constants.MAX_QUERY_TEXTS, "texts"), (limit, constants.MAX_MATCHES, "matches per text")
        ):  # fmt: skip
            if count > bound:
                raise ValueError(f"{count} {what}; a query has at most {bound}")
        if not request.texts:
            raise ValueError("texts is empty; give at least one")
        texts = vocabulary.checked_names(request.texts)
        if not self._queries.acquire(blocking=False):
            raise ValueError("other queries are at work or waiting; try again")
        try:

            def encode(segmenter: Any) -> Any:
                return self._texts.vocabulary(segmenter, texts, (), 0.0)

            response.header, response.matches = worker.query(encode, limit, self._settings().node.services.deadline)
        finally:
            self._queries.release()
