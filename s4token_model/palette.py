"""Colors of numbered things, superpoints and classes, in pictures and in files."""

from __future__ import annotations

import numpy as np

# Additive recurrences of hue, saturation and value; the fractions fill the cube evenly, so that near indices differ.
HUE_STEP, SATURATION_STEP, VALUE_STEP = 0.6180339887, 0.7548776662, 0.5698402910
MIN_SATURATION, SATURATION_RANGE = 0.3, 0.5
MIN_VALUE, VALUE_RANGE = 0.74, 0.26


def index_colors(index: np.ndarray) -> np.ndarray:
    """Colors (..., 3) uint8 of nonnegative integers (...): the same for the same index, distinct for near ones."""
    index = np.asarray(index).astype(np.int64)
    hue = index * HUE_STEP % 1
    saturation = MIN_SATURATION + SATURATION_RANGE * (index * SATURATION_STEP % 1)
    value = MIN_VALUE + VALUE_RANGE * (index * VALUE_STEP % 1)
    # HSV to RGB: every channel is a trapezoid over hue, a third of a turn apart
    pure = np.clip(np.abs((6 * hue[..., None] + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return np.round(255 * value[..., None] * (1 - saturation[..., None] * (1 - pure))).astype(np.uint8)
