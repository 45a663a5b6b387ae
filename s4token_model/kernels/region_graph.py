"""Compiled kernels on graphs of regions: building, contracting and splitting them (method: Sec. 3.2).

A graph of N nodes is the tuple (start, neighbor, weight, size, mean). The neighbors of node v are
neighbor[start[v]:start[v + 1]], weight the same slice, every edge stored from both ends; size (N,) float32 counts the
points of a node and mean (N, D) float32 is their mean feature, D a multiple of LANES so that distances become vector
instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 8
# Reassociation lets the compiler vectorize sums; NaN and infinity keep their meaning.
FAST = {"nogil": True, "cache": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}}


@njit(**FAST, inline="always")
def squared_distance(a, i, b, j):
    """||a[i] - b[j]||^2 over the padded columns."""
    total = np.float32(0)
    for block in range(0, a.shape[1], LANES):
        for lane in range(LANES):
            difference = a[i, block + lane] - b[j, block + lane]
            total += difference * difference
    return total


@njit(**FAST, inline="always")
def root(parent, v):
    """The representative of v in a union-find forest, whose paths it halves."""
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v


@njit(**FAST)
def roots_to_labels(parent, first, last, labels, base):
    """Labels base, base + 1, ... of the nodes first..last-1 in order of first appearance; every root is the lowest
    member of its tree."""
    for v in range(first, last):
        r = root(parent, v)
        if r == v:
            labels[v] = base
            base += 1
        else:
            labels[v] = labels[r]
    return base


@njit(**FAST)
def valid(edges, count):
    """Whether every edge is 0 <= i < j < count."""
    for e in range(edges.shape[0]):
        if not 0 <= edges[e, 0] < edges[e, 1] < count:
            return False
    return True


@njit(**FAST)
def ascending(edges):
    """Whether the first ends never fall."""
    for e in range(1, edges.shape[0]):
        if edges[e, 0] < edges[e - 1, 0]:
            return False
    return True


@njit(**FAST)
def crossing(edges, last):
    """Which edges, of those whose first end is below `last`, end at or beyond it."""
    found = np.empty(edges.shape[0], np.int32)
    count = 0
    for e in range(edges.shape[0]):
        if edges[e, 1] >= last:
            found[count] = e
            count += 1
    return found[:count].copy()


@njit(**FAST)
def center_and_pad(features):
    """Features less their mean (float32 keeps small differences beside a large offset), in whole vector lanes."""
    count, width = features.shape
    middle = np.zeros(width)
    for v in range(count):
        for d in range(width):
            middle[d] += features[v, d]
    middle /= max(count, 1)
    padded = np.zeros((count, (width + LANES - 1) // LANES * LANES), np.float32)
    for v in range(count):
        for d in range(width):
            padded[v, d] = features[v, d] - middle[d]
    return padded


@njit(**FAST)
def unite(edges, region, parent, last):
    """Unite the ends of edges inside a region, in the union-find forest `parent` of which only nodes below `last` are
    touched."""
    for e in range(edges.shape[0]):
        if edges[e, 1] < last and region[edges[e, 0]] == region[edges[e, 1]]:
            a, b = root(parent, edges[e, 0]), root(parent, edges[e, 1])
            if a != b:
                parent[max(a, b)] = min(a, b)


@njit(**FAST)
def renumber(region):
    """Labels 0..S-1 in order of first appearance, and S."""
    fresh = np.full(region.max() + 1, -1, np.int32)
    labels = np.empty(region.shape[0], np.int32)
    count = 0
    for v in range(region.shape[0]):
        if fresh[region[v]] < 0:
            fresh[region[v]] = count
            count += 1
        labels[v] = fresh[region[v]]
    return labels, count


@njit(**FAST)
def summarize(size, mean, region, count):
    """Points, mean feature and number of nodes of every region; nodes of region -1 belong to none."""
    return summarize_part(size, mean, region, 0, count, 0, region.shape[0])


@njit(**FAST)
def summarize_part(size, mean, region, base, count, first, last):
    """As summarize, of the regions base..base+count-1, whose nodes all lie within first..last-1."""
    points = np.zeros(count, np.float32)
    center = np.zeros((count, mean.shape[1]), np.float32)
    nodes = np.zeros(count, np.int32)
    for v in range(first, last):
        r = region[v] - base
        if r < 0:
            continue
        points[r] += size[v]
        nodes[r] += 1
        for d in range(mean.shape[1]):
            center[r, d] += size[v] * mean[v, d]
    for r in range(count):
        if nodes[r]:
            for d in range(mean.shape[1]):
                center[r, d] /= points[r]
    return points, center, nodes


@njit(**FAST)
def _offsets(degree):
    start = np.zeros(degree.shape[0] + 1, np.int32)
    for v in range(degree.shape[0]):
        start[v + 1] = start[v] + degree[v]
    return start


@njit(**FAST)
def border_links(edges, weights, region):
    """Adjacency (start, neighbor, weight) of the points that touch another region; all other rows are empty."""
    border = np.zeros(region.shape[0], np.bool_)
    for e in range(edges.shape[0]):
        if region[edges[e, 0]] != region[edges[e, 1]]:
            border[edges[e, 0]] = border[edges[e, 1]] = True
    degree = np.zeros(region.shape[0], np.int32)
    for e in range(edges.shape[0]):
        degree[edges[e, 0]] += border[edges[e, 0]]
        degree[edges[e, 1]] += border[edges[e, 1]]
    start = _offsets(degree)
    cursor = start[:-1].copy()
    neighbor = np.empty(start[-1], np.int32)
    weight = np.empty(start[-1], np.float32)
    for e in range(edges.shape[0]):
        for side in range(2):
            v = edges[e, side]
            if border[v]:
                neighbor[cursor[v]], weight[cursor[v]] = edges[e, 1 - side], weights[e]
                cursor[v] += 1
    return start, neighbor, weight


@njit(**FAST)
def _merge_parallel(start, neighbor, weight, place):
    """Add up the weights of repeated neighbors, in place; the shortened adjacency. `place`: -1 for every node there
    is."""
    count = start.shape[0] - 1
    filled, begin = 0, 0
    for r in range(count):
        base, end = filled, start[r + 1]
        for k in range(begin, end):
            s = neighbor[k]
            if place[s] < base:
                place[s] = filled
                neighbor[filled], weight[filled] = s, weight[k]
                filled += 1
            else:
                weight[place[s]] += weight[k]
        begin = end
        start[r + 1] = filled
    return start, neighbor[:filled].copy(), weight[:filled].copy()


@njit(**FAST)
def bundle(edges, weights, incoming, pull, mean, labels, base, count, first, last):
    """Of the graph of all regions of points, the rows of the regions base..base+count-1, whose points are
    first..last-1; the weights between two regions add up.

    edges (E, 2), weights (E,): those whose first end is among these points; incoming (K, 2), pull (K,): those of which
    only the second is.
    """
    degree = np.zeros(count, np.int32)
    for e in range(edges.shape[0]):
        a, b = labels[edges[e, 0]], labels[edges[e, 1]]
        if a != b:
            degree[a - base] += 1
            if b < base + count:
                degree[b - base] += 1
    for e in range(incoming.shape[0]):
        degree[labels[incoming[e, 1]] - base] += 1
    start = _offsets(degree)
    cursor = start[:-1].copy()
    neighbor = np.empty(start[-1], np.int32)
    weight = np.empty(start[-1], np.float32)
    for e in range(edges.shape[0]):
        a, b = labels[edges[e, 0]], labels[edges[e, 1]]
        if a != b:
            place = cursor[a - base]
            neighbor[place], weight[place] = b, weights[e]
            cursor[a - base] += 1
            if b < base + count:
                place = cursor[b - base]
                neighbor[place], weight[place] = a, weights[e]
                cursor[b - base] += 1
    for e in range(incoming.shape[0]):
        b = labels[incoming[e, 1]] - base
        neighbor[cursor[b]], weight[cursor[b]] = labels[incoming[e, 0]], pull[e]
        cursor[b] += 1
    ones = np.ones(labels.shape[0], np.float32)
    points, center, _ = summarize_part(ones, mean, labels, base, count, first, last)
    place = np.full(labels.max() + 1, -1, np.int32)
    start, neighbor, weight = _merge_parallel(start, neighbor, weight, place)
    return start, neighbor, weight, points, center


@njit(**FAST)
def contract(graph, labels, base, count, first, last):
    """Of the graph whose nodes are regions of a graph's nodes, the rows of the regions base..base+count-1, whose nodes
    are first..last-1."""
    start, neighbor, weight, size, mean = graph
    points, center, nodes = summarize_part(size, mean, labels, base, count, first, last)
    row = _offsets(nodes)
    cursor = row[:-1].copy()
    member = np.empty(last - first, np.int32)
    for v in range(first, last):
        r = labels[v] - base
        member[cursor[r]] = v
        cursor[r] += 1
    begin = np.zeros(count + 1, np.int32)
    other = np.empty(start[last] - start[first], np.int32)
    pull = np.empty(start[last] - start[first], np.float32)
    place = np.full(labels.max() + 1, -1, np.int32)
    filled = 0
    for r in range(count):
        opened = filled
        for m in range(row[r], row[r + 1]):
            for k in range(start[member[m]], start[member[m] + 1]):
                s = labels[neighbor[k]]
                if s == r + base:
                    continue
                if place[s] < opened:
                    place[s] = filled
                    other[filled], pull[filled] = s, weight[k]
                    filled += 1
                else:
                    pull[place[s]] += weight[k]
        begin[r + 1] = filled
    return begin, other[:filled].copy(), pull[:filled].copy(), points, center


def joined(parts):
    """One graph of those of consecutive rows."""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([0, *(p[0][-1] for p in parts)]).astype(np.int32)
    start = np.concatenate([ends[:1], *(p[0][1:] + e for p, e in zip(parts, ends, strict=False))])
    return start, *(np.concatenate([p[i] for p in parts]) for i in range(1, 5))


@njit(**FAST)
def scatter(size, mean, inside, labels, center):
    """Sum of squared distances to the mean within every region, `inside` (N,) that within its nodes; float64."""
    total = np.zeros(center.shape[0])
    for v in range(labels.shape[0]):
        total[labels[v]] += inside[v] + size[v] * squared_distance(mean, v, center, labels[v])
    return total


@njit(**FAST)
def border_weight(start, weight):
    """Weight of all edges that leave a node, float64."""
    total = np.zeros(start.shape[0] - 1)
    for v in range(total.shape[0]):
        for k in range(start[v], start[v + 1]):
            total[v] += weight[k]
    return total
