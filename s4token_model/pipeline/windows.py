"""Windows: a cloud that is too large for the tokens of one cloud gets more of them, and the network reads it in parts.

The network knows clouds of a certain number of tokens whose spacing is below the size of a typical superpoint. Where
that spacing is larger, as in the map of a building, tokens are added until it is not. Superpoints, tokens and radius
are those of the cloud, so nothing ends at the border of a window but what the network sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from s4token_model.kernels.group_statistics import group_boxes

MIN_POINTS = 20  # of the superpoints that say how large a typical one is
MAX_SPACING = 0.85  # the largest spacing of the tokens in a cloud of one window, over the size of a typical superpoint
SPACING = 0.5  # that of larger clouds
MAX_RATIO = 1e4  # of two spacings, so that no number overflows
CORE = 0.75  # tokens of a window that belong to it; the others are its neighbors


class Window(NamedTuple):
    """A part of a cloud that the network reads at once."""

    tokens: np.ndarray  # (n,) int32, ascending, the tokens it reads
    core: np.ndarray  # (n,) bool, those whose features it gives
    points: np.ndarray  # (h,) int32, the points that lie in it
    storey: tuple[float, float]  # heights between which its storey lies


def relative_spacing(spacing: float, xyz: np.ndarray, superpoints: np.ndarray) -> float:
    """Return the mean distance of the tokens over the size of a typical superpoint of a cloud xyz (H, 3), or 0."""
    size = typical_size(xyz, superpoints)
    return spacing / size if size > 0 else 0.0


def needed_tokens(tokens: int, spacing: float) -> int:
    """Return how many tokens a cloud needs that has `tokens` at this relative spacing."""
    return tokens if spacing <= MAX_SPACING else tokens_at(SPACING, tokens, spacing)


def tokens_at(wanted: float, tokens: int, spacing: float) -> int:
    """Return how many tokens a cloud has at a wanted relative spacing, not less than the `tokens` that it has now.

    On surfaces, the number grows with the square of the ratio.
    """
    return int(np.ceil(tokens * min(max(spacing / wanted, 1.0), MAX_RATIO) ** 2))


def count_of(tokens: int, capacity: int) -> int:
    """Return the number of windows of `capacity` tokens that hold so many tokens in their cores."""
    return 1 if tokens <= capacity else -(-tokens // max(int(CORE * capacity), 1))


def tokens_of(count: int, capacity: int) -> int:
    """Return the number of tokens in the cores of so many windows."""
    return capacity if count == 1 else count * max(int(CORE * capacity), 1)


def typical_size(xyz: np.ndarray, superpoints: np.ndarray) -> float:
    """Return the median diagonal of the boxes of the superpoints (H,) of at least MIN_POINTS points; 0 if none has."""
    many = np.bincount(superpoints) >= MIN_POINTS
    if not many.any():
        return 0.0
    low, high = group_boxes(xyz, superpoints, len(many))
    return float(np.median(np.linalg.norm((high - low)[many], axis=1)))


def split(centers: np.ndarray, xyz: np.ndarray, capacity: int, bounds: Sequence[float] = ()) -> list[Window]:
    """Cut a cloud into windows of at most `capacity` tokens, by storeys and by planes through their longest sides.

    centers (N, 3) are the tokens, xyz (H, 3) the points, `bounds` ascending heights between storeys; every token is in
    the core of one window, every point in one.
    """
    # Heights between storeys that hold tokens
    bounds = [b for b in bounds if (centers[:, 2] < b).any() and (centers[:, 2] >= b).any()]
    of_tokens, of_points = (np.searchsorted(bounds, p[:, 2], side="right") for p in (centers, xyz))
    edges, found = [-np.inf, *bounds, np.inf], []
    for number in np.unique(of_tokens):
        tokens = np.flatnonzero(of_tokens == number).astype(np.int32)
        points = np.flatnonzero(of_points == number).astype(np.int32)
        parts = _halves(centers, xyz, tokens, points, count_of(len(tokens), capacity))
        height = (float(edges[number]), float(edges[number + 1]))
        found += [_with_neighbors(centers, *part, tokens, capacity, height) for part in parts]
    return found


def _halves(centers, xyz, tokens, points, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split tokens and points by a plane in the ratio of the windows on its sides, and the sides again."""
    if count == 1:
        return [(np.sort(tokens), points)]
    axis = np.ptp(centers[tokens], axis=0).argmax()
    ordered = tokens[np.argsort(centers[tokens, axis], kind="stable")]
    first = len(tokens) * (count // 2) // count
    plane = (centers[ordered[first - 1], axis] + centers[ordered[first], axis]) / 2
    below = xyz[points, axis] <= plane
    lower = _halves(centers, xyz, ordered[:first], points[below], count // 2)
    return lower + _halves(centers, xyz, ordered[first:], points[~below], count - count // 2)


def _with_neighbors(centers, core, points, storey: np.ndarray, capacity: int, height: tuple[float, float]) -> Window:
    """Add the tokens of the storey nearest to the box of a window's own tokens until it is full."""
    low, high, those = centers[core].min(axis=0), centers[core].max(axis=0), centers[storey]
    distance = np.linalg.norm(np.maximum(np.maximum(low - those, those - high), 0), axis=1)
    distance[np.isin(storey, core)] = -1
    tokens = np.sort(storey[np.argsort(distance, kind="stable")[:capacity]]).astype(np.int32)
    return Window(tokens, np.isin(tokens, core), points, height)
