"""Bags, suitcases, clothes and shoes: what people leave about."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import fabric, paint
from s4token_model.procedural.mesh import Mesh, blob, lathe, loft, move, path, rumple, sheet, soft_box, tube, turn
from s4token_model.procedural.types import Thing


def backpack(rng: np.random.Generator) -> Thing:
    """A backpack standing or leaning."""
    cloth = paint(rng, "black black blue grey red green brown pink", "fabric")
    w, d, h = rng.uniform(0.26, 0.36), rng.uniform(0.14, 0.22), rng.uniform(0.38, 0.52)
    m = Mesh()
    m.add(soft_box((-w / 2, -d / 2, 0), (w / 2, d / 2, h), 0.09, 0.03, 0.02, rng.uniform(0, 6)), "body", cloth.rgb)
    m.add(
        soft_box((-w * 0.35, -d / 2 - 0.06, 0.03), (w * 0.35, -d / 2 + 0.02, h * 0.5), 0.04, 0.02),
        "body",
        cloth.shade(0.9),
    )
    for s in (-1, 1):
        m.add(
            path([(s * 0.08, d / 2, h * 0.9), (s * 0.09, d / 2 + 0.07, h * 0.6), (s * 0.09, d / 2, 0.08)], 0.014, 5),
            "strap",
            cloth.shade(0.7),
        )
    return m.thing("backpack", cloth.words)


def bag(rng: np.random.Generator) -> Thing:
    """A shopping bag, handbag or rubbish sack."""
    cloth = paint(rng, "white brown black red blue beige grey")
    w, d, h = rng.uniform(0.2, 0.45), rng.uniform(0.1, 0.25), rng.uniform(0.2, 0.45)
    m = Mesh()
    if rng.random() < 0.5:
        m.add(
            loft(
                [
                    (0, 0, 0, 0, 0),
                    (0, w / 2, d / 2, 0, 0),
                    (h * 0.6, w / 2 * 1.05, d / 2, 0, 0),
                    (h, w / 2, d / 2 * 0.5, 0, 0),
                    (h * 0.8, w / 2 * 0.9, d / 2 * 0.4, 0, 0),
                ],
                5.0,
            ),
            "body",
            cloth.rgb,
        )
        for y in (-d / 5, d / 5):
            m.add(
                path([(-w / 5, y, h), (-w / 8, y, h + 0.12), (w / 8, y, h + 0.12), (w / 5, y, h)], 0.008, 5),
                "handle",
                cloth.shade(0.7),
            )
    else:
        m.add(move(blob((w / 2, d / 2 + 0.05, h / 2), rng, 0.15), (0, 0, h / 2)), "body", cloth.rgb)
        m.add(lathe([(0.03, h * 0.95), (0.07, h * 1.12)], 8), "handle", cloth.rgb)
    return m.thing("bag", (*cloth.words, "small" if h < 0.3 else "large"))


def suitcase(rng: np.random.Generator) -> Thing:
    """A suitcase, upright with its handle or lying."""
    cover = paint(rng, "black black grey blue red green")
    w, d, h = rng.uniform(0.36, 0.5), rng.uniform(0.2, 0.3), rng.uniform(0.5, 0.75)
    m = Mesh()
    m.add(soft_box((-w / 2, -d / 2, 0.04), (w / 2, d / 2, h), 0.05, 0.01), "body", cover.rgb)
    up = rng.uniform(0.02, 0.4)
    m.add(
        path(
            [
                (-0.1, d / 2 - 0.03, h),
                (-0.1, d / 2 - 0.03, h + up),
                (0.1, d / 2 - 0.03, h + up),
                (0.1, d / 2 - 0.03, h),
            ],
            0.01,
            5,
        ),
        "handle",
        (0.2, 0.2, 0.2),
    )
    for s in (-1, 1):
        m.add(
            tube((s * w * 0.4, -d * 0.4, 0.025), (s * w * 0.4, d * 0.4, 0.025), 0.025, 6), "wheel", (0.05, 0.05, 0.05)
        )
    return m.thing("suitcase", cover.words)


def clothes(rng: np.random.Generator) -> Thing:
    """A heap of clothes, or one garment spread out."""
    cloth = fabric(rng)
    a, b, h = rng.uniform(0.15, 0.45), rng.uniform(0.15, 0.4), rng.uniform(0.03, 0.22)
    t, f = np.meshgrid(np.linspace(0, 1, 8), np.linspace(0, 2 * np.pi, 22), indexing="ij")
    swell = 1 + 0.25 * np.sin(3 * f + rng.uniform(0, 6)) + 0.15 * np.sin(5 * f + rng.uniform(0, 6))
    x, y = t * a * swell * np.cos(f), t * b * swell * np.sin(f)
    z = h * (1 - t**1.6) + rumple(x, y, rng, 0.25 * h + 0.015, 0.2) * (1 - t**3)
    z[:, -1] = z[:, 0]
    m = Mesh()
    m.add(sheet(np.stack([x, y, np.maximum(z, 0.002)], -1)), "fabric", cloth.rgb)
    return m.thing("clothes", cloth.words)


def shoes(rng: np.random.Generator) -> Thing:
    """A pair of shoes."""
    cover = paint(rng, "black brown white grey blue red")
    length, w, h = rng.uniform(0.23, 0.3), 0.095, rng.uniform(0.07, 0.22)
    m = Mesh()
    for s in (-1, 1):
        sole = [(0, 0, 0, 0, 0), (0, w / 2, length / 2, 0, 0), (0.04, w / 2, length / 2, 0, 0),
                (0.06, w / 2 * 0.9, length / 2 * 0.85, 0, 0.02),
                (h, 0.035, 0.045, 0, length * 0.27), (h - 0.03, 0.025, 0.035, 0, length * 0.27)]  # fmt: skip
        shape = turn(loft(sole, 2.4, 14), rng.normal(0, 0.25))
        m.add(move(shape, (s * 0.07, rng.normal(0, 0.02), 0)), "whole", cover.rgb)
    return m.thing("shoes", cover.words)
