"""The lifecycle node `s4token`: parameters, lifecycle, services and diagnostics; worker.py processes the clouds."""

from __future__ import annotations

import contextlib
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
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from s4token_interfaces.srv import GetVocabulary, Query, SetVocabulary
from s4token_model import vocabulary as vocabularies
from s4token_model.config import Config
from s4token_ros import diagnostics, parameters, summaries
from s4token_ros.parameters import Settings
from s4token_ros.publishers import Publishers
from s4token_ros.subscriptions import Subscriptions
from s4token_ros.transforms import Gravity
from s4token_ros.worker import Model, Worker

SegmenterFactory = Callable[[str, Config, str], Any]


def load_segmenter(model: str, config: Config, device: str) -> Any:
    """Load a Segmenter; imports torch."""
    from s4token_model.segmenter import Segmenter

    return Segmenter.load(model, config, device)


def saved_config(model: str) -> Config:
    """Return the config that a checkpoint was saved with."""
    from s4token_model.checkpoint import read_config

    return read_config(model)


def warm_up_cloud(points: int = 60_000) -> np.ndarray:
    """Return a floor, a wall and boxes, (points, 3) float32 [m]: as much work for every stage as a real cloud."""
    rng = np.random.default_rng(0)
    xyz = rng.random((points, 3), np.float32) * np.float32([8, 8, 2.5])
    third = points // 3
    xyz[:third, 2] = 0
    xyz[third : 2 * third, 1] = 0
    corner = np.floor(xyz[2 * third :])
    xyz[2 * third :] = corner + 0.5 * (xyz[2 * third :] - corner) * (rng.random((points - 2 * third, 3)) < 0.7)
    return xyz


