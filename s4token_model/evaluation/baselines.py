"""Baselines without any learning: chance, and rules on height and normal."""

from __future__ import annotations

import numpy as np

from s4token_model.pipeline import geometry


def chance_confusion(support: np.ndarray) -> np.ndarray:
    """Expected confusion (C, C + 1) of labels drawn uniformly at random, from the annotated points per class (C,)."""
    support = np.asarray(support, np.float64)
    spread = np.repeat(support[:, None] / len(support), len(support), axis=1)
    return np.concatenate([spread, np.zeros((len(support), 1))], axis=1)


def height_and_normal(
    xyz: np.ndarray, names: tuple[str, ...], floor: str = "floor", wall: str = "wall", rest: str = "cabinet"
) -> np.ndarray:
    """Label level points near the ground `floor`, upright surfaces `wall` and all others `rest`.

    xyz (H, 3) m, z up; the ground is the 2nd percentile of height, near is within 0.3 m, upright surfaces are within 30
    degrees of vertical. The default `rest` is the single class that scores best on the real rooms: a choice made in the
    baseline's favor. Returns (H,) uint32 indices into `names`.
    """
    normals = geometry.local_geometry(xyz, None, 20, 8).normals
    upright = np.abs(normals[:, 2]) < np.sin(np.radians(30.0))
    low = xyz[:, 2] < np.percentile(xyz[:, 2], 2) + 0.3
    labels = np.full(len(xyz), names.index(rest), np.uint32)
    labels[upright] = names.index(wall)
    labels[low & ~upright] = names.index(floor)
    return labels
