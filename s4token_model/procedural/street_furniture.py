"""What stands along a street: lamps, poles, signs, traffic lights, fences, walls and bins; fences run along x."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import paint, pick, wood
from s4token_model.procedural.mesh import Mesh, box, lathe, move, path, soft_box, tube, turn
from s4token_model.procedural.types import Thing

_GALVANISED = (0.55, 0.56, 0.57)


def street_lamp(rng: np.random.Generator) -> list[Thing]:
    """A lamp post of 3.5 to 10 m, at times with an arm that reaches to -y, over the road."""
    h, color = rng.uniform(3.5, 9.5), paint(rng, "grey grey black green", "metal")
    foot = rng.uniform(0.045, 0.09)
    m = Mesh()
    m.add(tube((0, 0, -0.2), (0, 0, 0.9), foot, 10), "pole", color.rgb)
    m.add(tube((0, 0, 0.9), (0, 0, h), foot * 0.75, 8, foot * 0.45), "pole", color.rgb)
    if h > 5.5:
        reach = rng.uniform(0.6, 2.4)
        m.add(path([(0, 0, h), (0, -reach * 0.4, h + 0.3), (0, -reach, h + 0.35)], foot * 0.4, 6), "pole", color.rgb)
        m.add(soft_box((-0.14, -reach - 0.6, h + 0.28), (0.14, -reach, h + 0.42), 0.05, n=2), "shade", color.shade(0.9))
    else:
        r = rng.uniform(0.15, 0.28)
        m.add(lathe([(0, h - 0.05), (r, h + 0.1), (r * 0.8, h + 0.4), (0, h + 0.5)], 10), "shade", (0.85, 0.83, 0.75))
    return [m.thing("pole", ("tall", *color.words), centered=False)]


def utility_pole(rng: np.random.Generator) -> list[Thing]:
    """A wooden or concrete pole with a crossbar."""
    h, r = rng.uniform(6.5, 10), rng.uniform(0.1, 0.16)
    color, m = wood(rng), Mesh()
    m.add(tube((0, 0, -0.3), (0, 0, h), r, 9, r * 0.75), "pole", color.rgb)
    for z in (h - 0.4, h - 1.1)[: int(rng.integers(1, 3))]:
        m.box(-0.9, 0.9, -0.06, 0.06, z, z + 0.12, "frame", color.rgb)
    return [m.thing("pole", ("tall", *color.words), centered=False)]


def bollard(rng: np.random.Generator) -> list[Thing]:
    """A post of 0.6 to 1.2 m."""
    h, r, color = rng.uniform(0.6, 1.2), rng.uniform(0.035, 0.08), paint(rng, "grey black red white brown")
    m = Mesh()
    m.add(lathe([(r, -0.1), (r, h - r), (r * 0.8, h - 0.3 * r), (0, h)], 10), "pole", color.rgb)
    return [m.thing("pole", ("short", *color.words), centered=False)]


def traffic_sign(rng: np.random.Generator) -> list[Thing]:
    """One to three plates on a post, facing -y: round, triangular, square, or a large board on two posts."""
    if rng.random() < 0.12:
        return _board(rng)
    h, r = rng.uniform(2.0, 3.1), rng.uniform(0.028, 0.045)
    post, plates = Mesh(), Mesh()
    post.add(tube((0, 0, -0.2), (0, 0, h + 0.1), r, 7), "pole", _GALVANISED)
    z, words = h, ()
    for _ in range(int(rng.choice([1, 2, 3], p=(0.6, 0.3, 0.1)))):
        size, kind = rng.uniform(0.28, 0.46), pick(rng, ("round", "round", "triangular", "square", "wide"))
        color = paint(rng, "red white blue yellow")
        if kind == "wide":
            plates.box(-size * 1.1, size * 1.1, -r - 0.03, -r - 0.01, z - size, z, "panel", color.rgb)
        else:
            plates.add(_plate(kind, size, -r - 0.02, z - size), "panel", color.rgb)
        z -= size * (1.1 if kind == "wide" else 2.05)
        words = words or ({"wide": "wide"}.get(kind, kind), *color.words)
        if z < 1.2:
            break
    return [post.thing("pole", ("thin", "metal"), centered=False), plates.thing("traffic sign", words, centered=False)]


def _plate(kind: str, size: float, y: float, z: float):
    """A plate in the plane of y, its middle at height z."""
    corners, start = {"round": (16, 0.0), "triangular": (3, np.pi / 2), "square": (4, np.pi / 4)}[kind]
    angle = start + 2 * np.pi * np.arange(corners) / corners
    reach = size * (1.2 if corners < 5 else 1.0)
    ring = np.stack([reach * np.cos(angle), np.full(corners, y), z + reach * np.sin(angle)], axis=1)
    ring[:, 2] = z + (ring[:, 2] - z) * (1.0 if corners > 3 else 0.95)
    vertices = np.concatenate([[(0, y, z)], ring])
    k = np.arange(corners)
    front = np.stack([0 * k, 1 + k, 1 + (k + 1) % corners], axis=1).astype(np.int32)
    return vertices, front


def _board(rng: np.random.Generator) -> list[Thing]:
    w, h, low = rng.uniform(1.2, 3.2), rng.uniform(0.8, 1.8), rng.uniform(0.8, 2.2)
    post, plates, color = Mesh(), Mesh(), paint(rng, "blue yellow white green")
    for x in (-0.35 * w, 0.35 * w):
        post.add(tube((x, 0, -0.2), (x, 0, low + h), 0.05, 7), "pole", _GALVANISED)
    plates.box(-w / 2, w / 2, -0.09, -0.06, low, low + h, "panel", color.rgb)
    return [
        post.thing("pole", ("thin", "metal"), centered=False),
        plates.thing("traffic sign", ("large", *color.words), centered=False),
    ]


def traffic_light(rng: np.random.Generator) -> list[Thing]:
    """A signal head on a pole, at times another on an arm over the road; lights face -y."""
    h = rng.uniform(2.8, 3.5)
    post, heads = Mesh(), Mesh()
    spots = [(0.0, h - 0.9)]
    post.add(tube((0, 0, -0.2), (0, 0, h), 0.07, 9), "pole", _GALVANISED)
    if rng.random() < 0.35:
        reach = rng.uniform(2.5, 5.0)
        post.add(path([(0, 0, h), (0, 0, 5.4), (-reach, 0, 5.6)], 0.07, 8), "pole", _GALVANISED)
        spots.append((-reach, 4.9))
    for x, z in spots:
        heads.box(x - 0.15, x + 0.15, -0.35, -0.1, z, z + 0.9, "body", (0.07, 0.08, 0.07))
        for k, light in enumerate(((0.1, 0.7, 0.3), (0.9, 0.7, 0.1), (0.8, 0.1, 0.1))):
            heads.add(
                move(
                    turn(lathe([(0.0, 0), (0.09, 0.0), (0.1, 0.08)], 8), np.pi / 2, "x"),
                    (x, -0.35, z + 0.16 + 0.29 * k),
                ),
                "screen",
                light,
            )
    return [post.thing("pole", ("metal",), centered=False), heads.thing("traffic light", ("black",), centered=False)]


def wheelie_bin(rng: np.random.Generator) -> list[Thing]:
    """A household bin on wheels, or a container."""
    big = rng.random() < 0.2
    w, d, h = (rng.uniform(1.1, 1.5), 1.0, 1.25) if big else (rng.uniform(0.48, 0.62), 0.6, rng.uniform(0.95, 1.1))
    color, m = paint(rng, "black grey green blue brown yellow", "plastic"), Mesh()
    m.add(soft_box((-w / 2, -d / 2, 0.04), (w / 2, d / 2, h), 0.05, n=2), "body", color.rgb)
    m.box(-w / 2 - 0.02, w / 2 + 0.02, -d / 2 - 0.03, d / 2 + 0.02, h, h + 0.05, "lid", color.shade(0.8))
    m.add(tube((-w / 2, d / 2, 0.1), (w / 2, d / 2, 0.1), 0.1, 8), "wheel", (0.06, 0.06, 0.06))
    return [m.thing("trash can", ("large" if big else "tall", *color.words), centered=False)]


def fence(rng: np.random.Generator, length: float, kind: str | None = None) -> list[Thing]:
    """A fence of some length along x: wire, pickets, planks, bars, a low wall or a guard rail."""
    kind = kind or str(
        rng.choice(["wire", "picket", "plank", "bars", "wall", "rail"], p=(0.3, 0.18, 0.12, 0.18, 0.15, 0.07))
    )
    color = wood(rng) if kind in ("picket", "plank") else paint(rng, "grey black green white", "metal")
    color = paint(rng, "grey beige white brown", "stone") if kind == "wall" else color
    m, x0, x1 = Mesh(), -length / 2, length / 2
    h = {"wall": rng.uniform(0.5, 1.7), "rail": 0.75, "plank": rng.uniform(1.2, 1.9)}.get(kind, rng.uniform(0.8, 1.7))
    if kind == "wall":
        m.box(x0, x1, -0.12, 0.12, -0.5, h, "body", color.rgb)
        m.box(x0, x1, -0.16, 0.16, h, h + 0.06, "top", color.shade(0.85))
        return [m.thing("fence", ("low" if h < 1 else "high", *color.words), centered=False)]
    for x in np.linspace(x0, x1, max(2, round(length / rng.uniform(1.8, 3.0)) + 1)):
        m.box(x - 0.04, x + 0.04, -0.04, 0.04, -0.4, h + 0.03, "pole", color.rgb)
    _fill(m, kind, x0, x1, h, color.rgb, rng)
    return [m.thing("fence", ("low" if h < 1 else "high", *color.words), centered=False)]


def _fill(m: Mesh, kind: str, x0: float, x1: float, h: float, color, rng: np.random.Generator) -> None:
    """What lies between the posts of a fence."""
    if kind == "rail":
        m.box(x0, x1, -0.1, -0.04, h - 0.32, h, "rail", color)
    elif kind == "plank":
        m.box(x0, x1, -0.015, 0.015, 0.05, h, "panel", color)
    elif kind == "wire":
        # A real mesh has cells of 5 cm; strips wider than wire return as often to a laser whose spot is wide.
        for z in np.arange(0.1, h + 0.01, 0.16):
            m.add(box((x0, -0.006, z), (x1, 0.006, z + 0.022)), "panel", color)
        for x in np.arange(x0, x1, 0.24):
            m.add(box((x, -0.006, 0.05), (x + 0.022, 0.006, h)), "panel", color)
    else:
        gap, wide = (rng.uniform(0.14, 0.2), 0.09) if kind == "picket" else (rng.uniform(0.11, 0.15), 0.028)
        for z in (0.2, h - 0.2):
            m.box(x0, x1, 0.0, 0.04, z, z + 0.06, "rail", color)
        for x in np.arange(x0, x1, gap):
            m.box(x, x + wide, -0.015, 0.01, 0.06, h, "panel", color)
