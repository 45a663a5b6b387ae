"""Parts of a shape that a room or a street needs to know: what carries clutter, what one sits on, stems, glass."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.classes import PARTS
from scripts.shapes.meshes import Mesh

CARRIES = frozenset({"table", "desk", "counter", "cabinet", "nightstand", "dresser", "shelf", "bookshelf"})
SEATS = frozenset({"chair", "sofa", "stool", "bench", "ottoman"})
BIN = 0.02  # m, of heights
FLAT, LEVEL = 0.94, 0.7  # z of the unit normal of a top, and of a seat
SEAT_HEIGHTS = (0.2, 0.65)  # m
ENOUGH = 0.35  # of the area at the best height: the highest level with as much carries the clutter


def part_ids(mesh: Mesh, label: str) -> np.ndarray:
    """(T,) int16 index into PARTS of a mesh in the bank's frame: "whole" but for "top", "seat", "stem" and "glass"."""
    part = np.full(len(mesh.triangles), PARTS.index("whole"), np.int16)
    part[mesh.glass] = PARTS.index("glass")
    if label in CARRIES:
        part[_top(mesh)] = PARTS.index("top")
    elif label in SEATS:
        part[_seat(mesh)] = PARTS.index("seat")
    elif label == "vegetation":
        part[_stem(mesh)] = PARTS.index("stem")
    return part


def _upward(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height (T,) m of the centers, area (T,) m², and |z| of the unit normals (T,): windings of CAD files vary."""
    a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    return ((a + b + c) / 3)[:, 2], length / 2, np.abs(normal[:, 2]) / np.maximum(length, 1e-12)


def _level_areas(height: np.ndarray, area: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Area of the flat triangles in each bin of height, each added to that of the next bin."""
    level = np.bincount((height[flat] / BIN).astype(int), area[flat], minlength=int(height.max() / BIN) + 2)
    return level + np.append(level[1:], 0)


def _top(mesh: Mesh) -> np.ndarray:
    """Mask of the flat triangles at the highest level that is about as large as the largest one."""
    height, area, up = _upward(mesh)
    levels = _level_areas(height, area, up > FLAT)
    if levels.max() <= 0:
        return np.zeros(len(height), bool)
    best = np.flatnonzero(levels >= ENOUGH * levels.max())[-1]
    return (up > FLAT) & (np.abs(height - (best + 1) * BIN) <= 2 * BIN)


def _seat(mesh: Mesh) -> np.ndarray:
    """Mask of the largest level of triangles at the height of a seat."""
    height, area, up = _upward(mesh)
    flat = (up > LEVEL) & (height >= SEAT_HEIGHTS[0]) & (height <= SEAT_HEIGHTS[1])
    levels = _level_areas(height, area, flat)
    if levels.max() <= 0:
        return np.zeros(len(height), bool)
    return flat & (np.abs(height - (levels.argmax() + 1) * BIN) <= 3 * BIN)


def _stem(mesh: Mesh) -> np.ndarray:
    """Mask of the triangles that are not green but brown or gray: red at least as strong as green."""
    red, green, blue = mesh.color.astype(int).T
    return (red >= green) & (green >= blue) & (red < 200)
