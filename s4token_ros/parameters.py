"""ROS parameters, declared from the dataclasses that hold every default: the model's `Config` and `NodeConfig`."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException

from s4token_model.config import Config, options, replace
from s4token_model.vocabulary import check_labels_have_effect
from s4token_ros import filtered, topic_names
from s4token_ros.options import InputConfig, NodeConfig

# The model's config is the default of all pipeline parameters; some belong to its weights
READ_ONLY = (
    "autostart", "overlap", "input.fuse", "model", "vocabulary.folder", "vocabulary.store", "clip.name",
    "clip.pretrained", "tokenizer.",
)  # fmt: skip
MAX_PATCH_POINTS = 1 << 19  # sampling.tokens times patches.points, the points that the tokenizer reads at once
WEIGHT_KEYS = {"device", "clip.precision"}  # changed by reading the weights again; then without another model
VOCABULARY_KEYS = {f"vocabulary.{key}" for key in ("labels", "names", "templates", "threshold")}
PREFIXES_WITHOUT_MODEL = (
    *(f"input.{key}" for key in ("topics", "topic_up", "weights", "reliability", "gravity_frame", "fuse")),
    "input.transform_timeout", "output.", "temporal.", "latency.", "services.", "diagnostics.", "warm_up",
)  # fmt: skip
LISTS = tuple(path for path, (value, _) in {**options(NodeConfig()), **options(Config())}.items()
              if isinstance(value, tuple) and path != "input.weights")  # fmt: skip
MAX_WEIGHT = 1000


@dataclass(frozen=True)
class Settings:
    """The values of all parameters."""

    node: NodeConfig = field(default_factory=NodeConfig)
    pipeline: Config = field(default_factory=Config)
    start_files: dict[str, str] = field(default_factory=dict)  # vocabulary.labels and .templates at the start

    def changed(self, changes: dict[str, Any]) -> Settings:
        """Return a copy with dotted paths changed and checked; other paths, e.g. use_sim_time, are ignored."""
        for path in LISTS:
            values = changes.get(path)
            if isinstance(values, Iterable) and not all(isinstance(value, str) for value in values):
                raise ValueError(f"{path} must be a list of texts; put each between quotation marks")
        parts = (self.node, self.pipeline)
        node, pipeline = (replace(c, {p: _plain(v) for p, v in changes.items() if p in options(c)}) for c in parts)
        settings = dataclasses.replace(self, node=node, pipeline=pipeline)
        _check_together(settings)
        return settings

    def differences(self, other: Settings) -> set[str]:
        """Return the dotted paths whose values differ."""
        mine, theirs = ({**options(s.node), **options(s.pipeline)} for s in (self, other))
        return {path for path, (value, _) in mine.items() if value != theirs[path][0]}


def checked_weights(config: InputConfig) -> list[float]:
    """Return the weight of each topic; ValueError if one is out of range, or if there are not as many as topics."""
    if not config.weights:
        return [1.0] * len(config.topics)
    if len(config.weights) != len(config.topics):
        raise ValueError(f"input.weights holds {len(config.weights)} weights for {len(config.topics)} topics")
    try:
        weights = [float(weight) for weight in config.weights]
    except ValueError:
        weights = [0.0]
    if not all(1 / MAX_WEIGHT <= weight <= MAX_WEIGHT for weight in weights):
        raise ValueError(f"input.weights={list(config.weights)} must be numbers from {1 / MAX_WEIGHT} to {MAX_WEIGHT}")
    return weights


def of_topic(values: Sequence[str], number: int) -> str:
    """Return the value of a topic, by its number, from one for all topics or one per topic; "" if there is none."""
    return values[number if len(values) > 1 else 0] if values else ""


def _check_together(settings: Settings) -> None:
    """Raise ValueError for values that are right each by itself, and cannot work together."""
    node, pipeline = settings.node, settings.pipeline
    if not node.input.topics:
        raise ValueError("input.topics is empty; give at least one topic, e.g. [points]")
    _check_frames(node.input)
    for path, frames in (("output.frame", (node.output.frame,)), ("input.gravity_frame", node.input.gravity_frame)):
        if wrong := [frame for frame in frames if frame and not frame.strip("/ ")]:
            raise ValueError(f"{path}: {wrong[0]!r} names no frame; leave it empty to turn it off")
    if node.temporal.enabled and not node.temporal.frame.strip("/ "):
        raise ValueError("temporal.frame is empty; name the frame that does not move, e.g. odom")
    if node.output.durability == "transient_local" and node.output.reliability != "reliable":
        raise ValueError("output.durability: transient_local needs output.reliability: reliable; change one of the two")
    filtered.check(node.output)
    tokens, points = pipeline.sampling.tokens, pipeline.patches.points
    if tokens * points > MAX_PATCH_POINTS:
        product = f"sampling.tokens={tokens} times patches.points={points}"
        raise ValueError(f"{product} is more than {MAX_PATCH_POINTS} points at once; lower one of the two")
    checked_weights(node.input)


def _check_frames(config: InputConfig) -> None:
    """Raise ValueError if the frames and axes of the topics do not fit the topics."""
    count = len(config.topics)
    if len(config.gravity_frame) not in (0, 1, count):
        found = f"input.gravity_frame holds {len(config.gravity_frame)} frames for {count} topics"
        raise ValueError(f"{found}; give one for all, or one per topic")
    if config.topic_up and len(config.topic_up) != count:
        raise ValueError(f"input.topic_up holds {len(config.topic_up)} axes for {count} topics; give one per topic")
    axes = options(Config())["input.up"][1].metadata["choices"]
    if wrong := [axis for axis in config.topic_up if axis not in axes]:
        raise ValueError(f"input.topic_up: {wrong[0]!r} is not one of {', '.join(axes)}")
    if config.fuse and not config.fuse_frame.strip("/ "):
        raise ValueError("input.fuse_frame is empty; name the frame that clouds are joined in, e.g. base_link")
    if config.fuse and (config.topic_up or len(config.gravity_frame) > 1):
        raise ValueError("input.fuse makes one cloud of all topics; give one input.gravity_frame and no input.topic_up")


def _plain(value: Any) -> Any:
    """Undo the [""] that stands for an empty list; rclpy would take [] for a list of bytes."""
    empty = isinstance(value, (list, tuple)) and all(v == "" for v in value)
    return [] if empty else value


def declare(node, base_config: Callable[[str], Config]) -> Settings:
    """Declare every parameter on an rclpy node; return the values after parameter files and command line.

    ValueError if one is wrong. The node's log warns of those that do not exist.
    """
    values = _declare(node, options(NodeConfig()))
    defaults = Settings(pipeline=base_config(values["model"]))  # the config that the model was saved with
    settings = defaults.changed(values | _declare(node, options(defaults.pipeline)))
    if (words := settings.pipeline.vocabulary).labels != defaults.pipeline.vocabulary.labels:
        check_labels_have_effect(words)
    topic_names.checked_inputs(node, settings.node.input.topics)
    if (folder := settings.node.vocabulary.folder) and not Path(folder).is_dir():
        raise ValueError(f"vocabulary.folder={folder!r} is no folder; create it, or leave the parameter empty")
    check_store(settings.node.vocabulary.store)
    for name in sorted(getattr(node, "_parameter_overrides", ())):
        if not node.has_parameter(name):  # rclpy ignores it silently
            node.get_logger().warning(f"{unknown(name)}; its value is ignored")
    return dataclasses.replace(settings, start_files={"labels": words.labels, "templates": words.templates})


def check_store(path: str) -> None:
    """Raise ValueError if vocabulary.store cannot be a file: one that is written takes the place of what is there."""
    store = Path(path)
    if path and (not store.absolute().parent.is_dir() or (store.exists() and not store.is_file())):
        raise ValueError(f"vocabulary.store={path!r} must be a regular file in a folder that is there; name another")


def unknown(name: str) -> str:
    """Return what is wrong with the name of a parameter that the node does not have, and what may be meant."""
    known = [*options(NodeConfig()), *options(Config()), "use_sim_time"]
    last = {path.rpartition(".")[2]: path for path in known}  # "tokens" for "sampling.tokens"
    name = name[:80]  # finding the nearest takes time
    ends = difflib.get_close_matches(name.rpartition(".")[2], last, 1, 0.8)
    close = [*difflib.get_close_matches(name, known, 1), *(last[end] for end in ends)]
    hint = f"did you mean {close[0]}?" if close else "config/node.yaml lists all"
    return f"there is no parameter {name!r}; {hint}"


def _declare(node, paths: dict[str, tuple[Any, dataclasses.Field]]) -> dict[str, Any]:
    values = {}
    for path, (saved, item) in paths.items():
        default = (list(saved) or [""]) if isinstance(saved, tuple) else saved
        try:
            value = node.declare_parameter(path, default, describe(path, item, saved)).value
        except ParameterException as error:
            raise ValueError(str(error)) from error
        values[path] = default if value is None else value  # [] in a parameter file arrives as None
    return values


def describe(path: str, item: dataclasses.Field, value: Any) -> ParameterDescriptor:
    """Return the ROS descriptor of a config field: description, choices and range."""
    low, high, choices = (item.metadata.get(k) for k in ("low", "high", "choices"))
    descriptor = ParameterDescriptor(
        description=item.metadata["doc"],
        additional_constraints=f"one of: {', '.join(choices)}" if choices else "",
        read_only=path.startswith(READ_ONLY),
        # allows `1` for `1.0` and [] for an empty list; Settings.changed checks types with better messages
        dynamic_typing=isinstance(value, (float, tuple)),
    )
    if low is not None and isinstance(value, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif low is not None and isinstance(value, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    return descriptor
