"""Kernels of preprocessing: finite points, distinct positions, bounds, unit cube, one point per voxel."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit

FAST = {"nogil": True}
EMPTY = np.int64(-1)
HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
SAMPLED = 8  # a power of two: one of so many voxels is counted to choose their size ...
MIN_SAMPLED = 1000  # ... unless fewer than this are wanted
MAX_CELLS = 2**21 - 1  # per axis


@njit(**FAST)
def bounds(points):
    """Return the smallest and the largest coordinates, (3,) float64 each; 0 without points."""
    low, high = np.zeros(3), np.zeros(3)
    for i in range(len(points)):
        for a in range(3):
            value = np.float64(points[i, a])
            low[a] = value if i == 0 else min(low[a], value)
            high[a] = value if i == 0 else max(high[a], value)
    return low, high


@njit(**FAST)
def finite_rows(xyz):
    """Return the indices (F,) int64 of the rows of xyz (H, 3) whose values are all finite."""
    found, count = np.empty(len(xyz), np.int64), 0
    for i in range(len(xyz)):
        if np.isfinite(xyz[i, 0]) and np.isfinite(xyz[i, 1]) and np.isfinite(xyz[i, 2]):
            found[count] = i
            count += 1
    return found[:count]


@njit(**FAST)
def distinct_positions(points, order):
    """Return (H,) int32, the number 0..U-1 of each position in `order`, which sorts equal points together."""
    position, last = np.empty(len(order), np.int32), np.int32(-1)
    for i in range(len(order)):
        if i == 0 or (
            points[order[i], 0] != points[order[i - 1], 0]
            or points[order[i], 1] != points[order[i - 1], 1]
            or points[order[i], 2] != points[order[i - 1], 2]
        ):
            last += 1
        position[i] = last
    return position


@njit(**FAST)
def to_unit_cube(points, low, extent):
    """Return (points - low) / extent, computed in float64, rounded to float32."""
    unit = np.empty((len(points), 3), np.float32)
    for i in range(len(points)):
        for a in range(3):
            unit[i, a] = np.float32((np.float64(points[i, a]) - low[a]) / extent)
    return unit


def voxel_downsample(xyz: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pick the first point of every occupied voxel; the voxel size is chosen to occupy about `count` voxels.

    The size follows from the extent of the cloud xyz (H, 3), H >= 1, so the choice does not change with its scale.
    Returns (V,) int32, ascending indices of the points, and (H,) int32, the voxel 0..V-1 of every point.
    """
    offsets = xyz - xyz.min(axis=0)
    extent = float(offsets.max()) or 1.0
    size, small, large = extent / 128, 0.0, np.inf
    for _ in range(10):
        occupied = _count_occupied(offsets, size, SAMPLED if count >= MIN_SAMPLED else 1)
        if 0.9 * count <= occupied <= 1.1 * count:
            break
        small, large = (size, large) if occupied > count else (small, size)
        if small > 0 and large < np.inf:
            size = float(np.sqrt(small * large))
        else:  # on surfaces the number of occupied voxels grows like size^-2
            size *= float(np.sqrt(occupied / count))
        size = max(size, extent / MAX_CELLS)
    return _first_per_voxel(offsets, size)


@njit(**FAST, inline="always")
def _voxel_key(xyz, i, scale):
    """The voxel of a point as one integer, and a hash of it."""
    key = np.int64(0)
    for a in range(3):
        key = (key << 21) | min(np.int64(xyz[i, a] * scale), MAX_CELLS)
    mixed = np.uint64(key) * HASH_FACTOR
    mixed = (mixed ^ (mixed >> np.uint64(32))) * HASH_FACTOR  # a product's low bits depend on the key's low bits only
    return key, np.int64(mixed >> np.uint64(32))


@njit(**FAST)
def _count_occupied(xyz, size, sampled):
    """Estimate the number of occupied voxels from one in `sampled` of them, in a table that fits the cache."""
    slots = 1024
    while slots * sampled < 4 * len(xyz):
        slots *= 2
    table, count, scale = np.full(slots, EMPTY, np.int64), 0, 1.0 / size
    for i in range(len(xyz)):
        key, mixed = _voxel_key(xyz, i, scale)
        if mixed & (sampled - 1):
            continue
        slot = (mixed // sampled) & (slots - 1)
        while table[slot] != EMPTY and table[slot] != key:
            slot = (slot + 1) & (slots - 1)
        if table[slot] == EMPTY:
            table[slot] = key
            count += 1
            if 2 * count > slots:
                break
    return sampled * count


@njit(**FAST)
def _first_per_voxel(xyz, size):
    """A hash table of voxels with linear probing, at most half full."""
    slots = 1024
    while slots < 2 * len(xyz):
        slots *= 2
    table, owner = np.full(slots, EMPTY, np.int64), np.empty(slots, np.int32)
    first, voxel = np.empty(len(xyz), np.int32), np.empty(len(xyz), np.int32)
    count, scale = 0, 1.0 / size
    for i in range(len(xyz)):
        key, mixed = _voxel_key(xyz, i, scale)
        slot = mixed & (slots - 1)
        while table[slot] != EMPTY and table[slot] != key:
            slot = (slot + 1) & (slots - 1)
        if table[slot] == EMPTY:
            table[slot], owner[slot] = key, count
            first[count] = i
            count += 1
        voxel[i] = owner[slot]
    return first[:count].copy(), voxel
