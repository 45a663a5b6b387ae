"""A hash map of voxels, each with a decayed mean of class scores; when full, the voxel seen longest ago is dropped.

Voxels are numbered as they come. Two arrays chain them in the order of their last vote, so that a vote and the removal
of the oldest voxel take constant time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.constants import NO_SUPERPOINT
from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.voxels import HASH_FACTOR

FAST = {"nogil": True}
INLINE = {**FAST, "inline": "always"}
AXIS_BITS = 21  # of a voxel's coordinate in its key
HALF_AXIS = 2 ** (AXIS_BITS - 1)
NONE = -1  # no voxel, cell or label
NEWEST, OLDEST, COUNT = 0, 1, 2  # indices into VoteTable.ends


class VoteTable(NamedTuple):
    """Room for V voxels and their scores of C classes."""

    slots: np.ndarray  # (T,) int32, 1 + the voxel, 0 if free; T is a power of two, at least 2 V
    keys: np.ndarray  # (V,) int64
    newer: np.ndarray  # (V,) int32, the voxel whose last vote came next, NONE for the newest
    older: np.ndarray  # (V,) int32, the voxel whose last vote came before, NONE for the oldest
    ends: np.ndarray  # (3,) int64: the newest voxel, the oldest, and the number of voxels
    stamps: np.ndarray  # (V,) float64, of the last vote [s]
    weights: np.ndarray  # (V,) float32, the number of votes as decayed at that stamp
    labels: np.ndarray  # (V,) int32, the class of the last label, NONE before
    means: np.ndarray  # (V, C) float32, decayed mean of the scores


class Cells(NamedTuple):
    """The n pairs of a voxel and a superpoint that have points in a sweep."""

    keys: np.ndarray  # (n,) int64, of the voxel
    superpoint: np.ndarray  # (n,) int32
    fraction: np.ndarray  # (n,) float32, of the voxel's points that belong to the superpoint


def empty_table(voxels: int, classes: int) -> VoteTable:
    """Return a table without voxels; the operating system gives it memory as it fills."""
    keys, ends = np.zeros(voxels, np.int64), np.array([NONE, NONE, 0], np.int64)
    newer, older, labels = (np.zeros(voxels, np.int32) for _ in range(3))
    votes = np.zeros(voxels), np.zeros(voxels, np.float32), labels, np.zeros((voxels, classes), np.float32)
    return VoteTable(np.zeros(_power_of_two(2 * voxels), np.int32), keys, newer, older, ends, *votes)


@njit(**FAST)
def _power_of_two(minimum):
    power = 1
    while power < minimum:
        power *= 2
    return power


@njit(**FAST)
def cells_of(xyz, superpoints, rotation, offset, size):
    """Return (H,) int32, the cell of each point, and Cells; NONE for points without a superpoint (2^32 - 1).

    Voxels have edges of `size`; a point is at rotation (3, 3) @ xyz[i] (3,) + offset (3,), in float64.
    """
    count, slots = len(xyz), _power_of_two(2 * len(xyz))
    voxel_of_slot, voxel_keys = np.full(slots, NONE, np.int32), np.empty(count, np.int64)
    voxel_points, cell_points = np.zeros(count, np.int32), np.zeros(count, np.int32)
    first_cell, next_cell = np.empty(count, np.int32), np.empty(count, np.int32)
    cell_voxel, cell_superpoint = np.empty(count, np.int32), np.empty(count, np.int32)
    cell_of_point = np.full(count, NONE, np.int32)
    voxels, cells = 0, 0
    for i in range(count):
        if superpoints[i] == np.uint32(NO_SUPERPOINT):
            continue
        # The voxel of the point
        key = _key(xyz, i, rotation, offset, 1 / size)
        slot = _hash(key) & (slots - 1)
        while voxel_of_slot[slot] != NONE and voxel_keys[voxel_of_slot[slot]] != key:
            slot = (slot + 1) & (slots - 1)
        voxel = voxel_of_slot[slot]
        if voxel == NONE:
            voxel = voxel_of_slot[slot] = voxels
            voxel_keys[voxel], first_cell[voxel] = key, NONE
            voxels += 1
        # The cell of the superpoint, among those of the voxel
        superpoint, cell = np.int32(superpoints[i]), first_cell[voxel]
        while cell != NONE and cell_superpoint[cell] != superpoint:
            cell = next_cell[cell]
        if cell == NONE:
            cell = cells
            cell_voxel[cell], cell_superpoint[cell], next_cell[cell] = voxel, superpoint, first_cell[voxel]
            first_cell[voxel] = cell
            cells += 1
        voxel_points[voxel] += 1
        cell_points[cell] += 1
        cell_of_point[i] = cell
    voxel = cell_voxel[:cells]
    fraction = (cell_points[:cells] / voxel_points[voxel]).astype(np.float32)
    return cell_of_point, Cells(voxel_keys[voxel], cell_superpoint[:cells].copy(), fraction)


@njit(**INLINE)
def _key(xyz, i, rotation, offset, scale):
    """The voxel of a point as one integer; coordinates beyond its range count as those at its end."""
    key = np.int64(0)
    for a in range(3):
        value = rotation[a, 0] * xyz[i, 0] + rotation[a, 1] * xyz[i, 1] + rotation[a, 2] * xyz[i, 2] + offset[a]
        cell = min(max(np.floor(value * scale), -HALF_AXIS), HALF_AXIS - 1)
        key = (key << AXIS_BITS) | (np.int64(cell) + HALF_AXIS)
    return key


@njit(**INLINE)
def _hash(key):
    mixed = np.uint64(key) * HASH_FACTOR
    mixed = (mixed ^ (mixed >> np.uint64(32))) * HASH_FACTOR  # a product's low bits depend on the key's low bits only
    return np.int64(mixed >> np.uint64(32))


def smooth(
    table: VoteTable, cells: Cells, scores: np.ndarray, stamp: float, half_life: float, margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return smoothed scores (n, C) float32, classes (n,) int64 and voxels (n,) int32 of the cells; adds no votes.

    scores (S, C) float32 are those of the superpoints. With w the decayed votes of a cell's voxel, m their mean and M
    the mean w m / mean w of its superpoint over the voxels that have votes:

        smoothed = (w (m + M) / 2 + score) / (w + 1),   class = argmax (smoothed + margin [voxel had the class])
    """
    past = _past(table, cells, scores, stamp, half_life)
    smoothed, best = np.empty((len(cells.keys), scores.shape[1]), np.float32), np.empty(len(cells.keys), np.int64)
    limit = np.float32(margin)
    parallel_for(lambda a, b: _blend(a, b, table, cells, scores, past, limit, smoothed, best), len(best))
    return smoothed, best, past.voxels


