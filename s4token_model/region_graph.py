"""Compiled kernels of the l0 partition: a weighted graph of regions, local moves on it, its contraction.

A graph of N nodes is the tuple (start, neighbor, weight, size, mean): the neighbours of node v are neighbor[start[v]:start[v + 1]] with the
weights of the same slice, every edge stored from both ends; size (N,) float32 counts the points a node stands for and mean (N, D) float32
is their mean feature, D a multiple of LANES so that distances become vector instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 8
TOLERANCE = np.float32(1e-6)  # of the terms of a move: rounding must not make two regions swap a node for ever

# Reassociation lets the compiler vectorise sums; NaN and infinity keep their meaning.
_compile = njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"}, inline="always")
def _squared_distance(a, i, b, j):
    total = np.float32(0)
    for block in range(0, a.shape[1], LANES):
        for lane in range(LANES):
            difference = a[i, block + lane] - b[j, block + lane]
            total += difference * difference
    return total


@_compile
def link(count, edges, weights):
    """Adjacency (start, neighbor, weight) of `count` nodes from undirected edges; None when an edge is not 0 <= i < j < count."""
    total = edges.shape[0]
    start = np.zeros(count + 1, np.int32)
    for e in range(total):
        i, j = edges[e, 0], edges[e, 1]
        if i < 0 or i >= j or j >= count:
            return None
        start[i + 1] += 1
        start[j + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    cursor = start[:-1].copy()
    neighbor = np.empty(2 * total, np.int32)
    weight = np.empty(2 * total, np.float32)
    for e in range(total):
        i, j = edges[e, 0], edges[e, 1]
        neighbor[cursor[i]], weight[cursor[i]] = j, weights[e]
        neighbor[cursor[j]], weight[cursor[j]] = i, weights[e]
        cursor[i] += 1
        cursor[j] += 1
    return start, neighbor, weight


@_compile
def summarize(size, mean, region, count):
    """Points, mean feature and number of nodes of every region."""
    points = np.zeros(count, np.float32)
    center = np.zeros((count, mean.shape[1]), np.float32)
    nodes = np.zeros(count, np.int32)
    for v in range(region.shape[0]):
        r = region[v]
        points[r] += size[v]
        nodes[r] += 1
        for d in range(mean.shape[1]):
            center[r, d] += size[v] * mean[v, d]
    for r in range(count):
        if nodes[r]:
            for d in range(mean.shape[1]):
                center[r, d] /= points[r]
    return points, center, nodes


@_compile
def move(graph, region, summary, strength, sweeps):
    """Move nodes to the neighbouring region that lowers the energy most, until nothing moves or after `sweeps`; returns the moves.

    `region` (N,) and `summary` (of `summarize`) change in place. The first sweep visits every node that has a foreign neighbour, later
    ones the neighbours of what moved.
    """
    start, neighbor, weight, size, mean = graph
    points, center, nodes = summary
    count = size.shape[0]
    widest = 0
    for v in range(count):
        widest = max(widest, start[v + 1] - start[v])
    target = np.empty(widest, np.int32)
    pull = np.empty(widest, np.float32)
    slot = np.full(points.shape[0], -1, np.int32)
    waiting = np.ones(count, np.bool_)
    visit = np.arange(count).astype(np.int32)
    upcoming = np.empty(count, np.int32)
    pending, moves = count, 0
    for _ in range(sweeps):
        following = 0
        for u in range(pending):
            v = visit[u]
            waiting[v] = False
            home = region[v]
            options = 0
            held = np.float32(0)
            for k in range(start[v], start[v + 1]):
                r = region[neighbor[k]]
                if r == home:
                    held += weight[k]
                elif slot[r] < 0:
                    slot[r] = options
                    target[options], pull[options] = r, weight[k]
                    options += 1
                else:
                    pull[slot[r]] += weight[k]
            if options == 0:
                continue
            own = size[v]
            stay = strength * held  # what leaving home costs
            if nodes[home] > 1:
                stay -= own * points[home] / (points[home] - own) * _squared_distance(mean, v, center, home)
            best, arg = np.float32(0), -1
            for o in range(options):
                r = target[o]
                slot[r] = -1
                bound = strength * pull[o] - stay
                if bound <= best:
                    continue
                gain = bound - own * points[r] / (own + points[r]) * _squared_distance(mean, v, center, r)
                if gain > best and gain > TOLERANCE * (strength * (pull[o] + held)):
                    best, arg = gain, r
            if arg < 0:
                continue
            if nodes[home] > 1:
                share = own / (points[home] - own)
                for d in range(mean.shape[1]):
                    center[home, d] += share * (center[home, d] - mean[v, d])
            share = own / (points[arg] + own)
            for d in range(mean.shape[1]):
                center[arg, d] += share * (mean[v, d] - center[arg, d])
            points[home] -= own
            points[arg] += own
            nodes[home] -= 1
            nodes[arg] += 1
            region[v] = arg
            moves += 1
            for k in range(start[v], start[v + 1]):
                w = neighbor[k]
                if not waiting[w] and region[w] != arg:
                    waiting[w] = True
                    upcoming[following] = w
                    following += 1
        visit, upcoming = upcoming, visit
        pending = following
        if pending == 0:
            break
    return moves


@_compile
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


@_compile
def split(start, neighbor, region):
    """Connected components of equal label, numbered in order of first appearance, and their number."""
    labels = np.full(region.shape[0], -1, np.int32)
    stack = np.empty(region.shape[0], np.int32)
    count = 0
    for seed in range(region.shape[0]):
        if labels[seed] >= 0:
            continue
        labels[seed] = count
        stack[0] = seed
        depth = 1
        while depth:
            depth -= 1
            v = stack[depth]
            for k in range(start[v], start[v + 1]):
                w = neighbor[k]
                if labels[w] < 0 and region[w] == region[seed]:
                    labels[w] = count
                    stack[depth] = w
                    depth += 1
        count += 1
    return labels, count


@_compile
def contract(graph, labels, count):
    """The graph whose nodes are the regions 0..count-1; weights between two regions add up."""
    start, neighbor, weight, size, mean = graph
    points, center, nodes = summarize(size, mean, labels, count)
    first = np.zeros(count + 1, np.int32)
    for r in range(count):
        first[r + 1] = first[r] + nodes[r]
    cursor = first[:-1].copy()
    member = np.empty(labels.shape[0], np.int32)
    for v in range(labels.shape[0]):
        member[cursor[labels[v]]] = v
        cursor[labels[v]] += 1
    begin = np.zeros(count + 1, np.int32)
    other = np.empty(neighbor.shape[0], np.int32)
    total = np.empty(neighbor.shape[0], np.float32)
    place = np.full(count, -1, np.int32)
    filled = 0
    for r in range(count):
        base = filled
        for m in range(first[r], first[r + 1]):
            v = member[m]
            for k in range(start[v], start[v + 1]):
                s = labels[neighbor[k]]
                if s == r:
                    continue
                if place[s] < base:
                    place[s] = filled
                    other[filled], total[filled] = s, weight[k]
                    filled += 1
                else:
                    total[place[s]] += weight[k]
        begin[r + 1] = filled
    return begin, other[:filled].copy(), total[:filled].copy(), points, center


@_compile
def absorb(graph, strength, min_points):
    """One round in which small nodes join the neighbour that raises the energy least; labels and their number.

    A small node joins when that neighbour is large or prefers it in turn, so a chain of small ones is not swallowed whole. Ties go to
    the lowest neighbour; equal scores then always leave some pair in agreement, so a round without a join means that none is possible.
    """
    start, neighbor, weight, size, mean = graph
    count = size.shape[0]
    choice = np.full(count, -1, np.int32)
    for v in range(count):
        if size[v] >= min_points:
            continue
        best = np.float32(np.inf)
        for k in range(start[v], start[v + 1]):
            w = neighbor[k]
            rise = size[v] * size[w] / (size[v] + size[w]) * _squared_distance(mean, v, mean, w) - strength * weight[k]
            if choice[v] < 0 or rise < best or (rise == best and w < choice[v]):
                best, choice[v] = rise, w
    region = np.arange(count).astype(np.int32)
    for v in range(count):
        w = choice[v]
        if w >= 0 and (size[w] >= min_points or (choice[w] == v and w < v)):
            region[v] = w
    return renumber(region)
