"""Depth pictures of a cloud for CLIP, and the pixels that show its superpoints (2D targets of Sec. 3.4).

PointCLIPv2's projection: quantize into a grid, densify by a local maximum, smooth by a Gaussian, resize to a picture.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from s4token_model.training.token_samples import SeenPixels

GRID = 112  # cells across the picture
FILL = 0.9  # fraction of the picture's width that the cloud spans
WINDOW = 5  # cells, of the local maximum
BLUR = 1.0  # cells
BEHIND = 0.06  # fraction of the cloud's radius; points further behind the densified surface are hidden
# Azimuth and elevation in degrees: all around, obliquely from above, from above and from below
VIEWS = ((0, 0), (90, 0), (180, 0), (270, 0), (45, 30), (135, 30), (225, 30), (315, 30), (0, 89), (0, -89))


def render_depth_views(xyz: np.ndarray, superpoints: np.ndarray, pixels: int) -> tuple[np.ndarray, SeenPixels]:
    """Render VIEWS of a cloud, xyz (H, 3), z up; scale and translation do not change them.

    Returns pictures (V, pixels, pixels, 3) uint8, near is bright, and the pixels of all points that no other one hides.
    """
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    centered = xyz.astype(np.float64) - (low + high) / 2
    radius = max(float(np.sqrt((centered**2).sum(axis=1).max())), 1e-12)
    images, rows = [], []
    for number, (azimuth, elevation) in enumerate(VIEWS):
        image, seen, cell = _view(centered / radius @ axes(azimuth, elevation).T)
        images.append(_resize(image, pixels))
        pixel = (cell[seen] * pixels + pixels // 2) // GRID
        rows.append(np.column_stack([superpoints[seen], np.full(len(pixel), number), pixel[:, 1], pixel[:, 0]]))
    return np.stack(images), SeenPixels(*np.concatenate(rows).astype(np.int32).T)


def axes(azimuth: float, elevation: float) -> np.ndarray:
    """Right, down and forward axes (3, 3) of a camera at this azimuth and elevation, in degrees, facing the origin."""
    a, e = np.radians(azimuth), np.radians(elevation)
    forward = -np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    return np.stack([right, np.cross(forward, right), forward])


def _view(camera: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """camera (H, 3) in the unit ball -> nearness (GRID, GRID) in [0, 1], seen (H,) indices, cell (H, 2) column, row."""
    cell = np.clip(((camera[:, :2] * FILL + 1) / 2 * GRID).astype(np.int64), 0, GRID - 1)
    nearness = 0.75 - 0.25 * camera[:, 2]  # 0 is the background
    grid = np.zeros((GRID, GRID))
    np.maximum.at(grid, (cell[:, 1], cell[:, 0]), nearness)
    dense = maximum_filter(grid, WINDOW)
    seen = np.flatnonzero(nearness >= dense[cell[:, 1], cell[:, 0]] - 0.25 * BEHIND)
    return gaussian_filter(dense, BLUR), seen, cell


def _resize(image: np.ndarray, pixels: int) -> np.ndarray:
    index = np.arange(pixels) * GRID // pixels
    gray = np.rint(255 * image[index][:, index]).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)
