"""Statistics of groups of points: the moments of superpoints, and the counts and boxes of classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit


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


def group_moments(xyz: np.ndarray, normals: np.ndarray, eigen: np.ndarray, groups: np.ndarray) -> GroupMoments:
    """Return the moments of the points of each group; xyz, normals, eigen (H, 3), groups (H,) ids."""
    cloud = (np.ascontiguousarray(a, np.float32) for a in (xyz, normals, eigen))
    sums, min_z, max_z = _sums(*cloud, np.ascontiguousarray(groups, np.int32), int(groups.max()) + 1)
    size = np.maximum(sums[:, 0], 1)
    means = sums[:, 1:] / size[:, None]
    covariance = means[:, [3, 6, 7, 6, 4, 8, 7, 8, 5]].reshape(-1, 3, 3)
    return GroupMoments(size, means[:, :3], covariance, means[:, 9:], min_z, max_z)


@njit(nogil=True)
def group_boxes(xyz, groups, count):
    """Return the lower and the upper corners of the boxes of groups 0..count-1, (count, 3) each; inverted if empty."""
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    for i in range(len(groups)):
        for a in range(3):
            low[groups[i], a] = min(low[groups[i], a], xyz[i, a])
            high[groups[i], a] = max(high[groups[i], a], xyz[i, a])
    return low, high


class GroupPoints(NamedTuple):
    """The n finite points of a cloud that belong to one of G groups."""

    index: np.ndarray  # (n,) int32, index into the cloud
    xyz: np.ndarray  # (n, 3) float64
    group: np.ndarray  # (n,) int32
    low: np.ndarray  # (G, 3) float64, lower corner of the box around the points of each group, inf if empty
    high: np.ndarray  # (G, 3) float64, upper corner, -inf if empty


@njit(nogil=True)
def points_of_groups(xyz, labels, group_of_label, count):
    """Return the GroupPoints of a cloud xyz (H, 3) by the groups 0..count-1, or -1, of its labels (H,).

    Labels beyond the last of group_of_label (C,) int32 are of no group.
    """
    index, points, group = np.empty(len(labels), np.int32), np.empty((len(labels), 3)), np.empty(len(labels), np.int32)
    low, high, found = np.full((count, 3), np.inf), np.full((count, 3), -np.inf), 0
    for i in range(len(labels)):
        g = group_of_label[labels[i]] if labels[i] < len(group_of_label) else -1
        if g < 0 or not np.isfinite(xyz[i, 0] + xyz[i, 1] + xyz[i, 2]):
            continue
        for a in range(3):
            points[found, a] = xyz[i, a]
            low[g, a], high[g, a] = min(low[g, a], xyz[i, a]), max(high[g, a], xyz[i, a])
        index[found], group[found] = i, g
        found += 1
    return GroupPoints(index[:found].copy(), points[:found].copy(), group[:found].copy(), low, high)


@njit(nogil=True)
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


class ClassStatistics(NamedTuple):
    """Points, position and confidence of C classes; means are zero and boxes empty (inf, -inf) without points."""

    counts: np.ndarray  # (C,) int64, points of each class
    centroid: np.ndarray  # (C, 3) float64, mean of its points
    low: np.ndarray  # (C, 3) float64, lower corner of the axis-aligned box around its points
    high: np.ndarray  # (C, 3) float64, upper corner
    confidence: np.ndarray  # (C,) float64, mean confidence of its points


@njit(nogil=True)
def class_statistics(labels, confidence, xyz, classes):
    """Return ClassStatistics of labels (H,) unsigned, confidence (H,), xyz (H, 3); labels >= `classes` are skipped."""
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
