"""Bookshelves, wall shelves and rows of books."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import metal, paint, wood
from s4token_model.procedural.mesh import Mesh, box, join, move, tube, turn
from s4token_model.procedural.types import Thing


def book_row(rng: np.random.Generator, width: float, depth: float, height: float, fill: float = 1.0) -> tuple:
    """Standing books from x = 0 to `width`, backs towards -y: a shape and colors (T, 3)."""
    shapes, colors, x = [], [], rng.uniform(0, 0.08)
    limit = width * fill
    while x < limit - 0.02 and len(shapes) < 40:
        t = rng.uniform(0.015, 0.055)
        h, d = height * rng.uniform(0.62, 0.95), min(depth * rng.uniform(0.55, 0.95), 0.28)
        if x + t > width:
            break
        shape = box((x, depth / 2 - d, 0), (x + t, depth / 2, h))
        if rng.random() < 0.07 and x + t + h * 0.3 < width:
            shape = turn(shape, rng.uniform(0.1, 0.25), "y", (x, 0, 0))
            x += h * 0.22
        shapes.append(shape)
        colors.append(np.broadcast_to(paint(rng).rgb, (12, 3)))
        x += t + (rng.uniform(0.02, 0.15) if rng.random() < 0.08 else 0.002)
    if not shapes:
        shapes, colors = [box((0.01, -0.05, 0), (0.04, 0.08, height * 0.8))], [np.broadcast_to(paint(rng).rgb, (12, 3))]
    return join(shapes), np.concatenate(colors)


def books(rng: np.random.Generator) -> Thing:
    """A stack or a row of books."""
    m = Mesh()
    if rng.random() < 0.6:
        z = 0.0
        for _ in range(int(rng.integers(1, 7))):
            w, d, t = rng.uniform(0.14, 0.3), rng.uniform(0.12, 0.22), rng.uniform(0.01, 0.05)
            m.add(turn(box((-w / 2, -d / 2, z), (w / 2, d / 2, z + t)), rng.normal(0, 0.25)), "whole", paint(rng).rgb)
            z += t
    else:
        shape, colors = book_row(rng, rng.uniform(0.15, 0.6), 0.22, rng.uniform(0.2, 0.32))
        m.add(shape, "whole", colors)
    return m.thing("books")


def bookshelf(rng: np.random.Generator) -> Thing:
    """A bookshelf with uprights, boards, sometimes a back and mostly filled with books and odd boxes."""
    cover = wood(rng) if rng.random() < 0.85 else metal(rng)
    w, d = rng.uniform(0.5, 1.8), rng.uniform(0.22, 0.4)
    h = rng.uniform(1.5, 2.3) if rng.random() < 0.68 else rng.uniform(0.75, 1.4)
    t = rng.uniform(0.015, 0.035)
    m = Mesh()
    columns = max(1, int(round(w / rng.uniform(0.45, 0.95))))
    xs = np.linspace(-w / 2 + t / 2, w / 2 - t / 2, columns + 1)
    levels = np.linspace(rng.uniform(0.02, 0.1), h - t / 2, max(3, int(h / rng.uniform(0.27, 0.4))) + 1)
    open_ = rng.random() < 0.25
    for k, x in enumerate(xs):
        if open_ and 0 < k < columns:
            continue
        if open_:
            for y in (-d / 2 + 0.015, d / 2 - 0.015):
                m.box(x - 0.015, x + 0.015, y - 0.015, y + 0.015, 0, h, "side", cover.rgb)
        else:
            m.box(x - t / 2, x + t / 2, -d / 2, d / 2, 0, h, "side", cover.rgb)
    for z in levels:
        m.box(-w / 2, w / 2, -d / 2, d / 2, z - t / 2, z + t / 2, "shelf", cover.rgb)
    if not open_ and rng.random() < 0.75:
        m.box(-w / 2, w / 2, d / 2 - 0.008, d / 2, 0, h, "back", cover.shade(0.9))
    full = rng.choice([0.25, 0.6, 0.9], p=(0.2, 0.35, 0.45))
    for low, high in zip(levels[:-1], levels[1:], strict=True):
        for a, b in zip(xs[:-1], xs[1:], strict=True):
            _fill_cell(m, rng, a + t, b - t, d - 0.03, low + t / 2, high - low - t, full)
    return m.thing("bookshelf", (*cover.words, "tall" if h > 1.5 else "low", *(("large",) if w > 1.3 else ())))


def _fill_cell(m: Mesh, rng, x0: float, x1: float, d: float, z: float, room: float, full: float) -> None:
    """Books or a box in one compartment, with probability `full`."""
    if rng.random() > full or room < 0.12 or x1 - x0 < 0.12:
        return
    if rng.random() < 0.8:
        shape, colors = book_row(rng, x1 - x0, d, min(room, 0.36), rng.uniform(0.3, 1.0))
        m.add(move(shape, (x0, 0.0, z)), "books", colors)
        return
    w = min(rng.uniform(0.12, 0.4), x1 - x0)
    x = x0 + rng.random() * (x1 - w - x0)
    m.box(
        x,
        x + w,
        -d / 2 * rng.uniform(0.4, 1),
        d / 2 * 0.9,
        z,
        z + room * rng.uniform(0.3, 0.85),
        "content",
        paint(rng).rgb,
    )


def shelf(rng: np.random.Generator) -> Thing:
    """One or more boards hung on a wall, on brackets, or a storage rack."""
    cover = wood(rng) if rng.random() < 0.6 else metal(rng)
    w, d = rng.uniform(0.4, 1.4), rng.uniform(0.16, 0.42)
    count = int(rng.integers(1, 5))
    gap = rng.uniform(0.25, 0.4)
    m = Mesh()
    for k in range(count):
        z = 0.14 + k * gap
        m.box(-w / 2, w / 2, -d / 2, d / 2, z, z + 0.022, "shelf", cover.rgb)
        for s in (-1, 1):
            m.add(
                tube((s * w * 0.4, d / 2 - 0.01, z - 0.12), (s * w * 0.4, -d / 2 + 0.03, z - 0.005), 0.008, 5),
                "frame",
                cover.rgb,
            )
        if rng.random() < 0.6:
            m.box(
                -w * 0.3,
                -w * 0.3 + rng.uniform(0.1, 0.25),
                -d * 0.3,
                d * 0.3,
                z + 0.022,
                z + rng.uniform(0.08, 0.2),
                "content",
                paint(rng).rgb,
            )
    return m.thing("shelf", (*cover.words, "long" if w > 0.9 else "small"))
