"""What happens to point clouds in the field, as functions of a clean cloud.

Each function takes xyz (H, 3) in meters, z up, and a generator of random numbers, and returns the `Disturbed` cloud.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FLOAT32_DIGITS = 2**23  # the step of float32 at x is x / 2**23, rounded down to a power of two
GAP = 0.2  # m between rooms that are put side by side
# Rotations of frames in which z is up: x right, y forward
FRAMES = {
    "optical, y down": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "y up": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "x up": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    "upside down": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}


class Disturbed(NamedTuple):
    """A cloud of K points made from a clean one."""

    xyz: np.ndarray  # (K, 3), dtype of the clean cloud
    source: np.ndarray  # (K,) int64, index of the clean point each one comes from, -1 for points that were added


def unchanged(xyz: np.ndarray, _rng: np.random.Generator) -> Disturbed:
    """The clean cloud."""
    return _same_points(xyz, xyz)


def strays(xyz: np.ndarray, rng: np.random.Generator, count: float, radius: float) -> Disturbed:
    """Add points drawn uniformly from a cube of half edge `radius` m around the center; a count < 1 is a fraction."""
    number = round(count * len(xyz)) if count < 1 else int(count)
    return _with_added(xyz, _center(xyz) + rng.uniform(-radius, radius, (number, 3)))


def paired_strays(xyz: np.ndarray, rng: np.random.Generator, fraction: float, radius: float) -> Disturbed:
    """Add a fraction of stray points as in `strays`, in pairs 1 cm from each other."""
    first = rng.uniform(-radius, radius, (round(fraction * len(xyz) / 2), 3))
    return _with_added(xyz, _center(xyz) + np.concatenate([first, first + 0.01 * _directions(len(first), rng)]))


def far_point(xyz: np.ndarray, rng: np.random.Generator, distance: float) -> Disturbed:
    """Add one point at a distance (m) from the center, in a random direction."""
    return _with_added(xyz, _center(xyz) + distance * _directions(1, rng))


def far_clump(xyz: np.ndarray, rng: np.random.Generator, count: int, distance: float) -> Disturbed:
    """Add `count` points within some 10 cm of one another, at a distance (m) from the center."""
    return _with_added(xyz, _center(xyz) + distance * _directions(1, rng) + rng.normal(0, 0.05, (count, 3)))


def tiled(
    xyz: np.ndarray, _rng: np.random.Generator, grid: tuple[int, int], points: int, pitch: tuple[float, float] | None
) -> Disturbed:
    """Put copies of `points` evenly chosen points on a grid, `pitch` m from each other, default extent and a gap."""
    some = np.linspace(0, len(xyz) - 1, min(points, len(xyz))).astype(np.int64)
    step = np.asarray(pitch if pitch is not None else np.ptp(xyz[:, :2], axis=0) + GAP)
    offsets = np.array([(i * step[0], j * step[1], 0) for i in range(grid[0]) for j in range(grid[1])])
    tiles = (xyz[some].astype(np.float64) + offsets[:, None]).reshape(-1, 3)
    return Disturbed(tiles.astype(xyz.dtype), np.tile(some, len(offsets)))


def repeated(xyz: np.ndarray, _rng: np.random.Generator, times: int) -> Disturbed:
    """Write every point several times."""
    source = np.repeat(np.arange(len(xyz)), times)
    return Disturbed(xyz[source], source)


def missing_returns(xyz: np.ndarray, _rng: np.random.Generator, fraction: float) -> Disturbed:
    """Center the cloud and add points at (0, 0, 0) until they are `fraction` of all points."""
    centered = (xyz - xyz.mean(axis=0, dtype=np.float64)).astype(xyz.dtype)
    return _with_added(centered, np.zeros((round(len(xyz) * fraction / (1 - fraction)), 3)))


def in_frame(xyz: np.ndarray, _rng: np.random.Generator, frame: str) -> Disturbed:
    """Give the cloud in a frame of FRAMES."""
    return _same_points(xyz, xyz @ np.array(FRAMES[frame], float).T)


def tilted(xyz: np.ndarray, rng: np.random.Generator, degrees: float) -> Disturbed:
    """Tilt the cloud about a random horizontal axis through its center."""
    heading = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(heading), np.sin(heading), 0.0])
    angle, cross = np.radians(degrees), np.cross(np.eye(3), axis)  # cross @ v = axis x v
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    return _same_points(xyz, (xyz - _center(xyz)) @ rotation.T + _center(xyz))


def turned(xyz: np.ndarray, _rng: np.random.Generator, degrees: float) -> Disturbed:
    """Rotate the cloud about the vertical through its center."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return _same_points(xyz, (xyz - _center(xyz)) @ rotation.T + _center(xyz))


def coarse(xyz: np.ndarray, _rng: np.random.Generator, step: float) -> Disturbed:
    """Give the cloud in float32 map coordinates, with an offset along y where float32 has steps of `step` m."""
    offset = np.array([0.1, 1.2, 0.0]) * step * FLOAT32_DIGITS
    return Disturbed((xyz - _center(xyz) + offset).astype(np.float32), np.arange(len(xyz)))


def jittered(xyz: np.ndarray, rng: np.random.Generator, sigma: float) -> Disturbed:
    """Add Gaussian noise of standard deviation `sigma` m to every coordinate."""
    return _same_points(xyz, xyz + rng.normal(0, sigma, xyz.shape))


def downsampled(xyz: np.ndarray, rng: np.random.Generator, fraction: float) -> Disturbed:
    """Keep a random fraction of the points."""
    return _kept(xyz, np.sort(rng.choice(len(xyz), round(fraction * len(xyz)), replace=False)))


def cut_away(xyz: np.ndarray, rng: np.random.Generator, fraction: float) -> Disturbed:
    """Remove the fraction of the points that lies farthest along a random horizontal direction."""
    heading = rng.uniform(0, 2 * np.pi)
    along = xyz[:, 0] * np.cos(heading) + xyz[:, 1] * np.sin(heading)
    return _kept(xyz, np.flatnonzero(along <= np.quantile(along, 1 - fraction)))


def without_wall(xyz: np.ndarray, rng: np.random.Generator, thickness: float) -> Disturbed:
    """Remove the points within `thickness` m of one random side of the cloud's bounding box in x and y."""
    axis, sign = rng.integers(2), 1 - 2 * rng.integers(2)
    along = sign * xyz[:, axis]
    return _kept(xyz, np.flatnonzero(along < along.max() - thickness))


def _center(xyz: np.ndarray) -> np.ndarray:
    return np.median(xyz, axis=0).astype(np.float64)


def _directions(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random unit vectors (count, 3)."""
    vectors = rng.normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _same_points(xyz: np.ndarray, moved: np.ndarray) -> Disturbed:
    return Disturbed(moved.astype(xyz.dtype), np.arange(len(xyz)))


def _kept(xyz: np.ndarray, source: np.ndarray) -> Disturbed:
    return Disturbed(xyz[source], source)


def _with_added(xyz: np.ndarray, added: np.ndarray) -> Disturbed:
    source = np.concatenate([np.arange(len(xyz)), np.full(len(added), -1)])
    return Disturbed(np.concatenate([xyz, added.astype(xyz.dtype)]), source)
