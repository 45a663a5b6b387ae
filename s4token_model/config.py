"""Every default of the pipeline: one frozen dataclass per stage, composed in `Config`.

ROS parameters, checkpoints and `config/*.yaml` are derived from these classes, so that a default is written once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from s4token_model import tokenizer_variants


def option(default: Any, doc: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()):
    """Return a dataclass field that carries its description, inclusive range and choices as metadata."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class InputConfig:
    """Which points of a cloud go through the network, and what is up."""

    up: str = option(
        "auto",
        "axis of the cloud that points up; auto: -y in a frame named ..._optical_frame, else z, unless the floor is "
        "clearly along another axis",
        choices=("auto", "x", "-x", "y", "-y", "z", "-z"),
    )
    level: float = option(
        0.0,
        "clouds tilted by at most this many degrees are rotated until their floor is horizontal; 0 leaves them as is",
        0.0, 45.0,
    )  # fmt: skip
    clean: bool = option(
        True, "set strays and missing returns aside, which stay unlabeled, and count coincident points once"
    )
    max_points: int = option(
        200000,
        "clouds of more points per window are downsampled to one per voxel; every point still gets a label",
        1000,
        10000000,
    )


@dataclass(frozen=True)
class SuperpointConfig:
    """The l0 partition into superpoints (Sec. 3.2, App. A.1 of the paper)."""

    source: str = option(
        "partition", "partition: computed by the solver; provided: those of the data set, as ScanNet has them",
        choices=("partition", "provided"),
    )  # fmt: skip
    solver: str = option(
        "merge", "solver of the l0 energy: our own, or cut pursuit, which needs the package cut-pursuit-py (GPL)",
        choices=("merge", "cut_pursuit"),
    )  # fmt: skip
    regularization: float = option(0.3, "lambda of the l0 energy; larger gives fewer, larger superpoints", 1e-4, 100.0)
    anchors: str = option(
        "all", "points that the eigen-features are computed from: all, one per voxel, or farthest points",
        choices=("all", "voxel", "fps"),
    )  # fmt: skip
    anchor_count: int = option(20000, "target number of anchors for anchors: voxel or fps", 16, 1000000)
    feature_neighbors: int = option(20, "nearest anchors per point for normals and eigen-features", 3, 128)
    graph_neighbors: int = option(8, "nearest points linked to each point in the partition graph", 1, 64)
    min_points: int = option(10, "superpoints smaller than this are merged into a neighbor", 1, 100000)
    rgb_weight: float = option(0.0, "weight of color in the partition; 0 uses only geometry", 0.0, 10.0)


@dataclass(frozen=True)
class SamplingConfig:
    """Superpoint-weighted farthest point sampling (Eq. 2)."""

    tokens: int = option(512, "number of tokens per cloud", 1, 16384)
    points: int = option(0, "points per window, drawn after the partition, that make the patches; 0: all", 0, 10000000)
    gamma: float = option(0.15, "exponent of the superpoint weight; 0 is plain FPS", 0.0, 1.0)
    min_superpoint: int = option(1, "superpoints with fewer points get no token", 1, 100000)
    seed: int = option(0, "seed of the first sample", 0, 2**31 - 1)
    passes: int = option(
        1,
        "how often a cloud is partitioned, each time at another regularization, and sampled: the mean of the passes"
        " gives better and steadier labels, at as many times the time",
        1, 8,
    )  # fmt: skip


@dataclass(frozen=True)
class WindowConfig:
    """Clouds that are too large for the tokens of one cloud, such as the map of a building."""

    maximum: int = option(
        256, "a cloud that is too large for sampling.tokens gets up to this many windows of them; 1 is the fastest", 1,
        10000,
    )  # fmt: skip
    street_spacing: float = option(
        0.0,
        "spacing of the tokens, in units of a typical superpoint, of a cloud of one window in which the model sees a"
        " street: less finds smaller things and takes longer; 0 treats streets as rooms",
        0.0, 10.0,
    )  # fmt: skip


@dataclass(frozen=True)
class PatchConfig:
    """Grouping around each token center and its normalization (Eq. 3)."""

    grouping: str = option(
        "ball+spt", "which points form a patch", choices=("knn", "ball", "spt", "knn+spt", "ball+spt")
    )
    points: int = option(32, "points per patch, M", 1, 1024)
    alpha: float = option(1.0, "patch radius in units of the mean spacing of the token centers", 0.01, 100.0)
    normalize: bool = option(True, "divide offsets by the radius (RPN)")


@dataclass(frozen=True)
class TokenizerConfig:
    """The adapter that turns patches into tokens."""

    width: int = option(128, "channels of the first layer of the mini-PointNet; the others are multiples", 8, 1024)
    maxima: int = option(2, "maxima of the mini-PointNet over a patch: 2 as in Point-BERT; 1 takes a third of it", 1, 2)
    features: str = option("none", "point features in addition to the offset", choices=("none", "rgb"))
    context: bool = option(True, "add a wide patch and a descriptor of the superpoint to each token")
    context_radius: float = option(4.0, "radius of the wide patch, in patch radii", 1.0, 100.0)
    context_points: int = option(48, "points of the wide patch", 1, 1024)
    layers: int = option(0, "trained self-attention layers over the tokens, in front of the frozen ViT", 0, 12)
    position: str = option("sincos", "position embedding", choices=("none", "sincos"))
    position_scaled: bool = option(True, "divide positions by the radius, so that the cloud's scale does not matter")
    position_octaves: int = option(6, "frequencies of the position embedding, each twice the previous one", 1, 16)


