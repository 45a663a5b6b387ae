"""Bicycles, motorcycles and those who ride them; fronts face -y, wheels stand on z = 0."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import Paint, fabric, paint
from s4token_model.procedural.mesh import Mesh, Shape, blob, grid_triangles, move, path, soft_box, tube
from s4token_model.procedural.types import Thing

_SKINS = ((0.85, 0.65, 0.52), (0.62, 0.44, 0.32), (0.35, 0.24, 0.17))
_TYRE, _STEEL = (0.07, 0.07, 0.07), (0.45, 0.45, 0.47)


def bicycle(rng: np.random.Generator) -> list[Thing]:
    """A bicycle, mostly a city one, at times with a basket or a rack."""
    m, cover = Mesh(), paint(rng)
    _add_bicycle(m, cover, rng.uniform(0.31, 0.36), rng.uniform(0.98, 1.1), rng)
    return [m.thing("bicycle", cover.words, centered=False)]


def motorcycle(rng: np.random.Generator) -> list[Thing]:
    """A motorcycle or a scooter."""
    m, cover = Mesh(), paint(rng, "black red blue green white yellow grey")
    scooter = _add_motorcycle(m, cover, rng)
    return [m.thing("motorcycle", (*cover.words, "small" if scooter else "large"), centered=False)]


def bicyclist(rng: np.random.Generator) -> list[Thing]:
    """Somebody riding a bicycle, together with it."""
    m, cover, shirt = Mesh(), paint(rng), fabric(rng)
    radius, saddle = rng.uniform(0.32, 0.36), rng.uniform(0.9, 1.02)
    _add_bicycle(m, cover, radius, saddle, rng)
    pedals = [(0.14, -0.03, 0.16), (-0.14, 0.02, 0.45)]
    _add_rider(m, (0.25, saddle + 0.06), (-0.42, saddle + 0.1), pedals, shirt, rng, rng.uniform(0.15, 0.5))
    return [m.thing("bicyclist", _worn(shirt), centered=False)]


def motorcyclist(rng: np.random.Generator) -> list[Thing]:
    """Somebody riding a motorcycle, together with it."""
    m, cover, shirt = Mesh(), paint(rng, "black red blue green white"), fabric(rng)
    _add_motorcycle(m, cover, rng)
    pedals = [(0.2, 0.0, 0.32), (-0.2, 0.0, 0.32)]
    _add_rider(m, (0.22, 0.86), (-0.45, 1.02), pedals, shirt, rng, rng.uniform(0.1, 0.35), helmet=True)
    return [m.thing("motorcyclist", _worn(shirt), centered=False)]


def _worn(shirt: Paint) -> tuple[str, ...]:
    return (f"with {shirt.words[0]} clothes",)


def rim(y: float, radius: float, thick: float, n: int = 16) -> Shape:
    """A tyre in the plane x = 0 about (0, y, radius): a ring of square section."""
    angle = np.linspace(0, 2 * np.pi, n + 1)
    r, x = (
        np.array([radius - 2 * thick, radius, radius, radius - 2 * thick, radius - 2 * thick]),
        thick * np.array([-1, -1, 1, 1, -1]),
    )
    points = np.stack(
        [np.broadcast_to(x, (n + 1, 5)), y + r * np.cos(angle)[:, None], radius + r * np.sin(angle)[:, None]], axis=-1
    )
    return points.reshape(-1, 3), grid_triangles(n + 1, 5)


def _add_bicycle(m: Mesh, cover: Paint, radius: float, saddle: float, rng: np.random.Generator) -> None:
    base = rng.uniform(0.98, 1.1) / 2
    for y in (-base, base):
        m.add(rim(y, radius, 0.02), "wheel", _TYRE)
        for k in range(4):
            c, s = np.cos(k * 0.8), np.sin(k * 0.8)
            spoke = tube(
                (0, y - c * radius * 0.9, radius - s * radius * 0.9),
                (0, y + c * radius * 0.9, radius + s * radius * 0.9),
                0.004,
                3,
            )
            m.add(spoke, "wheel", _STEEL)
    crank, head, seat = (0, 0.05, 0.29), (0, -base + 0.2, saddle - 0.08), (0, 0.22, saddle - 0.12)
    for a, b in ((crank, head), (crank, seat), (seat, head), (seat, (0, base, radius)), (crank, (0, base, radius))):
        m.add(tube(a, b, 0.018, 5), "frame", cover.rgb)
    m.add(path([(0, -base, radius), head, (0, -base + 0.24, saddle + 0.08)], 0.018, 5), "frame", cover.rgb)
    m.add(tube((-0.29, -base + 0.28, saddle + 0.1), (0.29, -base + 0.28, saddle + 0.1), 0.015, 5), "handle", _STEEL)
    m.add(tube(seat, (0, 0.24, saddle), 0.015, 5), "frame", _STEEL)
    m.add(soft_box((-0.08, 0.12, saddle), (0.08, 0.38, saddle + 0.06), 0.03, n=2), "seat", _TYRE)
    m.add(tube((-0.16, 0.05, 0.29), (0.16, 0.05, 0.29), 0.03, 5), "pedal", _STEEL)
    if rng.random() < 0.4:
        m.box(-0.07, 0.07, base - 0.2, base + 0.25, radius * 2 + 0.06, radius * 2 + 0.08, "frame", _STEEL)
    if rng.random() < 0.25:
        m.box(-0.17, 0.17, -base - 0.12, -base + 0.15, saddle - 0.12, saddle + 0.08, "frame", (0.35, 0.25, 0.15))


def _add_motorcycle(m: Mesh, cover: Paint, rng: np.random.Generator) -> bool:
    scooter = bool(rng.random() < 0.4)
    radius, base = (0.23, 0.64) if scooter else (rng.uniform(0.29, 0.33), rng.uniform(0.68, 0.76))
    for y in (-base, base):
        m.add(rim(y, radius, 0.06), "wheel", _TYRE)
        m.add(tube((-0.03, y, radius), (0.03, y, radius), radius * 0.7, 10), "wheel", _STEEL)
    m.add(path([(0, -base, radius), (0, -base + 0.28, 0.85), (0, -base + 0.36, 1.0)], 0.05, 6), "frame", _STEEL)
    m.add(tube((-0.36, -base + 0.38, 1.02), (0.36, -base + 0.38, 1.02), 0.02, 5), "handle", _TYRE)
    if scooter:
        m.add(soft_box((-0.2, -base + 0.12, 0.3), (0.2, -base + 0.3, 0.95), 0.06, n=3), "body", cover.rgb)
        m.box(-0.18, 0.18, -base + 0.2, base - 0.35, 0.22, 0.34, "body", cover.rgb)
        m.add(soft_box((-0.2, 0.0, 0.25), (0.2, base + 0.25, 0.7), 0.1, n=3), "body", cover.rgb)
    else:
        m.add(soft_box((-0.2, -0.35, 0.25), (0.2, 0.3, 0.65), 0.06, 0.02, 0.03, n=4), "body", (0.2, 0.2, 0.21))
        m.add(soft_box((-0.16, -0.38, 0.68), (0.16, 0.12, 0.95), 0.1, n=3), "tank", cover.rgb)
        m.add(soft_box((-0.12, 0.45, 0.6), (0.12, base + 0.3, 0.82), 0.05, n=3), "body", cover.rgb)
        m.add(tube((0.2, 0.1, 0.3), (0.22, base + 0.25, 0.42), 0.06), "body", _STEEL)
    m.add(soft_box((-0.15, 0.08, 0.7), (0.15, base + 0.1, 0.86), 0.06, n=3), "seat", _TYRE)
    m.add(soft_box((-0.12, -base + 0.1, 0.8), (0.12, -base + 0.28, 1.0), 0.06, n=2), "body", cover.rgb)
    return scooter


def _add_rider(m: Mesh, hip, hands, pedals, shirt: Paint, rng: np.random.Generator, lean: float, helmet=False) -> None:
    """Somebody seated at hip (y, z) whose hands reach (y, z) and whose feet stand on `pedals`; lean in radians."""
    skin, trousers = _SKINS[int(rng.integers(3))], paint(rng, "black blue grey brown")
    y, z = hip
    torso = rng.uniform(0.48, 0.58)
    neck = np.array([0.0, y - torso * np.sin(lean), z + torso * np.cos(lean)])
    m.add(tube((0, y, z), neck, 0.15, 9, 0.17), "body", shirt.rgb)
    m.add(
        move(blob((0.1, 0.11, 0.13), rng, 0.03, 7), tuple(neck + [0, -0.06, 0.2])),
        "head",
        paint(rng).rgb if helmet else skin,
    )
    if helmet or rng.random() < 0.4:
        m.add(move(blob((0.125, 0.14, 0.11), rng, 0.02, 7), tuple(neck + [0, -0.05, 0.27])), "head", paint(rng).rgb)
    for side, pedal in zip((1, -1), pedals, strict=True):
        knee = (side * 0.16, y - 0.42, max(z - 0.2, pedal[2] + 0.32))
        m.add(path([(side * 0.09, y, z), knee, pedal], 0.075, 6), "leg", trousers.rgb)
        m.box(
            pedal[0] - 0.05,
            pedal[0] + 0.05,
            pedal[1] - 0.18,
            pedal[1] + 0.08,
            pedal[2] - 0.05,
            pedal[2] + 0.04,
            "foot",
            _TYRE,
        )
        shoulder = neck + [side * 0.19, 0, -0.04]
        hand = np.array([side * 0.26, *hands])
        elbow = (shoulder + hand) / 2 + [side * 0.06, 0.02, -0.1]
        m.add(path([shoulder, elbow, hand], 0.05, 6), "arm", shirt.rgb)
