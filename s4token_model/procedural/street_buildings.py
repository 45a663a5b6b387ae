"""Houses, blocks and sheds: facades with recessed windows, doors, balconies, cornices; the front at y = 0 faces -y."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.procedural.materials import paint, pick
from s4token_model.procedural.mesh import Mesh, Shape, box, join, turn
from s4token_model.procedural.street_ground import relief
from s4token_model.procedural.types import Thing

_GLASS = (0.18, 0.21, 0.25)
_ROOFS = ((0.45, 0.22, 0.16), (0.30, 0.28, 0.28), (0.38, 0.25, 0.2), (0.22, 0.22, 0.24))
_DEEP = -0.5  # the lowest part of a wall goes into the ground, which may slope


class _Style(NamedTuple):
    stories: int
    story: float
    bay: float
    window: tuple[float, float]  # width and height
    recess: float
    cornice: float
    shop: bool
    balcony: float  # chance per window above the ground floor
    dark: float  # brightness of frames and doors


def building(rng: np.random.Generator, width: float, depth: float, kind: str = "house") -> list[Thing]:
    """A building `width` x `depth` m: "house", "block" or "shed"."""
    style = _draw(rng, kind)
    cover = paint(rng, "beige white beige grey yellow brown red" if kind != "shed" else "grey grey white brown green")
    m, top = Mesh(), style.stories * style.story
    for side in range(4):
        length = width if side % 2 == 0 else depth
        _add_facade(m, style, length, side, (width, depth), cover.rgb, rng, kind)
    roof = np.array(pick(rng, _ROOFS)) * rng.uniform(0.8, 1.2)
    _add_roof(m, width, depth, top, kind, roof, cover.rgb, rng)
    size = "tall" if top > 9 else "low" if top < 4 else "large" if width > 14 else "small"
    return [m.thing("building", (size, *cover.words))]


def _draw(rng: np.random.Generator, kind: str) -> _Style:
    stories = {"house": (1, 4), "block": (3, 7), "shed": (1, 2)}[kind]
    story = rng.uniform(2.6, 3.3) if kind != "shed" else rng.uniform(2.3, 4.5)
    window = (rng.uniform(0.8, 1.7), rng.uniform(1.1, 1.6)) if kind != "shed" else (rng.uniform(0.8, 1.4), 0.7)
    return _Style(
        int(rng.integers(*stories)), story, rng.uniform(2.2, 3.8), window, rng.uniform(0.06, 0.28),
        float(rng.choice([0.0, rng.uniform(0.04, 0.15)])), kind == "block" and bool(rng.random() < 0.4),
        {"block": 0.25 * float(rng.random() < 0.5), "house": 0.1}.get(kind, 0.0), float(rng.uniform(0.15, 0.9)),
    )  # fmt: skip


def _add_facade(
    m: Mesh, style: _Style, length: float, side: int, size, color, rng: np.random.Generator, kind: str
) -> None:
    """One of the four walls: 0 is the front, then counter-clockwise seen from above."""
    bays = max(1, int(length / style.bay))
    u, is_window = _bay_breaks(bays, length, style.window[0])
    v, row = _story_breaks(style)
    blind = rng.random() < (0.55 if side in (1, 3) else 0.05) or (kind == "shed" and rng.random() < 0.6)
    level = np.zeros((len(u) - 1, len(v) - 1))
    glass = np.zeros(level.shape, bool)
    if not blind:
        glass = is_window[:, None] & (row >= 0)[None] & (rng.random(level.shape) < 0.95)
        level[glass] = -style.recess
    level[:, row == -2] = style.cornice
    door = np.zeros(level.shape, bool)
    if side == 0:
        columns, ground = np.flatnonzero(is_window), np.flatnonzero(row == 0)[-1] + 1
        column = int(pick(rng, columns))
        door[columns if kind == "shed" else column, :ground] = True
        level[door], glass = -style.recess, glass & ~door
        if style.shop:
            shop = is_window[:, None] & (np.arange(len(row)) < ground)[None] & ~door
            level[shop], glass = -style.recess * 1.5, glass | shop
    tops, cell, sides, _ = relief(u, v, level, lambda a, b, out: np.stack([a, -out, b], axis=-1))
    for part, mask, shade in (("glass", glass, _GLASS), ("door", door, np.array((0.5, 0.4, 0.3)) * style.dark)):
        if mask.any():
            m.add(_placed((tops[0], tops[1][mask.ravel()[cell]]), side, size), part, shade)
    m.add(_placed((tops[0], tops[1][~(glass | door).ravel()[cell]]), side, size), "body", color)
    if len(sides[1]):
        m.add(_placed(sides, side, size), "frame", np.asarray(color) * 0.85)
    _add_balconies(m, style, u, v, glass & (row > 0)[None], side, size, color, rng)


def _bay_breaks(bays: int, length: float, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Breaks along a wall centered at 0, and which of the cells between them hold windows."""
    centers = (np.arange(bays) + 0.5) * length / bays - length / 2
    half = min(window, 0.75 * length / bays) / 2
    inner = np.stack([centers - half, centers + half], axis=1).ravel()
    breaks = np.concatenate([[-length / 2], inner, [length / 2]])
    return breaks, np.arange(len(breaks) - 1) % 2 == 1


