"""Patches: which points form a token, and in which coordinates (Sec. 3.2, Eq. 3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from s4token_model.config import PatchConfig
from s4token_model.kernels.ball_query import ball_query_in_group, keep_spread
from s4token_model.kernels.sorting import sort_by_group

MAX_UNIT = 1e9  # m across; offsets in larger ones would leave float32
MAX_SPACINGS = 4.0


@dataclass(frozen=True)
class Patches:
    """The points of N tokens."""

    centers: np.ndarray  # (N, 3) float32
    radius: float  # r, in the unit of the cloud
    superpoint: np.ndarray  # (N,) int32, superpoint of each center
    index: np.ndarray  # (N, M) int32 into the cloud, -1 where padded
    offsets: np.ndarray  # (N, M, 3) float32, (p_j - p_t) / r, or (p_j - p_t) * unit without RPN; 0 where padded
    unit: float = 1.0  # the cloud's unit in that of the sensor, in which tokens without RPN see their points


def group(
    xyz: np.ndarray, superpoints: np.ndarray, chosen: np.ndarray, config: PatchConfig,
    rng: np.random.Generator | None = None, unit: float = 1.0,
) -> Patches:  # fmt: skip
    """Gather B_t = { j : ||p_j - p_t|| <= r and l_j = l_t }, at most M points of it, around each center.

    xyz (H, 3), superpoints (H,) ids, chosen (N,) indices of the centers; r = alpha * spacing. If there are more than M
    points, `rng` keeps M at random (training); by default M are spread evenly over their order.
    """
    xyz = np.ascontiguousarray(xyz, np.float32)
    centers = xyz[chosen]
    radius = config.alpha * spacing(centers)
    index = _members(xyz, superpoints, chosen, radius, config, rng)
    offsets = np.where(index[..., None] >= 0, xyz[index] - centers[:, None], np.float32(0))
    offsets = offsets / np.float32(radius) if config.normalize else offsets * np.float32(min(unit, MAX_UNIT))
    return Patches(centers, radius, superpoints[chosen].astype(np.int32), index, offsets, unit)


def spacing(centers: np.ndarray) -> float:
    """Return the mean over centers (N, 3) of the distance to the nearest other one; 1 for a single center.

    Distances of more than MAX_SPACINGS medians are left out: they are gaps of the cloud, not spacings.
    """
    if len(centers) < 2:
        return 1.0
    nearest = cKDTree(centers).query(centers, k=2)[0][:, 1]
    return float(nearest[nearest <= MAX_SPACINGS * np.median(nearest)].mean()) or 1.0


def _members(xyz, superpoints, chosen, radius: float, config: PatchConfig, rng: np.random.Generator | None):
    """Indices (N, M) int32 of the points of each patch, -1 where padded."""
    if config.grouping == "knn":
        near = cKDTree(xyz).query(xyz[chosen], k=min(config.points, len(xyz)))[1].reshape(len(chosen), -1)
        return np.pad(near, ((0, 0), (0, config.points - near.shape[1])), constant_values=-1).astype(np.int32)
    shape = (len(chosen), config.points)
    jitter = np.full(shape, 0.5, np.float32) if rng is None else rng.random(shape, np.float32)
    if config.grouping == "ball":
        within = cKDTree(xyz).query_ball_point(xyz[chosen], radius, return_sorted=True)
        starts = np.cumsum([0, *map(len, within)])
        return keep_spread(np.concatenate([np.asarray(w, np.int32) for w in within]), starts, jitter)
    members = sort_by_group(superpoints, int(superpoints.max()) + 1)
    if config.grouping == "knn+spt":
        return _nearest_in_superpoint(xyz, superpoints, chosen, members, config.points)
    reach = np.inf if config.grouping == "spt" else radius
    return ball_query_in_group(xyz, superpoints, chosen, reach, members, jitter)


def _nearest_in_superpoint(xyz, superpoints, chosen, members, count) -> np.ndarray:
    order, starts = members
    index = np.full((len(chosen), count), -1, np.int32)
    for row, center in enumerate(chosen):
        same = order[starts[superpoints[center]] : starts[superpoints[center] + 1]]
        near = np.argsort(((xyz[same] - xyz[center]) ** 2).sum(axis=1), kind="stable")[:count]
        index[row, : len(near)] = same[near]
    return index
