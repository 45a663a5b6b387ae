"""Triangle meshes: OFF and OBJ files, and points sampled on surfaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from s4token_model.io import pointcloud2
from s4token_model.io.errors import error, looks_like

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


def read_off(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return ({field: (V,)} of the vertices, triangles (T, 3)) of an OFF mesh; ValueError on a broken file.

    Normals (NOFF) and colors (COFF) of the vertices are kept, polygons are split, colors of faces are skipped.
    """
    text = path.read_bytes().decode("ascii", "replace")
    lines = [line for raw in text.splitlines() if (line := raw.split("#")[0].strip())]
    magic = re.match(r"\W*(?:ST)?(C?)(N?)(4?)n?OFF(.*)", lines[0]) if lines else None
    if not magic:
        raise error(path, f"found {looks_like(text[:32].encode())}", "an .off file must begin with the word OFF")
    colored, oriented, homogeneous, rest = magic.groups()
    lines = ([rest] if rest.strip() else []) + lines[1:]  # ModelNet glues the counts to the magic word
    normal_at = 3 + len(homogeneous)
    color_at = normal_at + 3 * len(oriented)
    try:
        vertex_count, face_count = (int(w) for w in lines[0].split()[:2])
        if len(lines) < 1 + vertex_count + face_count:
            found = f"truncated: {vertex_count} vertices and {face_count} faces promised, {len(lines) - 1} lines found"
            raise error(path, found, "copy it again")
        rows = [line.split() for line in lines[1 : 1 + vertex_count]]
        width = color_at + 3 * len(colored)
        if min(map(len, rows), default=width) < width:  # a header of more than the file holds
            colored, oriented, width = "", "", 3
        values = np.array([row[:width] for row in rows], np.float64).reshape(vertex_count, width)
        faces = [_off_face(line) for line in lines[1 + vertex_count : 1 + vertex_count + face_count]]
    except (ValueError, IndexError) as reason:
        if str(path) in str(reason):
            raise
        raise error(path, f"bad OFF values ({reason})", "the file is damaged, copy it again") from None
    normals = values[:, normal_at:color_at] if oriented else None
    return vertex_fields(values[:, :3], values[:, color_at:] if colored else None, normals), triangulate(faces)


def _off_face(line: str) -> list[int]:
    words = line.split()
    corners = [int(w) for w in words[1 : 1 + int(words[0])]]
    if len(corners) != int(words[0]):
        raise ValueError(f"face {line!r}")
    return corners


def read_obj(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return ({field: (V,)} of the vertices, triangles (T, 3)) of an OBJ mesh; ValueError on a broken file.

    Colors behind the coordinates are kept, and so are normals if every vertex has exactly one.
    """
    vertices, normals, faces = [], [], []
    normal_of = set()  # pairs (vertex, normal)
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        try:
            if words[:1] == ["v"]:
                vertices.append([float(w) for w in words[1:]])
            elif words[:1] == ["vn"]:
                x, y, z = (float(w) for w in words[1:4])
                normals.append((x, y, z))
            elif words[:1] == ["f"]:
                corners = [w.split("/") for w in words[1:]]
                faces.append([_obj_index(c[0], len(vertices)) for c in corners])
                pairs = zip(faces[-1], corners, strict=True)
                normal_of.update((v, _obj_index(c[2], len(normals))) for v, c in pairs if len(c) > 2 and c[2])
        except ValueError:
            raise error(path, f"line {number} is {line!r}", "write the OBJ file again") from None
    widths = {len(v) for v in vertices}
    if not vertices or min(widths) < 3:
        raise error(path, "found no vertices", "an .obj file has lines `v x y z`")
    colors = np.array([v[3:6] for v in vertices]) if min(widths) >= 6 else None
    xyz = np.array([v[:3] for v in vertices])
    return vertex_fields(xyz, colors, _vertex_normals(len(xyz), normals, faces, normal_of)), triangulate(faces)


def _obj_index(word: str, count: int) -> int:
    """Return the index from 0 of a 1-based number; a negative one counts back from the last of `count`."""
    return int(word) - 1 if int(word) > 0 else count + int(word)


def _vertex_normals(count: int, normals: list, faces: list, normal_of: set) -> np.ndarray | None:
    """Return one normal per vertex (count, 3), or None if a vertex has none or several."""
    pairs = normal_of if faces else {(i, i) for i in range(len(normals))}
    index = dict(pairs)
    if not len(pairs) == len(index) == count:
        return None
    try:
        return np.array(normals)[[index[i] for i in range(count)]]
    except (KeyError, IndexError):  # names of vertices or normals that the file lacks
        return None


def vertex_fields(
    xyz: np.ndarray, colors: np.ndarray | None = None, normals: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return columns by their names in PLY: xyz, normals and colors, each (V, 3); colors of any range become uint8."""
    fields = {name: xyz[:, i] for i, name in enumerate("xyz")}
    if normals is not None:
        fields |= {name: normals[:, i].astype(np.float32) for i, name in enumerate(("nx", "ny", "nz"))}
    if colors is not None:
        levels = np.rint(pointcloud2.unit_colors(colors) * 255).astype(np.uint8)
        fields |= {name: levels[:, i] for i, name in enumerate(("red", "green", "blue"))}
    return fields


def triangulate(faces: Sequence[Sequence[int] | np.ndarray]) -> np.ndarray:
    """Split polygons of any sizes into triangles (T, 3) int64, those of one size after those of another."""
    by_size: dict[int, list] = {}
    for face in faces:
        by_size.setdefault(len(face), []).append(face)
    parts = [fan(np.array(polygons, np.int64)) for polygons in by_size.values()]
    return np.concatenate(parts) if parts else np.empty((0, 3), np.int64)


def fan(polygons: np.ndarray) -> np.ndarray:
    """Split polygons (P, n) into triangles (P * (n - 2), 3); fewer than 3 corners give none."""
    corners = [polygons[:, [0, i, i + 1]] for i in range(1, polygons.shape[1] - 1)]
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
