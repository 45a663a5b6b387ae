"""Lamps, boxes, plants, bins, people, bottles, cups, rugs, columns, stairs."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import fabric, metal, paint, pick, wood
from s4token_model.procedural.mesh import Mesh, blob, box, lathe, loft, move, path, rumple, sheet, soft_box, tube, turn
from s4token_model.procedural.types import Thing


def lamp(rng: np.random.Generator, kind: str | None = None) -> Thing:
    """A table, floor, desk or hanging lamp (kind "table", "floor", "desk", "ceiling")."""
    kind = kind or str(rng.choice(["table", "floor", "desk", "ceiling"], p=(0.4, 0.3, 0.15, 0.15)))
    base, shade = metal(rng), paint(rng, "white beige yellow red black blue")
    m = Mesh()
    if kind == "ceiling":
        r, drop = rng.uniform(0.12, 0.3), rng.uniform(0.1, 0.8)
        m.add(lathe([(r * 0.4, rng.uniform(0.1, 0.2)), (r, 0)], 18), "shade", shade.rgb)
        m.add(lathe([(0, 0.1), (r * 0.5, 0.12)], 10), "shade", shade.rgb)
        m.add(tube((0, 0, 0.1), (0, 0, 0.1 + drop), 0.006, 5), "pole", base.rgb)
        return m.thing("lamp", (*shade.words, "round"))
    if kind == "desk":
        a = rng.uniform(0.25, 0.4)
        m.add(lathe([(0, 0), (0.09, 0), (0.09, 0.02), (0, 0.03)]), "base", base.rgb)
        m.add(path([(0, 0, 0.02), (0, 0.12, a), (0, -0.15, a * 1.4)], 0.01), "pole", base.rgb)
        m.add(move(turn(lathe([(0.03, 0.1), (0.08, 0)], 12), 0.6, "x"), (0, -0.18, a * 1.4 - 0.08)), "shade", base.rgb)
        return m.thing("lamp", (*base.words, "small"))
    h = rng.uniform(0.35, 0.7) if kind == "table" else rng.uniform(1.35, 1.8)
    r = rng.uniform(0.1, 0.2) if kind == "table" else rng.uniform(0.14, 0.26)
    sh = r * rng.uniform(0.9, 1.5)
    foot = rng.uniform(0.07, 0.13) if kind == "table" else rng.uniform(0.12, 0.17)
    m.add(lathe([(0, 0), (foot, 0), (foot, 0.02), (0.02, 0.04), (0, 0.04)]), "base", base.rgb)
    if kind == "table" and rng.random() < 0.6:
        bulge = rng.uniform(0.05, 0.11)
        m.add(
            lathe([(0, 0.02), (bulge * 0.6, 0.03), (bulge, h * 0.25), (0.02, h - sh), (0, h - sh)]),
            "base",
            paint(rng).rgb,
        )
    else:
        m.add(tube((0, 0, 0.03), (0, 0, h - sh), 0.012), "pole", base.rgb)
    taper = rng.uniform(0.5, 1.0)
    m.add(lathe([(r, h - sh), (r * taper, h), (r * taper - 0.005, h), (r - 0.005, h - sh)], 18), "shade", shade.rgb)
    m.add(lathe([(0, h - sh * 0.8), (0.035, h - sh * 0.5), (0, h - sh * 0.3)], 8), "shade", (0.95, 0.92, 0.8))
    m.add(tube((0, 0, h - sh), (0, 0, h - sh * 0.3), 0.008, 5), "pole", base.rgb)
    return m.thing("lamp", (*shade.words, "small" if kind == "table" else "tall"))


def carton(rng: np.random.Generator) -> Thing:
    """A cardboard or plastic box, closed, open or with flaps."""
    w, d, h = np.exp(rng.uniform(np.log(0.15), np.log(0.6), 3)) * (1, 0.8, 0.75)
    cover = paint(rng, "brown beige brown beige white blue grey black red green")
    m = Mesh()
    if rng.random() < 0.6:
        m.box(-w / 2, w / 2, -d / 2, d / 2, 0, h, "body", cover.rgb)
        m.box(-w / 2, w / 2, -0.03, 0.03, h, h + 0.003, "lid", cover.shade(0.85))
    else:
        t = 0.008
        m.box(-w / 2, w / 2, -d / 2, d / 2, 0, t, "body", cover.rgb)
        for s in (-1, 1):
            m.box(s * w / 2 - t, s * w / 2 + t, -d / 2, d / 2, 0, h, "side", cover.rgb)
            m.box(-w / 2, w / 2, s * d / 2 - t, s * d / 2 + t, 0, h, "side", cover.rgb)
        if rng.random() < 0.6:
            for s in (-1, 1):
                flap = box((s * w / 2 - t / 2, -d / 2, h), (s * w / 2 + t / 2, d / 2, h + d * 0.4))
                m.add(turn(flap, s * rng.uniform(0.3, 2.2), "y", (s * w / 2, 0, h)), "lid", cover.shade(0.9))
        m.add(
            move(
                soft_box(
                    (-w * 0.4, -d * 0.4, 0),
                    (w * 0.4, d * 0.4, h * rng.uniform(0.3, 0.95)),
                    0.06,
                    0.03,
                    0.02,
                    rng.uniform(0, 6),
                ),
                (0, 0, t),
            ),
            "content",
            paint(rng).rgb,
        )
    return m.thing("box", (*cover.words, "large" if max(w, d, h) > 0.45 else "small"))


def plant(rng: np.random.Generator) -> Thing:
    """A potted plant: bushy, palm-like or with broad leaves; from a windowsill pot to a 1.8 m floor plant."""
    big = rng.random() < 0.5
    h, r = (rng.uniform(0.7, 1.8), rng.uniform(0.12, 0.22)) if big else (rng.uniform(0.2, 0.5), rng.uniform(0.06, 0.12))
    pot, green = paint(rng, "brown white black grey red"), paint(rng, "green")
    ph = r * rng.uniform(1.2, 2.2)
    m = Mesh()
    m.add(lathe([(0, 0), (r * 0.7, 0), (r, ph), (r * 0.88, ph), (r * 0.85, ph * 0.9), (0, ph * 0.88)]), "pot", pot.rgb)
    count = int(rng.integers(10, 45))
    top = h - ph
    spread, broad = rng.uniform(0.25, 0.6) * max(top, 0.25), rng.uniform(0.025, 0.09) * (1.4 if big else 0.7)
    trunk = top * rng.uniform(0, 0.6)
    m.add(tube((0, 0, ph * 0.8), (0, 0, ph + trunk), 0.012 if big else 0.005, 5), "stem", (0.3, 0.25, 0.15))
    az, out, up = (
        rng.uniform(0, 2 * np.pi, count),
        rng.uniform(0.2, 1, count) * spread,
        rng.uniform(0.1, 1, count) * (top - trunk),
    )
    direction = np.stack([np.cos(az), np.sin(az), np.zeros(count)], 1)
    side = np.stack([-np.sin(az), np.cos(az), np.zeros(count)], 1) * broad
    s = np.linspace(0, 1, 5)
    rise = np.sin(s * rng.uniform(1.6, 2.6))[None] * up[:, None]
    middle = (
        direction[:, None] * (s * out[:, None])[..., None]
        + np.array([0, 0, ph + trunk])
        + np.stack([0 * rise, 0 * rise, rise], -1)
    )
    width = np.array([0.1, 0.7, 1.0, 0.7, 0.05])[None, :, None]
    leaves = np.stack([middle - side[:, None] * width, middle + side[:, None] * width], 2)
    shapes = [sheet(leaf) for leaf in leaves]
    for shape in shapes:
        m.add(shape, "leaf", green.shade(rng.uniform(0.7, 1.4)))
    return m.thing("plant", ("green", "tall" if h > 1.0 else "small"))


def trash_can(rng: np.random.Generator) -> Thing:
    """A bin: round or square, open, with lid or swing top."""
    cover = paint(rng, "black black grey white blue green", pick(rng, ("metal", "plastic")))
    h, r = rng.uniform(0.26, 0.7), rng.uniform(0.12, 0.21)
    m = Mesh()
    power = rng.choice([2.0, 8.0])
    a, b = r, r * (1.0 if power == 2 else rng.uniform(0.6, 1.0))
    k = rng.uniform(0.7, 0.95)
    if rng.random() < 0.6:
        rings = [
            (0, 0, 0),
            (0, a * k, b * k),
            (h, a, b),
            (h, a - 0.015, b - 0.015),
            (0.05, a * k - 0.015, b * k - 0.015),
            (0.05, 0, 0),
        ]
    else:
        rings = [
            (0, 0, 0),
            (0, a * k, b * k),
            (h * 0.85, a, b),
            (h * 0.87, a * 1.03, b * 1.03),
            (h, a * 0.6, b * 0.6),
            (h, 0, 0),
        ]
    m.add(loft([(*ring, 0, 0) for ring in rings], power), "body", cover.rgb)
    return m.thing("trash can", (*cover.words, "round" if power == 2 else "square"))


def person(rng: np.random.Generator) -> Thing:
    """A standing person, 1.55 to 1.9 m."""
    h = rng.uniform(1.55, 1.9)
    shirt, trousers, skin = (
        paint(rng),
        paint(rng, "blue black grey brown beige"),
        np.array([0.78, 0.58, 0.46]) * rng.uniform(0.5, 1.15),
    )
    k = h / 1.75
    m = Mesh()
    for s in (-1, 1):
        m.add(
            loft(
                [(0.05, 0.06, 0.06, s * 0.1, 0), (0.5, 0.065, 0.07, s * 0.1, 0), (0.88 * k, 0.09, 0.1, s * 0.09, 0)],
                2,
                10,
            ),
            "leg",
            trousers.rgb,
        )
        m.add(soft_box((s * 0.1 - 0.05, -0.19, 0), (s * 0.1 + 0.05, 0.08, 0.08), 0.04, n=3), "foot", (0.1, 0.09, 0.09))
        swing = rng.uniform(-0.2, 0.25)
        m.add(
            path(
                [(s * 0.2, 0, 1.42 * k), (s * 0.27, swing * 0.4, 1.12 * k), (s * 0.27, -0.1 - swing, 0.86 * k)],
                0.042,
                8,
            ),
            "arm",
            shirt.rgb,
        )
    rings = [
        (0.85 * k, 0.15, 0.1),
        (1.0 * k, 0.15, 0.11),
        (1.25 * k, 0.18, 0.12),
        (1.42 * k, 0.2, 0.1),
        (1.5 * k, 0.07, 0.07),
    ]
    m.add(loft([(*ring, 0, 0) for ring in rings], 2.4), "body", shirt.rgb)
    m.add(tube((0, 0, 1.46 * k), (0, -0.01, 1.58 * k), 0.055), "head", skin)
    m.add(move(blob((0.078, 0.095, 0.12), rng, 0.03), (0, -0.01, h - 0.12)), "head", skin)
    return m.thing("person", ("tall",) if h > 1.75 else ())


def bottle(rng: np.random.Generator) -> Thing:
    """A bottle or a dispenser."""
    cover = paint(rng, "green white blue brown red black yellow")
    h, r = rng.uniform(0.15, 0.34), rng.uniform(0.025, 0.05)
    m = Mesh()
    m.add(lathe([(0, 0), (r, 0), (r, h * 0.6), (r * 0.35, h * 0.78), (r * 0.35, h * 0.92)], 12), "body", cover.rgb)
    m.add(lathe([(r * 0.42, h * 0.9), (r * 0.42, h), (0, h)], 8), "cap", paint(rng, "white black red blue").rgb)
    return m.thing("bottle", cover.words)


def cup(rng: np.random.Generator) -> Thing:
    """A cup with a handle, a glass or a bowl."""
    cover = paint(rng)
    h, r = rng.uniform(0.07, 0.13), rng.uniform(0.03, 0.07)
    m = Mesh()
    m.add(lathe([(0, 0), (r * 0.75, 0), (r, h), (r - 0.004, h), (r * 0.7, 0.01), (0, 0.01)], 14), "body", cover.rgb)
    if rng.random() < 0.6:
        m.add(
            path(
                [(r * 0.9, 0, h * 0.8), (r + 0.03, 0, h * 0.7), (r + 0.03, 0, h * 0.35), (r * 0.85, 0, h * 0.25)],
                0.006,
                5,
            ),
            "handle",
            cover.rgb,
        )
    return m.thing("cup", cover.words)


def rug(rng: np.random.Generator, longest: float = 2.6) -> Thing:
    """A rug or a mat with slight waves, its longer side at most `longest` m."""
    cloth = fabric(rng)
    w = rng.uniform(0.6, longest)
    d = w * rng.uniform(0.55, 0.9)
    m = Mesh()
    round_ = rng.random() < 0.15
    if round_:
        d = w = min(w, 1.8)
        m.add(lathe([(w / 2, 0), (w / 2, 0.012), (0, 0.012)], 24), "fabric", cloth.rgb)
    else:
        x, y = np.meshgrid(np.linspace(-w / 2, w / 2, 12), np.linspace(-d / 2, d / 2, 12), indexing="ij")
        z = 0.012 + np.maximum(rumple(x, y, rng, 0.008, 0.8), -0.006)
        m.add(sheet(np.stack([x, y, z], -1)), "fabric", cloth.rgb)
    return m.thing("rug", (*cloth.words, "round" if round_ else "large" if w * d > 2 else "small"))


def column(rng: np.random.Generator, h: float | None = None) -> Thing:
    """A column, round or square."""
    cover = paint(rng, "white grey beige")
    h, r = h or rng.uniform(2.3, 3.0), rng.uniform(0.12, 0.3)
    m = Mesh()
    round_ = rng.random() < 0.4
    m.add(
        loft([(0, r, r, 0, 0), (h, r, r, 0, 0)], 2.0, 20) if round_ else box((-r, -r, 0), (r, r, h)), "whole", cover.rgb
    )
    return m.thing("column", (*cover.words, "round" if round_ else "square", "tall"))


def shower_tray(rng: np.random.Generator, w: float, d: float, h: float) -> Thing:
    """A low tray with a raised edge; of class "bathtub", the nearest that benchmarks have."""
    m = Mesh()
    white = paint(rng, "white")
    m.box(-w / 2, w / 2, -d / 2, d / 2, 0, h * 0.5, "basin", white.rgb)
    for s in (-1, 1):
        x0, x1 = sorted((s * w / 2, s * (w / 2 - 0.05)))
        m.box(x0, x1, -d / 2, d / 2, h * 0.5, h, "body", white.rgb)
        y0, y1 = sorted((s * d / 2, s * (d / 2 - 0.05)))
        m.box(-w / 2, w / 2, y0, y1, h * 0.5, h, "body", white.rgb)
    return m.thing("bathtub", (*white.words, "low"))


def stairs(rng: np.random.Generator) -> Thing:
    """A straight flight of steps rising towards +y, sometimes with a rail."""
    cover = wood(rng) if rng.random() < 0.6 else paint(rng, "grey white beige")
    count, w, run, rise = (
        int(rng.integers(3, 9)),
        rng.uniform(0.75, 1.2),
        rng.uniform(0.24, 0.3),
        rng.uniform(0.15, 0.19),
    )
    m = Mesh()
    solid = rng.random() < 0.6
    for k in range(count):
        m.box(
            -w / 2,
            w / 2,
            k * run,
            (k + 1) * run + 0.02,
            0 if solid else (k + 1) * rise - 0.04,
            (k + 1) * rise,
            "step",
            cover.rgb,
        )
    if rng.random() < 0.6:
        x = w / 2 - 0.03
        m.add(tube((x, 0.05, 0.9), (x, count * run, 0.9 + count * rise), 0.025), "rail", cover.shade(0.7))
        for k in range(count):
            m.add(
                tube((x, (k + 0.5) * run, k * rise), (x, (k + 0.5) * run, 0.95 + k * rise), 0.01, 5),
                "rail",
                cover.shade(0.7),
            )
    return m.thing("stairs", cover.words)
