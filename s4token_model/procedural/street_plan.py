"""Where a procedural street runs and what covers its ground.

Street coordinates are s m along the road and d m to its left; the one who scans drives at s = 0, and there the scene's
frame has its origin on the road, x ahead. A plan says for every (s, d) what lies there and how high above the road.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

GROUND = ("road", "parking", "sidewalk", "terrain", "traffic island")
REACH = (75.0, 46.0)  # half the length and half the width of a street scene, m


class Course:
    """The center line of a road, bent and sloping: maps street coordinates to the scene's frame."""

    def __init__(self, rng: np.random.Generator, ego: float, crown: float) -> None:
        s = np.arange(-REACH[0] - 5, REACH[0] + 5.5, 0.5)
        bend = 0.0 if rng.random() < 0.4 else rng.choice([-1, 1]) / rng.uniform(65, 300)
        swing, length, phase = rng.choice([0.0, 1.0]) * rng.uniform(0, 0.12), rng.uniform(15, 40), rng.uniform(0, 6.28)
        swing = min(swing, 0.006 * length)
        heading = bend * s + swing * (np.sin(s / length + phase) - np.sin(phase))
        line = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * 0.5, axis=0)
        self._s, self._heading, self._line = s, heading, line - line[np.argmin(np.abs(s))] - [0.0, ego]
        self._grade, self._round = rng.normal(0, 0.012), rng.normal(0, 0.00012)
        self._waves = rng.uniform(0.02, 0.16, 3), rng.normal(0, 0.05, (3, 2)), rng.uniform(0, 6.28, 3)
        self._fall = rng.uniform(0.012, 0.03)
        # The land beside the road is mostly level, else it goes up or down
        self._banks = {}
        for side in (1, -1):
            offset, slopes = rng.uniform(0, 8), [0.0, rng.uniform(0.03, 0.3), -rng.uniform(0.03, 0.3)]
            self._banks[side] = offset, float(rng.choice(slopes, p=(0.5, 0.28, 0.22)))
        self._crown, self._zero = crown, 0.0
        self._zero = float(self.rise(np.array(0.0), np.array(ego)))

    def heading(self, s: np.ndarray | float) -> np.ndarray:
        """Direction of the road at s, radians."""
        return np.interp(s, self._s, self._heading)

    def flat(self, s: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Points (..., 2) of the scene at street coordinates."""
        s, d = np.broadcast_arrays(np.asarray(s, dtype=np.float64), d)
        angle = self.heading(s)
        x, y = (np.interp(s, self._s, self._line[:, k]) for k in (0, 1))
        return np.stack([x - d * np.sin(angle), y + d * np.cos(angle)], axis=-1)

    def rise(self, s: np.ndarray, d: np.ndarray, start: float = 12.0) -> np.ndarray:
        """Height of the ground before kerbs, 0 under whoever scans: slopes, crowned road, banks beyond `start` m."""
        amplitude, wave, phase = self._waves
        z = self._grade * s + self._round * s**2 - self._fall * np.minimum(np.abs(d), self._crown)
        for a, (p, q), f in zip(amplitude, wave, phase, strict=True):
            z = z + a * np.sin(p * s + q * d + f)
        for side, (offset, slope) in self._banks.items():
            beyond = np.maximum(side * d - start - offset, 0)
            z = z + slope * np.minimum(beyond, 14.0)
        return z - self._zero


class Strip(NamedTuple):
    """What lies beside the road from the last strip's edge up to `edge` m off its center line, `level` m higher."""

    name: str
    edge: float
    level: float


class Crossing(NamedTuple):
    """A side street at s, `half` m to either side of it, with sidewalks `walk` m wide, towards `sides` (1 is left)."""

    s: float
    half: float
    walk: float
    sides: tuple[int, ...]


class Patch(NamedTuple):
    """A rectangle (s0, s1, d0, d1) of another cover: a drive, a yard, a car park, a traffic island."""

    box: tuple[float, float, float, float]
    name: str
    level: float


@dataclass
class Plan:
    """The covers of a street. `left` and `right` are strips from the road outwards; the first is half of the road."""

    course: Course
    kind: str  # "town", "village", "park", "country"
    ego: float
    lane: float
    lanes: int
    kerb: float
    left: list[Strip]
    right: list[Strip]
    front: dict[int, float]  # where the first houses stand, m off the center line
    crossings: list[Crossing] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)

    def strips(self, side: int) -> list[Strip]:
        """Strips of the left (1) or right (-1) side."""
        return self.left if side > 0 else self.right

    def strip(self, side: int, name: str) -> tuple[float, float] | None:
        """Inner and outer edge of the first strip of that name beside the road, None when there is none."""
        strips = self.strips(side)
        inner = (0.0, *(item.edge for item in strips))
        return next(((inner[k], item.edge) for k, item in enumerate(strips) if item.name == name), None)

    @property
    def half(self) -> float:
        """Half the width of the road, m."""
        return self.lane * self.lanes

    def cover(self, s: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Index into GROUND and height above the road (m) at street coordinates that broadcast."""
        s, d = np.broadcast_arrays(np.asarray(s, dtype=np.float64), np.asarray(d, dtype=np.float64))
        kind, level = np.empty(s.shape, np.int64), np.empty(s.shape)
        for side in (1, -1):
            strips = self.strips(side)
            at = np.searchsorted([x.edge for x in strips[:-1]], np.abs(d), side="right")
            mine = (d >= 0) if side > 0 else (d < 0)
            kind[mine] = np.array([GROUND.index(x.name) for x in strips])[at[mine]]
            level[mine] = np.array([x.level for x in strips])[at[mine]]
        for crossing in self.crossings:
            away = np.abs(s - crossing.s)
            for side in crossing.sides:
                beside = side * d > self.half
                walk = beside & (away < crossing.half + crossing.walk) & (away >= crossing.half)
                # Sidewalks turn the corner only where a kerb begins: never across a parking lane of the main road.
                walk &= kind != GROUND.index("parking")
                kind[walk], level[walk] = GROUND.index("sidewalk"), self.kerb
                road = beside & (away < crossing.half)
                kind[road], level[road] = GROUND.index("road"), 0.0
        for patch in self.patches:
            s0, s1, d0, d1 = patch.box
            inside = (s > s0) & (s < s1) & (d > d0) & (d < d1)
            kind[inside], level[inside] = GROUND.index(patch.name), patch.level
        return kind, level

    def ground(self, s: float, d: float) -> float:
        """Height of the surface at one place, m."""
        _, level = self.cover(np.array(s), np.array(d))
        return float(self.course.rise(np.array(s), np.array(d), self.start) + level)

    @property
    def start(self) -> float:
        """Where the land may begin to slope, m off the center line."""
        return max(strips[-2].edge if len(strips) > 1 else self.half for strips in (self.left, self.right))

    def breaks(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the cells of the ground begin and end, along s and d: at every edge, and finer near the origin."""
        s = [c.s + k for c in self.crossings for h in (c.half, c.half + c.walk) for k in (h, -h)]
        s += [-REACH[0], REACH[0]]
        d = [-REACH[1], REACH[1], 0.0, *(x.edge for x in self.left), *(-x.edge for x in self.right)]
        for patch in self.patches:
            s += patch.box[:2]
            d += patch.box[2:]
        return _refined(s, REACH[0], (1.0, 2.5), 25.0), _refined(d, REACH[1], (0.8, 2.5), 16.0)


def _refined(edges: list[float], reach: float, steps: tuple[float, float], near: float) -> np.ndarray:
    """Sorted breaks within +-reach with at most steps[0] m between them up to `near` m from 0, steps[1] beyond."""
    edges = np.unique(np.round(np.clip(edges, -reach, reach), 3))
    edges = edges[np.append(True, np.diff(edges) > 0.02)]
    pieces = []
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        at = a
        while b - at > 1e-6:
            step = steps[0] if abs(at + steps[0] / 2) < near else steps[1]
            pieces.append(at)
            at = at + step if b - at > 1.4 * step else b
    return np.array([*pieces, edges[-1]])
