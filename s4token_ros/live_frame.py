"""One labeled cloud of a running node, as the page of `s4token explore` draws it."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2

from s4token_model.explore import drawing
from s4token_model.io import pointcloud2
from s4token_model.pipeline.preprocess import rotate_up
from s4token_model.pipeline.upright import is_optical
from s4token_ros import cloud_messages

WRITTEN = ("label", "confidence", "superpoint", "vocabulary")


class LiveFrame:
    """A labeled cloud; of a relabeled one the points stay those of the frame before."""

    def __init__(self, message: PointCloud2, limit: int, before: LiveFrame | None = None) -> None:
        """Decode a message; ValueError if a node has not labeled it."""
        cloud = cloud_messages.decode(message)
        if not set(WRITTEN) <= set(cloud.points.dtype.names or ()):
            raise ValueError(f"the cloud has no fields {', '.join(WRITTEN)}; name the topic of labeled clouds")
        self.message, self.stamp, self._points = message, stamp_of(message), cloud.points
        self.labels = self.column("label")
        versions = self.column("vocabulary")
        self.vocabulary_version = int(versions[0]) if len(versions) else 0  # the same of all points
        same = before is not None and before.message.header == message.header and before.drawn.total == len(versions)
        self.drawn = before.drawn if same else _drawn(cloud, limit)

    def column(self, name: str) -> np.ndarray:
        """Return a field (H,) of all points."""
        return np.asarray(self._points[name])

    @property
    def label_colors(self) -> np.ndarray:
        """The colors (D, 3) uint8 that the node gave the drawn points."""
        return np.rint(255 * pointcloud2.rgb({"rgb": self.column("rgb")[self.drawn.index]})).astype(np.uint8)

    @property
    def input_rgb(self) -> np.ndarray | None:
        """The colors (H, 3) in [0, 1] that the cloud had before it was labeled, or None."""
        if "input_rgb" not in (self._points.dtype.names or ()):
            return None
        return pointcloud2.rgb({"rgb": self.column("input_rgb")})


def _drawn(cloud: cloud_messages.Cloud, limit: int) -> drawing.Drawn:
    rows = np.flatnonzero(np.isfinite(cloud.xyz).all(axis=1))
    xyz = cloud.xyz[rows].astype(np.float64)
    xyz = rotate_up(xyz - xyz.mean(axis=0) if len(xyz) else xyz, "-y" if is_optical(cloud.header.frame_id) else "z")
    thinned = drawing.thin(xyz, limit)
    return drawing.draw(xyz[thinned], rows[thinned], len(cloud.xyz))


def stamp_of(message: Any) -> int:
    """Return the stamp of a message's header in ns."""
    return Time.from_msg(message.header.stamp).nanoseconds
