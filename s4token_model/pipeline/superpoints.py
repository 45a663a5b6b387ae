"""Superpoints: the l0 (generalized minimal) partition of a cloud into pieces of one shape (method: Sec. 3.2, App. A.1).

E(c) = sum_i || f_i - mean_{c(i)} ||^2 + lambda * sum_{(i,j)} w_ij [c(i) != c(j)], f = (normal, eigen-features, rgb)
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from s4token_model.config import SuperpointConfig
from s4token_model.kernels import spatial_index
from s4token_model.kernels.region_graph import renumber
from s4token_model.kernels.spatial_index import MortonIndex
from s4token_model.kernels.voxels import voxel_downsample
from s4token_model.pipeline.geometry import LocalGeometry, encode_unoriented_normals, local_geometry
from s4token_model.pipeline.sampling import farthest_points


def partition(xyz: np.ndarray, rgb: np.ndarray | None = None, config: SuperpointConfig | None = None) -> np.ndarray:
    """Split a cloud into superpoints.

    xyz (H, 3) finite, any unit; rgb (H, 3) in [0, 1] or None. Returns (H,) int32 superpoint ids 0..S-1; each one is
    one connected component of the neighbor graph. Raises ValueError on non-finite points.
    """
    config = config or SuperpointConfig()
    if not np.isfinite(xyz).all():
        raise ValueError("xyz holds NaN or inf; pass only finite points (xyz[np.isfinite(xyz).all(axis=1)])")
    if len(xyz) == 0:
        return np.zeros(0, np.int32)
    near = (xyz - xyz.min(axis=0)).astype(np.float32)  # map coordinates exceed the precision of float32
    return partition_with_geometry(near, rgb, config)[0]


def partition_with_geometry(
    xyz: np.ndarray, rgb: np.ndarray | None, config: SuperpointConfig
) -> tuple[np.ndarray, LocalGeometry]:
    """Return ids (H,) int32 as `partition` does, in order of first appearance, and the local geometry behind them.

    xyz (H, 3) float32, H >= 1, near the origin. All the work is done on the points in Morton order, in which neighbors
    are near each other in memory; the geometry returned is in the order of xyz, but for its edges.
    """
    index = spatial_index.build(xyz)
    colors = None if rgb is None else rgb[index.order]
    features, local = features_and_graph(index.points(), colors, config, index.in_morton_order())
    labels = np.empty(len(xyz), np.int32)
    normals, eigen = np.empty_like(local.normals), np.empty_like(local.eigen)
    labels[index.order] = solve(features, local.edges, config)
    normals[index.order], eigen[index.order] = local.normals, local.eigen
    return renumber(labels)[0], LocalGeometry(index, normals, eigen, local.edges)


def features_and_graph(
    xyz: np.ndarray, rgb: np.ndarray | None, config: SuperpointConfig, index: MortonIndex | None = None
) -> tuple[np.ndarray, LocalGeometry]:
    """Return the partition's features (H, 9 or 12) float32 and the geometry, with the graph, they come from."""
    chosen = anchors(xyz, config)
    local = local_geometry(xyz, chosen, config.feature_neighbors, config.graph_neighbors, index)
    features = [encode_unoriented_normals(local.normals), local.eigen]
    if config.rgb_weight > 0 and rgb is not None:
        features.append(np.float32(config.rgb_weight) * rgb.astype(np.float32))
    return np.concatenate(features, axis=1), local


def anchors(xyz: np.ndarray, config: SuperpointConfig) -> np.ndarray | None:
    """Return indices of the anchor points neighborhoods are taken from, or None for all points."""
    if config.anchors == "all" or len(xyz) <= config.anchor_count:
        return None
    if config.anchors == "fps":
        return farthest_points(xyz, config.anchor_count)
    return voxel_downsample(xyz, config.anchor_count)[0]


def solve(features: np.ndarray, edges: np.ndarray, config: SuperpointConfig) -> np.ndarray:
    """Minimize E over the graph; features (H, F) float32, edges (E, 2) int32. Returns (H,) int32 ids 0..S-1."""
    if len(edges) == 0:
        return np.arange(len(features), dtype=np.int32)
    weights = np.ones(len(edges), np.float32)
    if config.solver == "merge":
        from s4token_model.kernels.l0_partition import l0_partition

        return l0_partition(features, edges, weights, config.regularization, config.min_points)
    labels = cut_pursuit(features, edges, weights * np.float32(config.regularization))
    return merge_small(components(labels, edges), features, edges, config.regularization, config.min_points)


def energy(features: np.ndarray, edges: np.ndarray, labels: np.ndarray, regularization: float) -> float:
    """Return E(c) of a partition with unit edge weights, in float64."""
    from s4token_model.kernels import l0_partition

    return l0_partition.energy(features, edges, np.ones(len(edges)), regularization, labels)


def components(labels: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Split every label into the connected components it has in the graph; ids in order of first appearance."""
    inner = edges[labels[edges[:, 0]] == labels[edges[:, 1]]]
    return _connected(inner[:, 0], inner[:, 1], len(labels))


def merge_small(
    labels: np.ndarray, features: np.ndarray, edges: np.ndarray, regularization: float, min_points: int
) -> np.ndarray:
    """Merge superpoints under `min_points` into the neighbor that raises E least, until none with one is left."""
    while True:
        sizes = np.bincount(labels).astype(np.float64)
        small = sizes < min_points
        pairs, cut = _region_edges(labels, edges, len(sizes))
        pairs, cut = (x[small[pairs].any(axis=1)] for x in (pairs, cut))
        if len(pairs) == 0:
            return labels
        means = np.stack([np.bincount(labels, f) for f in features.T.astype(np.float64)], axis=1) / sizes[:, None]
        left, right = pairs.T
        apart = ((means[left] - means[right]) ** 2).sum(axis=1)
        rise = sizes[left] * sizes[right] / (sizes[left] + sizes[right]) * apart - regularization * cut
        source, target, rise = np.r_[left, right], np.r_[right, left], np.r_[rise, rise]
        order = np.lexsort((target, rise, source))
        source, target = source[order], target[order]
        best = np.r_[True, source[1:] != source[:-1]] & small[source]
        labels = _connected(source[best], target[best], len(sizes))[labels]


def _region_edges(labels: np.ndarray, edges: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Contract edges to pairs of different regions (P, 2) and the number of edges between them (P,)."""
    ends = labels[edges].astype(np.int64)
    low, high = ends.min(axis=1), ends.max(axis=1)
    keys, cut = np.unique((low * count + high)[low != high], return_counts=True)
    return np.stack([keys // count, keys % count], axis=1), cut


def _connected(source: np.ndarray, target: np.ndarray, count: int) -> np.ndarray:
    graph = coo_matrix((np.ones(len(source), np.int8), (source, target)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int32)


def cut_pursuit(features: np.ndarray, edges: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Solve with cut-pursuit-py; lambda must already be in the weights, the solver ignores its own argument."""
    try:
        from cut_pursuit_py import perform_cut_pursuit
    except ImportError as error:
        raise ValueError("superpoints.solver=cut_pursuit needs the package: pip install cut-pursuit-py") from error
    source, target = (np.ascontiguousarray(edges[:, side], np.uint32) for side in (0, 1))
    centered = np.ascontiguousarray(features - features.mean(axis=0), np.float32)
    labels = perform_cut_pursuit(1.0, features.shape[1], centered, weights.astype(np.float32), source, target, False)
    return np.asarray(labels).astype(np.int32)
