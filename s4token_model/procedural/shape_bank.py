"""A bank of CAD models by class: a folder with `manifest.json` and `shapes.npz`, as `make shapes` writes it.

The manifest lists shapes with class, size (3,) m, tags, and their ranges of vertices and triangles. The arrays are
vertices (V, 3) m, triangles (T, 3) indices local to the shape, color (T, 3) uint8 and part (T,) index into
classes.PARTS; bases at z = 0, centered in x and y, fronts facing -y.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4token_model.procedural.classes import PARTS, PROCEDURAL
from s4token_model.procedural.materials import COLORS, paint, size_words
from s4token_model.procedural.mesh import centered, doubled_areas
from s4token_model.procedural.types import Size, Thing

USED = 0.75  # fraction of the things that come from a bank with many shapes that fit, and half of it with FEW
FEW = 3
RECOLORED = 0.3  # fraction of the things that get another main color
# Factors per axis, drawn log-uniformly; x and y of what is made to measure vary more, bodies and vehicles less.
SCALES = ((0.85, 1.2), (0.85, 1.2), (0.87, 1.15))
MADE_TO_MEASURE = frozenset({"table", "desk", "cabinet", "bookshelf", "counter", "shelf", "dresser", "rug", "bench"})
MEASURE_SCALES = ((0.7, 1.4), (0.75, 1.3), (0.85, 1.2))
RIGID = frozenset({"person", "car", "truck", "bus", "trailer", "bicycle", "motorcycle", "bicyclist", "motorcyclist"})
FIT = (0.65, 1.5)  # by how much a shape may be scaled to a size that is asked for
TOLERANCE = 1.3  # factor by which shapes may be smaller or larger than the limits of a kind
# What hangs, and the kinds that are made to: other shapes that hang more than HUNG m high are not set on the floor.
HUNG = 1.0
HANGING = frozenset({"picture", "mirror", "whiteboard", "window", "curtain", "blinds", "shelf", "radiator", "towel"})
HANGING_KINDS = frozenset({"hung", "wall", "ceiling"})
COLOR_DISTANCE = 0.18  # within which triangles are of one color


class Row(NamedTuple):
    """One shape of a bank: its size (3,) m, whether it hangs, words, and where its vertices and triangles are."""

    size: np.ndarray
    hangs: bool
    tags: frozenset[str]
    vertices: slice
    triangles: slice


class ShapeBank:
    """The shapes of one folder, by class."""

    def __init__(self, folder: str | Path) -> None:
        """Read a folder. ValueError if it holds no bank, or one that does not fit its arrays."""
        try:
            manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
            with np.load(Path(folder) / "shapes.npz", allow_pickle=False) as arrays:
                self._vertices, self._triangles = arrays["vertices"], arrays["triangles"]
                self._color, self._part = arrays["color"], arrays["part"]
            self._rows: dict[str, list[Row]] = {}
            for item in manifest["shapes"]:
                self._add(item)
        except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{folder} is no bank of shapes ({error}); `make shapes` writes one") from error
        self._typical = {name: np.median([r.size for r in rows], axis=0) for name, rows in self._rows.items()}

    def _add(self, item: dict) -> None:
        if item["class"] not in PROCEDURAL:
            raise ValueError(f"shape {item['id']} is of the unknown class {item['class']!r}; see procedural/classes.py")
        vertices, triangles = slice(*item["vertices"]), slice(*item["triangles"])
        own = self._triangles[triangles]
        count = len(self._vertices[vertices])
        if not len(own) or own.min() < 0 or own.max() >= count or self._part[triangles].max() >= len(PARTS):
            raise ValueError(f"shape {item['id']} does not fit its arrays; write the bank again with `make shapes`")
        tags = frozenset(word for tag in item.get("tags", ()) for word in tag.lower().split())
        row = Row(np.array(item["size"], float), item.get("elevation", 0.0) > HUNG, tags, vertices, triangles)
        self._rows.setdefault(item["class"], []).append(row)

    def draw(
        self, name: str, rng: np.random.Generator, kind="", size: Size | None = None, limits: np.ndarray | None = None
    ) -> Thing | None:
        """A random variation of a shape of class `name`; None if none fits, and the more often the fewer do.

        Axes of `size` that are not None are met exactly; else shapes are about within `limits` (2, 3) m, smallest and
        largest. Those tagged with the `kind` come first.
        """
        rows = self._fitting(name, kind, size, limits)
        if rng.random() >= USED * len(rows) / (len(rows) + FEW):
            return None
        row = rows[int(rng.integers(len(rows)))]
        scale = _factors(name, rng)
        for axis, length in enumerate(size or ()):
            scale[axis] = scale[axis] if length is None else length / row.size[axis]
        vertices = self._vertices[row.vertices] * scale
        triangles, part = self._triangles[row.triangles].astype(np.int32), self._part[row.triangles]
        color = self._color[row.triangles].astype(np.float32) / 255
        # Mirror and paint
        if rng.random() < 0.5:
            vertices, triangles = vertices * [-1, 1, 1], triangles[:, ::-1]
        area = doubled_areas(vertices, triangles)
        if rng.random() < RECOLORED:
            color = _recolored(color, area, rng)
        words = (*size_words(np.ptp(vertices, axis=0), self._typical[name]), *_color_words(color, area))
        used = np.flatnonzero(np.bincount(part))
        names, part = tuple(PARTS[k] for k in used), np.searchsorted(used, part).astype(np.int16)
        return centered(Thing(name, words, names, vertices, np.ascontiguousarray(triangles), part, color))

    def _fitting(self, name: str, kind: str, size: Size | None, limits: np.ndarray | None) -> list[Row]:
        hung = name in HANGING or kind in HANGING_KINDS
        rows = [row for row in self._rows.get(name, []) if hung or not row.hangs]
        if limits is not None:
            low, high = limits[0] / TOLERANCE, limits[1] * TOLERANCE
            rows = [row for row in rows if (row.size >= low).all() and (row.size <= high).all()]
        for axis, length in enumerate(size or ()):
            if length is not None:
                rows = [row for row in rows if FIT[0] * row.size[axis] <= length <= FIT[1] * row.size[axis]]
        return [row for row in rows if kind and kind in row.tags] or rows


@cache
def open_bank(folder: str) -> ShapeBank | None:
    """The bank of a folder, read once per process; None for ""."""
    return ShapeBank(folder) if folder else None


def _factors(name: str, rng: np.random.Generator) -> np.ndarray:
    """Factors (3,) on width, depth and height."""
    if name in RIGID:
        return rng.uniform(0.93, 1.07) * rng.uniform(0.97, 1.03, 3)
    low, high = np.log(MEASURE_SCALES if name in MADE_TO_MEASURE else SCALES).T
    return np.exp(rng.uniform(low, high))


def _main_color(color: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The color (3,) of most of the surface, and the triangles (T,) that have it, brighter or darker."""
    coarse = (color * 3.99).astype(np.int64) @ [16, 4, 1]
    mine = coarse == np.bincount(coarse, area).argmax()
    main = np.average(color[mine], axis=0, weights=area[mine])
    return main, np.linalg.norm(color - main, axis=1) < COLOR_DISTANCE


def _recolored(color: np.ndarray, area: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The colors (T, 3) with another main color; shades of it stay shades."""
    main, mine = _main_color(color, area)
    shade = color[mine].mean(axis=1, keepdims=True) / max(float(main.mean()), 0.05)
    changed = color.copy()
    changed[mine] = np.clip(paint(rng).rgb * shade, 0, 1)
    return changed


def _color_words(color: np.ndarray, area: np.ndarray) -> tuple[str, ...]:
    """The word for the main color, where it covers half of the surface."""
    main, mine = _main_color(color, area)
    if area[mine].sum() < 0.5 * area.sum():
        return ()
    return (min(COLORS, key=lambda word: float(np.linalg.norm(np.array(COLORS[word]) - main))),)
