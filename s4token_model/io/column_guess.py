"""Arrays without column names: how many columns a file of numbers has, and what its unnamed columns hold."""

from __future__ import annotations

import numpy as np

from s4token_model.io.pointcloud2 import MAX_UNIT

WIDTHS = range(3, 13)  # numbers of columns that are tried
SAMPLES = 20_000  # pairs of values that are compared per width
MIN_ROWS = 64  # fewer tell too little
MAX_VALUES = 1 << 20  # of a file that are looked at
MIN_GAIN = 0.05  # fraction of the mean difference by which another width is better
MIN_SIGMAS = 6.0
TIED = 0.02  # widths whose mean differences are nearer to each other than this are multiples of the right one
MIN_CORRELATION = 0.5  # of the coordinates of neighbors in the file
UNIT = 0.02  # tolerance of the length of a normal
MIN_LEVEL = 64  # that each channel of colors with fractions must exceed somewhere; sizes in meters do not


def likely_width(values: np.ndarray, expected: int) -> int:
    """Return how many columns a flat array of numbers (n,) probably has: `expected` unless another width fits better.

    Two values of one column are more alike than values of different ones: E|a - a'| + E|b - b'| <= 2 E|a - b|, the
    energy distance, whatever the order of the points. So the mean difference of values a multiple of w apart is
    smallest where w is the number of columns. Values are compared by rank, so that units do not matter.
    """
    widths = [w for w in WIDTHS if len(values) % w == 0 and len(values) >= MIN_ROWS * w]
    values = np.nan_to_num(values[:MAX_VALUES], posinf=0.0, neginf=0.0).astype(np.float64)
    ranks = np.unique(values, return_inverse=True)[1].reshape(-1) / max(len(values), 1)
    rng = np.random.default_rng(0)
    means, noise = {}, {}
    for w in widths:
        rows = len(values) // w
        first = rng.integers(0, rows * w, SAMPLES)
        second = (first + w * rng.integers(1, rows, SAMPLES)) % (rows * w)  # another row of the same column
        differences = np.abs(ranks[first] - ranks[second])
        means[w], noise[w] = differences.mean(), differences.std() / np.sqrt(min(SAMPLES, len(values)))
    if not means:
        return expected
    best = min(w for w in means if means[w] <= (1 + TIED) * min(means.values()))
    reference = means.get(expected, max(means.values()))
    if reference - means[best] <= max(MIN_GAIN * reference, MIN_SIGMAS * noise[best]):
        return expected
    return next((w for w in widths if best % w == 0 and w < best and _take_turns(values, w)), best)


def _take_turns(values: np.ndarray, width: int) -> bool:
    """Whether rows of `width` values are points of beams that take turns, of which two look like one longer row.

    Such beams look into nearly the same direction, so x and y of one point go with those of the next.
    """
    pairs = values[: len(values) // (2 * width) * 2 * width].reshape(-1, 2, width)[:, :, :2]
    pairs = pairs - pairs.mean(axis=0, keepdims=True) if len(pairs) else pairs
    products, squares = (pairs[:, 0] * pairs[:, 1]).sum(axis=0), (pairs**2).sum(axis=0)
    return bool((products > MIN_CORRELATION * np.sqrt(squares[0] * squares[1])).all())


def names_of_three(values: np.ndarray) -> list[str]:
    """Return the names of three columns (n, 3) behind x, y and z: colors or normals if they can be, else none.

    Rows that are not finite tell nothing. Colors up to 255 may have fractions, as averages of voxels have.
    """
    values = values[np.isfinite(values).all(axis=1)].astype(np.float64)
    if not len(values):
        return []
    if (values < 0).any():
        lengths = np.linalg.norm(values, axis=1)
        unit = (np.abs(lengths - 1) < UNIT) | (lengths == 0)
        return ["normal_x", "normal_y", "normal_z"] if unit.mean() > 0.5 else []
    top, tops = values.max(), values.max(axis=0)
    are_levels = (values == np.rint(values)).all() and top <= 65535 or (tops > MIN_LEVEL).all() and top <= 255
    return ["red", "green", "blue"] if top <= MAX_UNIT or are_levels else []
