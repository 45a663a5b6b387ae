"""Cabinets, wardrobes, kitchen units, dressers and nightstands."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import Paint, paint, wood
from s4token_model.procedural.mesh import Mesh
from s4token_model.procedural.types import Thing


def _knob(m: Mesh, rng, x: float, y: float, z: float, kind: int, tall: bool) -> None:
    if kind == 0:
        m.box(x - 0.012, x + 0.012, y - 0.025, y, z - 0.012, z + 0.012, "handle", (0.5, 0.5, 0.5))
    elif kind == 1:
        a, b = (0.006, 0.07) if tall else (0.07, 0.006)
        m.box(x - a, x + a, y - 0.03, y - 0.018, z - b, z + b, "handle", (0.6, 0.6, 0.6))


def _front(
    m: Mesh,
    rng,
    x0: float,
    x1: float,
    y: float,
    z0: float,
    z1: float,
    kind: str,
    color,
    style: int,
    knob: int,
    right: bool,
) -> None:
    """One front leaf at depth y: a flat, framed (style 1) or glazed (style 2) door, or a drawer."""
    g = 0.003
    part = "drawer" if kind == "drawer" else "door"
    m.box(x0 + g, x1 - g, y, y + 0.018, z0 + g, z1 - g, part, color)
    if style >= 1 and x1 - x0 > 0.16 and z1 - z0 > 0.16:
        e = 0.055
        tone = color * 0.97
        m.box(x0 + g, x0 + e, y - 0.012, y, z0 + g, z1 - g, part, tone)
        m.box(x1 - e, x1 - g, y - 0.012, y, z0 + g, z1 - g, part, tone)
        m.box(x0 + e, x1 - e, y - 0.012, y, z0 + g, z0 + e, part, tone)
        m.box(x0 + e, x1 - e, y - 0.012, y, z1 - e, z1 - g, part, tone)
    if kind == "drawer":
        _knob(m, rng, (x0 + x1) / 2, y, z1 - min(0.06, (z1 - z0) / 2), knob, False)
    else:
        z = z0 + 0.12 if z0 > 1.2 else min((z0 + z1) / 2 + 0.1, z1 - 0.1)
        _knob(m, rng, x1 - 0.05 if right else x0 + 0.05, y, z, knob, True)


def fronts(
    m: Mesh,
    rng: np.random.Generator,
    x0: float,
    x1: float,
    y: float,
    z0: float,
    z1: float,
    color,
    unit: float,
    drawers: float,
) -> None:
    """Fill a cabinet front with columns about `unit` m wide; the share `drawers` are drawers, the rest doors."""
    columns = max(1, int(round((x1 - x0) / unit)))
    style, knob = int(rng.integers(2)), int(rng.integers(3))
    edges = np.linspace(x0, x1, columns + 1)
    for k in range(columns):
        a, b = edges[k], edges[k + 1]
        if rng.random() < drawers:
            levels = np.linspace(z0, z1, int(np.clip(round((z1 - z0) / rng.uniform(0.17, 0.3)), 1, 6)) + 1)
            for low, high in zip(levels[:-1], levels[1:], strict=True):
                _front(m, rng, a, b, y, low, high, "drawer", color, 0, knob, True)
        elif drawers > 0 and z1 - z0 < 1.1 and rng.random() < 0.4:
            _front(m, rng, a, b, y, z1 - 0.17, z1, "drawer", color, 0, knob, True)
            _front(m, rng, a, b, y, z0, z1 - 0.17, "door", color, style, knob, k % 2 == 0)
        else:
            _front(m, rng, a, b, y, z0, z1, "door", color, style, knob, k % 2 == 0)


def cabinet_of(
    rng: np.random.Generator,
    w: float,
    d: float,
    h: float,
    unit: float = 0.5,
    drawers: float = 0.3,
    plinth: float = 0.0,
    cover: Paint | None = None,
    name: str = "cabinet",
    legs: bool = False,
    hollow: bool = False,
) -> Thing:
    """A cabinet of w x d x h m with fronts about `unit` m wide, on a plinth or on legs; hollow: open at the top."""
    cover = cover or (wood(rng) if rng.random() < 0.65 else paint(rng, "white white grey beige black"))
    m = Mesh()
    front = -d / 2 + 0.03
    if hollow:
        for x in (-w / 2, w / 2 - 0.02):
            m.box(x, x + 0.02, front, d / 2, plinth, h, "body", cover.rgb)
        for y in (front, d / 2 - 0.02):
            m.box(-w / 2, w / 2, y, y + 0.02, plinth, h, "body", cover.rgb)
    else:
        m.box(-w / 2, w / 2, front, d / 2, plinth, h, "body", cover.rgb)
    if legs and plinth > 0:
        for sx in (-1, 1):
            for y in (front + 0.04, d / 2 - 0.04):
                m.box(
                    sx * (w / 2 - 0.05) - 0.02,
                    sx * (w / 2 - 0.05) + 0.02,
                    y - 0.02,
                    y + 0.02,
                    0,
                    plinth,
                    "leg",
                    cover.shade(0.8),
                )
    elif plinth > 0:
        m.box(-w / 2 + 0.01, w / 2 - 0.01, front + 0.05, d / 2, 0, plinth, "base", cover.shade(0.6))
    fronts(m, rng, -w / 2, w / 2, -d / 2 + 0.012, plinth, h - rng.choice([0, 0.02]), cover.rgb, unit, drawers)
    if not hollow and rng.random() < 0.3:
        m.box(-w / 2 - 0.015, w / 2 + 0.015, -d / 2, d / 2, h, h + 0.025, "top", cover.shade(0.95))
    return m.thing(name, cover.words)


def wardrobe(rng: np.random.Generator) -> Thing:
    """A tall cabinet for clothes or storage."""
    t = cabinet_of(
        rng,
        rng.uniform(0.7, 2.0),
        rng.uniform(0.45, 0.65),
        rng.uniform(1.6, 2.25),
        rng.uniform(0.4, 0.7),
        0.05,
        rng.choice([0, 0.06]),
    )
    return _with_words(t, "tall")


def file_cabinet(rng: np.random.Generator) -> Thing:
    """A metal file cabinet of two to five drawers."""
    count = int(rng.integers(2, 6))
    w, d, h = rng.uniform(0.38, 0.5), rng.uniform(0.45, 0.65), 0.3 * count + 0.05
    cover = paint(rng, "grey grey beige black white", "metal")
    m = Mesh()
    m.box(-w / 2, w / 2, -d / 2 + 0.02, d / 2, 0, h, "body", cover.rgb)
    for k in range(count):
        _front(
            m, rng, -w / 2, w / 2, -d / 2, 0.04 + 0.3 * k, 0.04 + 0.3 * (k + 1), "drawer", cover.shade(0.96), 0, 1, True
        )
    return m.thing("cabinet", (*cover.words, "tall" if count > 3 else "small"))


def kitchen_base(rng: np.random.Generator, w: float, h: float, d: float, cover: Paint, hollow: bool = False) -> Thing:
    """Kitchen base units, to stand under a worktop."""
    return cabinet_of(rng, w, d, h, rng.uniform(0.4, 0.62), 0.25, 0.1, cover, hollow=hollow)


def kitchen_wall(rng: np.random.Generator, w: float, h: float, cover: Paint, depth: float | None = None) -> Thing:
    """Kitchen wall units, to hang above a worktop."""
    return cabinet_of(rng, w, depth or rng.uniform(0.3, 0.38), h, rng.uniform(0.35, 0.55), 0.0, 0.0, cover)


def cabinet(rng: np.random.Generator) -> Thing:
    """A wardrobe, sideboard, TV stand, file cabinet, locker or kitchen unit."""
    kind = rng.choice(["wardrobe", "side", "low", "file", "kitchen", "chest"], p=(0.24, 0.22, 0.16, 0.14, 0.12, 0.12))
    if kind == "wardrobe":
        return wardrobe(rng)
    if kind == "file":
        return file_cabinet(rng)
    if kind == "kitchen":
        return kitchen_base(rng, rng.uniform(0.4, 1.8), rng.uniform(0.8, 0.9), 0.58, wood(rng))
    if kind == "low":
        return _with_words(
            cabinet_of(
                rng, rng.uniform(0.9, 1.9), rng.uniform(0.35, 0.5), rng.uniform(0.35, 0.6), 0.5, 0.4, 0.08, legs=True
            ),
            "low",
        )
    if kind == "chest":
        return cabinet_of(
            rng,
            rng.uniform(0.4, 0.8),
            rng.uniform(0.35, 0.5),
            rng.uniform(0.6, 1.35),
            0.5,
            0.5,
            rng.choice([0, 0.06, 0.12]),
            legs=True,
        )
    return _with_words(
        cabinet_of(
            rng, rng.uniform(0.9, 1.9), rng.uniform(0.38, 0.55), rng.uniform(0.7, 1.15), 0.5, 0.35, 0.1, legs=True
        ),
        "long",
    )


def _with_words(thing: Thing, *words: str) -> Thing:
    return Thing(
        thing.name,
        tuple(dict.fromkeys(thing.attributes + words)),
        thing.parts,
        thing.vertices,
        thing.triangles,
        thing.part,
        thing.color,
    )


def dresser(rng: np.random.Generator) -> Thing:
    """A chest of drawers."""
    t = cabinet_of(
        rng,
        rng.uniform(0.7, 1.6),
        rng.uniform(0.4, 0.55),
        rng.uniform(0.7, 1.25),
        rng.uniform(0.5, 0.8),
        1.0,
        0.08,
        wood(rng),
        "dresser",
        True,
    )
    return _with_words(t, "tall" if t.vertices[:, 2].max() > 1.05 else "low")


def nightstand(rng: np.random.Generator) -> Thing:
    """A bedside cabinet with a drawer, an open compartment or only legs."""
    cover = wood(rng)
    w, d, h = rng.uniform(0.36, 0.6), rng.uniform(0.33, 0.48), rng.uniform(0.42, 0.7)
    if rng.random() < 0.6:
        return cabinet_of(rng, w, d, h, 1.0, 0.8, rng.choice([0.0, 0.1, 0.2]), cover, "nightstand", True)
    m = Mesh()
    m.box(-w / 2, w / 2, -d / 2, d / 2, h - 0.03, h, "top", cover.rgb)
    m.box(-w / 2 + 0.02, w / 2 - 0.02, -d / 2 + 0.01, d / 2, h - 0.17, h - 0.03, "drawer", cover.shade(0.95))
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (w / 2 - 0.03), sy * (d / 2 - 0.03)
            m.box(x - 0.02, x + 0.02, y - 0.02, y + 0.02, 0, h - 0.03, "leg", cover.rgb)
    m.box(-w / 2 + 0.02, w / 2 - 0.02, -d / 2 + 0.02, d / 2 - 0.02, 0.12, 0.14, "shelf", cover.rgb)
    return m.thing("nightstand", (*cover.words, "small"))
