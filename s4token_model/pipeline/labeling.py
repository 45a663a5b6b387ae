"""Per-point label and confidence from similarities to the class names."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from s4token_model.kernels.softmax import argmax_and_softmax, softmax_at


def argmax_and_confidence(cosines: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Choose the class with the largest cosine, the first of equal ones: best (H,) int64, and confidence (H,) float32.

    The confidence is the softmax of the cosines (H, C), C >= 1, at the chosen class, or with a single class its cosine
    clipped to [0, 1].
    """
    if cosines.shape[1] == 1:
        return np.zeros(len(cosines), np.int64), np.clip(cosines[:, 0], 0, 1)
    return argmax_and_softmax(cosines, temperature)


def confidence_of(cosines: np.ndarray, best: np.ndarray, temperature: float) -> np.ndarray:
    """Return (H,) float32, the same confidence for classes best (H,) that were chosen otherwise."""
    return np.clip(cosines[:, 0], 0, 1) if cosines.shape[1] == 1 else softmax_at(cosines, best, temperature)


def superpoint_means(blocks: Iterable[tuple[np.ndarray, np.ndarray]], superpoints: np.ndarray) -> np.ndarray:
    """Average the cosines of each superpoint's points: (S, C) float32, rows of zeros for superpoints without points.

    There must be a block: points (h,), those of one superpoint side by side, and their cosines (h, C) float32, as
    `propagation.score_blocks` yields them; superpoints (H,) are the ids of all points.
    """
    counts, sums = np.bincount(superpoints), None
    for points, cosines in blocks:
        if sums is None:
            sums = np.zeros((len(counts), cosines.shape[1]), np.float32)
        ids = superpoints[points]
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        sums[ids[starts]] += np.add.reduceat(cosines, starts, axis=0)
    assert sums is not None
    return sums / np.maximum(counts, 1)[:, None].astype(np.float32)


def write_labels(
    rows: np.ndarray, best: np.ndarray, confidence: np.ndarray, thresholds: np.ndarray,
    out: tuple[np.ndarray, np.ndarray],
) -> None:  # fmt: skip
    """Write the decisions of some points into the arrays of the whole cloud.

    Args:
        rows: (h,) index of the points in the cloud.
        best: (h,) class of each point.
        confidence: (h,) float32.
        thresholds: (C,) smallest confidence of each class; points below it keep the label they have.
        out: labels (H,) uint32 and confidence (H,) float32 of the whole cloud.
    """
    labels, confidences = out
    confidences[rows] = confidence
    sure = confidence >= np.asarray(thresholds, np.float32)[best]
    labels[rows[sure]] = best[sure]
