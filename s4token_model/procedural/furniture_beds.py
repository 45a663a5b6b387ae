"""Beds with bedding, bunk beds and pillows."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import Paint, fabric, metal, paint, wood
from s4token_model.procedural.mesh import Mesh, box, move, rumple, sheet, soft_box, tube, turn
from s4token_model.procedural.types import Thing


def blanket(rng: np.random.Generator, x0: float, x1: float, y0: float, y1: float, z: float, drop: float, height: float):
    """A rumpled cover over the rectangle [x0, x1] x [y0, y1] at height z, hanging `drop` m over both sides and the
    front.
    """
    over = drop + 0.04
    u = np.concatenate(
        [[x0 - over, x0 - over * 0.6, x0 - 0.03], np.linspace(x0, x1, 20), [x1 + 0.03, x1 + over * 0.6, x1 + over]]
    )
    v = np.concatenate([[y0 - over, y0 - over * 0.6, y0 - 0.03], np.linspace(y0, y1, 24)])
    gx, gy = np.meshgrid(u, v, indexing="ij")
    ax, ay = np.clip(gx, x0, x1), np.clip(gy, y0, y1)
    hang = np.clip(np.maximum(np.abs(gx - ax), np.abs(gy - ay)) - 0.03, 0, None)
    folds = rumple(gx, gy, rng, height, rng.uniform(0.2, 0.6))
    out = 0.03 + 0.35 * np.abs(folds) * np.minimum(hang * 5, 1)
    x = ax + np.sign(gx - ax) * np.minimum(np.abs(gx - ax), out)
    y = ay + np.sign(gy - ay) * np.minimum(np.abs(gy - ay), out)
    return sheet(np.stack([x, y, z + np.where(hang > 0, -hang, np.maximum(folds, -0.012) + 0.015)], -1))


def _bedding(m: Mesh, rng, w: float, y0: float, y1: float, z: float, cloth: Paint, drop: float) -> None:
    """Cover and pillows on a mattress whose head is at y1."""
    state = rng.choice(["made", "messy", "half", "bare"], p=(0.4, 0.35, 0.17, 0.08))
    over = rng.uniform(0.02, drop)
    if drop > 0.15 and rng.random() < 0.4:
        over = z - rng.uniform(0.02, 0.12)  # down to the floor
    if state in ("made", "half"):
        stop = y1 - rng.uniform(0.3, 0.6) if state == "made" else y0 + (y1 - y0) * rng.uniform(0.3, 0.6)
        m.add(
            blanket(rng, -w / 2, w / 2, y0, stop, z, over, rng.uniform(0.005, 0.03)),
            "blanket",
            cloth.rgb,
        )
    elif state == "messy":
        stop = y1 - rng.uniform(0.2, 0.9)
        m.add(
            blanket(rng, -w / 2, w / 2, y0, stop, z, over, rng.uniform(0.04, 0.12)),
            "blanket",
            cloth.rgb,
        )
        for _ in range(int(rng.integers(0, 3))):
            x, y = rng.uniform(-w / 4, w / 4), rng.uniform(y0 + 0.4, y1 - 0.4)
            a, b, t = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.4), rng.uniform(0.08, 0.2)
            lump = soft_box((x - a, y - b, z), (x + a, y + b, z + t), t * 0.6, 0.04, 0.03, rng.uniform(0, 6))
            m.add(turn(lump, rng.uniform(0, 3), "z", (x, y, z)), "blanket", cloth.shade(rng.uniform(0.85, 1.15)))
    count = (2 if w > 1.25 else 1) * int(rng.integers(1, 3)) if rng.random() < 0.8 else 0
    for k in range(count):
        size = (w / 2 * 0.86 if w > 1.25 else w * 0.75, rng.uniform(0.36, 0.5))
        x = (-w / 4 if k % 2 == 0 else w / 4) if w > 1.25 else 0.0
        shape = pillow_shape(rng, min(size[0], 0.75), size[1])
        shape = turn(turn(shape, rng.choice([0.08, 0.2, 0.9]), "x"), rng.normal(0, 0.15))
        z0 = z - shape[0][:, 2].min() + 0.01
        m.add(
            move(shape, (x + rng.normal(0, 0.03), y1 - 0.28 - 0.12 * (k // 2), z0)),
            "pillow",
            paint(rng, "white white beige grey blue").rgb,
        )


def pillow_shape(rng: np.random.Generator, w: float, d: float):
    """A pillow lying flat, centered at the origin."""
    t = rng.uniform(0.08, 0.16)
    return soft_box((-w / 2, -d / 2, -t / 2), (w / 2, d / 2, t / 2), t * 0.48, t * 0.25, 0.02, rng.uniform(0, 6))


def pillow(rng: np.random.Generator) -> Thing:
    """A cushion, lying or leaning."""
    cloth = fabric(rng)
    m = Mesh()
    w = rng.uniform(0.34, 0.68)
    m.add(turn(pillow_shape(rng, w, rng.uniform(0.32, 0.46)), rng.choice([0.0, 0.4, 1.1])), "whole", cloth.rgb)
    return m.thing("pillow", cloth.words)


def _headboard(m: Mesh, rng, w: float, y: float, h: float, frame: Paint) -> None:
    kind = rng.integers(3)
    if kind == 0:
        m.box(-w / 2, w / 2, y, y + rng.uniform(0.03, 0.06), 0.0, h, "headboard", frame.rgb)
    elif kind == 1:
        m.add(soft_box((-w / 2, y, 0.2), (w / 2, y + 0.1, h), 0.03, 0.02, 0.003, 1.0), "headboard", fabric(rng).rgb)
    else:
        for x in np.linspace(-w / 2, w / 2, int(rng.integers(5, 12))):
            m.add(
                tube((x, y + 0.02, 0 if abs(x) > w / 2 - 0.01 else 0.3), (x, y + 0.02, h), 0.014, 5),
                "headboard",
                frame.rgb,
            )
        m.add(tube((-w / 2, y + 0.02, h), (w / 2, y + 0.02, h), 0.02, 6), "headboard", frame.rgb)


def _cot(m: Mesh, rng, w: float, length: float, z: float, frame: Paint, cloth: Paint, drop: float) -> float:
    """A frame at height z with mattress and bedding; returns the height of the mattress."""
    t = rng.uniform(0.14, 0.3)
    m.box(
        -w / 2 - 0.02, w / 2 + 0.02, -length / 2 - 0.02, length / 2, z - rng.uniform(0.05, 0.18), z, "frame", frame.rgb
    )
    sheet_ = paint(rng, "white white beige grey blue").rgb
    m.add(
        soft_box((-w / 2, -length / 2, z - 0.01), (w / 2, length / 2, z + t), 0.06, 0.005, 0.002, rng.uniform(0, 6), 6),
        "mattress",
        sheet_,
    )
    _bedding(m, rng, w, -length / 2, length / 2 - 0.02, z + t, cloth, drop)
    return z + t


def bed(rng: np.random.Generator) -> Thing:
    """A single, double, bunk, loft or day bed; the head is at +y."""
    frame = wood(rng) if rng.random() < 0.75 else metal(rng)
    cloth = fabric(rng)
    if rng.random() < 0.12:
        return _bunk(rng, frame, cloth)
    w = float(rng.choice([0.92, 1.0, 1.2, 1.4, 1.53, 1.6, 1.8, 1.93])) * rng.uniform(0.97, 1.03)
    length = rng.uniform(1.9, 2.06)
    m = Mesh()
    z = rng.uniform(0.18, 0.36) if rng.random() < 0.8 else rng.uniform(0.45, 0.75)
    _cot(m, rng, w, length, z, frame, cloth, min(z + 0.1, 0.45))
    if rng.random() < 0.35:
        m.box(
            -w / 2 + 0.03, w / 2 - 0.03, -length / 2 + 0.03, length / 2 - 0.05, 0.0, z - 0.04, "base", frame.shade(0.9)
        )
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (w / 2 - 0.04), sy * (length / 2 - 0.05)
            m.box(x - 0.03, x + 0.03, y - 0.03, y + 0.03, 0, z - 0.03, "leg", frame.rgb)
    if rng.random() < 0.75:
        _headboard(m, rng, w + 0.04, length / 2, rng.uniform(0.75, 1.25), frame)
    if rng.random() < 0.3:
        m.box(
            -w / 2 - 0.02,
            w / 2 + 0.02,
            -length / 2 - 0.06,
            -length / 2 - 0.02,
            0,
            rng.uniform(0.4, 0.75),
            "foot",
            frame.rgb,
        )
    return m.thing("bed", (*cloth.words, *frame.words[1:], "large" if w > 1.3 else "small"))


def _bunk(rng, frame: Paint, cloth: Paint) -> Thing:
    """A bunk bed, or a loft bed with nothing below."""
    w, length = rng.uniform(0.9, 1.05), rng.uniform(1.95, 2.08)
    top = rng.uniform(1.25, 1.5)
    m = Mesh()
    if rng.random() < 0.75:
        _cot(m, rng, w, length, rng.uniform(0.25, 0.42), frame, cloth, 0.1)
    z = _cot(m, rng, w, length, top, frame, cloth, 0.08)
    r = rng.uniform(0.025, 0.045)
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (w / 2 + r), sy * (length / 2 + r)
            m.box(x - r, x + r, y - r, y + r, 0, z + 0.3, "frame", frame.rgb)
    for sx in (-1, 1):
        m.add(
            box(
                (sx * (w / 2 + r) - 0.012, -length / 2 * (1 if sx < 0 else 0.5), z + 0.15),
                (sx * (w / 2 + r) + 0.012, length / 2, z + 0.25),
            ),
            "rail",
            frame.rgb,
        )
    for s in (-1, 1):
        m.box(
            -w / 2,
            w / 2,
            s * (length / 2 + r) - 0.012,
            s * (length / 2 + r) + 0.012,
            z + 0.12,
            z + 0.28,
            "rail",
            frame.rgb,
        )
    x = w / 2 + 0.1
    for y in (-length / 2 + 0.05, -length / 2 + 0.4):
        m.add(tube((x + 0.06, y, 0), (x - 0.03, y, z + 0.2), 0.018, 5), "ladder", frame.rgb)
    for h in np.arange(0.25, z, 0.27):
        m.add(tube((x + 0.03, -length / 2 + 0.05, h), (x + 0.03, -length / 2 + 0.4, h), 0.015, 5), "ladder", frame.rgb)
    return m.thing("bed", (*frame.words, "tall"))
