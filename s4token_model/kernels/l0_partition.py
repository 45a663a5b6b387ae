"""The l0 partition by multilevel merging, our solver of the generalized minimal partition (Sec. 3.2, App. A.1).

Nearly equal points are fused first. Then nodes move between regions, and every region becomes a node of the next graph,
at a regularization that rises beyond the wanted one. The cheapest cut through this hierarchy is found exactly; moves at
every level, coarse to fine, a last merging and the absorption of small regions follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from s4token_model.kernels import edge_lists, region_graph, region_moves
from s4token_model.kernels.edge_lists import EdgeList
from s4token_model.kernels.parallel import parallel_map
from s4token_model.kernels.region_graph import Block, RegionGraph, Regions
from s4token_model.kernels.region_moves import Forest


class Schedule(NamedTuple):
    """How to build a hierarchy: a level at each factor of the regularization, by so many sweeps of moves.

    A factor above 1 reaches regions to which no single merge at the regularization itself leads. A level that shrinks
    the graph below the fraction `repeat_below` is followed by another one at the same factor.
    """

    factors: tuple[float, ...]
    sweeps: int
    repeat_below: float


COARSE_SCHEDULE = Schedule((0.6, 1.0, 1.4), 4, 0.9)
FINE_SCHEDULE = Schedule((1.0, 3.0), 1, 0.7)
FINAL_SCHEDULE = Schedule((1.0,), 2, 1.0)
FUSE_FRACTION = 0.05  # of the regularization, so that only nearly equal points fuse
# A low regularization leaves more than FINE_RATIO of the points unfused. Then stronger fusion and fewer sweeps save
# most of the time and hardly raise the energy.
FINE_RATIO = 0.6
FINE_FUSE_FRACTION = 0.5
REGION_SWEEPS = 1
POINT_SWEEPS = 3
# Chunks of points are worked on in parallel, as long as regions do not cross from one to another.
CHUNK_POINTS = 25000
MAX_CHUNKS = 8
MIN_CHUNKED_NODES = 8192  # smaller graphs are worked on as a whole


class Chunk(NamedTuple):
    """The points first..last-1 and the edges begin..end-1, whose first end is one of them."""

    first: int
    last: int
    begin: int
    end: int


class Points(NamedTuple):
    """The problem: mean (H, D) float32 centered and padded features, edges (E, 2) int32, weights (E,) float32."""

    mean: np.ndarray
    edges: np.ndarray
    weights: np.ndarray

    def edges_of(self, chunk: Chunk) -> EdgeList:
        """The edges of a chunk."""
        return EdgeList(self.edges[chunk.begin : chunk.end], self.weights[chunk.begin : chunk.end])


class Hierarchy(NamedTuple):
    """Graphs of ever larger regions, finest first; maps[i] (N_i,) gives the node of levels[i + 1] that holds a node."""

    levels: list[RegionGraph]
    maps: list[np.ndarray]


def l0_partition(
    features: np.ndarray, edges: np.ndarray, weights: np.ndarray, regularization: float, min_points: int = 1
) -> np.ndarray:
    """Partition a graph so that features vary little inside a region and few edges are cut.

    Lowers E = sum_i ||f_i - mean(region of i)||^2 + regularization * sum_ij w_ij [i and j in different regions].
    The result depends on nothing but the input and its order. It is found faster if neighbors are close in that order.

    features (H, F) float32, edges (E, 2) int32 unique with i < j, sorted ones are solved in parallel, weights (E,)
    float32 >= 0 -> (H,) int32 labels 0..S-1, numbered by first appearance; every region is connected in the graph.
    Regions of fewer than `min_points` join the neighbor that raises E least; one without a neighbor stays.
    """
    features, edges, weights, ascending = _checked(features, edges, weights, regularization, min_points)
    if len(features) == 0:
        return np.zeros(0, np.int32)
    points = Points(region_graph.center_and_pad(features), edges, weights)
    chunks = _make_chunks(len(features), edges, ascending)
    # 1. Merge bottom up, cut the hierarchy and move nodes between regions, from coarse to fine
    labels = _solve_multilevel(points, regularization, chunks)
    # 2. Split what moves have torn apart, and merge again
    labels, count = _split(edges, labels, chunks)
    graph = _graph_of_points(points, labels, chunks, [Block(0, len(features), 0, count)])
    levels, maps = _build_hierarchy(graph, regularization, FINAL_SCHEDULE, [0, count])
    for coarser in maps:
        labels = coarser[labels]
    # 3. Absorb small regions
    labels = region_moves.absorb_small(levels[-1], labels, regularization, min_points)
    return region_graph.renumber(labels)[0]


def l0_energy(
    features: np.ndarray, edges: np.ndarray, weights: np.ndarray, regularization: float, labels: np.ndarray
) -> float:
    """Return E of a partition, in float64; arguments as of `l0_partition`, labels (H,) integers >= 0."""
    labels, scatter = np.asarray(labels), 0.0
    size = np.maximum(np.bincount(labels), 1)
    for column in np.asarray(features, np.float64).T:
        mean = np.bincount(labels, column) / size
        scatter += float(((column - mean[labels]) ** 2).sum())
    cut = labels[edges[:, 0]] != labels[edges[:, 1]]
    return scatter + float(regularization * np.asarray(weights, np.float64)[cut].sum())


def _checked(features, edges, weights, regularization, min_points):
    features, weights = (np.ascontiguousarray(array, np.float32) for array in (features, weights))
    edges = np.ascontiguousarray(edges, np.int32)
    if features.ndim != 2:
        raise ValueError(f"features must have shape (H, F), got {features.shape}")
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"edges must have shape (E, 2), got {edges.shape}")
    if weights.shape != edges.shape[:1]:
        raise ValueError(f"weights must have shape ({len(edges)},), one per edge, got {weights.shape}")
    valid, ascending = edge_lists.check(edges, len(features))
    if not valid:
        raise ValueError(f"edges must be pairs 0 <= i < j < {len(features)}, the number of points")
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise ValueError(f"features of point {row} are not finite: {features[row]}; leave such points out")
    if len(weights) and not (weights.min() >= 0 and np.isfinite(weights.max())):
        raise ValueError(f"weights must be finite and >= 0, got {weights.min()} to {weights.max()}")
    if not (np.isfinite(regularization) and regularization >= 0):
        raise ValueError(f"regularization must be finite and >= 0, got {regularization}")
    if min_points < 1:
        raise ValueError(f"min_points must be at least 1, got {min_points}")
    return features, edges, weights, ascending


def _make_chunks(count: int, edges: np.ndarray, ascending: bool) -> list[Chunk]:
    """Cut the points into chunks, if edges are sorted; the result depends on their number, so processors must not."""
    chunks = max(1, min(MAX_CHUNKS, count // CHUNK_POINTS)) if ascending else 1
    limits = np.linspace(0, count, chunks + 1).astype(np.int64).tolist()
    bounds = [*(edge_lists.first_edge(edges, 0, len(edges), limit) for limit in limits[:-1]), len(edges)]
    return list(map(Chunk, limits[:-1], limits[1:], bounds[:-1], bounds[1:]))


def _crossing_edges(edges: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Indices of the edges that begin in a chunk and end in a later one."""
    return chunk.begin + np.flatnonzero(edges[chunk.begin : chunk.end, 1] >= chunk.last)


