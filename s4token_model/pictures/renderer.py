"""Point clouds to images without OpenGL: z-buffered splats, shaded by their normals and eye-dome lighting.

`trace` does the geometry once: which point each pixel sees, and how bright. `paint` colors it, so that several
colorings of one cloud share a viewpoint and cost a table look-up each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from s4token_model.kernels.kernel_cache import njit
from s4token_model.pictures.camera import Camera, choose_camera, cut_away, guess_kind

SUPERSAMPLE = 2  # pixels rendered per pixel of the picture, along each axis
MAX_SPLAT = 10  # radius in rendered pixels; larger splats hide detail
MIN_FACING = 0.35  # cosine: discs seen edge-on keep some width, else thin gaps open
EYE_DOME_STEP, EYE_DOME_STRENGTH, MIN_EYE_DOME = 3, 4.5, 0.35  # the step in rendered pixels
BACKGROUNDS = {"white": (255, 255, 255), "dark": (24, 27, 33)}


@dataclass(frozen=True)
class Raster:
    """What a camera sees, at SUPERSAMPLE times the resolution of the picture (h, w)."""

    index: np.ndarray  # (s*h, s*w) int32: the row of the cloud that each pixel sees, -1 = background
    shade: np.ndarray  # (s*h, s*w) float32 brightness, 1 = unchanged
    camera: Camera  # in the cloud's frame
    kind: str  # of scene, for which the viewpoint was chosen


def trace(xyz: np.ndarray, size: tuple[int, int] = (1280, 960), kind: str = "auto") -> Raster:
    """Choose a viewpoint and compute which point of xyz (H, 3), any unit, each pixel of a picture (width, height) sees.

    Points that are not finite are left out; kind: "auto", "room", "object", "street" or "camera" (optical frame).
    """
    xyz = np.asarray(xyz, np.float64)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"xyz has shape {xyz.shape}; it must be (points, 3)")
    width, height = (int(v) * SUPERSAMPLE for v in size)
    finite = np.flatnonzero(np.isfinite(xyz).all(1))
    points = xyz[finite]
    # Choose the camera, and cut rooms open
    kind = guess_kind(points) if kind == "auto" else kind
    normals, spacing = surface(points)
    camera = choose_camera(points, normals, kind, (width, height))
    rows = np.flatnonzero(cut_away(points, normals, kind, camera))
    # Splat the points that are left, and shade what each pixel sees
    index, shade = np.full((height, width), -1, np.int32), np.ones((height, width), np.float32)
    if len(rows):
        seen, depth = _splat(points[rows], normals[rows], spacing[rows], camera, (width, height))
        hit = seen >= 0
        if hit.any():
            index[hit] = finite[rows[seen[hit]]]
            shade[hit] = (_lambert(normals[rows], camera)[seen] * _eye_dome(depth, hit))[hit]
    return Raster(index, shade, camera, kind)


def paint(raster: Raster, colors: np.ndarray, background: str = "white") -> np.ndarray:
    """Color a raster: colors (H, 3) uint8, or float in [0, 1], for every row of the cloud. Returns (h, w, 3) uint8."""
    if background not in BACKGROUNDS:
        raise ValueError(f"background={background!r} is not one of {', '.join(BACKGROUNDS)}")
    colors = np.asarray(colors)
    if colors.dtype != np.uint8:
        colors = np.clip(np.nan_to_num(colors) * 255.0, 0, 255)
    hit = raster.index >= 0
    image = np.full((*raster.index.shape, 3), BACKGROUNDS[background], np.float32)
    image[hit] = colors[raster.index[hit]] * raster.shade[hit, None]
    height, width, s = image.shape[0] // SUPERSAMPLE, image.shape[1] // SUPERSAMPLE, SUPERSAMPLE
    return np.clip(image.reshape(height, s, width, s, 3).mean((1, 3)) + 0.5, 0, 255).astype(np.uint8)


def surface(points: np.ndarray, neighbors: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Unsigned normals (H, 3) and point spacing (H,), both from the nearest neighbors."""
    count = len(points)
    if count < 4:
        return np.tile([0.0, 0.0, 1.0], (count, 1)), np.full(count, 0.01)
    k = min(neighbors, count - 1)
    distance, near = cKDTree(points).query(points, k + 1)
    patch = points[near] - points[near].mean(1, keepdims=True)
    _, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", patch, patch))
    spacing = distance[:, (k + 1) // 2]
    return vectors[:, :, 0], np.clip(spacing, 0.3 * np.median(spacing), 6.0 * np.median(spacing))


def _splat(points, normals, spacing, camera: Camera, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Nearest point per pixel, -1 = none, and its depth, inf = none; every point is a disc along its surface."""
    column, row, depth = camera.project(points)
    radius = np.clip(camera.focal * spacing / np.maximum(depth, 1e-12), 0.8, MAX_SPLAT)
    radius[depth <= 0] = -1.0
    best = np.full((size[1], size[0]), -1, np.int32)
    buffer = np.full((size[1], size[0]), np.inf, np.float32)
    discs = _Discs(column, row, depth, radius, camera.rotate(normals))
    _draw_discs(discs, camera.focal, best, buffer)
    best = _fill_pinholes(best)
    return best, np.where(np.isinf(buffer) & (best >= 0), depth[np.maximum(best, 0)], buffer).astype(np.float32)


class _Discs(NamedTuple):
    """Points as discs in camera space, each (H,) but the normals."""

    column: np.ndarray
    row: np.ndarray
    depth: np.ndarray
    radius: np.ndarray  # pixels, < 0 = hidden
    normal: np.ndarray  # (H, 3)


@njit(nogil=True)
def _draw_discs(discs, focal, best, buffer):
    """Z-buffer discs: a disc projects to an ellipse squeezed along its normal; its depth is the tangent plane's."""
    column, row, depth, radius, normal = discs
    height, width = best.shape
    for i in range(len(column)):
        r = radius[i]
        if r < 0 or not (-r <= column[i] <= width + r and -r <= row[i] <= height + r):
            continue
        nx, ny, nz = normal[i, 0], normal[i, 1], normal[i, 2]
        tilt = max(abs(nz), MIN_FACING)
        squeeze = (1.0 / (tilt * tilt) - 1.0) / max(nx * nx + ny * ny, 1e-12)
        steep = 0.0 if nz == 0 else (1.0 if nz > 0 else -1.0) / tilt * depth[i] / focal
        for y in range(max(0, int(np.ceil(row[i] - r))), min(height - 1, int(np.floor(row[i] + r))) + 1):
            dy = y - row[i]
            for x in range(max(0, int(np.ceil(column[i] - r))), min(width - 1, int(np.floor(column[i] + r))) + 1):
                dx = x - column[i]
                along = nx * dx + ny * dy
                if dx * dx + dy * dy + along * along * squeeze > r * r and (abs(dx) > 0.5 or abs(dy) > 0.5):
                    continue
                z = depth[i] - along * steep
                if z < buffer[y, x]:
                    buffer[y, x] = z
                    best[y, x] = i


def _fill_pinholes(best: np.ndarray, size: int = 4) -> np.ndarray:
    """Close gaps of up to about 2 * size pixels by the ids around them; outlines stay."""
    grown = ndimage.maximum_filter(best, 2 * size + 1)
    closed = ndimage.binary_closing(np.pad(best >= 0, 2 * size), iterations=size)
    return np.where((best < 0) & closed[2 * size : -2 * size, 2 * size : -2 * size], grown, best)


def _lambert(normals: np.ndarray, camera: Camera) -> np.ndarray:
    """Two-sided diffuse light from the upper left of the camera; 0.66 to 1.02."""
    facing = camera.rotate(normals)
    facing = facing * np.where(facing[:, 2:3] > 0, -1.0, 1.0)  # toward the eye: depth grows along +z
    return (0.66 + 0.36 * np.clip(facing @ np.array([-0.35, -0.65, -0.67]), 0.0, 1.0)).astype(np.float32)


def _eye_dome(depth: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Eye-dome lighting: darken a pixel that lies behind its neighbors, in log depth, so that scale cancels."""
    level, step = np.log2(np.where(hit, depth, depth[hit].max() * 1.06)).astype(np.float32), EYE_DOME_STEP
    padded, total, (height, width) = np.pad(level, step, mode="edge"), np.zeros_like(level), level.shape
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        y, x = step * (1 + dy), step * (1 + dx)
        total += np.maximum(0.0, level - padded[y : y + height, x : x + width])
    return np.maximum(np.exp(-EYE_DOME_STRENGTH * total), MIN_EYE_DOME).astype(np.float32)
