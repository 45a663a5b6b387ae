"""Steps that lower the l0 energy: fusing points, moving nodes between regions, absorbing small regions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels import region_graph
from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.region_graph import FAST, Block, RegionGraph, renumber, root, squared_distance

TOLERANCE = np.float32(1e-6)  # relative to the terms of a move: rounding must not make two regions swap a node forever
# Without checks for division by zero, numba has no reference counts to keep inside the loop over nodes.
UNCHECKED = {**FAST, "error_model": "numpy"}


class Forest(NamedTuple):
    """A union-find forest over H points; size (H,) and mean (H, D) float32 hold for roots."""

    parent: np.ndarray
    size: np.ndarray
    mean: np.ndarray


class _Options(NamedTuple):
    """The regions next to one node: region and weight of the edges to it; slot (S,) is the option of a region or -1."""

    region: np.ndarray
    weight: np.ndarray
    slot: np.ndarray


class _Queue(NamedTuple):
    """The nodes to visit in the next sweep, and whether a node of first..last-1 waits for a visit."""

    node: np.ndarray
    waiting: np.ndarray


@njit(**FAST)
def fuse(mean, edges, weights, regularization, first, last, forest):
    """Fuse the regions at both ends of an edge if its cost outweighs the scatter that this adds; one pass over edges.

    Cheap first step from single points. Reads and writes the points first..last-1 of the forest only; edges that reach
    `last` are skipped. Returns the number of regions left.
    """
    parent, size, center = forest
    count = last - first
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
        if size[a] * size[b] / joint * squared_distance(center, a, center, b) < regularization * weights[e]:
            parent[b] = a
            fraction = size[b] / joint
            for d in range(center.shape[1]):
                center[a, d] += fraction * (center[b, d] - center[a, d])
            size[a] = joint
            count -= 1
    return count


def move_all(graph: RegionGraph, labels: np.ndarray, count: int, regularization: float, sweeps: int) -> None:
    """Move the nodes of a graph between `count` regions, changing labels (N,) in place."""
    regions = region_graph.summarize(graph.size, graph.mean, labels, Block(0, len(labels), 0, count))
    move(graph, regions, np.float32(regularization), sweeps, False, 0, len(labels))


@njit(**UNCHECKED)
def move(graph, regions, regularization, sweeps, lazy, first, last):
    """Move nodes to the neighboring region that lowers the energy most, until none moves or after some sweeps.

    The first sweep visits all nodes, or with `lazy` those that are a region by themselves; later sweeps visit the
    neighbors of nodes that moved. Nodes outside first..last-1 are ignored, so that blocks can be worked on in parallel
    if no region has nodes in two of them. Nodes of region -1 stay there. The `Regions` change in place.
    """
    options = _make_options(graph, regions, first, last)
    queue = _Queue(np.empty(last - first, np.int32), np.ones(last - first, np.bool_))
    visit, spare = np.arange(first, last).astype(np.int32), np.empty(last - first, np.int32)
    pending = last - first
    for sweep in range(sweeps):
        following = 0
        for u in range(pending):
            v = visit[u]
            queue.waiting[v - first] = False
            home = regions.label[v]
            if home < 0 or (lazy and sweep == 0 and regions.nodes[home] > 1):
                continue
            # 1. Options: the regions next to the node, and the weight of its edges to them and into its own
            count, held = _collect_options(graph, regions.label, options, v, home, first, last)
            if count == 0:
                continue
            # 2. Gain: the region that lowers the energy most
            best = _best_option(graph, regions, options, count, held, v, regularization)
            if best < 0:
                continue
            # 3. Update: size, mean and nodes of the region left and of the one joined
            _reassign(graph, regions, v, best)
            # 4. Wake the neighbors, for the next sweep
            following = _wake_neighbors(graph, regions.label, queue, following, v, first, last)
        visit, spare = queue.node, visit
        queue = _Queue(spare, queue.waiting)
        pending = following


@njit(**FAST)
def _make_options(graph, regions, first, last):
    """Return room for the options of the node with the most neighbors."""
    widest = 0
    for v in range(first, last):
        widest = max(widest, graph.start[v + 1] - graph.start[v])
    slot = np.full(regions.size.shape[0], -1, np.int32)
    return _Options(np.empty(widest, np.int32), np.empty(widest, np.float32), slot)


@njit(**UNCHECKED, inline="always")
def _collect_options(graph, label, options, v, home, first, last):
    """Fill the options of node v; return their number and the weight of the edges into its own region."""
    count, held = 0, np.float32(0)
    for k in range(graph.start[v], graph.start[v + 1]):
        if not first <= graph.neighbor[k] < last:
            continue
        r = label[graph.neighbor[k]]
        if r == home:
            held += graph.weight[k]
        elif r < 0:
            continue
        elif options.slot[r] < 0:
            options.slot[r] = count
            options.region[count], options.weight[count] = r, graph.weight[k]
            count += 1
        else:
            options.weight[options.slot[r]] += graph.weight[k]
    return count, held


@njit(**UNCHECKED, inline="always")
def _best_option(graph, regions, options, count, held, v, regularization):
    """Return the region that node v should join, or -1 to stay; resets the slots of all options."""
    size, home = graph.size[v], regions.label[v]
    stay = regularization * held  # what leaving home costs
    if regions.nodes[home] > 1:
        rest = regions.size[home] - size
        stay -= size * regions.size[home] / rest * squared_distance(graph.mean, v, regions.mean, home)
    highest, best = np.float32(0), -1
    for o in range(count):
        r = options.region[o]
        options.slot[r] = -1
        bound = regularization * options.weight[o] - stay
        if bound <= highest:
            continue
        joint = size + regions.size[r]
        gain = bound - size * regions.size[r] / joint * squared_distance(graph.mean, v, regions.mean, r)
        if gain > highest and gain > TOLERANCE * regularization * (options.weight[o] + held):
            highest, best = gain, r
    return best


@njit(**UNCHECKED, inline="always")
def _reassign(graph, regions, v, best):
    """Move node v from its region to another one."""
    size, home = graph.size[v], regions.label[v]
    if regions.nodes[home] > 1:
        fraction = size / (regions.size[home] - size)
        for d in range(graph.mean.shape[1]):
            regions.mean[home, d] += fraction * (regions.mean[home, d] - graph.mean[v, d])
    fraction = size / (regions.size[best] + size)
    for d in range(graph.mean.shape[1]):
        regions.mean[best, d] += fraction * (graph.mean[v, d] - regions.mean[best, d])
    regions.size[home] -= size
    regions.size[best] += size
    regions.nodes[home] -= 1
    regions.nodes[best] += 1
    regions.label[v] = best


@njit(**UNCHECKED, inline="always")
def _wake_neighbors(graph, label, queue, following, v, first, last):
    """Queue the neighbors of node v that are in other regions and do not wait yet; return the queue's length."""
    home = label[v]
    for k in range(graph.start[v], graph.start[v + 1]):
        w = graph.neighbor[k]
        if first <= w < last and not queue.waiting[w - first] and label[w] != home:
            queue.waiting[w - first] = True
            queue.node[following] = w
            following += 1
    return following


