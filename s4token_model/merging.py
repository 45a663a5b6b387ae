"""The l0 partition by multilevel merging: our own solver of the generalised minimal partition energy (Sec. 3.2, App. A.1)."""

from __future__ import annotations

import numpy as np

from s4token_model import region_graph

# Nodes move between regions at these shares of the strength, each followed by a contraction: similar points find each other before the
# cut term pulls on everything. Ascending; ends at 1, the energy itself.
SCHEDULE = (0.1, 0.3, 1.0)
COARSE_SWEEPS = 1
FINE_SWEEPS = 3


def minimal_partition(
    features: np.ndarray, edges: np.ndarray, weights: np.ndarray, strength: float, min_points: int = 1
) -> np.ndarray:
    """Partition a graph so that features vary little inside a region and few edges are cut.

    Lowers E = sum_i ||f_i - mean(region of i)||^2 + strength * sum_ij w_ij [i and j in different regions].

    features: (H, F) float32, finite. edges: (E, 2) int32, undirected, unique, i < j. weights: (E,) float32 >= 0.
    strength: weight of the cut, >= 0. min_points: smaller regions join the neighbour that raises E least; one without a
    neighbour stays.

    Returns (H,) int32 labels 0..S-1, numbered by first appearance; every region is a connected part of the graph. Depends on the input
    (and its order) alone. Raises ValueError on shapes, values or edges that do not fit.
    """
    features, edges, weights = _checked(features, edges, weights, strength, min_points)
    if len(features) == 0:
        return np.zeros(0, np.int32)
    graph = _graph(features, edges, weights)
    region = _refine(*_coarsen(graph, strength, SCHEDULE), strength)
    labels, count = region_graph.split(graph[0], graph[1], region)
    maps, levels = _coarsen(region_graph.contract(graph, labels, count), strength, (1.0,))
    for coarser in maps:
        labels = coarser[labels]
    labels = _absorb(levels[-1], labels, strength, min_points)
    return region_graph.renumber(labels)[0]


def energy(features: np.ndarray, edges: np.ndarray, weights: np.ndarray, strength: float, labels: np.ndarray) -> float:
    """E of a partition, in float64; arguments and formula as in `minimal_partition`, labels (H,) integers >= 0."""
    features = np.asarray(features, np.float64)
    labels = np.asarray(labels)
    if len(labels) == 0:
        return 0.0
    size = np.bincount(labels)
    sums = np.stack([np.bincount(labels, column) for column in features.T], axis=1)
    means = sums / np.maximum(size, 1)[:, None]
    cut = labels[edges[:, 0]] != labels[edges[:, 1]]
    return float(((features - means[labels]) ** 2).sum() + strength * np.asarray(weights, np.float64)[cut].sum())


def _checked(features, edges, weights, strength, min_points):
    features = np.asarray(features, np.float32)
    edges = np.asarray(edges, np.int32)
    weights = np.asarray(weights, np.float32)
    if features.ndim != 2:
        raise ValueError(f"features must have shape (H, F), got {features.shape}")
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"edges must have shape (E, 2), got {edges.shape}")
    if weights.shape != edges.shape[:1]:
        raise ValueError(f"weights must have shape ({len(edges)},), one per edge, got {weights.shape}")
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


def _graph(features, edges, weights):
    links = region_graph.link(len(features), edges, weights)
    if links is None:
        raise ValueError(f"edges must be pairs 0 <= i < j < {len(features)}, the number of points")
    width = -(-features.shape[1] // region_graph.LANES) * region_graph.LANES
    mean = np.zeros((len(features), width), np.float32)
    mean[:, : features.shape[1]] = features
    return (*links, np.ones(len(features), np.float32), mean)


def _coarsen(graph, strength, schedule):
    """Graphs of ever larger regions, finest first, and the map from each to the next; no two regions of the last want to merge."""
    levels, maps = [graph], []
    steps = list(schedule)
    while steps:
        share = steps.pop(0)
        labels, count = _clustered(levels[-1], np.float32(share * strength))
        if count == len(levels[-1][3]):
            continue
        maps.append(labels)
        levels.append(region_graph.contract(levels[-1], labels, count))
        if not steps:
            steps.append(schedule[-1])
    return maps, levels


def _clustered(graph, strength):
    *_, size, mean = graph
    region = np.arange(len(size), dtype=np.int32)
    summary = (size.copy(), mean.copy(), np.ones(len(size), np.int32))
    region_graph.move(graph, region, summary, strength, COARSE_SWEEPS)
    return region_graph.renumber(region)


def _refine(maps, levels, strength):
    """Moves at every level, coarsest first: whole sub-regions change sides before single points do. Region of each point."""
    count = len(levels[-1][3])
    region = np.arange(count, dtype=np.int32)
    for labels, graph in zip(reversed(maps), reversed(levels[:-1]), strict=True):
        region = region[labels]
        summary = region_graph.summarize(graph[3], graph[4], region, count)
        region_graph.move(graph, region, summary, np.float32(strength), FINE_SWEEPS)
    return region


def _absorb(graph, labels, strength, min_points):
    while (graph[3] < min_points).any():
        joined, count = region_graph.absorb(graph, np.float32(strength), np.float32(min_points))
        if count == len(graph[3]):
            break
        labels = joined[labels]
        graph = region_graph.contract(graph, joined, count)
    return labels