def _story_breaks(style: _Style) -> tuple[np.ndarray, np.ndarray]:
    """Breaks up a wall and, per cell, the story of its windows, -1 for plain wall and -2 for a cornice."""
    breaks, row = [_DEEP, 0.15], [-1]
    for k in range(style.stories):
        sill = k * style.story + min(0.9, style.story - style.window[1] - 0.35)
        breaks += [sill, sill + style.window[1], (k + 1) * style.story - 0.2, (k + 1) * style.story]
        row += [-1, k, -1, -2]
    return np.array(breaks), np.array(row)


def _add_balconies(m: Mesh, style: _Style, u, v, windows, side: int, size, color, rng: np.random.Generator) -> None:
    if style.balcony == 0 or side % 2:
        return
    out, rail = rng.uniform(0.8, 1.5), np.asarray(color) * rng.uniform(0.6, 1.0)
    for i, j in np.argwhere(windows & (rng.random(windows.shape) < style.balcony)):
        x0, x1, z = u[i] - 0.5, u[i + 1] + 0.5, v[j] - 0.75
        pieces = [box((x0, -out, z), (x1, 0, z + 0.15)), box((x0, -out, z), (x1, -out + 0.06, z + 1.0))]
        m.add(_placed(join(pieces), side, size), "panel", rail)


def _placed(shape: Shape, side: int, size: tuple[float, float]) -> Shape:
    """A wall's shape moved from y = 0 to its side of the building, whose front is at y = 0."""
    width, depth = size
    out = depth / 2 if side % 2 == 0 else width / 2
    vertices, triangles = turn((shape[0] - [0, out, 0], shape[1]), side * np.pi / 2)
    return vertices + [0, depth / 2, 0], triangles


def _add_roof(m: Mesh, w: float, d: float, top: float, kind: str, color, wall, rng: np.random.Generator) -> None:
    """A flat roof with a parapet, or a gable along the street or across it."""
    if kind == "block" and rng.random() < 0.6 or kind == "shed" or rng.random() < 0.1:
        m.add(box((-w / 2 - 0.1, -0.1, top), (w / 2 + 0.1, d + 0.1, top + rng.uniform(0.15, 0.5))), "top", color)
        return
    over, pitch, across = rng.uniform(0.2, 0.6), rng.uniform(0.4, 1.0), rng.random() < 0.35
    span, length = (w, d) if across else (d, w)
    ridge = top + pitch * span / 2
    a, b, z0 = span / 2 + over, length / 2 + over, top - pitch * over
    slopes = np.array([[-a, -b, z0], [-a, b, z0], [0, b, ridge], [0, -b, ridge], [a, -b, z0], [a, b, z0]])
    roof = slopes, np.array([[0, 2, 1], [0, 3, 2], [3, 4, 5], [3, 5, 2]], np.int32)
    feet = ((-span / 2, top), (span / 2, top), (0, ridge - 0.02))
    gables = np.array([[x, y, z] for x, z in feet for y in (-length / 2, length / 2)], dtype=np.float64)
    walls = gables, np.array([[0, 2, 4], [1, 5, 3]], np.int32)
    for shape, part, shade in ((roof, "top", color), (walls, "body", wall)):
        turned = shape if across else turn(shape, np.pi / 2)
        m.add((turned[0] + [0, d / 2, 0], turned[1]), part, shade)
    if rng.random() < 0.5:
        x = rng.uniform(-0.3, 0.3) * w
        chimney = box((x - 0.35, d * 0.4, top), (x + 0.35, d * 0.4 + 0.7, ridge + 0.8))
        m.add(chimney, "top", np.asarray(wall) * 0.7)
