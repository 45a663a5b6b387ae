"""The options that only the node has, with their defaults, descriptions and ranges."""

from __future__ import annotations

from dataclasses import dataclass, field

from s4token_model.config import option
from s4token_model.objects import MIN_POINTS

RELIABILITIES = ("reliable", "best_effort")


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
    gravity_frame: tuple[str, ...] = option(
        (),
        "frame whose z points up, e.g. base_link or map, or one per topic; where tf2 knows it, clouds are turned to it "
        "before they are labeled, and input.up does not matter; empty: off",
    )
    topic_up: tuple[str, ...] = option((), "input.up of each topic, e.g. [auto, -y]; empty: input.up for all")
    fuse: bool = option(
        False, "join the clouds of all topics whose stamps are close into one cloud, by tf2, and label that"
    )
    fuse_frame: str = option("base_link", "frame in which clouds are joined; odom or map takes out motion")
    fuse_window: float = option(
        0.1, "seconds that stamps may differ, and that a sensor is waited for until it is left out", 0.001, 10.0
    )
    transform_timeout: float = option(
        0.2, "seconds that a cloud waits for its transform to output.frame or input.fuse_frame", 0.0, 10.0
    )


@dataclass(frozen=True)
class OutputConfig:
    """What is published; an output without subscribers costs nothing."""

    frame: str = option(
        "",
        "frame to which tf2 takes all clouds and summaries, e.g. map; a cloud without that transform is dropped; "
        "empty: that of the input",
    )
    labeled: bool = option(True, "publish the labeled cloud on ~/labeled")
    classes: bool = option(True, "publish a summary per class on ~/classes")
    objects: bool = option(
        True, "publish the objects on ~/objects and, where vision_msgs is installed, on ~/detections"
    )
    markers: bool = option(True, "publish boxes, words and a legend for RViz and Foxglove on ~/markers")
    object_gap: float = option(
        0.0,
        "points of a class that are nearer than this are one object, in the unit of the cloud; 0: by their spacing",
        0.0,
        1e6,
    )
    object_points: int = option(MIN_POINTS, "fewer points are no object", 1, 10**6)
    similarity: bool = option(True, "publish similarities to the texts of the last query on ~/similarity")
    filtered_without: tuple[str, ...] = option(
        (), "class names whose points ~/filtered leaves out, e.g. [floor, person]; the others keep the input's fields"
    )
    filtered_only: tuple[str, ...] = option((), "class names whose points ~/filtered consists of, instead")
    class_topics: int = option(64, "maximum number of topics ~/class/<name>; 0 for none", 0, 1000)
    reliability: str = option("reliable", "reliability offered on the cloud topics", choices=RELIABILITIES)
    durability: str = option(
        "volatile",
        "transient_local keeps the last cloud and summary for subscribers that come later, as for a map that is "
        "published once; then clouds are labeled without subscribers, too",
        choices=("volatile", "transient_local"),
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
    """The files of words."""

    folder: str = option(
        "",
        "folder of the files that vocabulary.labels and vocabulary.templates may name while the node runs, beside "
        "those of the package; empty: only those of the package",
    )
    store: str = option(
        "",
        "file that keeps the words over restarts, as services, topics and parameters have set them; as long as the "
        "parameters of the words at the start are the same; empty: none",
    )


@dataclass(frozen=True)
class LatencyConfig:
    """How long a cloud may take."""

    budget_ms: float = option(
        0.0,
        "milliseconds from decoding a cloud to publishing it; clouds that take longer get fewer windows, points and "
        "tokens than configured; 0: never fewer",
        0.0, 60000.0,
    )  # fmt: skip


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
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    vocabulary: WordFilesConfig = field(default_factory=WordFilesConfig)
    services: ServicesConfig = field(default_factory=ServicesConfig)
    diagnostics: DiagnosticsConfig = field(default_factory=DiagnosticsConfig)