class S4TokenNode(LifecycleNode):
    """The node; tests replace `segmenter_factory(model, config, device)` and `base_config(model)`."""

    def __init__(self, segmenter_factory: SegmenterFactory, base_config: Callable[[str], Config]) -> None:
        super().__init__("s4token")
        self._factory = segmenter_factory
        self._settings = parameters.declare(self, base_config)
        self._gravity = Gravity(self, lambda: self._settings.node.input.gravity_frame)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._worker: Worker | None = None
        self._cloud_subscriptions: Subscriptions | None = None
        self._version = 0  # of the last vocabulary before the node was cleaned up
        self._phase, self._problem = "unconfigured", ""
        self._changing = threading.RLock()  # a new model and a new vocabulary must not overwrite each other
        # Clouds, services and diagnostics run in different threads, each one call at a time
        self._cloud_group = MutuallyExclusiveCallbackGroup()
        self._service_group = MutuallyExclusiveCallbackGroup()
        self._watch_group = MutuallyExclusiveCallbackGroup()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._serve(SetVocabulary, "set_vocabulary", self._on_set_vocabulary)
        self._serve(GetVocabulary, "get_vocabulary", self._on_get_vocabulary)
        self._serve(Query, "query", self._on_query)
        self._watch_timer = self.create_timer(self._settings.node.diagnostics.period, self._watch, self._watch_group)
        if self._settings.node.autostart:
            # From within spin, so that signals and services work while the model loads
            self._start_timer = self.create_timer(0.01, self._autostart, MutuallyExclusiveCallbackGroup())

    # Lifecycle

    def _autostart(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Load and warm up the model, create the publishers, announce the vocabulary."""
        start = time.perf_counter()
        try:
            model = self._load(self._settings)
            model = replace(model, vocabulary=replace(model.vocabulary, version=self._version + 1))
            publishers = Publishers(self, self._settings.node.output)
            publishers.announce(model.vocabulary, self._now())
        except Exception as error:  # rclpy would swallow it silently
            self._problem = f"not configured: {error}"
            self.get_logger().error(self._problem)
            return TransitionCallbackReturn.FAILURE
        settings, rotation = self._settings.node, self._gravity.rotation
        self._worker = Worker(model, publishers, self._now, self._report_error, rotation, settings.overlap)
        self._worker.smooth(self, settings.temporal)
        self._phase, self._problem = "inactive", ""
        classes, seconds = len(model.vocabulary.names), time.perf_counter() - start
        self.get_logger().info(f"{settings.model} on {settings.device} ready after {seconds:.1f} s, {classes} classes")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        assert self._worker is not None
        self._worker.start()
        self._subscribe()
        self._phase = "active"
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker; keep model and vocabulary."""
        self._phase = "inactive"
        self.halt()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Drop model, last cloud and publishers."""
        self._phase = "unconfigured"
        self.halt()
        if self._worker:
            self._version = self._worker.model.vocabulary.version
            self._worker.close()
            self._worker = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Clean up permanently."""
        self.on_cleanup(state)
        self._phase = "finalized"
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Go back to unconfigured."""
        return self.on_cleanup(state)

    def halt(self) -> None:
        """Unsubscribe and end the worker's threads."""
        if self._cloud_subscriptions:
            self._cloud_subscriptions.destroy()
            self._cloud_subscriptions = None
        if self._worker:
            self._worker.stop()

    def _subscribe(self) -> None:
        assert self._worker is not None
        if self._cloud_subscriptions:
            self._cloud_subscriptions.destroy()
        receive = self._worker.receive
        self._cloud_subscriptions = Subscriptions(self, self._settings.node.input, receive, self._cloud_group)

    def _load(self, settings: Settings) -> Model:
        segmenter = self._factory(settings.node.model, settings.pipeline, settings.node.device)
        if settings.node.warm_up:
            for _ in range(2):  # the first run compiles, the second settles allocator and caches
                segmenter.segment(warm_up_cloud())
        gc.collect()
        gc.freeze()  # garbage collection need not traverse the model while a cloud waits
        return Model(segmenter, segmenter.vocabulary)

    # Parameters

    def _on_parameters(self, changed: list[Any]) -> SetParametersResult:
        with self._changing:
            try:
                values = {p.name: p.value for p in changed}
                settings = self._settings.changed(values)
                if "vocabulary.labels" in values:
                    vocabularies.check_labels_have_effect(settings.pipeline.vocabulary)
                paths = self._settings.differences(settings)
                model = self._changed_model(settings, paths)
            except Exception as error:  # the caller gets the reason; the old values stay
                return SetParametersResult(successful=False, reason=str(error))
            self._settings = settings
            self._apply(paths, model)
        return SetParametersResult(successful=True)

    def _changed_model(self, settings: Settings, paths: set[str]) -> Model | None:
        """Return the model that `settings` require, None before the first is loaded; ValueError if there is none."""
        config = settings.pipeline.vocabulary
        if paths & parameters.VOCABULARY_KEYS:
            names = vocabularies.checked_names(config.names or vocabularies.read_names(config.labels))
            templates = vocabularies.read_templates(config.templates)
        if self._worker is None:
            return None
        model = current = self._worker.model
        if any(not path.startswith(parameters.PREFIXES_WITHOUT_RELOAD) for path in paths - parameters.VOCABULARY_KEYS):
            model = self._load(settings)
        if paths & parameters.VOCABULARY_KEYS:
            return replace(model, vocabulary=model.segmenter.make_vocabulary(names, templates, config.threshold))
        if model.segmenter is not current.segmenter:  # a vocabulary set by a service call survives
            old = current.vocabulary
            return replace(model, vocabulary=model.segmenter.make_vocabulary(old.names, old.templates, old.thresholds))
        return model

    def _apply(self, paths: set[str], model: Model | None) -> None:
        if "diagnostics.period" in paths:
            self.destroy_timer(self._watch_timer)
            self._watch_timer = self.create_timer(
                self._settings.node.diagnostics.period, self._watch, self._watch_group
            )
        if self._worker is None or model is None:
            return
        if any(path.startswith("output.") for path in paths):
            self._worker.replace_publishers(lambda: Publishers(self, self._settings.node.output))
        self._worker.smooth(self, self._settings.node.temporal)
        if model is not self._worker.model:
            self._worker.swap(model)
        if self._cloud_subscriptions and paths & {"input.topics", "input.reliability"}:
            self._subscribe()

    # Services

    def _serve(self, kind: type, name: str, answer: Callable[[Worker, Any, Any], None]) -> None:
        """Create a service of `answer(worker, request, response)`; an error becomes the message of the response."""

        def callback(request: Any, response: Any) -> Any:
            try:
                if self._worker is None:
                    reason = self._problem or "no model yet"
                    raise ValueError(f"the node is {self._phase}: configure it first ({reason})")
                answer(self._worker, request, response)
                response.success = True
            except Exception as error:
                response.success, response.message = False, str(error) or repr(error)
                if not isinstance(error, ValueError):
                    self.get_logger().error(f"service call failed: {error!r}")
            return response

        self.create_service(kind, f"~/{name}", callback, callback_group=self._service_group)

    def _on_set_vocabulary(self, worker: Worker, request: Any, response: Any) -> None:
        with self._changing:
            model = worker.model
            response.version = model.vocabulary.version
            templates = list(request.templates) or model.vocabulary.templates
            thresholds = list(request.thresholds) or self._settings.pipeline.vocabulary.threshold
            vocabulary = model.segmenter.make_vocabulary(list(request.names), templates, thresholds)
            response.relabeled = worker.swap(replace(model, vocabulary=vocabulary))
            response.version, response.message = worker.model.vocabulary.version, "; ".join(vocabulary.warnings)

    def _on_get_vocabulary(self, worker: Worker, request: Any, response: Any) -> None:
        response.vocabulary = summaries.vocabulary_message(worker.model.vocabulary, Header(stamp=self._now()))

    def _on_query(self, worker: Worker, request: Any, response: Any) -> None:
        if not request.texts:
            raise ValueError("texts is empty; give at least one")
        limit = request.max_matches or Query.Request.DEFAULT_MAX_MATCHES
        response.header, response.matches = worker.query(vocabularies.checked_names(request.texts), limit)

    # Diagnostics

    def _watch(self) -> None:
        """Adapt to publishers that appeared or changed, and publish diagnostics."""
        worker, subscriptions, settings = self._worker, self._cloud_subscriptions, self._settings.node
        if subscriptions:
            subscriptions.follow()
        stats = worker.stats if worker else diagnostics.Statistics()
        silence = ""
        if subscriptions and stats.silent_s() > settings.diagnostics.stale_after:
            silence = f"no cloud for {stats.silent_s():.0f} s: {subscriptions.explain_silence()}"
        wanted = worker is not None and worker.publishers.wanted()
        level, text = diagnostics.assess(stats, self._phase, wanted, silence, self._problem)
        vocabulary = worker.model.vocabulary if worker else None
        pairs = diagnostics.values(stats) | {
            "state": self._phase,
            "device": settings.device,
            "vocabulary_version": str(vocabulary.version if vocabulary else 0),
            "vocabulary_size": str(len(vocabulary.names) if vocabulary else 0),
        }
        name = f"{self.get_fully_qualified_name().lstrip('/')}: labeling"
        self._diagnostics.publish(diagnostics.array_message(self._now(), name, settings.model, level, text, pairs))

    def _now(self) -> Any:
        return self.get_clock().now().to_msg()

    def _report_error(self, text: str) -> None:
        self.get_logger().error(text, throttle_duration_sec=5.0)


def main(
    arguments: list[str] | None = None,
    segmenter_factory: SegmenterFactory = load_segmenter,
    base_config: Callable[[str], Config] = saved_config,
) -> int:
    """Run the node until SIGINT or SIGTERM; return 0, or 1 if a parameter is wrong."""
    # Signals only end the loop, so that the worker never loses its context during a cloud
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
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
            with contextlib.suppress(InvalidHandle):  # rclpy raises it if a callback destroys a subscription just now
                executor.spin_once(timeout_sec=0.2)
    finally:
        executor.shutdown()
        node.halt()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
