"""The lifecycle node `s4token`: parameters, lifecycle and diagnostics; worker.py processes the clouds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from s4token_model import command_line
from s4token_model.config import Config
from s4token_ros import logs, model_loading, parameter_changes, parameters, process, signals, topic_names, torch_threads
from s4token_ros.cloud_frames import CloudFrames
from s4token_ros.parameters import Settings
from s4token_ros.publishers import Publishers
from s4token_ros.services import Services
from s4token_ros.subscriptions import Subscriptions
from s4token_ros.watch import Watch, Watched, steady_timer
from s4token_ros.word_store import Words, WordStore
from s4token_ros.worker import JOIN_S, Model, Worker


class S4TokenNode(LifecycleNode):
    """The node; tests replace `segmenter_factory(model, config, device)` and `base_config(model)`."""

    def __init__(self, segmenter_factory: model_loading.SegmenterFactory, base_config: Callable[[str], Config]) -> None:
        super().__init__("s4token", start_parameter_services=False)
        logs.forward_library_log(self.get_logger())
        self._factory = segmenter_factory
        self._settings = parameters.declare(self, base_config)
        self._parameter_service = parameter_changes.CheckedParameterService(self)
        self._frames = CloudFrames(self, lambda: self._settings.node)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._worker: Worker | None = None
        self._cloud_subscriptions: Subscriptions | None = None
        self._words = WordStore(self._settings, self.get_logger().warning)
        self._phase, self._problem = "unconfigured", ""
        self._changing = threading.RLock()  # a new model and a new vocabulary must not overwrite each other
        show_words = partial(self._words.show, self)
        workers, settings = self._configured_worker, lambda: self._settings
        self._vocabulary_services = Services(self, workers, settings, self._changing, show_words)
        self._watch = Watch(self, self._watched)
        self.report_fault = self._watch.report_fault  # of a callback, for process.spin
        if self._settings.node.autostart:
            # From within spin, so that services work while the model loads
            self._start_timer = steady_timer(self, 0.01, self._autostart)

    def _configured_worker(self) -> Worker:
        if self._worker is None:
            raise ValueError(f"the node is {self._phase}: configure it first ({self._problem or 'no model yet'})")
        return self._worker

    # Lifecycle

    def _autostart(self) -> None:
        self._start_timer.cancel()
        with self._changing:  # a request in the middle of a transition would break it
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Load and warm up the model, create the publishers, announce the vocabulary."""
        return self._transition("configured", self._configure)

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        return self._transition("activated", self._activate)

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker; keep model and vocabulary."""
        self._phase = "inactive"
        return self._transition("deactivated", self.halt)

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Drop model, last cloud and publishers."""
        self._phase = "unconfigured"
        return self._transition("cleaned up", self._clean_up)

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Clean up permanently."""
        self.on_cleanup(state)
        self._phase = "finalized"
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Go back to unconfigured."""
        self.on_cleanup(state)
        return TransitionCallbackReturn.SUCCESS

    def _transition(self, done: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        """Do the work of a transition; an error, which rclpy would swallow, fails it and becomes a diagnostic."""
        with self._changing:  # no parameter changes meanwhile
            try:
                work()
            except Exception as error:
                self._problem = f"not {done}: {error}"
                self.get_logger().error(self._problem)
                return TransitionCallbackReturn.FAILURE
            self._problem = ""
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        start, settings = time.perf_counter(), self._settings.node
        model = self._words.applied(self._load(self._settings))
        publishers = self._make_publishers()
        try:
            publishers.announce(model.vocabulary, self._now())
        except Exception:
            publishers.destroy()
            raise
        self._worker = Worker(model, publishers, self._now, self._report_error, self._frames, settings.overlap)
        self._worker.smooth(self, settings.temporal)
        if self._words.from_caller:
            self._words.show(self, model.vocabulary)
        self._phase = "inactive"
        classes, seconds = len(model.vocabulary.names), time.perf_counter() - start
        self.get_logger().info(f"{settings.model} on {settings.device} ready after {seconds:.1f} s, {classes} classes")

    def _activate(self) -> None:
        if self._worker is None:
            raise ValueError("the node is not configured")
        self._subscribe()
        self._worker.start()
        self._phase = "active"

    def _clean_up(self) -> None:
        self.halt()
        if self._worker:
            worker, self._worker = self._worker, None
            self._words.keep(worker.model.vocabulary)
            worker.close()

    def halt(self, timeout: float = JOIN_S, final: bool = False) -> bool:
        """Unsubscribe and end the worker's threads, if `final` all; return whether they have ended."""
        if final:
            self._watch.close()
            self._vocabulary_services.close()
        if self._cloud_subscriptions:
            self._cloud_subscriptions.destroy()
            self._cloud_subscriptions = None
        return self._worker is None or self._worker.stop(timeout)

    def _subscribe(self) -> None:
        """Subscribe to the topics of the settings; on an error, the subscriptions stay as they were."""
        assert self._worker is not None
        new = Subscriptions(self, self._settings.node.input, self._worker.receive)
        old, self._cloud_subscriptions = self._cloud_subscriptions, new
        self._worker.arrivals.set_weights(new.weights)
        if old:
            old.destroy()

    def _inputs(self) -> tuple[str, ...]:
        """The full names of the topics to subscribe to."""
        outputs = self._worker.publishers.class_topics() if self._worker else ()
        return topic_names.checked_inputs(self, self._settings.node.input.topics, outputs)

    def _make_publishers(self) -> Publishers:
        return Publishers(self, self._settings.node.output, self._inputs())

    def _load(self, settings: Settings, trial: bool = False, weights: Model | None = None) -> Model:
        return torch_threads.load(model_loading.load, self._factory, settings, trial, weights)

    # Parameters

    def _on_parameters(self, changed: list[Any]) -> SetParametersResult:
        return parameter_changes.answered(self._changing, self._change, {p.name: p.value for p in changed})

    def _change(self, values: dict[str, Any]) -> None:
        """Apply the values of parameters all or none; an exception tells why none."""
        if self._words.showing:
            self._settings = self._settings.changed(values)
            return
        values = self._words.completed(values)
        old, settings = self._settings, self._settings.changed(values)
        current = self._worker.model if self._worker else None
        parameter_changes.check(self, values, settings, current.vocabulary.names if current else ())
        encode = self._vocabulary_services.names.vocabulary
        load = partial(self._load, trial=True)
        model = parameter_changes.changed_model(old, settings, current, self._words, load, encode)
        self._settings, paths = settings, old.differences(settings)
        try:
            self._apply(paths, model)
        except Exception:
            self._settings = old
            self._apply(paths, current)
            raise
        self._words.follow(self, values, Words.of(model.vocabulary) if model else self._words.words)

    def _apply(self, paths: set[str], model: Model | None) -> None:
        """Bring timers, topics, smoothing and model in line with the settings, as far as `paths` concern them."""
        settings = self._settings.node
        self._frames.listen()
        if "diagnostics.period" in paths:
            self._watch.restart()
        if self._worker is None or model is None:
            return
        self._worker.publishers.inputs = self._inputs()
        if self._cloud_subscriptions and paths & {"input.topics", "input.weights", "input.reliability"}:
            self._subscribe()
        if any(path.startswith("output.") for path in paths):
            self._worker.replace_publishers(self._make_publishers)
        self._worker.smooth(self, settings.temporal)
        if model is not self._worker.model:
            self._worker.swap(model)

    # Diagnostics

    def _watched(self) -> Watched:
        if self._cloud_subscriptions:
            self._cloud_subscriptions.follow()
        notes = (self._words.problem, self._vocabulary_services.problem)
        return Watched(self._phase, self._problem, self._settings, self._worker, self._cloud_subscriptions, notes)

    def _now(self) -> Any:
        return self.get_clock().now().to_msg()

    def _report_error(self, text: str) -> None:
        self.get_logger().error(text, throttle_duration_sec=5.0)


def main(
    arguments: list[str] | None = None,
    segmenter_factory: model_loading.SegmenterFactory = model_loading.load_segmenter,
    base_config: Callable[[str], Config] = model_loading.saved_config,
) -> int:
    """Run the node until SIGINT or SIGTERM; return 0, or 2 after a line on stderr that says why it cannot start."""

    def run(words: list[str]) -> None:
        stop = signals.watch()
        try:
            # rclpy's own handlers would take the context away from a cloud at work
            rclpy.init(args=logs.init_arguments(words), signal_handler_options=SignalHandlerOptions.NO)
            node = S4TokenNode(segmenter_factory, base_config)
        except Exception as error:
            rclpy.try_shutdown()
            raise process.readable(error) from error
        process.spin(node, stop)

    return command_line.guard("s4token", run, arguments)


if __name__ == "__main__":
    signals.leave(main())
