"""Spatial index of a whole cloud: points in Morton order, cut into blocks of 16, with a tree of boxes above them.

The exact nearest neighbors of all points (nearest_neighbors.py) and farthest point sampling (fps.py) run on it. All
blocks hold the same number of points, so dense and sparse regions cost the same, and the coordinates of a block are
adjacent in memory.

    level 0                     [1]                      root
    level 1              [2]           [3]               node n has the children 2n and 2n + 1,
    ...                                                  hence 16n .. 16n + 15 four levels further down
    last level    [L] [L+1] ... [L+b] ... [2L-1]         node L + b is block b, the points 16b .. 16b + 15
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.sorting import radix_argsort
from s4token_model.kernels.voxels import bounds

BLOCK = 16  # points per block
FANOUT = 16  # nodes tested together, four levels of the binary tree
COORDINATE_BITS = 21  # of a Morton code of 63 bits
FAST = {"nogil": True}


class MortonIndex(NamedTuple):
    """A cloud of H points in Morton order, in blocks of 16."""

    order: np.ndarray  # (H,) int32, index into the cloud of each sorted point
    xyz: np.ndarray  # (3, 16 * blocks) float32, sorted coordinates; the last block is filled up with inf
    boxes: np.ndarray  # (6, 2L) float32, lower corner then upper corner of each node's box; inverted if empty

    def in_morton_order(self) -> MortonIndex:
        """Return the index of the same cloud once its points are stored in Morton order."""
        return self._replace(order=np.arange(len(self.order), dtype=np.int32))

    def points(self) -> np.ndarray:
        """Return the points (H, 3) float32 in Morton order."""
        return np.ascontiguousarray(self.xyz[:, : len(self.order)].T)


def build(xyz: np.ndarray) -> MortonIndex:
    """Index a cloud (H, 3) of finite float32 points."""
    xyz = np.ascontiguousarray(xyz, np.float32)
    low, high = (corner.astype(np.float32) for corner in bounds(xyz))
    extent = float((high - low).max()) or 1.0
    return arrange(xyz, radix_argsort(_morton_codes(xyz, low, extent)))


def arrange(xyz: np.ndarray, order: np.ndarray) -> MortonIndex:
    """Index a cloud (H, 3) float32 in a given order (H,) int32, such as that of the cloud before a small rotation.

    Searches are exact in any order; they are fast if points adjacent in the order are near each other.
    """
    sorted_xyz = _gather(xyz, order, -(-len(xyz) // BLOCK) * BLOCK)
    return MortonIndex(order, sorted_xyz, _build_boxes(sorted_xyz, len(xyz)))


def in_cloud_order(index: MortonIndex, values: np.ndarray) -> np.ndarray:
    """Return values (H, 3) of points in Morton order as those of the cloud's points."""
    unsorted = np.empty_like(values)
    parallel_for(lambda begin, end: _scatter(begin, end, index.order, values, unsorted), len(values))
    return unsorted


@njit(**FAST)
def _scatter(begin, end, order, values, unsorted):
    for i in range(begin, end):
        for a in range(3):
            unsorted[order[i], a] = values[i, a]


def inside_box(index: MortonIndex, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return which points of the cloud lie in a box from corner `low` to `high`, each (3,): (H,) bool."""
    inside = np.zeros(len(index.order), bool)
    _mark_inside(*index, low.astype(np.float32), high.astype(np.float32), inside)
    return inside


@njit(**FAST)
def _mark_inside(order, xyz, boxes, low, high, inside):
    """Go down the tree where boxes meet: the time depends on the points inside, hardly on the size of the cloud."""
    leaves, size = boxes.shape[1] // 2, 1
    waiting = np.ones(64, np.int64)  # more than there are levels
    while size > 0:
        size -= 1
        node = waiting[size]
        meet = True
        for a in range(3):
            meet &= boxes[a, node] <= high[a] and boxes[3 + a, node] >= low[a]
        if not meet:
            continue
        if node < leaves:
            waiting[size], waiting[size + 1] = 2 * node, 2 * node + 1
            size += 2
            continue
        start = BLOCK * (node - leaves)
        for i in range(start, min(start + BLOCK, len(order))):
            x, y, z = xyz[0, i], xyz[1, i], xyz[2, i]
            within = low[0] <= x <= high[0] and low[1] <= y <= high[1] and low[2] <= z <= high[2]
            inside[order[i]] = within


@njit(**FAST)
def _spread_bits(value):
    """The low 21 bits of an integer, with two zeros after each."""
    value = (value | (value << 32)) & 0x1F00000000FFFF
    value = (value | (value << 16)) & 0x1F0000FF0000FF
    value = (value | (value << 8)) & 0x100F00F00F00F00F
    value = (value | (value << 4)) & 0x10C30C30C30C30C3
    return (value | (value << 2)) & 0x1249249249249249


@njit(**FAST)
def _morton_codes(xyz, low, extent):
    codes = np.empty(len(xyz), np.int64)
    scale = (2**COORDINATE_BITS - 1) / extent
    for i in range(len(xyz)):
        code = 0
        for a in range(3):
            cell = np.int64((np.float64(xyz[i, a]) - low[a]) * scale)
            code |= _spread_bits(min(max(cell, 0), 2**COORDINATE_BITS - 1)) << a
        codes[i] = code
    return codes


@njit(**FAST)
def _gather(xyz, order, width):
    sorted_xyz = np.full((3, width), np.float32(np.inf))
    for i in range(len(order)):
        for a in range(3):
            sorted_xyz[a, i] = xyz[order[i], a]
    return sorted_xyz


@njit(**FAST)
def _build_boxes(xyz, count):
    leaves = FANOUT
    while leaves * BLOCK < count:
        leaves *= 2
    boxes = np.empty((6, 2 * leaves), np.float32)
    boxes[:3], boxes[3:] = np.inf, -np.inf
    for a in range(3):
        low, high = boxes[a], boxes[3 + a]
        for i in range(count):
            node = leaves + i // BLOCK
            low[node], high[node] = min(low[node], xyz[a, i]), max(high[node], xyz[a, i])
        for node in range(leaves - 1, 0, -1):
            low[node] = min(low[2 * node], low[2 * node + 1])
            high[node] = max(high[2 * node], high[2 * node + 1])
    return boxes


@njit(**FAST, inline="always")
def box_distance(boxes, node, x, y, z):
    """Squared distance in float32 of a point to a box, 0 inside.

    Rounding is monotonic, so it never exceeds the squared distance to a point of the box computed in the same way.
    """
    zero = np.float32(0)
    dx = max(boxes[0, node] - x, x - boxes[3, node], zero)
    dy = max(boxes[1, node] - y, y - boxes[4, node], zero)
    dz = max(boxes[2, node] - z, z - boxes[5, node], zero)
    return dx * dx + dy * dy + dz * dz
