"""Sorting kernels: counting sort by group, radix argsort of integers, lexicographic argsort of points, k smallest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.kernels.kernel_cache import njit

KEY_BITS = 63  # of the keys of radix_argsort
DIGIT_BITS = 11
MAX_RUN = 64  # points with one x that are sorted by insertion
LANES = 16  # candidates that are compared at once
SLACK = 4  # candidates beyond k that a limit may keep
ESTIMATES, STEPS = 6, 48  # of a limit: by interpolation, and in all; bisection of the bits needs up to 32
TINY, HUGE = np.float32(1e-37), np.float32(3e38)  # HUGE is above every distance, below the infinite one to an empty box
FAST = {"nogil": True}
COUNTS = {**FAST, "error_model": "numpy", "fastmath": {"reassoc", "nsz"}}  # counts in float32, exact in any order


class Candidates(NamedTuple):
    """Working memory: candidate neighbors of one point."""

    squared: np.ndarray  # (GROUP * BLOCK,) float32, distances of all points of a group of blocks
    slot: np.ndarray  # (GROUP * BLOCK,) int32, where those within the limit are
    distance: np.ndarray  # (room,) float32, squared distances of the candidates
    index: np.ndarray  # (room,) int32, their indices in the cloud
    rank: np.ndarray  # (room,) float32, how many of them are nearer
    sorted_distance: np.ndarray  # (k,) float32, the nearest ones, nearest first
    sorted_index: np.ndarray  # (k,) int32


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


@njit(**COUNTS)
def _count(squared, limit):
    count = np.float32(0)
    for i in range(len(squared)):
        count += np.float32(1) if squared[i] <= limit else np.float32(0)
    return count


@njit(**COUNTS)
def limit_of(squared, k, guess):
    """Return a limit that holds k to k + SLACK of the squared distances, more if some agree; HUGE if there are fewer.

    On a surface the number of points grows like the squared distance, so interpolation hits within a few steps.
    """
    low, high, below, inside = np.float32(0), HUGE, np.float32(0), _count(squared, HUGE)
    middle = min(max(guess, TINY), HUGE)
    for step in range(STEPS if inside >= k else 0):
        count = _count(squared, middle)
        if count < k:
            low, below = middle, count
        else:
            high, inside = middle, count
        if inside <= k + SLACK or high <= TINY:
            break
        middle = np.float32(low + (high - low) * ((k + SLACK // 2 - below) / (inside - below)))
        if step >= ESTIMATES or high == HUGE or not low < middle < high:
            bits = np.int64(np.float32(low).view(np.int32)) + np.float32(high).view(np.int32)
            middle = np.int32(bits >> 1).view(np.float32)
            if not low < middle < high:
                break
    return np.float32(0) if high <= TINY and _count(squared, 0) >= k else high


@njit(**COUNTS)
def sort_nearest(candidates, n, k):
    """Sort the k nearest of n candidates by distance, then index; return how many there are."""
    end = (n + LANES - 1) // LANES * LANES
    distance, index, rank = candidates.distance[:end], candidates.index[:end], candidates.rank[:end]
    distance[n:], rank[:] = np.inf, 0
    for j in range(n):
        nearer = distance[j]
        for c in range(len(rank)):
            rank[c] += np.float32(1) if nearer < distance[c] else np.float32(0)
    total = np.float32(0)
    for c in range(n):
        total += rank[c]
    if total < n * (n - 1) // 2:  # equal distances
        for j in range(n):
            for c in range(n):
                rank[c] += distance[j] == distance[c] and index[j] < index[c]
    for c in range(n):
        r = int(rank[c])
        if r < k:
            candidates.sorted_distance[r], candidates.sorted_index[r] = distance[c], index[c]
    return min(n, k)
