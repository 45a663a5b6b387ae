"""The lifecycle node `s4token`: clouds in, labeled clouds out, words changed while it runs.

Here are the parameters, lifecycle, services and diagnostics; what happens to a cloud is in labeler.py.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from s4token_interfaces.srv import GetVocabulary, Query, SetVocabulary
from s4token_model import vocabulary as vocabularies
from s4token_model.config import Config
from s4token_ros import diagnostics, parameters, summaries
from s4token_ros.parameters import Settings
from s4token_ros.publishers import Outputs
from s4token_ros.subscriptions import Inputs
from s4token_ros.worker import Labeler, Model

WORDS = {f"vocabulary.{key}" for key in ("labels", "names", "templates", "threshold")}
LIVE = ("input.topics", "input.reliability", "output.", "diagnostics.", "warm_up")  # need no other segmenter

SegmenterFactory = Callable[[str, Config, str], Any]


def load_segmenter(model: str, config: Config, device: str) -> Any:
    """Load the real segmenter; imports torch."""
    from s4token_model.segmenter import Segmenter

    return Segmenter.load(model, config, device)


def saved_config(model: str) -> Config:
    """Return the config a checkpoint was saved with."""
    from s4token_model.checkpoint import read_config

    return read_config(model)


def made_up_room(points: int = 60_000) -> np.ndarray:
    """A floor, a wall and boxes, (points, 3) float32 [m]: as much work for every stage as a sensor's cloud."""
    rng = np.random.default_rng(0)
    xyz = rng.random((points, 3), np.float32) * np.float32([8, 8, 2.5])
    third = points // 3
    xyz[:third, 2] = 0
    xyz[third : 2 * third, 1] = 0
    corner = np.floor(xyz[2 * third :])
    xyz[2 * third :] = corner + 0.5 * (xyz[2 * third :] - corner) * (rng.random((points - 2 * third, 3)) < 0.7)
    return xyz


