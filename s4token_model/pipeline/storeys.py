"""Storeys: the floors of a building, so that the network sees heights above the floor that a thing stands on."""

from __future__ import annotations

import numpy as np

HORIZONTAL = 0.9  # |n_z| of what may be a floor
CELLS = 16  # of the footprint, along its longer side
MIN_COVERAGE, MIN_RELATIVE = 0.35, 0.7  # of the footprint by a floor, and of that by the floor that covers most
MIN_HEIGHT = 1.5  # of a storey, over the size of a typical superpoint
BINS_PER_SIZE = 5  # heights are looked at in steps of this fraction of that size
SAMPLED = 32768  # points looked at
MIN_FRACTION = 0.1  # of the points, above and below


def storey_bounds(points: np.ndarray, normals: np.ndarray, size: float) -> np.ndarray:
    """Return the heights (B,) ascending just below the floors of all storeys but the lowest; none in a single room.

    points (P, 3) with z up and their normals; size: that of a typical superpoint, see `windows.typical_size`.
    """
    none, step = np.zeros(0), max(len(points) // SAMPLED, 1)
    if len(points) == 0:
        return none
    points, normals = points[::step], normals[::step]
    low, high = np.percentile(points[:, 2], (1, 99))
    if not size > 0 or high - low < 2 * MIN_HEIGHT * size:
        return none
    # Which cells of the footprint each height covers with horizontal surfaces
    step = size / BINS_PER_SIZE
    flat = points[np.abs(normals[:, 2]) > HORIZONTAL]
    corner = points[:, :2].min(axis=0)
    edge = float((points[:, :2].max(axis=0) - corner).max()) / CELLS
    footprint = np.count_nonzero(np.bincount(_cells(points, corner, edge)))
    last = int(np.ceil((high - low) / step))
    covered = np.zeros((last + 3, (2 * CELLS) ** 2), bool)
    bins = np.floor((flat[:, 2] - low) / step).astype(np.int64).clip(-1, last + 1)
    covered[bins + 1, _cells(flat, corner, edge)] = True
    coverage = (covered[:-2] | covered[1:-1] | covered[2:]).sum(axis=1)
    # Floors: heights that cover much, a storey above the one before, with part of the cloud on both sides
    needed = max(MIN_COVERAGE * footprint, MIN_RELATIVE * coverage.max())
    bounds, below = [], 0.0
    for b in np.flatnonzero(coverage >= needed):
        top = min(b + int(MIN_HEIGHT * BINS_PER_SIZE / 2), last)
        b = b + int(coverage[b : top + 1].argmax())  # of a slab, the floor above the ceiling is as likely
        height = low + (b - 1) * step
        above = (points[:, 2] > height + 2 * step).mean()
        if b * step - below >= MIN_HEIGHT * size and above >= MIN_FRACTION <= (points[:, 2] < height).mean():
            bounds.append(height)
            below = b * step
    return np.array(bounds)


def _cells(points: np.ndarray, corner: np.ndarray, edge: float) -> np.ndarray:
    cell = np.floor((points[:, :2] - corner) / max(edge, 1e-12)).astype(np.int64)
    return cell[:, 0] * (2 * CELLS) + cell[:, 1]