class Past(NamedTuple):
    """What a table knows of n cells and S superpoints."""

    voxels: np.ndarray  # (n,) int32, NONE where there is none
    weights: np.ndarray  # (n,) float32, decayed votes of the voxel
    means: np.ndarray  # (S, C) float32, mean score of the superpoint over the voxels that have votes


@njit(**FAST)
def _past(table, cells, scores, stamp, half_life):
    count, classes = len(cells.keys), scores.shape[1]
    voxels, weights = np.empty(count, np.int32), np.zeros(count, np.float32)
    means, total, decay = np.zeros_like(scores), np.zeros(len(scores), np.float32), (stamp, np.float32(1))
    for i in range(count):
        voxel, s = table.slots[_slot(table, cells.keys[i])] - 1, cells.superpoint[i]
        voxels[i] = voxel
        if voxel != NONE:
            decay = _decay(table, voxel, stamp, half_life, decay)
            weights[i] = table.weights[voxel] * decay[1]
            total[s] += weights[i]
            for c in range(classes):
                means[s, c] += weights[i] * table.means[voxel, c]
    for s in range(len(scores)):
        means[s] /= max(total[s], np.float32(1e-30))
    return Past(voxels, weights, means)


@njit(**FAST)
def _blend(begin, end, table, cells, scores, past, margin, smoothed, best):
    """Fill the rows begin..end-1 of `smoothed` and `best`."""
    half, classes = np.float32(0.5), scores.shape[1]
    for i in range(begin, end):
        voxel, s, row, label = past.voxels[i], cells.superpoint[i], smoothed[i], NONE
        for c in range(classes):
            row[c] = scores[s, c]
        if voxel != NONE:
            rate = past.weights[i] / (past.weights[i] + 1)
            for c in range(classes):
                row[c] += (half * (table.means[voxel, c] + past.means[s, c]) - row[c]) * rate
            label = table.labels[voxel]
        choice = 0
        for c in range(1, classes):
            if row[c] > row[choice]:
                choice = c
        if label != NONE and row[label] + margin >= row[choice]:
            choice = label
        best[i] = choice


