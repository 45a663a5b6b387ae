"""Meshes of CAD files, in the frame and the units of their file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import trimesh

logging.getLogger("trimesh").setLevel(logging.CRITICAL)  # of bump maps and the like, which are absent

GAMMA = 2.2
GRAY = 160  # of a triangle whose file names no color
CLEAR = 128  # alpha below which a triangle without a picture is glass
WITHOUT_TRIMESH = {".fbx"}  # formats that Open3D reads, by assimp, and trimesh does not


class Mesh(NamedTuple):
    """Triangles: vertices (V, 3) float64, triangles (T, 3) int64, color (T, 3) uint8, glass (T,) bool."""

    vertices: np.ndarray
    triangles: np.ndarray
    color: np.ndarray
    glass: np.ndarray

    def take(self, which: np.ndarray) -> Mesh:
        """The triangles of a mask or of indices, without the vertices that no other triangle uses."""
        used, triangles = np.unique(self.triangles[which], return_inverse=True)
        return Mesh(self.vertices[used], triangles.reshape(-1, 3), self.color[which], self.glass[which])


def read(path: Path) -> Mesh:
    """Read an OBJ, DAE, glTF, GLB, STL or FBX file; ValueError if it holds no triangles."""
    try:
        parts = _assimp_parts(path) if path.suffix.lower() in WITHOUT_TRIMESH else _trimesh_parts(path)
    except Exception as error:  # readers raise whatever a malformed file makes them
        raise ValueError(f"{path} cannot be read: {error}; leave its line out of models.csv") from error
    if not parts:
        raise ValueError(f"{path} holds no triangles; leave its line out of models.csv")
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.triangles + offset for part, offset in zip(parts, offsets, strict=True)]),
        np.concatenate([part.color for part in parts]),
        np.concatenate([part.glass for part in parts]),
    )


def _trimesh_parts(path: Path) -> list[Mesh]:
    # Pictures of Gazebo's models lie beside the folder of the mesh.
    resolver = trimesh.resolvers.FilePathResolver(str(path), allow_anywhere=True)
    scene = trimesh.load_scene(path, process=False, resolver=resolver)
    parts = []
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        geometry = scene.geometry[name]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            vertices = trimesh.transform_points(geometry.vertices, transform)
            triangles = np.asarray(geometry.faces, np.int64)
            parts.append(Mesh(vertices, triangles, *_trimesh_colors(geometry)))
    return parts


def _trimesh_colors(geometry: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """Color (T, 3) uint8 and glass (T,) bool; a picture is sampled at the corners of each triangle."""
    visual = geometry.visual
    if visual.kind == "texture":
        material = visual.material
        pictured = (
            getattr(material, "image", None) is not None or getattr(material, "baseColorTexture", None) is not None
        )
        if pictured and visual.uv is not None:
            visual = visual.to_color()
    if visual.kind == "texture":
        rgba = np.asarray(visual.material.main_color)
    elif visual.kind == "face":
        rgba = np.asarray(visual.face_colors)
    elif visual.kind == "vertex":
        rgba = np.asarray(visual.vertex_colors)[geometry.faces].mean(axis=1)
    else:
        return _plain(len(geometry.faces))
    rgba = np.broadcast_to(rgba, (len(geometry.faces), 4))
    return rgba[:, :3].astype(np.uint8), (rgba[:, 3] < CLEAR) & (visual.kind == "texture")


def _plain(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((count, 3), GRAY, np.uint8), np.zeros(count, bool)


def _assimp_parts(path: Path) -> list[Mesh]:
    import open3d

    parts = []
    model = open3d.io.read_triangle_model(str(path))
    for one in model.meshes:
        vertices, triangles = np.asarray(one.mesh.vertices), np.asarray(one.mesh.triangles, np.int64)
        if not len(triangles):
            continue
        rgba = (
            np.asarray(model.materials[one.material_idx].base_color) ** ([1 / GAMMA] * 3 + [1]) * 255
        )  # stored linear
        color = np.tile(rgba[:3].clip(0, 255).astype(np.uint8), (len(triangles), 1))
        parts.append(Mesh(vertices, triangles, color, np.full(len(triangles), rgba[3] < CLEAR)))
    return parts
