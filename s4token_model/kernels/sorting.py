"""Sorting kernels: counting sort by group, radix argsort of integers, lexicographic argsort of points."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit

KEY_BITS = 63  # of the keys of radix_argsort
DIGIT_BITS = 11
MAX_RUN = 64  # points with one x that are sorted by insertion
FAST = {"nogil": True}


@njit(**FAST)
def sort_by_group(groups, count):
    """Return (H,) int32, the points ordered by group 0..count-1, and (count + 1,) int64, where each group starts."""
    starts = np.zeros(count + 1, np.int64)
    for i in range(len(groups)):
        starts[groups[i] + 1] += 1
    starts = np.cumsum(starts)
    cursor, order = starts.copy(), np.empty(len(groups), np.int32)
    for i in range(len(groups)):
        order[cursor[groups[i]]] = i
        cursor[groups[i]] += 1
    return order, starts


@njit(**FAST)
def radix_argsort(keys):
    """Return the stable order (H,) int32 of int64 keys >= 0; several times faster than np.argsort."""
    count, buckets = len(keys), 1 << DIGIT_BITS
    order, next_order = np.arange(count).astype(np.int32), np.empty(count, np.int32)
    keys, next_keys = keys.copy(), np.empty(count, np.int64)
    for shift in range(0, KEY_BITS, DIGIT_BITS):
        cursor = np.zeros(buckets + 1, np.int64)
        for i in range(count):
            cursor[((keys[i] >> shift) & (buckets - 1)) + 1] += 1
        if cursor.max() == count:  # all keys share this digit
            continue
        cursor = np.cumsum(cursor)
        for i in range(count):
            digit = (keys[i] >> shift) & (buckets - 1)
            next_order[cursor[digit]], next_keys[cursor[digit]] = order[i], keys[i]
            cursor[digit] += 1
        order, next_order = next_order, order
        keys, next_keys = next_keys, keys
    return order


def argsort_points(points: np.ndarray) -> np.ndarray | None:
    """Return np.lexsort's order (H,) int64 of finite float32 points by x, y, z, index; None if many share an x."""
    x = np.ascontiguousarray(points[:, 0]) + np.float32(0)  # -0 becomes 0
    order = radix_argsort(_float_keys(x.view(np.uint32))).astype(np.int64)
    return order if _sort_runs(points, order) else None


@njit(**FAST)
def _float_keys(bits):
    """Integers >= 0, int64, in the order of the float32 numbers with these bits."""
    keys = np.empty(len(bits), np.int64)
    for i in range(len(bits)):
        keys[i] = ~bits[i] if bits[i] >> np.uint32(31) else bits[i] | np.uint32(0x80000000)
    return keys


@njit(**FAST)
def _sort_runs(points, order):
    """Sort runs of points with one x by y, z, index, in place; False if a run is longer than MAX_RUN."""
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and points[order[end], 0] == points[order[begin], 0]:
            continue
        if end - begin > MAX_RUN:
            return False
        for i in range(begin + 1, end):
            point, slot = order[i], i
            while slot > begin and _comes_after(points, order[slot - 1], point):
                order[slot] = order[slot - 1]
                slot -= 1
            order[slot] = point
        begin = end
    return True


@njit(**FAST, inline="always")
def _comes_after(points, a, b):
    """Whether point a comes after point b of the same x, by y, then z, then index."""
    if points[a, 1] != points[b, 1]:
        return points[a, 1] > points[b, 1]
    if points[a, 2] != points[b, 2]:
        return points[a, 2] > points[b, 2]
    return a > b
