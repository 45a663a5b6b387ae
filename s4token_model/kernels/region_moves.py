"""Compiled kernels that lower the l0 energy: fusing points, moving nodes between regions, absorbing small regions."""

from __future__ import annotations

import numpy as np
from numba import njit

from s4token_model.kernels.region_graph import FAST, renumber, root, squared_distance

TOLERANCE = np.float32(1e-6)  # of the terms of a move: rounding must not make two regions swap a node for ever


@njit(**FAST)
def fuse(mean, edges, weights, strength, first, last, parent, size, center):
    """One pass over the edges that fuses the regions at both ends where this edge alone outweighs the spread it adds.

    Cheap first step from single points; only the points first..last-1 of the union-find forest `parent` (H,), `size`
    (H,) and `center` (H, D) are read and written, edges to others are passed over. How many regions are left of them.
    """
    left = last - first
    for v in range(first, last):
        parent[v], size[v] = v, 1
        for d in range(mean.shape[1]):
            center[v, d] = mean[v, d]
    for e in range(edges.shape[0]):
        if edges[e, 1] >= last:
            continue
        a, b = root(parent, edges[e, 0]), root(parent, edges[e, 1])
        if a == b:
            continue
        a, b = min(a, b), max(a, b)
        joint = size[a] + size[b]
        if size[a] * size[b] / joint * squared_distance(center, a, center, b) < strength * weights[e]:
            parent[b] = a
            share = size[b] / joint
            for d in range(center.shape[1]):
                center[a, d] += share * (center[b, d] - center[a, d])
            size[a] = joint
            left -= 1
    return left


@njit(**FAST)
def move(graph, region, summary, strength, sweeps, lazy, first, last):
    """Move the nodes first..last-1 to the neighboring region that lowers the energy most, for `sweeps` or until none
    moves; the moves made. Other nodes count as if of no region, so that disjoint stretches can be worked on at once
    while no region has nodes of two.

    `region` (N,) and `summary` (of `summarize`) change in place; nodes of region -1 stay out of it. The first sweep
    visits all nodes (`lazy`: those still alone), later ones the neighbors of what moved. One long function on purpose:
    handing this many arrays to compiled helpers was measurably slower.
    """
    start, neighbor, weight, size, mean = graph
    points, center, nodes = summary
    count = last - first
    widest = 0
    for v in range(first, last):
        widest = max(widest, start[v + 1] - start[v])
    target = np.empty(widest, np.int32)  # regions next to a node
    pull = np.empty(widest, np.float32)
    slot = np.full(points.shape[0], -1, np.int32)
    waiting = np.ones(count, np.bool_)
    visit = np.arange(first, last).astype(np.int32)
    upcoming = np.empty(count, np.int32)
    pending, moves = count, 0
    for sweep in range(sweeps):
        following = 0
        for u in range(pending):
            v = visit[u]
            waiting[v - first] = False
            home = region[v]
            if home < 0 or (lazy and sweep == 0 and nodes[home] > 1):
                continue
            options, held = 0, np.float32(0)
            for k in range(start[v], start[v + 1]):
                if not first <= neighbor[k] < last:
                    continue
                r = region[neighbor[k]]
                if r == home:
                    held += weight[k]
                elif r < 0:
                    continue
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
                stay -= own * points[home] / (points[home] - own) * squared_distance(mean, v, center, home)
            best, arg = np.float32(0), -1
            for o in range(options):
                r = target[o]
                slot[r] = -1
                bound = strength * pull[o] - stay
                if bound <= best:
                    continue
                gain = bound - own * points[r] / (own + points[r]) * squared_distance(mean, v, center, r)
                if gain > best and gain > TOLERANCE * strength * (pull[o] + held):
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
                if first <= w < last and not waiting[w - first] and region[w] != arg:
                    waiting[w - first] = True
                    upcoming[following] = w
                    following += 1
        visit, upcoming = upcoming, visit
        pending = following
    return moves


@njit(**FAST)
def absorb(graph, strength, min_points):
    """One round in which small nodes join the neighbor that raises the energy least; labels and their number.

    A small node joins when that neighbor is large or prefers it in turn, so a chain of small ones is not swallowed
    whole. Ties go to the lowest neighbor; equal scores then always leave some pair in agreement, so a round without a
    join means that none is possible.
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
            spread = size[v] * size[w] / (size[v] + size[w]) * squared_distance(mean, v, mean, w)
            rise = spread - strength * weight[k]
            if choice[v] < 0 or rise < best or (rise == best and w < choice[v]):
                best, choice[v] = rise, w
    region = np.arange(count).astype(np.int32)
    for v in range(count):
        w = choice[v]
        if w >= 0 and (size[w] >= min_points or (choice[w] == v and w < v)):
            region[v] = w
    return renumber(region)
