"""ROS parameters, declared from the dataclasses that hold every default: the model's `Config` and `NodeConfig`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException

from s4token_model.config import Config, option, options, replace
from s4token_model.vocabulary import check_labels_have_effect

READ_ONLY = ("autostart", "overlap", "model")  # the model's saved config is the default of all pipeline parameters
# Changed without loading the model again
VOCABULARY_KEYS = {f"vocabulary.{key}" for key in ("labels", "names", "templates", "threshold")}
PREFIXES_WITHOUT_RELOAD = (
    *(f"input.{key}" for key in ("topics", "reliability", "gravity_frame")), "output.", "temporal.", "diagnostics.",
    "warm_up",
)  # fmt: skip
RELIABILITIES = ("reliable", "best_effort")


@dataclass(frozen=True)
class InputConfig:
    """Where clouds come from."""

    topics: tuple[str, ...] = option(
        ("points",), "PointCloud2 topics to subscribe to; the newest cloud of any of them is labeled next"
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
class OutputConfig:
    """What is published; an output without subscribers costs nothing."""

    labeled: bool = option(True, "publish the labeled cloud on ~/labeled")
    classes: bool = option(True, "publish a summary per class on ~/classes")
    similarity: bool = option(True, "publish similarities to the texts of the last query on ~/similarity")
    class_topics: int = option(64, "maximum number of topics ~/class/<name>; 0 for none", 0, 1000)
    reliability: str = option("reliable", "reliability offered on the cloud topics", choices=RELIABILITIES)


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
        1_000_000, "voxels in memory, (4 classes + 64) bytes each; those not seen for longest are dropped", 1000, 10**8
    )
    margin: float = option(
        1.25,
        "a voxel keeps its label until another class leads by this many softmax temperatures; larger is steadier and "
        "adapts later",
        0.0,
        100.0,
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
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)


@dataclass(frozen=True)
class Settings:
    """The values of all parameters."""

    node: NodeConfig = field(default_factory=NodeConfig)
    pipeline: Config = field(default_factory=Config)

    def changed(self, changes: dict[str, Any]) -> Settings:
        """Return a copy with dotted paths changed and checked; other paths, e.g. use_sim_time, are ignored."""
        parts = (self.node, self.pipeline)
        settings = Settings(*(replace(c, {p: _plain(v) for p, v in changes.items() if p in options(c)}) for c in parts))
        if not settings.node.input.topics:
            raise ValueError("input.topics is empty; give at least one topic, e.g. [points]")
        return settings

    def differences(self, other: Settings) -> set[str]:
        """Return the dotted paths whose values differ."""
        mine, theirs = ({**options(s.node), **options(s.pipeline)} for s in (self, other))
        return {path for path, (value, _) in mine.items() if value != theirs[path][0]}


def _plain(value: Any) -> Any:
    """Undo the [""] that stands for an empty list; rclpy would take [] for a list of bytes."""
    return [v for v in value if v != ""] if isinstance(value, (list, tuple)) else value


def declare(node, base_config: Callable[[str], Config]) -> Settings:
    """Declare every parameter on an rclpy node; return the values after parameter files and command line."""
    values = _declare(node, options(NodeConfig()))
    defaults = Settings(pipeline=base_config(values["model"]))  # the config that the model was saved with
    settings = defaults.changed(values | _declare(node, options(defaults.pipeline)))
    if settings.pipeline.vocabulary.labels != defaults.pipeline.vocabulary.labels:
        check_labels_have_effect(settings.pipeline.vocabulary)
    return settings


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
        read_only=path in READ_ONLY,
        # allows `1` for `1.0` and [] for an empty list; Settings.changed checks types with better messages
        dynamic_typing=isinstance(value, (float, tuple)),
    )
    if low is not None and isinstance(value, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif low is not None and isinstance(value, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    return descriptor
