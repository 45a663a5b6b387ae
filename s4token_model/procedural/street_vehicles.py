"""Cars, vans, trucks, buses and trailers: lofted bodies with wheels and windows, their front facing -y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s4token_model.procedural.materials import Paint, paint, pick
from s4token_model.procedural.mesh import Mesh, Shape, grid_triangles, soft_box, tube
from s4token_model.procedural.types import Thing

_GLASS, _TYRE, _DARK = (0.12, 0.14, 0.16), (0.06, 0.06, 0.06), (0.10, 0.10, 0.11)
_PAINTS = "black black grey grey grey white white blue red green beige brown"


@dataclass(frozen=True)
class _Body:
    """A car's proportions: lengths in meters; cowl, roof and tail are shares of the length from the front."""

    length: float
    width: float
    height: float
    bonnet: float  # height of the bonnet at the windscreen
    cowl: float  # where the windscreen starts
    roof: tuple[float, float]  # where the roof starts and ends
    tail: float  # where the rear window meets the body
    word: str


def _body(kind: str, rng: np.random.Generator) -> _Body:
    u = rng.uniform
    if kind == "hatchback":
        return _Body(u(3.5, 4.35), u(1.62, 1.82), u(1.42, 1.56), u(0.88, 0.98), u(0.22, 0.28), (0.44, 0.86), 0.97, kind)
    if kind == "saloon":
        return _Body(u(4.3, 5.05), u(1.72, 1.9), u(1.38, 1.5), u(0.88, 0.98), u(0.27, 0.32), (0.45, 0.70), 0.84, kind)
    if kind == "estate":
        return _Body(u(4.3, 4.95), u(1.72, 1.88), u(1.42, 1.53), u(0.88, 0.98), u(0.26, 0.3), (0.43, 0.91), 0.98, kind)
    if kind == "suv":
        return _Body(u(4.1, 4.9), u(1.78, 1.98), u(1.6, 1.85), u(1.02, 1.15), u(0.25, 0.29), (0.4, 0.88), 0.97, kind)
    if kind == "van":
        return _Body(u(4.4, 5.9), u(1.8, 2.05), u(1.8, 2.6), u(1.1, 1.25), u(0.1, 0.17), (0.25, 0.97), 0.99, kind)
    return _Body(u(3.4, 3.9), u(1.55, 1.7), u(1.4, 1.5), u(0.85, 0.95), u(0.18, 0.24), (0.38, 0.84), 0.96, "small")


def car(rng: np.random.Generator, kind: str | None = None) -> list[Thing]:
    """A passenger car or van: "hatchback", "saloon", "estate", "suv", "van" or "small"."""
    kinds = ["hatchback", "saloon", "estate", "suv", "van", "small"]
    b = _body(kind or str(rng.choice(kinds, p=(0.3, 0.2, 0.17, 0.15, 0.1, 0.08))), rng)
    cover = paint(rng, _PAINTS)
    m = Mesh()
    m.add(_lower_body(b, rng), "body", cover.rgb)
    _greenhouse(m, b, cover, windows_behind=b.word != "van" or rng.random() < 0.4)
    radius = rng.uniform(0.29, 0.34) + (0.04 if b.word == "suv" else 0)
    for y in (-b.length / 2 + 0.19 * b.length, b.length / 2 - 0.19 * b.length):
        _axle(m, y, b.width, radius)
    y = (b.cowl + 0.06 - 0.5) * b.length
    for side in (-1, 1):
        x = side * (b.width / 2 + 0.07)
        m.add(
            soft_box((x - 0.1, y - 0.05, b.bonnet), (x + 0.1, y + 0.06, b.bonnet + 0.14), 0.04, n=2), "panel", cover.rgb
        )
    words = {"hatchback": ("small",), "small": ("small",), "suv": ("large",), "van": ("large",)}.get(b.word, ())
    return [_thing(m, "car", (*words, *cover.words))]


