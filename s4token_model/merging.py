"""The l0 partition by multilevel merging, our own solver of the generalised minimal partition (Sec. 3.2, App. A.1).

Points fuse, then nodes move between regions and the graph of regions is contracted, at a rising strength and beyond the
wanted one. Of this hierarchy the cheapest cut is taken, which is exact; moves at every level, coarse to fine, a last
merging and the absorption of small regions follow.
"""

from __future__ import annotations

import numpy as np

from s4token_model import region_graph, region_moves

FUSE_SHARE = 0.1  # of the strength: near-equal points find each other before the cut term pulls on everything
# A low strength leaves more than MANY of the points: then more of the work is done by fusing and less by repeated
# sweeps, for a third of the time and half a percent of the energy.
MANY = 0.5
FUSE_SHARE_OF_MANY = 0.5
# Shares of the later levels. Those above 1 reach regions that no single merge at the strength itself leads to.
COARSE_SHARES = (0.3, 1.0, 3.0)
COARSE_SWEEPS = 2
REPEAT_BELOW = 0.7  # a level that shrank the graph below this share is repeated at the same strength
REGION_SWEEPS = 1
POINT_SWEEPS = 3


def minimal_partition(
    features: np.ndarray, edges: np.ndarray, weights: np.ndarray, strength: float, min_points: int = 1
) -> np.ndarray:
    """Partition a graph so that features vary little inside a region and few edges are cut.

    Lowers E = sum_i ||f_i - mean(region of i)||^2 + strength * sum_ij w_ij [i and j in different regions].

    features: (H, F) float32, finite. edges: (E, 2) int32, undirected, unique, i < j. weights: (E,) float32 >= 0.
    strength: weight of the cut, >= 0. min_points: smaller regions join the neighbour that raises E least; one without a
    neighbour stays.

    Returns (H,) int32 labels 0..S-1, numbered by first appearance; every region is a connected part of the graph.
    Depends on the input (and its order) alone. Raises ValueError on shapes, values or edges that do not fit.
    """
    features, edges, weights = _checked(features, edges, weights, strength, min_points)
    if len(features) == 0:
        return np.zeros(0, np.int32)
    mean = region_graph.center_and_pad(features)
    region = _descended(mean, edges, weights, strength)
    labels, count = region_graph.split(edges, region)
    graph = region_graph.bundle(edges, weights, mean, labels, count)
    maps, levels = _hierarchy(graph, strength, (1.0,), COARSE_SWEEPS, repeat_below=1.0)
    for coarser in maps:
        labels = coarser[labels]
    labels = _without_small(levels[-1], labels, strength, min_points)
    return region_graph.renumber(labels)[0]


def energy(features: np.ndarray, edges: np.ndarray, weights: np.ndarray, strength: float, labels: np.ndarray) -> float:
    """E of a partition, in float64; arguments and formula as in `minimal_partition`, labels (H,) integers >= 0."""
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


def _descended(mean, edges, weights, strength):
    """Region of every point after the hierarchy, its cheapest cut and the moves down to single points."""
    fused, count = region_moves.fuse(mean, edges, weights, np.float32(FUSE_SHARE * strength))
    sweeps, repeat_below = COARSE_SWEEPS, REPEAT_BELOW
    if count > MANY * len(mean):
        fused, count = region_moves.fuse(mean, edges, weights, np.float32(FUSE_SHARE_OF_MANY * strength))
        sweeps, repeat_below = 1, 0.5
    graph = region_graph.bundle(edges, weights, mean, fused, count)
    maps, levels = _hierarchy(graph, strength, COARSE_SHARES, sweeps, repeat_below)
    ones = np.ones(len(mean), np.float32)
    inside = region_graph.scatter(ones, mean, np.zeros(len(mean)), fused, graph[4])
    kept = _cheapest_cut(maps, levels, inside, strength)
    region, count = _refined(maps, levels, kept, strength)
    region = region[fused]
    links = region_graph.border_links(edges, weights, region)
    summary = region_graph.summarize(ones, mean, region, count)
    region_moves.move((*links, ones, mean), region, summary, np.float32(strength), POINT_SWEEPS, False)
    return region


def _hierarchy(graph, strength, shares, sweeps, repeat_below):
    """Graphs of ever larger regions, finest first, and the map from each to the next."""
    maps, levels = [], [graph]
    for share in shares:
        shrunk = 0.0
        while shrunk <= repeat_below:
            before = len(levels[-1][3])
            labels, count = _clustered(levels[-1], np.float32(share * strength), sweeps)
            if count == before:
                break
            maps.append(labels)
            levels.append(region_graph.contract(levels[-1], labels, count))
            shrunk = count / before
    return maps, levels


def _clustered(graph, strength, sweeps):
    *_, size, mean = graph
    region = np.arange(len(size), dtype=np.int32)
    summary = (size.copy(), mean.copy(), np.ones(len(size), np.int32))
    if region_moves.move(graph, region, summary, strength, sweeps, True) == 0:
        return region, len(size)
    return region_graph.renumber(region)


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
            region_moves.move(levels[level], region, summary, np.float32(strength), REGION_SWEEPS, False)
    return region, count


def _without_small(graph, labels, strength, min_points):
    while (graph[3] < min_points).any():
        joined, count = region_moves.absorb(graph, np.float32(strength), np.float32(min_points))
        if count == len(graph[3]):
            break
        labels = joined[labels]
        graph = region_graph.contract(graph, joined, count)
    return labels
