"""Connected components of occupied voxels: which points of a cloud hang together."""

from __future__ import annotations

import numpy as np
from numba import njit

FAST = {"cache": True, "nogil": True}
EMPTY = np.int64(-1)
BITS = 20  # of a voxel coordinate on each side of the center; voxels beyond are taken for the outermost ones
HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@njit(**FAST, inline="always")
def _key(xyz, i, center, scale):
    """The voxel of point i as one integer; its coordinates keep clear of the ends, so that neighbors do not wrap."""
    key = np.int64(0)
    for a in range(3):
        cell = np.floor((np.float64(xyz[i, a]) - center[a]) * scale)
        key = key << 21 | (np.int64(min(max(cell, 3.0 - 2.0**BITS), 2.0**BITS - 4.0)) + 2**BITS)
    return key


@njit(**FAST, inline="always")
def _mixed(key):
    """A hash of a key; its low bits depend on all bits of the key."""
    mixed = np.uint64(key) * HASH_FACTOR
    mixed = (mixed ^ (mixed >> np.uint64(32))) * HASH_FACTOR
    return np.int64(mixed >> np.uint64(32))


@njit(**FAST)
def count_filled(xyz, center, size, min_points, sampled):
    """Estimate the number of voxels that hold at least `min_points` points, from one in `sampled` (2^n) voxels."""
    slots = 1024
    while slots * sampled < 4 * len(xyz):
        slots *= 2
    table, counts, filled, scale = np.full(slots, EMPTY, np.int64), np.zeros(slots, np.int32), 0, 1.0 / size
    for i in range(len(xyz)):
        key = _key(xyz, i, center, scale)
        mixed = _mixed(key)
        if mixed & (sampled - 1):
            continue
        slot = (mixed // sampled) & (slots - 1)
        tried = 0
        while table[slot] != EMPTY and table[slot] != key and tried < slots:
            slot, tried = (slot + 1) & (slots - 1), tried + 1
        if tried == slots:
            break
        table[slot] = key
        counts[slot] += 1
        if counts[slot] == min_points:
            filled += 1
    return sampled * filled


@njit(**FAST)
def component_sizes(xyz, center, size):
    """Return (H,) int32, the number of points in the connected component of each point.

    Components are those of the occupied voxels, of edge `size`, that touch at a face, an edge or a corner.
    """
    table, owner, keys, voxel = _occupied(xyz, center, size)
    # Join each voxel with the 13 of its 26 neighbors that have larger keys
    parent = np.arange(len(keys)).astype(np.int32)
    for v in range(len(keys)):
        for dx in range(2):
            for dy in range(-1, 2):
                for dz in range(-1, 2):
                    offset = (dx << 42) + dy * 2**21 + dz
                    if offset <= 0:
                        continue
                    slot = _find(table, keys[v] + offset)
                    if table[slot] != EMPTY:
                        _join(parent, v, owner[slot])
    # Points per component
    points = np.zeros(len(keys), np.int32)
    for i in range(len(xyz)):
        voxel[i] = _root(parent, voxel[i])
        points[voxel[i]] += 1
    return points[voxel]


@njit(**FAST)
def nearby_hosts(xyz, center, size, isolated):
    """Return for each isolated point one that is not, in the nearest voxel at most two away: (I,) int32, or -1."""
    body = np.flatnonzero(~isolated)
    table, owner, keys, voxel = _occupied(xyz[body], center, size)
    first = np.full(len(keys), -1, np.int32)
    for i in range(len(body)):
        if first[voxel[i]] < 0:
            first[voxel[i]] = body[i]
    alone = np.flatnonzero(isolated)
    hosts = np.full(len(alone), -1, np.int32)
    for i in range(len(alone)):
        key, nearest = _key(xyz, alone[i], center, 1.0 / size), 13
        for dx in range(-2, 3):
            for dy in range(-2, 3):
                for dz in range(-2, 3):
                    distance = dx * dx + dy * dy + dz * dz
                    if distance >= nearest:
                        continue
                    slot = _find(table, key + (dx << 42) + dy * 2**21 + dz)
                    if table[slot] != EMPTY:
                        hosts[i], nearest = first[owner[slot]], distance
    return hosts


@njit(**FAST)
def _occupied(xyz, center, size):
    """A hash table of the occupied voxels, the number of each slot, the key of each number, each point's number."""
    slots, scale = 1024, 1.0 / size
    while slots < 2 * len(xyz):
        slots *= 2
    table, owner = np.full(slots, EMPTY, np.int64), np.empty(slots, np.int32)
    keys, voxel, count = np.empty(len(xyz), np.int64), np.empty(len(xyz), np.int32), 0
    for i in range(len(xyz)):
        key = _key(xyz, i, center, scale)
        slot = _find(table, key)
        if table[slot] == EMPTY:
            table[slot], owner[slot], keys[count] = key, count, key
            count += 1
        voxel[i] = owner[slot]
    return table, owner, keys[:count], voxel


@njit(**FAST, inline="always")
def _find(table, key):
    """The slot of a key in a hash table with linear probing, or the empty slot where it belongs."""
    slot = _mixed(key) & (len(table) - 1)
    while table[slot] != EMPTY and table[slot] != key:
        slot = (slot + 1) & (len(table) - 1)
    return slot


@njit(**FAST)
def _root(parent, v):
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v


@njit(**FAST)
def _join(parent, a, b):
    a, b = _root(parent, a), _root(parent, b)
    if a != b:
        parent[max(a, b)] = min(a, b)
