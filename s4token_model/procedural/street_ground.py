"""The ground of a procedural street as triangles: cells at their levels, kerbs where levels meet, lane markings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.procedural.mesh import Shape, join, quads, sheet
from s4token_model.procedural.scene_builder import Assembly
from s4token_model.procedural.street_plan import GROUND, Plan

_COLORS = {
    "road": (0.30, 0.30, 0.31), "parking": (0.40, 0.38, 0.37), "sidewalk": (0.58, 0.56, 0.53),
    "terrain": (0.33, 0.42, 0.20), "traffic island": (0.52, 0.50, 0.47),
}  # fmt: skip
_WORDS = {"road": ("grey", "asphalt"), "sidewalk": ("paved", "grey"), "parking": ("paved",), "terrain": ("grassy",)}
_PAINT = (0.85, 0.85, 0.82)


def relief(
    a: np.ndarray, b: np.ndarray, level: np.ndarray, place: Callable, offset: np.ndarray | None = None
) -> tuple[Shape, np.ndarray, Shape, np.ndarray]:
    """A grid of cells at their own levels, with upright sides where neighbors differ.

    a (A + 1,), b (B + 1,) are the breaks, level (A, B), `place(a, b, level)` gives points (..., 3). `offset` (A + 1,
    B + 1) is added to the levels at the corners. Returns the tops with the cell (T,) of each of their triangles, then
    the sides with the cell of the higher neighbor.
    """
    offset = np.zeros((len(a), len(b))) if offset is None else offset
    i, j = (g.ravel() for g in np.indices(level.shape))
    corner = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
    tops = np.stack([place(a[p], b[q], level[i, j] + offset[p, q]) for p, q in corner], axis=1)
    sides, owners = [], []
    for axis in (0, 1):
        first, second = (level[:-1], level[1:]) if axis == 0 else (level[:, :-1], level[:, 1:])
        p, q = np.nonzero(np.abs(first - second) > 1e-4)
        start, end = ((p + 1, q), (p + 1, q + 1)) if axis == 0 else ((p, q + 1), (p + 1, q + 1))
        one, two = first[p, q], second[p, q]
        ends = [(start, one), (end, one), (end, two), (start, two)]
        sides.append(np.stack([place(a[u], b[v], at + offset[u, v]) for (u, v), at in ends], axis=1))
        other = (p + 1, q) if axis == 0 else (p, q + 1)
        owners.append(np.ravel_multi_index(np.where(one > two, (p, q), other), level.shape))
    cells = np.arange(level.size)
    return quads(tops), np.repeat(cells, 2), quads(np.concatenate(sides)), np.repeat(np.concatenate(owners), 2)


def add_ground(assembly: Assembly, plan: Plan, rng: np.random.Generator) -> None:
    """Put the whole ground of a plan into an assembly, one instance per cover."""
    a, b = plan.breaks()
    kind, level = plan.cover(((a[:-1] + a[1:]) / 2)[:, None], ((b[:-1] + b[1:]) / 2)[None])
    rise = plan.course.rise(a[:, None], b[None], plan.start) + _unevenness(kind, rng)

    def place(s: np.ndarray, d: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.concatenate([plan.course.flat(s, d), z[..., None]], axis=-1)

    tops, top_cell, sides, side_cell = relief(a, b, level, place, rise)
    for number, name in enumerate(GROUND):
        color = np.clip(np.array(_COLORS[name]) * rng.uniform(0.8, 1.2) + rng.normal(0, 0.02, 3), 0.05, 0.95)
        shapes = (tops, top_cell), (sides, side_cell)
        pieces = [(vertices, triangles[kind.ravel()[cell] == number]) for (vertices, triangles), cell in shapes]
        count = [len(t) for _, t in pieces]
        if sum(count):
            shades = color * rng.uniform(0.93, 1.07, (sum(count), 1)) * np.repeat([1.0, 0.85], count)[:, None]
            part = np.zeros(sum(count), np.int16)
            assembly.add(name, _WORDS.get(name, ()), _compact(join(pieces)), part, shades.astype(np.float32))
    _add_markings(assembly, plan, rng)


def _unevenness(kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small bumps at the corners of cells: millimeters on asphalt, centimeters where all around is terrain."""
    soft = np.pad(kind == GROUND.index("terrain"), 1, constant_values=True)
    soft = soft[:-1, :-1] & soft[1:, :-1] & soft[:-1, 1:] & soft[1:, 1:]
    return rng.normal(0, np.where(soft, rng.uniform(0.008, 0.04), 0.003))


def _add_markings(assembly: Assembly, plan: Plan, rng: np.random.Generator) -> None:
    """White lines, part of the road: dashed between lanes, solid along edges, stripes of a zebra crossing."""
    lines: list[tuple[float, float, float, float]] = []
    for k in range(1 - plan.lanes, plan.lanes):
        dash, gap = rng.uniform(3, 6), rng.uniform(3, 9)
        lines += [(s, min(s + dash, 70), k * plan.lane, 0.07) for s in np.arange(-70, 66, dash + gap)]
    if plan.kind != "village":
        for d in (0.2 - plan.half, plan.half - 0.2):
            lines += [(s, s + 5, d, 0.06) for s in np.arange(-70, 66, 5.0)]
    for crossing in plan.crossings[:1]:
        s = crossing.s + crossing.half + 1.5
        lines += [(s, s + 3, d, 0.25) for d in np.arange(0.5 - plan.half, plan.half - 0.3, 1.0)]
    clear = [x for x in lines if not any(abs((x[0] + x[1]) / 2 - c.s) < c.half + 1 for c in plan.crossings)]
    shapes = []
    for s0, s1, d, half in clear:
        kind, level = plan.cover(np.array([s0 + 0.1, s1 - 0.1]), np.array(d))
        if (kind == GROUND.index("road")).all():
            s, side = np.meshgrid(np.linspace(s0, s1, 3), [d - half, d + half], indexing="ij")
            z = plan.course.rise(s, side, plan.start) + 0.008
            shapes.append(sheet(np.concatenate([plan.course.flat(s, side), z[..., None]], axis=-1)))
    if shapes:
        assembly.surface("road", join(shapes), _PAINT, ("white",))


def _compact(shape: Shape) -> Shape:
    """The shape without vertices that no triangle uses."""
    used, triangles = np.unique(shape[1], return_inverse=True)
    return shape[0][used], triangles.reshape(-1, 3).astype(np.int32)
