"""Exact nearest neighbors of all points of a cloud, on its spatial index, and the undirected graph of them.

The search visits the tree of boxes once per block of 16 query points. It begins with the four blocks around the query
block, which bounds the distances early, then climbs four levels at a time: on each level it tests the siblings of the
node it came from, and descends into those whose box is near enough to matter to any of the 16 points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.spatial_index import BLOCK, FANOUT, MortonIndex

STACK = 16 * FANOUT  # nodes waiting for a visit; a path has at most 8 steps of four levels
SLACK = 4  # candidates beyond k that a point may keep
HUGE = np.float32(3e38)  # above every distance, below the infinite distance to an empty box
INDEX_MASK = 0x7FFFFFFF
FAST = {"nogil": True}
INLINE = {**FAST, "inline": "always"}


class Candidates(NamedTuple):
    """Working memory of one query block: candidate neighbors of its 16 points.

    A candidate is one integer, the bits of its squared distance above its index, so that integers compare like
    (distance, index).
    """

    keys: np.ndarray  # (16, room) int64
    count: np.ndarray  # (16,) int64, candidates of each point
    limit: np.ndarray  # (16,) float32, squared distance above which no candidate is needed
    squared: np.ndarray  # (16,) float32, distances of one test
    rows: np.ndarray  # (16,) int64, points that passed it
    stack: np.ndarray  # (STACK,) int64, nodes to visit


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
    count, k = len(index.order), found.shape[1]
    leaves, blocks = index.boxes.shape[1] // 2, (count + BLOCK - 1) // BLOCK
    room = (k + 3 * BLOCK - 1) // BLOCK * BLOCK  # candidates of one point, those of one more block included
    counts, rows = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    limit, squared = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    state = Candidates(np.empty((BLOCK, room), np.int64), counts, limit, squared, rows, np.empty(STACK, np.int64))
    for block in range(begin, end):
        own, size = leaves + block, min(BLOCK, count - block * BLOCK)
        state.count[:] = 0
        state.limit[:size] = np.inf
        state.limit[size:] = -1  # padding looks for nothing
        # The four blocks around, whatever their distance
        first, level = own // 4 * 4, leaves
        last, top = first + 4, 0
        for node in range(min(last, leaves + blocks) - 1, first - 1, -1):
            state.stack[top] = node
            top += 1
        reach = _descend(own, top, HUGE, k, index, state)
        # Climb: the other nodes of each level's group, first..last-1 being done
        while True:
            start = max(first // FANOUT * FANOUT, level)
            _box_distances(index.boxes, own, index.boxes[:3], index.boxes[3:], start, state.squared)
            top = 0
            for node in range(start + min(FANOUT, level) - 1, start - 1, -1):
                state.stack[top] = node
                top += (state.squared[node - start] <= reach) & ((node < first) | (node >= last))
            reach = _descend(own, top, reach, k, index, state)
            if level <= FANOUT:
                break
            first, level = first // FANOUT, level // FANOUT
            last = first + 1
        _write_sorted(block * BLOCK, size, index.order, state, found)


@njit(**FAST)
def _descend(own, top, reach, k, index, state):
    """Visit the `top` nodes on the stack and what lies below them; return the largest squared distance still needed."""
    order, xyz, boxes = index
    keys, count, limit, squared, rows, stack = state
    leaves, room = boxes.shape[1] // 2, keys.shape[1]
    query = (own - leaves) * BLOCK
    while top > 0:
        top -= 1
        node = stack[top]
        if node < leaves:
            # Four levels further down: push the nodes within reach of the query block
            _box_distances(boxes, own, boxes[:3], boxes[3:], FANOUT * node, squared)
            for j in range(FANOUT - 1, -1, -1):
                stack[top] = FANOUT * node + j
                top += squared[j] <= reach
            continue
        # A block: which query points does it concern?
        _box_distances(boxes, node, xyz, xyz, query, squared)
        concerned = 0
        for q in range(BLOCK):
            rows[concerned] = q
            concerned += squared[q] <= limit[q]
        start, lowered = (node - leaves) * BLOCK, False
        for row in range(concerned):
            # Append its points within the limit; written first, counted if kept, so that no branch is needed
            q = rows[row]
            x, y, z, n, bound = xyz[0, query + q], xyz[1, query + q], xyz[2, query + q], count[q], limit[q]
            for i in range(start, min(start + BLOCK, len(order))):
                dx, dy, dz = xyz[0, i] - x, xyz[1, i] - y, xyz[2, i] - z
                distance = np.float32(dx * dx + dy * dy + dz * dz)
                keys[q, n] = _key(distance, order[i])
                n += distance <= bound
            if n > room - BLOCK:
                n, limit[q] = _tighten(keys, q, n, k, bound)
                lowered = True
            count[q] = n
        reach = _largest_limit(limit) if lowered else reach
    return reach


@njit(**INLINE)
def _largest_limit(limit):
    reach = np.float32(-1)
    for q in range(len(limit)):
        reach = max(reach, limit[q])
    return min(reach, HUGE)


@njit(**INLINE)
def _key(squared, index):
    """One integer that compares like (squared distance >= 0, index)."""
    return (np.int64(np.float32(squared).view(np.int32)) << 32) | index


@njit(**INLINE)
def _box_distances(boxes, own, low, high, start, squared):
    """Squared distances of the boxes start..start+15 with corners `low` and `high` to the box `own`, 0 if they touch.

    Points are boxes with equal corners. Rounding is monotonic, so the distance of a point never exceeds the squared
    distance to a point of the box computed in the same way.
    """
    x0, y0, z0, x1, y1, z1 = boxes[0, own], boxes[1, own], boxes[2, own], boxes[3, own], boxes[4, own], boxes[5, own]
    zero = np.float32(0)
    for j in range(len(squared)):
        i = start + j
        dx = max(max(x0 - high[0, i], low[0, i] - x1), zero)
        dy = max(max(y0 - high[1, i], low[1, i] - y1), zero)
        dz = max(max(z0 - high[2, i], low[2, i] - z1), zero)
        squared[j] = dx * dx + dy * dy + dz * dz


@njit(**FAST)
def _tighten(keys, q, n, k, limit):
    """Drop candidates of point q that are not among its k nearest, all but a few; how many are left, their limit."""
    n, limit = _drop_far(keys, q, n, k, limit)
    if n > keys.shape[1] - BLOCK:  # many at one distance
        bound = _kth_smallest(keys, q, n, k)
        n, limit = _keep_up_to(keys, q, n, bound), np.int32(bound >> 32).view(np.float32)
    return n, limit if limit != 0 else np.float32(-1)  # k points coincide with this one: nothing can be nearer


@njit(**FAST)
def _drop_far(keys, q, n, k, limit):
    """Lower the limit until it holds k to k + SLACK candidates, and drop those beyond it.

    On a surface the number of points grows like the squared distance, so interpolation hits within a few steps.
    """
    low, high = np.float32(0), limit
    if not limit < np.inf:
        farthest = keys[q, 0]
        for i in range(1, n):
            farthest = max(farthest, keys[q, i])
        high = np.int32(farthest >> 32).view(np.float32)
    inside_low, inside_high = 0, n
    for _ in range(12):
        fraction = np.float32(k + SLACK // 2 - inside_low) / np.float32(inside_high - inside_low)
        middle = np.float32(low + (high - low) * fraction)
        bound, inside = _key(middle, INDEX_MASK), 0
        for i in range(n):
            inside += keys[q, i] <= bound
        if inside < k:
            if middle == low:
                break
            low, inside_low = middle, inside
            continue
        high, inside_high = middle, inside
        if inside <= k + SLACK:
            break
    return _keep_up_to(keys, q, n, _key(high, INDEX_MASK)), high


@njit(**FAST)
def _kth_smallest(keys, q, n, k):
    """The k-th smallest key of point q, by bisection over all bits."""
    low, high = np.int64(-1), _key(np.float32(np.inf), INDEX_MASK)
    while high - low > 1:
        middle, inside = low + ((high - low) >> 1), 0
        for i in range(n):
            inside += keys[q, i] <= middle
        low, high = (middle, high) if inside < k else (low, middle)
    return high


@njit(**INLINE)
def _keep_up_to(keys, q, n, bound):
    kept = 0
    for i in range(n):
        key = keys[q, i]
        keys[q, kept] = key
        kept += key <= bound
    return kept


@njit(**FAST)
def _write_sorted(start, size, order, state, found):
    """Write the k nearest candidates of the points start..start+size-1; the rank of a key is the number of smaller."""
    k, keys = found.shape[1], state.keys
    for q in range(size):
        n, row = state.count[q], order[start + q]
        if n > k + SLACK:
            n = _drop_far(keys, q, n, k, max(state.limit[q], np.float32(0)))[0]
        for j in range(n, k):  # fewer than k finite distances
            found[row, j] = row
        for j in range(n):
            key, rank = keys[q, j], 0
            for i in range(n):
                rank += keys[q, i] < key
            if rank < k:
                found[row, rank] = np.int32(key & INDEX_MASK)


def edges_from_neighbors(neighbors: np.ndarray) -> np.ndarray:
    """Turn neighbor lists (H, k) into undirected edges (E, 2) int32, i < j, sorted, each once, no self links."""
    neighbors = np.asarray(neighbors, np.int32)
    kept, counts = np.empty_like(neighbors), np.empty(len(neighbors), np.int64)
    parallel_for(lambda a, b: _keep_first(a, b, neighbors, kept, counts), len(neighbors))
    return _sorted_edges(kept, counts)


@njit(**FAST)
def _keep_first(begin, end, neighbors, kept, counts):
    """Keep the entries of each row that are the first of their pair."""
    for i in range(begin, end):
        n = 0
        for a in range(neighbors.shape[1]):
            kept[i, n] = neighbors[i, a]
            n += _is_first(neighbors, i, a)
        counts[i] = n


@njit(**FAST, inline="always")
def _is_first(neighbors, i, a):
    """Whether entry a of row i is no self link, no repetition, and not a link from i > j that row j holds too."""
    j = neighbors[i, a]
    found = i == j
    for b in range(a):
        found |= neighbors[i, b] == j
    if i > j:
        for b in range(neighbors.shape[1]):
            found |= neighbors[j, b] == i
    return not found


@njit(**FAST)
def _sorted_edges(neighbors, counts):
    """A counting sort by the lower end, then an insertion sort by the upper end."""
    start = np.zeros(len(neighbors) + 1, np.int64)
    for i in range(len(neighbors)):
        for a in range(counts[i]):
            start[min(i, neighbors[i, a]) + 1] += 1
    start = np.cumsum(start)
    cursor, edges = start[:-1].copy(), np.empty((start[-1], 2), np.int32)
    for i in range(len(neighbors)):
        for a in range(counts[i]):
            j = neighbors[i, a]
            low, high = min(i, j), max(i, j)
            slot = cursor[low]
            cursor[low] += 1
            edges[slot, 0] = low
            while slot > start[low] and edges[slot - 1, 1] > high:
                edges[slot, 1] = edges[slot - 1, 1]
                slot -= 1
            edges[slot, 1] = high
    return edges
