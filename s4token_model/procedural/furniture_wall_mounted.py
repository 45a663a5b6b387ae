"""What belongs to a wall: doors, windows, curtains, blinds, pictures, whiteboards, mirrors. Back at +y, the wall's
surface.
"""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.furniture_bathroom import folds
from s4token_model.procedural.materials import Paint, metal, paint, wood
from s4token_model.procedural.mesh import Mesh, box, centered, lathe, move, sheet, tube, turn
from s4token_model.procedural.types import Thing


def door_of(
    rng: np.random.Generator, w: float, h: float, recess: float, angle: float, hinge: int, leaf: Paint | None = None
) -> Thing:
    """A door for an opening w x h m: frame, panelled leaf and handle.

    The origin is the middle of the opening's foot on the wall's surface (not centered). recess m: how far the closed
    leaf lies behind it (negative: in front); angle rad: how far it is swung into the room (towards -y), 0 = closed;
    hinge -1 left, 1 right.
    """
    leaf = leaf or (wood(rng) if rng.random() < 0.7 else paint(rng, "white white grey blue brown"))
    frame = leaf if rng.random() < 0.5 else paint(rng, "white white grey brown beige")
    m = Mesh()
    e, out = rng.uniform(0.04, 0.1), rng.uniform(0.01, 0.03)
    for s in (-1, 1):
        x0, x1 = sorted((s * (w / 2 - 0.02), s * (w / 2 + e)))
        m.box(x0, x1, -out, 0.0, 0, h + e, "frame", frame.rgb)
        x0, x1 = sorted((s * (w / 2 - 0.02), s * w / 2))
        m.box(x0, x1, -out, max(recess, 0) + 0.05, 0, h, "frame", frame.rgb)
    m.box(-w / 2, w / 2, -out, 0.0, h - 0.02, h + e, "frame", frame.rgb)
    t, x0, x1 = 0.04, -w / 2 + 0.022, w / 2 - 0.022
    pieces = [(box((x0, recess, 0.01), (x1, recess + t, h - 0.022)), "door", leaf.rgb)]
    style = rng.integers(4)
    rows = {0: [], 1: [(0.1, 0.45), (0.52, 0.93)], 2: [(0.08, 0.3), (0.36, 0.62), (0.68, 0.93)], 3: [(0.55, 0.9)]}[
        int(style)
    ]
    for a, b in rows:
        for p, q in ((0.14, 0.46), (0.54, 0.86)) if style == 2 else ((0.16, 0.84),):
            low = (x0 + p * (x1 - x0), recess - 0.008, a * h)
            pieces.append(
                (box(low, (x0 + q * (x1 - x0), recess, b * h)), "glass" if style == 3 else "door", leaf.shade(0.92))
            )
    side = -hinge
    x = side * (w / 2 - 0.085)
    knob = metal(rng).rgb
    if rng.random() < 0.6:
        handle = [
            tube((x, recess, 1.02), (x, recess - 0.05, 1.02), 0.01, 6),
            tube((x, recess - 0.05, 1.02), (x - side * 0.11, recess - 0.05, 1.02), 0.009, 6),
        ]
        handle += [move(shape, (0, 0.04 + 0.06, 0)) for shape in handle[:1]]
    else:
        handle = [
            move(turn(lathe([(0, 0), (0.012, 0), (0.03, 0.04), (0, 0.065)], 8), np.pi / 2, "x"), (x, recess, 1.0))
        ]
    pieces += [(shape, "handle", knob) for shape in handle]
    for shape, part, color in pieces:
        m.add(turn(shape, hinge * angle, "z", (hinge * (w / 2 - 0.022), recess, 0)) if angle else shape, part, color)
    words = (*leaf.words, "tall") + (("open",) if angle > 0.3 else ("closed",))
    return m.thing("door", words, centered=False)


