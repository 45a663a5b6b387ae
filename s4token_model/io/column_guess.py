"""Arrays without column names: how many columns a file of numbers has, and what its unnamed columns hold."""

from __future__ import annotations

import numpy as np

WIDTHS = range(3, 13)  # numbers of columns that are tried
SAMPLES = 20_000  # pairs of values that are compared per width
MAX_VALUES = 1 << 20  # of a file that are looked at
MIN_GAIN = 0.05  # fraction of the mean difference by which another width is better
MIN_SIGMAS = 6.0
TIED = 0.02  # widths whose mean differences are nearer to each other than this are multiples of the right one
SAME_SCALE = 8.0  # ratio below which the x of one point and the x of the next are of one kind
UNIT = 0.02  # tolerance of the length of a normal


def likely_width(values: np.ndarray, expected: int) -> int:
    """Return how many columns a flat array of numbers (n,) probably has: `expected` unless another width fits better.

    Two values of one column are more alike than values of different ones: E|a - a'| + E|b - b'| <= 2 E|a - b|, the
    energy distance, whatever the order of the points. So the mean difference of values a multiple of w apart is
    smallest where w is the number of columns. Values are compared by rank, so that units do not matter.
    """
    rows = {w: len(values) // w for w in WIDTHS if len(values) and len(values) % w == 0}
    values = values[:MAX_VALUES]
    ranks = np.unique(np.nan_to_num(values), return_inverse=True)[1].reshape(-1) / max(len(values), 1)
    rng = np.random.default_rng(0)
    first = rng.integers(0, max(len(values), 1), SAMPLES)
    means, noise = {}, {}
    for w in rows:
        if w == expected or w % expected or not _same_scale(values, expected):
            second = first % w + w * rng.integers(0, max(len(values) // w, 1), SAMPLES)
            differences = np.abs(ranks[first] - ranks[np.minimum(second, len(values) - 1)])
            means[w], noise[w] = differences.mean(), differences.std() / np.sqrt(min(SAMPLES, len(values)))
    if not means:
        return expected
    best = min(w for w in means if means[w] <= (1 + TIED) * min(means.values()))
    reference = means.get(expected, max(means.values()))
    gain = reference - means[best]
    return best if gain > max(MIN_GAIN * reference, MIN_SIGMAS * noise[best]) else expected


def _same_scale(values: np.ndarray, width: int) -> bool:
    """Whether x and y of every other row are as large as those between: then rows are not parts of longer ones.

    Beams of a sensor that take turns make the rows of two points look like one, otherwise.
    """
    size = np.abs(np.nan_to_num(values[: len(values) // (2 * width) * 2 * width])).reshape(-1, 2, width)[:, :, :2]
    even, odd = (size[:, i].mean(axis=0) if len(size) else np.zeros(2) for i in (0, 1))
    return bool((np.maximum(even, odd) <= SAME_SCALE * np.minimum(even, odd)).all())


def names_of_three(values: np.ndarray) -> list[str]:
    """Return the names of three columns (n, 3) behind x, y and z: colors or normals if they can be, else none."""
    if not len(values) or not np.isfinite(values).all():
        return []
    if (values < 0).any():
        lengths = np.linalg.norm(values.astype(np.float64), axis=1)
        unit = (np.abs(lengths - 1) < UNIT) | (lengths == 0)
        return ["normal_x", "normal_y", "normal_z"] if unit.mean() > 0.5 else []
    top = values.max()
    are_levels = (values == np.rint(values)).all() and top <= 65535
    return ["red", "green", "blue"] if top <= 1 or are_levels else []
