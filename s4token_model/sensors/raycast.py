"""Ray casting against a procedural scene, and the pinhole camera that sensors and views share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.procedural.types import Scan, Scene

_Z, _TURN = 1 - (2 * np.arange(128) + 1) / 128, np.pi * (3 - np.sqrt(5)) * np.arange(128)
# Directions (128, 3) spread evenly over the sphere, a Fibonacci lattice
AROUND = np.stack([np.sqrt(1 - _Z**2) * np.cos(_TURN), np.sqrt(1 - _Z**2) * np.sin(_TURN), _Z], axis=1)


class Hits(NamedTuple):
    """What rays met: distance (...,) in lengths of the ray's direction, inf = nothing; triangle (...,) int64, -1."""

    distance: np.ndarray
    triangle: np.ndarray


class Caster:
    """Casts rays at the triangles of one scene, on one thread; building it costs more than casting a few thousand rays.

    `normals` (T, 3) float32 are the unit normals of the triangles, their sign as wound.
    """

    def __init__(self, scene: Scene):
        if len(scene.triangles) == 0:
            raise ValueError("a scene of 0 triangles cannot be scanned; give it at least one triangle")
        # Only offline work needs them, and on x86_64 alone they have wheels
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self.scene = scene
        self.normals = triangle_normals(scene.vertices, scene.triangles)
        self._tree = EmbreeScene()
        TriangleMesh(self._tree, scene.vertices.astype(np.float32), scene.triangles.astype(np.int32))

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """First hit of each ray. origins, directions: (..., 3) in the scene's frame, shapes that broadcast."""
        shape = np.broadcast_shapes(origins.shape, directions.shape)
        rays = (np.ascontiguousarray(np.broadcast_to(a, shape), np.float32) for a in (origins, directions))
        found = self._tree.run(*(a.reshape(-1, 3) for a in rays), output=True)
        distance, triangle = (found[name].reshape(shape[:-1]) for name in ("tfar", "primID"))
        return Hits(np.where(triangle >= 0, distance, np.inf), triangle.astype(np.int64))

    def clearance(self, points: np.ndarray) -> np.ndarray:
        """Distance (n,) float32 in meters of points (n, 3) to the nearest surface, by rays in 128 directions.

        Never too small; to a flat surface 3 % too large at most, but something thin between two rays is overlooked.
        """
        return self.cast(points[:, None], AROUND).distance.min(axis=1)

    def sees(self, origins: np.ndarray, targets: np.ndarray, margin: float = 0.02) -> np.ndarray:
        """Whether nothing lies between origins and targets, (..., 3) that broadcast, `margin` meters short."""
        offsets = np.asarray(targets, dtype=np.float64) - origins
        length = np.linalg.norm(offsets, axis=-1)
        near = np.where(length > margin, 1 - margin / np.maximum(length, margin), 0.0)
        return self.cast(origins, offsets).distance >= near


def triangle_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (T, 3) float32; zero for triangles without area."""
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1, keepdims=True)
    return (cross / np.where(length > 0, length, 1.0)).astype(np.float32)


def intrinsics(size: tuple[int, int], fov: float) -> np.ndarray:
    """Pinhole matrix (3, 3) in pixels for an image of `size` (h, w) with a horizontal field of view of `fov` degrees.

    Square pixels; the center of the top left pixel is (0, 0).
    """
    if not 0 < fov < 180:
        raise ValueError(f"a horizontal field of view of {fov} degrees is no pinhole camera; give 1 to 179")
    height, width = size
    focal = 0.5 * width / np.tan(np.radians(fov) / 2)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def pixel_rays(matrix: np.ndarray, size: tuple[int, int], jitter: np.ndarray | None = None) -> np.ndarray:
    """Directions (..., h, w, 3) float32 in the camera's frame with z = 1, so that a ray's length in them is its depth.

    `jitter` (..., h, w, 2) float32 moves each ray by a fraction of a pixel (u, v).
    """
    v, u = np.mgrid[: size[0], : size[1]].astype(np.float32)
    pixels = np.stack([u, v], axis=-1) + (0 if jitter is None else jitter)
    rays = np.ones((*pixels.shape[:-1], 3), dtype=np.float32)
    rays[..., :2] = (pixels - matrix[:2, 2].astype(np.float32)) / matrix[[0, 1], [0, 1]].astype(np.float32)
    return rays


def world_rays(poses: np.ndarray, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origins (n, 1, 1, 3) and directions (n, h, w, 3) float32 of pixel rays (n or 1, h, w, 3) at poses (n, 4, 4)."""
    turn = poses[:, None, :3, :3].transpose(0, 1, 3, 2).astype(np.float32)
    return poses[:, None, None, :3, 3].astype(np.float32), local @ turn


def look_at(eye: np.ndarray, target: np.ndarray, roll: float | np.ndarray = 0.0) -> np.ndarray:
    """Camera-to-world poses (..., 4, 4) at `eye` (..., 3) facing `target` (..., 3), level but for `roll` radians.

    x right, y down, z forward. ValueError when a target is where the camera is.
    """
    forward = np.asarray(target, dtype=np.float64) - eye
    length = np.linalg.norm(forward, axis=-1, keepdims=True)
    if (length < 1e-9).any():
        raise ValueError(f"a camera cannot look at its own position {np.asarray(target).tolist()}; move the target")
    forward = forward / length
    up = np.where(np.abs(forward[..., 2:]) < 0.999, [0.0, 0.0, 1.0], [0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(forward, right)
    cosine, sine = np.cos(roll)[..., None], np.sin(roll)[..., None]
    columns = cosine * right + sine * down, cosine * down - sine * right, forward, np.broadcast_to(eye, forward.shape)
    pose = np.zeros((*forward.shape[:-1], 4, 4))
    pose[..., :3, :], pose[..., 3, 3] = np.stack(columns, axis=-1), 1
    return pose


def as_scan(scene: Scene, xyz: np.ndarray, rgb: np.ndarray, triangle: np.ndarray) -> Scan:
    """Points with the labels of the triangles they lie on."""
    colors = np.clip(rgb, 0, 1).astype(np.float32)
    return Scan(xyz.astype(np.float32), colors, scene.label[triangle], scene.instance[triangle], scene.part[triangle])