def door(rng: np.random.Generator) -> Thing:
    """A door with its frame, closed or ajar."""
    angle = 0.0 if rng.random() < 0.6 else rng.uniform(0.3, 1.8)
    return centered(
        door_of(
            rng,
            rng.uniform(0.7, 1.0),
            rng.uniform(1.95, 2.15),
            rng.uniform(-0.01, 0.08),
            angle,
            int(rng.choice([-1, 1])),
        )
    )


def closet_of(rng: np.random.Generator, w: float, h: float, leaf: Paint) -> Thing:
    """Two to four flush leaves of a built-in closet, w x h m, sliding (one before the other) or folding (knobs)."""
    m = Mesh()
    count = 2 if w < 1.7 or rng.random() < 0.4 else 4
    edges = np.linspace(-w / 2, w / 2, count + 1)
    sliding, style = rng.random() < 0.5, int(rng.integers(3))
    out = rng.uniform(0.012, 0.03)
    for k in range(count):
        y = -out - (0.022 if sliding and k % 2 else 0.0)
        x0, x1 = edges[k] + 0.004, edges[k + 1] - 0.004
        m.box(x0, x1, y - 0.018, y, 0.01, h - 0.01, "door", leaf.rgb)
        if style == 1:
            for a, b in ((0.06, 0.46), (0.52, 0.94)):
                m.box(x0 + 0.08, x1 - 0.08, y - 0.026, y - 0.018, a * h, b * h, "door", leaf.shade(0.94))
        elif style == 2:
            for z in np.arange(0.1, h - 0.1, 0.09):
                m.box(x0 + 0.05, x1 - 0.05, y - 0.026, y - 0.018, z, z + 0.05, "door", leaf.shade(0.94))
        x = x1 - 0.06 if k % 2 == 0 else x0 + 0.06
        m.box(x - 0.012, x + 0.012, y - 0.045, y - 0.018, 0.95, 1.08, "handle", (0.55, 0.55, 0.55))
    e = rng.uniform(0.04, 0.09)
    for x0, x1, z0, z1 in ((-w / 2 - e, -w / 2, 0, h + e), (w / 2, w / 2 + e, 0, h + e), (-w / 2, w / 2, h, h + e)):
        m.box(x0, x1, -out * 0.8, 0.0, z0, z1, "frame", leaf.rgb)
    return m.thing("door", (*leaf.words, "closed", "large"))


def window_of(rng: np.random.Generator, w: float, h: float, depth: float, glazed: bool = True) -> Thing:
    """A window for an opening w x h m in a wall `depth` m thick: frame, bars, panes and sill; set back in the reveal.

    The origin is the middle of the opening's lower edge on the wall's surface (not centered).
    """
    frame = paint(rng, "white white white brown grey black", str(rng.choice(["wooden", "metal"])))
    m = Mesh()
    y, e, t = depth * rng.uniform(0.4, 0.9), rng.uniform(0.04, 0.08), rng.uniform(0.03, 0.06)
    for s in (-1, 1):
        x0, x1 = sorted((s * w / 2, s * (w / 2 - e)))
        m.box(x0, x1, y, y + t, 0, h, "frame", frame.rgb)
    m.box(-w / 2, w / 2, y, y + t, 0, e, "frame", frame.rgb)
    m.box(-w / 2, w / 2, y, y + t, h - e, h, "frame", frame.rgb)
    for x in np.linspace(-w / 2, w / 2, max(1, int(round(w / rng.uniform(0.5, 1.1)))) + 1)[1:-1]:
        m.box(x - e / 2, x + e / 2, y - 0.005, y + t, 0, h, "frame", frame.rgb)
    for z in np.linspace(0, h, int(rng.integers(1, 4)) + 1)[1:-1]:
        m.box(-w / 2, w / 2, y, y + t, z - e / 3, z + e / 3, "frame", frame.rgb)
    if glazed:
        m.box(
            -w / 2 + e,
            w / 2 - e,
            y + t / 2,
            y + t / 2 + 0.004,
            e,
            h - e,
            "glass",
            paint(rng, "white blue grey").shade(0.95),
        )
    out = rng.uniform(0.0, 0.12)
    m.box(-w / 2 - 0.03, w / 2 + 0.03, -out - 0.005, 0.0, -0.03, 0.0, "sill", frame.rgb)
    m.box(-w / 2, w / 2, -0.005, y, -0.01, 0.006, "sill", frame.rgb)
    if rng.random() < 0.5:
        for s in (-1, 1):
            x0, x1 = sorted((s * w / 2, s * (w / 2 + 0.07)))
            m.box(x0, x1, -0.018, 0, -0.03, h + 0.07, "frame", frame.rgb)
        m.box(-w / 2, w / 2, -0.018, 0, h, h + 0.07, "frame", frame.rgb)
    return m.thing("window", (*frame.words, "large" if w * h > 2 else "small"), centered=False)


