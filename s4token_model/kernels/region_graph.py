"""Graphs of regions: building, contracting and splitting them (Sec. 3.2 of the paper).

The solver works on points first, then on regions of points, then on regions of regions. All of these are nodes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from s4token_model.kernels import edge_lists
from s4token_model.kernels.edge_lists import EdgeList
from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for, parallel_map
from s4token_model.kernels.sorting import sort_by_group

LANES = 8  # features are padded to a multiple of this, so that distances compile to vector instructions
# Reassociation lets the compiler vectorize sums; NaN and infinity keep their meaning.
FAST = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}}


class RegionGraph(NamedTuple):
    """An undirected weighted graph of N nodes in compressed rows, every edge stored at both ends."""

    start: np.ndarray  # (N + 1,) int32; the neighbors of node v are neighbor[start[v]:start[v + 1]]
    neighbor: np.ndarray  # (E,) int32 node at the other end of each edge
    weight: np.ndarray  # (E,) float32 weight of each edge
    size: np.ndarray  # (N,) float32 number of points in each node
    mean: np.ndarray  # (N, D) float32 mean feature of each node, D a multiple of LANES


class Regions(NamedTuple):
    """A partition of a graph's N nodes into S regions, kept up to date while nodes move."""

    label: np.ndarray  # (N,) int32 region of each node, -1 for none
    size: np.ndarray  # (S,) float32 number of points in each region
    mean: np.ndarray  # (S, D) float32 mean feature of each region
    nodes: np.ndarray  # (S,) int32 number of nodes in each region


class Block(NamedTuple):
    """The nodes first..last-1, which are exactly the members of the regions base..base+count-1."""

    first: int
    last: int
    base: int
    count: int


@njit(**FAST, inline="always")
def squared_distance(a, i, b, j):
    """||a[i] - b[j]||^2 over the padded columns."""
    total = np.float32(0)
    row, other = np.uint64(i), np.uint64(j)  # numba vectorizes no access whose index may be negative
    for d in range(a.shape[1]):
        difference = a[row, d] - b[other, d]
        total += difference * difference
    return total


@njit(**FAST, inline="always")
def root(parent, v):
    """Return the representative of v in a union-find forest, halving the path to it."""
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v


@njit(**FAST, inline="always")
def join(parent, a, b):
    """Join the trees of a and b in a union-find forest; the lower root stays one."""
    a, b = root(parent, a), root(parent, b)
    parent[max(a, b)] = min(a, b)


@njit(**FAST)
def roots_to_labels(parent, first, last, labels):
    """Label trees of nodes first..last-1, whose roots are their lowest members, by first appearance; how many."""
    count = 0
    for v in range(first, last):
        r = root(parent, v)
        if r == v:
            labels[v] = count
            count += 1
        else:
            labels[v] = labels[r]
    return count


