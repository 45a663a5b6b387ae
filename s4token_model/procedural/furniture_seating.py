"""Chairs of many kinds and sofas."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import fabric, leather, metal, paint, pick, wood
from s4token_model.procedural.mesh import Mesh, box, lathe, path, soft_box, tube, turn
from s4token_model.procedural.types import Thing


def upholstery(rng: np.random.Generator):
    """A fabric or, less often, a leather."""
    return leather(rng) if rng.random() < 0.3 else fabric(rng)


def add_legs(
    m: Mesh, rng, w: float, d: float, top: float, color, splay: float = 0.0, round_: bool = True, r: float = 0.018
) -> None:
    """Four legs under the corners of a w x d seat, feet `splay` m further out."""
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (w / 2 - r * 1.5), sy * (d / 2 - r * 1.5)
            if round_:
                m.add(tube((x + sx * splay, y + sy * splay, 0), (x, y, top), r * 0.8, 6, r), "leg", color)
            else:
                m.box(x - r, x + r, y - r, y + r, 0, top, "leg", color)


def _tilted(shape, angle: float, y: float, z: float):
    """A chair back leaning backwards (towards +y) about its lower edge."""
    return turn(shape, -angle, "x", (0, y, z))


def dining_chair(rng: np.random.Generator) -> Thing:
    """A chair with four legs: plain, slatted, laddered or upholstered back, sometimes arms and stretchers."""
    w, d = rng.uniform(0.38, 0.52), rng.uniform(0.38, 0.52)
    seat, back = rng.uniform(0.41, 0.49), rng.uniform(0.32, 0.58)
    frame = wood(rng) if rng.random() < 0.7 else metal(rng)
    cover = upholstery(rng)
    soft = rng.random() < 0.45
    m = Mesh()
    r = rng.uniform(0.012, 0.024)
    add_legs(m, rng, w, d, seat - 0.02, frame.rgb, rng.choice([0, 0, 0.04, 0.07]), rng.random() < 0.5, r)
    if soft:
        m.add(
            soft_box((-w / 2, -d / 2, seat - 0.06), (w / 2, d / 2, seat), 0.03, 0.015, 0.002, rng.uniform(0, 6)),
            "seat",
            cover.rgb,
        )
    else:
        m.box(-w / 2, w / 2, -d / 2, d / 2, seat - rng.uniform(0.018, 0.035), seat, "seat", frame.shade(1.05))
    lean, kind = rng.uniform(0.03, 0.25), rng.integers(4)
    top, y = seat + back, d / 2 - 0.03
    posts = [tube((s * (w / 2 - r), y, seat - 0.02), (s * (w / 2 - r), y, top), r, 6) for s in (-1, 1)]
    for shape in posts:
        m.add(_tilted(shape, lean, y, seat), "back", frame.rgb)
    if kind == 0 or soft:
        gap = rng.uniform(0.02, 0.18)
        low, high = (-w / 2 + 0.01, y - 0.02, seat + gap), (w / 2 - 0.01, y + 0.03, top)
        shape = soft_box(low, high, 0.02, 0.01) if soft else box(low, (high[0], y + 0.012, top))
        m.add(_tilted(shape, lean, y, seat), "back", cover.rgb if soft else frame.rgb)
    elif kind == 1:
        for z in np.linspace(seat + 0.12, top - 0.04, int(rng.integers(2, 5))):
            m.add(
                _tilted(box((-w / 2, y - 0.008, z - 0.03), (w / 2, y + 0.012, z + 0.03)), lean, y, seat),
                "back",
                frame.rgb,
            )
    else:
        for x in np.linspace(-w / 2, w / 2, int(rng.integers(4, 9)))[1:-1]:
            m.add(
                _tilted(box((x - 0.01, y - 0.008, seat), (x + 0.01, y + 0.01, top - 0.04)), lean, y, seat),
                "back",
                frame.rgb,
            )
        m.add(_tilted(box((-w / 2, y - 0.012, top - 0.08), (w / 2, y + 0.015, top)), lean, y, seat), "back", frame.rgb)
    if rng.random() < 0.25:
        z = seat + rng.uniform(0.17, 0.24)
        for s in (-1, 1):
            x = s * (w / 2 - 0.01)
            m.add(path([(x, -d / 2 + 0.04, seat), (x, -d / 2 + 0.04, z), (x, d / 2, z)], 0.016), "arm", frame.rgb)
    if rng.random() < 0.4:
        for s in (-1, 1):
            m.add(tube((s * w / 2 * 0.9, -d / 2, 0.2), (s * w / 2 * 0.9, d / 2, 0.2), 0.01, 5), "leg", frame.rgb)
    return m.thing("chair", frame.words + (cover.words if soft else ()))


def office_chair(rng: np.random.Generator) -> Thing:
    """A swivel chair: five-star base with castors, gas lift, padded seat and back, mostly with arms."""
    w, d = rng.uniform(0.46, 0.54), rng.uniform(0.44, 0.52)
    seat, back = rng.uniform(0.43, 0.55), rng.uniform(0.4, 0.75)
    cover = paint(rng, "black black black grey grey blue red green white", pick(rng, ("fabric", "leather")))
    dark = paint(rng, "black black grey", "metal").rgb
    m = Mesh()
    reach, spin = rng.uniform(0.27, 0.34), rng.uniform(0, 1.2)
    for k in range(5):
        a = spin + k * 2 * np.pi / 5
        tip = np.array([np.cos(a) * reach, np.sin(a) * reach, 0.07])
        m.add(tube((0, 0, 0.11), tip, 0.028, 6, 0.018), "base", dark)
        m.add(tube(tip + [-0.02, 0, -0.04], tip + [0.02, 0, -0.04], 0.03, 7), "wheel", (0.08, 0.08, 0.08))
    m.add(tube((0, 0, 0.08), (0, 0, seat - 0.08), 0.028), "base", dark)
    m.box(-0.12, 0.12, -0.12, 0.12, seat - 0.1, seat - 0.07, "base", dark)
    m.add(
        soft_box((-w / 2, -d / 2, seat - 0.08), (w / 2, d / 2, seat), 0.04, 0.015, 0.003, rng.uniform(0, 6)),
        "seat",
        cover.rgb,
    )
    y, lean, gap = d / 2 + 0.02, rng.uniform(0.05, 0.25), rng.uniform(0.0, 0.15)
    bw = w * rng.uniform(0.8, 1.0)
    shape = soft_box(
        (-bw / 2, y - 0.03, seat + gap), (bw / 2, y + 0.04, seat + back), 0.05, 0.02, 0.003, rng.uniform(0, 6)
    )
    m.add(_tilted(shape, lean, y, seat), "back", cover.rgb)
    m.add(
        _tilted(tube((0, y + 0.03, seat - 0.1), (0, y + 0.05, seat + gap + 0.15), 0.025), lean, y, seat), "back", dark
    )
    m.add(tube((0, 0, seat - 0.085), (0, y + 0.03, seat - 0.085), 0.022), "base", dark)
    if back > 0.65 and rng.random() < 0.4:
        shape = soft_box((-0.13, y - 0.03, seat + back + 0.02), (0.13, y + 0.04, seat + back + 0.16), 0.03)
        m.add(_tilted(shape, lean, y, seat), "back", cover.rgb)
    if rng.random() < 0.75:
        z = seat + rng.uniform(0.17, 0.24)
        for s in (-1, 1):
            x = s * (w / 2 + 0.03)
            m.add(path([(s * w / 4, 0.02, seat - 0.08), (x, 0.02, seat - 0.06), (x, 0.02, z)], 0.016), "arm", dark)
            m.add(soft_box((x - 0.035, -0.14, z), (x + 0.035, 0.14, z + 0.03), 0.012, n=3), "arm", dark)
    return m.thing("chair", cover.words)


def armchair(rng: np.random.Generator) -> Thing:
    """An upholstered armchair, boxy or rounded."""
    return _couch(rng, "chair", rng.uniform(0.68, 0.95), 1, rng.uniform(0.68, 0.88), None)


def shell_chair(rng: np.random.Generator) -> Thing:
    """A moulded bucket seat on four legs, a sled, a pedestal or rockers."""
    cover, steel = paint(rng, "white black grey red blue green orange yellow brown"), metal(rng)
    w, seat, back = rng.uniform(0.44, 0.56), rng.uniform(0.42, 0.47), rng.uniform(0.3, 0.42)
    m = Mesh()
    u, v = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(0, 1, 11), indexing="ij")
    bend = np.clip((v - 0.5) * 2, 0, 1)
    y = np.where(v < 0.5, -0.22 + v * 0.8, 0.18 + 0.1 * bend)
    z = seat + np.where(v < 0.5, -0.02 * np.sin(v * 2 * np.pi), back * bend**1.2)
    side = np.abs(u) ** 3 * rng.uniform(0.02, 0.12)
    x = u * w / 2 * (1 - 0.25 * bend**2)
    low, high = (
        np.stack([x, y - side * bend, z + side * (1 - bend)], -1),
        np.stack([x, y - side * bend + 0.012, z + side * (1 - bend) - 0.02], -1),
    )
    for points in (low, high):
        part = np.repeat(v[:-1, :-1].ravel() > 0.5, 2)
        vertices, triangles = points.reshape(-1, 3), _grid(points)
        m.add((vertices, triangles[~part]), "seat", cover.rgb)
        m.add((vertices, triangles[part]), "back", cover.rgb)
    if rng.random() < 0.3:
        m.add(tube((0, 0, 0.02), (0, 0, seat - 0.01), 0.03), "leg", steel.rgb)
        m.add(lathe([(0, 0), (0.22, 0), (0.22, 0.015), (0.03, 0.03), (0, 0.03)]), "base", steel.rgb)
    else:
        add_legs(
            m,
            rng,
            0.34,
            0.34,
            seat - 0.01,
            wood(rng).rgb if rng.random() < 0.5 else steel.rgb,
            rng.uniform(0.02, 0.08),
            True,
            0.014,
        )
    return m.thing("chair", cover.words)


def _grid(points: np.ndarray) -> np.ndarray:
    from s4token_model.procedural.mesh import grid_triangles

    return grid_triangles(*points.shape[:2])


def folding_chair(rng: np.random.Generator) -> Thing:
    """A folding chair with crossed bars."""
    cover, steel = paint(rng, "black grey brown white blue red"), metal(rng)
    w, seat, top = rng.uniform(0.42, 0.48), rng.uniform(0.42, 0.46), rng.uniform(0.75, 0.85)
    m = Mesh()
    for s in (-1, 1):
        m.add(tube((s * w / 2, -0.22, 0), (s * w / 2, 0.2, top), 0.012, 6), "leg", steel.rgb)
        m.add(tube((s * (w / 2 - 0.03), 0.24, 0), (s * (w / 2 - 0.03), -0.16, seat), 0.012, 6), "leg", steel.rgb)
    m.box(-w / 2 + 0.02, w / 2 - 0.02, -0.2, 0.18, seat - 0.02, seat, "seat", cover.rgb)
    m.add(_tilted(box((-w / 2, 0.1, top - 0.22), (w / 2, 0.12, top - 0.02)), 0.15, 0.1, top - 0.2), "back", cover.rgb)
    for y in (-0.2, 0.22):
        m.add(tube((-w / 2, y, 0.05), (w / 2, y, 0.05), 0.01, 5), "leg", steel.rgb)
    return m.thing("chair", (*cover.words, "metal"))


def cantilever_chair(rng: np.random.Generator) -> Thing:
    """A conference chair on a sled of bent steel tube, padded, often with arms."""
    cover, steel = upholstery(rng), metal(rng)
    w, seat, top = rng.uniform(0.46, 0.56), rng.uniform(0.43, 0.47), rng.uniform(0.78, 0.98)
    m = Mesh()
    arms = rng.random() < 0.6
    for s in (-1, 1):
        x = s * w / 2
        front = seat + 0.2 if arms else seat - 0.04
        m.add(path([(x, 0.22, 0.015), (x, -0.24, 0.015), (x, -0.22, front), (x, 0.24, front)], 0.013), "leg", steel.rgb)
        m.add(tube((x, 0.22, seat - 0.05), (x, 0.3, top), 0.013, 6), "back", steel.rgb)
    m.add(tube((-w / 2, 0.22, 0.015), (w / 2, 0.22, 0.015), 0.013, 6), "leg", steel.rgb)
    m.add(soft_box((-w / 2, -0.24, seat - 0.06), (w / 2, 0.24, seat), 0.03, 0.012), "seat", cover.rgb)
    shape = soft_box((-w / 2, 0.21, seat + 0.06), (w / 2, 0.27, top), 0.03, 0.012)
    m.add(_tilted(shape, 0.15, 0.22, seat), "back", cover.rgb)
    return m.thing("chair", cover.words)


def chair(rng: np.random.Generator) -> Thing:
    """A chair of any kind."""
    kinds = (dining_chair, office_chair, armchair, shell_chair, folding_chair, cantilever_chair)
    return kinds[int(rng.choice(6, p=(0.31, 0.22, 0.24, 0.1, 0.05, 0.08)))](rng)


def _couch(rng, name: str, w: float, places: int, d: float, corner: float | None) -> Thing:
    """An upholstered seat of width w and depth d with `places` cushions; `corner` m is the length of an L's second
    wing.
    """
    cover = upholstery(rng)
    m = Mesh()
    seat, back = rng.uniform(0.36, 0.48), rng.uniform(0.28, 0.5)
    arm, thick = rng.uniform(0.1, 0.26) if rng.random() < 0.9 else 0.0, rng.uniform(0.14, 0.26)
    if name == "chair":
        arm, thick = min(arm, 0.17), min(thick, 0.17)
    foot = rng.choice([0.0, 0.03, 0.08, 0.14])
    rough, radius, phase = rng.uniform(0, 0.006), rng.uniform(0.03, 0.1), rng.uniform(0, 6)
    tone = cover.shade(0.95)
    if foot > 0:
        add_legs(m, rng, w - 0.1, d - 0.1, foot, wood(rng).rgb, 0.0, False, 0.025)
    m.add(soft_box((-w / 2, -d / 2 + 0.03, foot), (w / 2, d / 2, seat - 0.12), 0.02, 0, n=3), "base", tone)
    inner = w - 2 * arm
    cushion = inner / places
    for k in range(places):
        x = -inner / 2 + k * cushion
        shape = soft_box(
            (x, -d / 2, seat - 0.15), (x + cushion, d / 2 - thick * 0.8, seat), 0.045, 0.025, rough, phase + k
        )
        m.add(shape, "seat", cover.shade(rng.uniform(0.95, 1.05)))
        shape = soft_box(
            (x, d / 2 - thick - 0.06, seat - 0.05),
            (x + cushion, d / 2 - 0.06, seat + back),
            radius,
            0.04,
            rough,
            phase - k,
        )
        m.add(
            turn(shape, -rng.uniform(0.05, 0.22), "x", (0, d / 2 - thick, seat)),
            "back",
            cover.shade(rng.uniform(0.95, 1.05)),
        )
    m.add(
        soft_box((-w / 2, d / 2 - 0.1, foot), (w / 2, d / 2, seat + back * rng.uniform(0.6, 0.95)), 0.04, n=4),
        "back",
        tone,
    )
    high = seat + (rng.uniform(0.1, 0.26) if rng.random() < 0.8 else back * 0.9)
    if arm:
        for s in (-1, 1):
            x = s * (w / 2 - arm / 2)
            m.add(
                soft_box(
                    (x - arm / 2, -d / 2 + 0.01, foot),
                    (x + arm / 2, d / 2 - 0.02, high),
                    min(radius, arm * 0.45),
                    0,
                    rough,
                    phase,
                ),
                "arm",
                tone,
            )
    words = cover.words
    if corner:
        s, cw = rng.choice([-1, 1]), cushion + arm
        x0, x1 = (w / 2 - cw, w / 2) if s > 0 else (-w / 2, -w / 2 + cw)
        m.add(soft_box((x0, -d / 2 - corner, foot), (x1, -d / 2 + 0.05, seat - 0.12), 0.02, 0, n=3), "base", tone)
        m.add(
            soft_box((x0, -d / 2 - corner, seat - 0.15), (x1, -d / 2 + 0.02, seat), 0.045, 0.025, rough, phase),
            "seat",
            cover.rgb,
        )
        if rng.random() < 0.5:
            e0, e1 = (w / 2 - thick, w / 2) if s > 0 else (-w / 2, -w / 2 + thick)
            m.add(
                soft_box((e0, -d / 2 - corner, foot), (e1, d / 2, seat + back * 0.9), radius, 0.02, rough, phase),
                "back",
                tone,
            )
        words += ("large",)
    elif places >= 3:
        words += ("long",)
    return m.thing(name, words)


def small_sofa(rng: np.random.Generator) -> Thing:
    """A low two-seater, as they stand in lobbies."""
    return _couch(rng, "sofa", rng.uniform(1.15, 1.7), 2 if rng.random() < 0.6 else 1, rng.uniform(0.7, 0.9), None)


def sofa(rng: np.random.Generator) -> Thing:
    """A sofa of one to four places, sometimes with a corner wing."""
    places = int(rng.choice([1, 2, 3, 4], p=(0.1, 0.38, 0.42, 0.1)))
    w = places * rng.uniform(0.55, 0.78) + rng.uniform(0.2, 0.5)
    d = rng.uniform(0.78, 1.02)
    corner = rng.uniform(0.5, 1.4) if places >= 2 and rng.random() < 0.35 else None
    return _couch(rng, "sofa", w, places, d, corner)