class S4TokenNode(LifecycleNode):
    """See the module. `segmenter_factory(model, config, device)` and `base_config(model)` stand in for checkpoints."""

    def __init__(
        self,
        segmenter_factory: SegmenterFactory = load_segmenter,
        base_config: Callable[[str], Config] = saved_config,
        **node_options: Any,
    ) -> None:
        super().__init__("s4token", **node_options)
        self._factory = segmenter_factory
        self._settings = parameters.declare(self, base_config)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._labeler: Labeler | None = None
        self._inputs: Inputs | None = None
        self._version = 0  # of the last vocabulary before the node was cleaned up
        self._phase, self._problem = "unconfigured", ""
        self._changing = threading.RLock()  # a new model and new words must not overwrite each other
        self._cloud_group = MutuallyExclusiveCallbackGroup()
        self._service_group = MutuallyExclusiveCallbackGroup()
        self._watch_group = MutuallyExclusiveCallbackGroup()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for kind, name, answer in (
            (SetVocabulary, "set_vocabulary", self._on_set_vocabulary),
            (GetVocabulary, "get_vocabulary", self._on_get_vocabulary),
            (Query, "query", self._on_query),
        ):
            self.create_service(kind, f"~/{name}", self._answering(answer), callback_group=self._service_group)
        self._watch_timer = self._create_watch_timer()
        if self._settings.node.autostart:  # from within spin, so that signals and other services work meanwhile
            self._start_timer = self.create_timer(0.01, self._autostart, MutuallyExclusiveCallbackGroup())

    def _create_watch_timer(self) -> Any:
        return self.create_timer(self._settings.node.diagnostics.period, self._watch, self._watch_group)

    # Lifecycle

    def _autostart(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Load and warm up the model, create the outputs, announce the vocabulary."""
        start = time.perf_counter()
        try:
            model = self._load(self._settings)
            model = replace(model, vocabulary=replace(model.vocabulary, version=self._version + 1))
            outputs = Outputs(self, self._settings.node.output)
            outputs.announce(model.vocabulary, self._now())
        except Exception as error:  # rclpy would swallow it without a word
            self._problem = f"not configured: {error}"
            self.get_logger().error(self._problem)
            return TransitionCallbackReturn.FAILURE
        self._labeler = Labeler(model, outputs, self._now, self._report, self._settings.node.overlap)
        self._phase, self._problem = "inactive", ""
        settings, took = self._settings.node, time.perf_counter() - start
        words = len(model.vocabulary.names)
        self.get_logger().info(f"{settings.model} on {settings.device} ready after {took:.1f} s, {words} words")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        assert self._labeler is not None
        self._labeler.start()
        self._listen()
        self._phase = "active"
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stop listening and working; model and vocabulary stay."""
        self._phase = "inactive"
        self.halt()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Forget model, cloud and outputs."""
        self._phase = "unconfigured"
        self.halt()
        if self._labeler:
            self._version = self._labeler.model.vocabulary.version
            self._labeler.outputs.destroy()
            self._labeler = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """The same as cleaning up, for good."""
        self.on_cleanup(state)
        self._phase = "finalized"
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Go back to unconfigured."""
        return self.on_cleanup(state)

    def halt(self) -> None:
        """Unsubscribe and end the worker thread."""
        if self._inputs:
            self._inputs.destroy()
            self._inputs = None
        if self._labeler:
            self._labeler.stop()

    def _listen(self) -> None:
        assert self._labeler is not None
        old, self._inputs = self._inputs, None
        if old:
            old.destroy()
        self._inputs = Inputs(self, self._settings.node.input, self._labeler.receive, self._cloud_group)

    def _load(self, settings: Settings) -> Model:
        segmenter = self._factory(settings.node.model, settings.pipeline, settings.node.device)
        if settings.node.warm_up:
            for _ in range(2):  # once to compile, once to see the sizes that stay
                segmenter.segment(made_up_room())
        gc.collect()
        gc.freeze()  # a collection while a cloud waits need not look through the model
        return Model(segmenter, segmenter.vocabulary)

    # Parameters

    def _on_parameters(self, changed: list[Any]) -> SetParametersResult:
        with self._changing:
            try:
                settings = self._settings.changed({p.name: p.value for p in changed})
                paths = self._settings.differences(settings)
                model = self._changed_model(settings, paths)
            except Exception as error:  # whoever asked gets the reason; the old values stay
                return SetParametersResult(successful=False, reason=str(error))
            self._settings = settings
            self._apply(paths, model)
        return SetParametersResult(successful=True)

    def _changed_model(self, settings: Settings, paths: set[str]) -> Model | None:
        """Return the model that `settings` ask for; ValueError when there is none."""
        if self._labeler is None:
            return None
        model = self._labeler.model
        words = model.vocabulary
        if any(not path.startswith(LIVE) for path in paths - WORDS):
            model = self._load(settings)
        if paths & WORDS:
            wanted = settings.pipeline.vocabulary
            names = wanted.names or vocabularies.read_names(wanted.labels)
            templates = vocabularies.read_templates(wanted.templates)
            return replace(model, vocabulary=model.segmenter.make_vocabulary(names, templates, wanted.threshold))
        if model.segmenter is not self._labeler.model.segmenter:  # words set by a service call stay
            made = model.segmenter.make_vocabulary(words.names, words.templates, words.thresholds)
            return replace(model, vocabulary=made)
        return model

    def _apply(self, paths: set[str], model: Model | None) -> None:
        if "diagnostics.period" in paths:
            self.destroy_timer(self._watch_timer)
            self._watch_timer = self._create_watch_timer()
        if self._labeler is None or model is None:
            return
        if any(path.startswith("output.") for path in paths):
            self._labeler.replace_outputs(lambda: Outputs(self, self._settings.node.output))
        if model is not self._labeler.model:
            self._labeler.swap(model)
        if self._inputs and paths & {"input.topics", "input.reliability"}:
            self._listen()

    # Services

    def _answering(self, answer: Callable[[Labeler, Any, Any], None]) -> Callable:
        """Wrap a service callback: errors become the message of the response, and the node goes on."""

        def callback(request: Any, response: Any) -> Any:
            try:
                if self._labeler is None:
                    raise ValueError(
                        f"the node is {self._phase}: configure it first ({self._problem or 'no model yet'})"
                    )
                answer(self._labeler, request, response)
                response.success = True
            except Exception as error:
                response.success, response.message = False, str(error) or repr(error)
                if not isinstance(error, ValueError):
                    self.get_logger().error(f"service call failed: {error!r}")
            return response

        return callback

    def _on_set_vocabulary(self, labeler: Labeler, request: Any, response: Any) -> None:
        with self._changing:
            model = labeler.model
            response.version = model.vocabulary.version
            templates = list(request.templates) or model.vocabulary.templates
            thresholds = list(request.thresholds) or self._settings.pipeline.vocabulary.threshold
            vocabulary = model.segmenter.make_vocabulary(list(request.names), templates, thresholds)
            response.relabeled = labeler.swap(replace(model, vocabulary=vocabulary))
            response.version = labeler.model.vocabulary.version

    def _on_get_vocabulary(self, labeler: Labeler, request: Any, response: Any) -> None:
        response.vocabulary = summaries.vocabulary_message(labeler.model.vocabulary, Header(stamp=self._now()))

    def _on_query(self, labeler: Labeler, request: Any, response: Any) -> None:
        if not request.texts:
            raise ValueError("texts is empty; give at least one")
        texts = vocabularies.checked_names(request.texts)
        limit = request.max_matches or Query.Request.DEFAULT_MAX_MATCHES
        response.header, response.matches = labeler.query(texts, limit)

    # Diagnostics

    def _watch(self) -> None:
        """Follow publishers that came or changed, and say how it goes."""
        labeler, inputs, settings = self._labeler, self._inputs, self._settings.node
        if inputs:
            inputs.follow()
        stats = labeler.stats if labeler else diagnostics.Statistics()
        silence = ""
        if inputs and stats.silent_s() > settings.diagnostics.stale_after:
            silence = f"no cloud for {stats.silent_s():.0f} s: {inputs.silence()}"
        heard = labeler is not None and labeler.outputs.wanted()
        level, text = diagnostics.assess(stats, self._phase, heard, silence, self._problem)
        words = labeler.model.vocabulary if labeler else None
        figures = diagnostics.values(stats) | {
            "state": self._phase,
            "device": settings.device,
            "vocabulary_version": str(words.version if words else 0),
            "vocabulary_words": str(len(words.names) if words else 0),
        }
        name = f"{self.get_fully_qualified_name().lstrip('/')}: labeling"
        self._diagnostics.publish(diagnostics.array_message(self._now(), name, settings.model, level, text, figures))

    def _now(self) -> Any:
        return self.get_clock().now().to_msg()

    def _report(self, text: str) -> None:
        self.get_logger().error(text, throttle_duration_sec=5.0)


def main(
    args: list[str] | None = None,
    segmenter_factory: SegmenterFactory = load_segmenter,
    base_config: Callable[[str], Config] = saved_config,
) -> int:
    """Run the node until SIGINT or SIGTERM; return 0, or 1 when a parameter is wrong."""
    # Signals only end the loop, so that the worker never finds its context gone under it.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        node = S4TokenNode(segmenter_factory, base_config)
    except ValueError as error:
        print(f"s4token: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(node)
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.2)
    finally:
        executor.shutdown()
        node.halt()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
