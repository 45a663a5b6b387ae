"""Cleaning: points that are not on a surface are set aside before anything is computed from the cloud.

Missing returns are points that a driver writes at one exact position, mostly (0, 0, 0). Strays are points that hang
together with fewer others than the smallest superpoint has: dust, reflections, flying pixels. One far stray stretches
every length that the pipeline measures, and farthest point sampling takes strays first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.voxel_components import component_sizes, count_filled, nearby_hosts, occupied_voxels
from s4token_model.kernels.voxels import bounds, distinct_positions

NOT_FINITE = "not finite"
MISSING = "missing returns: many points at one exact position"
STRAY = "strays: isolated from the rest of the cloud"
# Missing returns
MIN_REPEATS, MIN_REPEATS_AT_ORIGIN = 20, 2  # points at one position; no surface is at the origin of a sensor
REPEATS_OF_MEDIAN = 8  # copies of a cloud repeat every position alike
MAX_MOUNTS = 3  # positions of missing returns in a cloud, that of one sensor each
MIN_REPEAT_FRACTION = 5e-4  # of the cloud; positions of coarse grids repeat, too, but there are many of them
# Strays
MIN_COMPONENT = 10  # points that hang together, as many as a superpoint has at the least
MIN_CLOUD = 200  # in smaller clouds nothing is isolated
SAMPLE, FILLED_POINTS = 32768, 3  # of the search for the voxel size
POINTS_PER_VOXEL, DENSE_POINTS_PER_VOXEL = 16, 10  # of the sample; more voxels, thus smaller, in larger clouds
MAX_SINGLE, FINER = 0.45, 0.6  # with more voxels of a single point, strays hang together by chance: finer voxels
MAX_EVEN_POINTS, FINER_STEPS, MIN_FOG = 38, 2, 0.004  # in the median voxel; at most so much finer, by steps of FINER
MAX_STRAY_FRACTION = 0.3  # with more the cloud is sparse, not full of strays
FAR_FRACTION, FAR_DISTANCE = 0.01, 4.0  # components with less of the points, this many diagonals away from the rest
MAX_GAPS = 8  # between parts of a cloud that are far from each other
FAR_SPREADS = 40  # median distances from the center; nearer points are not looked at for it
STEPS = 16  # of this search


class CleanedCloud(NamedTuple):
    """The F distinct positions of a cloud of P points that are on a surface, and the V points that they label."""

    first: np.ndarray  # (F,) row of the cloud at each position
    labeled: np.ndarray  # (V,) int64, index into the order of the cloud
    position: np.ndarray  # (V,) int32, position 0..F-1 whose label the point gets
    set_aside: dict[str, int]  # reason -> number of points that are not labeled


def keep_all(order: np.ndarray) -> CleanedCloud:
    """What `clean` returns of a cloud that needs no cleaning; copies of a point keep a position each."""
    every = np.arange(len(order))
    return CleanedCloud(order, every, every.astype(np.int32), {})


def clean(points: np.ndarray, order: np.ndarray) -> CleanedCloud:
    """Merge coincident points, set missing returns and strays aside; points (P, 3) finite, sorted by `order` (P,)."""
    number = distinct_positions(points, order)
    if len(order) == 0 or number[-1] == len(order) - 1:
        rows, repeats = order, np.ones(len(order), np.int64)
    else:
        rows, repeats = order[np.flatnonzero(np.diff(number, prepend=-1))], np.bincount(number)
    xyz = points.take(rows, axis=0)
    # Missing returns first: they would pass for a surface
    missing = missing_returns(xyz, repeats)
    on_surface = np.flatnonzero(~missing) if missing.any() else np.arange(len(rows))
    isolated, hosts = find_isolated(xyz.take(on_surface, axis=0) if missing.any() else xyz)
    if not (missing.any() or isolated.any()):
        return CleanedCloud(rows, np.arange(len(order)), number, {})
    # Renumber the positions that stay; isolated ones take the number of their host
    stays = on_surface[~isolated]
    target = np.full(len(rows), -1, np.int32)
    target[stays] = np.arange(len(stays))
    target[on_surface[isolated]] = np.where(hosts >= 0, target[on_surface[hosts]], -1)
    position = target[number]
    labeled = np.flatnonzero(position >= 0)
    strays = repeats[on_surface[isolated][hosts < 0]].sum()
    set_aside = {MISSING: int(repeats[missing].sum()), STRAY: int(strays)}
    return CleanedCloud(rows[stays], labeled, position[labeled], set_aside)


def missing_returns(xyz: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Return (U,) bool, which distinct positions xyz (U, 3), each of `repeats` (U,) points, are missing returns."""
    if (repeats <= MIN_REPEATS_AT_ORIGIN).all():
        return np.zeros(len(xyz), bool)
    at_origin = (xyz == 0).all(axis=1)
    elsewhere = max(MIN_REPEATS, MIN_REPEAT_FRACTION * repeats.sum())
    if len(xyz) <= MAX_MOUNTS:  # nothing else to compare with
        return repeats > np.where(at_origin, MIN_REPEATS_AT_ORIGIN, 5 * elsewhere)
    usual = REPEATS_OF_MEDIAN * np.median(repeats[~at_origin])
    missing = repeats > np.maximum(np.where(at_origin, MIN_REPEATS_AT_ORIGIN, elsewhere), usual)
    if (missing & ~at_origin).sum() > MAX_MOUNTS:  # corners that the faces of a mesh share, not sensors
        return missing & at_origin
    return missing


