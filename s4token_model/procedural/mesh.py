"""Triangle primitives and the growing mesh that every procedural thing is made of.

A shape is a pair (vertices (V, 3) float64 m, triangles (T, 3) int32). Everything is vectorized numpy without global
state.
"""

from __future__ import annotations

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
    """A cushion: a box with rounded edges of `radius`, faces bulging by `puff` and surface waves of height `rough`
    (all m).

    `phase` moves the waves, so that each cushion differs; n is the number of cells along each edge.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    unit, triangles = _unit_cube(n)
    half = (high - low) / 2
    inner = half - np.minimum(radius, half * 0.95)
    p = unit * half
    core = np.clip(p, -inner, inner)
    rest = p - core
    length = np.linalg.norm(rest / (half - inner), axis=1, keepdims=True)
    p = core + rest / np.maximum(length, 1e-9)
    if puff:
        square = 1 - unit**2
        thin = int(np.argmin(half))
        bulge = np.prod(np.delete(square, thin, axis=1), axis=1)
        p[:, thin] += puff * bulge * np.sign(unit[:, thin])
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
    rings = np.array(rings, dtype=np.float64)
    x, y = _circle(float(power), n)
    points = np.empty((len(rings), n + 1, 3))
    points[..., 0] = rings[:, 1:2] * x + rings[:, 3:4]
    points[..., 1] = rings[:, 2:3] * y + rings[:, 4:5]
    points[..., 2] = rings[:, :1]
    return points.reshape(-1, 3), grid_triangles(len(rings), n + 1)


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
    return points.reshape(-1, 3), grid_triangles(4, n + 1)


def path(points, radius: float, n: int = 6) -> Shape:
    """A bent bar through several points."""
    return join([tube(a, b, radius, n) for a, b in zip(points[:-1], points[1:], strict=True)])


def prism(outline, z0: float, z1: float) -> Shape:
    """An upright prism over an outline (K, 2) that is star-shaped about its mean."""
    outline = np.asarray(outline, dtype=np.float64)
    ring = np.concatenate([outline, outline[:1]])
    middle = np.broadcast_to(outline.mean(0), ring.shape)
    levels = [(middle, z0), (ring, z0), (ring, z1), (middle, z1)]
    return sheet(np.stack([np.column_stack([xy, np.full(len(xy), z)]) for xy, z in levels]))


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


def join(shapes: list[Shape]) -> Shape:
    """Several shapes as one."""
    start = np.cumsum([0] + [len(v) for v, _ in shapes])
    triangles = [t + s for (_, t), s in zip(shapes, start, strict=False)]
    return np.concatenate([v for v, _ in shapes]), np.concatenate(triangles).astype(np.int32)


def move(shape: Shape, offset) -> Shape:
    """A shape moved by `offset` (3,) m."""
    return shape[0] + np.asarray(offset, dtype=np.float64), shape[1]


def turn(shape: Shape, angle: float, axis: str = "z", pivot=(0.0, 0.0, 0.0)) -> Shape:
    """A shape turned by `angle` rad about an axis through `pivot`."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    p = shape[0] - np.asarray(pivot, dtype=np.float64)
    out = p.copy()
    out[:, i] = c * p[:, i] - s * p[:, j]
    out[:, j] = s * p[:, i] + c * p[:, j]
    return out + np.asarray(pivot, dtype=np.float64), shape[1]


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
        self._vertices: list[np.ndarray] = []
        self._triangles: list[np.ndarray] = []
        self._parts: list[int] = []
        self._colors: list[np.ndarray] = []
        self._names: list[str] = []

    def add(self, shape: Shape, part: str, color) -> None:
        """Add a shape; color is (3,) or (T, 3) in [0, 1]."""
        if part not in self._names:
            self._names.append(part)
        self._vertices.append(shape[0])
        self._triangles.append(shape[1])
        self._parts.append(self._names.index(part))
        self._colors.append(np.asarray(color))

    def box(self, x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, part: str, color) -> None:
        """Add an axis-aligned box."""
        self.add(box((x0, y0, z0), (x1, y1, z1)), part, color)

    def thing(self, name: str, attributes: tuple[str, ...] = ()) -> Thing:
        """The finished thing without zero-area triangles."""
        vertices = np.concatenate(self._vertices)
        count = np.array([len(t) for t in self._triangles])
        start = np.cumsum([0] + [len(v) for v in self._vertices[:-1]])
        triangles = np.concatenate(self._triangles) + np.repeat(start, count)[:, None]
        color = np.repeat(np.array([c if c.ndim == 1 else (0, 0, 0) for c in self._colors], np.float32), count, axis=0)
        end = np.cumsum(count)
        for k, c in enumerate(self._colors):
            if c.ndim == 2:
                color[end[k] - count[k] : end[k]] = c
        keep = doubled_areas(vertices, triangles) > 1e-7
        return Thing(
            name,
            tuple(dict.fromkeys(attributes)),
            tuple(self._names),
            vertices.astype(np.float32),
            triangles[keep].astype(np.int32),
            np.repeat(np.array(self._parts, np.int16), count)[keep],
            color[keep],
        )
