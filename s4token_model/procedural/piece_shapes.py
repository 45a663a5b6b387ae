"""The shapes of pieces: each function fills the box low..high (3,) m, given the numbers that follow in a table.

It returns a shape, or rows (shape, part, color) of which part and color are None where those of the piece hold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.procedural.materials import paint
from s4token_model.procedural.mesh import Shape, blob, box, grid_triangles, join, loft, rumple, sheet, soft_box, tube

Rows = list[tuple[Shape, "str | None", "np.ndarray | None"]]


def _soft(low, high, numbers, rng: np.random.Generator) -> Shape:
    """A cushion with edges rounded by numbers[0] cm (5)."""
    half = (high - low) / 2
    radius = min((numbers[0] if numbers else 5.0) / 100, 0.9 * float(half.min()))
    rough = rng.uniform(0, 0.012) * half.min() / half.max()  # thin panels are even
    return soft_box(low, high, radius, 0.3 * radius, rough, rng.uniform(0, 6))


def _rings(low, high, profile, power: float = 2.0, n: int = 18) -> Shape:
    """A loft in a box through rings (height, radius), both relative to it."""
    (x, y, _), (a, b, _) = (low + high) / 2, (high - low) / 2
    return loft([(low[2] + t * (high[2] - low[2]), a * r, b * r, x, y) for t, r in profile], power, n)


def _tube(low, high, numbers, rng: np.random.Generator) -> Shape:
    """An upright cylinder with closed ends; numbers[0] is the radius of its top in percent."""
    return _rings(low, high, [(0, 0), (0, 1), (1, numbers[0] / 100 if numbers else 1.0), (1, 0)], 2.0, 14)


def _shade(low, high, numbers, rng: np.random.Generator) -> Shape:
    """An open cone, such as a lampshade; numbers[0] is the radius of its top in percent (60)."""
    top = numbers[0] / 100 if numbers else rng.uniform(0.5, 1.0)
    return _rings(low, high, [(0, 1), (1, top), (0.99, 0.96 * top), (0, 0.96)])


def _bowl(low, high, numbers, rng: np.random.Generator) -> Shape:
    """A hollow body, open above: radius of its foot in percent (75), power of its outline (2), thickness in percent."""
    foot, power, thick = (*numbers, *(75.0, 2.0, 6.0)[len(numbers) :])
    rim, foot, belly = 1 - thick / 100, foot / 100, 0.4 * (foot / 100) + 0.6
    outside = [(0, 0), (0, foot), (0.5, belly), (1, 1)]
    return _rings(low, high, [*outside, (1, rim), (0.5, belly * rim), (0.12, foot * rim * 0.8), (0.12, 0)], power, 20)


def _tub(low, high, numbers, rng: np.random.Generator) -> Rows:
    """A boxy block with a basin let in."""
    power, inner = (numbers[0] if numbers else 16.0), rng.uniform(0.84, 0.92)
    body = _rings(low, high, [(0, 1), (1, 1), (1, inner), (0.97, inner - 0.02)], power, 32)
    basin = _rings(low, high, [(0.97, inner - 0.02), (0.3, 0.74), (0.2, 0.6), (0.2, 0)], 3.2, 32)
    return [(body, None, None), (basin, "basin", None)]


def _ball(low, high, numbers, rng: np.random.Generator) -> Shape:
    """A lumpy ellipsoid; numbers[0] is the height of its lumps in percent (4)."""
    lumps = (numbers[0] if numbers else 4.0) / 100
    vertices, triangles = blob((high - low) / 2 / (1 + lumps), rng, lumps, 9)
    return vertices + (low + high) / 2, triangles


def _bar(start, end, numbers, rng: np.random.Generator) -> Shape:
    """A bar from corner to corner of radius numbers[0] cm (1.5), tapering to numbers[1] cm."""
    radius = (numbers[0] if numbers else 1.5) / 100
    return tube(start, end, radius, 7, numbers[1] / 100 if len(numbers) > 1 else None)


def _wheel(low, high, numbers, rng: np.random.Generator) -> Rows:
    """A disk that rolls along y, with a bright hub; or a bare tire numbers[0] cm thick with spokes."""
    center, radius, half = (low + high) / 2, (high[2] - low[2]) / 2, np.array([(high[0] - low[0]) / 2, 0, 0])
    if not numbers:
        rim = half + [0.01, 0, 0]
        hub = tube(center - rim, center + rim, 0.6 * radius, 10)
        return [(tube(center - half, center + half, radius, 14), None, None), (hub, None, np.full(3, 0.55))]
    angle, t = np.linspace(0, 2 * np.pi, 17)[:, None], numbers[0] / 100
    r, out = radius - 2 * t * np.array([1, 0, 0, 1, 1]), t * np.array([-1, -1, 1, 1, -1])
    ring = center + np.stack([np.broadcast_to(out, (17, 5)), r * np.cos(angle), r * np.sin(angle)], axis=-1)
    reach = 0.9 * radius * np.array([[0, np.cos(a), np.sin(a)] for a in (0.2, 1.0, 1.8, 2.6)])
    spokes = [tube(center - d, center + d, 0.004, 3) for d in reach]
    return [(sheet(ring), None, None), (join(spokes), None, np.full(3, 0.45))]


def _star(low, high, numbers, rng: np.random.Generator) -> Rows:
    """The five-star base of an office chair, with castors."""
    (x, y, _), (a, b, _) = (low + high) / 2, (high - low) / 2
    angle = rng.uniform(0, 1.2) + np.arange(5) * 2 * np.pi / 5
    tips = np.stack([x + a * np.cos(angle), y + b * np.sin(angle), np.full(5, low[2] + 0.06)], axis=1)
    castors = [tube(tip + [-0.02, 0, -0.03], tip + [0.02, 0, -0.03], 0.03, 7) for tip in tips]
    arms = [tube((x, y, high[2]), tip, 0.028, 6, 0.018) for tip in tips]
    return [(join(arms), None, None), (join(castors), "wheel", None)]


def _cloth(low, high, numbers, rng: np.random.Generator) -> Shape:
    """Hanging cloth with folds, as deep as the box; numbers[0]: drawn in at mid height, in percent."""
    width, depth, middle = high[0] - low[0], (high[1] - low[1]) / 2, (low + high) / 2
    g, v = np.meshgrid(np.linspace(0, 1, max(16, int(width / 0.025))), np.linspace(0, 1, 6), indexing="ij")
    gather = (numbers[0] / 100 if numbers else 0.0) * np.exp(-(((v - 0.4) / 0.2) ** 2))
    phase = 2 * np.pi * max(2.0, width / rng.uniform(0.09, 0.2)) * g + 0.8 * np.sin(4 * g + rng.uniform(0, 6))
    y = depth * (0.75 * np.sin(phase) * (1 - 0.3 * v) + 0.25 * np.sin(0.37 * phase + 3 * v))
    x = (g - 0.5) * width * (1 - gather)
    return sheet(np.stack([middle[0] + x, middle[1] + y, low[2] + v * (high[2] - low[2])], -1))


def _heap(low, high, numbers, rng: np.random.Generator) -> Shape:
    """A rumpled heap of cloth."""
    (x0, y0, _), (a, b, _), h = (low + high) / 2, (high - low) / 2, high[2] - low[2]
    t, f = np.meshgrid(np.linspace(0, 1, 8), np.linspace(0, 2 * np.pi, 22), indexing="ij")
    swell = (1 + 0.25 * np.sin(3 * f + rng.uniform(0, 6)) + 0.15 * np.sin(5 * f + rng.uniform(0, 6))) / 1.4
    x, y = t * a * swell * np.cos(f), t * b * swell * np.sin(f)
    z = 0.8 * h * (1 - t**1.6) + rumple(x, y, rng, 0.2 * h + 0.015, 0.2) * (1 - t**3)
    z[:, -1] = z[:, 0]
    return sheet(np.stack([x0 + x, y0 + y, low[2] + np.maximum(z, 0.002)], -1))


def _cover(low, high, numbers, rng: np.random.Generator) -> Shape:
    """A rumpled blanket on the top of the box that hangs down its sides and its front to the bottom."""
    drop, height = high[2] - low[2] + 0.03, rng.choice([0.012, 0.03, 0.08])
    u, v = (np.linspace(low[k] - drop, high[k] + (drop if k == 0 else 0), 30) for k in (0, 1))
    gx, gy = np.meshgrid(u, v, indexing="ij")
    ax, ay = np.clip(gx, low[0], high[0]), np.maximum(gy, low[1])
    hang = np.clip(np.maximum(np.abs(gx - ax), np.abs(gy - ay)) - 0.03, 0, None)
    folds = rumple(gx, gy, rng, height, rng.uniform(0.2, 0.6))
    out = 0.02 + 0.3 * np.abs(folds) * np.minimum(hang * 5, 1)
    x, y = (c + np.sign(g - c) * np.minimum(np.abs(g - c), out) for g, c in ((gx, ax), (gy, ay)))
    return sheet(np.stack([x, y, high[2] + np.where(hang > 0, -hang, np.maximum(folds, -0.01) + 0.03)], -1))


def _leaves(low, high, numbers, rng: np.random.Generator) -> Rows:
    """The leaves of a potted plant, bent outwards from the middle of the box's bottom."""
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


