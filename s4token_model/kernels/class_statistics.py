"""Per-class statistics of a labeled cloud in one pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class ClassStatistics(NamedTuple):
    """Points, position and confidence of C classes; means are zero and boxes empty (inf, -inf) without points.

    Attributes:
        counts: (C,) int64, points of each class.
        centroid: (C, 3) float64, mean of its points.
        low, high: (C, 3) float64, corners of the axis-aligned box around its points.
        confidence: (C,) float64, mean confidence of its points.
    """

    counts: np.ndarray
    centroid: np.ndarray
    low: np.ndarray
    high: np.ndarray
    confidence: np.ndarray


@njit(cache=True, nogil=True)
def class_statistics(labels, confidence, xyz, classes):
    """Return ClassStatistics of points; labels >= `classes` are skipped.

    Args:
        labels: (H,) unsigned integers.
        confidence: (H,) float32.
        xyz: (H, 3), finite where labels < classes.
        classes: number of classes C.
    """
    counts, centroid, mean = np.zeros(classes, np.int64), np.zeros((classes, 3)), np.zeros(classes)
    low, high = np.full((classes, 3), np.inf), np.full((classes, 3), -np.inf)
    for i in range(len(labels)):
        c = labels[i]
        if c >= classes:
            continue
        counts[c] += 1
        mean[c] += confidence[i]
        for a in range(3):
            centroid[c, a] += xyz[i, a]
            low[c, a], high[c, a] = min(low[c, a], xyz[i, a]), max(high[c, a], xyz[i, a])
    for c in range(classes):
        centroid[c] /= max(counts[c], 1)
        mean[c] /= max(counts[c], 1)
    return ClassStatistics(counts, centroid, low, high, mean)
