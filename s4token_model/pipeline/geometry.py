"""Neighbors, normals and eigen-features of a cloud (Sec. 3.2, App. A.1 of the paper)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from s4token_model.kernels import edge_lists, spatial_index
from s4token_model.kernels.eigen import normals_and_eigenfeatures
from s4token_model.kernels.nearest_neighbors import nearest_neighbors
from s4token_model.kernels.spatial_index import MortonIndex


class LocalGeometry(NamedTuple):
    """Local geometry of every point of a cloud."""

    index: MortonIndex  # spatial index of the cloud, which later stages reuse
    normals: np.ndarray  # (H, 3) float32 unit vectors of arbitrary sign
    eigen: np.ndarray  # (H, 3) float32: linearity, planarity, scattering, 0 to 1
    edges: np.ndarray  # (E, 2) int32, undirected graph of nearest neighbors, each pair once with i < j


def local_geometry(
    xyz: np.ndarray, anchors: np.ndarray | None, feature_neighbors: int, graph_neighbors: int,
    index: MortonIndex | None = None,
) -> LocalGeometry:  # fmt: skip
    """Compute normals, eigen-features and the neighbor graph of xyz (H, 3), finite, H >= 1; `index` is that of xyz.

    The neighborhoods of normals and eigen-features are taken from the points `anchors` (A,), or from all, the point
    itself included; `graph_neighbors` others are linked to a point. Small clouds use all points there are. Clouds in
    Morton order are faster.
    """
    xyz = np.ascontiguousarray(xyz, np.float32)
    index = spatial_index.build(xyz) if index is None else index
    count = graph_neighbors + 1 if anchors is not None else max(graph_neighbors + 1, feature_neighbors)
    linked = nearest_neighbors(index, count)
    support = xyz if anchors is None else np.ascontiguousarray(xyz[anchors])
    around = linked[:, :feature_neighbors] if anchors is None else nearest(support, xyz, feature_neighbors)
    normals, eigen = normals_and_eigenfeatures(xyz, support, around)
    return LocalGeometry(index, normals, eigen, edge_lists.from_neighbors(linked[:, : graph_neighbors + 1]))


def nearest(points: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return (Q, min(k, P)) int32 indices of the nearest `points` (P, 3) of each query (Q, 3), nearest first."""
    k = min(k, len(points))
    found = cKDTree(points, leafsize=12, balanced_tree=False).query(queries, k=k, workers=-1)[1]
    return np.ascontiguousarray(found.reshape(len(queries), k), np.int32)


def encode_unoriented_normals(normals: np.ndarray) -> np.ndarray:
    """Encode unit normals (H, 3) as (H, 5) float32 so that n and -n agree.

    The squared distance of two codes is sin^2 of the angle between the lines they span, in any frame: that of the
    matrices n n^T over sqrt(2), whose trace is the same for all, so that five numbers hold the rest.
    """
    x, y, z = np.asarray(normals, np.float32).T
    code = np.empty((len(normals), 5), np.float32)
    code[:, 0], code[:, 1], code[:, 2] = x * y, x * z, y * z
    code[:, 3], code[:, 4] = (x * x - y * y) / 2, (2 * z * z - x * x - y * y) * np.float32(12**-0.5)
    return code


def encode_eigenfeatures(eigen: np.ndarray) -> np.ndarray:
    """Encode linearity, planarity, scattering (H, 3) as (H, 2) float32 of the same distances, since their sum is 1.

    It is 0 only where all neighbors coincide; such points are coded as in the middle of the three.
    """
    linearity, planarity, scattering = np.asarray(eigen, np.float32).T
    code = np.empty((len(eigen), 2), np.float32)
    code[:, 0] = (linearity - planarity) * np.float32(2**-0.5)
    code[:, 1] = (linearity + planarity - 2 * scattering) * np.float32(6**-0.5)
    return code
