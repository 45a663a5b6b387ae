"""Appliances and electronics: refrigerators, ovens, screens, computers, printers, fans, pianos."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import paint, pick, wood
from s4token_model.procedural.mesh import Mesh, box, lathe, move, path, soft_box, tube, turn
from s4token_model.procedural.types import Thing

_DARK = (0.05, 0.05, 0.06)


def refrigerator(rng: np.random.Generator, h: float | None = None) -> Thing:
    """A refrigerator with one, two or side-by-side doors, or a small one."""
    cover = paint(rng, "white white grey grey black", "metal")
    w, d = rng.uniform(0.55, 0.92), rng.uniform(0.58, 0.78)
    h = h or (rng.uniform(1.45, 1.95) if rng.random() < 0.82 else rng.uniform(0.82, 1.0))
    if h < 1.1:
        w, d = rng.uniform(0.48, 0.58), rng.uniform(0.48, 0.58)
    m = Mesh()
    m.box(-w / 2, w / 2, -d / 2 + 0.06, d / 2, 0.0, h - 0.005, "body", cover.shade(0.95))
    kind = 0 if h < 1.1 else int(rng.integers(3))
    split = {0: [], 1: [rng.uniform(0.6, 0.72)], 2: [rng.uniform(0.25, 0.4)]}[kind]
    levels = [0.04, *(s * h for s in split), h]
    for a, b in zip(levels[:-1], levels[1:], strict=True):
        halves = [(-w / 2, w / 2)] if w < 0.78 or b - a < 0.6 else [(-w / 2, -0.003), (0.003, w / 2)]
        for k, (x0, x1) in enumerate(halves):
            m.add(soft_box((x0, -d / 2, a + 0.004), (x1, -d / 2 + 0.055, b - 0.004), 0.012, n=3), "door", cover.rgb)
            x = (x1 - 0.05 if k == 0 else x0 + 0.05) if len(halves) == 2 else x0 + 0.05
            z0, z1 = (a + 0.1, min(b - 0.1, a + 0.6)) if a > 0.8 else (max(a + 0.1, b - 0.6), b - 0.1)
            if z1 - z0 > 0.1 and rng.random() < 0.8:
                m.add(
                    path(
                        [
                            (x, -d / 2, z0),
                            (x, -d / 2 - 0.04, z0 + 0.02),
                            (x, -d / 2 - 0.04, z1 - 0.02),
                            (x, -d / 2, z1),
                        ],
                        0.01,
                        5,
                    ),
                    "handle",
                    (0.6, 0.6, 0.6),
                )
    return m.thing("refrigerator", (*cover.words, "tall" if h > 1.4 else "small"))


def oven(rng: np.random.Generator) -> Thing:
    """A cooker: oven door, knobs, hob and sometimes a back panel."""
    cover = paint(rng, "white black grey", "metal")
    w, d, h = rng.uniform(0.58, 0.76), rng.uniform(0.58, 0.66), rng.uniform(0.86, 0.92)
    m = Mesh()
    m.box(-w / 2, w / 2, -d / 2 + 0.03, d / 2, 0, h, "body", cover.rgb)
    m.box(-w / 2 + 0.01, w / 2 - 0.01, -d / 2, -d / 2 + 0.03, 0.2, h - 0.13, "door", cover.shade(0.9))
    m.box(-w / 2 + 0.1, w / 2 - 0.1, -d / 2 - 0.003, -d / 2, 0.32, h - 0.27, "glass", _DARK)
    m.add(
        tube((-w * 0.4, -d / 2 - 0.04, h - 0.18), (w * 0.4, -d / 2 - 0.04, h - 0.18), 0.012, 6),
        "handle",
        (0.6, 0.6, 0.6),
    )
    for x in np.linspace(-w * 0.38, w * 0.38, 5):
        m.add(tube((x, -d / 2 + 0.03, h - 0.06), (x, -d / 2, h - 0.06), 0.02, 7), "handle", (0.2, 0.2, 0.2))
    for x in (-w / 4, w / 4):
        for y in (-d / 5, d / 4):
            m.add(move(lathe([(0.09, 0), (0.09, 0.012), (0, 0.012)], 12), (x, y, h)), "top", _DARK)
    if rng.random() < 0.5:
        m.box(-w / 2, w / 2, d / 2 - 0.06, d / 2, h, h + 0.16, "panel", cover.rgb)
    return m.thing("oven", cover.words)


def microwave(rng: np.random.Generator) -> Thing:
    """A microwave oven."""
    cover = paint(rng, "white black grey", "metal")
    w, d, h = rng.uniform(0.44, 0.56), rng.uniform(0.32, 0.42), rng.uniform(0.25, 0.32)
    m = Mesh()
    m.box(-w / 2, w / 2, -d / 2 + 0.02, d / 2, 0.01, h, "body", cover.rgb)
    m.box(-w / 2 + 0.01, w / 2 - 0.13, -d / 2, -d / 2 + 0.02, 0.02, h - 0.01, "door", _DARK)
    m.box(w / 2 - 0.12, w / 2 - 0.01, -d / 2 + 0.005, -d / 2 + 0.02, 0.02, h - 0.01, "panel", cover.shade(0.8))
    m.box(w / 2 - 0.145, w / 2 - 0.13, -d / 2 - 0.03, -d / 2, 0.05, h - 0.05, "handle", (0.6, 0.6, 0.6))
    return m.thing("microwave", cover.words)


def _screen(rng, name: str, w: float, h: float, lift: float) -> Thing:
    m = Mesh()
    t = rng.uniform(0.02, 0.07)
    e = 0.012
    lean = rng.uniform(-0.02, 0.15)
    pieces = [(box((-w / 2, -t / 2, lift), (w / 2, t / 2, lift + h)), "body", _DARK)]
    pieces.append(
        (
            box((-w / 2 + e, -t / 2 - 0.002, lift + e), (w / 2 - e, -t / 2, lift + h - e)),
            "screen",
            pick(rng, (_DARK, (0.15, 0.25, 0.45), (0.7, 0.72, 0.75))),
        )
    )
    pieces.append((box((-w / 5, t / 2, lift + h * 0.2), (w / 5, t / 2 + 0.03, lift + h * 0.7)), "back", _DARK))
    for shape, part, color in pieces:
        m.add(turn(shape, -lean, "x", (0, 0, lift)), part, color)
    if lift > 0:
        m.box(-0.03, 0.03, t / 2, t / 2 + 0.03, 0.01, lift + h * 0.4, "stand", (0.12, 0.12, 0.13))
        m.box(-w / 4, w / 4, -0.1, 0.12, 0, 0.015, "stand", (0.12, 0.12, 0.13))
    return m.thing(name, ("black", "large" if w > 0.9 else "small"))


def monitor(rng: np.random.Generator) -> Thing:
    """A flat computer monitor on its stand, or an old deep one."""
    if rng.random() < 0.12:
        m = Mesh()
        w, h = rng.uniform(0.36, 0.42), rng.uniform(0.34, 0.4)
        m.box(-w / 2, w / 2, -0.2, -0.08, 0.05, h, "screen", (0.75, 0.72, 0.64))
        shape = box((-w * 0.4, -0.08, 0.07), (w * 0.4, 0.2, h * 0.85))
        m.add(shape, "body", (0.75, 0.72, 0.64))
        m.add(lathe([(0, 0), (0.12, 0), (0.08, 0.06)], 12), "stand", (0.75, 0.72, 0.64))
        return m.thing("monitor", ("beige",))
    w = rng.uniform(0.42, 0.72)
    return _screen(rng, "monitor", w, w * rng.uniform(0.56, 0.75), rng.uniform(0.08, 0.16))


def television(rng: np.random.Generator, on_wall: bool | None = None) -> Thing:
    """A flat television on a foot, or for the wall."""
    w = rng.uniform(0.7, 1.5)
    hung = rng.random() < 0.3 if on_wall is None else on_wall
    return _screen(rng, "television", w, w * 0.58, 0.0 if hung else rng.uniform(0.05, 0.1))


def laptop(rng: np.random.Generator) -> Thing:
    """An open laptop."""
    cover = paint(rng, "grey black white")
    w, d = rng.uniform(0.3, 0.4), rng.uniform(0.21, 0.27)
    m = Mesh()
    m.box(-w / 2, w / 2, -d / 2, d / 2, 0, 0.018, "keys", cover.rgb)
    lid = box((-w / 2, d / 2 - 0.01, 0.018), (w / 2, d / 2, d + 0.01))
    m.add(turn(lid, -rng.uniform(0.1, 0.6), "x", (0, d / 2, 0.018)), "screen", cover.shade(0.6))
    return m.thing("laptop", cover.words)


def keyboard(rng: np.random.Generator) -> Thing:
    """A computer keyboard."""
    cover = paint(rng, "black grey white")
    w, d = rng.uniform(0.34, 0.47), rng.uniform(0.12, 0.18)
    m = Mesh()
    m.add(turn(box((-w / 2, -d / 2, 0), (w / 2, d / 2, 0.015)), 0.06, "x"), "body", cover.rgb)
    for row in range(4):
        y = -d / 2 + 0.015 + row * (d - 0.03) / 4
        m.add(
            turn(box((-w / 2 + 0.01, y, 0.015), (w / 2 - 0.01, y + (d - 0.03) / 4 - 0.005, 0.022)), 0.06, "x"),
            "keys",
            cover.shade(1.3),
        )
    return m.thing("keyboard", (*cover.words, "long"))


def printer(rng: np.random.Generator) -> Thing:
    """A desktop printer, or an office copier."""
    cover = paint(rng, "white grey black beige")
    m = Mesh()
    if rng.random() < 0.7:
        w, d, h = rng.uniform(0.38, 0.5), rng.uniform(0.32, 0.45), rng.uniform(0.16, 0.34)
        m.add(soft_box((-w / 2, -d / 2, 0), (w / 2, d / 2, h), 0.02, n=4), "body", cover.rgb)
        m.box(-w / 2 * 0.8, w / 2 * 0.8, -d / 2 - 0.12, -d / 2 + 0.02, 0.04, 0.055, "panel", cover.shade(0.7))
        m.add(
            turn(box((-w * 0.35, d / 2 - 0.06, h), (w * 0.35, d / 2 - 0.05, h + 0.16)), -0.3, "x", (0, d / 2, h)),
            "panel",
            cover.shade(0.8),
        )
    else:
        w, d, h = rng.uniform(0.55, 0.7), rng.uniform(0.55, 0.7), rng.uniform(0.9, 1.15)
        m.box(-w / 2, w / 2, -d / 2, d / 2, 0.05, h - 0.22, "body", cover.rgb)
        m.box(-w / 2, w / 2, 0, d / 2, h - 0.22, h - 0.1, "body", cover.shade(0.85))
        m.box(-w / 2, w / 2, -d / 2, d / 2, h - 0.1, h, "lid", cover.rgb)
        m.box(-w / 2 - 0.3, -w / 2, -0.2, 0.2, h - 0.35, h - 0.32, "panel", cover.rgb)
    return m.thing("printer", cover.words)


def fan(rng: np.random.Generator, ceiling: bool | None = None) -> Thing:
    """A standing fan, or a ceiling fan whose highest point is the ceiling."""
    cover = paint(rng, "white black grey")
    m = Mesh()
    if ceiling or (ceiling is None and rng.random() < 0.4):
        m.add(
            lathe([(0, 0), (0.1, 0.02), (0.12, 0.1), (0.03, 0.14), (0.03, 0.3), (0.07, 0.33), (0, 0.33)]),
            "body",
            cover.rgb,
        )
        for a in np.arange(5) * 2 * np.pi / 5:
            m.add(
                turn(turn(box((0.1, -0.065, 0.07), (0.62, 0.065, 0.08)), 0.2, "x", (0, 0, 0.07)), a),
                "blade",
                wood(rng).rgb,
            )
        return m.thing("fan", (*cover.words, "large"))
    h, r = rng.uniform(0.8, 1.25), rng.uniform(0.17, 0.22)
    m.add(lathe([(0, 0), (0.2, 0), (0.2, 0.02), (0.02, 0.05), (0, 0.05)]), "base", cover.rgb)
    m.add(tube((0, 0, 0.04), (0, 0, h - r), 0.015), "pole", cover.rgb)
    disc = turn(lathe([(0, 0.0), (r, 0.03), (r, 0.09), (0, 0.13)], 18), np.pi / 2, "x")
    m.add(move(disc, (0, 0.02, h - r)), "blade", cover.shade(0.9))
    m.add(tube((0, 0, h - r), (0, 0.14, h - r), 0.05), "body", cover.rgb)
    return m.thing("fan", (*cover.words, "round"))


def piano(rng: np.random.Generator) -> Thing:
    """An upright piano."""
    cover = paint(rng, "black black brown brown white", "wooden")
    w, d, h, key = rng.uniform(1.35, 1.55), rng.uniform(0.52, 0.65), rng.uniform(1.0, 1.3), 0.72
    m = Mesh()
    m.box(-w / 2, w / 2, 0.0, d / 2, 0.0, h, "body", cover.rgb)
    m.box(-w / 2, w / 2, -d / 2, 0.0, key - 0.08, key - 0.02, "body", cover.rgb)
    m.box(-w / 2 + 0.06, w / 2 - 0.06, -d / 2 + 0.02, -d / 2 + 0.17, key - 0.02, key, "keys", (0.92, 0.91, 0.87))
    for s in (-1, 1):
        x0, x1 = sorted((s * w / 2, s * (w / 2 - 0.05)))
        m.box(x0, x1, -d / 2, 0.0, key - 0.02, key + 0.08, "side", cover.rgb)
        m.box(x0, x1, -d / 2 + 0.02, -d / 2 + 0.08, 0, key - 0.08, "leg", cover.rgb)
    m.add(
        turn(box((-w / 3, -0.02, key + 0.12), (w / 3, 0.0, h - 0.05)), -0.1, "x", (0, 0, h - 0.05)),
        "panel",
        cover.shade(1.1),
    )
    for x in (-0.08, 0.0, 0.08):
        m.box(x - 0.015, x + 0.015, -0.08, 0.0, 0.04, 0.055, "pedal", (0.7, 0.6, 0.3))
    return m.thing("piano", cover.words)
