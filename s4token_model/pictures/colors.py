"""Colors of labels and of values for pictures; the colors of numbered things are in s4token_model/palette.py."""

from __future__ import annotations

import numpy as np

from s4token_model.constants import UNLABELED_COLOR

# Matplotlib's inferno (CC0) from 12 % to 100 %: its black end would vanish on a dark background.
INFERNO = np.array(
    [
        (30, 12, 69), (77, 13, 108), (124, 29, 109), (168, 46, 95), (208, 69, 69), (238, 106, 36), (251, 155, 6),
        (247, 209, 61), (252, 255, 164),
    ]
)  # fmt: skip


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
