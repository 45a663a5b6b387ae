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
    """One object before it is placed: base at z = 0, centered in x and y, its front facing -y."""

    name: str  # class name, e.g. "chair"
    attributes: tuple[str, ...]  # true adjectives, e.g. ("red", "wooden", "round")
    parts: tuple[str, ...]  # e.g. ("seat", "back", "leg")
    vertices: np.ndarray  # (V, 3) float32 m
    triangles: np.ndarray  # (T, 3) int32
    part: np.ndarray  # (T,) int16 index into `parts`
    color: np.ndarray  # (T, 3) float32 in [0, 1]


@dataclass(frozen=True)
class Instance:
    """A placed object: `low`, `high` (3,) m are its axis-aligned bounds in the scene."""

    name: str
    attributes: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Triangles of a whole scene with their labels."""

    kind: str  # "room", "object", "street"
    seed: int
    names: tuple[str, ...]
    part_names: tuple[str, ...]
    instances: tuple[Instance, ...]
    vertices: np.ndarray  # (V, 3) float32 m
    triangles: np.ndarray  # (T, 3) int32
    label: np.ndarray  # (T,) int16 index into `names`
    instance: np.ndarray  # (T,) int32 index into `instances`
    part: np.ndarray  # (T,) int16 index into `part_names`
    color: np.ndarray  # (T, 3) float32 in [0, 1]


@dataclass(frozen=True)
class Scan:
    """A point cloud of a scene as a sensor sees it, with indices as in `Scene`."""

    xyz: np.ndarray  # (H, 3) float32 m
    rgb: np.ndarray  # (H, 3) float32 in [0, 1]
    label: np.ndarray  # (H,) int16
    instance: np.ndarray  # (H,) int32
    part: np.ndarray  # (H,) int16

    def take(self, which: np.ndarray) -> Scan:
        """The points of a mask or of indices."""
        return Scan(self.xyz[which], self.rgb[which], self.label[which], self.instance[which], self.part[which])


@dataclass(frozen=True)
class View:
    """One posed RGB-D frame."""

    rgb: np.ndarray  # (h, w, 3) uint8
    depth: np.ndarray  # (h, w) float32 m along the optical axis, 0 = none
    label: np.ndarray  # (h, w) int16, -1 = none
    instance: np.ndarray  # (h, w) int32, -1 = none
    pose: np.ndarray  # (4, 4) float64 camera-to-world
    intrinsics: np.ndarray  # (3, 3) float64 pixels