def _books(low, high, numbers, rng: np.random.Generator) -> Rows:
    """Standing books from the left of the box, numbers[0] percent of it (100), backs to the front."""
    limit, x, shapes = low[0] + (high[0] - low[0]) * (numbers[0] / 100 if numbers else 1.0), low[0], []
    while x + 0.06 < limit:
        t, h = rng.uniform(0.015, 0.055), (high[2] - low[2]) * rng.uniform(0.65, 0.95)
        front = high[1] - (high[1] - low[1]) * rng.uniform(0.6, 0.95)
        shapes.append(box((x, front, low[2]), (x + t, high[1], low[2] + h)))
        x += t + (rng.uniform(0.02, 0.15) if rng.random() < 0.08 else 0.002)
    return [(join(shapes), None, np.repeat([paint(rng).rgb for _ in shapes], 12, axis=0))] if shapes else []


def _bookcase(low, high, numbers, rng: np.random.Generator) -> Rows:
    """Uprights and boards, open to the front, filled with books and boxes."""
    t, full = rng.uniform(0.015, 0.035), rng.choice([0.25, 0.6, 0.9], p=(0.2, 0.35, 0.45))
    xs = np.linspace(low[0], high[0] - t, max(1, round((high[0] - low[0]) / rng.uniform(0.45, 0.95))) + 1)
    zs = np.linspace(low[2] + 0.04, high[2] - t, max(2, int((high[2] - low[2]) / rng.uniform(0.27, 0.4))) + 1)
    rows: Rows = [(box((x, low[1], low[2]), (x + t, high[1], high[2])), "side", None) for x in xs]
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