@njit(**FAST)
def add_votes(table, cells, voxels, scores, best, stamp, half_life):
    """Add the scores (S, C) of the superpoints to the voxels, each by its fraction of the voxel's points.

    voxels (n,) are those that `smooth` has found. A voxel takes the class best (n,) of the cell that holds half of its
    points.
    """
    decay = (stamp, np.float32(1))
    for i in range(len(cells.keys)):
        key, voxel = cells.keys[i], voxels[i]
        if voxel == NONE or table.keys[voxel] != key:  # it was new, or has been dropped
            voxel = table.slots[_slot(table, key)] - 1
        if voxel == NONE:
            voxel = _new_voxel(table, key)
        else:
            _unlink(table, voxel)
            decay = _decay(table, voxel, stamp, half_life, decay)
            table.weights[voxel] *= decay[1]
        _link_newest(table, voxel)
        table.stamps[voxel] = stamp
        # A running mean: m += (score - m) fraction / w
        table.weights[voxel] += cells.fraction[i]
        rate = cells.fraction[i] / table.weights[voxel]
        row, mean = scores[cells.superpoint[i]], table.means[voxel]
        for c in range(len(mean)):
            mean[c] += (row[c] - mean[c]) * rate
        if cells.fraction[i] >= 0.5:
            table.labels[voxel] = best[i]


@njit(**INLINE)
def _decay(table, voxel, stamp, half_life, known):
    """(stamp, factor) of the last vote of a voxel; `known` if it has the same stamp, since powers are slow."""
    then = table.stamps[voxel]
    return known if then == known[0] else (then, np.float32(2.0 ** (-max(stamp - then, 0.0) / half_life)))


@njit(**INLINE)
def _slot(table, key):
    """The slot that holds a key, or the free one where it belongs."""
    last = len(table.slots) - 1
    slot = _hash(key) & last
    while table.slots[slot] != 0 and table.keys[table.slots[slot] - 1] != key:
        slot = (slot + 1) & last
    return slot


@njit(**INLINE)
def _new_voxel(table, key):
    """The number of a new voxel without votes, which is that of the oldest if the table is full."""
    voxel = table.ends[COUNT]
    if voxel == len(table.keys):
        voxel = table.ends[OLDEST]
        _unlink(table, voxel)
        _free_slot(table, _slot(table, table.keys[voxel]))
    else:
        table.ends[COUNT] += 1
    table.slots[_slot(table, key)] = voxel + 1
    table.keys[voxel], table.weights[voxel], table.labels[voxel] = key, 0, NONE
    table.means[voxel] = 0
    return np.int32(voxel)


@njit(**INLINE)
def _free_slot(table, slot):
    """Free a slot, and move later keys of its run back so that no search ends before it finds them."""
    last = len(table.slots) - 1
    free, slot = slot, (slot + 1) & last
    while table.slots[slot] != 0:
        wanted = _hash(table.keys[table.slots[slot] - 1]) & last
        if ((slot - wanted) & last) >= ((slot - free) & last):
            table.slots[free] = table.slots[slot]
            free = slot
        slot = (slot + 1) & last
    table.slots[free] = 0


@njit(**INLINE)
def _unlink(table, voxel):
    newer, older = table.newer[voxel], table.older[voxel]
    if newer == NONE:
        table.ends[NEWEST] = older
    else:
        table.older[newer] = older
    if older == NONE:
        table.ends[OLDEST] = newer
    else:
        table.newer[older] = newer


@njit(**INLINE)
def _link_newest(table, voxel):
    newest = table.ends[NEWEST]
    table.newer[voxel], table.older[voxel] = NONE, newest
    if newest == NONE:
        table.ends[OLDEST] = voxel
    else:
        table.newer[newest] = voxel
    table.ends[NEWEST] = voxel
