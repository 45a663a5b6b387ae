"""A spatial index made for whole clouds: points in Morton order, cut into blocks, boxes over blocks of blocks.

Both exact searches of the pipeline run on it: the nearest neighbors of all points (here) and farthest point sampling.
Blocks hold equal numbers of points, so dense and sparse regions cost the same, and a block's coordinates lie side by
side in memory.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numba import njit

from s4token_model.kernels import simd
from s4token_model.kernels.parallel import parallel_for

BLOCK = simd.LANES  # points per block
FANOUT = simd.LANES  # boxes looked at together
HUGE = np.float32(3e38)  # above every distance; that to an empty box is infinite
SLACK = 4  # candidates above k that a point may keep
BITS = 21  # of a coordinate in a Morton code
FAST = {"cache": True, "nogil": True}


@dataclass(frozen=True)
class Blocks:
    """A cloud of H points in blocks.

    order (H,) int32, index into the cloud of each sorted point; xyz (3, ...) float32 sorted coordinates, the last block
    filled up with inf; low, high (3, 2L) float32, boxes of an implicit binary tree, L >= 16: node 1 is the root, node n
    has the children 2n and 2n + 1, hence 16n..16n + 15 four levels down, node L + b is block b; an empty node's box is
    inverted.
    """

    order: np.ndarray
    xyz: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def sorted(self) -> Blocks:
        """The same blocks of the cloud in their order."""
        return dataclasses.replace(self, order=np.arange(len(self.order), dtype=np.int32))

    def points(self) -> np.ndarray:
        """The cloud in their order, (H, 3) float32."""
        return np.ascontiguousarray(self.xyz[:, : len(self.order)].T)


def build(xyz: np.ndarray) -> Blocks:
    """Index a cloud (H, 3) of finite float32 points, H >= 1."""
    xyz = np.ascontiguousarray(xyz, np.float32)
    low, high = _bounds(xyz)
    extent = np.float64((high - low).max()) or 1.0
    order = radix_argsort(_codes(xyz, low, extent))
    ordered = _gathered(xyz, order, -(-len(xyz) // BLOCK) * BLOCK)
    return Blocks(order, ordered, *_boxes(ordered, len(xyz)))


def nearest_all(blocks: Blocks, k: int) -> np.ndarray:
    """Return (H, min(k, H)) int32: the nearest points of each point, itself included, nearest first.

    Exact for squared distances in float32; among equal distances the lowest index comes first, except that of more than
    k coincident points any k may be taken.
    """
    places = nearest_places(blocks, k)
    found = np.empty_like(places)
    found[blocks.order] = blocks.order[places]
    return found


def nearest_places(blocks: Blocks, k: int) -> np.ndarray:
    """As nearest_all, but places in the sorted cloud of those of each place."""
    count = len(blocks.order)
    found = np.empty((count, min(k, count)), np.int32)
    parallel_for(
        lambda a, b: _search(a, b, blocks.order, blocks.xyz, blocks.low, blocks.high, found), -(-count // BLOCK), 256
    )
    return found


@njit(**FAST)
def _spread_bits(value):
    """The low 21 bits of an integer, two zeros after each."""
    value = (value | (value << 32)) & 0x1F00000000FFFF
    value = (value | (value << 16)) & 0x1F0000FF0000FF
    value = (value | (value << 8)) & 0x100F00F00F00F00F
    value = (value | (value << 4)) & 0x10C30C30C30C30C3
    return (value | (value << 2)) & 0x1249249249249249


@njit(**FAST)
def _bounds(xyz):
    low, high = xyz[0].copy(), xyz[0].copy()
    for i in range(1, len(xyz)):
        for a in range(3):
            low[a], high[a] = min(low[a], xyz[i, a]), max(high[a], xyz[i, a])
    return low, high


@njit(**FAST)
def _gathered(xyz, order, width):
    ordered = np.full((3, width), np.float32(np.inf))
    for i in range(len(order)):
        for a in range(3):
            ordered[a, i] = xyz[order[i], a]
    return ordered


@njit(**FAST)
def grouped(groups, count):
    """Indices (H,) int32 of the points sorted by group 0..count-1, by a stable counting sort."""
    cursor = np.zeros(count + 1, np.int64)
    for i in range(len(groups)):
        cursor[groups[i] + 1] += 1
    cursor = np.cumsum(cursor)
    order = np.empty(len(groups), np.int32)
    for i in range(len(groups)):
        order[cursor[groups[i]]] = i
        cursor[groups[i]] += 1
    return order


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
def radix_argsort(codes):
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
    leaves = FANOUT
    while leaves * BLOCK < count:
        leaves *= 2
    low = np.full((3, 2 * leaves), np.inf, np.float32)
    high = np.full((3, 2 * leaves), -np.inf, np.float32)
    for axis in range(3):
        for i in range(count):
            node = leaves + i // BLOCK
            low[axis, node] = min(low[axis, node], xyz[axis, i])
            high[axis, node] = max(high[axis, node], xyz[axis, i])
        for node in range(leaves - 1, 0, -1):
            low[axis, node] = min(low[axis, 2 * node], low[axis, 2 * node + 1])
            high[axis, node] = max(high[axis, 2 * node], high[axis, 2 * node + 1])
    return low, high


@njit(**FAST)
def _search(begin, end, order, xyz, low, high, found):
    """Neighbors of the points of the blocks begin..end-1, a block at a time; rows and entries of `found` are places.

    First come the four blocks around, so that distances are bounded early, then the tree is walked up from there. A
    block is looked into by those points whose list it may still change.
    """
    count, k = order.shape[0], found.shape[1]
    leaves, blocks = low.shape[1] // 2, (count + BLOCK - 1) // BLOCK
    room = (k + 3 * BLOCK - 1) // BLOCK * BLOCK  # candidates of one point, the block looked into included
    squared, place = np.empty(BLOCK * room, np.float32), np.empty(BLOCK * room, np.int32)
    filled, limit = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.float32)
    spare, spare_place = np.empty(k, np.float32), np.empty(k, np.int32)
    index, lists = (order, xyz, low, high), (squared, place, filled, limit, spare, spare_place)
    base, waiting = (
        np.empty(16, np.int64),
        np.empty(16, np.int64),
    )  # the walk's stack: boxes, those to visit
    for block in range(begin, end):
        own, first = leaves + block, block * BLOCK
        size = min(BLOCK, count - first)
        filled[:] = 0
        limit[:size] = np.inf
        limit[size:] = -1  # reaches nothing
        worst = HUGE
        node, level, around = own, leaves, True
        base[0] = own // 4 * 4
        waiting[0] = (1 << min(4, blocks + leaves - base[0])) - 1
        while True:
            depth = 0
            while depth >= 0:
                if waiting[depth] == 0:
                    depth -= 1
                    continue
                entry = base[depth] + simd.lowest(waiting[depth])
                waiting[depth] &= waiting[depth] - 1
                if entry < leaves:
                    depth += 1
                    base[depth] = FANOUT * entry
                    waiting[depth] = simd.near_boxes(low, high, own, FANOUT * entry, worst)
                elif _look(entry, first, k, room, index, lists):
                    worst = limit[0]
                    for q in range(1, size):
                        worst = max(worst, limit[q])
                    worst = min(worst, HUGE)
            if around:
                around, done = False, np.int64(15) << (own // 4 * 4 % FANOUT)
            elif level <= FANOUT:
                break
            else:
                node, level = node // FANOUT, level // FANOUT
                done = np.int64(1) << (node % FANOUT)
            base[0] = max(node // FANOUT * FANOUT, level)
            done >>= base[0] % FANOUT
            waiting[0] = simd.near_boxes(low, high, own, base[0], worst) & ((1 << min(FANOUT, level)) - 1) & ~done
        for q in range(size):
            n = filled[q]
            if n > k + SLACK:
                n = _thin(squared, place, q * room, n, k, max(limit[q], np.float32(0)))[0]
            n = _sort(squared, place, q * room, n, k, order, spare, spare_place)
            for j in range(k):
                found[first + q, j] = place[q * room + j] if j < n else first + q


@njit(**FAST, inline="always")
def _look(node, first, k, room, index, lists):
    """Append the points of a block's node to the candidates of the points first..first+15; whether a limit fell."""
    order, xyz, low, high = index
    squared, place, filled, limit, spare, spare_place = lists
    start = (node - low.shape[1] // 2) * BLOCK
    inside = (1 << min(BLOCK, len(order) - start)) - 1
    rows, fell = simd.reached(xyz, first, low, high, node, limit), False
    while rows:
        q = simd.lowest(rows)
        rows &= rows - 1
        last = q * room + filled[q]
        simd.distances(xyz, start, xyz[0, first + q], xyz[1, first + q], xyz[2, first + q], squared, last)
        near = simd.at_most(squared, last, limit[q]) & inside
        filled[q] += simd.bits(near)
        if near == (1 << BLOCK) - 1:
            simd.count_up(place, last, start)
        else:
            source = last
            while near:
                j = simd.lowest(near)
                near &= near - 1
                squared[last], place[last] = squared[source + j], start + j
                last += 1
        if filled[q] > room - BLOCK:
            filled[q], limit[q] = _thin(squared, place, q * room, filled[q], k, limit[q])
            if filled[q] > room - BLOCK:  # many at one distance
                filled[q] = _sort(squared, place, q * room, filled[q], k, order, spare, spare_place)
                limit[q] = spare[k - 1]
            if limit[q] == 0:
                limit[q] = -1
            fell = True
    return fell


@njit(**FAST)
def _thin(squared, place, base, n, k, limit):
    """Drop far ones of the candidates base..base+n-1, but none of the k nearest: how many are left, their bound.

    Bisects the bound until it holds little more than k.
    """
    low, high = np.float32(0), limit
    if not limit < np.inf:
        high = squared[base]
        for i in range(base + 1, base + n):
            high = max(high, squared[i])
    for _ in range(12):
        middle, inside = np.float32(0.5) * (low + high), 0
        for i in range(base, base + n, BLOCK):
            inside += simd.bits(_valid(simd.at_most(squared, i, middle), base + n - i))
        if inside < k:
            low = middle
            continue
        high = middle
        if inside <= k + SLACK:
            break
    kept = base
    for i in range(base, base + n, BLOCK):
        inside = _valid(simd.at_most(squared, i, high), base + n - i)
        while inside:
            j = i + simd.lowest(inside)
            inside &= inside - 1
            squared[kept], place[kept] = squared[j], place[j]
            kept += 1
    return kept - base, high


@njit(**FAST, inline="always")
def _valid(mask, count):
    return mask & ((1 << min(count, BLOCK)) - 1)


@njit(**FAST)
def _sort(squared, place, base, n, k, order, spare, spare_place):
    """Bring the k nearest of the candidates base..base+n-1 to the front, sorted; how many there are.

    The rank of each is the number of smaller ones; only where two share a rank the indices in the cloud decide.
    """
    kept, placed = min(n, k), 0
    squared[base + n : base + (n + BLOCK - 1) // BLOCK * BLOCK] = np.inf
    spare_place[:] = -1
    for j in range(base, base + n):
        rank = 0
        for i in range(base, base + n, BLOCK):
            rank += simd.bits(simd.below(squared, i, squared[j]))
        if rank < kept:
            spare[rank], spare_place[rank] = squared[j], place[j]
            placed += 1
    tied = placed > kept
    for j in range(kept):
        tied |= spare_place[j] < 0
    if tied:
        for j in range(base, base + n):
            rank = 0
            for i in range(base, base + n):
                same = squared[i] == squared[j] and order[place[i]] < order[place[j]]
                rank += squared[i] < squared[j] or same
            if rank < kept:
                spare[rank], spare_place[rank] = squared[j], place[j]
    squared[base : base + kept] = spare[:kept]
    place[base : base + kept] = spare_place[:kept]
    return kept


@njit(**FAST, inline="always")
def box_distance(low, high, node, x, y, z):
    """Squared distance in float32 from a point to a box, 0 inside.

    Rounding is monotonic, so this never exceeds the squared distance to a point of the box computed the same way.
    """
    zero = np.float32(0)
    dx = max(low[0, node] - x, x - high[0, node], zero)
    dy = max(low[1, node] - y, y - high[1, node], zero)
    dz = max(low[2, node] - z, z - high[2, node], zero)
    return dx * dx + dy * dy + dz * dz
