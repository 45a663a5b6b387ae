"""Toilets, sinks, bathtubs, shower curtains, towels, washing machines."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import metal, paint
from s4token_model.procedural.mesh import Mesh, box, lathe, loft, path, sheet, soft_box, tube, turn
from s4token_model.procedural.types import Thing

_CHROME = (0.68, 0.69, 0.71)


def _porcelain(rng: np.random.Generator):
    return paint(rng, "white white white white beige", "ceramic")


def toilet(rng: np.random.Generator) -> Thing:
    """A toilet with bowl, seat, lid (up or down) and tank; some hang on the wall without a visible tank."""
    white = _porcelain(rng)
    h, w, length = rng.uniform(0.37, 0.44), rng.uniform(0.35, 0.4), rng.uniform(0.4, 0.5)
    m = Mesh()
    a, b, cy = w / 2, length / 2, -0.04
    hung = rng.random() < 0.15
    low = 0.12 if hung else 0.0
    outside = [
        (low, 0.0, 0.0, 0, 0.05),
        (low, a * 0.6, b * 0.75, 0, 0.06),
        (h * 0.5, a * 0.62, b * 0.78, 0, 0.05),
        (h * 0.8, a * 0.93, b * 0.95, 0, cy),
    ]
    inside = [
        (h, a * 0.72, b * 0.74, 0, cy),
        (h - 0.1, a * 0.5, b * 0.55, 0, cy),
        (h - 0.2, a * 0.2, b * 0.25, 0, cy),
        (h - 0.2, 0, 0, 0, cy),
    ]
    m.add(loft([*outside, (h, a, b, 0, cy), *inside], 2.2), "bowl", white.rgb)
    m.box(-a * 0.75, a * 0.75, b * 0.6 + cy, b + 0.08, 0.1 if hung else 0.0, h, "bowl", white.rgb)
    ring = [
        (h, a, b, 0, cy),
        (h + 0.022, a, b, 0, cy),
        (h + 0.022, a * 0.62, b * 0.66, 0, cy),
        (h, a * 0.62, b * 0.66, 0, cy),
    ]
    m.add(loft(ring, 2.2), "seat", white.rgb)
    lid = loft(
        [
            (h + 0.024, 0, 0, 0, cy),
            (h + 0.024, a, b, 0, cy),
            (h + 0.045, a * 0.97, b * 0.97, 0, cy),
            (h + 0.045, 0, 0, 0, cy),
        ],
        2.2,
    )
    y_back = b + cy
    m.add(turn(lid, -1.75, "x", (0, y_back - 0.01, h + 0.03)) if rng.random() < 0.5 else lid, "lid", white.rgb)
    if not hung or rng.random() < 0.3:
        tw, th, y0 = rng.uniform(0.36, 0.48), rng.uniform(0.33, 0.42), y_back + 0.02
        m.add(soft_box((-tw / 2, y0, h - 0.02), (tw / 2, y0 + 0.19, h + th - 0.03), 0.03), "tank", white.rgb)
        m.add(
            soft_box((-tw / 2 - 0.01, y0 - 0.01, h + th - 0.03), (tw / 2 + 0.01, y0 + 0.2, h + th), 0.012, n=3),
            "tank",
            white.rgb,
        )
        m.add(
            tube((-tw / 2 + 0.06, y0 - 0.03, h + th - 0.08), (-tw / 2 + 0.06, y0, h + th - 0.08), 0.012),
            "handle",
            _CHROME,
        )
    return m.thing("toilet", white.words)


def _tap(m: Mesh, rng, y: float, z: float, reach: float) -> None:
    top = z + rng.uniform(0.08, 0.3)
    m.add(
        path([(0, y, z), (0, y, top), (0, y - reach * 0.6, top + 0.02), (0, y - reach, top - 0.04)], 0.012),
        "tap",
        _CHROME,
    )
    for s in (-1, 1) if rng.random() < 0.4 else ():
        m.add(tube((s * 0.09, y, z), (s * 0.09, y, z + 0.05), 0.016), "tap", _CHROME)


def _bowl(w: float, d: float, rim: float, depth: float, power: float, edge: float):
    """A basin: up the outside, over the rim at height `rim`, down the inside."""
    a, b = w / 2, d / 2
    low = rim - depth - 0.02
    rings = [(low, 0, 0), (low, a * 0.6, b * 0.6), (rim - depth * 0.5, a * 0.9, b * 0.9), (rim, a, b)]
    rings += [(rim, a - edge, b - edge), (rim - depth * 0.6, a * 0.82 - edge, b * 0.82 - edge)]
    rings += [(rim - depth, a * 0.5, b * 0.5), (rim - depth, 0, 0)]
    return loft([(*ring, 0, 0) for ring in rings], power)


def sink_basin(rng: np.random.Generator, w: float, d: float) -> Thing:
    """A basin with tap, to be let into a worktop; its rim is the top of the part "basin"."""
    steel = rng.random() < 0.5
    cover = metal(rng).rgb if steel else _porcelain(rng).rgb
    m = Mesh()
    rim = 0.2
    power = rng.choice([2.0, 4.0, 8.0])
    m.add(_bowl(w, d * 0.88, rim, 0.16, power, 0.02), "basin", cover)
    m.box(-w / 2, w / 2, d * 0.4, d * 0.5, rim - 0.02, rim, "basin", cover)
    _tap(m, rng, d * 0.45, rim, d * 0.35)
    return m.thing("sink", ("metal",) if steel else ("white",))


def sink(rng: np.random.Generator) -> Thing:
    """A wall-hung or pedestal wash basin, or a bare built-in one."""
    if rng.random() < 0.3:
        return sink_basin(rng, rng.uniform(0.4, 0.75), rng.uniform(0.38, 0.5))
    white = _porcelain(rng)
    w, d, h = rng.uniform(0.42, 0.65), rng.uniform(0.36, 0.5), rng.uniform(0.78, 0.88)
    m = Mesh()
    m.add(_bowl(w, d, h, 0.16, rng.choice([2.0, 3.0, 5.0]), 0.04), "basin", white.rgb)
    m.add(soft_box((-w * 0.4, d * 0.28, h - 0.14), (w * 0.4, d / 2 + 0.03, h + 0.01), 0.02, n=3), "basin", white.rgb)
    _tap(m, rng, d * 0.42, h, d * 0.35)
    if rng.random() < 0.55:
        m.add(
            loft(
                [
                    (0, 0.11, 0.1, 0, 0.08),
                    (0.05, 0.09, 0.08, 0, 0.08),
                    (h - 0.2, 0.08, 0.08, 0, 0.08),
                    (h - 0.12, 0.13, 0.12, 0, 0.06),
                ],
                2.5,
                14,
            ),
            "base",
            white.rgb,
        )
    else:
        m.add(path([(0, 0, h - 0.16), (0, 0, h - 0.33), (0, d / 2, h - 0.33)], 0.02), "base", _CHROME)
    return m.thing("sink", white.words)


def bathtub(rng: np.random.Generator, length: float | None = None) -> Thing:
    """A bathtub along x: a real concave basin, built in with an apron or free-standing."""
    white = _porcelain(rng)
    w, d, h = length or rng.uniform(1.4, 1.8), rng.uniform(0.68, 0.85), rng.uniform(0.4, 0.6)
    m = Mesh()
    a, b, free = w / 2, d / 2, length is None and rng.random() < 0.15
    power = 2.6 if free else 16.0
    bottom = [(0, a * 0.75, b * 0.6, 0, 0), (h * 0.4, a * 0.92, b * 0.9, 0, 0)] if free else [(0, a, b, 0, 0)]
    edge = rng.uniform(0.05, 0.1)
    m.add(loft([*bottom, (h, a, b, 0, 0), (h, a - edge, b - edge, 0, 0)], power, 32), "body", white.rgb)
    inner = [
        (h, a - edge, b - edge, 0, 0),
        (h - 0.03, a - edge - 0.02, b - edge - 0.02, 0, 0),
        (0.16, a * 0.74, b * 0.66, 0, 0),
        (0.1, a * 0.62, b * 0.5, 0, 0),
        (0.1, 0, 0, 0, 0),
    ]
    m.add(loft(inner, 3.2, 32), "basin", white.rgb)
    if not free:
        corner = loft([(h, a, b, 0, 0), (h - 0.001, a - edge, b - edge, 0, 0)], 16.0, 32)
        m.add(corner, "body", white.rgb)
    s = rng.choice([-1, 1])
    m.add(tube((s * (a - 0.03), 0, h + 0.1), (s * (a - 0.2), 0, h + 0.08), 0.02), "tap", _CHROME)
    m.add(tube((s * (a - 0.03), 0, h), (s * (a - 0.03), 0, h + 0.12), 0.02), "tap", _CHROME)
    return m.thing("bathtub", (*white.words, "long"))


def folds(rng: np.random.Generator, w: float, h: float, depth: float, gather: float = 0.0) -> tuple:
    """Hanging cloth of width w and height h m with vertical folds of +-depth m, drawn in at mid height by `gather`."""
    u, z = np.linspace(0, 1, max(20, int(w / 0.022))), np.linspace(0, 1, 7)
    g, v = np.meshgrid(u, z, indexing="ij")
    count = max(2.0, w / rng.uniform(0.09, 0.2))
    phase = 2 * np.pi * count * (g + 0.12 * np.sin(4 * g + rng.uniform(0, 6)) / count * 3)
    y = depth * np.sin(phase) * (0.7 + 0.3 * (1 - v)) + 0.3 * depth * np.sin(phase * 0.37 + 3 * v)
    x = (g - 0.5) * w * (1 - gather * np.exp(-(((v - 0.4) / 0.2) ** 2)))
    return sheet(np.stack([x, y, v * h], -1))


def shower_curtain(rng: np.random.Generator, w: float | None = None) -> Thing:
    """A curtain on a rod along x, drawn over part of its width; it may be a glass screen instead."""
    cloth = paint(rng, "white white blue green beige grey pink", "fabric")
    w, h = w or rng.uniform(0.9, 1.6), rng.uniform(1.65, 1.95)
    m = Mesh()
    share = rng.uniform(0.35, 1.0)
    shape = folds(rng, w * share, h, rng.uniform(0.02, 0.06))
    m.add((shape[0] + [-(w - w * share) / 2 * rng.choice([-1, 1]), 0, 0], shape[1]), "fabric", cloth.rgb)
    m.add(tube((-w / 2, 0, h + 0.03), (w / 2, 0, h + 0.03), 0.013), "rail", _CHROME)
    return m.thing("shower curtain", cloth.words)


def towel(rng: np.random.Generator) -> Thing:
    """A towel hanging over a bar."""
    cloth = paint(rng)
    w, h = rng.uniform(0.28, 0.6), rng.uniform(0.35, 0.75)
    m = Mesh()
    shape = folds(rng, w, h, 0.008)
    m.add((shape[0] + [0, -0.02, 0], shape[1]), "fabric", cloth.rgb)
    m.add((shape[0] * [1, 1, 0.8] + [0, 0.025, h * 0.2], shape[1]), "fabric", cloth.rgb)
    m.add(tube((-w / 2 - 0.06, 0, h), (w / 2 + 0.06, 0, h), 0.01), "rail", _CHROME)
    return m.thing("towel", (*cloth.words, "fabric"))


def washing_machine(rng: np.random.Generator) -> Thing:
    """A front loader with round door, or a top loader."""
    cover = paint(rng, "white white grey", "metal")
    w, d, h = rng.uniform(0.58, 0.7), rng.uniform(0.55, 0.68), rng.uniform(0.83, 0.98)
    m = Mesh()
    m.add(soft_box((-w / 2, -d / 2 + 0.02, 0.02), (w / 2, d / 2, h), 0.012, n=4), "body", cover.rgb)
    m.box(-w / 2 + 0.01, w / 2 - 0.01, -d / 2 + 0.005, -d / 2 + 0.03, h - 0.13, h - 0.02, "panel", cover.shade(0.85))
    if rng.random() < 0.75:
        ring = turn(lathe([(0.2, 0.0), (0.2, 0.04), (0.15, 0.045), (0.13, 0.0), (0, -0.03)], 18), np.pi / 2, "x")
        m.add((ring[0] + [0, -d / 2 + 0.02, h * 0.5], ring[1]), "door", (0.3, 0.3, 0.32))
    else:
        m.box(-w / 2, w / 2, d / 2 - 0.12, d / 2, h, h + 0.14, "panel", cover.shade(0.9))
    return m.thing("washing machine", cover.words)


def radiator(rng: np.random.Generator) -> Thing:
    """A ribbed radiator for the wall below a window."""
    cover = paint(rng, "white white beige grey", "metal")
    w, h, d = rng.uniform(0.5, 1.6), rng.uniform(0.4, 0.7), rng.uniform(0.07, 0.15)
    m = Mesh()
    for x in np.arange(-w / 2, w / 2 - 0.03, rng.uniform(0.055, 0.09)):
        m.add(box((x, -d / 2, 0.1), (x + 0.035, d / 2, h)), "body", cover.rgb)
    m.box(-w / 2, w / 2, -d / 4, d / 4, 0.12, 0.15, "body", cover.rgb)
    m.box(-w / 2, w / 2, -d / 4, d / 4, h - 0.05, h - 0.02, "body", cover.rgb)
    for s in (-1, 1):
        m.add(tube((s * w * 0.42, 0, 0), (s * w * 0.42, 0, 0.14), 0.012), "leg", cover.rgb)
    return m.thing("radiator", cover.words)
