"""Moments of groups of points, such as superpoints."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class GroupMoments(NamedTuple):
    """Of S groups: size (S,), mean (S, 3), covariance (S, 3, 3), mean features (S, 4) float64; min_z, max_z (S,).

    The features are linearity, planarity, scattering and the squared z of the normal. Groups without points have zeros,
    and an infinite min_z and max_z.
    """

    size: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    features: np.ndarray
    min_z: np.ndarray
    max_z: np.ndarray


def group_moments(
    xyz: np.ndarray, normals: np.ndarray, eigen: np.ndarray, groups: np.ndarray
) -> GroupMoments:  # fmt: skip
    """Return the moments of the points of each group; xyz, normals, eigen (H, 3), groups (H,) ids."""
    cloud = (np.ascontiguousarray(a, np.float32) for a in (xyz, normals, eigen))
    sums, min_z, max_z = _sums(*cloud, np.ascontiguousarray(groups, np.int32), int(groups.max()) + 1)
    size = np.maximum(sums[:, 0], 1)
    means = sums[:, 1:] / size[:, None]
    covariance = means[:, [3, 6, 7, 6, 4, 8, 7, 8, 5]].reshape(-1, 3, 3)
    return GroupMoments(size, means[:, :3], covariance, means[:, 9:], min_z, max_z)


@njit(cache=True, nogil=True)
def _sums(xyz, normals, eigen, groups, count):
    """Per group (S, 14): points, sums of x, y, z, about their mean of xx, yy, zz, xy, xz, yz, then of the features."""
    sums = np.zeros((count, 14))
    low, high = np.full(count, np.float32(np.inf)), np.full(count, np.float32(-np.inf))
    for i in range(len(groups)):
        row, z = sums[groups[i]], xyz[i, 2]
        row[0] += 1
        for a in range(3):
            row[1 + a] += xyz[i, a]
            row[10 + a] += eigen[i, a]
        row[13] += normals[i, 2] * normals[i, 2]
        low[groups[i]] = min(low[groups[i]], z)
        high[groups[i]] = max(high[groups[i]], z)
    for i in range(len(groups)):
        row = sums[groups[i]]
        weight = 1 / row[0]
        x, y, z = xyz[i, 0] - row[1] * weight, xyz[i, 1] - row[2] * weight, xyz[i, 2] - row[3] * weight
        row[4] += x * x
        row[5] += y * y
        row[6] += z * z
        row[7] += x * y
        row[8] += x * z
        row[9] += y * z
    return sums, low, high
