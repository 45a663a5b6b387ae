"""Parameters of what the node publishes."""

from __future__ import annotations

from dataclasses import dataclass

from s4token_model.config import option
from s4token_model.objects import MIN_POINTS

RELIABILITIES = ("reliable", "best_effort")


@dataclass(frozen=True)
class OutputConfig:
    """What is published; an output without subscribers costs nothing."""

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
    class_topics: int = option(64, "maximum number of topics ~/class/<name>; 0 for none", 0, 1000)
    reliability: str = option("reliable", "reliability offered on the cloud topics", choices=RELIABILITIES)
