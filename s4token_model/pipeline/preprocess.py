"""The working form of a cloud: finite points, in an order and a scale that do not depend on how the cloud arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s4token_model.kernels import voxels


@dataclass(frozen=True)
class WorkingCloud:
    """A cloud made ready for the pipeline.

    source (F,) int64, the input index of each finite point, in canonical order; xyz (F, 3) float32, the finite points
    moved and scaled into the unit cube, out of which a leveled cloud may stick; rgb (F, 3) float32 or None; core (W,)
    indices into xyz of the points that go through the network; nearest_core (F,) index into `core` for every point;
    extent, the length of the unit cube's edge in the input's unit.
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
    if xyz.dtype not in (np.float32, np.float64):
        xyz = xyz.astype(np.float64)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"xyz has shape {xyz.shape}; it must be (points, 3)")
    if rgb is not None and np.shape(rgb) != xyz.shape:
        raise ValueError(f"rgb has shape {np.shape(rgb)} and xyz {xyz.shape}; they must agree")
    finite = voxels.finite_rows(xyz)
    points = xyz if len(finite) == len(xyz) else xyz[finite]
    if points.dtype != np.float32:
        points = points.astype(np.float64)
    low, high = voxels.ends(points)
    if max(high.max(), -low.min()) > 1e300:  # their differences would overflow
        points, low, high = points / 1e10, low / 1e10, high / 1e10
    order = sorted_order(points)
    source = order if len(finite) == len(xyz) else finite[order]
    extent = float((high - low).max(initial=0.0)) or 1.0
    unit = voxels.to_unit_cube(points, order, low, extent)
    colors = None if rgb is None else np.nan_to_num(np.asarray(rgb)[source].astype(np.float32), nan=0.5)
    if len(unit) > max_points:
        core, nearest_core = voxels.thin(unit, max_points)
    else:
        core = nearest_core = np.arange(len(unit), dtype=np.int32)
    return WorkingCloud(source, unit, colors, core, nearest_core, extent)


def sorted_order(points: np.ndarray) -> np.ndarray:
    """Return np.lexsort's order of points (H, 3) by x, then y, then z, then index; quick where few points share an
    x."""
    if points.dtype == np.float32 and (quick := voxels.order32(points)) is not None:
        return quick
    order = np.argsort(points[:, 0])
    x = points[order, 0]
    same = np.r_[False, x[1:] == x[:-1]]
    tied = same | np.r_[same[1:], False]
    if tied.any():
        rest = np.sort(order[tied])
        order[tied] = rest[np.lexsort(points[rest].T[::-1])]
    return order
