"""Stools, benches and ottomans."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.furniture_seating import add_legs, upholstery
from s4token_model.procedural.materials import metal, wood
from s4token_model.procedural.mesh import Mesh, lathe, soft_box, tube
from s4token_model.procedural.types import Thing


def stool(rng: np.random.Generator) -> Thing:
    """A stool: low or bar height, round or square, on legs or a pedestal."""
    frame, cover = wood(rng) if rng.random() < 0.5 else metal(rng), upholstery(rng)
    h, r = (rng.uniform(0.4, 0.5) if rng.random() < 0.55 else rng.uniform(0.6, 0.8)), rng.uniform(0.15, 0.21)
    m = Mesh()
    round_ = rng.random() < 0.6
    t = rng.uniform(0.02, 0.09)
    if round_:
        m.add(
            lathe([(0, h - t), (r * 0.95, h - t), (r, h - t / 2), (r * 0.95, h), (0, h)]),
            "seat",
            cover.rgb if t > 0.05 else frame.rgb,
        )
    else:
        m.add(
            soft_box((-r, -r * 0.8, h - t), (r, r * 0.8, h), 0.015, n=4), "seat", cover.rgb if t > 0.05 else frame.rgb
        )
    if rng.random() < 0.25:
        m.add(tube((0, 0, 0.02), (0, 0, h - t), 0.025), "leg", frame.rgb)
        m.add(lathe([(0, 0), (r, 0), (r, 0.015), (0.03, 0.04), (0, 0.04)]), "base", frame.rgb)
    else:
        add_legs(m, rng, r * 1.5, r * 1.3, h - t, frame.rgb, rng.uniform(0, 0.06), round_, 0.016)
        for s in (-1, 1):
            m.add(
                tube((s * r * 0.75, -r * 0.65, h * 0.35), (s * r * 0.75, r * 0.65, h * 0.35), 0.01, 5), "leg", frame.rgb
            )
    return m.thing("stool", (*frame.words, "round" if round_ else "square", "tall" if h > 0.55 else "low"))


def bench(rng: np.random.Generator) -> Thing:
    """A bench without arms, sometimes with a back."""
    frame = wood(rng)
    w, d, h = rng.uniform(0.9, 1.8), rng.uniform(0.3, 0.48), rng.uniform(0.4, 0.48)
    m = Mesh()
    add_legs(m, rng, w, d, h - 0.04, frame.rgb, 0, False, 0.03)
    m.add(soft_box((-w / 2, -d / 2, h - 0.07), (w / 2, d / 2, h), 0.015, 0.005, n=4), "seat", frame.rgb)
    if rng.random() < 0.25:
        for z in (h + 0.15, h + 0.3):
            m.box(-w / 2, w / 2, d / 2 - 0.03, d / 2, z, z + 0.1, "back", frame.rgb)
        for s in (-1, 1):
            m.box(
                s * w / 2 * 0.9 - 0.02,
                s * w / 2 * 0.9 + 0.02,
                d / 2 - 0.02,
                d / 2 + 0.01,
                h - 0.1,
                h + 0.42,
                "back",
                frame.rgb,
            )
    return m.thing("bench", (*frame.words, "long"))


def ottoman(rng: np.random.Generator) -> Thing:
    """A padded footstool or pouf."""
    cover = upholstery(rng)
    w, d, h = rng.uniform(0.4, 0.95), rng.uniform(0.4, 0.65), rng.uniform(0.32, 0.46)
    m = Mesh()
    round_ = rng.random() < 0.35
    if round_:
        r = w / 2 * 0.8
        m.add(
            lathe([(0, 0), (r * 0.85, 0), (r, h * 0.25), (r, h * 0.75), (r * 0.85, h), (0, h * 1.02)], 18),
            "seat",
            cover.rgb,
        )
    else:
        m.add(
            soft_box((-w / 2, -d / 2, 0.04), (w / 2, d / 2, h), 0.05, 0.015, 0.004, rng.uniform(0, 6)),
            "seat",
            cover.rgb,
        )
        add_legs(m, rng, w - 0.1, d - 0.1, 0.06, (0.1, 0.08, 0.07), 0, False, 0.02)
    return m.thing("ottoman", (*cover.words, "round" if round_ else "square"))
