"""The shapes of pieces: each function fills the box between two corners (3,) m and returns (shape, part, color) rows.

Part and color are None where those of the piece hold. `numbers` are those that follow the positions in a table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.procedural.materials import paint
from s4token_model.procedural.mesh import (
    Shape,
    blob,
    box,
    grid_triangles,
    join,
    loft,
    move,
    rumple,
    sheet,
    soft_box,
    tube,
)

Row = tuple[Shape, "str | None", "np.ndarray | None"]
Numbers = tuple[float, ...]


def _sorted(start, end) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(start, end), np.maximum(start, end)


def _box(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    return [(box(*_sorted(start, end)), None, None)]


def _soft(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A cushion with edges rounded by numbers[0] cm (5)."""
    low, high = _sorted(start, end)
    half = (high - low) / 2
    radius = min((numbers[0] if numbers else 5.0) / 100, 0.9 * float(half.min()))
    rough = rng.uniform(0, 0.012) * half.min() / half.max()  # thin panels are even
    return [(soft_box(low, high, radius, 0.3 * radius, rough, rng.uniform(0, 6)), None, None)]


def _rings(start, end, profile, power: float = 2.0, n: int = 18) -> Shape:
    """A loft in a box through rings (height, radius), both relative to it."""
    low, high = _sorted(start, end)
    (x, y, _), (a, b, _) = (low + high) / 2, (high - low) / 2
    return loft([(low[2] + t * (high[2] - low[2]), a * r, b * r, x, y) for t, r in profile], power, n)