def window(rng: np.random.Generator) -> Thing:
    """A window with frame, panes and sill."""
    return centered(window_of(rng, rng.uniform(0.6, 2.4), rng.uniform(0.7, 1.7), rng.uniform(0.08, 0.25)))


def curtain_of(
    rng: np.random.Generator, w: float, h: float, cloth: Paint, rail: tuple[float, float] | None = None
) -> Thing:
    """Hanging folds of width w, height h m; rail (x0, x1) m relative to their middle adds a rod above."""
    m = Mesh()
    m.add(folds(rng, w, h, rng.uniform(0.015, 0.055), rng.choice([0, 0, 0, 0.5])), "fabric", cloth.rgb)
    if rail:
        m.add(tube((rail[0], 0, h + 0.01), (rail[1], 0, h + 0.01), 0.013), "rail", (0.4, 0.38, 0.36))
    return m.thing("curtain", (*cloth.words, "long" if h > 1.8 else "small"))


def curtain(rng: np.random.Generator) -> Thing:
    """A window curtain."""
    cloth = paint(rng, "white beige grey blue red green brown", "fabric")
    return curtain_of(rng, rng.uniform(0.25, 1.6), rng.uniform(1.2, 2.5), cloth)


def blinds_of(rng: np.random.Generator, w: float, h: float) -> Thing:
    """Horizontal, vertical or roller blinds of width w, drawn down by h m."""
    cover = paint(rng, "white white beige grey brown")
    m = Mesh()
    kind = rng.integers(3)
    if kind == 0:
        tilt = rng.uniform(0.1, 1.2)
        for z in np.linspace(0, h, max(3, int(h / 0.05))):
            m.add(turn(box((-w / 2, -0.022, z), (w / 2, 0.022, z + 0.002)), tilt, "x", (0, 0, z)), "panel", cover.rgb)
    elif kind == 1:
        tilt = rng.uniform(0.1, 1.2)
        for x in np.linspace(-w / 2, w / 2, max(3, int(w / 0.09))):
            m.add(turn(box((x - 0.044, -0.001, 0), (x + 0.044, 0.001, h)), tilt, "z", (x, 0, 0)), "panel", cover.rgb)
    else:
        m.add(
            sheet(np.array([[[x, 0.005 * np.cos(5 * x), z] for z in (0, h)] for x in np.linspace(-w / 2, w / 2, 8)])),
            "panel",
            cover.rgb,
        )
    m.box(-w / 2, w / 2, -0.03, 0.03, h, h + 0.06, "rail", cover.shade(0.9))
    return m.thing("blinds", cover.words)


def blinds(rng: np.random.Generator) -> Thing:
    """Blinds for a window."""
    return blinds_of(rng, rng.uniform(0.6, 1.8), rng.uniform(0.3, 1.6))


