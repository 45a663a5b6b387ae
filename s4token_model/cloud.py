"""The working form of a cloud: finite points, in an order and a scale that do not depend on how the cloud arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from s4token_model.blocks import radix_order
from s4token_model.geometry import voxel_representatives


@dataclass(frozen=True)
class WorkingCloud:
    """A cloud made ready for the pipeline.

    source (F,) int64, the input index of each finite point, in canonical order; xyz (F, 3) float32, the finite points
    moved and scaled into the unit cube; rgb (F, 3) float32 or None; core (W,) indices into xyz of the points that go
    through the network; nearest_core (F,) index into `core` for every point; extent, the length of the unit cube's edge
    in the input's unit.
    """

    source: np.ndarray
    xyz: np.ndarray
    rgb: np.ndarray | None
    core: np.ndarray
    nearest_core: np.ndarray
    extent: float


_AXES = {"x": 0, "y": 1, "z": 2}


def upright(xyz: np.ndarray, up: str) -> np.ndarray:
    """Turn a cloud (H, 3) whose axis `up` (x, -x, y, -y, z, -z) points upwards so that z does; -y is a camera's
    optical frame.

    A rotation, no mirroring: left stays left.
    """
    if up == "z":
        return xyz
    axis = _AXES[up[-1]]
    turned = np.roll(np.asarray(xyz), 2 - axis, axis=-1)  # cyclic, hence a rotation
    return turned * np.array([1, -1, -1], turned.dtype) if up.startswith("-") else turned


def prepare(xyz: np.ndarray, rgb: np.ndarray | None, max_points: int) -> WorkingCloud:
    """Drop non-finite points, sort the rest by (x, y, z), scale them to the unit cube; thin clouds above `max_points`
    by voxels.

    xyz (H, 3) float, any unit; rgb (H, 3) in [0, 1] or None. The sorted order makes every later tie independent of the
    input's order, the unit cube makes results independent of scale and translation. Raises ValueError on wrong shapes.
    """
    xyz = np.asarray(xyz)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"xyz has shape {xyz.shape}; it must be (points, 3)")
    if rgb is not None and np.shape(rgb) != xyz.shape:
        raise ValueError(f"rgb has shape {np.shape(rgb)} and xyz {xyz.shape}; they must agree")
    finite, points = _finite_points(xyz if xyz.dtype == np.float32 else xyz.astype(np.float64))
    if np.abs(points).max(initial=0.0) > 1e300:  # their differences would overflow
        points /= 1e10
    order = sorted_order(points)
    source = finite[order]
    unit, extent = _to_unit(points, order)
    colors = None if rgb is None else np.nan_to_num(np.asarray(rgb)[source].astype(np.float32), nan=0.5)
    if len(unit) > max_points:
        core, nearest_core = voxel_representatives(unit, max_points)
    else:
        core = nearest_core = np.arange(len(unit), dtype=np.int32)
    return WorkingCloud(source, unit, colors, core, nearest_core, extent)


def sorted_order(points: np.ndarray) -> np.ndarray:
    """Return np.lexsort's order of points (H, 3) by x, then y, then z, then index; quick where few points share an
    x."""
    with np.errstate(over="ignore"):
        first = points[:, 0].astype(np.float32)
    if (first == points[:, 0]).all():  # as sensors give them; the bits of such numbers sort several times faster
        order = radix_order(_ascending_bits(first)).astype(np.int64)
    else:
        order = np.argsort(points[:, 0])
    x = points[order, 0]
    same = np.r_[False, x[1:] == x[:-1]]
    tied = same | np.r_[same[1:], False]
    if tied.any():
        rest = np.sort(order[tied])
        order[tied] = rest[np.lexsort(points[rest].T[::-1])]
    return order


def _ascending_bits(numbers: np.ndarray) -> np.ndarray:
    """Integers >= 0 in the order of float32 numbers, equal where these are."""
    bits = (numbers + np.float32(0)).view(np.int32).astype(np.int64)  # -0 becomes 0
    return np.where(bits < 0, -1 - (bits & 0x7FFFFFFF), bits) + 2**31


@njit(cache=True, nogil=True)
def _finite_points(xyz):
    """Index (F,) int64 of the rows of xyz (H, 3) without NaN or inf, and those rows (F, 3) float64."""
    finite, points, count = np.empty(len(xyz), np.int64), np.empty((len(xyz), 3)), 0
    for i in range(len(xyz)):
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        if np.isfinite(x) and np.isfinite(y) and np.isfinite(z):
            finite[count] = i
            points[count, 0], points[count, 1], points[count, 2] = x, y, z
            count += 1
    return finite[:count], points[:count]


@njit(cache=True, nogil=True)
def _to_unit(points, order):
    """Points (F, 3) in an order, moved and scaled into the unit cube, float32, and the scale."""
    low, high = np.zeros(3), np.zeros(3)
    for i in range(len(points)):
        for a in range(3):
            low[a] = points[i, a] if i == 0 else min(low[a], points[i, a])
            high[a] = points[i, a] if i == 0 else max(high[a], points[i, a])
    extent = (high - low).max()
    if not extent > 0:
        extent = 1.0
    unit = np.empty(points.shape, np.float32)
    for i in range(len(order)):
        for a in range(3):
            unit[i, a] = (points[order[i], a] - low[a]) / extent
    return unit, extent
