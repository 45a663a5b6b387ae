"""Level of detail: which points of a cloud are drawn, from where, and which of them hide a room."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from s4token_model.explore.state import Drawn
from s4token_model.kernels.voxels import voxel_downsample
from s4token_model.pictures import camera, renderer

SIZE = (11, 10)  # of the picture that the camera is chosen for; only the aspect counts
SAMPLED = 15_000  # points that camera and normals are taken from
NEIGHBOR = 4  # the distance to which is the spacing of the points
LIGHT, MIN_SHADE = np.array([0.25, 0.45, 0.86]), 0.75  # where light comes from; brightness of what it does not reach


def thin(xyz: np.ndarray, limit: int) -> np.ndarray:
    """Return (D,) int64, ascending rows of finite xyz (H, 3): one per voxel if they are more than `limit`, else all."""
    if len(xyz) <= limit:
        return np.arange(len(xyz))
    return voxel_downsample(np.ascontiguousarray(xyz, np.float32), limit)[0].astype(np.int64)


def draw(points: np.ndarray, index: np.ndarray, total: int) -> Drawn:
    """Return points (D, 3), z up and finite, as they are drawn, seen by a camera that suits them.

    index (D,) are their rows in the cloud of `total` points.
    """
    if len(points) == 0:
        none = np.zeros((0, 3), np.float32)
        return Drawn(none, index, total, 0.01, np.array([3.0, 3.0, 3.0]), np.zeros(3), np.zeros(0, bool), none[:, 0])
    # The middle of the cloud, without strays, becomes the origin: browsers compute in float32
    low, high = np.percentile(points[:: max(1, len(points) // SAMPLED)], [1, 99], axis=0)
    points = (points - (low + high) / 2).astype(np.float32)
    some = points[:: max(1, len(points) // SAMPLED)].astype(np.float64)
    normals, _ = renderer.surface(some)
    kind = camera.guess_kind(some)
    chosen = camera.choose_camera(some, normals, kind, SIZE)
    forward = chosen.axes[2]
    look_at = chosen.eye + forward * max(float((some.mean(0) - chosen.eye) @ forward), 1e-3)
    # Shade, and what hides the room, by the normals of the nearest sampled points
    normals = normals[cKDTree(some).query(points)[1]]
    shade = (MIN_SHADE + (1 - MIN_SHADE) * np.abs(normals @ LIGHT)).astype(np.float32)
    shown = np.ones(len(points), bool)
    if kind == "room":
        shown = camera.cut_away(points, normals, kind, chosen)
    return Drawn(points, index, total, _spacing(points), chosen.eye, look_at, shown, shade)


def _spacing(points: np.ndarray) -> float:
    """The median distance of points (D, 3) to their neighbors, of a sample of them."""
    if len(points) <= NEIGHBOR:
        return 0.01
    some = points[:: max(1, len(points) // 2000)]
    return float(np.median(cKDTree(points).query(some, NEIGHBOR + 1)[0][:, NEIGHBOR])) or 0.01