def _solve_multilevel(points: Points, regularization: float, chunks: list[Chunk]) -> np.ndarray:
    """Return labels (H,) of regions of low energy, some of them not connected."""
    # 1. Fuse nearly equal points; each group of them is a node of the finest graph
    fused, blocks, schedule = _fuse(points, regularization, chunks)
    finest = _graph_of_points(points, fused, chunks, blocks)
    # 2. Merge nodes level by level, then take the cheapest cut through the hierarchy
    hierarchy = _build_hierarchy(finest, regularization, schedule, [0, *(b.base + b.count for b in blocks)])
    kept = _cheapest_cut(points, fused, blocks, hierarchy, regularization)
    # 3. Move nodes between regions, coarse to fine, and finally single points
    labels, count = _refine(hierarchy, kept, regularization)
    labels = labels[fused]
    border = region_graph.border_graph([points.edges_of(chunk) for chunk in chunks], points.mean, labels)
    region_moves.move_all(border, labels, count, regularization, POINT_SWEEPS)
    return labels


def _fuse(points: Points, regularization: float, chunks: list[Chunk]) -> tuple[np.ndarray, list[Block], Schedule]:
    """Return labels (H,) of groups of nearly equal points, those of each chunk, and the schedule to go on with."""
    mean, labels = points.mean, np.empty(len(points.mean), np.int32)
    forest = Forest(np.empty_like(labels), np.empty(len(mean), np.float32), np.empty_like(mean))
    fuse = partial(_fuse_chunk, points, forest)
    # 1. Try on a quarter of every chunk, to see how much fuses
    weak, ends = FUSE_FRACTION * regularization, [c.last for c in chunks]
    trial = ends if len(chunks) == 1 else [c.first + (c.last - c.first) // 4 for c in chunks]
    left = sum(parallel_map(partial(fuse, weak), chunks, trial))
    is_fine = left > FINE_RATIO * sum(last - c.first for c, last in zip(chunks, trial, strict=True))
    # 2. Fuse all points, unless that is done
    if is_fine or len(chunks) > 1:
        parallel_map(partial(fuse, FINE_FUSE_FRACTION * regularization if is_fine else weak), chunks, ends)
    # 3. Number the groups
    counts = parallel_map(lambda c: region_graph.roots_to_labels(forest.parent, c.first, c.last, labels), chunks)
    return labels, _number_blocks(labels, [0, *ends], counts), FINE_SCHEDULE if is_fine else COARSE_SCHEDULE


def _fuse_chunk(points: Points, forest: Forest, regularization: float, chunk: Chunk, last: int) -> int:
    """Fuse the points of a chunk below `last`; return the number of groups."""
    begin, end = chunk.begin, chunk.end
    if last < chunk.last:
        end = edge_lists.first_edge(points.edges, begin, end, last)
    edges, weights = points.edges[begin:end], points.weights[begin:end]
    return region_moves.fuse(points.mean, edges, weights, np.float32(regularization), chunk.first, last, forest)


def _graph_of_points(points: Points, labels: np.ndarray, chunks: list[Chunk], blocks: list[Block]) -> RegionGraph:
    """Return the graph of regions (H,) of points; one block holds all of them, or there is one for each chunk."""
    cut = parallel_map(lambda chunk: edge_lists.between_regions(*points.edges_of(chunk), labels), chunks)

    def rows(number: int, block: Block) -> RegionGraph:
        parts = cut if len(blocks) == 1 else [cut[number], *(_entering(part, block) for part in cut[:number])]
        return region_graph.from_points(*edge_lists.join(parts), points.mean, labels, block)

    return region_graph.concatenate(parallel_map(rows, range(len(blocks)), blocks))


def _entering(edges: tuple[np.ndarray, np.ndarray], block: Block) -> tuple[np.ndarray, np.ndarray]:
    """The edges, of an earlier chunk, that end in a block."""
    ends, weights = edges
    chosen = np.flatnonzero((ends[:, 1] >= block.base) & (ends[:, 1] < block.base + block.count))
    return ends[chosen], weights[chosen]


def _build_hierarchy(graph: RegionGraph, regularization: float, schedule: Schedule, bounds: list[int]) -> Hierarchy:
    """Move nodes between regions and contract, level by level; while large, parts bounds[i]..bounds[i + 1] at once."""
    hierarchy = Hierarchy([graph], [])
    for factor in schedule.factors:
        ratio = 0.0
        while ratio <= schedule.repeat_below:
            if len(graph.size) < MIN_CHUNKED_NODES:
                bounds = [0, len(graph.size)]
            labels, blocks = _cluster(graph, factor * regularization, schedule.sweeps, bounds)
            bounds = [0, *(b.base + b.count for b in blocks)]
            if bounds[-1] == len(graph.size):
                break
            ratio = bounds[-1] / len(graph.size)
            graph = region_graph.concatenate(parallel_map(partial(region_graph.contract, graph, labels), blocks))
            hierarchy.levels.append(graph)
            hierarchy.maps.append(labels)
    return hierarchy


def _cluster(
    graph: RegionGraph, regularization: float, sweeps: int, bounds: list[int]
) -> tuple[np.ndarray, list[Block]]:
    """Let single nodes form regions; return labels (N,) and the regions of each part of the graph."""
    labels = np.arange(len(graph.size), dtype=np.int32)
    regions = Regions(labels, graph.size.copy(), graph.mean.copy(), np.ones(len(labels), np.int32))

    def move(first: int, last: int) -> int:
        if first == last:
            return 0
        region_moves.move(graph, regions, np.float32(regularization), sweeps, True, first, last)
        labels[first:last], count = region_graph.renumber(labels[first:last] - np.int32(first))
        return count

    return labels, _number_blocks(labels, bounds, parallel_map(move, bounds[:-1], bounds[1:]))


def _number_blocks(labels: np.ndarray, bounds: Sequence[int], counts: Sequence[int]) -> list[Block]:
    """Shift labels (N,), in place, that begin at 0 in every part bounds[i]..bounds[i + 1] of the nodes."""
    blocks, base = [], 0
    for first, last, count in zip(bounds[:-1], bounds[1:], counts, strict=True):
        labels[first:last] += np.int32(base)
        blocks.append(Block(first, last, base, count))
        base += count
    return blocks


def _cheapest_cut(
    points: Points, fused: np.ndarray, blocks: list[Block], hierarchy: Hierarchy, regularization: float
) -> list[np.ndarray]:
    """Return per level which nodes cost no more as one region than the best split of what they consist of.

    E is the sum over regions of their scatter and half the weight of their border, so the best cut of the tree follows
    from the leaves up. The finest nodes are never split.
    """
    finest = hierarchy.levels[0]
    ones, zeros = np.ones(len(fused), np.float32), np.zeros(len(fused))
    inside = np.zeros(len(finest.size))
    parallel_map(
        lambda b: region_graph.add_scatter(b.first, b.last, ones, points.mean, zeros, fused, finest.mean, inside),
        blocks,
    )
    cheapest = inside + 0.5 * regularization * region_graph.border_weight(finest)
    kept = [np.ones(len(cheapest), bool)]
    for labels, fine, coarse in zip(hierarchy.maps, hierarchy.levels[:-1], hierarchy.levels[1:], strict=True):
        within, inside = inside, np.zeros(len(coarse.size))
        region_graph.add_scatter(0, len(labels), fine.size, fine.mean, within, labels, coarse.mean, inside)
        joined = inside + 0.5 * regularization * region_graph.border_weight(coarse)
        split = np.bincount(labels, cheapest, minlength=len(joined))
        kept.append(joined <= split)
        cheapest = np.minimum(joined, split)
    return kept


def _refine(hierarchy: Hierarchy, kept: list[np.ndarray], regularization: float) -> tuple[np.ndarray, int]:
    """Return the region of each finest node: the cut, improved by moves at every level from coarse to fine."""
    levels, maps = hierarchy
    labels, count = np.full(len(levels[-1].size), -1, np.int32), 0
    for level in reversed(range(len(levels))):
        if level < len(maps):
            labels = labels[maps[level]]
        # Nodes of the cut at this level become regions
        opened = np.flatnonzero(kept[level] & (labels < 0))
        labels[opened] = np.arange(count, count + len(opened), dtype=np.int32)
        count += len(opened)
        if level < len(maps):
            region_moves.move_all(levels[level], labels, count, regularization, REGION_SWEEPS)
    return labels, count


def _split(edges: np.ndarray, labels: np.ndarray, chunks: list[Chunk]) -> tuple[np.ndarray, int]:
    """Return the connected components of equal labels, numbered by first appearance, and how many there are."""
    parent = np.arange(len(labels), dtype=np.int32)
    parallel_map(lambda c: region_graph.unite(edges[c.begin : c.end], labels, parent, c.last), chunks)
    for chunk in chunks[:-1]:
        region_graph.unite(edges[_crossing_edges(edges, chunk)], labels, parent, len(labels))
    components = np.empty(len(labels), np.int32)
    return components, region_graph.roots_to_labels(parent, 0, len(labels), components)
