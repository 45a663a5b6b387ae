"""Floor plans and their walls with real openings.

A plan is a rectilinear region: a mask over the cells of a grid with uneven breaks. So L-shapes, alcoves and closets are
all the same thing, and walls are the borders of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from s4token_model.procedural.mesh import Shape, box, join, quads


@dataclass
class Opening:
    """A hole in a wall between s0..s1 m along it and z0..z1 m; kind "door", "passage" or "window"."""

    s0: float
    s1: float
    z0: float
    z1: float
    kind: str


@dataclass
class Wall:
    """One straight wall: start (2,), unit direction along (2,), unit normal into the room (2,), length m."""

    start: np.ndarray
    along: np.ndarray
    normal: np.ndarray
    length: float
    openings: list[Opening] = field(default_factory=list)

    def point(self, s: float, out: float = 0.0) -> np.ndarray:
        """The point s m along the wall and `out` m into the room, (2,)."""
        return self.start + self.along * s + self.normal * out

    @property
    def angle(self) -> float:
        """The turn about z that makes a thing with its front at -y look into the room, its back to this wall."""
        return float(np.arctan2(self.normal[1], self.normal[0]) + np.pi / 2)


@dataclass
class Plan:
    """A rectilinear room: breaks xs (X + 1,), ys (Y + 1,) m, mask (X, Y) bool, height m, wall thickness m."""

    xs: np.ndarray
    ys: np.ndarray
    mask: np.ndarray
    height: float
    thickness: float
    walls: list[Wall] = field(default_factory=list)

    def inside(self, low, high) -> bool:
        """Whether the rectangle low..high (2,) lies in the room."""
        if low[0] < self.xs[0] or low[1] < self.ys[0] or high[0] > self.xs[-1] or high[1] > self.ys[-1]:
            return False
        i0, i1 = self.xs.searchsorted((low[0] + 1e-6, high[0] - 1e-6)) - 1
        j0, j1 = self.ys.searchsorted((low[1] + 1e-6, high[1] - 1e-6)) - 1
        if i0 < 0 or j0 < 0 or i1 >= len(self.mask) or j1 >= self.mask.shape[1]:
            return False
        return bool(self.mask[i0 : i1 + 1, j0 : j1 + 1].all())

    @property
    def area(self) -> float:
        """Floor area in m2."""
        return float((np.diff(self.xs)[:, None] * np.diff(self.ys)[None] * self.mask).sum())


def plan_of(add, remove, height: float, thickness: float) -> Plan:
    """The plan of a union of rectangles (x0, x1, y0, y1) without others."""
    rects = [*add, *remove]
    xs = np.unique(np.round([v for r in rects for v in r[:2]], 4))
    ys = np.unique(np.round([v for r in rects for v in r[2:]], 4))
    cx, cy = (xs[:-1] + xs[1:]) / 2, (ys[:-1] + ys[1:]) / 2
    mask = np.zeros((len(cx), len(cy)), dtype=bool)
    for group, value in ((add, True), (remove, False)):
        for x0, x1, y0, y1 in group:
            mask[np.ix_((cx > x0) & (cx < x1), (cy > y0) & (cy < y1))] = value
    plan = Plan(xs, ys, mask, height, thickness)
    plan.walls = _borders(plan)
    return plan


def _borders(plan: Plan) -> list[Wall]:
    """The walls of a plan, merged along straight runs."""
    walls = []
    padded = np.pad(plan.mask, 1).astype(int)
    for axis in (0, 1):
        cells = padded if axis == 0 else padded.T
        across, along = (plan.xs, plan.ys) if axis == 0 else (plan.ys, plan.xs)
        for x, row in zip(across, cells[1:, 1:-1] - cells[:-1, 1:-1], strict=True):
            ends = np.flatnonzero(np.diff(row, prepend=9, append=9))
            for j, k in zip(ends[:-1], ends[1:], strict=True):
                if row[j] != 0:
                    start, direction, normal = (np.zeros(2) for _ in range(3))
                    start[axis], start[1 - axis] = x, along[j]
                    direction[1 - axis], normal[axis] = 1.0, float(row[j])
                    walls.append(Wall(start, direction, normal, float(along[k] - along[j])))
    return walls


def make_plan(rng: np.random.Generator, area: tuple[float, float]) -> Plan:
    """A plan of about area[0]..area[1] m2: rectangle, L, T, U, with an alcove, closet or chimney."""
    size, aspect = rng.uniform(*area), rng.uniform(1.0, 1.9)
    sides = np.clip([np.sqrt(size * aspect), np.sqrt(size / aspect)], 1.6, 9.0).tolist()
    w, d = sides[::-1] if rng.random() < 0.5 else sides
    height, thickness = float(rng.uniform(2.3, 3.2)), float(rng.uniform(0.1, 0.25))
    add, remove = [(0.0, w, 0.0, d)], []
    kind = rng.choice(["plain", "L", "alcove", "closet", "T", "U"], p=(0.36, 0.22, 0.16, 0.14, 0.06, 0.06))
    if min(w, d) > 2.4:
        a, b = rng.uniform(0.25, 0.55) * w, rng.uniform(0.25, 0.55) * d
        if kind == "L":
            remove.append((0.0, a, 0.0, b))
        elif kind == "alcove":
            x = rng.uniform(0.1, 0.5) * w
            add.append((x, min(x + rng.uniform(0.8, 2.4), w), d, d + rng.uniform(0.35, 1.5)))
        elif kind == "closet":
            x = rng.uniform(0.0, 0.75) * w
            remove.append((x, min(x + rng.uniform(0.25, 1.2), w), d - rng.uniform(0.2, 0.75), d))
        elif kind == "T":
            remove += [(0.0, w * 0.3, 0.0, b), (w * 0.72, w, 0.0, b)]
        elif kind == "U":
            remove.append((w * 0.4, w * 0.4 + rng.uniform(0.15, 1.0), 0.0, b))
        if rng.random() < 0.15:
            s = rng.uniform(0.2, 0.5)
            remove.append((w - s, w, 0.0, s))
    if rng.random() < 0.5:
        add, remove = ([(w - x1, w - x0, y0, y1) for x0, x1, y0, y1 in group] for group in (add, remove))
    if rng.random() < 0.5:
        add, remove = ([(x0, x1, -y1, -y0) for x0, x1, y0, y1 in group] for group in (add, remove))
    return plan_of(add, remove, height, thickness)


def beyond(rng: np.random.Generator, plan: Plan, wall: Wall, opening: Opening, taken: list[tuple]) -> Plan | None:
    """A rectangular room or hall behind an opening of `plan`, or None when there is no space for it.

    taken: rectangles (x0, x1, y0, y1) that other such rooms use; the new one is appended.
    """
    middle = (opening.s0 + opening.s1) / 2
    left, right, depth = rng.uniform(0.5, 2.5), rng.uniform(0.5, 2.5), rng.uniform(1.0, 3.5)
    near, far = -plan.thickness, -plan.thickness - depth
    half = (opening.s1 - opening.s0) / 2 + 0.1
    a, b = wall.point(middle - half - left, near), wall.point(middle + half + right, far)
    x0, x1, y0, y1 = min(a[0], b[0]), max(a[0], b[0]), min(a[1], b[1]), max(a[1], b[1])
    grow, cx, cy = plan.thickness * 0.9, plan.xs, plan.ys
    hit = ((cx[:-1] < x1 + grow) & (cx[1:] > x0 - grow))[:, None] & ((cy[:-1] < y1 + grow) & (cy[1:] > y0 - grow))
    if (hit & plan.mask).any() or any(x0 < t[1] and x1 > t[0] and y0 < t[3] and y1 > t[2] for t in taken):
        return None
    taken.append((x0 - 0.1, x1 + 0.1, y0 - 0.1, y1 + 0.1))
    other = plan_of([(x0, x1, y0, y1)], [], plan.height, plan.thickness)
    for w in other.walls:
        if float(w.normal @ wall.normal) < -0.5:
            s = float((wall.point(middle) - w.start) @ w.along)
            half = (opening.s1 - opening.s0) / 2
            w.openings.append(Opening(s - half, s + half, opening.z0, opening.z1, "shared"))
    return other


def wall_shape(wall: Wall, height: float) -> Shape | None:
    """The wall's surface around its openings, or None when nothing is left."""
    spans, s = [], 0.0
    for o in sorted(wall.openings, key=lambda o: o.s0):
        spans += [(s, o.s0, 0, height), (o.s0, o.s1, 0, o.z0), (o.s0, o.s1, o.z1, height)]
        s = o.s1
    spans = [x for x in [*spans, (s, wall.length, 0, height)] if x[1] > x[0] + 1e-3 and x[3] > x[2] + 1e-3]
    corners = [[[*wall.point(s), z] for s, z in ((a, c), (b, c), (b, d), (a, d))] for a, b, c, d in spans]
    return join([quads(quad) for quad in corners]) if corners else None


