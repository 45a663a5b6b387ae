"""Objects as visualization_msgs/MarkerArray, for RViz and Foxglove: boxes, the word over each, and a legend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose
from std_msgs.msg import ColorRGBA

from s4token_ros.object_messages import Found, point, vector

try:  # part of every ROS installation with RViz; may be missing on a small one
    from visualization_msgs.msg import Marker, MarkerArray
except ImportError:
    MarkerArray = None

BOX_ALPHA = 0.4
TEXTS_PER_EXTENT = 60.0  # of the height of the letters, in the extent of the cloud
SAMPLED = 4000  # points that the extent of the cloud is taken from
MAX_ID = 2**31  # of a marker


class Markers:
    """The markers of the clouds of a node; each message deletes those of the last one of its topic that are gone."""

    def __init__(self) -> None:
        self._shown: dict[str, set[tuple[str, int]]] = {}  # topic -> namespace and id of its markers

    def message(self, found: Found, xyz: np.ndarray, labels: np.ndarray, topic: str) -> Any:
        """Return the MarkerArray of a cloud xyz (H, 3) with `labels` (H,), received on `topic`.

        The namespaces are boxes, words and legend, each followed by the topic. The first message deletes what an
        earlier publisher left.
        """
        low, high = _extent(xyz)
        height = float(np.linalg.norm(high - low)) / TEXTS_PER_EXTENT
        new = [*_boxes(found, topic, height), *_legend(found, labels, topic, (low, high, height))]
        for marker in new:
            marker.header, marker.frame_locked = found.header, False
        # What is gone, and before the first message everything
        now = {(marker.ns, marker.id) for marker in new}
        gone = [Marker(header=found.header, ns=ns, id=i, action=Marker.DELETE)
                for ns, i in sorted(self._shown.get(topic, set()) - now)]  # fmt: skip
        if not self._shown:
            gone.append(Marker(header=found.header, action=Marker.DELETEALL))
        self._shown[topic] = now
        return MarkerArray(markers=[*gone, *new])


def _extent(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 2nd and 98th percentile (3,) of the coordinates of a cloud; zeros without finite points."""
    some = xyz[:: max(1, len(xyz) // SAMPLED)].astype(np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    return tuple(np.percentile(some, [2, 98], axis=0)) if len(some) else (np.zeros(3), np.zeros(3))


def _color(vocabulary: Any, label: int, alpha: float) -> ColorRGBA:
    r, g, b = (float(value) / 255 for value in vocabulary.colors[label])
    return ColorRGBA(r=r, g=g, b=b, a=alpha)


def _boxes(found: Found, topic: str, height: float) -> Iterator[Any]:
    """A box for every object and its class name above it, of the same id."""
    o, up = found.objects, found.up
    over = o.center + (o.size[:, 2:] / 2 + height) * up
    sizes = np.maximum(o.size, 1e-3 * max(height, 1e-6))  # RViz draws nothing that is flat
    rows = zip(found.ids.tolist(), o.label.tolist(), sizes.tolist(), over.tolist(), strict=True)
    for (i, label, size, above), name, pose in zip(rows, found.names(), found.poses(), strict=True):
        color = _color(found.vocabulary, label, BOX_ALPHA)
        yield Marker(ns=f"boxes{topic}", id=i % MAX_ID, type=Marker.CUBE, pose=pose, scale=vector(size), color=color)
        yield _text(f"words{topic}", i % MAX_ID, name, point(above), height)


def _legend(found: Found, labels: np.ndarray, topic: str, extent: tuple) -> Iterator[Any]:
    """A line for every class that occurs, in its color, with the number of its objects; beside the cloud, on top."""
    low, high, height = extent
    names, counts = found.vocabulary.names, np.bincount(found.objects.label, minlength=len(found.vocabulary.names))
    occurs = np.flatnonzero(np.bincount(labels[labels < len(names)], minlength=len(names))).tolist()
    corner = np.where(found.up > 0.5, high, np.where(found.up < -0.5, low, (low + high) / 2))
    side = int(np.abs(found.up).argmin())  # an axis that is level
    corner[side] = high[side] + 4 * height
    for line, label in enumerate(occurs):
        text = f"{names[label]} {counts[label]}" if counts[label] else names[label]
        position = point((corner - 1.3 * line * height * found.up).tolist())
        marker = _text(f"legend{topic}", label, text, position, height)
        marker.color = _color(found.vocabulary, label, 1.0)
        yield marker


def _text(namespace: str, number: int, text: str, position: Point, height: float) -> Any:
    """A text that faces the viewer, white."""
    marker = Marker(ns=namespace, id=number, type=Marker.TEXT_VIEW_FACING, text=text, pose=Pose(position=position))
    marker.pose.orientation.w = 1.0
    marker.scale.z, marker.color = height, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    return marker
