"""The types of a procedural scene: labeled triangles, scans of them and camera views of them.

Frames: right-handed, z up, meters; the floor of a room is z = 0. Camera poses are camera-to-world with
x right, y down, z forward (the OpenCV convention).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Size = tuple["float | None", "float | None", "float | None"]  # width, depth, height in m; None: as it comes


@dataclass(frozen=True)
class Thing:
    """One object before it is placed: base at z = 0, centered in x and y, its front facing -y.

    vertices (V, 3) float32 m, triangles (T, 3) int32, part (T,) int16 index into `parts`, color (T, 3) float32 in [0,
    1].
    """

    name: str  # class name, e.g. "chair"
    attributes: tuple[str, ...]  # true adjectives, e.g. ("red", "wooden", "round")
    parts: tuple[str, ...]  # e.g. ("seat", "back", "leg")
    vertices: np.ndarray
    triangles: np.ndarray
    part: np.ndarray
    color: np.ndarray


@dataclass(frozen=True)
class Instance:
    """A placed object: `low`, `high` (3,) m are its axis-aligned bounds in the scene."""

    name: str
    attributes: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Triangles of a whole scene with their labels.

    vertices (V, 3) float32 m; triangles (T, 3) int32; label (T,) int16 index into `names`; instance (T,) int32 index
    into `instances`; part (T,) int16 index into `part_names`; color (T, 3) float32 in [0, 1].
    """

    kind: str  # "room", "object", "street"
    seed: int
    names: tuple[str, ...]
    part_names: tuple[str, ...]
    instances: tuple[Instance, ...]
    vertices: np.ndarray
    triangles: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    part: np.ndarray
    color: np.ndarray


@dataclass(frozen=True)
class Scan:
    """A point cloud of a scene as a sensor sees it.

    xyz (H, 3) float32 m; rgb (H, 3) float32 in [0, 1]; label (H,) int16; instance (H,) int32; part (H,) int16, indices
    as in `Scene`.
    """

    xyz: np.ndarray
    rgb: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    part: np.ndarray

    def take(self, which: np.ndarray) -> Scan:
        """The points of a mask or of indices."""
        return Scan(self.xyz[which], self.rgb[which], self.label[which], self.instance[which], self.part[which])


@dataclass(frozen=True)
class View:
    """One posed RGB-D frame: rgb (h, w, 3) uint8; depth (h, w) float32 m along the optical axis, 0 = none; label (h, w)
    int16 and instance (h, w) int32, -1 = none; pose (4, 4) float64 camera-to-world; intrinsics (3, 3) float64
    pixels."""

    rgb: np.ndarray
    depth: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    pose: np.ndarray
    intrinsics: np.ndarray
