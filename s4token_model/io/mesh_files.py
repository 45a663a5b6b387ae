"""Triangle meshes: their vertices as fields, polygons as triangles, CAD models told from scans, points drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from s4token_model.io import pointcloud2

MAX_CAD_FACES = 1_000_000  # of a mesh that may be CAD; more faces are not few
# A CAD mesh, see `is_cad`; lengths are fractions of the diagonal of the vertices' bounding box
LARGE_EDGE = 0.1
MIN_LARGE_AREA = 0.25  # fraction of the surface in faces with an edge longer than LARGE_EDGE
MAX_MEAN_GAP = 0.03  # from a point of the surface to the nearest vertex
MAX_GAP_RATIO = 2.5  # of the 90th percentile of the gaps to their median
GAPS = 2000  # points of the surface that are looked at


class Mesh(NamedTuple):
    """A triangle mesh: vertices (V, 3) float, triangles (T, 3) int64, colors (V, 3) float32 in [0, 1] or None."""

    vertices: np.ndarray
    triangles: np.ndarray
    colors: np.ndarray | None = None


def vertex_fields(
    xyz: np.ndarray, colors: np.ndarray | None = None, normals: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return columns by their names in PLY: xyz, normals and colors, each (V, 3); colors of any range become uint8."""
    fields = {name: xyz[:, i] for i, name in enumerate("xyz")}
    if normals is not None:
        fields |= {name: normals[:, i].astype(np.float32) for i, name in enumerate(("nx", "ny", "nz"))}
    if colors is not None:
        levels = np.rint(pointcloud2.unit_colors(colors) * 255).astype(np.uint8)
        fields |= {name: levels[:, i] for i, name in enumerate(pointcloud2.COLOR_NAMES[0])}
    return fields


def triangulate(faces: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
    """Split polygons of any sizes into triangles (T, 3) int64, those of one size after those of another."""
    by_size: dict[int, list] = {}
    for face in faces:
        by_size.setdefault(len(face), []).append(face)
    parts = [fan(np.array(polygons)) for polygons in by_size.values()]
    return np.concatenate(parts) if parts else np.empty((0, 3), np.int64)


def fan(polygons: np.ndarray) -> np.ndarray:
    """Split polygons (P, n) into triangles (P * (n - 2), 3); fewer than 3 corners give none."""
    if polygons.dtype.kind == "f":  # of text, where an index may be anything; -1 is of no vertex
        polygons = np.clip(np.nan_to_num(polygons, nan=-1, posinf=-1, neginf=-1), -1, 2**53)
    corners = [polygons[:, [0, i, i + 1]].astype(np.int64) for i in range(1, polygons.shape[1] - 1)]
    return np.concatenate(corners) if corners else np.empty((0, 3), np.int64)


def is_cad(vertices: np.ndarray, triangles: np.ndarray) -> bool:
    """Whether a mesh (V, 3), (T, 3) is a CAD model: few, large faces, which its vertices do not cover.

    Its large faces are over MIN_LARGE_AREA of the surface, and the gaps between surface and vertices are wide or very
    uneven. Scans, decimated ones too, have vertices everywhere. Independent of scale. ValueError on a damaged mesh.
    """
    points = vertices[np.isfinite(vertices).all(axis=1)].astype(np.float64)
    if len(triangles) > MAX_CAD_FACES or not len(points):
        return False
    # Large faces
    triangles, corners, area = _finite_faces(vertices, triangles)
    diagonal = np.linalg.norm(np.ptp(points, axis=0))
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1, initial=0)
    large = area[longest > LARGE_EDGE * diagonal].sum()
    if not 0 < area.sum() < np.inf or large < MIN_LARGE_AREA * area.sum():
        return False
    # Gaps
    surface, _ = sample(Mesh(vertices, triangles), GAPS)
    gaps = cKDTree(points).query(surface)[0]
    return bool(gaps.mean() > MAX_MEAN_GAP * diagonal or np.quantile(gaps, 0.9) > MAX_GAP_RATIO * np.median(gaps))


def _finite_faces(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the triangles with finite corners (T, 3), the corners (T, 3, 3) float64 and twice the areas (T,).

    ValueError when a triangle names a vertex that is not there.
    """
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise ValueError(f"a triangle names vertex {triangles.max()} of {len(vertices)}; the mesh is damaged")
    triangles = triangles[np.isfinite(vertices).all(axis=1)[triangles].all(axis=1)]
    corners = vertices[triangles].astype(np.float64)
    return triangles, corners, np.linalg.norm(np.cross(*(corners[:, i] - corners[:, 0] for i in (1, 2))), axis=1)


def sample(mesh: Mesh, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Sample points uniformly by area: xyz (count, 3) of the vertices' type, and interpolated colors, or None."""
    vertices, triangles, colors = mesh
    triangles, corners, area = _finite_faces(vertices, triangles)
    if not 0 < area.sum() < np.inf:
        raise ValueError("the mesh has no finite surface area; give a point cloud or a mesh with faces")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(triangles), count, p=area / area.sum())
    # Barycentric weights of a uniform point in a triangle
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - root, root * (1 - along), root * along], axis=1)[:, :, None]
    xyz = (corners[chosen] * weights).sum(axis=1).astype(vertices.dtype)
    if colors is None:
        return xyz, None
    return xyz, (colors[triangles[chosen]] * weights).sum(axis=1).astype(np.float32)
