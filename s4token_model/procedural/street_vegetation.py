"""Trees, bushes and hedges whose foliage is many small leaves that a laser partly passes through.

`detail` below 1 means fewer and larger leaves that cover as much: for what stands far away.
"""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.catalog import split
from s4token_model.procedural.materials import pick
from s4token_model.procedural.mesh import Mesh, Shape, box, tube
from s4token_model.procedural.shape_bank import ShapeBank
from s4token_model.procedural.types import Thing

_GREENS = ((0.16, 0.32, 0.12), (0.24, 0.38, 0.14), (0.33, 0.42, 0.16), (0.12, 0.26, 0.14), (0.42, 0.40, 0.16))
CAD = 0.3  # fraction of the trees and bushes that come from a bank; a laser passes ours as it does real ones
_LIMITS = {"tree": ((0.5, 0.5, 3.0), (12.0, 12.0, 15.0)), "bush": ((0.3, 0.3, 0.3), (3.0, 3.0, 2.5))}  # sizes, m


def plant(kind: str, rng: np.random.Generator, shapes: ShapeBank | None, detail: float = 1.0) -> list[Thing]:
    """A "tree" or a "bush", now and then from the bank `shapes`."""
    cad = shapes.draw("vegetation", rng, limits=np.array(_LIMITS[kind])) if shapes and rng.random() < CAD else None
    return split(cad) if cad else {"tree": tree, "bush": bush}[kind](rng, detail)


def leaves(centers: np.ndarray, size: float, rng: np.random.Generator) -> Shape:
    """One triangle of about `size` m edge at each of centers (n, 3), turned at random."""
    corners = rng.normal(0, 1, (len(centers), 3, 3))
    corners -= corners.mean(axis=1, keepdims=True)
    corners /= np.linalg.norm(corners, axis=2, keepdims=True)
    scale = size * rng.uniform(0.35, 0.8, (len(centers), 1, 1))
    vertices = (centers[:, None] + scale * corners).reshape(-1, 3)
    return vertices, np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)


def tree(rng: np.random.Generator, detail: float = 1.0) -> list[Thing]:
    """A trunk with its main branches, and a crown: broad, columnar, conifer or bare."""
    kind = str(rng.choice(["broad", "young", "column", "conifer", "bare"], p=(0.45, 0.2, 0.1, 0.15, 0.1)))
    height = {"young": rng.uniform(3.5, 6), "conifer": rng.uniform(5, 14)}.get(kind, rng.uniform(6, 14))
    clear = {"conifer": rng.uniform(0.2, 1.2), "young": rng.uniform(1.5, 2.2)}
    clear = clear.get(kind, float(rng.choice([rng.uniform(0.8, 1.6), rng.uniform(1.6, 3.4)], p=(0.3, 0.7))))
    girth = height * rng.uniform(0.012, 0.024)
    wood, lean = np.array([0.30, 0.24, 0.18]) * rng.uniform(0.7, 1.3), rng.normal(0, 0.02 * height, 2)
    fork = np.array([*lean, clear + 0.25 * (height - clear)])
    m = Mesh()
    m.add(tube((0, 0, -0.3), (0, 0, 0.25), girth * 1.6, 9, girth * 1.1), "stem", wood)
    m.add(tube((0, 0, 0.2), fork, girth * 1.1, 9, girth * 0.75), "stem", wood)
    wide = min({"column": 0.13, "conifer": 0.2, "young": 0.22}.get(kind, rng.uniform(0.24, 0.36)) * height, 4.5)
    tips = _tips(kind, fork, clear, height, wide, rng)
    for tip in tips[: 14 if kind == "bare" else 8]:
        start = fork if kind != "conifer" else (*lean * 0.5, tip[2])
        m.add(tube(start, tip, girth * 0.35, 5, girth * 0.12), "stem", wood)
    if kind == "bare":
        for tip in tips:
            m.add(tube(tip + rng.normal(0, 0.15, 3), tip + rng.normal(0, 0.5, 3), 0.015, 3), "stem", wood)
    trunk = m.thing("tree trunk", ("tall",) if height > 9 else ())
    crown = Mesh()
    count = int({"bare": 250, "young": 1000, "column": 1600}.get(kind, rng.uniform(2200, 4200)))
    size = {"bare": 0.12, "young": 0.17, "conifer": 0.24}.get(kind, rng.uniform(0.2, 0.34))
    count, size = int(count * detail), size / detail**0.5
    spread = wide * rng.uniform(0.22, 0.36)
    centers = tips[rng.integers(len(tips), size=count)] + rng.normal(0, 1, (count, 3)) * [spread, spread, spread * 0.8]
    centers = centers[centers[:, 2] > clear * 0.85]
    crown.add(leaves(centers, size, rng), "leaf", _foliage(rng, len(centers)))
    return [trunk, crown.thing("vegetation", ("green",))]


def _tips(kind: str, fork, clear: float, height: float, wide: float, rng: np.random.Generator) -> np.ndarray:
    """Ends of branches (n, 3), around which leaves grow."""
    n = int(rng.integers(16, 28))
    angle, share = rng.uniform(0, 2 * np.pi, n), rng.random(n)
    if kind == "conifer":
        z = clear + (height - clear) * share**1.3
        out = wide * (1 - (z - clear) / (height - clear)) * rng.uniform(0.5, 1.0, n)
    else:
        z = clear + (height - clear) * (0.12 + 0.8 * share)
        middle = clear + 0.5 * (height - clear)
        out = wide * np.sqrt(np.maximum(1 - ((z - middle) / (0.55 * (height - clear))) ** 2, 0.05))
        out *= rng.uniform(0.3, 1.0, n)
    return np.stack([fork[0] + out * np.cos(angle), fork[1] + out * np.sin(angle), z], axis=1)


