"""Superpoints: the l0 (generalized minimal) partition of a cloud into pieces of one shape (Sec. 3.2, App. A.1).

E(c) = sum_i || f_i - mean_{c(i)} ||^2 + lambda * sum_{(i,j)} w_ij [c(i) != c(j)], f = (normal, eigen-features, rgb)
"""

from __future__ import annotations

import numpy as np

from s4token_model.config import SuperpointConfig
from s4token_model.kernels import spatial_index
from s4token_model.kernels.l0_partition import l0_energy, l0_partition
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.region_graph import renumber
from s4token_model.kernels.spatial_index import MortonIndex
from s4token_model.kernels.voxels import voxel_downsample
from s4token_model.pipeline.cut_pursuit import cut_pursuit_partition
from s4token_model.pipeline.geometry import (
    LocalGeometry,
    encode_eigenfeatures,
    encode_unoriented_normals,
    local_geometry,
)
from s4token_model.pipeline.preprocess import checked_positions
from s4token_model.pipeline.sampling import farthest_points

SOLVERS = {"merge": l0_partition, "cut_pursuit": cut_pursuit_partition}


def partition(xyz: np.ndarray, rgb: np.ndarray | None = None, config: SuperpointConfig | None = None) -> np.ndarray:
    """Split a cloud into superpoints: (H,) int32 ids 0..S-1, each connected in the graph of nearest neighbors.

    xyz (H, 3) in any unit, ValueError unless finite; rgb (H, 3) in [0, 1] is used if config.rgb_weight is above 0.
    """
    xyz = checked_positions(xyz, rgb)
    if not np.isfinite(xyz).all():
        raise ValueError("xyz holds NaN or inf; pass only finite points (xyz[np.isfinite(xyz).all(axis=1)])")
    if len(xyz) == 0:
        return np.zeros(0, np.int32)
    local = (xyz - xyz.min(axis=0)).astype(np.float32)  # map coordinates exceed the precision of float32
    return partition_with_geometry(local, rgb, config or SuperpointConfig())[0]


def partition_with_geometry(
    xyz: np.ndarray, rgb: np.ndarray | None, config: SuperpointConfig, provided: np.ndarray | None = None
) -> tuple[np.ndarray, LocalGeometry]:
    """Return superpoints (H,) int32, numbered by first appearance, and their geometry, except for edges in xyz's order.

    xyz (H, 3) float32 near the origin, H >= 1, rgb (H, 3) in [0, 1] or None. Superpoints that are `provided` (H,) are
    returned as they are, and only the geometry is computed.
    """
    index = spatial_index.build(xyz)
    # All work is done on the points in Morton order, in which neighbors are close in memory
    colors = rgb.take(index.order, axis=0) if rgb is not None and config.rgb_weight > 0 else None
    features, local = features_and_graph(index.points(), colors, config, index.in_morton_order())
    normals, eigen = (spatial_index.in_cloud_order(index, values) for values in (local.normals, local.eigen))
    geometry = LocalGeometry(index, normals, eigen, local.edges)
    if provided is not None:
        return provided, geometry
    ids = np.empty(len(xyz), np.int32)
    ids[index.order] = solve(features, local.edges, config)
    return renumber(ids)[0], geometry


def checked_ids(provided: np.ndarray | None, count: int, config: SuperpointConfig) -> np.ndarray | None:
    """Return the superpoints (count,) to use in place of the partition, None if the config asks for the partition.

    ValueError if it asks for those of the data set and there are none, or not one for each of the `count` points.
    """
    if config.source == "partition":
        return None
    if provided is None:
        fix = "set superpoints.source to partition, or take data that has them, as ScanNet's official layout"
        raise ValueError(f"superpoints.source is provided, but the cloud comes without superpoints; {fix}")
    ids = np.asarray(provided)
    if ids.shape != (count,) or ids.dtype.kind not in "iu":
        raise ValueError(f"superpoints have shape {ids.shape} and type {ids.dtype}; give one integer per point")
    return ids


def features_and_graph(
    xyz: np.ndarray, rgb: np.ndarray | None, config: SuperpointConfig, index: MortonIndex | None = None
) -> tuple[np.ndarray, LocalGeometry]:
    """Compute the partition's features (H, 7), or 10 with rgb, float32, and the geometry; `index` is that of xyz."""
    anchors = choose_anchors(xyz, config)
    local = local_geometry(xyz, anchors, config.feature_neighbors, config.graph_neighbors, index)
    features = np.empty((len(xyz), 7 if rgb is None else 10), np.float32)

    def encode(begin: int, end: int) -> None:
        features[begin:end, :5] = encode_unoriented_normals(local.normals[begin:end])
        features[begin:end, 5:7] = encode_eigenfeatures(local.eigen[begin:end])
        if rgb is not None:
            features[begin:end, 7:] = np.float32(config.rgb_weight) * rgb[begin:end].astype(np.float32)

    parallel_for(encode, len(xyz))
    return features, local


def choose_anchors(xyz: np.ndarray, config: SuperpointConfig) -> np.ndarray | None:
    """Return indices of the anchor points that neighborhoods are taken from, or None for all points."""
    if config.anchors == "all" or len(xyz) <= config.anchor_count:
        return None
    if config.anchors == "fps":
        return farthest_points(xyz, config.anchor_count)
    return voxel_downsample(xyz, config.anchor_count)[0]


def solve(features: np.ndarray, edges: np.ndarray, config: SuperpointConfig) -> np.ndarray:
    """Minimize E with w_ij = 1; features (H, F) float32, edges (E, 2) int32. Returns (H,) int32 ids 0..S-1."""
    weights = np.ones(len(edges), np.float32)
    return SOLVERS[config.solver](features, edges, weights, config.regularization, config.min_points)


def energy(features: np.ndarray, edges: np.ndarray, labels: np.ndarray, regularization: float) -> float:
    """Return E(c) of a partition with w_ij = 1, in float64."""
    return l0_energy(features, edges, np.ones(len(edges)), regularization, labels)
