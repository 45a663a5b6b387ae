"""Compiled parts of `cloud`: canonical order, unit cube, one point per voxel."""

from __future__ import annotations

import numpy as np
from numba import njit

from s4token_model.kernels.spatial_index import radix_argsort

FAST = {"cache": True, "nogil": True}
LONGEST = 64  # points with one x that are sorted by insertion
EMPTY = np.int64(-1)
MIX = np.uint64(0x9E3779B97F4A7C15)
SHARE = 8  # of the voxels, one of so many is counted to choose their size


@njit(**FAST)
def ends(points):
    """The least and the largest coordinates (3,) float64; 0 without points."""
    low, high = np.zeros(3), np.zeros(3)
    for i in range(len(points)):
        for a in range(3):
            value = np.float64(points[i, a])
            low[a] = value if i == 0 else min(low[a], value)
            high[a] = value if i == 0 else max(high[a], value)
    return low, high


@njit(**FAST)
def finite_rows(xyz):
    """Indices (F,) int64 of the rows of xyz (H, 3) whose values are all finite."""
    found, count = np.empty(len(xyz), np.int64), 0
    for i in range(len(xyz)):
        if np.isfinite(xyz[i, 0]) and np.isfinite(xyz[i, 1]) and np.isfinite(xyz[i, 2]):
            found[count] = i
            count += 1
    return found[:count]


def order32(points: np.ndarray) -> np.ndarray | None:
    """The order (H,) int64 of finite float32 points (H, 3) by x, y, z, index; None where many share an x."""
    x = np.ascontiguousarray(points[:, 0]) + np.float32(0)  # -0 becomes 0
    order = radix_argsort(_ascending(x.view(np.uint32))).astype(np.int64)
    return order if _break_ties(points, order) else None


@njit(**FAST)
def _ascending(bits):
    """Integers >= 0, int64, in the order of the float32 numbers that these bits are."""
    keys = np.empty(len(bits), np.int64)
    for i in range(len(bits)):
        keys[i] = ~bits[i] if bits[i] >> np.uint32(31) else bits[i] | np.uint32(0x80000000)
    return keys


@njit(**FAST)
def _break_ties(points, order):
    """Sort stretches of one x by y, z, index, in place; False where one is too long for that."""
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and points[order[end], 0] == points[order[begin], 0]:
            continue
        if end - begin > LONGEST:
            return False
        for i in range(begin + 1, end):
            point, place = order[i], i
            while place > begin and _after(points, order[place - 1], point):
                order[place] = order[place - 1]
                place -= 1
            order[place] = point
        begin = end
    return True


@njit(**FAST, inline="always")
def _after(points, a, b):
    """Whether point a comes after point b, both with one x; by y, then z, then index."""
    if points[a, 1] != points[b, 1]:
        return points[a, 1] > points[b, 1]
    if points[a, 2] != points[b, 2]:
        return points[a, 2] > points[b, 2]
    return a > b


@njit(**FAST)
def to_unit_cube(points, order, low, extent):
    """(points[order] - low) / extent in float64, rounded to float32."""
    unit = np.empty((len(order), 3), np.float32)
    for i in range(len(order)):
        for a in range(3):
            unit[i, a] = np.float32((np.float64(points[order[i], a]) - low[a]) / extent)
    return unit


def thin(xyz: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pick the first point of every occupied voxel, the voxel size chosen so that about `count` voxels are occupied.

    xyz (H, 3) float32 in the unit cube, H >= 1. Returns (V,) int32 ascending indices and (H,) int32, the place in them
    of each point's voxel.
    """
    size, small, large = float(xyz.max()) / 128 or 1.0, 0.0, np.inf
    for _ in range(10):
        occupied = _occupied(xyz, size)
        if 0.9 * count <= occupied <= 1.1 * count:
            break
        small, large = (size, large) if occupied > count else (small, size)
        if small > 0 and large < np.inf:
            size = float(np.sqrt(small * large))
        else:  # occupied voxels grow like size^-2 on surfaces
            size *= float(np.sqrt(occupied / count))
    return _representatives(xyz, size)


@njit(**FAST, inline="always")
def _key(xyz, i, scale):
    """The voxel of a point as one number, and that number well mixed."""
    key = np.int64(0)
    for a in range(3):
        key = (key << 21) | min(np.int64(xyz[i, a] * scale), 2**21 - 1)
    mixed = np.uint64(key) * MIX
    mixed = (mixed ^ (mixed >> np.uint64(32))) * MIX  # a bit of a product knows the bits below it alone
    return key, np.int64(mixed >> np.uint64(32))


@njit(**FAST)
def _occupied(xyz, size):
    """About how many voxels hold points: a count of every SHARE-th, by its key, in a table that fits the cache."""
    slots = 1024
    while slots * SHARE < 4 * len(xyz):
        slots *= 2
    table, count, scale = np.full(slots, EMPTY, np.int64), 0, 1.0 / size
    for i in range(len(xyz)):
        key, mixed = _key(xyz, i, scale)
        if mixed & (SHARE - 1):
            continue
        slot = (mixed // SHARE) & (slots - 1)
        while table[slot] != EMPTY and table[slot] != key:
            slot = (slot + 1) & (slots - 1)
        if table[slot] == EMPTY:
            table[slot] = key
            count += 1
            if 2 * count > slots:
                break
    return SHARE * count


@njit(**FAST)
def _representatives(xyz, size):
    """Voxels by a hash table with linear probing, at most half full."""
    slots = 1024
    while slots < 2 * len(xyz):
        slots *= 2
    table, owner = np.full(slots, EMPTY, np.int64), np.empty(slots, np.int32)
    first, voxel = np.empty(len(xyz), np.int32), np.empty(len(xyz), np.int32)
    count, scale = 0, 1.0 / size
    for i in range(len(xyz)):
        key, mixed = _key(xyz, i, scale)
        slot = mixed & (slots - 1)
        while table[slot] != EMPTY and table[slot] != key:
            slot = (slot + 1) & (slots - 1)
        if table[slot] == EMPTY:
            table[slot], owner[slot] = key, count
            first[count] = i
            count += 1
        voxel[i] = owner[slot]
    return first[:count].copy(), voxel
