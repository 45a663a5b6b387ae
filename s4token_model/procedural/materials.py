"""Plausible colors of things with the words that describe them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.70, 0.13, 0.12), "blue": (0.15, 0.28, 0.62), "green": (0.20, 0.45, 0.22), "yellow": (0.88, 0.75, 0.20),
    "orange": (0.88, 0.45, 0.12), "purple": (0.42, 0.22, 0.52), "pink": (0.88, 0.58, 0.64), "white": (0.91, 0.90, 0.88),
    "black": (0.07, 0.07, 0.08), "grey": (0.50, 0.50, 0.51), "brown": (0.38, 0.23, 0.13), "beige": (0.78, 0.70, 0.56),
}  # fmt: skip
_WOODS = (("brown", (0.45, 0.29, 0.16)), ("brown", (0.31, 0.18, 0.10)), ("brown", (0.58, 0.41, 0.24)),
          ("beige", (0.74, 0.59, 0.40)),
          ("brown", (0.50, 0.33, 0.20)), ("white", (0.90, 0.88, 0.84)), ("black", (0.12, 0.09, 0.08)))  # fmt: skip


class Paint(NamedTuple):
    """A color rgb (3,) float64 in [0, 1] with the true words for it, e.g. ("brown", "wooden")."""

    rgb: np.ndarray
    words: tuple[str, ...]

    def shade(self, factor: float) -> np.ndarray:
        """The same color, darker (< 1) or lighter (> 1)."""
        return np.clip(self.rgb * factor, 0, 1)


def pick(rng: np.random.Generator, options):
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def paint(rng: np.random.Generator, names: str | tuple[str, ...] = tuple(COLORS), *words: str) -> Paint:
    """A slightly varied color out of `names` (or one string separated by spaces), described by it and `words`."""
    name = pick(rng, names.split() if isinstance(names, str) else names)
    rgb = np.array(COLORS[name]) * rng.uniform(0.82, 1.12) + rng.normal(0, 0.02, 3)
    return Paint(np.clip(rgb, 0.02, 0.98), (name, *words))


def wood(rng: np.random.Generator) -> Paint:
    """A color of natural or painted wood."""
    name, rgb = pick(rng, _WOODS)
    rgb = np.array(rgb) * rng.uniform(0.85, 1.12) + rng.normal(0, 0.012, 3)
    return Paint(np.clip(rgb, 0.02, 0.98), (name, "wooden"))


_PALETTES = {
    "metal": ("grey grey black white", "metal"),
    "fabric": ("grey grey beige brown blue red green black white beige orange purple", "fabric"),
    "leather": ("black black brown brown white red beige", "leather"),
    "ceramic": ("white white white white beige", "ceramic"),
    "paint": (" ".join(COLORS), ""),
}


def material(rng: np.random.Generator, spec: str) -> Paint:
    """One of the materials of `spec`, such as "wood|white+grey:plastic": colors with +, a word after the colon."""
    name, _, word = pick(rng, spec.split("|")).partition(":")
    if name == "wood":
        return wood(rng)
    names, own = _PALETTES.get(name, (name.replace("+", " "), ""))
    return paint(rng, names, *filter(None, (own, word)))


def size_words(size: np.ndarray, typical: np.ndarray) -> tuple[str, ...]:
    """True words for width, depth and height (3,) beside the typical ones of a class."""
    area, height = np.prod(size[:2]) / np.prod(typical[:2]), size[2] / typical[2]
    words = ("large" if area > 1.35 else "small" if area < 0.7 else "", "tall" if height > 1.2 else "")
    return tuple(word for word in (*words, "low" if height < 0.8 else "") if word)
