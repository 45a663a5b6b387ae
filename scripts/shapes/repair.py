"""What a CAD mesh needs before it is scanned: repair, removal of what nobody sees, and fewer triangles.

Open shells stay open: rays hit both sides of a triangle, so that a missing back costs nothing.
"""

from __future__ import annotations

import fast_simplification
import numpy as np
import open3d
from scipy.spatial import cKDTree

from s4token_model.procedural.mesh import doubled_areas
from scripts.shapes.meshes import Mesh

MERGE = 1e-5  # of the diagonal: vertices closer than this are one
FAR = 6.0  # a triangle this many times farther from the middle than 95 % of the area is an outlier
VIEWS, RAYS = 32, 128  # directions from which a mesh is looked at, rays along each side of a view
CELLS = (0, 0.005, 0.01, 0.02, 0.04)  # of the diagonal: loose pieces, whose edges do not collapse, are merged in these
ENOUGH = 1.1  # times the wanted triangles
SEEN_ENOUGH = 2  # times the wanted triangles: a mesh below is not searched for hidden triangles


def repaired(mesh: Mesh) -> Mesh:
    """Merge equal vertices and drop outliers, triangles without area and all but one of equal triangles.

    ValueError if nothing is left.
    """
    # Vertices that are not finite, then one vertex for those at one position.
    finite = np.isfinite(mesh.vertices).all(axis=1)
    mesh = mesh.take(finite[mesh.triangles].all(axis=1))
    if not len(mesh.triangles):
        raise ValueError("the mesh has no finite triangles; leave its line out of models.csv")
    step = MERGE * max(np.linalg.norm(np.ptp(mesh.vertices, axis=0)), 1e-12)
    cells = np.round((mesh.vertices - mesh.vertices.min(axis=0)) / step)
    _, first, merged = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    mesh = mesh._replace(vertices=mesh.vertices[first], triangles=merged.reshape(-1)[mesh.triangles])
    # Triangles without area, and outliers.
    area = areas(mesh)
    mesh, area = mesh.take(area > 0), area[area > 0]
    if not len(area):
        raise ValueError("all triangles of the mesh have zero area; leave its line out of models.csv")
    mesh = mesh.take(~_outliers(mesh, area))
    return _without_doubles(mesh)


def areas(mesh: Mesh) -> np.ndarray:
    """Area (T,) of each triangle."""
    return doubled_areas(mesh.vertices, mesh.triangles) / 2


def _without_doubles(mesh: Mesh) -> Mesh:
    """Keep the first of the triangles that have the same three vertices, in any order."""
    _, first = np.unique(np.sort(mesh.triangles, axis=1), axis=0, return_index=True)
    return mesh.take(np.sort(first))


def _outliers(mesh: Mesh, area: np.ndarray) -> np.ndarray:
    """(T,) bool: triangles with a vertex far from where nearly all of the surface is."""
    centers = mesh.vertices[mesh.triangles].mean(axis=1)
    middle = np.array([_weighted_quantile(axis, area, 0.5) for axis in centers.T])
    radius = _weighted_quantile(np.linalg.norm(centers - middle, axis=1), area, 0.95)
    return np.linalg.norm(mesh.vertices - middle, axis=1)[mesh.triangles].max(axis=1) > FAR * max(radius, 1e-12)


def _weighted_quantile(values: np.ndarray, weights: np.ndarray, fraction: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, fraction * total[-1])])


def joined(one: Mesh, other: Mesh) -> Mesh:
    """The triangles of two meshes."""
    triangles = np.concatenate([one.triangles, other.triangles + len(one.vertices)])
    columns = (np.concatenate([getattr(one, key), getattr(other, key)]) for key in ("color", "glass"))
    return Mesh(np.concatenate([one.vertices, other.vertices]), triangles, *columns)


