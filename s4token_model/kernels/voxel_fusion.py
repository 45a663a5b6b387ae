"""Fusing depth measurements into one cloud, as the vertices of a reconstructed mesh: even, smoothed, with gaps."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit


def voxel_fuse(xyz: np.ndarray, rgb: np.ndarray, code: np.ndarray, voxel: float):
    """Average measurements per voxel, take the label that most of them carry.

    xyz (n, 3) m, rgb (n, 3), code (n,) int64 (a packed label), voxel in m -> xyz (m, 3) float64, rgb (m, 3) float32,
    code (m,), weight (m,) int64 measurements per voxel; voxels in the order of their first measurement. The label is
    found by the majority vote of Boyer and Moore: one pass, exact whenever a label has more than half of the voxel.
    """
    owner, count = _cells(xyz, voxel)
    sums, code, weight = _accumulate(xyz, rgb.astype(np.float64), code.astype(np.int64), owner, count)
    sums /= weight[:, None]
    return sums[:, :3], sums[:, 3:].astype(np.float32), code, weight


def smooth(xyz: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Pull points to the mean of those around them, within about one `cell` (m).

    Points are binned into cells; each takes the trilinear mix of the eight cells around it, weighted by how full they
    are. On an even plane nothing slides along it; edges get round and layers closer than a cell merge. Returns the
    positions (n, 3) float64 and the local density (n,) in points per cell.
    """
    at = (xyz - _lowest(xyz)) / cell + 1.5
    table, slots, owner, count = _insert(_keys(np.floor(at).astype(np.int64)))
    return _mix(xyz, at, owner, count, table, slots)


def surface_area(xyz: np.ndarray, voxel: float = 0.06) -> float:
    """Rough area in m^2 of the surfaces that points lie on: a plane crosses about 1.5 voxels per voxel face."""
    return _cells(xyz, voxel)[1] * voxel**2 / 1.5


def _cells(xyz: np.ndarray, voxel: float) -> tuple[np.ndarray, int]:
    """Number of the voxel each point lies in (n,) int64, and how many voxels there are."""
    _, _, owner, count = _insert(_keys(np.floor((xyz - _lowest(xyz)) / voxel).astype(np.int64)))
    return owner, count


def _lowest(xyz: np.ndarray) -> np.ndarray:
    return np.array([xyz[:, k].min() for k in range(3)])  # numpy reduces (n, 3) along n slowly


def _keys(cell: np.ndarray) -> np.ndarray:
    """Cells (n, 3) with coordinates in [0, 2^20) packed into one integer."""
    return (cell[:, 0] << 40) | (cell[:, 1] << 20) | cell[:, 2]


@njit()
def _slot(table, key):
    """Where `key` is, or would be put, in an open-addressing table of a power of two slots; -1 marks free ones."""
    mask = len(table) - 1
    # Fibonacci hashing: the high bits of the product are well mixed.
    slot = ((key * 0x9E3779B97F4A7C1) >> 24) & mask
    while table[slot] != -1 and table[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit()
def _insert(keys):
    size = 16
    while size < 2 * len(keys):
        size *= 2
    table, slots = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    owner, count = np.empty(len(keys), np.int64), 0
    for i in range(len(keys)):
        slot = _slot(table, keys[i])
        if table[slot] == -1:
            table[slot] = keys[i]
            slots[slot] = count
            count += 1
        owner[i] = slots[slot]
    return table, slots, owner, count


@njit()
def _accumulate(xyz, rgb, code, owner, count):
    sums, weight = np.zeros((count, 6)), np.zeros(count, np.int64)
    leader, lead = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for i in range(len(owner)):
        o = owner[i]
        weight[o] += 1
        for k in range(3):
            sums[o, k] += xyz[i, k]
            sums[o, 3 + k] += rgb[i, k]
        if lead[o] == 0:
            leader[o] = code[i]
        lead[o] += 1 if leader[o] == code[i] else -1
    return sums, leader, weight


@njit()
def _mix(xyz, at, owner, count, table, slots):
    sums = np.zeros((count, 4))
    for i in range(len(owner)):
        for k in range(3):
            sums[owner[i], k] += xyz[i, k]
        sums[owner[i], 3] += 1.0
    soft, density = np.empty((len(owner), 3)), np.empty(len(owner))
    for i in range(len(owner)):
        x, y, z = np.floor(at[i, 0] - 0.5), np.floor(at[i, 1] - 0.5), np.floor(at[i, 2] - 0.5)
        wx, wy, wz = at[i, 0] - 0.5 - x, at[i, 1] - 0.5 - y, at[i, 2] - 0.5 - z
        sx = sy = sz = total = 0.0  # scalars: an array per point would cost more than all the rest
        for corner in range(8):
            dx, dy, dz = corner & 1, (corner >> 1) & 1, corner >> 2
            slot = _slot(table, (np.int64(x + dx) << 40) | (np.int64(y + dy) << 20) | np.int64(z + dz))
            if table[slot] != -1:
                weight = (wx if dx else 1 - wx) * (wy if dy else 1 - wy) * (wz if dz else 1 - wz)
                cell = slots[slot]
                sx += weight * sums[cell, 0]
                sy += weight * sums[cell, 1]
                sz += weight * sums[cell, 2]
                total += weight * sums[cell, 3]
        soft[i, 0], soft[i, 1], soft[i, 2] = sx / total, sy / total, sz / total
        density[i] = total
    return soft, density