@dataclass(frozen=True)
class ClipConfig:
    """The frozen CLIP: an open_clip (name, pretrained) pair or a local directory."""

    name: str = option(
        "ViT-B-16-quickgelu",
        "open_clip model name, ending in -quickgelu for weights trained with it, or a directory with "
        "open_clip_config.json and weights",
    )
    pretrained: str = option(
        "openai", "open_clip pretrained tag, or a file of weights in OpenAI's, Hugging Face's or open_clip's layout; "
        "unused for a directory",
    )  # fmt: skip
    precision: str = option(
        "auto", "arithmetic of tokenizer and ViT; auto: bf16 if the CPU or GPU has instructions for it, else fp32",
        choices=("auto", "fp32", "bf16"),
    )  # fmt: skip


@dataclass(frozen=True)
class VocabularyConfig:
    """The class names that label the points."""

    labels: str = option("scannet20", "a file of names, one per line, or the name of one in config/labels")
    names: tuple[str, ...] = option((), "the class names themselves; they take precedence over labels")
    templates: str = option("default", "a file of prompt templates, or the name of one in config/templates")
    threshold: float = option(0.0, "confidence below which a point stays unlabeled", 0.0, 1.0)
    temperature: float = option(0.05, "softmax temperature of the confidence", 1e-4, 10.0)
    prior: float = option(
        0.0, "cosine that a word gets more for each factor of e that it was more frequent in training", 0.0, 1.0
    )
    vote: bool = option(False, "one label per superpoint, from its points' mean cosines, instead of one per point")


@dataclass(frozen=True)
class Config:
    """All stages of the pipeline."""

    input: InputConfig = field(default_factory=InputConfig)
    superpoints: SuperpointConfig = field(default_factory=SuperpointConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    vocabulary: VocabularyConfig = field(default_factory=VocabularyConfig)


def options(config: Any, prefix: str = "") -> dict[str, tuple[Any, dataclasses.Field]]:
    """Flatten a config to {dotted path: (value, field)}, e.g. "sampling.tokens": (512, Field)."""
    flat: dict[str, tuple[Any, dataclasses.Field]] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            flat.update(options(value, f"{prefix}{item.name}."))
        else:
            flat[f"{prefix}{item.name}"] = (value, item)
    return flat


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Parse ["key=value", ...] into {key: value}; the last of a repeated key counts, and a value may be empty."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ValueError(f"{word!r} is not understood; write key=value, e.g. sampling.tokens=256")
        found[key] = value
    return found


def replace(config: Any, changes: dict[str, Any]) -> Any:
    """Return a copy of `config` with dotted paths changed and every value checked.

    In a Config, the key `variant` stands for all keys of one tokenizer of the paper, see tokenizer_variants. ValueError
    on an unknown path or a value out of range names the path, the value and what is allowed.
    """
    known = options(config)
    for path, value in (tokenizer_variants.expanded(changes) if isinstance(config, Config) else changes).items():
        if path not in known:
            raise ValueError(f"unknown config key {path!r}; known keys: {', '.join(sorted(known))}")
        config = _replace_one(config, path.split("."), _checked(path, value, *known[path]))
    return config


def to_dict(config: Any) -> dict[str, Any]:
    """Return {dotted path: value}, ready for JSON or YAML."""
    return {path: list(v) if isinstance(v, tuple) else v for path, (v, _) in options(config).items()}


def from_dict(values: dict[str, Any]) -> Config:
    """Return the Config with the dotted paths, or nested mappings, of `values` applied to the defaults."""
    return replace(Config(), flatten(values))


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into {dotted path: value}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _replace_one(config: Any, path: list[str], value: Any) -> Any:
    if len(path) > 1:
        value = _replace_one(getattr(config, path[0]), path[1:], value)
    return dataclasses.replace(config, **{path[0]: value})


def _checked(path: str, value: Any, current: Any, item: dataclasses.Field) -> Any:
    value = _typed(path, value, current)
    low, high, choices = (item.metadata.get(k) for k in ("low", "high", "choices"))
    if choices and value not in choices:
        raise ValueError(f"{path}={value!r} is not one of {', '.join(choices)}")
    if low is not None and not value >= low:  # `not >=` also catches NaN
        raise ValueError(f"{path}={value} is below its minimum {low}")
    if high is not None and not value <= high:
        raise ValueError(f"{path}={value} is above its maximum {high}")
    return value


def _typed(path: str, value: Any, current: Any) -> Any:
    """Convert text and number types to the type of the current value, strictly."""
    wanted = type(current)
    if isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)):
        return value
    if wanted is bool and str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    if wanted is tuple and isinstance(value, str):
        return tuple(v.strip() for v in value.split(","))
    if wanted is tuple and isinstance(value, Iterable):
        return tuple(str(v) for v in value)
    try:
        if wanted is int and not isinstance(value, bool) and float(value) == int(float(value)):
            return int(float(value))
        if wanted is float and not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{path}={value!r} must be of type {wanted.__name__}")
