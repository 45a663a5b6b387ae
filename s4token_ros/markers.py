"""Objects as visualization_msgs/MarkerArray, for RViz and Foxglove: boxes, the word over each, and a legend."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import Pose, Vector3
from std_msgs.msg import ColorRGBA, Header

from s4token_ros.object_messages import Found, point, vector

try:  # part of every ROS installation with RViz; may be missing on a small one
    from visualization_msgs.msg import Marker, MarkerArray
except ImportError:
    MarkerArray = None

BOX_ALPHA = 0.4
TEXTS_PER_EXTENT = 60.0  # of the height of the letters, in the extent of the cloud
SAMPLED = 4000  # points that the extent of the cloud is taken from
MAX_ID = 2**31  # of a marker
WHITE = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)


class Shape(NamedTuple):
    """What a marker shows; the fields are those of visualization_msgs/Marker."""

    ns: str
    id: int
    type: int
    pose: Pose
    scale: Vector3
    color: ColorRGBA
    text: str = ""


class Markers:
    """The markers of the clouds of a node; each message deletes those of the last one that are gone."""

    def __init__(self) -> None:
        self._shown: dict[str, set[tuple[str, int]]] = {}  # topic -> namespace and id of its markers
        self._pool: list[Any] = []  # markers of earlier messages: to make them takes longer than to fill them

    def message(self, found: Found, xyz: np.ndarray, labels: np.ndarray, topic: str, inputs: Collection[str]) -> Any:
        """Return the MarkerArray of a cloud xyz (H, 3) with `labels` (H,), received on `topic`.

        The namespaces are boxes, words and legend, each followed by the topic. The first message deletes what an
        earlier publisher left. Markers of topics that are no longer among `inputs` are deleted, too.
        """
        low, high = _extent(xyz)
        height = float(np.linalg.norm(high - low)) / TEXTS_PER_EXTENT
        shapes = [*_boxes(found, topic, height), *_legend(found, labels, topic, (low, high, height))]
        self._pool += [Marker() for _ in range(len(shapes) - len(self._pool))]
        new = [_filled(*pair, found.header) for pair in zip(self._pool, shapes, strict=False)]
        # What is gone, and before the first message everything
        now = {(marker.ns, marker.id) for marker in new}
        first, ended = not self._shown, self._shown.keys() - {topic, *inputs}
        old = set().union(*(self._shown.pop(name) for name in ended), self._shown.get(topic, set()))
        gone = [Marker(header=found.header, ns=ns, id=i, action=Marker.DELETE) for ns, i in sorted(old - now)]
        if first:
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


def _boxes(found: Found, topic: str, height: float) -> Iterator[Shape]:
    """A box for every object and its class name above it, of the same id."""
    o = found.objects
    over = o.center + (o.size[:, 2:] / 2 + height) * found.up
    sizes = np.maximum(o.size, 1e-3 * max(height, 1e-6))  # RViz draws nothing that is flat
    boxes, words, text = f"boxes{topic}", f"words{topic}", Vector3(z=height)
    rows = zip(found.ids.tolist(), o.label.tolist(), sizes.tolist(), over.tolist(), strict=True)
    for (i, label, size, above), name, pose in zip(rows, found.names(), found.poses(), strict=True):
        color = _color(found.vocabulary, label, BOX_ALPHA)
        yield Shape(boxes, i % MAX_ID, Marker.CUBE, pose, vector(size), color)
        yield Shape(words, i % MAX_ID, Marker.TEXT_VIEW_FACING, Pose(position=point(above)), text, WHITE, name)


def _legend(found: Found, labels: np.ndarray, topic: str, extent: tuple) -> Iterator[Shape]:
    """A line for every class that occurs, in its color, with the number of its objects; beside the cloud, on top."""
    low, high, height = extent
    names, counts = found.vocabulary.names, np.bincount(found.objects.label, minlength=len(found.vocabulary.names))
    occurs = np.flatnonzero(np.bincount(np.minimum(labels, len(names)), minlength=len(names))[: len(names)]).tolist()
    corner = np.where(found.up > 0.5, high, np.where(found.up < -0.5, low, (low + high) / 2))
    side = int(np.abs(found.up).argmin())  # an axis that is level
    corner[side] = high[side] + 4 * height
    for line, label in enumerate(occurs):
        text = f"{names[label]} {counts[label]}" if counts[label] else names[label]
        pose = Pose(position=point((corner - 1.3 * line * height * found.up).tolist()))
        color = _color(found.vocabulary, label, 1.0)
        yield Shape(f"legend{topic}", label, Marker.TEXT_VIEW_FACING, pose, Vector3(z=height), color, text)


def _filled(marker: Any, shape: Shape, header: Header) -> Any:
    """The marker with all that a Shape has."""
    marker.header, marker.ns, marker.id, marker.type, marker.action = header, shape.ns, shape.id, shape.type, 0
    marker.pose, marker.scale, marker.color, marker.text = shape.pose, shape.scale, shape.color, shape.text
    return marker
