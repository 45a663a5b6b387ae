"""PointCloud2 messages to arrays and back, without a node; `io.pointcloud2` decodes the memory layout."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from s4token_model import constants
from s4token_model.io import pointcloud2


@dataclass(frozen=True)
class Cloud:
    """A decoded PointCloud2 of H = height * width points, with everything needed to publish it again."""

    header: Header
    height: int
    width: int
    is_dense: bool
    points: np.ndarray  # (H,) structured, with every field and padding byte of the input
    xyz: np.ndarray  # (H, 3) float32, or float64 if the input is wider [m]
    rgb: np.ndarray | None  # (H, 3) float32 in [0, 1]
    notes: tuple[str, ...] = ()  # fields that are renamed or not used


def decode(message: PointCloud2) -> Cloud:
    """Decode a PointCloud2 with any fields, byte order, row padding and shape; ValueError names the fix."""
    m = message
    points = pointcloud2.decode(m.fields, m.data, m.width, m.height, m.point_step, m.row_step, m.is_bigendian)
    xyz, rgb = pointcloud2.xyz(points), pointcloud2.rgb(points)
    notes = pointcloud2.notes(m.fields, m.point_step)
    return Cloud(m.header, m.height, m.width, m.is_dense, points, xyz, rgb, notes)


def is_labeled(cloud: Cloud) -> bool:
    """Return whether a cloud has the fields that a node adds to the clouds it labels."""
    return {"label", "confidence", "superpoint"} <= set(cloud.points.dtype.names or ())


def encode(points: np.ndarray, header: Header, height: int = 1, is_dense: bool = False) -> PointCloud2:
    """Return a structured array (H,) as a PointCloud2 of `height` rows, without row padding."""
    fields, point_step, is_bigendian = pointcloud2.layout(points)
    width = len(points) // height if height else 0
    message = PointCloud2(header=header, height=height, width=width, is_dense=is_dense, is_bigendian=is_bigendian)
    message.fields = [PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count) for f in fields]
    message.point_step = point_step
    message.row_step = width * point_step
    if points.nbytes:  # appended to the empty array that is there: a message copies what is assigned to it
        message.data.frombytes(np.ascontiguousarray(points).view(np.uint8).data)
    return message


def labeled_points(
    cloud: Cloud, labels: np.ndarray, confidence: np.ndarray, superpoints: np.ndarray, colors: np.ndarray,
    version: int = 1,
) -> np.ndarray:  # fmt: skip
    """Return the points of `cloud`, structured (H,), with label, confidence, superpoint, rgb and vocabulary appended.

    An input field of such a name becomes `input_<name>`, as `pointcloud2.renamed` says.

    Args:
        labels: (H,) uint32, 65535 if unlabeled.
        confidence: (H,) float32.
        superpoints: (H,) uint32.
        colors: (C, 3) uint8 of the classes, for rgb; unlabeled points are gray.
        version: of the vocabulary, the same on every point: no other message has to be matched with this one.
    """
    colors = np.concatenate([colors.reshape(-1, 3), [constants.UNLABELED_COLOR]]).astype(np.uint8)
    palette = pointcloud2.pack_rgb(colors)
    columns = {
        "label": labels.astype(np.uint32, copy=False),
        "confidence": confidence.astype(np.float32, copy=False),
        "superpoint": superpoints.astype(np.uint32, copy=False),
        "rgb": palette.take(labels, mode="clip"),
        "vocabulary": np.full(len(labels), version, np.uint32),
    }
    return pointcloud2.append(cloud.points, columns)


def labeled_cloud(cloud: Cloud, points: np.ndarray) -> PointCloud2:
    """Return `points` (H,), from `labeled_points`, with the shape, frame and stamp of the input."""
    return encode(points, cloud.header, cloud.height, cloud.is_dense)


def class_cloud(cloud: Cloud, points: np.ndarray, label: int) -> PointCloud2:
    """Return the labeled `points` of one class as an unorganized cloud, possibly empty."""
    return encode(points[points["label"] == label], cloud.header, is_dense=True)


def similarity_cloud(cloud: Cloud, texts: Sequence[str], scores: np.ndarray) -> PointCloud2:
    """Return the input plus a float32 field `similarity_<text>` per text; scores (H, len(texts)), NaN if invalid."""
    names = [f"similarity_{n}" for n in ros_names(texts, fallback="text")]
    columns = {name: np.ascontiguousarray(scores[:, i], np.float32) for i, name in enumerate(names)}
    return encode(pointcloud2.append(cloud.points, columns), cloud.header, cloud.height, cloud.is_dense)


def ros_names(texts: Iterable[str], fallback: str = "class") -> list[str]:
    """Turn texts into distinct ROS name tokens, e.g. "Café table" -> "cafe_table".

    A token is [a-z][a-z0-9_]*, at most 60 characters long, without double or trailing underscores. Texts without any
    Latin letter or digit become `<fallback>_<index>`; repeats get _2, _3, ... in order.
    """
    names: dict[str, None] = {}
    for index, text in enumerate(texts):
        base = _token(text) or f"{fallback}_{index}"
        name, repeat = base, 1
        while name in names:
            repeat += 1
            name = f"{base}_{repeat}"
        names[name] = None
    return list(names)


def _token(text: str) -> str:
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    token = re.sub(r"[^a-z0-9]+", "_", latin).strip("_")[:60].rstrip("_")
    return f"n{token}" if token[:1].isdigit() else token