def _fronts(low, high, numbers, rng: np.random.Generator) -> Rows:
    """Doors and drawers with handles: columns numbers[0] cm wide (50), numbers[1] percent of them drawers (30)."""
    unit, drawers = (*numbers, *(50.0, 30.0)[len(numbers) :])
    columns, framed = max(1, round((high[0] - low[0]) * 100 / (unit * rng.uniform(0.8, 1.2)))), rng.random() < 0.5
    edges, handles, rows = np.linspace(low[0], high[0], columns + 1), rng.random() < 0.8, []
    for k, (x0, x1) in enumerate(zip(edges[:-1] + 0.003, edges[1:] - 0.003, strict=True)):
        drawn = rng.random() * 100 < drawers
        count = max(1, round((high[2] - low[2]) / rng.uniform(0.17, 0.3))) if drawn else 1
        levels = np.linspace(low[2], high[2], count + 1)
        for z0, z1 in zip(levels[:-1] + 0.003, levels[1:] - 0.003, strict=True):
            part, at, half = "drawer", ((x0 + x1) / 2, z1 - 0.05), (0.06, 0.006)
            if not drawn:
                part, at, half = "door", (x1 - 0.05 if k % 2 == 0 else x0 + 0.05, (z0 + z1) / 2), (0.006, 0.06)
            rows.append((box((x0, low[1], z0), (x1, high[1], z1)), part, None))
            if framed and not drawn and min(x1 - x0, z1 - z0) > 0.2:
                e, front, back = 0.055, low[1] - 0.012, low[1]
                for a0, a1, b0, b1 in ((x0, x0 + e, z0, z1), (x1 - e, x1, z0, z1)):
                    rows.append((box((a0, front, b0), (a1, back, b1)), part, None))
                for b0, b1 in ((z0, z0 + e), (z1 - e, z1)):
                    rows.append((box((x0, front, b0), (x1, back, b1)), part, None))
            if handles:
                (x, z), (a, b) = at, half
                rows.append((box((x - a, low[1] - 0.03, z - b), (x + a, low[1] - 0.018, z + b)), "handle", None))
    return rows


