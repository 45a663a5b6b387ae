"""Point clouds to images without OpenGL: z-buffered splats, shaded by normals, eye-dome lighting and ambient occlusion.

`trace` does the geometry once (which point is seen in each pixel, and how bright); `paint` colors it, so that several
colorings of one cloud share one viewpoint and cost a table look-up each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage
from scipy.spatial import cKDTree

from s4token_model.pictures.camera import Camera, choose_camera, cut_away, guess_kind

MAX_SPLAT = 10  # pixels of radius at supersampled resolution; larger splats hide detail
BACKGROUNDS = {"white": (255, 255, 255), "dark": (24, 27, 33)}


@dataclass(frozen=True)
class Raster:
    """What a camera sees.

    index (s*h, s*w) int32: the input row seen in each supersampled pixel, -1 = background; shade (s*h, s*w) float32
    brightness, 1 = unchanged; supersample s; camera in the cloud's frame; kind of scene the viewpoint was chosen for.
    """

    index: np.ndarray
    shade: np.ndarray
    supersample: int
    camera: Camera
    kind: str


def render(
    xyz: np.ndarray,
    colors: np.ndarray,
    size: tuple[int, int] = (1280, 960),
    background: str = "white",
    kind: str = "auto",
    supersample: int = 2,
) -> np.ndarray:
    """Render a colored cloud from an automatic viewpoint.

    xyz (H, 3), non-finite points are left out; colors (H, 3) uint8 or float in [0, 1]; size (width, height) pixels;
    background "white" or "dark"; kind "auto", "room", "object", "street" or "camera" (optical frame). Returns (height,
    width, 3) uint8.
    """
    return paint(trace(xyz, size, kind, supersample), colors, background)


def trace(xyz: np.ndarray, size: tuple[int, int] = (1280, 960), kind: str = "auto", supersample: int = 2) -> Raster:
    """Choose a viewpoint and compute which point each pixel sees; arguments as in `render`."""
    xyz = np.asarray(xyz, np.float64)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"xyz has shape {xyz.shape}; it must be (points, 3)")
    width, height = (int(v) * supersample for v in size)
    finite = np.flatnonzero(np.isfinite(xyz).all(1))
    points = xyz[finite]
    kind = guess_kind(points) if kind == "auto" else kind
    normals, spacing = _surface(points)
    camera = choose_camera(points, normals, kind, (width, height))
    kept = cut_away(points, normals, kind, camera)
    index = np.full((height, width), -1, np.int32)
    if not kept.any():
        return Raster(index, np.ones((height, width), np.float32), supersample, camera, kind)
    rows = np.flatnonzero(kept)
    seen, depth = _splat(points[rows], normals[rows], spacing[rows], camera, (width, height))
    hit = seen >= 0
    if not hit.any():
        return Raster(index, np.ones((height, width), np.float32), supersample, camera, kind)
    light = _lambert(normals[rows], camera)
    shade = np.ones((height, width), np.float32)
    shade[hit] = light[seen[hit]]
    shade *= _eye_dome(depth, hit, 1.5 * supersample) * _occlusion(depth, hit)
    index[hit] = finite[rows[seen[hit]]]
    return Raster(index, shade, supersample, camera, kind)


def paint(raster: Raster, colors: np.ndarray, background: str = "white") -> np.ndarray:
    """Color a raster: colors (H, 3) uint8, or float in [0, 1], for every row of the cloud. Returns (h, w, 3) uint8."""
    if background not in BACKGROUNDS:
        raise ValueError(f"background={background!r} is not one of {', '.join(BACKGROUNDS)}")
    colors = np.asarray(colors)
    if colors.dtype != np.uint8:
        colors = np.clip(np.nan_to_num(colors) * 255.0, 0, 255)
    hit = raster.index >= 0
    image = np.empty((*raster.index.shape, 3), np.float32)
    image[:] = BACKGROUNDS[background]
    image[hit] = colors[raster.index[hit]] * raster.shade[hit, None]
    s = raster.supersample
    h, w = image.shape[0] // s, image.shape[1] // s
    return np.clip(image.reshape(h, s, w, s, 3).mean((1, 3)) + 0.5, 0, 255).astype(np.uint8)


def _surface(points: np.ndarray, neighbors: int = 12) -> tuple[np.ndarray, np.ndarray]:
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
    """Nearest point per pixel (-1 = none) and the depth there (inf = none); every point is a disc along its surface."""
    column, row, depth = camera.project(points)
    radius = np.clip(camera.focal * spacing / np.maximum(depth, 1e-12), 0.8, MAX_SPLAT)
    radius[depth <= 0] = -1.0
    best = np.full((size[1], size[0]), -1, np.int32)
    level = np.full((size[1], size[0]), np.inf, np.float32)
    _draw(column, row, depth, radius, camera.rotate(normals), camera.focal, best, level)
    best = _fill_pinholes(best)
    return best, np.where(np.isinf(level) & (best >= 0), depth[np.maximum(best, 0)], level).astype(np.float32)


@njit(cache=True, nogil=True)
def _draw(column, row, depth, radius, facing, focal, best, level):
    """Z-buffer discs: the projection is an ellipse squeezed along the normal, its depth that of the tangent plane."""
    height, width = best.shape
    for i in range(len(column)):
        r = radius[i]
        if r < 0 or not (-r <= column[i] <= width + r and -r <= row[i] <= height + r):
            continue
        nx, ny, nz = facing[i, 0], facing[i, 1], facing[i, 2]
        tilt = max(abs(nz), 0.35)  # edge-on discs keep some width, else thin gaps open
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
                if z < level[y, x]:
                    level[y, x] = z
                    best[y, x] = i


def _fill_pinholes(best: np.ndarray, reach: int = 4) -> np.ndarray:
    """Close gaps of up to about 2 * reach pixels (a closing by the picture's own ids); outlines stay."""
    grown = ndimage.maximum_filter(best, 2 * reach + 1)
    closed = ndimage.binary_closing(np.pad(best >= 0, 2 * reach), iterations=reach)
    closed = closed[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    return np.where((best < 0) & closed, grown, best)


def _covers(dx: int, dy: int, radius: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """Whether the pixel offset lies in the disc's projection: an ellipse squeezed along the projected normal."""
    if dx == 0 and dy == 0:
        return np.ones(len(radius), bool)
    tilt = np.maximum(np.abs(facing[:, 2]), 0.35)  # edge-on discs keep some width, else thin gaps open
    side = np.hypot(facing[:, 0], facing[:, 1]) + 1e-12
    along = (facing[:, 0] * dx + facing[:, 1] * dy) / side
    return dx * dx + dy * dy + along**2 * (1.0 / tilt**2 - 1.0) <= radius**2


def _lambert(normals: np.ndarray, camera: Camera) -> np.ndarray:
    """Two-sided diffuse light from the upper left of the camera; 0.66 to 1.02."""
    facing = camera.rotate(normals)
    facing = facing * np.where(facing[:, 2:3] > 0, -1.0, 1.0)  # towards the eye: depth grows along +z
    light = np.array([-0.35, -0.65, -0.67])
    return (0.66 + 0.36 * np.clip(facing @ light, 0.0, 1.0)).astype(np.float32)


def _eye_dome(depth: np.ndarray, hit: np.ndarray, reach: float) -> np.ndarray:
    """Eye-dome lighting: darken a pixel that lies behind its neighbors, in log depth (scale free)."""
    level = np.log2(np.where(hit, depth, depth[hit].max() * 1.06)).astype(np.float32)
    step = max(1, round(reach))
    padded = np.pad(level, step, mode="edge")
    height, width = level.shape
    total = np.zeros_like(level)
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
        y, x = step * (1 + dy), step * (1 + dx)
        total += np.maximum(0.0, level - padded[y : y + height, x : x + width])
    return np.maximum(np.exp(-4.5 * total), 0.35).astype(np.float32)


def _occlusion(depth: np.ndarray, hit: np.ndarray, coarse: int = 4) -> np.ndarray:
    """Darken creases: a pixel deeper than the blurred depth around it (unsharp masking of the depth)."""
    level = np.where(hit, np.log2(np.where(hit, depth, 1.0)), 0.0).astype(np.float32)
    sigma = depth.shape[0] / 55.0 / coarse
    small, weight = level[::coarse, ::coarse], hit[::coarse, ::coarse].astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(weight, sigma, truncate=2.0), 1e-6)
    mean = ndimage.gaussian_filter(small, sigma, truncate=2.0) / weight
    mean = mean.repeat(coarse, 0).repeat(coarse, 1)[: level.shape[0], : level.shape[1]]
    return np.exp(-np.clip(9.0 * (level - mean), -0.06, 0.45)).astype(np.float32)
