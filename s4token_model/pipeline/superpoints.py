"""Superpoints: the l0 (generalized minimal) partition of a cloud into pieces of one shape (Sec. 3.2, App. A.1).

E(c) = sum_i || f_i - mean_{c(i)} ||^2 + lambda * sum_{(i,j)} w_ij [c(i) != c(j)], f = (normal, eigen-features, rgb)

    partition          ids of a cloud
    partition_shapes   the same with normals and eigen-features, for the pipeline
      describe         f of every point and the graph of nearest neighbors
      solve            minimize E by one of SOLVERS
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.config import SuperpointConfig
from s4token_model.kernels import spatial_index
from s4token_model.kernels.l0_partition import l0_energy, l0_partition
from s4token_model.kernels.region_graph import renumber
from s4token_model.pipeline import geometry
from s4token_model.pipeline.cut_pursuit import cut_pursuit_partition
from s4token_model.pipeline.sampling import farthest_points

SOLVERS = {"merge": l0_partition, "cut_pursuit": cut_pursuit_partition}


class Superpoints(NamedTuple):
    """A partition and the shapes behind it: labels (H,) int32, normals (H, 3) and eigen (H, 3) float32."""

    labels: np.ndarray
    normals: np.ndarray
    eigen: np.ndarray


class PartitionInput(NamedTuple):
    """What is solved: features (H, 9 or 12) float32 and edges (E, 2) int32; and the geometry they come from."""

    features: np.ndarray
    edges: np.ndarray
    geometry: geometry.Geometry


def partition(xyz: np.ndarray, rgb: np.ndarray | None = None, config: SuperpointConfig | None = None) -> np.ndarray:
    """Split a cloud into superpoints.

    Args:
        xyz: (H, 3) finite points in any unit.
        rgb: (H, 3) colors in [0, 1]; used if config.rgb_weight is above 0.
        config: None for the defaults.

    Returns:
        (H,) int32 superpoint ids 0..S-1; each superpoint is connected in the graph of nearest neighbors.

    Raises:
        ValueError: on points that are not finite.
    """
    if not np.isfinite(xyz).all():
        raise ValueError("xyz holds NaN or inf; pass only finite points (xyz[np.isfinite(xyz).all(axis=1)])")
    if len(xyz) == 0:
        return np.zeros(0, np.int32)
    local = (xyz - xyz.min(axis=0)).astype(np.float32)  # map coordinates exceed the precision of float32
    return partition_shapes(local, rgb, config or SuperpointConfig()).labels


def partition_shapes(
    xyz: np.ndarray,
    rgb: np.ndarray | None,
    config: SuperpointConfig,
    index: spatial_index.Blocks | None = None,
) -> Superpoints:
    """Return superpoints, numbered by first appearance, with the normals and eigen-features of all points.

    Args:
        xyz: (H, 3) float32 points near the origin, H >= 1.
        rgb: (H, 3) colors in [0, 1], or None.
        config: settings of the partition.
        index: the spatial index of xyz, if there is one already.
    """
    index = spatial_index.build(xyz) if index is None else index
    # All work is done on the points in the order of a space-filling curve, where neighbors are close in memory
    colors = None if rgb is None else rgb[index.order]
    features, edges, shapes = describe(index.points(), colors, config, index.sorted())
    labels, normals, eigen = np.empty(len(xyz), np.int32), np.empty_like(shapes.normals), np.empty_like(shapes.eigen)
    labels[index.order] = solve(features, edges, config)
    normals[index.order], eigen[index.order] = shapes.normals, shapes.eigen
    return Superpoints(renumber(labels)[0], normals, eigen)


def describe(
    xyz: np.ndarray, rgb: np.ndarray | None, config: SuperpointConfig, index: spatial_index.Blocks | None = None
) -> PartitionInput:
    """Compute the partition's features and graph; `index` is for a cloud that is in the index's order already."""
    shapes = geometry.describe(
        xyz, choose_anchors(xyz, config), config.feature_neighbors, config.graph_neighbors, index
    )
    features = [geometry.encode_unoriented_normals(shapes.normals), shapes.eigen]
    if config.rgb_weight > 0 and rgb is not None:
        features.append(np.float32(config.rgb_weight) * rgb.astype(np.float32))
    return PartitionInput(np.concatenate(features, axis=1), shapes.edges, shapes)


def choose_anchors(xyz: np.ndarray, config: SuperpointConfig) -> np.ndarray | None:
    """Return indices of the anchor points that neighborhoods are taken from, or None for all points."""
    if config.anchors == "all" or len(xyz) <= config.anchor_count:
        return None
    if config.anchors == "fps":
        return farthest_points(xyz, config.anchor_count)
    return geometry.voxel_representatives(xyz, config.anchor_count)[0]


def solve(features: np.ndarray, edges: np.ndarray, config: SuperpointConfig) -> np.ndarray:
    """Minimize E with w_ij = 1; features (H, F) float32, edges (E, 2) int32. Returns (H,) int32 ids 0..S-1."""
    weights = np.ones(len(edges), np.float32)
    return SOLVERS[config.solver](features, edges, weights, config.regularization, config.min_points)


def energy(features: np.ndarray, edges: np.ndarray, labels: np.ndarray, regularization: float) -> float:
    """Return E(c) of a partition with w_ij = 1, in float64."""
    return l0_energy(features, edges, np.ones(len(edges)), regularization, labels)
