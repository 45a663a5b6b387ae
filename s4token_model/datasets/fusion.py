"""Fusing depth measurements into one cloud, as the vertices of a reconstructed mesh: even, smoothed, with gaps."""

from __future__ import annotations

import numpy as np

MAX_CELLS = 30_000_000  # of the dense look-up table, 120 MB


def voxel_fuse(xyz: np.ndarray, rgb: np.ndarray, code: np.ndarray, voxel: float):
    """Average measurements per voxel, take the label that most of them carry.

    xyz (n, 3) m, rgb (n, 3), code (n,) int64 >= 0 (a packed label), voxel in m ->
    xyz (m, 3) float64, rgb (m, 3) float32, code (m,), weight (m,) int64 measurements per voxel.
    """
    key = _voxel_keys(xyz, voxel)
    codes, small = np.unique(code, return_inverse=True)
    order = np.argsort(key * len(codes) + small, kind="stable")
    key, small = key[order], small[order]
    fresh = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    weight = np.diff(np.r_[fresh, len(key)])
    mean = np.add.reduceat(np.concatenate([xyz[order], rgb[order]], axis=1), fresh, axis=0) / weight[:, None]
    run = np.flatnonzero(np.r_[True, (key[1:] != key[:-1]) | (small[1:] != small[:-1])])
    length = np.diff(np.r_[run, len(key)])
    owner = np.searchsorted(fresh, run, side="right") - 1
    best = np.lexsort((-length, owner))
    first = best[np.r_[True, owner[best][1:] != owner[best][:-1]]]
    return mean[:, :3], mean[:, 3:].astype(np.float32), codes[small[run[first]]], weight


def smooth(xyz: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Pull points to the mean of those around them, within about one `cell` (m).

    Points are binned into cells; each point takes the trilinear mix of the eight cells around it, weighted by how full they
    are. On an even plane nothing slides along it; edges get round and layers closer than a cell merge. Returns the
    positions (n, 3) float64 and the local density (n,) in points per cell.
    """
    low = xyz.min(0) - 1.5 * cell
    at = (xyz - low) / cell
    shape = np.floor(at.max(0)).astype(np.int64) + 2
    if np.prod(shape) > MAX_CELLS:
        raise ValueError(
            f"{np.ptp(xyz, axis=0).round(1)} m at {cell} m are more than {MAX_CELLS} cells; use a larger cell"
        )
    own = np.floor(at).astype(np.int64)
    flat, member = np.unique(_flatten(own, shape), return_inverse=True)
    sums = np.stack([np.bincount(member, weights=xyz[:, k]) for k in range(3)] + [np.bincount(member)], axis=1)
    table = np.full(int(np.prod(shape)), len(flat), dtype=np.int32)
    table[flat] = np.arange(len(flat))
    sums = np.concatenate([sums, np.zeros((1, 4))])
    base = np.floor(at - 0.5).astype(np.int64)
    fraction = at - 0.5 - base
    first = _flatten(base, shape)
    total = np.zeros((len(xyz), 4))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, fraction, 1 - fraction), axis=1)
        total += weight[:, None] * sums[table[first + _flatten(np.array(corner), shape)]]
    return total[:, :3] / total[:, 3:], total[:, 3]


def surface_area(xyz: np.ndarray, voxel: float = 0.06) -> float:
    """Rough area in m^2 of the surfaces that points lie on: a plane crosses about 1.5 voxels per voxel face."""
    return len(np.unique(_voxel_keys(xyz, voxel))) * voxel**2 / 1.5


def _voxel_keys(xyz: np.ndarray, voxel: float) -> np.ndarray:
    cell = np.floor((xyz - xyz.min(0)) / voxel).astype(np.int64)
    return _flatten(cell, cell.max(0) + 1)


def _flatten(cell: np.ndarray, shape: np.ndarray) -> np.ndarray:
    return (cell[..., 0] * shape[1] + cell[..., 1]) * shape[2] + cell[..., 2]