def _tube(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """An upright cylinder with closed ends; numbers[0] is the radius of its top in percent."""
    top = numbers[0] / 100 if numbers else 1.0
    return [(_rings(start, end, [(0, 0), (0, 1), (1, top), (1, 0)], 2.0, 14), None, None)]


def _shade(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """An open cone, such as a lampshade; numbers[0] is the radius of its top in percent (60)."""
    top = numbers[0] / 100 if numbers else rng.uniform(0.5, 1.0)
    return [(_rings(start, end, [(0, 1), (1, top), (0.99, 0.96 * top), (0, 0.96)]), None, None)]


def _bowl(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A hollow body, open above: radius of its foot in percent (75), power of its outline (2), thickness in percent."""
    foot, power, thick = (*numbers, *(75.0, 2.0, 6.0)[len(numbers) :])
    rim, low = 1 - thick / 100, foot / 100
    outside = [(0, 0), (0, low), (0.5, 0.4 * low + 0.6), (1, 1)]
    inside = [(1, rim), (0.5, (0.4 * low + 0.6) * rim), (0.12, low * rim * 0.8), (0.12, 0)]
    return [(_rings(start, end, outside + inside, power, 20), None, None)]


def _tub(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A boxy block with a basin let in."""
    power, inner = (numbers[0] if numbers else 16.0), rng.uniform(0.84, 0.92)
    body = _rings(start, end, [(0, 1), (1, 1), (1, inner), (0.97, inner - 0.02)], power, 32)
    basin = _rings(start, end, [(0.97, inner - 0.02), (0.3, 0.74), (0.2, 0.6), (0.2, 0)], 3.2, 32)
    return [(body, None, None), (basin, "basin", None)]


def _ball(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A lumpy ellipsoid; numbers[0] is the height of its lumps in percent (4)."""
    low, high = _sorted(start, end)
    lumps = (numbers[0] if numbers else 4.0) / 100
    return [(move(blob((high - low) / 2 / (1 + lumps), rng, lumps, 9), (low + high) / 2), None, None)]


def _bar(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A bar from corner to corner of radius numbers[0] cm (1.5), tapering to numbers[1] cm."""
    radius = (numbers[0] if numbers else 1.5) / 100
    return [(tube(start, end, radius, 7, numbers[1] / 100 if len(numbers) > 1 else None), None, None)]


def _wheel(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A disk that rolls along y, with a bright hub; or a bare tire numbers[0] cm thick with spokes."""
    low, high = _sorted(start, end)
    (x, y, z), radius, half = (low + high) / 2, (high[2] - low[2]) / 2, (high[0] - low[0]) / 2
    if not numbers:
        hub = tube((x - half - 0.01, y, z), (x + half + 0.01, y, z), 0.6 * radius, 10)
        return [(tube((x - half, y, z), (x + half, y, z), radius, 14), None, None), (hub, None, np.full(3, 0.55))]
    angle, t = np.linspace(0, 2 * np.pi, 17)[:, None], numbers[0] / 100
    r, out = radius - 2 * t * np.array([1, 0, 0, 1, 1]), t * np.array([-1, -1, 1, 1, -1])
    ring = np.stack([np.broadcast_to(x + out, (17, 5)), y + r * np.cos(angle), z + r * np.sin(angle)], axis=-1)
    reach = 0.9 * radius * np.array([[0, np.cos(a), np.sin(a)] for a in (0.2, 1.0, 1.8, 2.6)])
    spokes = [tube((x, y, z) - d, (x, y, z) + d, 0.004, 3) for d in reach]
    return [((ring.reshape(-1, 3), grid_triangles(17, 5)), None, None), (join(spokes), None, np.full(3, 0.45))]


def _star(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """The five-star base of an office chair, with castors."""
    low, high = _sorted(start, end)
    (x, y, _), (a, b, _) = (low + high) / 2, (high - low) / 2
    angle = rng.uniform(0, 1.2) + np.arange(5) * 2 * np.pi / 5
    tips = np.stack([x + a * np.cos(angle), y + b * np.sin(angle), np.full(5, low[2] + 0.06)], axis=1)
    arms = [tube((x, y, high[2]), tip, 0.028, 6, 0.018) for tip in tips]
    castors = [tube(tip + [-0.02, 0, -0.03], tip + [0.02, 0, -0.03], 0.03, 7) for tip in tips]
    return [(join(arms), None, None), (join(castors), "wheel", None)]


def _cloth(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """Hanging cloth with folds, as deep as the box; numbers[0]: drawn in at mid height, in percent."""
    low, high = _sorted(start, end)
    width, depth = high[0] - low[0], (high[1] - low[1]) / 2
    g, v = np.meshgrid(np.linspace(0, 1, max(16, int(width / 0.025))), np.linspace(0, 1, 6), indexing="ij")
    gather = (numbers[0] / 100 if numbers else 0.0) * np.exp(-(((v - 0.4) / 0.2) ** 2))
    phase = 2 * np.pi * max(2.0, width / rng.uniform(0.09, 0.2)) * g + 0.8 * np.sin(4 * g + rng.uniform(0, 6))
    y = depth * (0.75 * np.sin(phase) * (1 - 0.3 * v) + 0.25 * np.sin(0.37 * phase + 3 * v))
    x = (g - 0.5) * width * (1 - gather)
    middle = (low + high) / 2
    return [(sheet(np.stack([middle[0] + x, middle[1] + y, low[2] + v * (high[2] - low[2])], -1)), None, None)]


def _heap(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A rumpled heap of cloth."""
    low, high = _sorted(start, end)
    (x0, y0, _), (a, b, _), h = (low + high) / 2, (high - low) / 2, high[2] - low[2]
    t, f = np.meshgrid(np.linspace(0, 1, 8), np.linspace(0, 2 * np.pi, 22), indexing="ij")
    swell = (1 + 0.25 * np.sin(3 * f + rng.uniform(0, 6)) + 0.15 * np.sin(5 * f + rng.uniform(0, 6))) / 1.4
    x, y = t * a * swell * np.cos(f), t * b * swell * np.sin(f)
    z = 0.8 * h * (1 - t**1.6) + rumple(x, y, rng, 0.2 * h + 0.015, 0.2) * (1 - t**3)
    z[:, -1] = z[:, 0]
    return [(sheet(np.stack([x0 + x, y0 + y, low[2] + np.maximum(z, 0.002)], -1)), None, None)]


def _cover(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A rumpled blanket on the top of the box that hangs down its sides and its front to the bottom."""
    low, high = _sorted(start, end)
    drop, height = high[2] - low[2] + 0.03, rng.choice([0.012, 0.03, 0.08])
    u, v = (np.linspace(low[k] - drop, high[k] + (drop if k == 0 else 0), 30) for k in (0, 1))
    gx, gy = np.meshgrid(u, v, indexing="ij")
    ax, ay = np.clip(gx, low[0], high[0]), np.maximum(gy, low[1])
    hang = np.clip(np.maximum(np.abs(gx - ax), np.abs(gy - ay)) - 0.03, 0, None)
    folds = rumple(gx, gy, rng, height, rng.uniform(0.2, 0.6))
    out = 0.02 + 0.3 * np.abs(folds) * np.minimum(hang * 5, 1)
    x, y = (c + np.sign(g - c) * np.minimum(np.abs(g - c), out) for g, c in ((gx, ax), (gy, ay)))
    z = high[2] + np.where(hang > 0, -hang, np.maximum(folds, -0.01) + 0.03)
    return [(sheet(np.stack([x, y, z], -1)), None, None)]


def _mat(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A rug with slight waves."""
    low, high = _sorted(start, end)
    x, y = np.meshgrid(np.linspace(low[0], high[0], 12), np.linspace(low[1], high[1], 12), indexing="ij")
    return [(sheet(np.stack([x, y, 0.012 + np.maximum(rumple(x, y, rng, 0.008, 0.8), -0.006)], -1)), None, None)]


def _leaves(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """The leaves of a potted plant, bent outwards from the middle of the box's bottom."""
    low, high = _sorted(start, end)
    count, h = int(rng.integers(12, 45)), high[2] - low[2]
    angle, reach = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.3, 1, count) * (high - low)[:2].min() / 2
    out = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    side = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], 1) * rng.uniform(0.06, 0.2) * h**0.5 * 0.4
    s = np.linspace(0, 1, 5)
    rise = np.sin(s * rng.uniform(1.6, 2.6)) * (rng.uniform(0.15, 1, count) * h)[:, None]
    middle = out[:, None] * (s * reach[:, None])[..., None] + np.array([*(low + high)[:2] / 2, low[2]])
    middle = middle + rise[..., None] * [0, 0, 1]
    width = np.array([0.1, 0.7, 1.0, 0.7, 0.05])[None, :, None]
    points = np.stack([middle - side[:, None] * width, middle + side[:, None] * width], 2)
    shades = np.repeat(paint(rng, "green").rgb * rng.uniform(0.7, 1.4, (count, 1)), 8, axis=0)
    return [(join([sheet(leaf) for leaf in points]), None, np.clip(shades, 0, 1))]


def _books(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """Standing books from the left of the box, numbers[0] percent of it (100), backs to the front."""
    low, high = _sorted(start, end)
    limit, x, shapes = low[0] + (high[0] - low[0]) * (numbers[0] / 100 if numbers else 1.0), low[0], []
    while x + 0.06 < limit:
        t, h = rng.uniform(0.015, 0.055), (high[2] - low[2]) * rng.uniform(0.65, 0.95)
        front = high[1] - (high[1] - low[1]) * rng.uniform(0.6, 0.95)
        shapes.append(box((x, front, low[2]), (x + t, high[1], low[2] + h)))
        x += t + (rng.uniform(0.02, 0.15) if rng.random() < 0.08 else 0.002)
    if not shapes:
        return []
    return [(join(shapes), None, np.repeat([paint(rng).rgb for _ in shapes], 12, axis=0))]


def _stack(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """Lying books, one on the other."""
    low, high = _sorted(start, end)
    edges = np.linspace(low[2], high[2], int(rng.integers(1, 7)) + 1)
    shapes = []
    for z0, z1 in zip(edges[:-1], edges[1:], strict=True):
        inset = rng.uniform(0, 0.15, (2, 2)) * (high - low)[:2]
        shapes.append(box((*(low[:2] + inset[0]), z0), (*(high[:2] - inset[1]), z1)))
    return [(join(shapes), None, np.repeat([paint(rng).rgb for _ in shapes], 12, axis=0))]


def _bookcase(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """Uprights and boards, open to the front, filled with books and boxes."""
    low, high = _sorted(start, end)
    t, full = rng.uniform(0.015, 0.035), rng.choice([0.25, 0.6, 0.9], p=(0.2, 0.35, 0.45))
    xs = np.linspace(low[0], high[0] - t, max(1, round((high[0] - low[0]) / rng.uniform(0.45, 0.95))) + 1)
    zs = np.linspace(low[2] + 0.04, high[2] - t, max(2, int((high[2] - low[2]) / rng.uniform(0.27, 0.4))) + 1)
    rows: list[Row] = [(box((x, low[1], low[2]), (x + t, high[1], high[2])), "side", None) for x in xs]
    rows += [(box((low[0], low[1], z), (high[0], high[1], z + t)), "shelf", None) for z in zs]
    if rng.random() < 0.7:
        rows.append((box((low[0], high[1] - 0.008, low[2]), high), "back", None))
    for z0, z1 in zip(zs[:-1] + t, zs[1:], strict=True):
        for x0, x1 in zip(xs[:-1] + t, xs[1:], strict=True):
            cell = np.array([x0, low[1] + 0.02, z0]), np.array([x1, high[1] - 0.01, min(z1, z0 + 0.36)])
            if rng.random() < full and rng.random() < 0.8:
                rows += [(s, "books", c) for s, _, c in _books(*cell, (rng.uniform(30, 100),), rng)]
            elif rng.random() < full:
                top = cell[0] + (cell[1] - cell[0]) * [rng.uniform(0.3, 0.9), 1, rng.uniform(0.4, 0.8)]
                rows.append((box(cell[0], top), "content", None))
    return rows


def _fronts(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """Doors and drawers with handles: columns numbers[0] cm wide (50), numbers[1] percent of them drawers (30)."""
    low, high = _sorted(start, end)
    unit, drawers = (*numbers, *(50.0, 30.0)[len(numbers) :])
    columns, framed = max(1, round((high[0] - low[0]) * 100 / (unit * rng.uniform(0.8, 1.2)))), rng.random() < 0.5
    edges, handles, rows = np.linspace(low[0], high[0], columns + 1), rng.random() < 0.8, []
    for k, (x0, x1) in enumerate(zip(edges[:-1] + 0.003, edges[1:] - 0.003, strict=True)):
        drawn = rng.random() * 100 < drawers
        count = max(1, round((high[2] - low[2]) / rng.uniform(0.17, 0.3))) if drawn else 1
        levels = np.linspace(low[2], high[2], count + 1)
        for z0, z1 in zip(levels[:-1] + 0.003, levels[1:] - 0.003, strict=True):
            part, x, z, a = "drawer" if drawn else "door", (x0 + x1) / 2, z1 - 0.05, (0.06, 0.006)
            if not drawn:
                x, z, a = (x1 - 0.05 if k % 2 == 0 else x0 + 0.05), (z0 + z1) / 2, (0.006, 0.06)
            rows.append((box((x0, low[1], z0), (x1, high[1], z1)), part, None))
            if framed and not drawn and min(x1 - x0, z1 - z0) > 0.2:
                for u0, u1, v0, v1 in ((0, 0.055, 0, 0), (-0.055, 0, 0, 0), (0, 0, 0, 0.055), (0, 0, -0.055, 0)):
                    a0, a1 = (x0, x0 + u1) if u1 else (x1 + u0, x1) if u0 else (x0, x1)
                    b0, b1 = (z0, z0 + v1) if v1 else (z1 + v0, z1) if v0 else (z0, z1)
                    rows.append((box((a0, low[1] - 0.012, b0), (a1, low[1], b1)), part, None))
            if handles:
                rows.append(
                    (box((x - a[0], low[1] - 0.03, z - a[1]), (x + a[0], low[1] - 0.018, z + a[1])), "handle", None)
                )
    return rows


def window_panel(corners, us, vs, open_u, open_v) -> list[Row]:
    """A four-cornered panel (4, 3), counter-clockwise from its lower left, cut at fractions `us` along and `vs` up; the
    cells in columns `open_u` and rows `open_v` are glass."""
    a, b, c, d = (np.asarray(p, dtype=np.float64) for p in corners)
    u, v = (g[..., None] for g in np.meshgrid(us, vs))
    points = ((a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v).reshape(-1, 3)
    triangles = grid_triangles(len(vs), len(us))
    cell = np.repeat(np.arange((len(vs) - 1) * (len(us) - 1)), 2)
    glass = np.isin(cell % (len(us) - 1), open_u) & np.isin(cell // (len(us) - 1), open_v)
    return [((points, triangles[k]), part, None) for k, part in ((glass, "glass"), (~glass, "body")) if k.any()]


def _cabin(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """Windows between pillars and a roof: rakes of the front and of the rear in percent of the length, inset of the
    roof's sides in percent of the half width, panes per side (2)."""
    low, high = _sorted(start, end)
    front, rear, inset, panes = (*numbers, *(20.0, 10.0, 20.0, 2.0)[len(numbers) :])
    length, x = high[1] - low[1], (high[0] - low[0]) / 2
    y0, y1, top, eave = low[1], high[1], x * (1 - inset / 100), high[2] - 0.04
    a, b = y0 + front / 100 * length, y1 - rear / 100 * length
    faces = [
        ([(-x, y0, low[2]), (x, y0, low[2]), (top, a, eave), (-top, a, eave)], [0, 0.06, 0.94, 1]),
        ([(x, y1, low[2]), (-x, y1, low[2]), (-top, b, eave), (top, b, eave)], [0, 0.08, 0.92, 1]),
    ]
    rows = [r for face, us in faces for r in window_panel(face, us, [0, 0.1, 0.93, 1], [1], [1])]
    breaks = np.linspace(0, 1, int(panes) + 1)
    us = np.sort(np.concatenate([[0], breaks[:-1] + 0.2 / panes, breaks[1:] - 0.12 / panes, [1]]))
    for side in (1, -1):
        quad = [(side * x, y0, low[2]), (side * x, y1, low[2]), (side * top, b, eave), (side * top, a, eave)]
        rows += window_panel(quad, us, [0, 0.1, 0.86, 1], list(range(1, len(us) - 1, 2)), [1])
    s, v = np.linspace(-1, 1, 5), np.linspace(a, b, 4)
    roof = [[(k * top, y, eave + (high[2] - eave) * (1 - k**4) ** 0.5) for k in s] for y in v]
    return [*rows, (sheet(np.array(roof)), "top", None)]


def _hull(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """The body of a car below its windows: boxy in section, rounded at the bumpers; numbers[0]: where its windscreen
    begins, in percent of the length."""
    low, high = _sorted(start, end)
    cowl, clear, top = (numbers[0] / 100 if numbers else 0.26), low[2], high[2]
    nose, rear, length = top * rng.uniform(0.7, 0.84), top + rng.uniform(-0.02, 0.06), high[1] - low[1]
    stations = [
        (0.0, 0.0, 0.45, 0.5), (0.0, 0.72, 0.32, nose * 0.85), (0.025, 0.9, clear, nose),
        (0.1, 0.98, clear, nose * 1.06),
        (cowl, 1.0, clear, top), (0.5, 1.0, clear, top + 0.02), (0.85, 1.0, clear, rear), (0.96, 0.96, clear, rear),
        (0.995, 0.86, 0.3, rear * 0.97), (1.0, 0.72, 0.38, rear * 0.85), (1.0, 0.0, 0.5, 0.55),
    ]  # fmt: skip
    angle = np.linspace(0, 2 * np.pi, 17)
    c, s = (np.sign(g) * np.abs(g) ** 0.45 for g in (np.cos(angle), np.sin(angle)))
    c[-1], s[-1] = c[0], s[0]
    half = (high[0] - low[0]) / 2
    rings = [
        np.stack([c * w * half, np.full(17, low[1] + t * length), (b + a) / 2 + s * (b - a) / 2], axis=1)
        for t, w, a, b in stations
    ]
    return [((np.concatenate(rings), grid_triangles(len(rings), 17)), None, None)]


def _plate(start, end, numbers: Numbers, rng: np.random.Generator) -> list[Row]:
    """A flat polygon that faces -y with numbers[0] corners (16: round)."""
    low, high = _sorted(start, end)
    corners = int(numbers[0]) if numbers else 16
    angle = (np.pi / 4 if corners == 4 else np.pi / 2) + 2 * np.pi * np.arange(corners) / corners
    half = (high - low) / 2 * (1.3 if corners < 5 else 1.0)
    ring = (low + high) / 2 + np.stack([half[0] * np.cos(angle), 0 * angle, half[2] * np.sin(angle)], axis=1)
    k = np.arange(corners)
    return [
        (
            (np.vstack([(low + high) / 2, ring]), np.stack([0 * k, 1 + k, 1 + (k + 1) % corners], 1).astype(np.int32)),
            None,
            None,
        )
    ]


SHAPES: dict[str, Callable[..., list[Row]]] = {
    "box": _box, "soft": _soft, "tube": _tube, "shade": _shade, "bowl": _bowl, "tub": _tub, "ball": _ball, "bar": _bar,
    "wheel": _wheel, "star": _star, "cloth": _cloth, "heap": _heap, "cover": _cover, "mat": _mat, "leaves": _leaves,
    "books": _books, "stack": _stack, "bookcase": _bookcase, "fronts": _fronts, "cabin": _cabin, "hull": _hull,
    "plate": _plate,
}  # fmt: skip
