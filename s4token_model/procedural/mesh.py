"""Triangle primitives, as pairs (vertices (V, 3) float64 m, triangles (T, 3) int32), and a mesh that grows by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import hypot

import numpy as np

from s4token_model.procedural.types import Thing

Shape = tuple[np.ndarray, np.ndarray]

_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
_BOX = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], dtype=np.int32,
)  # fmt: skip


def box(low, high) -> Shape:
    """An axis-aligned box from its lowest to its highest corner."""
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    return low + _CORNERS * (high - low), _BOX


@lru_cache(maxsize=64)
def grid_triangles(rows: int, columns: int) -> np.ndarray:
    """Triangles (2 (rows - 1) (columns - 1), 3) int32 over a row-major grid of rows x columns vertices."""
    i = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    return np.stack([i, i + 1, i + columns + 1, i, i + columns + 1, i + columns], 1).reshape(-1, 3).astype(np.int32)


def sheet(points: np.ndarray) -> Shape:
    """The surface over a grid of points (R, C, 3)."""
    rows, columns = points.shape[:2]
    return points.reshape(-1, 3), grid_triangles(rows, columns)


@lru_cache(maxsize=16)
def _unit_cube(n: int) -> Shape:
    """Six grids of (n + 1)^2 vertices on the surface of [-1, 1]^3, closer together near the edges."""
    s = np.linspace(-1, 1, n + 1)
    s = np.sign(s) * np.abs(s) ** 0.6
    a, b = (g.ravel() for g in np.meshgrid(s, s, indexing="ij"))
    faces = [np.insert(np.stack([a, b], 1), axis, side, axis=1) for axis in range(3) for side in (-1.0, 1.0)]
    grid = grid_triangles(n + 1, n + 1)
    return np.concatenate(faces), np.concatenate([grid + k * len(a) for k in range(6)]).astype(np.int32)


def soft_box(low, high, radius: float, puff: float = 0.0, rough: float = 0.0, phase: float = 0.0, n: int = 5) -> Shape:
    """A cushion: a box with edges rounded by `radius`, faces bulging by `puff` and waves of height `rough` (all m).

    `phase` moves the waves, so that each cushion differs; n is the number of cells along each edge.
    """
    unit, triangles = _unit_cube(n)
    half = (high - low) / 2
    inner = half - np.minimum(radius, half * 0.95)
    core = np.clip(unit * half, -inner, inner)
    rest = unit * half - core
    p = core + rest / np.maximum(np.linalg.norm(rest / (half - inner), axis=1, keepdims=True), 1e-9)
    if puff:
        thin = int(np.argmin(half))
        p[:, thin] += puff * np.prod(np.delete(1 - unit**2, thin, axis=1), axis=1) * np.sign(unit[:, thin])
    if rough:
        wave = np.sin(p @ np.array([17.0, 11.0, 13.0]) + phase) + np.sin(p @ np.array([-9.0, 21.0, 8.0]) + 2.1 * phase)
        p *= 1 + rough * wave[:, None] / 2 / half.min()
    return p + (low + high) / 2, triangles


@lru_cache(maxsize=64)
def _circle(power: float, n: int) -> np.ndarray:
    """n + 1 points (2, n + 1) around the unit superellipse, the last equal to the first."""
    angle = np.linspace(0, 2 * np.pi, n + 1)
    c, s = np.cos(angle), np.sin(angle)
    points = np.stack([np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)])
    points[:, -1] = points[:, 0]
    return points


def loft(rings, power: float = 2.0, n: int = 20) -> Shape:
    """The surface through superellipse rings [(z, rx, ry, cx, cy), ...]; power 2 is an ellipse, larger is boxier.

    A concave basin is one loft: up the outside, over the rim, down the inside and to a point.
    """
    z, rx, ry, cx, cy = np.array(rings, dtype=np.float64).T[..., None]
    x, y = _circle(float(power), n)
    return sheet(np.stack([rx * x + cx, ry * y + cy, np.broadcast_to(z, (len(z), n + 1))], axis=-1))


def tube(start, end, radius: float, n: int = 7, end_radius: float | None = None) -> Shape:
    """A straight bar with closed ends; `end_radius` makes it taper."""
    ax, ay, az = (float(e - s) for s, e in zip(start, end, strict=True))
    length = max(hypot(ax, ay, az), 1e-9)
    ax, ay, az = ax / length, ay / length, az / length
    # u = axis x z (or axis x x for upright bars), v = axis x u
    ux, uy, uz = (ay, -ax, 0.0) if abs(az) < 0.9 else (0.0, az, -ay)
    k = hypot(ux, uy, uz)
    ux, uy, uz = ux / k, uy / k, uz / k
    basis = np.array([[ux, uy, uz], [ay * uz - az * uy, az * ux - ax * uz, ax * uy - ay * ux]])
    ring = _circle(2.0, n).T @ basis
    points = np.empty((4, n + 1, 3))
    points[:2], points[2:] = start, end
    points[1] += radius * ring
    points[2] += (radius if end_radius is None else end_radius) * ring
    return sheet(points)


def quads(corners) -> Shape:
    """Two triangles for each of the quads (Q, 4, 3)."""
    vertices = np.asarray(corners, dtype=np.float64).reshape(-1, 3)
    first = np.arange(0, len(vertices), 4)[:, None, None]
    return vertices, (first + [[0, 1, 2], [0, 2, 3]]).reshape(-1, 3).astype(np.int32)


def blob(radius, rng: np.random.Generator, lumps: float = 0.25, n: int = 10) -> Shape:
    """A lumpy ellipsoid of radii (3,) m about the origin."""
    theta, phi = np.linspace(0, np.pi, n), np.linspace(0, 2 * np.pi, 2 * n + 1)
    t, f = np.meshgrid(theta, phi, indexing="ij")
    a, b, c = rng.uniform(0, 6.28, 3)
    swell = 1 + lumps * (np.sin(3 * f + a) * np.sin(2 * t + b) + 0.6 * np.sin(5 * f + c) * np.sin(3 * t)) * np.sin(t)
    unit = np.stack([np.sin(t) * np.cos(f), np.sin(t) * np.sin(f), np.cos(t)], -1)
    return sheet(unit * swell[..., None] * np.asarray(radius, dtype=np.float64))


def rumple(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, height: float, scale: float = 0.3) -> np.ndarray:
    """Smooth random folds at (x, y) m, about +-height m, with wavelengths around `scale` m."""
    total = np.zeros_like(x)
    for k in range(5):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        wave = 2 * np.pi / (scale * rng.uniform(0.6, 2.5))
        bend = np.sin(2.3 * x + 1.7 * y + k) * 0.8
        total += np.abs(np.sin(wave / 2 * (np.cos(angle) * x + np.sin(angle) * y) + phase + bend)) - 0.6
    return height * total / 2


def join(shapes: Sequence[Shape]) -> Shape:
    """Several shapes as one."""
    start = np.cumsum([0] + [len(v) for v, _ in shapes])
    triangles = [t + s for (_, t), s in zip(shapes, start, strict=False)]
    return np.concatenate([v for v, _ in shapes]), np.concatenate(triangles).astype(np.int32)


def turn(shape: Shape, angle: float, pivot=(0.0, 0.0)) -> Shape:
    """A shape turned by `angle` rad about the vertical through `pivot` (2,)."""
    c, s = np.cos(angle), np.sin(angle)
    (x, y), z = (shape[0][:, :2] - pivot).T, shape[0][:, 2]
    return np.stack([c * x - s * y + pivot[0], s * x + c * y + pivot[1], z], axis=1), shape[1]


def centered(thing: Thing) -> Thing:
    """The thing moved so that its base is at z = 0 and its bounds are centered in x and y."""
    low, high = thing.vertices.min(0), thing.vertices.max(0)
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return replace(thing, vertices=(thing.vertices - middle).astype(np.float32))


def doubled_areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Twice the area (T,) of each triangle, m2."""
    a = vertices[triangles[:, 0]]
    p, q = (vertices[triangles[:, 1]] - a).T, (vertices[triangles[:, 2]] - a).T
    x, y, z = p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]
    return np.sqrt(x * x + y * y + z * z)


class Mesh:
    """A growing triangle mesh with a part name and a color per triangle."""

    def __init__(self) -> None:
        self._pieces: list[tuple[Shape, str, np.ndarray]] = []

    def add(self, shape: Shape, part: str, color) -> None:
        """Add a shape; color is (3,) or (T, 3) in [0, 1]."""
        self._pieces.append((shape, part, np.broadcast_to(color, (len(shape[1]), 3))))

    def thing(self, name: str, attributes: tuple[str, ...] = ()) -> Thing:
        """The finished thing without zero-area triangles."""
        shapes, parts, colors = zip(*self._pieces, strict=True)
        vertices, triangles = join(shapes)
        names = tuple(dict.fromkeys(parts))
        part = np.repeat(np.array([names.index(p) for p in parts], np.int16), [len(t) for _, t in shapes])
        color = np.concatenate(colors).astype(np.float32)
        keep = doubled_areas(vertices, triangles) > 1e-7
        words = tuple(dict.fromkeys(attributes))
        return Thing(name, words, names, vertices.astype(np.float32), triangles[keep], part[keep], color[keep])
