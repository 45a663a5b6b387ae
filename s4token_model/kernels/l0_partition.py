"""The l0 partition by multilevel merging, our own solver of the generalized minimal partition (Sec. 3.2, App. A.1).

Points fuse, then nodes move between regions and the graph of regions is contracted, at a rising strength and beyond the
wanted one. Of this hierarchy the cheapest cut is taken, which is exact; moves at every level, coarse to fine, a last
merging and the absorption of small regions follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from s4token_model.kernels import region_graph, region_moves
from s4token_model.kernels.parallel import parallel_for

FUSE_SHARE = 0.05  # of the strength: near-equal points find each other before the cut term pulls on everything
# A low strength leaves more than MANY of the points: then more of the work is done by fusing and less by repeated
# sweeps, for a third of the time and half a percent of the energy.
MANY = 0.6
FUSE_SHARE_OF_MANY = 0.5
# Of the levels: shares of the strength, those above 1 reach regions that no single merge at the strength itself leads
# to; sweeps; a level that shrank the graph below the last number is repeated at the same share.
OF_FEW = ((0.6, 1.0, 1.4), 4, 0.9)
OF_MANY = ((1.0, 3.0), 1, 0.7)
LAST = ((1.0,), 2, 1.0)
REGION_SWEEPS = 1
POINT_SWEEPS = 3
# Points are cut into stretches that are worked on at once as far as regions stay within them.
STRETCH = 25000
MOST_STRETCHES = 8
STRETCH_NODES = 8192  # a smaller graph is worked on as a whole


class Stretch(NamedTuple):
    """The points first..last-1 and the edges begin..end-1, those whose first end is among them."""

    first: int
    last: int
    begin: int
    end: int


def l0_partition(
    features: np.ndarray, edges: np.ndarray, weights: np.ndarray, strength: float, min_points: int = 1
) -> np.ndarray:
    """Partition a graph so that features vary little inside a region and few edges are cut.

    Lowers E = sum_i ||f_i - mean(region of i)||^2 + strength * sum_ij w_ij [i and j in different regions].

    features: (H, F) float32, finite. edges: (E, 2) int32, undirected, unique, i < j. weights: (E,) float32 >= 0.
    strength: weight of the cut, >= 0. min_points: smaller regions join the neighbor that raises E least; one without a
    neighbor stays.

    Returns (H,) int32 labels 0..S-1, numbered by first appearance; every region is a connected part of the graph.
    Depends on the input (and its order) alone. Raises ValueError on shapes, values or edges that do not fit.
    """
    features, edges, weights = _checked(features, edges, weights, strength, min_points)
    if len(features) == 0:
        return np.zeros(0, np.int32)
    mean = region_graph.center_and_pad(features)
    parts = _stretches(len(mean), edges)
    labels, count = _split(edges, _descended(mean, edges, weights, strength, parts), parts)
    whole, limits = [Stretch(0, len(mean), 0, len(edges))], np.array([0, count])
    graph = _bundled(mean, edges, weights, labels, limits, whole)
    maps, levels = _hierarchy(graph, strength, *LAST, limits)
    for coarser in maps:
        labels = coarser[labels]
    labels = _without_small(levels[-1], labels, strength, min_points)
    return region_graph.renumber(labels)[0]


def energy(features: np.ndarray, edges: np.ndarray, weights: np.ndarray, strength: float, labels: np.ndarray) -> float:
    """E of a partition, in float64; arguments and formula as in `l0_partition`, labels (H,) integers >= 0."""
    features = np.asarray(features, np.float64)
    labels = np.asarray(labels)
    if len(labels) == 0:
        return 0.0
    size = np.maximum(np.bincount(labels), 1)
    spread = 0.0
    for column in features.T:
        mean = np.bincount(labels, column) / size
        spread += float(((column - mean[labels]) ** 2).sum())
    cut = labels[edges[:, 0]] != labels[edges[:, 1]]
    return spread + float(strength * np.asarray(weights, np.float64)[cut].sum())


def _checked(features, edges, weights, strength, min_points):
    features = np.ascontiguousarray(features, np.float32)
    edges = np.ascontiguousarray(edges, np.int32)
    weights = np.ascontiguousarray(weights, np.float32)
    if features.ndim != 2:
        raise ValueError(f"features must have shape (H, F), got {features.shape}")
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"edges must have shape (E, 2), got {edges.shape}")
    if weights.shape != edges.shape[:1]:
        raise ValueError(f"weights must have shape ({len(edges)},), one per edge, got {weights.shape}")
    if not region_graph.valid(edges, len(features)):
        raise ValueError(f"edges must be pairs 0 <= i < j < {len(features)}, the number of points")
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise ValueError(f"features of point {row} are not finite: {features[row]}; leave such points out")
    if len(weights) and not (weights.min() >= 0 and np.isfinite(weights.max())):
        raise ValueError(f"weights must be finite and >= 0, got {weights.min()} to {weights.max()}")
    if not (np.isfinite(strength) and strength >= 0):
        raise ValueError(f"strength must be finite and >= 0, got {strength}")
    if min_points < 1:
        raise ValueError(f"min_points must be at least 1, got {min_points}")
    return features, edges, weights


def _stretches(count: int, edges: np.ndarray) -> list[Stretch]:
    """Cut the points into stretches, whatever the number of processors. Points near each other in the graph should be
    near in their order, else nearly all edges cross."""
    parts = max(1, min(MOST_STRETCHES, count // STRETCH)) if region_graph.ascending(edges) else 1
    limits = np.linspace(0, count, parts + 1).astype(np.int64)
    bounds = np.searchsorted(edges[:, 0], limits) if parts > 1 else np.array([0, len(edges)])
    return [Stretch(*map(int, row)) for row in zip(limits[:-1], limits[1:], bounds[:-1], bounds[1:], strict=True)]


def _each(work: Callable[[int], Any], count: int) -> list[Any]:
    """[work(0), work(1), ...], in threads."""
    results = [None] * count

    def some(begin: int, end: int) -> None:
        for part in range(begin, end):
            results[part] = work(part)

    parallel_for(some, count, 1)
    return results


def _descended(mean, edges, weights, strength, parts):
    """Region of every point after the hierarchy, its cheapest cut and the moves down to single points."""
    fused, limits, many = _fused(mean, edges, weights, strength, parts)
    graph = _bundled(mean, edges, weights, fused, limits, parts)
    shares, sweeps, repeat_below = OF_MANY if many else OF_FEW
    maps, levels = _hierarchy(graph, strength, shares, sweeps, repeat_below, limits)
    ones = np.ones(len(mean), np.float32)
    inside = region_graph.scatter(ones, mean, np.zeros(len(mean)), fused, graph[4])
    kept = _cheapest_cut(maps, levels, inside, strength)
    region, count = _refined(maps, levels, kept, strength)
    region = region[fused]
    links = region_graph.border_links(edges, weights, region)
    summary = region_graph.summarize(ones, mean, region, count)
    _move((*links, ones, mean), region, summary, strength, POINT_SWEEPS, False)
    return region


def _fused(mean, edges, weights, strength, parts):
    """Labels (H,) of the first regions, numbered through the stretches, the first label of each stretch, and whether
    they are MANY."""
    forest = np.empty(len(mean), np.int32), np.empty(len(mean), np.float32), np.empty_like(mean)
    labels = np.empty(len(mean), np.int32)

    def fuse(part: int, share: float, first: int, last: int) -> int:
        begin, end = parts[part].begin, parts[part].end
        if last < parts[part].last:
            end = begin + int(np.searchsorted(edges[begin:end, 0], last))
        step = np.float32(share * strength)
        return region_moves.fuse(mean, edges[begin:end], weights[begin:end], step, first, last, *forest)

    def probe(part: int) -> int:
        return fuse(part, FUSE_SHARE, parts[part].first, tried[part])

    def whole(part: int) -> int:
        if many or tried[part] < parts[part].last:
            fuse(part, FUSE_SHARE_OF_MANY if many else FUSE_SHARE, parts[part].first, parts[part].last)
        return region_graph.roots_to_labels(forest[0], parts[part].first, parts[part].last, labels, 0)

    # A quarter of every stretch tells of the rest.
    tried = [p.first + (p.last - p.first) // 4 if len(parts) > 1 else p.last for p in parts]
    left = sum(_each(probe, len(parts)))
    many = left > MANY * sum(stop - p.first for stop, p in zip(tried, parts, strict=True))
    limits = np.cumsum([0, *_each(whole, len(parts))])
    for part, base in zip(parts[1:], limits[1:-1], strict=True):
        labels[part.first : part.last] += np.int32(base)
    return labels, limits, many


def _bundled(mean, edges, weights, labels, limits, parts):
    """The graph of regions of points that do not reach beyond their stretch; limits, the first region of each."""
    across = [region_graph.crossing(edges[p.begin : p.end], p.last) + p.begin for p in parts]
    beyond = np.concatenate(across)
    target = edges[beyond, 1]

    def rows(part: int):
        first, last, begin, end = parts[part]
        own = beyond[(target >= first) & (target < last)]
        given = (edges[begin:end], weights[begin:end], edges[own], weights[own], mean, labels)
        return region_graph.bundle(*given, limits[part], limits[part + 1] - limits[part], first, last)

    return region_graph.joined(_each(rows, len(parts)))


def _hierarchy(graph, strength, shares, sweeps, repeat_below, limits):
    """Graphs of ever larger regions, finest first, and the map from each to the next. While there are many nodes,
    those between two of `limits` are worked on by themselves."""
    maps, levels = [], [graph]
    for share in shares:
        shrunk = 0.0
        while shrunk <= repeat_below:
            before = len(levels[-1][3])
            if before < STRETCH_NODES:
                limits = limits[[0, -1]]
            labels, limits = _clustered(levels[-1], share * strength, sweeps, limits)
            if limits[-1] == before:
                break
            maps.append(labels[0])
            levels.append(_contracted(levels[-1], *labels, limits))
            shrunk = limits[-1] / before
    return maps, levels


def _clustered(graph, strength, sweeps, limits):
    """((labels, limits of the nodes), first label of each stretch)."""
    *_, size, mean = graph
    region = np.arange(len(size), dtype=np.int32)
    summary = (size.copy(), mean.copy(), np.ones(len(size), np.int32))

    def move(part: int) -> int:
        first, last = int(limits[part]), int(limits[part + 1])
        region_moves.move(graph, region, summary, np.float32(strength), sweeps, True, first, last)
        own = region[first:last]
        own[:], count = region_graph.renumber(own - np.int32(first)) if last > first else (own, 0)
        return count

    counts = np.cumsum([0, *_each(move, len(limits) - 1)])
    for part, base in enumerate(counts[:-1]):
        region[limits[part] : limits[part + 1]] += np.int32(base)
    return (region, limits), counts


def _contracted(graph, labels, nodes, limits):
    def rows(part: int):
        span = limits[part], limits[part + 1] - limits[part], int(nodes[part]), int(nodes[part + 1])
        return region_graph.contract(graph, labels, *span)

    return region_graph.joined(_each(rows, len(limits) - 1))


def _move(graph, region, summary, strength, sweeps, lazy):
    return region_moves.move(graph, region, summary, np.float32(strength), sweeps, lazy, 0, len(region))


def _split(edges, region, parts):
    """Connected components of equal `region`, as labels in order of first appearance, and their number."""
    parent = np.arange(len(region), dtype=np.int32)
    _each(lambda p: region_graph.unite(edges[parts[p].begin : parts[p].end], region, parent, parts[p].last), len(parts))
    for p in parts[:-1]:
        part = edges[p.begin : p.end]
        region_graph.unite(part[region_graph.crossing(part, p.last)], region, parent, len(region))
    labels = np.empty(len(region), np.int32)
    return labels, region_graph.roots_to_labels(parent, 0, len(region), labels, 0)


def _cheapest_cut(maps, levels, inside, strength):
    """Which nodes of every level cost no more as one region than the best split of what they consist of.

    E is the sum over regions of their scatter and half the weight of their border, so the best cut of the tree follows
    from the leaves up. `inside` is the scatter within the finest nodes, which are never split.
    """
    half = 0.5 * strength
    cheapest = inside + half * region_graph.border_weight(*levels[0][:3:2])
    kept = [np.ones(len(cheapest), bool)]
    for labels, fine, coarse in zip(maps, levels[:-1], levels[1:], strict=True):
        inside = region_graph.scatter(fine[3], fine[4], inside, labels, coarse[4])
        whole = inside + half * region_graph.border_weight(*coarse[:3:2])
        parts = np.bincount(labels, cheapest, minlength=len(whole))
        kept.append(whole <= parts)
        cheapest = np.minimum(whole, parts)
    return kept


def _refined(maps, levels, kept, strength):
    """Regions of the finest nodes: the cut, improved by moves at every level, whole sub-regions before their parts."""
    region, count = np.full(len(levels[-1][3]), -1, np.int32), 0
    for level in reversed(range(len(levels))):
        if level < len(maps):
            region = region[maps[level]]
        opened = np.flatnonzero(kept[level] & (region < 0))
        region[opened] = np.arange(count, count + len(opened), dtype=np.int32)
        count += len(opened)
        if level < len(maps):
            size, mean = levels[level][3:]
            summary = region_graph.summarize(size, mean, region, count)
            _move(levels[level], region, summary, strength, REGION_SWEEPS, False)
    return region, count


def _without_small(graph, labels, strength, min_points):
    while (graph[3] < min_points).any():
        joined, count = region_moves.absorb(graph, np.float32(strength), np.float32(min_points))
        if count == len(graph[3]):
            break
        labels = joined[labels]
        graph = region_graph.contract(graph, joined, 0, count, 0, len(joined))
    return labels
