"""Superpoint-aware propagation of token scores to every point (Sec. 3.3, Eq. 4 of the paper).

    d_ik = ||p_i - p_k|| / r + 1e-4,   w_ik = ([l_i = l_k] / d_ik) / sum_j ([l_i = l_j] / d_ij),   f_i = sum_k w_ik f_k

Points whose superpoint holds no token take the three nearest tokens instead. Class scores are propagated in place of
features: <f_i, t_c> = sum_k w_ik <f_k, t_c>, and ||f_i||^2 = w_i^T G w_i with G the Gram matrix of the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from s4token_model.kernels.propagate import TokenTable, propagate_block
from s4token_model.kernels.sorting import sort_by_group

CHUNK = 65536  # points scored at a time: bounds the memory of a thousand classes on a million points


@dataclass(frozen=True)
class TokenCenters:
    """Where the tokens sit: centers (N, 3), superpoint (N,) int, and the patch radius r in the unit of the centers."""

    centers: np.ndarray
    superpoint: np.ndarray
    radius: float


def propagate(
    xyz: np.ndarray, superpoints: np.ndarray, tokens: TokenCenters, scores: np.ndarray, gram: np.ndarray | None = None
) -> np.ndarray:
    """Return the propagated scores (H, C) float32 of all points; arguments as in `score_blocks`."""
    out = np.empty((len(xyz), scores.shape[1]), np.float32)
    for points, values in score_blocks(xyz, superpoints, tokens, scores, gram):
        out[points] = values
    return out


def score_blocks(
    xyz: np.ndarray, superpoints: np.ndarray, tokens: TokenCenters, scores: np.ndarray, gram: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (points (h,), propagated scores (h, C) float32), superpoint by superpoint, all points once.

    Args:
        xyz: (H, 3), in the unit of the token centers.
        superpoints: (H,) ids.
        tokens: where the N tokens sit, at least one.
        scores: (N, C) float, score of every token for every class.
        gram: (N, N) inner products of the token features. If given, each row is divided by ||f_i||, which turns inner
            products with unit vectors into cosines.
    """
    largest = max(int(superpoints.max(initial=0)), int(tokens.superpoint.max()))
    table = _sorted_table(tokens, scores, gram, largest + 1)
    points = sort_by_group(superpoints, largest + 1)[0]
    xyz, superpoints = np.ascontiguousarray(xyz, np.float32), np.ascontiguousarray(superpoints, np.int32)
    for begin in range(0, len(points), CHUNK):
        block = points[begin : begin + CHUNK]
        yield block, propagate_block(block, xyz, superpoints, table)


def _sorted_table(tokens: TokenCenters, scores: np.ndarray, gram: np.ndarray | None, superpoints: int) -> TokenTable:
    order = np.argsort(tokens.superpoint, kind="stable")
    return TokenTable(
        np.searchsorted(tokens.superpoint[order], np.arange(superpoints + 1)),
        np.ascontiguousarray(tokens.centers[order].T, np.float32),
        np.float32(1 / tokens.radius),
        np.ascontiguousarray(scores[order], np.float32),
        np.zeros((0, 0), np.float32) if gram is None else np.ascontiguousarray(gram[np.ix_(order, order)], np.float32),
    )
