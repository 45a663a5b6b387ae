"""The l0 partition as operations on whole tensors, for CUDA devices; the same energy and steps as `merging`.

Pairs of regions that are each other's best partner merge, all at once and round after round, at a rising strength; then
points move between regions where E falls. There is no loop over regions, only over rounds. Runs on CPU tensors too,
which is how it is tested without a GPU.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# Of the strength. Shares above 1 reach regions that no single merge at the strength itself leads to; the best is kept.
SHARES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
MOVES = 8  # rounds in which points change their region
TOLERANCE = 1e-6  # of the terms of a move


class Graph(NamedTuple):
    """Regions and the edges between them: ends (E, 2) int64, each pair once; weight (E,); size (N,); mean (N, F)."""

    ends: Tensor
    weight: Tensor
    size: Tensor
    mean: Tensor


def partition_arrays(features: np.ndarray, edges: np.ndarray, strength: float, least: int, device: str) -> np.ndarray:
    """`l0_partition` of arrays on the host with unit weights: one upload, one answer, (H,) int32."""
    points, ends = torch.from_numpy(features).to(device), torch.from_numpy(edges).to(device)
    weights = torch.ones(len(ends), device=points.device)
    return l0_partition(points, ends, weights, strength, least).to(torch.int32).cpu().numpy()


def l0_partition(features: Tensor, edges: Tensor, weights: Tensor, strength: float, min_points: int = 1) -> Tensor:
    """Labels (H,) int64 in 0..S-1 of connected regions that make E small, in order of their first point.

    features (H, F) finite float; edges (E, 2) integer, undirected, unique, i < j; weights (E,) >= 0; strength >= 0;
    regions below min_points join the neighbor that raises E least.
    """
    if len(features) == 0:
        return torch.zeros(0, dtype=torch.int64, device=features.device)
    points = features.float() - features.float().mean(dim=0)
    size = torch.ones(len(points), device=points.device)
    finest = Graph(edges.long(), weights.float(), size, points)
    labels, graph = torch.arange(len(points), device=points.device), finest
    reached, found = np.inf, labels
    for share in SHARES:
        labels, graph = _merged(graph, labels, share * strength)
        if share >= 1 and (lowered := energy(finest, labels, strength)) < reached:
            reached, found = lowered, labels
    labels = _components(finest.ends, _moved(finest, found, strength))
    labels, graph = _merged(_contracted(finest, labels), labels, strength)
    labels = _without_small(graph, labels, strength, min_points)
    return _numbered(labels)


def energy(finest: Graph, labels: Tensor, strength: float) -> float:
    """E of a partition of single points, in float64."""
    count = int(labels.max()) + 1
    mean = _sums(finest.mean.double(), labels, count) / labels.bincount(minlength=count).unsqueeze(1)
    spread = ((finest.mean.double() - mean[labels]) ** 2).sum()
    cut = labels[finest.ends[:, 0]] != labels[finest.ends[:, 1]]
    return float(spread + strength * finest.weight.double()[cut].sum())


def _sums(values: Tensor, labels: Tensor, count: int) -> Tensor:
    return values.new_zeros((count, *values.shape[1:])).index_add_(0, labels, values)


def _merged(graph: Graph, labels: Tensor, strength: float) -> tuple[Tensor, Graph]:
    """Merge best pairs until no merge lowers E; the labels of the points follow."""
    while len(graph.ends):
        pairs = graph.ends[_best_pairs(graph.ends, _gains(graph, strength), len(graph.size))]
        if len(pairs) == 0:
            break
        target = torch.arange(len(graph.size), device=labels.device)
        target[pairs[:, 1]] = pairs[:, 0]
        labels, graph = _joined(graph, labels, target)
    return labels, graph


def _gains(graph: Graph, strength: float) -> Tensor:
    """By how much E falls when the two regions of an edge become one."""
    a, b = graph.ends.T
    apart = ((graph.mean[a] - graph.mean[b]) ** 2).sum(dim=1)
    return strength * graph.weight - graph.size[a] * graph.size[b] / (graph.size[a] + graph.size[b]) * apart


def _best_pairs(ends: Tensor, gains: Tensor, count: int) -> Tensor:
    """Numbers of the edges with a gain that are the best of both their ends, of equal ones the first: a matching."""
    choice = _choice(ends, gains, count)
    number = torch.arange(len(ends), device=ends.device)
    return ((choice[ends] == number.unsqueeze(1)).all(dim=1) & (gains > 0)).nonzero().squeeze(1)


def _choice(ends: Tensor, gains: Tensor, count: int) -> Tensor:
    """The best edge of every node (N,), len(ends) where it has none."""
    both, twice = ends.T.reshape(-1), gains.repeat(2)
    best = gains.new_full((count,), -torch.inf).scatter_reduce_(0, both, twice, "amax")
    number = torch.arange(len(ends), device=ends.device).repeat(2)
    number = torch.where(twice == best[both], number, len(ends))
    return number.new_full((count,), len(ends)).scatter_reduce_(0, both, number, "amin")


def _joined(graph: Graph, labels: Tensor, target: Tensor) -> tuple[Tensor, Graph]:
    """The graph in which every node is part of node target (N,), itself a target."""
    kept = target == torch.arange(len(target), device=target.device)
    fresh = (kept.cumsum(0) - 1)[target]
    return fresh[labels], _contracted(graph, fresh)


def _contracted(graph: Graph, labels: Tensor) -> Graph:
    """The graph of the regions `labels` (N,) of a graph's nodes."""
    count = int(labels.max()) + 1
    size = _sums(graph.size, labels, count)
    mean = (_sums(graph.size.unsqueeze(1) * graph.mean, labels, count) / size.unsqueeze(1)).float()
    ends = labels[graph.ends].sort(dim=1).values
    outer = ends[:, 0] != ends[:, 1]
    keys, place = (ends[outer, 0] * count + ends[outer, 1]).unique(return_inverse=True)
    ends = torch.stack([keys // count, keys % count], dim=1)
    return Graph(ends, _sums(graph.weight[outer], place, len(keys)), size, mean)


def _moved(finest: Graph, labels: Tensor, strength: float) -> Tensor:
    """Labels after points moved to the neighboring region that lowers E most; no two neighbors move at once."""
    reached = energy(finest, labels, strength)
    for _ in range(MOVES):
        gain, target = _best_moves(finest, labels, strength)
        rivals = finest.ends[(gain[finest.ends] > 0).all(dim=1)]
        going = gain > 0
        going[torch.where(gain[rivals[:, 0]] >= gain[rivals[:, 1]], rivals[:, 1], rivals[:, 0])] = False
        moved = torch.where(going, target, labels)
        lowered = energy(finest, moved, strength)
        if not lowered < reached:
            break
        labels, reached = moved, lowered
    return labels


def _best_moves(finest: Graph, labels: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """By how much E falls when a point moves to its best neighboring region (H,), and that region (H,)."""
    count = int(labels.max()) + 1
    size = labels.bincount(minlength=count).float()
    mean = _sums(finest.mean, labels, count) / size.clamp(min=1).unsqueeze(1)
    source, other = torch.cat([finest.ends, finest.ends.flip(1)]).T
    keys, place = (source * count + labels[other]).unique(return_inverse=True)
    pull = _sums(finest.weight.repeat(2), place, len(keys))
    point, region = keys // count, keys % count
    own = labels[point] == region
    held = finest.weight.new_zeros(len(labels)).index_put_((point[own],), pull[own])
    point, region, pull = point[~own], region[~own], pull[~own]
    home, features = labels[point], finest.mean[point]
    leave = size[home] / (size[home] - 1).clamp(min=1) * ((features - mean[home]) ** 2).sum(dim=1)
    join = size[region] / (size[region] + 1) * ((features - mean[region]) ** 2).sum(dim=1)
    gain = strength * (pull - held[point]) + leave * (size[home] > 1) - join
    gain = torch.where(gain > TOLERANCE * strength * (pull + held[point]), gain, -torch.inf)
    best = gain.new_full((len(labels),), -torch.inf).scatter_reduce_(0, point, gain, "amax")
    chosen = torch.where(gain == best[point], region, count)
    return best, labels.new_full((len(labels),), count).scatter_reduce_(0, point, chosen, "amin")


def _components(ends: Tensor, labels: Tensor) -> Tensor:
    """Connected parts of equal labels, 0..S-1: the lowest point of each spreads."""
    inner = ends[labels[ends[:, 0]] == labels[ends[:, 1]]]
    lowest = torch.arange(len(labels), device=labels.device)
    while True:
        near = torch.minimum(lowest[inner[:, 0]], lowest[inner[:, 1]])
        spread = lowest.scatter_reduce(0, lowest[inner].T.reshape(-1), near.repeat(2), "amin")
        spread = torch.minimum(spread, spread[spread])
        spread = spread[spread]
        if torch.equal(spread, lowest):
            return _numbered(lowest)
        lowest = spread


def _without_small(graph: Graph, labels: Tensor, strength: float, least: int) -> Tensor:
    """Regions below `least` points join the neighbor that raises E least: a large one, or one that prefers them."""
    while len(graph.ends) and bool((graph.size < least).any()):
        choice = _choice(graph.ends, _gains(graph, strength), len(graph.size))
        node = torch.arange(len(choice), device=labels.device)
        reached = choice < len(graph.ends)
        ends = graph.ends[choice.clamp(max=len(graph.ends) - 1)]
        partner = torch.where(ends[:, 0] == node, ends[:, 1], ends[:, 0])
        small = (graph.size < least) & reached
        mutual = (choice[partner] == choice) & small[partner] & (partner > node)
        agreed = (graph.size[partner] >= least) | (choice[partner] == choice)
        target = torch.where(small & ~mutual & agreed, partner, node)
        if torch.equal(target, node):
            break
        labels, graph = _joined(graph, labels, target)
    return labels


def _numbered(labels: Tensor) -> Tensor:
    """Labels 0..S-1 in order of first appearance."""
    values, place = labels.unique(return_inverse=True)
    number = torch.arange(len(labels), device=labels.device)
    first = number.new_full((len(values),), len(labels)).scatter_reduce_(0, place, number, "amin")
    rank = torch.empty_like(first)
    rank[first.argsort()] = torch.arange(len(first), device=labels.device)
    return rank[place]