def find_isolated(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the distinct points xyz (H, 3) are isolated, (H,) bool, and the hosts (I,) int32 of these.

    The host of an isolated point is a point near it that is not isolated, whose label it may take, or -1 if there is
    none: a stray. Independent of scale and translation.
    """
    none = np.zeros(len(xyz), bool), np.zeros(0, np.int32)
    if len(xyz) < MIN_CLOUD:
        return none
    center, spread = _robust_extent(xyz)
    if not spread > 0:
        return none
    size = _voxel_size(xyz, center, spread)
    voxels, isolated, hosts = _isolated_and_hosts(xyz, center, size, spread)
    # A cloud of even density, as of a room, affords finer voxels, which strays between the walls do not fill
    counts = np.bincount(voxels.voxel)
    if np.median(counts[voxels.voxel]) <= MAX_EVEN_POINTS:
        for _ in range(FINER_STEPS):
            size *= FINER
            _, alone, found = _isolated_and_hosts(xyz, center, size, spread)
            if (found < 0).sum() <= MIN_FOG * len(xyz):
                break
            isolated, hosts = alone, found
    if isolated.any() and isolated.mean() <= MAX_STRAY_FRACTION:
        stray = hosts < 0
        if 2 * stray.sum() <= len(hosts):  # next to few strays, those near a surface are its thin edges
            isolated[isolated] = stray
            hosts = hosts[stray]
        return isolated, hosts
    return none


def _isolated_and_hosts(xyz: np.ndarray, center: np.ndarray, size: float, spread: float):
    """The voxels of edge `size`, the points (H,) bool that are isolated by them, and the hosts (I,) of these."""
    voxels = occupied_voxels(xyz, center, size)
    isolated = _isolated(xyz, component_sizes(voxels), center, spread)
    return voxels, isolated, nearby_hosts(voxels, isolated)


def close_gaps(xyz: np.ndarray) -> np.ndarray:
    """Bring parts of a cloud (H, 3) that are very far from each other together, axis by axis; each keeps its shape.

    Two scans in one file, a kilometer apart, would leave no precision and no token spacing for either.
    """
    if not len(xyz):
        return xyz
    gaps = [_wide_gaps(xyz[:: -(-len(xyz) // 4096), axis]) for axis in range(3)]
    occupied = max((length for length, _ in gaps), default=0.0)
    limit = FAR_DISTANCE * occupied
    if not occupied > 0 or all(widest <= limit for _, widest in gaps):
        return xyz
    closed = xyz.astype(np.float64)
    for axis in range(3):
        order = np.argsort(closed[:, axis], kind="stable")
        steps = np.diff(closed[order, axis], prepend=closed[order[0], axis])
        excess = np.where(steps > limit, steps - occupied, 0.0)
        closed[order, axis] -= np.cumsum(excess)
    return closed


def _wide_gaps(values: np.ndarray) -> tuple[float, float]:
    """The length that some coordinates (n,) occupy, without the MAX_GAPS widest gaps, and the widest gap."""
    steps = np.sort(np.diff(np.sort(values.astype(np.float64))))
    return float(steps[:-MAX_GAPS].sum()), float(steps[-1]) if len(steps) else 0.0


def _isolated(xyz: np.ndarray, points: np.ndarray, center: np.ndarray, spread: float) -> np.ndarray:
    """Points whose component has few `points`, or is not large and very far from the large ones: (H,) bool."""
    isolated = points < MIN_COMPONENT
    low, high = bounds(xyz)
    if max((high - center).max(), (center - low).max()) <= FAR_SPREADS * spread:
        return isolated
    large = points >= FAR_FRACTION * len(xyz)
    if large.any():
        low, high = xyz[large].min(axis=0), xyz[large].max(axis=0)
        distance = np.maximum(low - xyz, xyz - high).max(axis=1)
        isolated |= ~large & (distance > FAR_DISTANCE * np.linalg.norm(high - low))
    return isolated


def _robust_extent(xyz: np.ndarray) -> tuple[np.ndarray, float]:
    """Median of a sample of the points, (3,), and their median distance from it along the axis where it is largest."""
    sample = xyz[np.linspace(0, len(xyz) - 1, min(4096, len(xyz))).astype(np.int64)].astype(np.float64)
    center = np.median(sample, axis=0)
    return center, float(np.median(np.abs(sample - center), axis=0).max())


def _voxel_size(xyz: np.ndarray, center: np.ndarray, spread: float) -> float:
    """The voxel size at which a voxel for every POINTS_PER_VOXEL points of a sample holds at least FILLED_POINTS.

    Strays fill no voxel, so the size does not depend on them.
    """
    sample = xyz[np.linspace(0, len(xyz) - 1, min(SAMPLE, len(xyz))).astype(np.int64)]
    wanted = len(sample) / (POINTS_PER_VOXEL if len(xyz) <= SAMPLE else DENSE_POINTS_PER_VOXEL)
    size = best = spread / (2 if len(xyz) <= SAMPLE else 4)
    best_filled = 0
    for _ in range(STEPS):
        filled = count_filled(sample, center, size, FILLED_POINTS)
        if filled > best_filled:  # beyond the density of the cloud, smaller voxels are filled less often
            best, best_filled = size, filled
        if filled >= 0.7 * wanted:
            break
        size *= min(max(float(np.sqrt(filled / wanted)), 0.5), 0.9)
    occupied, several = (count_filled(sample, center, best, points) for points in (1, 2))
    return best * FINER if occupied - several > MAX_SINGLE * occupied else best