def _lower_body(b: _Body, rng: np.random.Generator) -> Shape:
    """Everything below the windows: rings along the car, boxy in section, rounded at the bumpers."""
    clear, nose = rng.uniform(0.16, 0.24), b.bonnet * rng.uniform(0.68, 0.82)
    rear = b.bonnet + rng.uniform(-0.02, 0.08)
    stations = [  # share of the length, of the width, height of the underside and of the top
        (0.0, 0.0, 0.45, 0.5), (0.0, 0.72, 0.32, nose * 0.85), (0.025, 0.9, clear, nose),
        (0.1, 0.98, clear, nose * 1.06),
        (b.cowl, 1.0, clear, b.bonnet), (0.5, 1.0, clear, b.bonnet + 0.02), (0.85, 1.0, clear, rear),
        (0.96, 0.96, clear, rear), (0.995, 0.86, 0.3, rear * 0.97), (1.0, 0.72, 0.38, rear * 0.85),
        (1.0, 0.0, 0.5, 0.55),
    ]  # fmt: skip
    angle = np.linspace(0, 2 * np.pi, 17)
    c, s = np.cos(angle), np.sin(angle)
    c, s = np.sign(c) * np.abs(c) ** 0.45, np.sign(s) * np.abs(s) ** 0.45
    c[-1], s[-1] = c[0], s[0]
    rings = [
        np.stack([c * w * b.width / 2, np.full(17, (t - 0.5) * b.length), (low + high) / 2 + s * (high - low) / 2], 1)
        for t, w, low, high in stations
    ]
    return np.concatenate(rings), grid_triangles(len(rings), 17)


def _greenhouse(m: Mesh, b: _Body, cover: Paint, windows_behind: bool) -> None:
    """Windscreen, side and rear windows between pillars, and the roof."""
    low, high = b.bonnet - 0.03, b.height
    x, top = b.width / 2 * 0.95, b.width / 2 * (0.9 if b.word == "van" else 0.76)
    y = [(t - 0.5) * b.length for t in (b.cowl, b.roof[0], b.roof[1], b.tail)]
    eave = high - 0.05
    front = [(-x, y[0], low), (x, y[0], low), (top, y[1], eave), (-top, y[1], eave)]
    rear = [(x, y[3], low), (-x, y[3], low), (-top, y[2], eave), (top, y[2], eave)]
    window_panel(m, front, [0, 0.06, 0.94, 1], [0, 0.08, 0.95, 1], [1], [1], cover.rgb)
    window_panel(m, rear, [0, 0.08, 0.92, 1], [0, 0.15, 0.92, 1], [1] if windows_behind else [], [1], cover.rgb)
    for side in (1, -1):
        quad = [(side * x, y[0], low), (side * x, y[3], low), (side * top, y[2], eave), (side * top, y[1], eave)]
        split = 0.62 if b.word == "van" else 0.5
        columns = [0, 0.12, 0.36 if b.word == "van" else 0.46, split, 0.78, 0.82, 0.92, 1]
        open_columns = [1, 3, 5] if windows_behind else [1]
        window_panel(m, quad, columns, [0, 0.1, 0.86, 1], open_columns, [1], cover.rgb)
    us, vs = np.linspace(-1, 1, 5), np.linspace(0, 1, 5)
    points = np.array(
        [[(u * top, y[1] + v * (y[2] - y[1]), eave + (high - eave) * (1 - u**4) ** 0.5) for u in us] for v in vs]
    )
    m.add((points.reshape(-1, 3), grid_triangles(5, 5)), "top", cover.rgb)


