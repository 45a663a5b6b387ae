"""Lists of edges between points: those of nearest neighbors, checks, and the edges that a partition cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for

FAST = {"nogil": True}
UNCHECKED = {**FAST, "error_model": "numpy"}


class EdgeList(NamedTuple):
    """Edges, by the points or the regions at their ends."""

    ends: np.ndarray  # (E, 2) int32
    weights: np.ndarray  # (E,) float32


@njit(**FAST)
def check(edges, count):
    """Whether every edge satisfies 0 <= i < j < count, and whether their lower ends never descend."""
    valid, ascending, before = True, True, np.int32(0)
    for e in range(edges.shape[0]):
        low, high = edges[e, 0], edges[e, 1]
        valid &= (low >= 0) & (low < high) & (high < count)
        ascending &= before <= low
        before = low
    return valid, ascending


@njit(**FAST)
def first_edge(edges, begin, end, vertex):
    """Return the first of the edges begin..end-1, whose lower ends ascend, with a lower end of `vertex` or more."""
    while begin < end:
        middle = (begin + end) // 2
        if edges[middle, 0] < vertex:
            begin = middle + 1
        else:
            end = middle
    return begin


@njit(**FAST)
def mark_cut(edges, labels, border):
    """Mark in border (H,) bool the points of which an edge leads to another region."""
    for e in range(edges.shape[0]):
        if labels[edges[e, 0]] != labels[edges[e, 1]]:
            border[edges[e, 0]] = border[edges[e, 1]] = True


@njit(**FAST)
def touching(edges, weights, border):
    """Return the edges with an end in `border`, and their weights."""
    kept, kept_weights, count = np.empty_like(edges), np.empty_like(weights), 0
    for e in range(edges.shape[0]):
        kept[count, 0], kept[count, 1], kept_weights[count] = edges[e, 0], edges[e, 1], weights[e]
        count += border[edges[e, 0]] or border[edges[e, 1]]
    return kept[:count], kept_weights[:count]


@njit(**FAST)
def between_regions(edges, weights, labels):
    """Return the regions at both ends of the edges between regions, and the weights of these edges."""
    ends, kept_weights, count = np.empty_like(edges), np.empty_like(weights), 0
    for e in range(edges.shape[0]):
        a, b = labels[edges[e, 0]], labels[edges[e, 1]]
        ends[count, 0], ends[count, 1], kept_weights[count] = a, b, weights[e]
        count += a != b
    return ends[:count], kept_weights[:count]


def join(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> EdgeList:
    """Return the edges of all parts, in their order."""
    return EdgeList(*(column[0] if len(column) == 1 else np.concatenate(column) for column in zip(*parts, strict=True)))


def from_neighbors(neighbors: np.ndarray) -> np.ndarray:
    """Turn neighbor lists (H, k) into undirected edges (E, 2) int32, i < j, sorted, each once, no self links."""
    neighbors = np.asarray(neighbors, np.int32)
    count = len(neighbors)
    kept, number = np.empty_like(neighbors), np.empty((count, 2), np.int32)
    parallel_for(lambda a, b: _keep_first(a, b, neighbors, kept, number), count)
    # Links to later points stay in their row, others, which are few, go to that of the earlier point
    later, start, first = _turn(kept, number)
    edges = np.empty((start[-1], 2), np.int32)
    parallel_for(lambda a, b: _write_sorted(a, b, kept, number, later, first, start, edges), count)
    return edges


@njit(**UNCHECKED)
def _keep_first(begin, end, neighbors, kept, number):
    """Keep the entries that are the first of their pair: later points in front, earlier ones at the end of each row.

    number (H, 2) int32 says how many of each there are.
    """
    for i in range(begin, end):
        after, before = 0, neighbors.shape[1]
        for a in range(neighbors.shape[1]):
            if not _is_first(neighbors, i, a):
                continue
            if neighbors[i, a] > i:
                kept[i, after] = neighbors[i, a]
                after += 1
            else:
                before -= 1
                kept[i, before] = neighbors[i, a]
        number[i, 0], number[i, 1] = after, neighbors.shape[1] - before


@njit(**UNCHECKED, inline="always")
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


@njit(**UNCHECKED)
def _turn(kept, number):
    """Sort the links to earlier points by these: the later points, where each row of them and of all edges starts."""
    count, width = kept.shape
    first, start = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for i in range(count):
        for a in range(width - number[i, 1], width):
            first[kept[i, a] + 1] += 1
    for i in range(count):
        first[i + 1] += first[i]
        start[i + 1] = start[i] + number[i, 0]
    cursor, later = first[:-1].copy(), np.empty(first[-1], np.int32)
    for i in range(count):
        for a in range(width - number[i, 1], width):
            later[cursor[kept[i, a]]] = i
            cursor[kept[i, a]] += 1
    return later, start + first, first


@njit(**UNCHECKED)
def _write_sorted(begin, end, kept, number, later, first, start, edges):
    """Write the edges of the rows begin..end-1 by an insertion sort by the upper end."""
    for i in range(begin, end):
        own, turned = number[i, 0], first[i + 1] - first[i]
        for n in range(own + turned):
            high = kept[i, n] if n < own else later[first[i] + n - own]
            slot = start[i] + n
            edges[slot, 0] = i
            while slot > start[i] and edges[slot - 1, 1] > high:
                edges[slot, 1] = edges[slot - 1, 1]
                slot -= 1
            edges[slot, 1] = high
