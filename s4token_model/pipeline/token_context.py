"""What surrounds a token: a wide patch and the shape of its superpoint, both free of scale.

The bare patch of the paper sees a ball of one centroid spacing inside one superpoint; a piece of table and a piece of
floor look alike in it. Telling the tokenizer where the patch lies raises accuracy on real rooms. z is up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from s4token_model.config import TokenizerConfig
from s4token_model.kernels import simd
from s4token_model.kernels.parallel import parallel_for
from s4token_model.kernels.simd import LANES
from s4token_model.pipeline.patches import Patches

CHANNELS = 5  # offset (3), same superpoint (1), squared vertical part of the normal (1)
DESCRIPTOR_DIM = 24
LENGTH_DIMS = 14  # of the descriptors, the first ones, are lengths in units of r under asinh
POOL = 8192  # wide patches are drawn from this many points of the cloud


@dataclass(frozen=True)
class Context:
    """What surrounds each of N tokens.

    points (N, C, 5) float32: offset over R, same superpoint, n_z^2; mask (N, C) bool, False where padded; shape (N, 24)
    float32.
    """

    points: np.ndarray
    mask: np.ndarray
    shape: np.ndarray


def surround(
    xyz: np.ndarray,
    normals: np.ndarray,
    eigen: np.ndarray,
    superpoints: np.ndarray,
    patches: Patches,
    config: TokenizerConfig,
) -> Context:
    """Describe the surroundings of each token.

    xyz, normals, eigen (H, 3); superpoints (H,) ids. The wide patch holds up to C points within R = context_radius * r,
    whatever their superpoint; `shape` holds sizes, heights and mean eigen-features of the superpoint and of the whole
    cloud in units of r, compressed by asinh. Unchanged by scale, translation and rotation about z (offsets rotate
    along).
    """
    pool = np.linspace(0, len(xyz) - 1, min(POOL, len(xyz))).astype(np.int64)
    reach = np.float32(config.context_radius * patches.radius)
    points = np.zeros((len(patches.centers), config.context_points, CHANNELS), np.float32)
    mask = np.zeros(points.shape[:2], np.bool_)
    cloud = (
        _columns(xyz[pool]),
        (normals[pool, 2] ** 2).astype(np.float32),
        superpoints[pool].astype(np.int32),
    )
    own = (patches.centers, patches.superpoint, reach)
    parallel_for(lambda a, b: _wide(a, b, *cloud, *own, points, mask), len(points), 32)
    return Context(points, mask, _shape(xyz, normals, eigen, superpoints, patches))


def _shape(xyz, normals, eigen, superpoints, patches: Patches) -> np.ndarray:
    """(N, 24): descriptors of the superpoint, of the token in it and in the cloud."""
    cloud = (np.ascontiguousarray(a, np.float32) for a in (xyz, normals, eigen))
    sums, low, high = _superpoint_sums(*cloud, np.ascontiguousarray(superpoints, np.int32), int(superpoints.max()) + 1)
    sizes = np.maximum(sums[:, 0], 1)
    means = sums[:, 1:] / sizes[:, None]
    center, shares_of = means[:, :3], means[:, 9:]
    spread = means[:, [3, 6, 7, 6, 4, 8, 7, 8, 5]].reshape(-1, 3, 3)
    values, vectors = np.linalg.eigh(spread)
    floor, bottom, roof, ceiling = np.percentile(xyz[:, 2], (1, 2, 98, 99))
    extent = np.array([*(np.ptp(np.percentile(xyz[:, a], (2, 98))) for a in range(2)), roof - bottom])
    own, r = patches.superpoint, patches.radius
    away = patches.centers - center[own]
    lengths = np.stack(
        [
            *(2 * np.sqrt(np.maximum(values[own].T, 0))),
            low[own] - floor,
            high[own] - floor,
            high[own] - low[own],
            ceiling - high[own],
            patches.centers[:, 2] - floor,
            ceiling - patches.centers[:, 2],
            np.hypot(away[:, 0], away[:, 1]),
            away[:, 2],
            *np.broadcast_to([[np.sqrt(extent[0] * extent[1])], [extent[2]], [ceiling - floor]], (3, len(own))),
        ],
        axis=1,
    )
    shares = np.stack(
        [
            *shares_of[own].T,
            vectors[own, 2, 0] ** 2,
            vectors[own, 2, 2] ** 2,
            np.log(sizes[own] / len(xyz) * 512),
            normals[_own_points(patches), 2] ** 2,
            *(eigen[_own_points(patches), a] for a in range(2)),
        ],
        axis=1,
    )
    return np.concatenate([np.arcsinh(lengths / r), shares], axis=1).astype(np.float32)


@njit(cache=True, nogil=True)
def _superpoint_sums(xyz, normals, eigen, superpoints, count):
    """Of every superpoint: (S, 14) float64 number of points and sums of x, y, z, then about the mean xx, yy, zz, xy,
    xz, yz, then linearity, planarity, scattering, n_z^2; least and largest z (S,)."""
    sums = np.zeros((count, 14))
    low, high = np.full(count, np.float32(np.inf)), np.full(count, np.float32(-np.inf))
    for i in range(len(superpoints)):
        row, z = sums[superpoints[i]], xyz[i, 2]
        row[0] += 1
        for a in range(3):
            row[1 + a] += xyz[i, a]
            row[10 + a] += eigen[i, a]
        row[13] += normals[i, 2] * normals[i, 2]
        low[superpoints[i]] = min(low[superpoints[i]], z)
        high[superpoints[i]] = max(high[superpoints[i]], z)
    for i in range(len(superpoints)):
        row = sums[superpoints[i]]
        share = 1 / row[0]
        x, y, z = xyz[i, 0] - row[1] * share, xyz[i, 1] - row[2] * share, xyz[i, 2] - row[3] * share
        row[4] += x * x
        row[5] += y * y
        row[6] += z * z
        row[7] += x * y
        row[8] += x * z
        row[9] += y * z
    return sums, low, high


def _own_points(patches: Patches) -> np.ndarray:
    """Index of the patch's point nearest to its centroid: the centroid, unless thinning dropped it."""
    distance = np.where(patches.index >= 0, (patches.offsets**2).sum(axis=2), np.inf)
    return patches.index[np.arange(len(patches.index)), distance.argmin(axis=1)]