def center_and_pad(features: np.ndarray) -> np.ndarray:
    """Subtract the mean (float32 keeps small differences next to a large offset) and pad to whole vector lanes."""
    count, width = features.shape
    center, padded = _center(features), np.empty((count, (width + LANES - 1) // LANES * LANES), np.float32)
    parallel_for(lambda first, last: _pad(first, last, features, center, padded), count)
    return padded


@njit(**FAST)
def _center(features):
    count, width = features.shape
    center = np.zeros(width)
    for v in range(count):
        for d in range(width):
            center[d] += features[v, d]
    return center / max(count, 1)


@njit(**FAST)
def _pad(first, last, features, center, padded):
    for v in range(first, last):
        for d in range(features.shape[1]):
            padded[v, d] = features[v, d] - center[d]
        for d in range(features.shape[1], padded.shape[1]):
            padded[v, d] = 0


@njit(**FAST)
def unite(edges, labels, parent, last):
    """Join the ends of edges inside a region in the union-find forest `parent`; edges that reach `last` are skipped."""
    for e in range(edges.shape[0]):
        if edges[e, 1] < last and labels[edges[e, 0]] == labels[edges[e, 1]]:
            join(parent, edges[e, 0], edges[e, 1])


@njit(**FAST)
def renumber(labels):
    """Return labels 0..S-1 in order of first appearance, and S."""
    fresh, count = np.full(labels.max() + 1, -1, np.int32), 0
    numbered = np.empty(labels.shape[0], np.int32)
    for v in range(labels.shape[0]):
        if fresh[labels[v]] < 0:
            fresh[labels[v]] = count
            count += 1
        numbered[v] = fresh[labels[v]]
    return numbered, count


@njit(**FAST)
def summarize(size, mean, labels, block):
    """Return the `Regions` of a block from size (N,) and mean (N, D) of the nodes; label -1 is no region."""
    points, nodes = np.zeros(block.count, np.float32), np.zeros(block.count, np.int32)
    center = np.zeros((block.count, mean.shape[1]), np.float32)
    for v in range(block.first, block.last):
        r = labels[v] - block.base
        if r < 0:
            continue
        points[r] += size[v]
        nodes[r] += 1
        for d in range(mean.shape[1]):
            center[r, d] += size[v] * mean[v, d]
    for r in range(block.count):
        if nodes[r]:
            for d in range(mean.shape[1]):
                center[r, d] /= points[r]
    return Regions(labels, points, center, nodes)


def border_graph(parts: Sequence[EdgeList], mean: np.ndarray, labels: np.ndarray) -> RegionGraph:
    """Return the graph of all points with edges only at points that touch another region; other rows are empty.

    The edges come in parts, whose order counts.
    """
    border = np.zeros(len(labels), bool)
    parallel_map(lambda part: edge_lists.mark_cut(part.ends, labels, border), parts)
    edges, weights = edge_lists.join(parallel_map(lambda part: edge_lists.touching(*part, border), parts))
    start, neighbor, weight = _adjacency(edges, weights, 0, border)
    return RegionGraph(start, neighbor, weight, np.ones(len(labels), np.float32), mean)


@njit(**FAST)
def from_points(ends, weights, mean, labels, block):
    """Return the rows of a block of the graph of regions of points.

    ends (E, 2) are the regions at the ends of all edges that leave a region of the block, in any direction. Their
    weights (E,) add up between the same two regions. mean (H, D) and labels (H,) are those of all points.
    """
    start, neighbor, weight = _adjacency(ends, weights, block.base, np.ones(block.count, np.bool_))
    # Add up parallel edges, in place
    index = np.full(labels.max() + 1, -1, np.int32)
    filled, begin = 0, 0
    for r in range(block.count):
        for k in range(begin, start[r + 1]):
            filled = _add_link(neighbor, weight, index, start[r], filled, neighbor[k], weight[k])
        begin, start[r + 1] = start[r + 1], filled
    regions = summarize(np.ones(labels.shape[0], np.float32), mean, labels, block)
    return RegionGraph(start, neighbor[:filled].copy(), weight[:filled].copy(), regions.size, regions.mean)


@njit(**FAST)
def _adjacency(ends, weights, base, wanted):
    """Return start, neighbor, weight of the rows base, base + 1, ... ; rows not wanted are empty."""
    count = wanted.shape[0]
    # 1. Length of every row
    degree = np.zeros(count, np.int32)
    for e in range(ends.shape[0]):
        for side in range(2):
            row = ends[e, side] - base
            if ends[e, 0] != ends[e, 1] and 0 <= row < count:
                degree[row] += wanted[row]
    start = np.zeros(count + 1, np.int32)
    for row in range(count):
        start[row + 1] = start[row] + degree[row]
    # 2. Fill the rows in the order of the edges
    cursor = start[:-1].copy()
    neighbor, weight = np.empty(start[-1], np.int32), np.empty(start[-1], np.float32)
    for e in range(ends.shape[0]):
        for side in range(2):
            row = ends[e, side] - base
            if ends[e, 0] != ends[e, 1] and 0 <= row < count and wanted[row]:
                neighbor[cursor[row]], weight[cursor[row]] = ends[e, 1 - side], weights[e]
                cursor[row] += 1
    return start, neighbor, weight


@njit(**FAST)
def contract(graph, labels, block):
    """Return the rows of a block of the graph whose nodes are the regions `labels` (N,) of a graph's nodes."""
    regions = summarize(graph.size, graph.mean, labels, block)
    # 1. Sort the nodes by region
    order, row = sort_by_group(labels[block.first : block.last] - block.base, block.count)
    # 2. Join the rows of the members, without the edges inside a region
    start = np.zeros(block.count + 1, np.int32)
    limit = graph.start[block.last] - graph.start[block.first]
    neighbor, weight = np.empty(limit, np.int32), np.empty(limit, np.float32)
    index = np.full(labels.max() + 1, -1, np.int32)
    filled = 0
    for r in range(block.count):
        for m in range(row[r], row[r + 1]):
            v = block.first + order[m]
            for k in range(graph.start[v], graph.start[v + 1]):
                s = labels[graph.neighbor[k]]
                if s != r + block.base:
                    filled = _add_link(neighbor, weight, index, start[r], filled, s, graph.weight[k])
        start[r + 1] = filled
    return RegionGraph(start, neighbor[:filled].copy(), weight[:filled].copy(), regions.size, regions.mean)


@njit(**FAST, inline="always")
def _add_link(neighbor, weight, index, begin, end, other, value):
    """Add a link to the row begin..end-1, where index (S,) finds earlier ones to the same node; return the new end."""
    if index[other] < begin:
        index[other] = end
        neighbor[end], weight[end] = other, value
        return end + 1
    weight[index[other]] += value
    return end


def concatenate(blocks: Sequence[RegionGraph]) -> RegionGraph:
    """Stack the rows of consecutive blocks to one graph."""
    if len(blocks) == 1:
        return blocks[0]
    ends = np.cumsum([0, *(block.start[-1] for block in blocks)]).astype(np.int32)
    start = np.concatenate([ends[:1], *(b.start[1:] + end for b, end in zip(blocks, ends, strict=False))])
    return RegionGraph(start, *(np.concatenate(column) for column in list(zip(*blocks, strict=True))[1:]))


@njit(**FAST)
def add_scatter(first, last, size, mean, inside, labels, center, total):
    """Add to total (S,) float64 the squared distances of nodes first..last-1 to the mean of their region.

    inside (N,) is what the nodes have within themselves.
    """
    for v in range(first, last):
        total[labels[v]] += inside[v] + size[v] * squared_distance(mean, v, center, labels[v])


@njit(**FAST)
def border_weight(graph):
    """Weight of all edges that leave each node, float64."""
    total = np.zeros(graph.size.shape[0])
    for v in range(total.shape[0]):
        for k in range(graph.start[v], graph.start[v + 1]):
            total[v] += graph.weight[k]
    return total
