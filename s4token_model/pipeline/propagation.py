"""Superpoint-aware propagation of token scores to every point (Sec. 3.3, Eq. 4 of the paper).

    d_ik = ||p_i - p_k|| / r + 1e-4,   w_ik = ([l_i = l_k] / d_ik) / sum_j ([l_i = l_j] / d_ij),   f_i = sum_k w_ik f_k

Points whose superpoint holds no token take the three nearest tokens instead. Class scores are propagated in place of
features: <f_i, t_c> = sum_k w_ik <f_k, t_c>, and ||f_i||^2 = w_i^T G w_i with G the Gram matrix of the tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import lapack

from s4token_model.kernels.propagate import MIN_NORM, TokenTable, own_weights, propagate_block, weight_sums
from s4token_model.kernels.sorting import sort_by_group

CHUNK = 65536  # points scored at a time: bounds the memory of a thousand classes on a million points
DENSE_TOKENS = 16  # tokens of a superpoint from which on matrix products are faster
DENSE_CHUNK = 8192  # points whose weights fit into the cache
RANK_TOLERANCE = 1e-4  # squared norm of what the root of a Gram matrix may miss of a unit feature


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
    points, starts = sort_by_group(superpoints, largest + 1)
    xyz, superpoints = np.ascontiguousarray(xyz, np.float32), np.ascontiguousarray(superpoints, np.int32)
    # Large superpoints as matrix products, since w^T G w grows with the square of their tokens; others by the kernel
    dense = np.diff(table.starts) >= DENSE_TOKENS
    for label in np.flatnonzero(dense):
        own, members = slice(*table.starts[label : label + 2]), points[starts[label] : starts[label + 1]]
        root, own_scores = _gram_root(table, own), torch.from_numpy(table.scores[own])
        for begin in range(0, len(members), DENSE_CHUNK):
            block = members[begin : begin + DENSE_CHUNK]
            weights, factor = _dense_weights(xyz[block], table, own, root)
            yield block, (weights @ own_scores).mul_(factor[:, None]).numpy()
    points = points[~dense[superpoints[points]]] if dense.any() else points
    for begin in range(0, len(points), CHUNK):
        block = points[begin : begin + CHUNK]
        yield block, propagate_block(block, xyz, superpoints, table)


def superpoint_features(
    xyz: np.ndarray, superpoints: np.ndarray, windows: Iterable[tuple[np.ndarray, TokenCenters, np.ndarray]]
) -> np.ndarray:
    """Return (S, E) float32, the mean of the propagated unit features of each superpoint's points.

    Its product with a text is the mean of the points' cosines: all that a vote of the superpoint needs, at a cost that
    does not grow with the classes. xyz (H, 3) and superpoints (H,) are those of the cloud; a window is its points (h,),
    and the centers and unit features (n, E) of its tokens.
    """
    counts, sums = np.bincount(superpoints), None
    for points, tokens, features in windows:
        sums = np.zeros((len(counts), features.shape[1]), np.float32) if sums is None else sums
        # Only the superpoints of the window get a row of weights; those of its other tokens share the last one
        present = np.flatnonzero(np.bincount(superpoints[points]))
        row_of = np.full(len(counts), len(present))
        row_of[present] = np.arange(len(present))
        near = replace(tokens, superpoint=row_of[tokens.superpoint])
        weights, rows = _weight_sums(xyz[points], row_of[superpoints[points]], near, features, len(present) + 1)
        sums[present] += (torch.from_numpy(weights[:-1]) @ torch.from_numpy(rows)).numpy()
    assert sums is not None
    return sums / np.maximum(counts, 1)[:, None].astype(np.float32)


def _weight_sums(xyz, superpoints, tokens: TokenCenters, features: np.ndarray, count: int):
    """Weights (count, N) whose product with rows (N, E) are the sums of the unit features of each superpoint."""
    table = _sorted_table(tokens, features, None, count)
    rows = torch.from_numpy(table.scores)
    table = table._replace(gram=(rows @ rows.T).numpy())
    points, starts = sort_by_group(superpoints, count)
    xyz, superpoints = np.ascontiguousarray(xyz, np.float32), np.ascontiguousarray(superpoints, np.int32)
    dense = np.diff(table.starts) >= DENSE_TOKENS
    others = points[~dense[superpoints[points]]] if dense.any() else points
    sums = weight_sums(others, xyz, superpoints, table)
    for label in np.flatnonzero(dense):
        own, members = slice(*table.starts[label : label + 2]), points[starts[label] : starts[label + 1]]
        root = _gram_root(table, own)
        for begin in range(0, len(members), DENSE_CHUNK):
            weights, factor = _dense_weights(xyz[members[begin : begin + DENSE_CHUNK]], table, own, root)
            sums[label, own] += (factor @ weights).numpy()
    return sums, table.scores


def _gram_root(table: TokenTable, own: slice) -> torch.Tensor | None:
    """R (n, k) with R R^T close to the Gram matrix of the tokens `own`, k their numerical rank; None without a matrix.

    The features of many tokens of one surface span few dimensions: w^T G w = |R^T w|^2 costs n k in place of n^2.
    """
    if not len(table.gram):
        return None
    root, order, rank, _ = lapack.spstrf(table.gram[own, own], tol=RANK_TOLERANCE, lower=1)
    unsorted = np.empty((len(root), rank), np.float32)
    unsorted[order - 1] = np.tril(root)[:, :rank]
    return torch.from_numpy(unsorted)


def _dense_weights(
    xyz: np.ndarray, table: TokenTable, own: slice, root: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (h, n) of the tokens of one superpoint for its points (h, 3), and what to multiply each row by (h,)."""
    weights = torch.from_numpy(own_weights(xyz, table, own))
    total = weights.sum(dim=1)
    if root is None:
        return weights, total.reciprocal_()
    norm = (weights @ root).square_().sum(dim=1)
    return weights, torch.maximum(norm, float(MIN_NORM) * total * total).rsqrt_()


def _sorted_table(tokens: TokenCenters, scores: np.ndarray, gram: np.ndarray | None, superpoints: int) -> TokenTable:
    order = np.argsort(tokens.superpoint, kind="stable")
    return TokenTable(
        np.searchsorted(tokens.superpoint[order], np.arange(superpoints + 1)),
        np.ascontiguousarray(tokens.centers[order].T, np.float32),
        np.float32(1 / tokens.radius),
        np.ascontiguousarray(scores[order], np.float32),
        np.zeros((0, 0), np.float32) if gram is None else np.ascontiguousarray(gram[np.ix_(order, order)], np.float32),
    )