def reveal_shape(wall: Wall, o: Opening, depth: float) -> Shape:
    """The inner faces of an opening through a wall `depth` m thick, without its lower face when that is the floor."""
    upright = [[(s, 0.0, o.z0), (s, -depth, o.z0), (s, -depth, o.z1), (s, 0.0, o.z1)] for s in (o.s0, o.s1)]
    level = [[(o.s0, 0.0, z), (o.s1, 0.0, z), (o.s1, -depth, z), (o.s0, -depth, z)] for z in (o.z0, o.z1) if z > 1e-3]
    return quads([[[*wall.point(s, out), z] for s, out, z in quad] for quad in upright + level])


def threshold_shape(wall: Wall, opening: Opening, depth: float) -> Shape:
    """The floor in the doorway of a wall `depth` m thick."""
    a, b = wall.point(opening.s0), wall.point(opening.s1, -depth)
    (x0, y0), (x1, y1) = np.minimum(a, b), np.maximum(a, b)
    return quads([[x0, y0, 0], [x1, y0, 0], [x1, y1, 0], [x0, y1, 0]])


def baseboard_shape(wall: Wall, height: float, out: float) -> Shape | None:
    """A skirting board between the openings that reach the floor."""
    pieces, s = [], 0.0
    reaching = sorted((o for o in wall.openings if o.z0 < 0.05), key=lambda o: o.s0)
    for o in [*reaching, Opening(wall.length, wall.length, 0, 0, "end")]:
        if o.s0 - s > 0.1:
            a, b = wall.point(s), wall.point(o.s0, out)
            pieces.append(box((*np.minimum(a, b), 0.0), (*np.maximum(a, b), height)))
        s = o.s1
    return join(pieces) if pieces else None


def slab_shape(plan: Plan, z: float) -> Shape:
    """A horizontal face at height z over the cells of the plan; each cell is two triangles."""
    i, j = np.nonzero(plan.mask)
    x0, x1, y0, y1 = plan.xs[i], plan.xs[i + 1], plan.ys[j], plan.ys[j + 1]
    flat = np.full(len(i), z)
    return quads(np.stack([np.stack([x, y, flat], 1) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], 1))