def window_panel(m: Mesh, corners, us, vs, open_u, open_v, color) -> None:
    """A four-cornered panel (4, 3), counter-clockwise from its lower left, cut at shares `us` along and `vs` up; the
    cells in columns `open_u` and rows `open_v` are glass."""
    a, b, c, d = (np.asarray(p, dtype=np.float64) for p in corners)
    u, v = (g[..., None] for g in np.meshgrid(us, vs))
    points = (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v
    rows, columns = len(vs), len(us)
    triangles = grid_triangles(rows, columns)
    cell = np.repeat(np.arange((rows - 1) * (columns - 1)), 2)
    glass = np.isin(cell % (columns - 1), open_u) & np.isin(cell // (columns - 1), open_v)
    if glass.any():
        m.add((points.reshape(-1, 3), triangles[glass]), "glass", _GLASS)
    m.add((points.reshape(-1, 3), triangles[~glass]), "body", color)


def _axle(m: Mesh, y: float, width: float, radius: float, thick: float = 0.21) -> None:
    for side in (-1, 1):
        outer, inner = side * (width / 2 + 0.012), side * (width / 2 - thick)
        m.add(tube((inner, y, radius), (outer, y, radius), radius, 14), "wheel", _TYRE)
        m.add(tube((outer, y, radius), (outer + side * 0.012, y, radius), radius * 0.62, 10), "wheel", (0.6, 0.6, 0.62))


def truck(rng: np.random.Generator) -> list[Thing]:
    """A lorry: a cab in front of a box, a flat bed, a tipper or a tank."""
    cover, load = paint(rng, "white white blue red yellow grey green"), paint(rng, "white white grey blue beige green")
    length, width = rng.uniform(5.6, 11.5), rng.uniform(2.1, 2.52)
    heavy = length > 7.5
    cab, cab_top = rng.uniform(1.5, 2.2), rng.uniform(2.9, 3.6) if heavy else rng.uniform(2.2, 2.7)
    floor, front = rng.uniform(0.9, 1.2) if heavy else rng.uniform(0.7, 0.9), -length / 2
    m = Mesh()
    _cabin(m, front, cab, width, cab_top, 0.4, cover)
    m.box(-0.45, 0.45, front + cab, length / 2 - 0.1, floor - 0.3, floor, "frame", _DARK)
    start, kind = front + cab + rng.uniform(0.1, 0.3), pick(rng, ("box", "box", "flat", "tipper", "tank"))
    if kind == "box":
        m.box(-width / 2, width / 2, start, length / 2, floor, rng.uniform(1.0, 1.12) * cab_top, "body", load.rgb)
    elif kind == "tank":
        r = min(width / 2 - 0.1, (cab_top - floor) / 2)
        m.add(tube((0, start, floor + r), (0, length / 2, floor + r), r, 18), "body", load.rgb)
    else:
        wall = floor + (rng.uniform(0.4, 0.7) if kind == "flat" else rng.uniform(0.9, 1.5))
        m.box(-width / 2, width / 2, start, length / 2, floor, floor + 0.1, "body", load.rgb)
        for x0, x1, y0, y1 in ((-1, -0.97, 0, 1), (0.97, 1, 0, 1), (-1, 1, 0, 0.02), (-1, 1, 0.98, 1)):
            span = length / 2 - start
            m.box(x0 * width / 2, x1 * width / 2, start + y0 * span, start + y1 * span, floor, wall, "side", load.rgb)
    radius = rng.uniform(0.46, 0.52) if heavy else rng.uniform(0.36, 0.42)
    for y in [front + 1.2, length / 2 - 1.4, *([length / 2 - 2.6] if heavy else [])]:
        _axle(m, y, width - 0.05, radius, 0.3)
    return [_thing(m, "truck", ("large" if heavy else "small", *cover.words))]


def _cabin(m: Mesh, front: float, depth: float, width: float, top: float, low: float, cover: Paint) -> None:
    """An upright cab with windscreen and side windows."""
    x, lean, belt = width / 2, 0.08 * depth, low + 0.45 * (top - low)
    m.box(-x, x, front, front + depth, low, belt, "body", cover.rgb)
    back = front + depth
    face = [(-x, front, belt), (x, front, belt), (x, front + lean, top), (-x, front + lean, top)]
    window_panel(m, face, [0, 0.05, 0.95, 1], [0, 0.05, 0.75, 1], [1], [1], cover.rgb)
    for side in (-1, 1):
        quad = [(side * x, front, belt), (side * x, back, belt), (side * x, back, top), (side * x, front + lean, top)]
        window_panel(m, quad, [0, 0.12, 0.7, 1], [0, 0.05, 0.7, 1], [1], [1], cover.rgb)
        m.box(side * x, side * (x + 0.2), front + 0.05, front + 0.2, belt + 0.1, belt + 0.7, "panel", _DARK)
    m.box(-x, x, back - 0.02, back, belt, top, "body", cover.rgb)
    m.box(-x, x, front + lean, back, top - 0.03, top, "top", cover.rgb)


def bus(rng: np.random.Generator) -> list[Thing]:
    """A city bus, coach or tram car with rows of windows."""
    cover = paint(rng, "red yellow white blue green white")
    length, width, top = rng.uniform(9.0, 14.0), rng.uniform(2.4, 2.55), rng.uniform(2.9, 3.4)
    x, y, low, belt = width / 2, length / 2, rng.uniform(0.28, 0.4), rng.uniform(1.0, 1.3)
    m = Mesh()
    m.box(-x, x, -y, y, low, belt, "body", cover.rgb)
    m.box(-x, x, -y, y, top - 0.25, top, "top", cover.shade(0.95))
    if rng.random() < 0.5:
        m.box(-0.8, 0.8, -y * 0.3, y * 0.3, top, top + 0.2, "top", cover.shade(0.9))
    panes = int(rng.integers(5, 9))
    us = np.sort(np.concatenate([np.linspace(0, 1, panes + 1) + 0.012, np.linspace(0, 1, panes + 1) - 0.012]))[1:-1]
    columns = list(range(0, len(us) - 1, 2))
    for side in (-1, 1):
        quad = [(side * x, -y, belt), (side * x, y, belt), (side * x, y, top - 0.25), (side * x, -y, top - 0.25)]
        window_panel(m, quad, us, [0, 0.03, 0.95, 1], columns, [1], cover.rgb)
    for end in (-1, 1):
        quad = [(-x, end * y, belt), (x, end * y, belt), (x, end * y, top - 0.25), (-x, end * y, top - 0.25)]
        window_panel(
            m,
            quad,
            [0, 0.04, 0.96, 1],
            [0, 0.05, 0.95, 1],
            [1] if end < 0 or rng.random() < 0.6 else [],
            [1],
            cover.rgb,
        )
    for at in (-y + 2.6, y - 3.0):
        _axle(m, at, width, 0.48, 0.3)
    return [_thing(m, "bus", ("long", *cover.words))]


def trailer(rng: np.random.Generator) -> list[Thing]:
    """A caravan, a box trailer or an open one, with its drawbar."""
    cover = paint(rng, "white white grey beige blue")
    caravan = rng.random() < 0.55
    length = rng.uniform(3.6, 6.0) if caravan else rng.uniform(1.8, 4.0)
    width, top = (
        (rng.uniform(2.0, 2.4), rng.uniform(2.4, 2.7)) if caravan else (rng.uniform(1.3, 2.0), rng.uniform(0.9, 2.1))
    )
    x, y, low = width / 2, length / 2, 0.45
    m = Mesh()
    m.add(soft_box((-x, -y, low), (x, y, top), 0.25 if caravan else 0.05, n=4), "body", cover.rgb)
    if caravan:
        for side in (-1, 1):
            m.box(side * x, side * (x + 0.012), -0.3 * length, 0.1 * length, 1.3, 1.9, "glass", _GLASS)
    m.add(tube((0, -y, 0.5), (0, -y - rng.uniform(0.9, 1.3), 0.5), 0.05), "frame", _DARK)
    m.add(tube((0, -y - 0.7, 0.0), (0, -y - 0.7, 0.55), 0.04), "frame", _DARK)
    _axle(m, 0.15 * length, width - 0.1, 0.32)
    return [_thing(m, "trailer", ("large" if caravan else "small", *cover.words))]


def _thing(m: Mesh, name: str, words: tuple[str, ...]) -> Thing:
    return m.thing(name, words, centered=False)
