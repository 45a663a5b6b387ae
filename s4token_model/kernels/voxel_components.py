"""Connected components of occupied voxels: which points of a cloud hang together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.region_graph import join, root, roots_to_labels

FAST = {"nogil": True}
EMPTY = np.int64(-1)
BITS = 20  # of a voxel coordinate on each side of the center; voxels beyond are taken for the outermost ones
HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
FEW_SLOTS = 16384  # of a hash table that fits into the cache


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


class OccupiedVoxels(NamedTuple):
    """The V occupied voxels of a cloud of H points."""

    table: np.ndarray  # (slots,) int64, a hash table of their keys, at most half full
    owner: np.ndarray  # (slots,) int32, number 0..V-1 of the voxel in a slot
    keys: np.ndarray  # (V,) int64
    voxel: np.ndarray  # (H,) int32, number of the voxel of each point


@njit(**FAST)
def component_sizes(voxels):
    """Return (H,) int32, the number of points in the connected component of each point.

    Components are those of the voxels that touch at a face, an edge or a corner.
    """
    parent = _touching(voxels)
    points, sizes = np.zeros(len(parent), np.int32), np.empty(len(voxels.voxel), np.int32)
    for v in range(len(parent)):
        parent[v] = root(parent, v)
    for i in range(len(sizes)):
        points[parent[voxels.voxel[i]]] += 1
    for i in range(len(sizes)):
        sizes[i] = points[parent[voxels.voxel[i]]]
    return sizes


@njit(**FAST)
def components(voxels):
    """Return (H,) int32, the connected component 0, 1, ... of each point, and how many there are."""
    parent = _touching(voxels)
    labels, found = np.empty(len(parent), np.int32), np.empty(len(voxels.voxel), np.int32)
    total = roots_to_labels(parent, 0, len(parent), labels)
    for i in range(len(found)):
        found[i] = labels[voxels.voxel[i]]
    return found, total


@njit(**FAST)
def _touching(voxels):
    """A union-find forest (V,) int32 in which each voxel is joined with those of its 26 neighbors with larger keys."""
    parent = np.arange(len(voxels.keys)).astype(np.int32)
    for v in range(len(parent)):
        for dx in range(2):
            for dy in range(-1, 2):
                for dz in range(-1, 2):
                    offset = (dx << 42) + dy * 2**21 + dz
                    if offset <= 0:
                        continue
                    slot = _find(voxels.table, voxels.keys[v] + offset)
                    if voxels.table[slot] != EMPTY:
                        join(parent, v, voxels.owner[slot])
    return parent


@njit(**FAST)
def nearby_hosts(voxels, isolated):
    """Return for each isolated point one that is not, in the nearest voxel at most two away: (I,) int32, or -1."""
    first = np.full(len(voxels.keys), -1, np.int32)
    for i in range(len(isolated)):
        if not isolated[i] and first[voxels.voxel[i]] < 0:
            first[voxels.voxel[i]] = i
    alone = np.flatnonzero(isolated)
    hosts = np.full(len(alone), -1, np.int32)
    for i in range(len(alone)):
        key, nearest = voxels.keys[voxels.voxel[alone[i]]], 13
        for dx in range(-2, 3):
            for dy in range(-2, 3):
                for dz in range(-2, 3):
                    distance = dx * dx + dy * dy + dz * dz
                    if distance >= nearest:
                        continue
                    slot = _find(voxels.table, key + (dx << 42) + dy * 2**21 + dz)
                    if voxels.table[slot] != EMPTY and first[voxels.owner[slot]] >= 0:
                        hosts[i], nearest = first[voxels.owner[slot]], distance
    return hosts


@njit(**FAST)
def occupied_voxels(xyz, center, size):
    """Return the occupied voxels of edge `size` of a cloud (H, 3), in a grid through `center` (3,)."""
    scale, keys, voxel, slots = 1.0 / size, np.empty(len(xyz), np.int64), np.empty(len(xyz), np.int32), FEW_SLOTS
    while True:  # a small table fits into the cache; a larger one if it gets half full
        table, owner, count, slots = np.full(slots, EMPTY, np.int64), np.empty(slots, np.int32), 0, 4 * slots
        for i in range(len(xyz)):
            key = _key(xyz, i, center, scale)
            slot = _find(table, key)
            if table[slot] == EMPTY:
                table[slot], owner[slot], keys[count] = key, count, key
                count += 1
                if 2 * count > len(table):
                    break
            voxel[i] = owner[slot]
        if 2 * count <= len(table):
            return OccupiedVoxels(table, owner, keys[:count].copy(), voxel)


@njit(**FAST)
def grids_beside_each_other(xyz, groups, corners, edges):
    """Return (H, 3) float64, the points (H, 3) in grids of edge 1, one for each group, that do not touch.

    corners (G, 3) are the lower ones of the boxes of the groups (H,), and edges (G,) those of their voxels.
    """
    out, width = np.empty((len(groups), 3)), 0.0
    for i in range(len(groups)):
        g = groups[i]
        for a in range(3):
            out[i, a] = (xyz[i, a] - corners[g, a]) / edges[g]
            width = max(width, out[i, a])
    width, side = np.ceil(width) + 3, np.int64(np.ceil(len(edges) ** (1 / 3)))
    for i in range(len(groups)):
        g = groups[i]
        out[i, 0] += width * (g % side)
        out[i, 1] += width * (g // side % side)
        out[i, 2] += width * (g // side // side)
    return out


@njit(**FAST)
def count_filled(xyz, center, size, min_points):
    """Return the number of voxels of edge `size` that hold at least `min_points` points of a cloud (H, 3)."""
    voxels = occupied_voxels(xyz, center, size)
    counts, filled = np.zeros(len(voxels.keys), np.int32), 0
    for v in voxels.voxel:
        counts[v] += 1
        filled += counts[v] == min_points
    return filled


@njit(**FAST, inline="always")
def _find(table, key):
    """The slot of a key in a hash table with linear probing, or the empty slot where it belongs."""
    slot = _mixed(key) & (len(table) - 1)
    while table[slot] != EMPTY and table[slot] != key:
        slot = (slot + 1) & (len(table) - 1)
    return slot
