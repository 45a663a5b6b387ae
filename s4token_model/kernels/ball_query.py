"""Ball queries: the points within a radius of each center, a fixed number of them, padded with -1."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for

FAST = {"nogil": True}


def ball_query(xyz: np.ndarray, centers: np.ndarray, radius: float, width: int) -> np.ndarray:
    """Return (N, width) int32: points (H, 3) float32 within `radius` of each center (N, 3), spread over their order."""
    columns = np.ascontiguousarray(xyz.T, np.float32)
    index, jitter = np.full((len(centers), width), -1, np.int32), np.full(width, 0.5, np.float32)
    limit = np.float32(radius) * np.float32(radius)
    parallel_for(lambda a, b: _ball(a, b, columns, centers, limit, jitter, index), len(centers), 32)
    return index


def ball_query_in_group(
    xyz: np.ndarray, groups: np.ndarray, centers: np.ndarray, radius: float, members: tuple[np.ndarray, np.ndarray],
    jitter: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Find the points within a radius of each center that share its group.

    Args:
        xyz, groups: (H, 3) float32 and (H,) group of each point.
        centers: (N,) indices of the centers.
        radius: in the unit of xyz; inf takes the whole group.
        members: points ordered by group and where each group starts, as `sort_by_group` returns them.
        jitter: (N, M) float32 in [0, 1), see `keep_spread`, which makes the (N, M) int32 indices returned.
    """
    index, limit = np.full(jitter.shape, -1, np.int32), np.float32(radius) ** 2
    lists = centers, groups[centers].astype(np.int32), *members
    parallel_for(lambda a, b: _ball_in_group(a, b, xyz, lists, limit, jitter, index), len(centers), 32)
    return index


@njit(**FAST)
def keep_spread(found, starts, jitter):
    """Return (N, M) int32 for N lists found[starts[t]:starts[t + 1]]: each list, or M of its entries, padded with -1.

    A list longer than M is cut into M equal parts, and of part j the entry at the fraction jitter[t, j] is kept.
    """
    index = np.full(jitter.shape, -1, np.int32)
    for row in range(len(jitter)):
        _spread(found, starts[row], starts[row + 1] - starts[row], jitter[row], index[row])
    return index


@njit(**FAST)
def _ball(begin, end, xyz, centers, limit, jitter, index):
    found = np.empty(xyz.shape[1] + 1, np.int32)
    for row in range(begin, end):
        x, y, z, total = centers[row, 0], centers[row, 1], centers[row, 2], 0
        for i in range(xyz.shape[1]):  # written first, counted if inside, so that no branch is needed
            dx, dy, dz = xyz[0, i] - x, xyz[1, i] - y, xyz[2, i] - z
            found[total] = i
            total += dx * dx + dy * dy + dz * dz <= limit
        _spread(found, 0, total, jitter, index[row])


@njit(**FAST)
def _ball_in_group(begin, end, xyz, lists, limit, jitter, index):
    points, groups, order, starts = lists
    found = np.empty(len(order) + 1, np.int32)
    for row in range(begin, end):
        x, y, z = xyz[points[row], 0], xyz[points[row], 1], xyz[points[row], 2]
        total = 0
        for position in range(starts[groups[row]], starts[groups[row] + 1]):
            i = order[position]
            dx, dy, dz = xyz[i, 0] - x, xyz[i, 1] - y, xyz[i, 2] - z
            found[total] = i
            total += dx * dx + dy * dy + dz * dz <= limit
        _spread(found, 0, total, jitter[row], index[row])


@njit(**FAST)
def _spread(found, start, total, jitter, out):
    """Write found[start:start + total] to `out`, or one entry of each of len(out) equal parts if that is longer."""
    width = len(out)
    if total <= width:
        for j in range(total):  # a slice into a slice would compile for seconds, with the text of an error
            out[j] = found[start + j]
        return
    last = -1
    for j in range(width):  # an entry that two parts share goes to the first
        last = min(max(int((j + jitter[j]) * total / width), last + 1), total - 1)
        out[j] = found[start + last]
