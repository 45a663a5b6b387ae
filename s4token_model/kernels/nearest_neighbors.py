"""Exact nearest neighbors of all points of a cloud, on its spatial index.

Query points are taken in blocks of 16. The blocks before and after in the order of the index bound the distance to the
k-th neighbor of each, and one descent through the tree of boxes finds the blocks within reach of any of the 16. Each
point then looks at those of them that are near enough for itself: all distances first, then a limit that few more than
k of them keep, then the order of these few. All of it is written for vector instructions: inner loops without branches,
over arrays that are adjacent in memory, with unsigned indices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.sorting import LANES, Candidates, limit_of, sort_nearest
from s4token_model.kernels.spatial_index import BLOCK, FANOUT, MortonIndex

STACK = 16 * FANOUT  # nodes waiting for a visit; a path has at most 8 steps of four levels
BLOCK_BITS = BLOCK.bit_length() - 1
GROUP = 64  # blocks whose points are looked at together
FAST = {"nogil": True, "error_model": "numpy"}
INLINE = {**FAST, "inline": "always"}


class _Nodes(NamedTuple):
    """Working memory: the blocks within reach of a query block, then those near enough for one of its points."""

    stack: np.ndarray  # (STACK,) int64, nodes of the tree to visit
    test: np.ndarray  # (FANOUT,) float32, distances of one test
    block: np.ndarray  # (blocks + FANOUT,) int32, blocks within reach
    boxes: np.ndarray  # (6, blocks + FANOUT) float32, their corners
    squared: np.ndarray  # (blocks + FANOUT,) float32, their distances from one point
    near: np.ndarray  # (blocks + FANOUT,) int32, blocks near enough for one point


def nearest_neighbors(index: MortonIndex, k: int) -> np.ndarray:
    """Return (H, min(k, H)) int32: the nearest points of each point, itself included, nearest first.

    Exact for squared distances in float32; equal distances are ordered by index in the cloud, except that any k of more
    than k coincident points may be returned.
    """
    count = len(index.order)
    found = np.empty((count, min(k, count)), np.int32)
    parallel_for(lambda a, b: _search(a, b, index, found), -(-count // BLOCK), 256)
    return found


@njit(**FAST)
def _search(begin, end, index, found):
    """Write the neighbors of the points of blocks begin..end-1 to their rows of `found`."""
    order, xyz, boxes = index
    k, blocks = found.shape[1], (len(order) + BLOCK - 1) // BLOCK
    side = 1 + (k + BLOCK - 1) // BLOCK
    width = min(2 * side + 1, blocks)
    bound, window = np.empty(BLOCK, np.float32), np.empty(width * BLOCK, np.float32)
    nodes, candidates = _working_memory(blocks, k)
    for block in range(begin, end):
        # 1. Bound the distance to the k-th neighbor by the points of the blocks around
        first, size = min(max(block - side, 0), blocks - width), min(BLOCK, len(order) - block * BLOCK)
        limit, reach = np.float32(0), np.float32(-1)
        for q in range(size):
            i = block * BLOCK + q
            _point_distances(xyz, first * BLOCK, xyz[0, i], xyz[1, i], xyz[2, i], window, 0, len(window))
            bound[q] = limit = limit_of(window, k, limit if q else window[0])  # that of the point before is near
            if limit > 0:
                reach = max(reach, limit)
        # 2. Blocks within reach of any of the points
        reached = _descend(boxes, block, reach, nodes)
        for q in range(size):
            # 3. Those near enough for this one; where k points coincide with it, the blocks around hold enough
            i, count = block * BLOCK + q, width
            if bound[q] > 0:
                count = _near_blocks(xyz[0, i], xyz[1, i], xyz[2, i], bound[q], reached, nodes)
            else:
                for j in range(width):
                    nodes.near[j] = first + j
            # 4. Their nearest points
            n = _nearest(index, nodes.near[:count], i, bound[q], k, candidates)
            row = order[i]
            for j in range(k):  # itself if there are fewer finite distances
                found[row, j] = candidates.sorted_index[j] if j < n else row


@njit(**FAST)
def _working_memory(blocks, k):
    group, room, capacity = GROUP * BLOCK, GROUP * BLOCK + k + LANES, blocks + FANOUT
    nodes = _Nodes(
        np.empty(STACK, np.int64), np.empty(FANOUT, np.float32), np.empty(capacity, np.int32),
        np.empty((6, capacity), np.float32), np.empty(capacity, np.float32), np.empty(capacity, np.int32),
    )  # fmt: skip
    candidates = Candidates(
        np.empty(group, np.float32), np.empty(group, np.int32), np.empty(room, np.float32), np.empty(room, np.int32),
        np.empty(room, np.float32), np.empty(k, np.float32), np.empty(k, np.int32),
    )  # fmt: skip
    return nodes, candidates


@njit(**INLINE)
def _point_distances(xyz, start, x, y, z, out, at, size):
    """Write the squared distances of (x, y, z) to the points start..start+size-1 to out[at:at+size]."""
    first, target = np.uint64(start), np.uint64(at)
    for j in range(np.uint64(size)):
        dx, dy, dz = xyz[0, first + j] - x, xyz[1, first + j] - y, xyz[2, first + j] - z
        out[target + j] = dx * dx + dy * dy + dz * dz


@njit(**INLINE)
def _box_distances(boxes, start, size, low, high, out):
    """Write squared distances of boxes start..start+size-1 to the box of corners `low` and `high`, 0 if they touch.

    Points are boxes with equal corners. Rounding is monotonic, so the distance of a point never exceeds the squared
    distance to a point of the box computed in the same way.
    """
    (x0, y0, z0), (x1, y1, z1), zero = low, high, np.float32(0)
    first = np.uint64(start)
    for j in range(np.uint64(size)):
        dx = max(max(x0 - boxes[3, first + j], boxes[0, first + j] - x1), zero)
        dy = max(max(y0 - boxes[4, first + j], boxes[1, first + j] - y1), zero)
        dz = max(max(z0 - boxes[5, first + j], boxes[2, first + j] - z1), zero)
        out[j] = dx * dx + dy * dy + dz * dz


@njit(**FAST)
def _descend(boxes, block, reach, nodes):
    """Collect the blocks whose boxes are within reach of that of `block`, and their boxes; return how many."""
    leaves = boxes.shape[1] // 2
    own = leaves + block
    low, high = (boxes[0, own], boxes[1, own], boxes[2, own]), (boxes[3, own], boxes[4, own], boxes[5, own])
    start = leaves
    while start > FANOUT:
        start //= FANOUT
    size, count, top = start, 0, 0
    while True:
        _box_distances(boxes, start, size, low, high, nodes.test)
        if start >= leaves:
            for j in range(size):
                nodes.block[count] = start + j - leaves
                count += nodes.test[j] <= reach
        else:
            for j in range(size):
                nodes.stack[top] = start + j
                top += nodes.test[j] <= reach
        if top == 0:
            break
        top -= 1
        start, size = FANOUT * nodes.stack[top], FANOUT
    for a in range(6):
        for j in range(count):
            nodes.boxes[a, j] = boxes[a, leaves + nodes.block[j]]
    return count


@njit(**INLINE)
def _near_blocks(x, y, z, limit, reached, nodes):
    """Collect the blocks within reach whose boxes are within the limit of a point; return how many."""
    _box_distances(nodes.boxes, 0, reached, (x, y, z), (x, y, z), nodes.squared)
    count = 0
    for j in range(reached):
        nodes.near[count] = nodes.block[j]
        count += nodes.squared[j] <= limit
    return count


@njit(**INLINE)
def _nearest(index, near, i, limit, k, candidates):
    """Sort the nearest points of point i among those of some blocks, within a limit that holds k; return how many."""
    order, xyz, _ = index
    squared, slot, distance, found = candidates[:4]
    n, x, y, z, width = 0, xyz[0, i], xyz[1, i], xyz[2, i], len(squared) // GROUP  # of a block: a constant is unrolled
    for begin in range(0, len(near), GROUP):
        blocks = near[begin : begin + GROUP]
        size = len(blocks) * width
        for b in range(len(blocks)):
            _point_distances(xyz, blocks[b] * BLOCK, x, y, z, squared, b * BLOCK, width)
        limit = min(limit, limit_of(squared[:size], k, limit))
        added = 0
        for p in range(size):
            slot[added] = p
            added += squared[p] <= limit
        for c in range(n):  # those of the groups before
            distance[c], found[c] = candidates.sorted_distance[c], candidates.sorted_index[c]
        for c in range(added):
            p = slot[c]
            distance[n + c], found[n + c] = squared[p], order[blocks[p >> BLOCK_BITS] * BLOCK + (p & (BLOCK - 1))]
        n = sort_nearest(candidates, n + added, k)
        if n == k:
            limit = min(limit, candidates.sorted_distance[k - 1])
    return n
