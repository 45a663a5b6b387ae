"""Depth pictures of a cloud for CLIP, and where its superpoints are seen in them (method: Sec. 3.4, 2D targets).

PointCLIPv2's projection: quantize into a grid, densify by a local maximum, smooth by a Gaussian, squeeze to a picture.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

GRID = 112  # cells across the picture
FILL = 0.9  # share of the picture's width that the cloud spans
WINDOW = 5  # cells, of the local maximum
BLUR = 1.0  # cells
BEHIND = 0.06  # of the cloud's radius: what lies further behind the densified surface is hidden
# azimuth and elevation in degrees: around, obliquely from above, from above and from below
VIEWS = ((0, 0), (90, 0), (180, 0), (270, 0), (45, 30), (135, 30), (225, 30), (315, 30), (0, 89), (0, -89))


def look(xyz: np.ndarray, superpoints: np.ndarray, pixels: int) -> dict[str, np.ndarray]:
    """Render VIEWS of a cloud.

    xyz (H, 3), z up; superpoints (H,). Returns image (V, pixels, pixels, 3) uint8, near is bright, and seen_superpoint,
    seen_view, seen_row, seen_column (Q,) int32 for every point that no other hides. Unchanged by scale and translation.
    """
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    centered = xyz.astype(np.float64) - (low + high) / 2
    radius = max(float(np.sqrt((centered**2).sum(axis=1).max())), 1e-12)
    images, rows = [], []
    for number, (azimuth, elevation) in enumerate(VIEWS):
        image, seen, cell = _view(centered / radius @ axes(azimuth, elevation).T)
        images.append(_enlarged(image, pixels))
        place = (cell[seen] * pixels + pixels // 2) // GRID
        rows.append(np.column_stack([superpoints[seen], np.full(len(place), number), place[:, 1], place[:, 0]]))
    table = np.concatenate(rows).astype(np.int32)
    names = ("seen_superpoint", "seen_view", "seen_row", "seen_column")
    return {"image": np.stack(images)} | {name: table[:, k] for k, name in enumerate(names)}


def axes(azimuth: float, elevation: float) -> np.ndarray:
    """Rows: right, down and forward of a camera at this azimuth and elevation, in degrees, that looks at the origin."""
    a, e = np.radians(azimuth), np.radians(elevation)
    forward = -np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    return np.stack([right, np.cross(forward, right), forward])


def _view(camera: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """camera (H, 3) in the unit ball -> nearness (GRID, GRID) in [0, 1], seen (H,) indices, cell (H, 2) column, row."""
    cell = np.clip(((camera[:, :2] * FILL + 1) / 2 * GRID).astype(np.int64), 0, GRID - 1)
    nearness = 0.75 - 0.25 * camera[:, 2]  # 0 is left to the background
    grid = np.zeros((GRID, GRID))
    np.maximum.at(grid, (cell[:, 1], cell[:, 0]), nearness)
    dense = maximum_filter(grid, WINDOW)
    seen = np.flatnonzero(nearness >= dense[cell[:, 1], cell[:, 0]] - 0.25 * BEHIND)
    return gaussian_filter(dense, BLUR), seen, cell


def _enlarged(image: np.ndarray, pixels: int) -> np.ndarray:
    index = np.arange(pixels) * GRID // pixels
    gray = np.rint(255 * image[index][:, index]).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)
