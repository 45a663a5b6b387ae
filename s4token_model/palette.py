"""Colors of numbered things (superpoints, classes), of labels and of values, in pictures and in files."""

from __future__ import annotations

import numpy as np

from s4token_model.constants import UNLABELED_COLOR

# Additive recurrences of hue, saturation and value; the fractions fill the cube evenly, so that near indices differ.
HUE_STEP, SATURATION_STEP, VALUE_STEP = 0.6180339887, 0.7548776662, 0.5698402910
MIN_SATURATION, SATURATION_RANGE = 0.3, 0.5
MIN_VALUE, VALUE_RANGE = 0.74, 0.26
# Matplotlib's inferno (CC0) from 12 % to 100 %: its black end would vanish on a dark background.
INFERNO = np.array(
    [
        (30, 12, 69), (77, 13, 108), (124, 29, 109), (168, 46, 95), (208, 69, 69), (238, 106, 36), (251, 155, 6),
        (247, 209, 61), (252, 255, 164),
    ]
)  # fmt: skip


def index_colors(index: np.ndarray) -> np.ndarray:
    """Colors (..., 3) uint8 of nonnegative integers (...): the same for the same index, distinct for near ones."""
    index = np.asarray(index).astype(np.int64)
    hue = index * HUE_STEP % 1
    saturation = MIN_SATURATION + SATURATION_RANGE * (index * SATURATION_STEP % 1)
    value = MIN_VALUE + VALUE_RANGE * (index * VALUE_STEP % 1)
    # HSV to RGB: every channel is a trapezoid over hue, a third of a turn apart
    pure = np.clip(np.abs((6 * hue[..., None] + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.round(255 * value[..., None] * (1 - saturation[..., None] * (1 - pure))).astype(np.uint8)


def heat(values: np.ndarray) -> np.ndarray:
    """Map values in [0, 1] to (..., 3) uint8, dark violet over red to light yellow; NaN is gray."""
    values = np.asarray(values, float)
    position, knots = np.clip(np.nan_to_num(values), 0.0, 1.0), np.linspace(0, 1, len(INFERNO))
    rgb = np.stack([np.interp(position, knots, channel) for channel in INFERNO.T], axis=-1)
    return np.round(np.where(np.isnan(values)[..., None], UNLABELED_COLOR, rgb)).astype(np.uint8)


def label_colors(labels: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Colors (H, 3) uint8 of labels (H,) by the table (C, 3) uint8; labels outside of it (65535) are gray."""
    labels, colors = np.asarray(labels).astype(np.int64), np.asarray(colors, np.uint8).reshape(-1, 3)
    table = np.concatenate([colors, np.array([UNLABELED_COLOR], np.uint8)])
    return table[np.where((labels >= 0) & (labels < len(colors)), labels, len(colors))]
