"""Colors for pictures: a perceptually uniform map, stable random colors, and a palette for classes."""

from __future__ import annotations

import numpy as np

UNLABELED_COLOR = (150, 150, 150)
# Anchors of the map in Oklab hue (degrees) and chroma; lightness runs linearly, so that equal steps look equal.
_LIGHTNESS = (0.22, 0.95)
_HUE = (285.0, 310.0, 350.0, 390.0, 425.0, 455.0, 465.0)
_CHROMA = (0.09, 0.15, 0.17, 0.165, 0.15, 0.15, 0.12)


def oklab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """Convert Oklab (..., 3) to sRGB in [0, 1], clipped to the gamut (Ottosson 2020)."""
    lightness, a, b = np.moveaxis(np.asarray(lab, float), -1, 0)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        -1,
    )
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def rgb_to_oklab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB (..., 3) in [0, 1] to Oklab."""
    rgb = np.asarray(rgb, float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(linear @ to_lms.T) @ to_lab.T


def heat(values: np.ndarray) -> np.ndarray:
    """Map values in [0, 1] to (..., 3) uint8: dark blue over magenta and orange to light yellow; NaN is gray."""
    values = np.asarray(values, float)
    at = np.clip(np.nan_to_num(values), 0.0, 1.0)
    knots = np.linspace(0, 1, len(_HUE))
    hue, chroma = np.radians(np.interp(at, knots, _HUE)), np.interp(at, knots, _CHROMA)
    lightness = _LIGHTNESS[0] + (_LIGHTNESS[1] - _LIGHTNESS[0]) * at
    rgb = oklab_to_rgb(np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], -1))
    rgb = np.where(np.isnan(values)[..., None], np.array(UNLABELED_COLOR) / 255.0, rgb)
    return np.round(255 * rgb).astype(np.uint8)


def random_colors(ids: np.ndarray) -> np.ndarray:
    """A color (..., 3) uint8 per id: the same id always gives the same color, neighboring ids differ clearly."""
    ids = np.asarray(ids).astype(np.uint64)
    hashed = (ids * np.uint64(0x9E3779B97F4A7C15)) ^ (ids * np.uint64(0xC2B2AE3D27D4EB4F) >> np.uint64(29))
    hue = 2 * np.pi * ((hashed >> np.uint64(20)) % np.uint64(3600)).astype(float) / 3600
    lightness = 0.55 + 0.35 * ((hashed >> np.uint64(40)) % np.uint64(256)).astype(float) / 255
    chroma = 0.07 + 0.10 * ((hashed >> np.uint64(50)) % np.uint64(256)).astype(float) / 255
    rgb = oklab_to_rgb(np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], -1))
    return np.round(255 * rgb).astype(np.uint8)


def palette(count: int) -> np.ndarray:
    """`count` colors (count, 3) uint8, greedily far apart in Oklab; the first ones do not depend on `count`."""
    grid = np.stack(np.meshgrid(*[np.linspace(0.08, 0.96, 10)] * 3), -1).reshape(-1, 3)
    lab = rgb_to_oklab(grid)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    usable = (lab[:, 0] > 0.45) & (lab[:, 0] < 0.9) & (chroma > 0.05) & (chroma < 0.17)
    grid, lab = grid[usable], lab[usable]
    gray = rgb_to_oklab(np.array([UNLABELED_COLOR]) / 255.0)
    distance = ((lab - gray) ** 2).sum(1)
    chosen = []
    for _ in range(count):
        chosen.append(int(distance.argmax()) if distance.max() > 0 else len(chosen) % len(lab))
        distance = np.minimum(distance, ((lab - lab[chosen[-1]]) ** 2).sum(1))
    return np.round(255 * grid[chosen]).astype(np.uint8)
