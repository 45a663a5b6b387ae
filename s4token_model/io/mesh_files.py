"""Triangle meshes: OFF and OBJ files, and points sampled on surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4token_model.io.errors import error, looks_like


class Mesh(NamedTuple):
    """A triangle mesh: vertices (V, 3) float, triangles (T, 3) int64, colors (V, 3) float32 in [0, 1] or None."""

    vertices: np.ndarray
    triangles: np.ndarray
    colors: np.ndarray | None = None


def read_off(path: Path) -> Mesh:
    """Read an OFF mesh; polygons are split into triangles, colors skipped. ValueError on a broken file."""
    text = path.read_bytes().decode("ascii", "replace")
    lines = [line for raw in text.splitlines() if (line := raw.split("#")[0].strip())]
    magic, _, rest = lines[0].partition("OFF") if lines else ("", "", "")
    if not lines or "OFF" not in lines[0][:8] or len(magic) > 4:
        raise error(path, f"found {looks_like(text[:32].encode())}", "an .off file must begin with the word OFF")
    lines = ([rest] if rest.strip() else []) + lines[1:]  # ModelNet glues the counts to the magic word
    try:
        vertex_count, face_count = (int(w) for w in lines[0].split()[:2])
        if len(lines) < 1 + vertex_count + face_count:
            found = f"truncated: {vertex_count} vertices and {face_count} faces promised, {len(lines) - 1} lines found"
            raise error(path, found, "copy it again")
        vertices = np.array([line.split()[:3] for line in lines[1 : 1 + vertex_count]], np.float64).reshape(-1, 3)
        faces = [_off_face(line) for line in lines[1 + vertex_count : 1 + vertex_count + face_count]]
    except (ValueError, IndexError) as reason:
        if str(path) in str(reason):
            raise
        raise error(path, f"bad OFF values ({reason})", "the file is damaged, copy it again") from None
    return Mesh(vertices, triangulate(faces))


def _off_face(line: str) -> list[int]:
    words = line.split()
    corners = [int(w) for w in words[1 : 1 + int(words[0])]]
    if len(corners) != int(words[0]):
        raise ValueError(f"face {line!r}")
    return corners


def read_obj(path: Path) -> Mesh:
    """Read an OBJ mesh with its vertex colors, if it has any. ValueError on a broken file."""
    vertices, faces = [], []
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        try:
            if words[:1] == ["v"]:
                vertices.append([float(w) for w in words[1:]])
            elif words[:1] == ["f"]:
                corners = [int(w.split("/")[0]) for w in words[1:]]
                faces.append([c - 1 if c > 0 else len(vertices) + c for c in corners])
        except ValueError:
            raise error(path, f"line {number} is {line!r}", "write the OBJ file again") from None
    widths = {len(v) for v in vertices}
    if not vertices or min(widths) < 3:
        raise error(path, "found no vertices", "an .obj file has lines `v x y z`")
    colors = np.array([v[3:6] for v in vertices], np.float32) if min(widths) >= 6 else None
    return Mesh(np.array([v[:3] for v in vertices]), triangulate(faces), colors)


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


def sample(mesh: Mesh, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Sample points uniformly by area: xyz (count, 3) float32, and their interpolated colors, alike, or None."""
    vertices, triangles, colors = mesh
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise ValueError(f"a triangle names vertex {triangles.max()} of {len(vertices)}; the mesh is damaged")
    corners = vertices[triangles].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if not np.isfinite(area).all() or area.sum() <= 0:
        raise ValueError("the mesh has no finite surface area; give a point cloud or a mesh with faces")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(triangles), count, p=area / area.sum())
    # Barycentric weights of a uniform point in a triangle
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1 - root, root * (1 - along), root * along], axis=1)[:, :, None]
    xyz = (corners[chosen] * weights).sum(axis=1).astype(np.float32)
    if colors is None:
        return xyz, None
    return xyz, (colors[triangles[chosen]] * weights).sum(axis=1).astype(np.float32)
