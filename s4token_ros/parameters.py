"""ROS parameters, declared from the frozen dataclasses that hold every default.

Those of the pipeline are the dotted paths of `s4token_model.config.Config`; those only a node has are `NodeConfig`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException

from s4token_model.config import Config, option, options, replace

START_ONLY = ("autostart", "overlap", "model")  # of the last, the defaults of all other parameters come from the model
RELIABILITIES = ("reliable", "best_effort")


@dataclass(frozen=True)
class InputConfig:
    """Where clouds come from."""

    topics: tuple[str, ...] = option(("points",), "PointCloud2 topics; the newest cloud of any is labeled next")
    reliability: str = option(
        "auto", "auto follows what the publishers offer, also when they change", choices=("auto", *RELIABILITIES)
    )


@dataclass(frozen=True)
class OutputConfig:
    """What is published; an output without subscribers costs nothing either way."""

    labeled: bool = option(True, "publish the labeled cloud on ~/labeled")
    classes: bool = option(True, "publish the summary per class on ~/classes")
    similarity: bool = option(True, "publish similarities with the texts of the last query on ~/similarity")
    class_topics: int = option(64, "at most this many topics ~/class/<name>; 0 is none", 0, 1000)
    reliability: str = option("reliable", "reliability offered on the cloud topics", choices=RELIABILITIES)


@dataclass(frozen=True)
class DiagnosticsConfig:
    """What is said on /diagnostics."""

    period: float = option(1.0, "seconds between two messages", 0.05, 60.0)
    stale_after: float = option(3.0, "warn after this many seconds without a cloud", 0.1, 3600.0)


@dataclass(frozen=True)
class NodeConfig:
    """Parameters that only the node has."""

    autostart: bool = option(True, "configure and activate at start; false: wait for lifecycle transitions")
    model: str = option("s4token-mini", "s4token-mini, or the directory of a checkpoint")
    device: str = option("cpu", "where the network runs: cpu, cuda or cuda:<n>")
    warm_up: bool = option(
        True, "run on a made-up cloud when configuring, so that the first real one is as fast as the tenth"
    )
    overlap: bool = option(
        False, "cut the next cloud into tokens while the network runs on this one: more clouds per second, each older"
    )
    input: InputConfig = field(default_factory=InputConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)


@dataclass(frozen=True)
class Settings:
    """Everything the parameters say."""

    node: NodeConfig = field(default_factory=NodeConfig)
    pipeline: Config = field(default_factory=Config)

    def changed(self, changes: dict[str, Any]) -> Settings:
        """Return a copy with dotted paths changed; paths that are not ours, e.g. use_sim_time, are skipped.

        Raises ValueError that names the path, the value and what is allowed.
        """
        parts = {}
        for part in ("node", "pipeline"):
            config = getattr(self, part)
            parts[part] = replace(config, {p: _plain(v) for p, v in changes.items() if p in options(config)})
        settings = Settings(**parts)
        if not settings.node.input.topics:
            raise ValueError("input.topics is empty; give at least one topic, e.g. [points]")
        return settings

    def differences(self, other: Settings) -> set[str]:
        """Return the dotted paths whose values differ."""
        mine, theirs = self.flat(), other.flat()
        return {path for path in mine if mine[path] != theirs[path]}

    def flat(self) -> dict[str, Any]:
        """Return {dotted path: value} over both parts."""
        both = {**options(self.node), **options(self.pipeline)}
        return {path: value for path, (value, _) in both.items()}


def _plain(value: Any) -> Any:
    """Undo the [""] that stands for an empty list: rclpy takes [] for a list of bytes."""
    return [v for v in value if v != ""] if isinstance(value, (list, tuple)) else value


def declare(node, base_config: Callable[[str], Config]) -> Settings:
    """Declare every path on a rclpy node and return what files and the command line made of them.

    `base_config` gives the config that the model was saved with: the defaults. Raises ValueError for a value out of
    range or of the wrong type.
    """
    defaults = Settings()
    values = _declare(node, options(defaults.node))
    defaults = dataclasses.replace(defaults, pipeline=base_config(values["model"]))
    return defaults.changed(values | _declare(node, options(defaults.pipeline)))


def _declare(node, paths: dict[str, tuple[Any, dataclasses.Field]]) -> dict[str, Any]:
    values = {}
    for path, (value, item) in paths.items():
        default = (list(value) or [""]) if isinstance(value, tuple) else value
        try:
            given = node.declare_parameter(path, default, describe(path, item, value)).value
        except ParameterException as error:
            raise ValueError(str(error)) from error
        values[path] = default if given is None else given  # [] in a parameter file arrives as nothing at all
    return values


def describe(path: str, item: dataclasses.Field, value: Any) -> ParameterDescriptor:
    """Return the ROS descriptor of a config field: text, choices and range."""
    low, high, choices = (item.metadata.get(k) for k in ("low", "high", "choices"))
    descriptor = ParameterDescriptor(
        description=item.metadata["doc"],
        additional_constraints=f"one of: {', '.join(choices)}" if choices else "",
        read_only=path in START_ONLY,
        # lets `1` stand for `1.0` and [] for no words; Settings.changed checks types and says what is wrong
        dynamic_typing=isinstance(value, (float, tuple)),
    )
    if low is not None and isinstance(value, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif low is not None and isinstance(value, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    return descriptor
