"""The word of every point and how sure it is, from its cosines with all words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numba import njit

from s4token_model.kernels.parallel import parallel_for


def place(points, source, best, sure, thresholds, labels: np.ndarray, confidence: np.ndarray) -> None:
    """Enter the decisions best, sure (h,) of points (h,) into labels (H,) uint32 and confidence (H,) float32, at
    source[points]; words surer than their threshold (C,) only, the others stay as they are."""
    thresholds = np.asarray(thresholds, np.float32)
    parallel_for(lambda a, b: _place(a, b, points, source, best, sure, thresholds, labels, confidence), len(points))


@njit(cache=True, nogil=True)
def _place(begin, end, points, source, best, sure, thresholds, labels, confidence):
    for i in range(begin, end):
        row = source[points[i]]
        confidence[row] = sure[i]
        if sure[i] >= thresholds[best[i]]:
            labels[row] = best[i]


def vote(blocks: Iterable[tuple[np.ndarray, np.ndarray]], superpoints: np.ndarray, words: int) -> np.ndarray:
    """Mean cosines (S, words) float32 of the points of each superpoint; rows of zeros where one has no point.

    blocks: points (h,) and their cosines (h, words) float32, those of one superpoint side by side, as
    `propagation.score_blocks` gives them; superpoints (H,) ids of all points, at least one.
    """
    counts = np.bincount(superpoints)
    sums = np.zeros((len(counts), words), np.float32)
    for points, cosines in blocks:
        ids = superpoints[points]
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        sums[ids[starts]] += np.add.reduceat(cosines, starts, axis=0)
    return sums / np.maximum(counts, 1)[:, None].astype(np.float32)


def decide(cosines: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Choose the word with the largest cosine, the first of equal ones.

    cosines (H, C) float32, C >= 1. Returns best (H,) int64 and confidence (H,) float32: the softmax of the cosines over
    `temperature` at the chosen word, or with a single word its cosine clipped to [0, 1].
    """
    if cosines.shape[1] == 1:
        return np.zeros(len(cosines), np.int64), np.clip(cosines[:, 0], 0, 1)
    best, sure = np.empty(len(cosines), np.int64), np.empty(len(cosines), np.float32)
    share = np.empty_like(cosines)

    def part(begin: int, end: int) -> None:
        _below_best(begin, end, cosines, np.float32(1 / temperature), best, share)
        np.exp(share[begin:end], out=share[begin:end])
        _inverse_sum(begin, end, share, sure)

    parallel_for(part, len(cosines))
    return best, sure


@njit(cache=True, nogil=True)
def _below_best(begin, end, cosines, factor, best, below):
    """Column of the first maximum of each row, and how far all are below it, times `factor`."""
    for i in range(begin, end):
        row, at = cosines[i], 0
        for c in range(1, len(row)):
            if row[c] > row[at]:
                at = c
        best[i] = at
        top, out = row[at], below[i]
        for c in range(len(row)):
            out[c] = (row[c] - top) * factor


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _inverse_sum(begin, end, share, sure):
    for i in range(begin, end):
        total = np.float32(0)
        row = share[i]
        for c in range(len(row)):
            total += row[c]
        sure[i] = np.float32(1) / total