def absorb_small(graph: RegionGraph, labels: np.ndarray, regularization: float, min_points: int) -> np.ndarray:
    """Join nodes of fewer than `min_points` points to neighbors until none with a neighbor is left."""
    while (graph.size < min_points).any():
        joined, count = absorb(graph, np.float32(regularization), np.float32(min_points))
        if count == len(graph.size):
            break
        labels = joined[labels]
        graph = region_graph.contract(graph, joined, Block(0, len(joined), 0, count))
    return labels


@njit(**FAST)
def absorb(graph, regularization, min_points):
    """Join small nodes to the neighbor that raises the energy least, one round; return labels and their number.

    A small node joins when that neighbor is large or prefers it in turn, so that a chain of small ones is not swallowed
    at once. Ties go to the lowest neighbor; then some pair always agrees, and a round without a join means that none is
    possible.
    """
    start, neighbor, weight, size, mean = graph
    count = size.shape[0]
    choice = np.full(count, -1, np.int32)
    for v in range(count):
        if size[v] >= min_points:
            continue
        lowest = np.float32(np.inf)
        for k in range(start[v], start[v + 1]):
            w = neighbor[k]
            added = size[v] * size[w] / (size[v] + size[w]) * squared_distance(mean, v, mean, w)
            rise = added - regularization * weight[k]
            if choice[v] < 0 or rise < lowest or (rise == lowest and w < choice[v]):
                lowest, choice[v] = rise, w
    labels = np.arange(count).astype(np.int32)
    for v in range(count):
        w = choice[v]
        if w >= 0 and (size[w] >= min_points or (choice[w] == v and w < v)):
            labels[v] = w
    return renumber(labels)