def picture(rng: np.random.Generator) -> Thing:
    """A framed picture, a canvas or a poster 1-4 cm thick."""
    w, h, t = rng.uniform(0.2, 1.1), rng.uniform(0.2, 0.9), rng.uniform(0.008, 0.04)
    frame = wood(rng) if rng.random() < 0.5 else paint(rng, "black white grey yellow")
    m = Mesh()
    canvas = rng.random() < 0.3
    e = 0.0 if canvas else rng.uniform(0.015, 0.06)
    rows, columns = int(rng.integers(2, 8)), int(rng.integers(2, 8))
    xs, zs = np.linspace(-w / 2 + e, w / 2 - e, columns + 1), np.linspace(e, h - e, rows + 1)
    gx, gz = np.meshgrid(xs, zs, indexing="ij")
    tones = np.array([paint(rng).rgb for _ in range(int(rng.integers(2, 5)))])
    colors = np.repeat(tones[rng.integers(0, len(tones), columns * rows)], 2, axis=0)
    m.add(sheet(np.stack([gx, np.full_like(gx, -t if canvas else -t * 0.5), gz], -1)), "content", colors)
    if canvas:
        m.box(-w / 2, w / 2, -t + 0.001, 0, 0, h, "frame", (0.85, 0.84, 0.8))
    else:
        for x0, x1, z0, z1 in (
            (-w / 2, -w / 2 + e, 0, h),
            (w / 2 - e, w / 2, 0, h),
            (-w / 2 + e, w / 2 - e, 0, e),
            (-w / 2 + e, w / 2 - e, h - e, h),
        ):
            m.box(x0, x1, -t, 0, z0, z1, "frame", frame.rgb)
        m.box(-w / 2 + e, w / 2 - e, -t * 0.4, 0, e, h - e, "back", (0.8, 0.8, 0.78))
    return m.thing(
        "picture",
        (
            "large" if w * h > 0.45 else "small",
            "square" if abs(w - h) < 0.1 * w else "long" if w > 1.6 * h else "tall" if h > 1.4 * w else "framed",
        ),
    )


def whiteboard(rng: np.random.Generator) -> Thing:
    """A whiteboard or pin board with frame and pen tray."""
    w, h = rng.uniform(0.8, 2.6), rng.uniform(0.7, 1.3)
    cover = paint(rng, "white white white white black green")
    m = Mesh()
    m.box(-w / 2, w / 2, -0.018, 0, 0, h, "panel", cover.rgb)
    for x0, x1, z0, z1 in (
        (-w / 2, -w / 2 + 0.02, 0, h),
        (w / 2 - 0.02, w / 2, 0, h),
        (-w / 2, w / 2, 0, 0.02),
        (-w / 2, w / 2, h - 0.02, h),
    ):
        m.box(x0, x1, -0.026, 0, z0, z1, "frame", (0.6, 0.6, 0.62))
    m.box(-w / 4, w / 4, -0.09, 0, -0.015, 0.0, "shelf", (0.6, 0.6, 0.62))
    return m.thing("whiteboard", (*cover.words, "large" if w > 1.6 else "long"))


def mirror(rng: np.random.Generator) -> Thing:
    """A wall mirror, rectangular or round, framed or bare."""
    w, h = rng.uniform(0.35, 1.2), rng.uniform(0.5, 1.5)
    frame = wood(rng) if rng.random() < 0.6 else metal(rng)
    m = Mesh()
    if rng.random() < 0.2:
        r = min(w, h) / 2
        disc = turn(
            lathe([(0, 0), (r, 0), (r, 0.025), (r - 0.03, 0.025), (r - 0.03, 0.015), (0, 0.015)], 24), np.pi / 2, "x"
        )
        m.add(move(disc, (0, 0, r)), "glass", (0.7, 0.74, 0.76))
        return m.thing("mirror", ("round", *frame.words[1:]))
    m.box(-w / 2, w / 2, -0.012, 0, 0, h, "glass", (0.7, 0.74, 0.76))
    if rng.random() < 0.7:
        for x0, x1, z0, z1 in (
            (-w / 2, -w / 2 + 0.04, 0, h),
            (w / 2 - 0.04, w / 2, 0, h),
            (-w / 2, w / 2, 0, 0.04),
            (-w / 2, w / 2, h - 0.04, h),
        ):
            m.box(x0, x1, -0.03, 0, z0, z1, "frame", frame.rgb)
    return m.thing("mirror", (*frame.words, "tall" if h > 1.5 * w else "large" if w * h > 0.6 else "small"))
