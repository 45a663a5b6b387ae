"""Putting things into a room without collisions: against walls, into the middle, onto and beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s4token_model.procedural.catalog import make_thing
from s4token_model.procedural.room_plan import Opening, Plan, Wall
from s4token_model.procedural.shape_bank import ShapeBank
from s4token_model.procedural.types import Size, Thing

_SOFT = ("clothes", "bag", "pillow", "backpack", "towel")  # these hang over edges
_UNEVEN = 0.025  # m, by which what a thing stands on may vary; for soft things several times as much


@dataclass(frozen=True)
class Placed:
    """A thing turned by `angle` rad about z and moved by `offset` (3,) m; `low`, `high` (3,) are its bounds."""

    thing: Thing
    angle: float
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def world(self, x: float, y: float) -> np.ndarray:
        """The point (2,) of the room at (x, y) of the thing's own frame."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([c * x - s * y, s * x + c * y]) + self.offset[:2]


def bounds(thing: Thing) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of a thing in its own frame."""
    return thing.vertices.min(0).astype(np.float64), thing.vertices.max(0).astype(np.float64)


def part_bounds(thing: Thing, *parts: str) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the first of `parts` that a thing has, in its own frame; its own bounds when it has none."""
    for part in parts:
        if part in thing.parts:
            used = thing.vertices[thing.triangles[thing.part == thing.parts.index(part)].ravel()]
            return used.min(0).astype(np.float64), used.max(0).astype(np.float64)
    return bounds(thing)


