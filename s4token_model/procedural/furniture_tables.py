"""Tables, desks and counters."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import Paint, metal, paint, pick, wood
from s4token_model.procedural.mesh import Mesh, box, lathe, prism, soft_box, tube
from s4token_model.procedural.types import Thing


def _corner_legs(
    m: Mesh, w: float, d: float, h: float, r: float, inset: float, color, round_: bool, splay: float = 0.0
) -> None:
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (w / 2 - r - inset), sy * (d / 2 - r - inset)
            if round_:
                m.add(tube((x + sx * splay, y + sy * splay, 0), (x, y, h), r * 0.8, 7, r), "leg", color)
            else:
                m.box(x - r, x + r, y - r, y + r, 0, h, "leg", color)


def _top(m: Mesh, w: float, d: float, h: float, t: float, shape: str, color) -> None:
    """A table top of thickness t whose upper side is at h; shape "square", "round" or "oval"."""
    if shape == "square":
        m.box(-w / 2, w / 2, -d / 2, d / 2, h - t, h, "top", color)
        return
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    power = 2.0 if shape == "round" else 3.0
    c, s = np.cos(angle), np.sin(angle)
    x, y = np.sign(c) * np.abs(c) ** (2 / power) * w / 2, np.sign(s) * np.abs(s) ** (2 / power) * d / 2
    m.add(prism(np.stack([x, y], 1), h - t, h), "top", color)


def table_of(rng: np.random.Generator, w: float, d: float, h: float, shape: str) -> Thing:
    """A table of width w, depth d, height h m; shape "square", "round" or "oval"."""
    cover = wood(rng) if rng.random() < 0.75 else paint(rng, "white grey black beige")
    frame = cover if rng.random() < 0.6 else metal(rng)
    t = rng.uniform(0.018, 0.06)
    m = Mesh()
    _top(m, w, d, h, t, shape, cover.rgb)
    kind = rng.choice(["legs", "legs", "pedestal", "trestle", "frame", "block"])
    if shape != "square" and kind in ("trestle", "block"):
        kind = "pedestal"
    if max(w, d) < 0.7 and kind == "trestle":
        kind = "legs"
    low = h - t
    if kind == "legs":
        r, inset = rng.uniform(0.015, 0.045), rng.uniform(0.0, 0.06) + (0.12 * min(w, d) if shape != "square" else 0)
        _corner_legs(m, w, d, low, r, inset, frame.rgb, rng.random() < 0.4, rng.choice([0, 0, 0.05]))
        if rng.random() < 0.5 and shape == "square":
            a = rng.uniform(0.05, 0.11)
            for s in (-1, 1):
                y, x = s * (d / 2 - inset - r), s * (w / 2 - inset - r)
                m.box(-w / 2 + inset + r, w / 2 - inset - r, y - 0.01, y + 0.01, low - a, low, "frame", frame.rgb)
                m.box(x - 0.01, x + 0.01, -d / 2 + inset + r, d / 2 - inset - r, low - a, low, "frame", frame.rgb)
        if rng.random() < 0.3:
            z = rng.uniform(0.1, 0.2)
            m.box(-w / 2 + 0.06, w / 2 - 0.06, -d / 2 + 0.06, d / 2 - 0.06, z, z + 0.02, "shelf", frame.rgb)
    elif kind == "pedestal":
        spread = 1 if max(w, d) < 1.5 * min(w, d) else 2
        for k in range(spread):
            x = 0.0 if spread == 1 else (k - 0.5) * w * 0.55
            r = rng.uniform(0.03, 0.07)
            m.add(tube((x, 0, 0.02), (x, 0, low), r), "leg", frame.rgb)
            foot = min(w, d) * rng.uniform(0.28, 0.38)
            if rng.random() < 0.5:
                m.add(lathe([(0, 0), (foot, 0), (foot, 0.02), (r, 0.05), (0, 0.05)]) if x == 0 else
                      box((x - 0.06, -foot, 0), (x + 0.06, foot, 0.05)), "base", frame.rgb)  # fmt: skip
            else:
                for a in (0.78, 2.36, 3.93, 5.5):
                    m.add(
                        tube((x, 0, 0.12), (x + foot * np.cos(a), foot * np.sin(a), 0.02), 0.03, 6, 0.02),
                        "base",
                        frame.rgb,
                    )
    elif kind == "trestle":
        for s in (-1, 1):
            x = s * w * 0.38
            m.box(x - 0.03, x + 0.03, -d / 2 + 0.05, d / 2 - 0.05, 0, 0.06, "leg", frame.rgb)
            m.box(x - 0.03, x + 0.03, -d / 6, d / 6, 0.06, low, "leg", frame.rgb)
        m.box(-w * 0.38, w * 0.38, -0.02, 0.02, h * 0.25, h * 0.35, "frame", frame.rgb)
    elif kind == "frame":
        for s in (-1, 1):
            x = s * (w / 2 - 0.04)
            for y in (-d / 2 + 0.03, d / 2 - 0.03):
                m.box(x - 0.02, x + 0.02, y - 0.02, y + 0.02, 0, low, "leg", frame.rgb)
            m.box(x - 0.02, x + 0.02, -d / 2 + 0.03, d / 2 - 0.03, 0, 0.03, "leg", frame.rgb)
    else:
        for s in (-1, 1):
            m.box(s * (w / 2 - 0.03) - 0.02, s * (w / 2 - 0.03) + 0.02, -d / 2, d / 2, 0, low, "side", frame.rgb)
        if h < 0.55:
            m.box(-w / 2 + 0.02, w / 2 - 0.02, -d / 2 + 0.01, d / 2 - 0.01, 0.06, 0.1, "shelf", frame.rgb)
    size = "large" if w > 1.5 else "small" if w < 0.7 else "low" if h < 0.5 else "long" if w > 1.8 * d else ""
    words = (
        *cover.words,
        "round" if shape == "round" else "square" if shape == "square" and w < 1.15 * d else "",
        size,
    )
    return m.thing("table", tuple(x for x in words if x))


def table(rng: np.random.Generator, kind: str | None = None) -> Thing:
    """A dining, coffee, side, conference or console table."""
    kind = kind or str(
        rng.choice(["dining", "coffee", "side", "conference", "console"], p=(0.38, 0.27, 0.17, 0.1, 0.08))
    )
    if kind == "coffee":
        w, h = rng.uniform(0.7, 1.35), rng.uniform(0.34, 0.5)
        d = rng.uniform(0.45, 0.8)
    elif kind == "side":
        w, h = rng.uniform(0.35, 0.62), rng.uniform(0.42, 0.66)
        d = w * rng.uniform(0.85, 1.0)
    elif kind == "conference":
        w, d, h = rng.uniform(1.8, 3.2), rng.uniform(0.9, 1.4), rng.uniform(0.71, 0.77)
    elif kind == "console":
        w, d, h = rng.uniform(0.8, 1.5), rng.uniform(0.28, 0.45), rng.uniform(0.7, 0.85)
    else:
        w, d, h = rng.uniform(0.7, 2.0), rng.uniform(0.65, 1.0), rng.uniform(0.68, 0.8)
    shape = str(rng.choice(["square", "round", "oval"], p=(0.68, 0.22, 0.1)))
    if kind == "console":
        shape = "square"
    if shape == "round":
        w = d = min(max(w, d), 1.5) if kind != "coffee" else (w + d) / 2
    return table_of(rng, max(w, d), d, h, shape)


def _pedestal(m: Mesh, rng, x0: float, x1: float, y0: float, y1: float, h: float, color) -> None:
    """A drawer block under a desk, its front at y0."""
    m.box(x0, x1, y0 + 0.02, y1, 0, h, "drawer", color)
    count = int(rng.integers(2, 5))
    edges = np.linspace(0.04, h, count + 1)
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        m.box(x0 + 0.006, x1 - 0.006, y0, y0 + 0.02, a + 0.006, b - 0.006, "drawer", color * 0.95)
        m.box(
            (x0 + x1) / 2 - 0.06, (x0 + x1) / 2 + 0.06, y0 - 0.02, y0, b - 0.06, b - 0.045, "handle", (0.55, 0.55, 0.55)
        )


def desk(rng: np.random.Generator) -> Thing:
    """A desk, its user at -y: on legs or panels, with drawers, modesty panel, return (L), hutch or cubicle screen."""
    cover = wood(rng) if rng.random() < 0.7 else paint(rng, "white grey beige black")
    frame = cover if rng.random() < 0.6 else metal(rng)
    w, d, h = rng.uniform(0.95, 1.85), rng.uniform(0.5, 0.82), rng.uniform(0.7, 0.78)
    t = rng.uniform(0.02, 0.05)
    low = h - t
    m = Mesh()
    m.box(-w / 2, w / 2, -d / 2, d / 2, low, h, "top", cover.rgb)
    kind = rng.choice(["legs", "panels", "drawers", "both", "frame"])
    block = rng.uniform(0.36, 0.46)
    if kind in ("legs", "frame"):
        _corner_legs(m, w, d, low, rng.uniform(0.015, 0.03), 0.02, frame.rgb, rng.random() < 0.3)
        if kind == "frame":
            for s in (-1, 1):
                m.box(
                    s * (w / 2 - 0.04) - 0.02,
                    s * (w / 2 - 0.04) + 0.02,
                    -d / 2 + 0.03,
                    d / 2 - 0.03,
                    0,
                    0.04,
                    "leg",
                    frame.rgb,
                )
    else:
        for s in (-1, 1):
            m.box(
                s * (w / 2 - 0.015) - 0.015,
                s * (w / 2 - 0.015) + 0.015,
                -d / 2 + 0.03,
                d / 2,
                0,
                low,
                "side",
                frame.rgb,
            )
    if kind in ("drawers", "both") and w > 1.0:
        _pedestal(m, rng, w / 2 - block - 0.03, w / 2 - 0.03, -d / 2 + 0.03, d / 2, low - 0.005, cover.rgb)
    if kind == "both" and w > 1.35:
        _pedestal(m, rng, -w / 2 + 0.03, -w / 2 + 0.03 + block, -d / 2 + 0.03, d / 2, low - 0.005, cover.rgb)
    if rng.random() < 0.5:
        m.box(
            -w / 2 + 0.03, w / 2 - 0.03, d / 2 - 0.03, d / 2 - 0.012, h * rng.uniform(0.1, 0.6), low, "panel", frame.rgb
        )
    elif rng.random() < 0.4:
        m.box(-w / 4, w / 4, -d / 2 + 0.02, d / 2 - 0.1, low - 0.09, low, "drawer", cover.rgb)
    words = cover.words
    if w > 1.2 and rng.random() < 0.22:
        s, wing, wd = rng.choice([-1, 1]), rng.uniform(0.6, 1.1), rng.uniform(0.45, 0.6)
        x0, x1 = (w / 2 - wd, w / 2) if s > 0 else (-w / 2, -w / 2 + wd)
        m.box(x0, x1, -d / 2 - wing, -d / 2 + 0.001, low, h, "top", cover.rgb)
        m.box(x0 + 0.02, x1 - 0.02, -d / 2 - wing + 0.02, -d / 2 - wing + 0.05, 0, low, "side", frame.rgb)
        words += ("large",)
    if rng.random() < 0.16:
        top = h + rng.uniform(0.35, 0.75)
        m.box(-w / 2, w / 2, d / 2 - 0.02, d / 2, h, top, "panel", cover.rgb)
        for x in np.linspace(-w / 2, w / 2 - 0.02, int(rng.integers(2, 5))):
            m.box(x, x + 0.02, d / 2 - 0.26, d / 2, h, top, "side", cover.rgb)
        for z in np.linspace(h + 0.3, top, 2):
            m.box(-w / 2, w / 2, d / 2 - 0.26, d / 2, z - 0.02, z, "shelf", cover.rgb)
    elif rng.random() < 0.1:
        screen = paint(rng, "grey beige blue green").rgb
        m.add(
            soft_box((-w / 2, d / 2, h - 0.3), (w / 2, d / 2 + 0.04, h + rng.uniform(0.3, 0.6)), 0.01, n=2),
            "panel",
            screen,
        )
    return m.thing("desk", (*words, "large" if w > 1.6 else "small" if w < 1.1 else "long" if w > 2 * d else "square"))


def worktop_paint(rng: np.random.Generator) -> Paint:
    """The color of a kitchen or vanity worktop."""
    return wood(rng) if rng.random() < 0.25 else paint(rng, "grey black white beige brown")


def counter_top(
    rng: np.random.Generator, w: float, d: float, h: float, hole: tuple | None = None, cover: Paint | None = None
) -> Thing:
    """A worktop 3-5 cm thick with an optional rectangular hole (x0, x1, y0, y1) for a sink and a low upstand."""
    cover = cover or worktop_paint(rng)
    t = rng.uniform(0.03, 0.05)
    m = Mesh()
    if hole is None:
        m.box(-w / 2, w / 2, -d / 2, d / 2, h - t, h, "top", cover.rgb)
    else:
        x0, x1, y0, y1 = hole
        m.box(-w / 2, x0, -d / 2, d / 2, h - t, h, "top", cover.rgb)
        m.box(x1, w / 2, -d / 2, d / 2, h - t, h, "top", cover.rgb)
        m.box(x0, x1, -d / 2, y0, h - t, h, "top", cover.rgb)
        m.box(x0, x1, y1, d / 2, h - t, h, "top", cover.rgb)
    if rng.random() < 0.5:
        m.box(-w / 2, w / 2, d / 2 - 0.02, d / 2, h, h + rng.uniform(0.04, 0.12), "back", cover.rgb)
    return m.thing("counter", (*cover.words, "long"))


def counter(rng: np.random.Generator) -> Thing:
    """A free-standing or bar counter: a worktop on panels with an open or closed front."""
    cover, body = paint(rng, "grey black white beige"), wood(rng)
    w, d, h = rng.uniform(1.2, 2.6), rng.uniform(0.5, 0.8), rng.uniform(0.88, 1.08)
    m = Mesh()
    over = rng.uniform(0.02, 0.25)
    m.box(-w / 2, w / 2, -d / 2, d / 2, h - 0.04, h, "top", cover.rgb)
    m.box(-w / 2 + 0.03, w / 2 - 0.03, -d / 2 + over, d / 2 - 0.02, 0.0, h - 0.04, "body", body.rgb)
    for x in np.linspace(-w / 2 + 0.03, w / 2 - 0.03, int(rng.integers(3, 6)))[:-1]:
        m.box(x + 0.02, x + 0.05, -d / 2 + over - 0.015, -d / 2 + over, 0.1, h - 0.1, "panel", body.shade(0.9))
    return m.thing("counter", (*cover.words, pick(rng, ("long",))))