def bush(rng: np.random.Generator, detail: float = 1.0) -> list[Thing]:
    """A shrub of 0.4 to 2.5 m."""
    radius = np.array([1.0, rng.uniform(0.7, 1.0), rng.uniform(0.7, 1.2)]) * rng.uniform(0.3, 1.15)
    count = int(detail * np.clip(1040 * radius[0] * radius[2], 120, 1300))
    ball = rng.normal(0, 1, (count, 3))
    ball *= rng.uniform(0.55, 1.0, (count, 1)) ** 0.6 / np.linalg.norm(ball, axis=1, keepdims=True)
    lumps = 1 + 0.22 * np.sin(ball @ rng.normal(0, 3, (3, 3)) + rng.uniform(0, 6, 3)).mean(axis=1, keepdims=True)
    centers = ball * radius * lumps + [0, 0, radius[2] * 0.85]
    centers[:, 2] = np.abs(centers[:, 2])
    stem = tube((0, 0, -0.1), (0, 0, radius[2]), 0.04, 4, 0.02)
    return _shrub(centers, rng.uniform(0.1, 0.2) / detail**0.5, rng, stem, "small" if radius[2] < 0.6 else "large")


def hedge(rng: np.random.Generator, length: float, height: float | None = None, detail: float = 1.0) -> list[Thing]:
    """A clipped or shaggy hedge along x, centered."""
    h = float(rng.uniform(0.7, 2.3)) if height is None else height
    w, shaggy = rng.uniform(0.5, 1.1), rng.uniform(0.03, 0.14)
    area = length * (2 * h + w)
    count = int(detail * min(area * rng.uniform(70, 110), 5000))
    u = rng.uniform(0, 2 * h + w, count)
    y = np.where(u < h, -w / 2, np.where(u < h + w, u - h - w / 2, w / 2))
    z = np.where(u < h, u, np.where(u < h + w, h, 2 * h + w - u))
    centers = np.stack([rng.uniform(-length / 2, length / 2, count), y, z], axis=1)
    ends = rng.random(count) < w * h / area * 2
    centers[ends] = rng.uniform([-0.5, -w / 2, 0], [0.5, w / 2, h], (int(ends.sum()), 3)) * [0.2, 1, 1]
    centers[ends, 0] += rng.choice([-0.5, 0.5], int(ends.sum())) * (length - 0.2)
    wave = 0.5 * shaggy * np.sin(centers[:, 0] * rng.uniform(1, 4) + rng.uniform(0, 6))
    centers += rng.normal(0, shaggy, (count, 3)) * [0.3, 1, 0.8] + np.stack([0 * wave, wave, np.abs(wave)], axis=1)
    centers[:, 2] = np.abs(centers[:, 2])
    inset, end = 0.12 + shaggy, min(0.4, 0.3 * length) - length / 2
    core = box((end, inset - w / 2, -0.2), (-end, w / 2 - inset, h - inset))
    return _shrub(centers, rng.uniform(0.1, 0.18) / detail**0.5, rng, core, "tall" if h > 1.5 else "low")


def thicket(rng: np.random.Generator, length: float, detail: float = 0.25) -> list[Thing]:
    """The edge of a wood or a row of tall shrubs along x, 1.5 to 7 m high."""
    h = rng.uniform(2.5, 7.0) if detail < 0.4 else rng.uniform(1.5, 5.0)
    deep = rng.uniform(1.0, 3.0)
    count = int(detail * min(length * min(h, 4) * 105, 7000))
    x, z = rng.uniform(-length / 2, length / 2, count), h * rng.random(count) ** 0.9
    lumps = 0.5 * np.sin(x * rng.uniform(0.8, 2.0) + rng.uniform(0, 6)) + 0.5 * np.sin(x * 0.7 + z * 1.3)
    y = rng.normal(0, 0.22 * deep, count) + 0.3 * lumps * rng.choice([-1, 1], count)
    centers = np.stack([x, y, z * (0.85 + 0.15 * lumps)], axis=1)
    core = box((0.8 - length / 2, -0.1, -0.5), (length / 2 - 0.8, 0.1, 0.5 * h))
    return _shrub(centers, rng.uniform(0.17, 0.25) / detail**0.5, rng, core, "tall", "large")


def _shrub(centers: np.ndarray, size: float, rng: np.random.Generator, core: Shape, *words: str) -> list[Thing]:
    """Leaves about a core that nothing passes."""
    m = Mesh()
    m.add(leaves(centers, size, rng), "leaf", _foliage(rng, len(centers)))
    m.add(core, "leaf", (0.12, 0.18, 0.08))
    return [m.thing("vegetation", ("green", *words))]


def _foliage(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colors (count, 3) of leaves around one green."""
    return np.clip(np.array(pick(rng, _GREENS)) * rng.uniform(0.7, 1.35, (count, 1)), 0.02, 0.9)