def surface(thing: Thing, xy: np.ndarray) -> np.ndarray:
    """The height (n,) m of a thing's highest surface at points xy (n, 2) of its frame; -inf beside it."""
    x, y = thing.vertices[:, 0][thing.triangles], thing.vertices[:, 1][thing.triangles]
    (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
    below = (x.min(axis=1) <= x1) & (x.max(axis=1) >= x0) & (y.min(axis=1) <= y1) & (y.max(axis=1) >= y0)
    if not below.any():
        return np.full(len(xy), -np.inf)
    a, b, c = (thing.vertices[thing.triangles[below, k]].astype(np.float64)[:, None] for k in range(3))
    p, u, v = xy[None] - a[..., :2], b - a, c - a
    area = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    area = np.where(np.abs(area) < 1e-9, np.inf, area)
    s, t = (q[..., 0] * r[..., 1] - q[..., 1] * r[..., 0] for q, r in ((p, v), (u, p)))
    s, t = s / area, t / area
    inside = (s >= 0) & (t >= 0) & (s + t <= 1) & np.isfinite(area)
    return np.where(inside, a[..., 2] + s * u[..., 2] + t * v[..., 2], -np.inf).max(axis=0)


class Site:
    """A room being furnished: its plan, the things placed so far and the space they take."""

    def __init__(self, plan: Plan, rng: np.random.Generator, shapes: ShapeBank | None = None) -> None:
        self.plan, self.rng, self.shapes = plan, rng, shapes
        self.placed: list[Placed] = []
        self._space = np.zeros((600, 6))
        self._count = 0

    def make(self, name: Thing | str, kind: str = "", size: Size | None = None) -> Thing:
        """A thing for this room: "chair:office" is of a kind; a thing is returned as it is."""
        if isinstance(name, Thing):
            return name
        name, _, own = name.partition(":")
        return make_thing(name, self.rng, self.shapes, kind or own, size)

    def block(self, low, high) -> None:
        """Keep the box low..high (3,) free of things."""
        if self._count < len(self._space):
            self._space[self._count] = (*low, *high)
            self._count += 1

    def is_free(self, low, high, ignore: Placed | None = None) -> bool:
        """Whether a box lies in the room and touches no thing (other than `ignore`)."""
        if not self.plan.inside(low[:2], high[:2]) or high[2] > self.plan.height:
            return False
        space = self._space[: self._count]
        hit = ((space[:, :3] < high - 0.004) & (space[:, 3:] > low + 0.004)).all(1)
        if ignore is not None and hit.any():
            hit &= ~(np.abs(space - np.concatenate([ignore.low, ignore.high])).max(1) < 1e-6)
        return not hit.any()

    def put(
        self, thing: Thing, xy, angle: float, z: float = 0.0, ignore: Placed | None = None, force=False, pad=0.0
    ) -> Placed | None:
        """Place a thing at xy if that is free, or in any case with `force`; `pad` m around it must be free, too."""
        low, high = bounds(thing)
        c, s = np.cos(angle), np.sin(angle)
        corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])]) @ np.array([[c, s], [-s, c]])
        offset = np.array([xy[0], xy[1], z])
        lo, hi = np.array([*corners.min(0), low[2]]) + offset, np.array([*corners.max(0), high[2]]) + offset
        grow = np.array([pad, pad, 0.0])
        if force:
            free = self.plan.inside(lo[:2], hi[:2]) and hi[2] <= self.plan.height + 1e-6
        else:
            free = self.is_free(lo - grow, hi + grow, ignore)
            free = free or (pad > 0 and self.is_free(lo, hi, ignore) and self.rng.random() >= 0.7)
        if not free:
            return None
        placed = Placed(thing, angle, offset, lo, hi)
        self.placed.append(placed)
        self.block(lo, hi)
        return placed

    def _anywhere(self) -> np.ndarray:
        return self.rng.uniform([self.plan.xs[0], self.plan.ys[0]], [self.plan.xs[-1], self.plan.ys[-1]])

    def lay(self, name: Thing | str) -> None:
        """Lay something flat anywhere on the floor, under whatever stands there."""
        thing = self.make(name)
        for _ in range(6):
            angle = self.rng.integers(2) * np.pi / 2 + self.rng.normal(0, 0.05)
            if self.put(thing, self._anywhere(), angle, force=True):
                self._count -= 1
                return

    def at_wall(
        self, thing: Thing, wall: Wall, s: float, gap: float = 0.0, z: float = 0.0, jitter=0.0, force=False
    ) -> Placed | None:
        """Place a thing with its back to a wall, its middle s m along it."""
        high = bounds(thing)[1]
        out = gap + high[1] + 0.002 + abs(np.sin(jitter)) * high[0]
        return self.put(thing, wall.point(s, out), wall.angle + jitter, z, force=force)

    def pick_wall(self, length: float = 0.0) -> Wall | None:
        """A random wall longer than `length` m, long ones more often."""
        walls = [w for w in self.plan.walls if w.length > length]
        if not walls:
            return None
        lengths = np.array([w.length for w in walls])
        return walls[int(self.rng.choice(len(walls), p=lengths / lengths.sum()))]

    def against(
        self, name: Thing | str, gap: float | None = None, tries: int = 20, corner: float = 0.35
    ) -> Placed | None:
        """Place a thing with its back to some wall; with probability `corner` tight in a corner."""
        rng, thing = self.rng, self.make(name)
        half = float(bounds(thing)[1][0])
        for _ in range(tries):
            w = self.pick_wall(2 * half + 0.01)
            if w is None:
                return None
            edge = half + 0.005 + rng.uniform(0, 0.06)
            s = rng.uniform(edge, w.length - edge) if w.length > 2 * edge else w.length / 2
            if rng.random() < corner:
                s = edge if rng.random() < 0.5 else w.length - edge
            loose = rng.random()
            turned = rng.normal(0, 0.15) if loose < 0.07 else rng.normal(0, 0.02) if loose < 0.5 else 0.0
            if placed := self.at_wall(thing, w, s, rng.uniform(0, 0.05) if gap is None else gap, 0.0, turned):
                return placed
        return None

    def middle(self, name: Thing | str, pad: float = 0.1, tries: int = 20, angle: float | None = None) -> Placed | None:
        """Place a thing anywhere on the floor, mostly parallel to the walls."""
        rng, thing = self.rng, self.make(name)
        for _ in range(tries):
            loose = rng.normal(0, 0.1) if rng.random() < 0.7 else rng.uniform(0, 1.5)
            turned = rng.integers(4) * np.pi / 2 + loose if angle is None else angle
            if placed := self.put(thing, self._anywhere(), turned, pad=pad):
                return placed
        return None

    def near(
        self, host: Placed, name: Thing | str, x: float, y: float, turned: float = 0.0, z: float = 0.0, overlap=False
    ) -> Placed | None:
        """Place a thing at (x, y) of another one's frame, turned relative to it."""
        ignore = host if overlap else None
        return self.put(self.make(name), host.world(x, y), host.angle + turned, z + host.offset[2], ignore)

    def on(
        self, host: Placed | None, name: Thing | str, back=False, tries: int = 3, turned=None, x=None
    ) -> Placed | None:
        """Place a thing on the top, seat or highest surface of another one, where that is even.

        `back` puts it along the rear edge, x at that coordinate.
        """
        if host is None:
            return None
        rng, thing = self.rng, self.make(name)
        soft = thing.name in _SOFT
        low, high = part_bounds(host.thing, "top", "mattress", "seat")
        half = bounds(thing)[1]
        for _ in range(tries):
            a = turned if turned is not None else (rng.normal(0, 0.25) if rng.random() < 0.7 else rng.uniform(-3, 3))
            c, s = abs(np.cos(a)), abs(np.sin(a))
            reach = np.array([c * half[0] + s * half[1], s * half[0] + c * half[1]])
            room = (high - low)[:2] / 2 - reach
            if (room < (-0.18 if soft else -0.02)).any():
                return None
            room = np.maximum(room, 0.0)
            xy = (low + high)[:2] / 2 + rng.uniform(-room, room)
            if back:
                xy[1] = (low[1] + high[1]) / 2 + room[1] * rng.uniform(0.6, 1.0)
            xy[0] = xy[0] if x is None else x
            feet = xy + reach * 0.8 * np.array([[0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1]])
            z = surface(host.thing, feet)
            found = np.isfinite(z)
            if not found[0] or found.sum() < (2 if soft else 4) or np.ptp(z[found]) > _UNEVEN * (5 if soft else 1):
                continue
            if placed := self.put(thing, host.world(*xy), host.angle + a, host.offset[2] + z[found].max(), ignore=host):
                return placed
        return None

    def hang(
        self, name: Thing | str, z: float | None = None, wall: Wall | None = None, s: float | None = None
    ) -> Placed | None:
        """Hang a thing on a wall with its lower edge at z (default: its middle at eye level)."""
        rng, thing = self.rng, self.make(name)
        half, top = bounds(thing)[1][[0, 2]]
        for _ in range(5):
            w = wall or self.pick_wall(half * 2 + 0.1)
            if w is None or w.length < half * 2 + 0.05:
                continue
            at = s if s is not None else rng.uniform(half + 0.02, w.length - half - 0.02)
            if placed := self.at_wall(
                thing, w, at, 0.0, max(rng.uniform(1.35, 1.75) - top / 2, 0.3) if z is None else z
            ):
                return placed
        return None

    def open_wall(self, width: float, z0: float, z1: float, kind: str) -> tuple[Wall, Opening] | None:
        """Cut an opening into a wall and keep the space before it free as far as the kind needs."""
        for _ in range(8):
            w = self.pick_wall(width + 0.3)
            if w is None or z1 > self.plan.height - 0.03:
                continue
            s0 = self.rng.uniform(0.14, w.length - width - 0.14)
            o = Opening(s0, s0 + width, z0, z1, kind)
            if any(o.s0 < other.s1 + 0.2 and o.s1 > other.s0 - 0.2 for other in w.openings):
                continue
            w.openings.append(o)
            self.clear_before(w, o)
            return w, o
        return None

    def clear_before(self, wall: Wall, opening: Opening) -> None:
        """Things must not stand before doors, nor tall ones before windows."""
        reach = 0.12 if opening.kind == "window" else min((opening.s1 - opening.s0) * 0.9, 0.75)
        a, b = wall.point(opening.s0 - 0.05), wall.point(opening.s1 + 0.05, reach)
        self.block((*np.minimum(a, b), opening.z0), (*np.maximum(a, b), opening.z1))