def _columns(points: np.ndarray) -> np.ndarray:
    """Coordinates (3, P rounded up to whole lanes) float32, filled up with infinitely far points."""
    columns = np.full((3, -(-len(points) // LANES) * LANES), np.inf, np.float32)
    columns[:, : len(points)] = points.T
    return columns


@njit(cache=True, nogil=True)
def _wide(begin, end, xyz, upright, superpoints, centers, own, reach, points, mask):
    """Fill the rows begin..end-1 of `points` and `mask`; xyz (3, ...)."""
    width, limit = mask.shape[1], reach * reach
    found, squared = np.empty(xyz.shape[1], np.int32), np.empty(LANES, np.float32)
    for row in range(begin, end):
        x, y, z, total = centers[row, 0], centers[row, 1], centers[row, 2], 0
        for start in range(0, xyz.shape[1], LANES):
            simd.distances(xyz, start, x, y, z, squared, 0)
            within = simd.at_most(squared, 0, limit)
            while within:
                found[total] = start + simd.lowest(within)
                within &= within - 1
                total += 1
        for j in range(min(total, width)):
            i = found[j] if total <= width else found[int((j + 0.5) * total / width)]
            for a in range(3):
                points[row, j, a] = (xyz[a, i] - centers[row, a]) / reach
            points[row, j, 3] = 1.0 if superpoints[i] == own[row] else 0.0
            points[row, j, 4] = upright[i]
            mask[row, j] = True
