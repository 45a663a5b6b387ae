"""Patches: which points form a token, and in what coordinates (method: Sec. 3.2, Eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from s4token_model.config import PatchConfig
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.spatial_index import grouped


@dataclass(frozen=True)
class Patches:
    """The points of every token.

    centers (N, 3) float32; radius r, in the unit of the cloud; superpoint (N,) int32 of each centroid; index (N, M)
    int32 into the cloud, -1 where padded; offsets (N, M, 3) float32, (p_j - p_t) / r, or (p_j - p_t) * unit without
    RPN, 0 where padded; unit, the length of the centers' unit in that of the sensor, which tokens without RPN see.
    """

    centers: np.ndarray
    radius: float
    superpoint: np.ndarray
    index: np.ndarray
    offsets: np.ndarray
    unit: float = 1.0


def group(
    xyz: np.ndarray,
    superpoints: np.ndarray,
    chosen: np.ndarray,
    config: PatchConfig,
    rng: np.random.Generator | None = None,
    unit: float = 1.0,
) -> Patches:
    """Gather B_t = { j : ||p_j - p_t|| <= r and l_j = l_t } around each centroid, at most M points of it.

    xyz (H, 3); superpoints (H,) ids; chosen (N,) indices of the centroids. A patch with more than M points keeps M of
    them, spread evenly over their order in the cloud, or at random when `rng` is given (training). `config.grouping`
    selects the variants of Tables 1 and 2: knn, ball, spt and their combinations.
    """
    xyz = np.ascontiguousarray(xyz, np.float32)
    centers = xyz[chosen]
    radius = config.alpha * spacing(centers)
    index = _members(xyz, superpoints, chosen, radius, config, rng)
    offsets = np.where(index[..., None] >= 0, xyz[index] - centers[:, None], np.float32(0))
    if config.normalize:
        offsets /= np.float32(radius)
    else:
        offsets *= np.float32(unit)
    return Patches(centers, radius, superpoints[chosen].astype(np.int32), index, offsets, unit)


def spacing(centers: np.ndarray) -> float:
    """Return s, the mean over centroids (N, 3) of the distance to the nearest other one; 1 for a single centroid."""
    if len(centers) < 2:
        return 1.0
    distance = cKDTree(centers).query(centers, k=2)[0][:, 1]
    return float(distance.mean()) or 1.0


def _members(
    xyz: np.ndarray, superpoints: np.ndarray, chosen: np.ndarray, radius: float, config: PatchConfig, rng
) -> np.ndarray:
    if config.grouping == "knn":
        near = cKDTree(xyz).query(xyz[chosen], k=min(config.points, len(xyz)))[1]
        return _pad(near.reshape(len(chosen), -1), config.points)
    jitter = np.full((len(chosen), config.points), 0.5, np.float32)
    if rng is not None:
        jitter = rng.random(jitter.shape, np.float32)
    if config.grouping == "ball":
        within = cKDTree(xyz).query_ball_point(xyz[chosen], radius, return_sorted=True)
        starts = np.cumsum([0, *map(len, within)])
        return _thin(np.concatenate([np.asarray(w, np.int32) for w in within]), starts, jitter)
    sizes = np.bincount(superpoints)
    order, starts = grouped(superpoints, len(sizes)), np.cumsum([0, *sizes])
    if config.grouping == "knn+spt":
        return _nearest_in_superpoint(xyz, superpoints, chosen, order, starts, config.points)
    reach = np.float32(np.inf) if config.grouping == "spt" else np.float32(radius) ** 2
    index = np.full(jitter.shape, -1, np.int32)
    cloud = xyz, superpoints.astype(np.int32), chosen, order, starts, reach, jitter, index
    parallel_for(lambda a, b: _ball_in_superpoint(a, b, *cloud), len(chosen), 32)
    return index


def _pad(index: np.ndarray, width: int) -> np.ndarray:
    padded = np.full((len(index), width), -1, np.int32)
    padded[:, : index.shape[1]] = index
    return padded


def _nearest_in_superpoint(xyz, superpoints, chosen, order, starts, count) -> np.ndarray:
    index = np.full((len(chosen), count), -1, np.int32)
    for row, center in enumerate(chosen):
        own = order[starts[superpoints[center]] : starts[superpoints[center] + 1]]
        near = np.argsort(((xyz[own] - xyz[center]) ** 2).sum(axis=1), kind="stable")[:count]
        index[row, : len(near)] = own[near]
    return index


@njit(cache=True, nogil=True)
def _ball_in_superpoint(begin, end, xyz, superpoints, chosen, order, starts, reach, jitter, index):
    """Two passes per centroid begin..end-1 over its own superpoint: count the points in reach, then keep M of them
    evenly."""
    found = np.empty(len(order), np.int32)
    for row in range(begin, end):
        center = chosen[row]
        label, total = superpoints[center], 0
        for position in range(starts[label], starts[label + 1]):
            i = order[position]
            dx, dy, dz = xyz[i, 0] - xyz[center, 0], xyz[i, 1] - xyz[center, 1], xyz[i, 2] - xyz[center, 2]
            if dx * dx + dy * dy + dz * dz <= reach:
                found[total] = i
                total += 1
        _spread(found, 0, total, jitter[row], index[row])


@njit(cache=True, nogil=True)
def _thin(found, starts, jitter):
    index = np.full(jitter.shape, -1, np.int32)
    for row in range(len(jitter)):
        _spread(found, starts[row], starts[row + 1] - starts[row], jitter[row], index[row])
    return index


@njit(cache=True, nogil=True)
def _spread(found, start, total, jitter, out):
    """Write all of found[start : start + total], or one point of each of M equal stretches of it if longer."""
    width = len(out)
    if total <= width:
        for j in range(total):
            out[j] = found[start + j]
    else:
        last = -1
        for j in range(width):  # a point that two stretches share goes to the first
            last = min(max(int((j + jitter[j]) * total / width), last + 1), total - 1)
            out[j] = found[start + last]