def window_panel(corners, us, vs, open_u) -> Rows:
    """A four-cornered panel (4, 3), counter-clockwise from its lower left, cut at fractions `us` along and `vs` up; the
    cells in columns `open_u` of the second row are glass."""
    a, b, c, d = (np.asarray(p, dtype=np.float64) for p in corners)
    u, v = (g[..., None] for g in np.meshgrid(us, vs))
    points = ((a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v).reshape(-1, 3)
    triangles = grid_triangles(len(vs), len(us))
    cell = np.repeat(np.arange((len(vs) - 1) * (len(us) - 1)), 2)
    glass = np.isin(cell % (len(us) - 1), open_u) & (cell // (len(us) - 1) == 1)
    return [((points, triangles[k]), part, None) for k, part in ((glass, "glass"), (~glass, "body")) if k.any()]


def _cabin(low, high, numbers, rng: np.random.Generator) -> Rows:
    """Windows between pillars and a roof: rakes of the front and of the rear in percent of the length, inset of the
    roof's sides in percent of the half width, panes per side (2)."""
    front, rear, inset, panes = (*numbers, *(20.0, 10.0, 20.0, 2.0)[len(numbers) :])
    length, x, z = high[1] - low[1], (high[0] - low[0]) / 2, low[2]
    y0, y1, top, eave = low[1], high[1], x * (1 - inset / 100), high[2] - 0.04
    a, b = y0 + front / 100 * length, y1 - rear / 100 * length
    us, vs = [0, 0.07, 0.93, 1], [0, 0.1, 0.93, 1]
    rows = window_panel([(-x, y0, z), (x, y0, z), (top, a, eave), (-top, a, eave)], us, vs, [1])
    rows += window_panel([(x, y1, z), (-x, y1, z), (-top, b, eave), (top, b, eave)], us, vs, [1])
    breaks = np.linspace(0, 1, int(panes) + 1)
    us = np.sort(np.concatenate([[0], breaks[:-1] + 0.2 / panes, breaks[1:] - 0.12 / panes, [1]]))
    for side in (x, -x):
        roof = side * (1 - inset / 100)
        quad = [(side, y0, z), (side, y1, z), (roof, b, eave), (roof, a, eave)]
        rows += window_panel(quad, us, [0, 0.1, 0.86, 1], list(range(1, len(us) - 1, 2)))
    s, v = np.linspace(-1, 1, 5), np.linspace(a, b, 4)
    roof = [[(k * top, y, eave + (high[2] - eave) * (1 - k**4) ** 0.5) for k in s] for y in v]
    return [*rows, (sheet(np.array(roof)), "top", None)]


def _hull(low, high, numbers, rng: np.random.Generator) -> Shape:
    """The body of a car below its windows: boxy in section, rounded at the bumpers; numbers[0]: where its windscreen
    begins, in percent of the length."""
    cowl, clear, top = (numbers[0] / 100 if numbers else 0.26), low[2], high[2]
    nose, rear = top * rng.uniform(0.7, 0.84), top + rng.uniform(-0.02, 0.06)
    stations = np.array([  # fraction of the length and of the width, height of the underside and of the top
        (0.0, 0.0, 0.45, 0.5), (0.0, 0.72, 0.32, nose * 0.85), (0.025, 0.9, clear, nose),
        (0.1, 0.98, clear, nose * 1.06), (cowl, 1.0, clear, top), (0.5, 1.0, clear, top + 0.02),
        (0.85, 1.0, clear, rear), (0.96, 0.96, clear, rear), (0.995, 0.86, 0.3, rear * 0.97),
        (1.0, 0.72, 0.38, rear * 0.85), (1.0, 0.0, 0.5, 0.55),
    ])  # fmt: skip
    angle = np.linspace(0, 2 * np.pi, 17)
    c, s = (np.sign(g) * np.abs(g) ** 0.45 for g in (np.cos(angle), np.sin(angle)))
    c[-1], s[-1] = c[0], s[0]
    t, w, a, b = stations.T[..., None]
    y = np.broadcast_to(low[1] + t * (high[1] - low[1]), (len(t), 17))
    return sheet(np.stack([c * w * (high[0] - low[0]) / 2, y, (b + a) / 2 + s * (b - a) / 2], axis=-1))


def _plate(low, high, numbers, rng: np.random.Generator) -> Shape:
    """A flat polygon that faces -y with numbers[0] corners (16: round)."""
    corners = int(numbers[0]) if numbers else 16
    angle = (np.pi / 4 if corners == 4 else np.pi / 2) + 2 * np.pi * np.arange(corners) / corners
    half, k = (high - low) / 2 * (1.3 if corners < 5 else 1.0), np.arange(corners)
    ring = (low + high) / 2 + np.stack([half[0] * np.cos(angle), 0 * angle, half[2] * np.sin(angle)], axis=1)
    fan = np.stack([0 * k, 1 + k, 1 + (k + 1) % corners], axis=1).astype(np.int32)
    return np.vstack([(low + high) / 2, ring]), fan


SHAPES: dict[str, Callable[..., Shape | Rows]] = {
    "box": lambda low, high, *_: box(low, high), "soft": _soft, "tube": _tube, "shade": _shade, "bowl": _bowl,
    "tub": _tub, "ball": _ball, "bar": _bar, "wheel": _wheel, "star": _star, "cloth": _cloth, "heap": _heap,
    "cover": _cover, "leaves": _leaves, "books": _books, "bookcase": _bookcase, "fronts": _fronts, "cabin": _cabin,
    "hull": _hull, "plate": _plate,
}  # fmt: skip
