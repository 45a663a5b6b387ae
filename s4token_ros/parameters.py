"""ROS parameters, declared from the dataclasses that hold every default: the model's `Config` and `NodeConfig`."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException

from s4token_model.config import Config, option, options, replace
from s4token_model.vocabulary import check_labels_have_effect
from s4token_ros import topic_names
from s4token_ros.output_config import RELIABILITIES, OutputConfig

# The model's config is the default of all pipeline parameters; some belong to its weights
READ_ONLY = ("autostart", "overlap", "model", "vocabulary.folder", "clip.name", "clip.pretrained", "tokenizer.")
MAX_PATCH_POINTS = 1 << 19  # sampling.tokens times patches.points, the points that the tokenizer reads at once
WEIGHT_KEYS = {"device", "clip.precision"}  # changed by reading the weights again; then without another model
VOCABULARY_KEYS = {f"vocabulary.{key}" for key in ("labels", "names", "templates", "threshold")}
PREFIXES_WITHOUT_MODEL = (
    *(f"input.{key}" for key in ("topics", "weights", "reliability", "gravity_frame")),
    "output.", "temporal.", "services.", "diagnostics.", "warm_up",
)  # fmt: skip
MAX_WEIGHT = 1000


@dataclass(frozen=True)
class InputConfig:
    """Where clouds come from."""

    topics: tuple[str, ...] = option(
        ("points",), "PointCloud2 topics to subscribe to; the newest cloud of each is labeled, in turn"
    )
    weights: tuple[str, ...] = option(
        (), "turns of each topic, e.g. [2, 1] labels the first twice as often while both are waiting; empty: equal"
    )
    reliability: str = option(
        "auto", "auto adapts to the publishers, even when they change", choices=("auto", *RELIABILITIES)
    )
    gravity_frame: str = option(
        "",
        "frame whose z points up, e.g. base_link or map; where tf2 knows it, clouds are turned to it before they are "
        "labeled, and input.up does not matter; empty: off",
    )


@dataclass(frozen=True)
class ServicesConfig:
    """Services settings."""

    deadline: float = option(
        30.0, "seconds after which set_vocabulary and query are given up and answered with the reason", 0.1, 3600.0
    )


@dataclass(frozen=True)
class DiagnosticsConfig:
    """Diagnostics settings."""

    period: float = option(1.0, "seconds between messages on /diagnostics", 0.05, 60.0)
    stale_after: float = option(3.0, "warn after this many seconds without a cloud", 0.1, 3600.0)


@dataclass(frozen=True)
class TemporalConfig:
    """Labels smoothed over time, by the votes of earlier clouds in a fixed frame."""

    enabled: bool = option(False, "smooth labels by the votes of earlier clouds; needs tf2_ros and a fixed frame")
    frame: str = option("odom", "frame that does not move, to which tf transforms the clouds; a new one clears the map")
    voxel: float = option(0.2, "edge of the voxels that keep votes, in the unit of tf, meters", 0.01, 100.0)
    half_life: float = option(10.0, "seconds after which a vote counts half, by the stamps of the clouds", 0.01, 1e6)
    max_voxels: int = option(
        1_000_000, "voxels in memory, (4 classes + 64) bytes each; those not seen for longest are dropped", 1000, 10**7
    )
    margin: float = option(
        1.25,
        "a voxel keeps its label until another class leads by this many softmax temperatures; larger is steadier and "
        "adapts later",
        0.0,
        100.0,
    )


@dataclass(frozen=True)
class WordFilesConfig:
    """The files that callers may name while the node runs."""

    folder: str = option(
        "",
        "folder of the files that vocabulary.labels and vocabulary.templates may name while the node runs, beside "
        "those of the package; empty: only those of the package",
    )


@dataclass(frozen=True)
class NodeConfig:
    """The node itself."""

    autostart: bool = option(True, "configure and activate at startup; false: wait for lifecycle transitions")
    model: str = option("s4token-mini", "s4token-mini, or a checkpoint directory")
    device: str = option("cpu", "device of the network: cpu, cuda or cuda:<n>")
    warm_up: bool = option(
        True, "process a synthetic cloud when configuring, so that the first real cloud is not slower than later ones"
    )
    overlap: bool = option(
        False,
        "build the patches of the next cloud while the network processes the current one: more clouds per second, "
        "each with a higher latency",
    )
    input: InputConfig = field(default_factory=InputConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    vocabulary: WordFilesConfig = field(default_factory=WordFilesConfig)
    services: ServicesConfig = field(default_factory=ServicesConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)


@dataclass(frozen=True)
class Settings:
    """The values of all parameters."""

    node: NodeConfig = field(default_factory=NodeConfig)
    pipeline: Config = field(default_factory=Config)
    start_files: dict[str, str] = field(default_factory=dict)  # vocabulary.labels and .templates at the start

    def changed(self, changes: dict[str, Any]) -> Settings:
        """Return a copy with dotted paths changed and checked; other paths, e.g. use_sim_time, are ignored."""
        for path in ("input.topics", "vocabulary.names"):
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


def _check_together(settings: Settings) -> None:
    """Raise ValueError for values that are right each by itself, and cannot work together."""
    node, pipeline = settings.node, settings.pipeline
    if not node.input.topics:
        raise ValueError("input.topics is empty; give at least one topic, e.g. [points]")
    if node.temporal.enabled and not node.temporal.frame.strip("/ "):
        raise ValueError("temporal.frame is empty; name the frame that does not move, e.g. odom")
    tokens, points = pipeline.sampling.tokens, pipeline.patches.points
    if tokens * points > MAX_PATCH_POINTS:
        product = f"sampling.tokens={tokens} times patches.points={points}"
        raise ValueError(f"{product} is more than {MAX_PATCH_POINTS} points at once; lower one of the two")
    checked_weights(node.input)


def _plain(value: Any) -> Any:
    """Undo the [""] that stands for an empty list; rclpy would take [] for a list of bytes."""
    return [v for v in value if v != ""] if isinstance(value, (list, tuple)) else value


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
    for name in sorted(getattr(node, "_parameter_overrides", ())):
        if not node.has_parameter(name):  # rclpy ignores it silently
            node.get_logger().warning(f"{unknown(name)}; its value is ignored")
    return dataclasses.replace(settings, start_files={"labels": words.labels, "templates": words.templates})


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
