"""Things made of pieces: boxes, cushions, bars, bowls, as listed in rooms.txt and streets.txt.

A table is a list of groups: headers, then alternatives; "# " begins a comment. A header is a line

    class:kind weight width depth height [level] materials

with ranges in cm, such as 38-52, = for "as wide", s41-49 for a level such as that of a seat, and the materials of the
cover and, after a slash, of the frame; a class is written with _ for a space. Each alternative starts with "-" and is a
list of pieces, separated by semicolons:

    part shape x0 x1 y0 y1 z0 z1 [numbers of the shape]

Positions are percent of the thing's size, from its center in x and y (the front is -50) and from its base in z, with
"s" for the level and, with "c", centimeters: 50-3c, s+2c, 12c. "part?" comes in half of the things, "part?20" in 20 %.
"shape/x", "/y", "/xy" is mirrored; "shape*2-4z:3" is repeated 2 to 4 times along z, 3 cm thick each (:0 fills the
space), "shape*@20x:3" every 20 cm; "shape~" leans back. "#word" is an adjective of the thing.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from s4token_model.procedural.materials import Paint, material, size_words
from s4token_model.procedural.mesh import Mesh
from s4token_model.procedural.piece_shapes import SHAPES
from s4token_model.procedural.types import Size, Thing

# Parts that have the material of the frame, and parts with colors of their own.
FRAME = frozenset({"leg", "base", "frame", "pole", "rail", "stand"})
COLORS = {
    "glass": (0.14, 0.17, 0.2), "screen": (0.06, 0.06, 0.08), "wheel": (0.07, 0.07, 0.07), "handle": (0.55, 0.55, 0.56),
    "tap": (0.68, 0.69, 0.71), "keys": (0.85, 0.84, 0.8), "mattress": (0.88, 0.87, 0.84), "stem": (0.3, 0.25, 0.15),
    "pedal": (0.4, 0.4, 0.4), "foot": (0.1, 0.09, 0.09),
}  # fmt: skip
SKINS = ((0.85, 0.65, 0.52), (0.62, 0.44, 0.32), (0.35, 0.24, 0.17))
VARIED = frozenset({"pillow", "content", "cap", "pot"})  # parts with any color
_TERM = re.compile(r"(?:(-?[\d.]+)(?![\d.]*c)|(s))?(?:([+-]?[\d.]+)c)?$")
_SHAPE = re.compile(r"([a-z]+)(~?)(?:/(x|y|xy))?(?:\*(@?)(\d+)(?:-(\d+))?([xyz]):([\d.]+))?$")


class Header(NamedTuple):
    """Sizes and materials of one kind of a class."""

    name: str
    kind: str
    weight: float
    ranges: np.ndarray  # (3, 2) m, of width, depth, height; a depth of 0 is the width
    level: tuple[float, float]  # m
    materials: str


class Piece(NamedTuple):
    """One piece of an alternative, parsed."""

    part: str
    chance: float
    shape: str
    leans: bool
    mirrors: list[tuple[int, int, int]]  # factors of x, y, z
    count: tuple[int, int]
    step: float  # m between repetitions, in place of their count; 0: none
    axis: int
    thick: float  # m; 0: fills the space
    corners: np.ndarray  # (6, 3): fraction of the size, of the level, m; for x0 x1 y0 y1 z0 z1
    numbers: tuple[float, ...]


class Group(NamedTuple):
    """Kinds that share alternatives; each alternative has pieces and words."""

    headers: list[Header]
    alternatives: list[tuple[list[Piece], list[str]]]


def parse(table: str) -> list[Group]:
    """The groups of a text table. ValueError names a piece that is none."""
    groups: list[Group] = []
    for line in filter(None, (line.partition("# ")[0].strip() for line in table.splitlines())):
        if line.startswith("- "):
            bare, words = re.sub(r"#\w+", "", line[2:]), re.findall(r"#(\w+)", line)
            groups[-1].alternatives.append(([_piece(text) for text in bare.split(";") if text.strip()], words))
        else:
            if not groups or groups[-1].alternatives:
                groups.append(Group([], []))
            groups[-1].headers.append(_header(line))
    return groups


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.replace("=", "0").partition("-")
    return float(low) * 0.01, float(high or low) * 0.01


def _header(line: str) -> Header:
    name, weight, *rest = line.split()
    name, _, kind = name.replace("_", " ").partition(":")
    level = _range(rest[3][1:]) if re.match(r"s\d", rest[3]) else (0.0, 0.0)
    return Header(name, kind, float(weight), np.array([_range(text) for text in rest[:3]]), level, rest[-1])


def _piece(text: str) -> Piece:
    part, shape, *rest = text.split()
    part, asked, chance = part.partition("?")
    found, terms = _SHAPE.match(shape), [_TERM.match(term) for term in rest[:6]]
    if not found or len(terms) < 6 or not all(terms) or found[1] not in SHAPES:
        raise ValueError(f"no piece: {text!r}; write part shape x0 x1 y0 y1 z0 z1, see procedural/pieces.py")
    name, leans, mirror, every, low, high, axis, thick = found.groups("")
    corners = np.array([[float(t[1] or 0) / 100, float(bool(t[2])), float(t[3] or 0) / 100] for t in terms])
    mirrors = [(x, y, 1) for x in (1, -1)[: 1 + ("x" in mirror)] for y in (1, -1)[: 1 + ("y" in mirror)]]
    count, step = (int(low or 1), int(high or low or 1)), float(low) / 100 if every else 0.0
    likely, numbers = float(chance or 50) / 100 if asked else 1.0, tuple(map(float, rest[6:]))
    index, thick = "xyz".index(axis or "x"), float(thick or 0) / 100
    return Piece(part, likely, name, bool(leans), mirrors, count, step, index, thick, corners, numbers)


class Maker:
    """Draws the things of tables."""

    def __init__(self, *tables: str) -> None:
        self._groups: dict[str, list[tuple[Header, Group]]] = {}
        for group in (group for table in tables for group in parse(table)):
            for header in group.headers:
                self._groups.setdefault(header.name, []).append((header, group))

    def draw(self, name: str, rng: np.random.Generator, kind: str = "", size: Size | None = None) -> Thing:
        """A random thing, not centered: its origin is the middle of its base. KeyError for another class."""
        choices = [pair for pair in self._groups[name] if pair[0].kind == kind] if kind else self._groups[name]
        weights = np.array([1.0 if kind else header.weight for header, _ in choices])
        header, group = choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
        pieces, words = group.alternatives[int(rng.integers(len(group.alternatives)))]
        drawn = [rng.uniform(*limits) for limits in header.ranges]
        drawn[1] = drawn[1] or drawn[0]
        extent = np.array([d if s is None else s for d, s in zip(drawn, size or (None,) * 3, strict=True)])
        cover, _, frame = header.materials.partition("/")
        look = material(rng, cover)
        build = _Build(extent, rng.uniform(*header.level), look, material(rng, frame) if frame else look, rng)
        for piece in pieces:
            build.add(piece)
        return build.mesh.thing(name, (*look.words, *words, *size_words(extent, self._typical(name))))

    def limits(self, name: str, kind: str = "") -> np.ndarray | None:
        """Smallest and largest size (2, 3) m of a kind, or of all that come unasked; None if there is no such kind."""
        headers = [h for h, _ in self._groups.get(name, []) if (h.kind == kind if kind else h.weight > 0)]
        ranges = np.array([_with_depth(h.ranges) for h in headers])
        return np.stack([ranges[..., 0].min(axis=0), ranges[..., 1].max(axis=0)]) if headers else None

    @cache  # noqa: B019  the makers live as long as the process
    def _typical(self, name: str) -> np.ndarray:
        return np.median([_with_depth(header.ranges).mean(axis=1) for header, _ in self._groups[name]], axis=0)


def _with_depth(ranges: np.ndarray) -> np.ndarray:
    """Ranges (3, 2) whose depth is the width where it is 0."""
    return ranges if ranges[1, 1] else ranges[[0, 0, 2]]


class _Build:
    """One thing while its pieces are put together."""

    def __init__(self, extent: np.ndarray, level: float, cover: Paint, frame: Paint, rng: np.random.Generator) -> None:
        self.mesh, self._rng, self._extent, self._level = Mesh(), rng, extent, level
        self._cover, self._frame, self._lean = cover, frame, np.tan(rng.uniform(0.03, 0.22))
        self._present: dict[str, bool] = {}
        self._shade, self._skin = rng.uniform(0.85, 1.15), SKINS[int(rng.integers(len(SKINS)))]

    def add(self, piece: Piece) -> None:
        """Add a piece with its mirror images and repetitions; parts that are optional come or stay away together."""
        if piece.chance < 1 and not self._present.setdefault(piece.part, self._rng.random() < piece.chance):
            return
        scale, shift = piece.corners[:, 0] * np.repeat(self._extent, 2), piece.corners[:, 2]
        ends = (scale + piece.corners[:, 1] * self._level + shift).reshape(3, 2).T
        for pair in self._repeated(piece, ends):
            for mirror in piece.mirrors:
                self._emit(piece, pair * mirror)

    def _repeated(self, piece: Piece, ends: np.ndarray) -> list[np.ndarray]:
        if piece.count == (1, 1):
            return [ends]
        low, high = np.sort(ends[:, piece.axis])
        count = int(self._rng.integers(piece.count[0], piece.count[1] + 1))
        count = max(2, round((high - low) / piece.step)) if piece.step else count
        thick = piece.thick or (high - low) / count
        pairs = np.repeat(ends[None], count, axis=0)
        pairs[:, 0, piece.axis] = np.linspace(low, high - thick, count) if count > 1 else (low + high - thick) / 2
        pairs[:, 1, piece.axis] = pairs[:, 0, piece.axis] + thick
        return list(pairs)

    def _emit(self, piece: Piece, ends: np.ndarray) -> None:
        color, low = self._color(piece.part), ends[:, 2].min()
        corners = ends if piece.shape == "bar" else np.sort(ends, axis=0)
        made = SHAPES[piece.shape](*corners, piece.numbers, self._rng)
        for (vertices, triangles), part, own in made if isinstance(made, list) else [(made, None, None)]:
            if piece.leans:
                vertices = vertices + np.outer(np.maximum(vertices[:, 2] - low, 0) * self._lean, [0, 1, 0])
            shown = own if own is not None else self._color(part) if part else color
            self.mesh.add((vertices, triangles), part or piece.part, shown)

    def _color(self, part: str) -> np.ndarray:
        if part in VARIED:
            return material(self._rng, "paint").rgb
        if part in COLORS or part == "head":
            return np.clip(np.array(COLORS.get(part, self._skin)) * self._shade, 0, 1)
        paint = self._frame if part in FRAME else self._cover
        return paint.shade(self._rng.uniform(0.94, 1.05))
