"""Fewer leaves: plants lose whole leaves instead of edges, and those that stay grow (Cook et al. 2007)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scripts.shapes.meshes import Mesh
from scripts.shapes.repair import areas

LEAFY = frozenset({"vegetation", "plant"})
LOOSE = 100  # pieces of a mesh that make it foliage
LARGE, LONG = 0.02, 0.2  # of the surface, of the longest extent: a larger piece is a stem or a pot and keeps its shape
GROWTH = 3.0  # times the edges of a leaf, at most


def split(mesh: Mesh) -> tuple[Mesh, Mesh] | None:
    """Stems and leaves of a mesh that consists of many loose pieces, or None."""
    piece = _pieces(mesh)
    area = np.bincount(piece, areas(mesh))
    if len(area) < LOOSE:
        return None
    low, high = np.full((len(area), 3), np.inf), np.full((len(area), 3), -np.inf)
    corners = mesh.vertices[mesh.triangles]
    np.minimum.at(low, piece, corners.min(axis=1))
    np.maximum.at(high, piece, corners.max(axis=1))
    long = (high - low).max(axis=1) > LONG * np.ptp(mesh.vertices, axis=0).max()
    large = (long | (area > LARGE * area.sum()))[piece]
    return mesh.take(large), mesh.take(~large)


def thinned(leaves: Mesh, wanted: int) -> Mesh:
    """At most `wanted` triangles: randomly chosen leaves, each a quadrilateral, enlarged to the area of all leaves.

    A leaf becomes the rhombus of its two longest principal axes, with its area and the color of its first triangle.
    """
    # Area, center and covariance of each piece, weighted by area.
    piece, weight = _pieces(leaves), areas(leaves)
    area, centers = np.bincount(piece, weight), leaves.vertices[leaves.triangles].mean(axis=1)
    corners = leaves.vertices[leaves.triangles]
    mean = np.stack([np.bincount(piece, weight * axis) for axis in centers.T], axis=1) / area[:, None]
    off = corners - mean[piece][:, None]
    products = np.einsum("t,tki,tkj->tij", weight / 3, off, off).reshape(-1, 9)
    covariance = np.stack([np.bincount(piece, column) for column in products.T], axis=1) / area[:, None]
    # The chosen leaves, and their half diagonals p and q: 2 p q is the area.
    number = min(len(area), wanted // 2)
    kept = np.sort(np.random.default_rng(0).permutation(len(area))[:number])
    growth = min(np.sqrt(area.sum() / area[kept].sum()), GROWTH)
    spread, axes = np.linalg.eigh(covariance[kept].reshape(-1, 3, 3))
    ratio = np.sqrt(spread[:, 2] / np.maximum(spread[:, 1], 1e-4 * spread[:, 2]))
    p, q = growth * np.sqrt(area[kept] / 2 * np.stack([ratio, 1 / ratio]))
    p, q = p[:, None] * axes[:, :, 2], q[:, None] * axes[:, :, 1]
    vertices = np.stack([mean[kept] + p, mean[kept] + q, mean[kept] - p, mean[kept] - q], axis=1).reshape(-1, 3)
    triangles = (np.array([[0, 1, 2], [0, 2, 3]]) + 4 * np.arange(number)[:, None, None]).reshape(-1, 3)
    _, first = np.unique(piece, return_index=True)
    first = np.repeat(first[kept], 2)
    return Mesh(vertices, triangles, leaves.color[first], leaves.glass[first])


def _pieces(mesh: Mesh) -> np.ndarray:
    """The number (T,) of the connected piece of each triangle."""
    start, end = mesh.triangles[:, [0, 1]].ravel(), mesh.triangles[:, [1, 2]].ravel()
    edges = coo_array((np.ones(len(start), bool), (start, end)), shape=2 * (len(mesh.vertices),))
    _, of_vertex = connected_components(edges, directed=False)
    return of_vertex[mesh.triangles[:, 0]]