def decimated(mesh: Mesh, wanted: int) -> Mesh:
    """At most about `wanted` triangles: first those that no view from outside sees go, then edges collapse.

    Colors and glass are those of the nearest original triangle.
    """
    if len(mesh.triangles) > SEEN_ENOUGH * wanted:
        mesh = mesh.take(visible(mesh))
    if len(mesh.triangles) <= wanted:
        return mesh
    for cell in CELLS:
        coarse = clustered(mesh, cell) if cell else mesh
        vertices, triangles = coarse.vertices.astype(np.float32), coarse.triangles.astype(np.int32)
        if len(triangles) > wanted:
            vertices, triangles = fast_simplification.simplify(vertices, triangles, target_count=wanted)
        if len(triangles) <= ENOUGH * wanted:
            break
    centers = cKDTree(mesh.vertices[mesh.triangles].mean(axis=1))
    _, nearest = centers.query(vertices[triangles].mean(axis=1))
    small = Mesh(vertices.astype(np.float64), triangles.astype(np.int64), mesh.color[nearest], mesh.glass[nearest])
    return small.take(areas(small) > 0)


def clustered(mesh: Mesh, cell: float) -> Mesh:
    """Vertex clustering: one vertex, their mean, for those in one cell, whose edge is given as part of the diagonal."""
    step = cell * np.linalg.norm(np.ptp(mesh.vertices, axis=0))
    _, of_vertex, count = np.unique(np.floor(mesh.vertices / step), axis=0, return_inverse=True, return_counts=True)
    of_vertex = of_vertex.reshape(-1)
    sums = np.stack([np.bincount(of_vertex, axis) for axis in mesh.vertices.T], axis=1)
    mesh = mesh._replace(vertices=sums / count[:, None], triangles=of_vertex[mesh.triangles])
    return _without_doubles(mesh.take(areas(mesh) > 0))


def visible(mesh: Mesh) -> np.ndarray:
    """(T,) bool: triangles near a point where a ray from one of the views around the mesh ends; glass hides nothing."""
    # Parallel rays from directions that are spread evenly over the sphere.
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    center, radius = (low + high) / 2, np.linalg.norm(high - low) / 2
    rays = np.concatenate([_view(center, radius, direction) for direction in _fibonacci(VIEWS)])
    # Glass is seen, and so is what stands behind it.
    seen, ends = np.zeros(len(mesh.triangles), bool), []
    for candidates in (np.arange(len(seen)), np.flatnonzero(~mesh.glass)):
        scene = open3d.t.geometry.RaycastingScene()
        scene.add_triangles(mesh.vertices.astype(np.float32), mesh.triangles[candidates].astype(np.uint32))
        answer = scene.cast_rays(rays)
        hit, distance = answer["primitive_ids"].numpy(), answer["t_hit"].numpy()
        ended = hit != scene.INVALID_ID
        seen[candidates[np.unique(hit[ended])]] = True
        ends.append(rays[ended, :3] + distance[ended, None] * rays[ended, 3:])
        if not mesh.glass.any() or mesh.glass.all():
            break
    # Triangles smaller than the distance of two rays are missed by them.
    gap = 2 * radius / RAYS
    nearby, _ = cKDTree(np.concatenate(ends)).query(
        mesh.vertices[mesh.triangles].mean(axis=1), distance_upper_bound=gap
    )
    return seen | np.isfinite(nearby)


def _fibonacci(count: int) -> np.ndarray:
    """(count, 3) unit vectors of a Fibonacci lattice on the sphere."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    return np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=1)


def _view(center: np.ndarray, radius: float, direction: np.ndarray) -> np.ndarray:
    """(RAYS * RAYS, 6) float32 parallel rays that look along -direction at the sphere around a mesh."""
    side = np.cross(direction, [1.0, 0, 0] if abs(direction[0]) < 0.9 else [0, 1.0, 0])
    side /= np.linalg.norm(side)
    up = np.cross(direction, side)
    u, v = np.meshgrid(*2 * [np.linspace(-radius, radius, RAYS)])
    origins = center + 2 * radius * direction + u.reshape(-1, 1) * side + v.reshape(-1, 1) * up
    return np.hstack([origins, np.broadcast_to(-direction, origins.shape)]).astype(np.float32)
