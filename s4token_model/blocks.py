"""A spatial index made for whole clouds: points in Morton order, cut into blocks, boxes over blocks of blocks.

Both exact searches of the pipeline run on it: the nearest neighbours of all points (here) and farthest point sampling.
Blocks hold equal numbers of points, so dense and sparse regions cost the same, and a block's coordinates lie side by
side in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from s4token_model.threads import workers

BLOCK = 16  # points per block
BITS = 21  # of a coordinate in a Morton code
FAST = {"cache": True, "nogil": True}


@dataclass(frozen=True)
class Blocks:
    """A cloud of H points in blocks.

    order (H,) int32, index into the cloud of each sorted point; xyz (3, ...) float32 sorted coordinates, the last block
    filled up with inf; low, high (2L, 3) float32, boxes of an implicit binary tree: node 1 is the root, node n has the
    children 2n and 2n + 1, node L + b is block b; an empty node's box is inverted.
    """

    order: np.ndarray
    xyz: np.ndarray
    low: np.ndarray
    high: np.ndarray


def build(xyz: np.ndarray) -> Blocks:
    """Index a cloud (H, 3) of finite float32 points, H >= 1."""
    xyz = np.ascontiguousarray(xyz, np.float32)
    low = xyz.min(axis=0)
    extent = np.float64((xyz - low).max()) or 1.0
    order = _sorted(_codes(xyz, low, extent))
    ordered = np.full((3, -(-len(xyz) // BLOCK) * BLOCK), np.inf, np.float32)
    ordered[:, : len(xyz)] = xyz[order].T
    return Blocks(order, ordered, *_boxes(ordered, len(xyz)))


def nearest_all(blocks: Blocks, k: int) -> np.ndarray:
    """Return (H, min(k, H)) int32: the nearest points of each point, itself included, nearest first.

    Exact for squared distances in float32; among equal distances the lowest index comes first, except that of more than
    k coincident points any k may be taken.
    """
    count = len(blocks.order)
    found = np.empty((count, min(k, count)), np.int32)
    in_threads(
        lambda a, b: _nearest(a, b, blocks.order, blocks.xyz, blocks.low, blocks.high, found), -(-count // BLOCK), 256
    )
    return found


def in_threads(work: Callable[[int, int], object], count: int, least: int = 4096) -> None:
    """Call work(start, stop) on parts of range(count), one per processor; `work` must release the GIL."""
    parts = max(1, min(workers(), count // least))
    if parts == 1:
        work(0, count)
        return
    limits = np.linspace(0, count, parts + 1).astype(np.int64)
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, limits[:-1].tolist(), limits[1:].tolist()))


@njit(**FAST)
def _spread_bits(value):
    """The low 21 bits of an integer, two zeros after each."""
    value = (value | (value << 32)) & 0x1F00000000FFFF
    value = (value | (value << 16)) & 0x1F0000FF0000FF
    value = (value | (value << 8)) & 0x100F00F00F00F00F
    value = (value | (value << 4)) & 0x10C30C30C30C30C3
    return (value | (value << 2)) & 0x1249249249249249


@njit(**FAST)
def _codes(xyz, low, extent):
    codes = np.empty(len(xyz), np.int64)
    scale = (2**BITS - 1) / extent
    for i in range(len(xyz)):
        code = 0
        for a in range(3):
            cell = np.int64((np.float64(xyz[i, a]) - low[a]) * scale)
            code |= _spread_bits(min(max(cell, 0), 2**BITS - 1)) << a
        codes[i] = code
    return codes


@njit(**FAST)
def _sorted(codes):
    """The stable order of codes >= 0, int32: a radix sort over digits of 11 bits, several times faster than argsort."""
    count = len(codes)
    order, spare = np.arange(count).astype(np.int32), np.empty(count, np.int32)
    keys, moved = codes.copy(), np.empty(count, np.int64)
    for shift in range(0, 3 * BITS, 11):
        place = np.zeros(2049, np.int64)
        for i in range(count):
            place[((keys[i] >> shift) & 2047) + 1] += 1
        if place.max() == count:  # one digit for all
            continue
        place = np.cumsum(place)
        for i in range(count):
            digit = (keys[i] >> shift) & 2047
            spare[place[digit]], moved[place[digit]] = order[i], keys[i]
            place[digit] += 1
        order, spare = spare, order
        keys, moved = moved, keys
    return order


@njit(**FAST)
def _boxes(xyz, count):
    leaves = 1
    while leaves * BLOCK < count:
        leaves *= 2
    low = np.full((2 * leaves, 3), np.inf, np.float32)
    high = np.full((2 * leaves, 3), -np.inf, np.float32)
    for i in range(count):
        node = leaves + i // BLOCK
        for a in range(3):
            low[node, a] = min(low[node, a], xyz[a, i])
            high[node, a] = max(high[node, a], xyz[a, i])
    for node in range(leaves - 1, 0, -1):
        for a in range(3):
            low[node, a] = min(low[2 * node, a], low[2 * node + 1, a])
            high[node, a] = max(high[2 * node, a], high[2 * node + 1, a])
    return low, high


@njit(**FAST, inline="always")
def box_distance(low, high, node, x, y, z):
    """Squared distance in float32 from a point to a box, 0 inside.

    Rounding is monotonic, so this never exceeds the squared distance to a point of the box computed the same way.
    """
    zero = np.float32(0)
    dx = max(low[node, 0] - x, x - high[node, 0], zero)
    dy = max(low[node, 1] - y, y - high[node, 1], zero)
    dz = max(low[node, 2] - z, z - high[node, 2], zero)
    return dx * dx + dy * dy + dz * dz


@njit(**FAST)
def _nearest(begin, end, order, xyz, low, high, found):
    """Neighbours of the points of the blocks begin..end-1, a block at a time.

    The tree is walked once per block, up from the block itself; a box is looked into by those points of the block whose
    list it may still change.
    """
    count, k = order.shape[0], found.shape[1]
    leaves = low.shape[0] // 2
    best, at = np.empty((BLOCK, k), np.float32), np.empty((BLOCK, k), np.int32)
    distance = np.empty(BLOCK, np.float32)
    stack = np.empty(64, np.int64)
    for block in range(begin, end):
        own, first = leaves + block, block * BLOCK
        size = min(BLOCK, count - first)
        best[:] = np.inf
        worst = np.float32(np.inf)
        node = own
        stack[0], top = own, 0
        while True:
            while top >= 0:
                entry = stack[top]
                top -= 1
                if _apart(low, high, own, entry) > worst or worst == 0:
                    continue
                if entry >= leaves:
                    _scan(entry, first, size, order, xyz, low, high, distance, best, at)
                    worst = best[0, k - 1]
                    for q in range(1, size):
                        worst = max(worst, best[q, k - 1])
                    continue
                near, far = 2 * entry, 2 * entry + 1
                if _apart(low, high, own, far) < _apart(low, high, own, near):
                    near, far = far, near
                stack[top + 1], stack[top + 2] = far, near
                top += 2
            if node == 1:
                break
            stack[0], top = node ^ 1, 0
            node //= 2
        for q in range(size):
            row = order[first + q]
            for j in range(k):
                found[row, j] = at[q, j]


@njit(**FAST, inline="always")
def _apart(low, high, a, b):
    """Squared distance between two boxes, never above that of two of their points (see box_distance)."""
    total = np.float32(0)
    for axis in range(3):
        gap = max(low[a, axis] - high[b, axis], low[b, axis] - high[a, axis], np.float32(0))
        total += gap * gap
    return total


@njit(**FAST, inline="always")
def _scan(node, first, size, order, xyz, low, high, distance, best, at):
    """Enter the points of a block's node into the sorted lists of the points first..first+size-1."""
    k = best.shape[1]
    start = (node - low.shape[0] // 2) * BLOCK
    entries = min(BLOCK, order.shape[0] - start)
    for q in range(size):
        x, y, z = xyz[0, first + q], xyz[1, first + q], xyz[2, first + q]
        worst = best[q, k - 1]
        if box_distance(low, high, node, x, y, z) > worst or worst == 0:
            continue
        for j in range(BLOCK):  # the last block is filled up with points at infinity
            dx, dy, dz = xyz[0, start + j] - x, xyz[1, start + j] - y, xyz[2, start + j] - z
            distance[j] = dx * dx + dy * dy + dz * dz
        for j in range(entries):
            d = distance[j]
            if d <= worst:
                index, place = order[start + j], k - 1
                if d == worst and at[q, place] < index:
                    continue
                while place > 0 and best[q, place - 1] >= d:
                    if best[q, place - 1] == d and at[q, place - 1] < index:
                        break
                    best[q, place], at[q, place] = best[q, place - 1], at[q, place - 1]
                    place -= 1
                best[q, place], at[q, place] = d, index
                worst = best[q, k - 1]
