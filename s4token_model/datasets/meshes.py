"""Triangle primitives and the growing mesh that every procedural thing is made of.

A shape is a pair (vertices (V, 3) float64 m, triangles (T, 3) int32). Everything is vectorised numpy without global state.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from s4token_model.datasets.scene import Thing

Shape = tuple[np.ndarray, np.ndarray]

_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
_BOX = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7],
     [1, 7, 3]], dtype=np.int32,
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
    """A cushion: a box with rounded edges of `radius`, faces bulging by `puff` and surface waves of height `rough` (all m).

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


def lathe(profile, n: int = 14) -> Shape:
    """The surface of revolution about z of a profile [(radius, z), ...]; radius 0 closes an end."""
    profile = np.asarray(profile, dtype=np.float64)
    return loft([(z, r, r, 0.0, 0.0) for r, z in profile], 2.0, n)


def loft(rings, power: float = 2.0, n: int = 20) -> Shape:
    """The surface through superellipse rings [(z, rx, ry, cx, cy), ...]; power 2 is an ellipse, larger is boxier.

    A concave basin is one loft: up the outside, over the rim, down the inside and to a point.
    """
    rings = np.asarray(rings, dtype=np.float64)
    angle = np.linspace(0, 2 * np.pi, n + 1)
    c, s = np.cos(angle), np.sin(angle)
    x, y = np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)
    points = np.empty((len(rings), n + 1, 3))
    points[..., 0] = rings[:, 1:2] * x + rings[:, 3:4]
    points[..., 1] = rings[:, 2:3] * y + rings[:, 4:5]
    points[..., 2] = rings[:, :1]
    return sheet(points)


def tube(start, end, radius: float, n: int = 7, end_radius: float | None = None) -> Shape:
    """A straight bar with closed ends; `end_radius` makes it taper."""
    start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    axis = end - start
    length = np.linalg.norm(axis)
    axis = axis / max(length, 1e-9)
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    u = np.cross(axis, helper)
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    last = radius if end_radius is None else end_radius
    points, triangles = loft([(0, 0, 0, 0, 0), (0, radius, radius, 0, 0), (length, last, last, 0, 0), (length, 0, 0, 0, 0)], 2.0, n)
    return start + points @ np.stack([u, v, axis]), triangles


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


def _middle(vertices: np.ndarray) -> np.ndarray:
    low, high = vertices.min(0), vertices.max(0)
    return np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])


def centred(thing: Thing) -> Thing:
    """The thing moved so that its base is at z = 0 and its bounds are centred in x and y."""
    return replace(thing, vertices=(thing.vertices - _middle(thing.vertices)).astype(np.float32))


class Mesh:
    """A growing triangle mesh with a part name and a colour per triangle."""

    def __init__(self) -> None:
        self._vertices: list[np.ndarray] = []
        self._triangles: list[np.ndarray] = []
        self._parts: list[np.ndarray] = []
        self._colors: list[np.ndarray] = []
        self._names: list[str] = []
        self._count = 0

    def add(self, shape: Shape, part: str, color) -> None:
        """Add a shape; color is (3,) or (T, 3) in [0, 1]."""
        vertices, triangles = shape
        if part not in self._names:
            self._names.append(part)
        self._vertices.append(vertices)
        self._triangles.append(triangles + self._count)
        self._parts.append(np.full(len(triangles), self._names.index(part), dtype=np.int16))
        self._colors.append(np.broadcast_to(np.asarray(color, dtype=np.float32), (len(triangles), 3)))
        self._count += len(vertices)

    def box(self, x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, part: str, color) -> None:
        """Add an axis-aligned box."""
        self.add(box((x0, y0, z0), (x1, y1, z1)), part, color)

    def add_thing(self, thing: Thing, offset, angle: float = 0.0, part: str = "content") -> None:
        """Add a whole thing, turned by `angle` rad about z and moved, as one part of this mesh."""
        self.add(move(turn((thing.vertices.astype(np.float64), thing.triangles), angle), offset), part, thing.color)

    def thing(self, name: str, attributes: tuple[str, ...] = (), centred: bool = True) -> Thing:
        """The finished thing without zero-area triangles, by default centred in x and y with its base at z = 0."""
        vertices = np.concatenate(self._vertices)
        triangles = np.concatenate(self._triangles)
        a, b, c = (vertices[triangles[:, k]] for k in range(3))
        keep = np.einsum("ij,ij->i", *(2 * (np.cross(b - a, c - a),))) > 1e-14
        if centred:
            vertices = vertices - _middle(vertices)
        return Thing(
            name,
            tuple(dict.fromkeys(attributes)),
            tuple(self._names),
            vertices.astype(np.float32),
            triangles[keep].astype(np.int32),
            np.concatenate(self._parts)[keep],
            np.concatenate(self._colors)[keep],
        )
