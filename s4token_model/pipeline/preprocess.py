"""Preprocessing: an order, scale and orientation of the points that do not depend on how the cloud arrived."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s4token_model.kernels import voxels
from s4token_model.kernels.sorting import argsort_points
from s4token_model.kernels.spatial_index import arrange
from s4token_model.pipeline.cleaning import NOT_FINITE, clean, close_gaps, keep_all

if TYPE_CHECKING:
    from s4token_model.pipeline.geometry import LocalGeometry

TURNS = {  # of `rotate_up`: which axis becomes x, y, z, and its sign
    "x": ([1, 2, 0], (1, 1, 1)),
    "-x": ([1, 2, 0], (1, -1, -1)),
    "y": ([0, 2, 1], (1, -1, 1)),
    "-y": ([0, 2, 1], (1, 1, -1)),
    "-z": ([0, 1, 2], (1, -1, -1)),
}
NORMALS_SAMPLED = 8192  # to find the floor
KERNEL_WIDTHS = (30, 20, 12, 8, 6, 5, 5, 5)  # degrees, from the first to the last step of mean shift
FLOOR_ANGLE = 10  # degrees; normals this close to the axis belong to the floor or to surfaces parallel to it
MIN_FLOOR_FRACTION = 0.1  # of the normals


@dataclass(frozen=True)
class WorkingCloud:
    """The distinct positions of a cloud that is cleaned, F of them, of which W go through the network."""

    original_index: np.ndarray  # (F,) int64, index into the input of a point at each position, sorted by (x, y, z)
    labeled_index: np.ndarray  # (V,) int64, index into the input of each point that is labeled
    position: np.ndarray  # (V,) int32, index into xyz of the position whose label it gets
    set_aside: dict[str, int]  # reason -> number of points of the input that are not labeled
    xyz: np.ndarray  # (F, 3) float32, moved and scaled into the unit cube; a leveled cloud may stick out of it
    rgb: np.ndarray | None  # (F, 3) float32 in [0, 1], or None
    kept: np.ndarray  # (W,) index into xyz of the points that go through the network
    kept_of_point: np.ndarray  # (F,) index into `kept` for every point; empty where `kept` was drawn at random
    extent: float  # length of the unit cube's edge in the unit of the input

    @property
    def points(self) -> np.ndarray:
        """The points (W, 3) that go through the network."""
        return self.xyz if len(self.kept) == len(self.xyz) else self.xyz[self.kept]

    @property
    def colors(self) -> np.ndarray | None:
        """Their colors (W, 3), or None."""
        return self.rgb if self.rgb is None or len(self.kept) == len(self.xyz) else self.rgb[self.kept]

    @property
    def kept_fraction(self) -> float:
        """W / F."""
        return len(self.kept) / max(len(self.xyz), 1)


def rotate_up(xyz: np.ndarray, up: str) -> np.ndarray:
    """Rotate a cloud (H, 3) so that its axis `up` (x, -x, y, -y, z, -z) becomes z; -y is a camera's optical frame.

    x stays where it is unless it is up: on the right in optical frames and in those of meshes, where y is up.
    """
    if up == "z":
        return xyz
    xyz = np.asarray(xyz)
    if xyz.dtype.kind != "f":  # the negative of an integer may not be of its type
        xyz = xyz.astype(np.float64)
    order, signs = TURNS[up]
    return xyz[..., order] * np.array(signs, xyz.dtype)


def prepare(xyz: np.ndarray, rgb: np.ndarray | None, cleaned: bool = True) -> WorkingCloud:
    """Sort the finite points of a cloud by (x, y, z), clean it if `cleaned`, and scale it to the unit cube.

    xyz (H, 3) in any unit, rgb (H, 3) in [0, 1] or None; ValueError on wrong shapes. The order makes all later ties
    independent of the input's order, the unit cube makes results independent of scale and translation.
    """
    xyz = checked_positions(xyz, rgb)
    # Finite points, in native byte order
    finite = voxels.finite_rows(xyz)
    points = xyz if len(finite) == len(xyz) else xyz.take(finite, axis=0)
    if points.dtype != np.float32:
        points = points.astype(np.float64)
    low, high = voxels.bounds(points)
    if max(high.max(), -low.min()) > 1e300:  # their differences would overflow
        points = points / 1e10
    # Canonical order of the positions that are on a surface, each once
    order = lexicographic_order(points)
    kept = clean(points, order) if cleaned else keep_all(order)
    set_aside = {NOT_FINITE: len(xyz) - len(finite)} | kept.set_aside
    source = order if len(finite) == len(xyz) else finite[order]
    # Unit scale
    on_surface = points.take(kept.first, axis=0)
    if cleaned:
        on_surface = close_gaps(on_surface)
    low, high = voxels.bounds(on_surface)
    extent = float((high - low).max(initial=0.0)) or 1.0
    unit = voxels.to_unit_cube(on_surface, low, extent)
    first = kept.first if len(finite) == len(xyz) else finite[kept.first]
    colors = None if rgb is None else np.nan_to_num(np.asarray(rgb)[first].astype(np.float32), nan=0.5)
    every = np.arange(len(unit), dtype=np.int32)
    labeled = source if len(kept.position) == len(source) else source[kept.labeled]
    return WorkingCloud(
        first, labeled, kept.position, {reason: n for reason, n in set_aside.items() if n}, unit, colors, every,
        every, extent,
    )  # fmt: skip


def downsample(cloud: WorkingCloud, max_points: int) -> WorkingCloud:
    """Keep one point per voxel if a cloud has more than `max_points`, else all."""
    if len(cloud.xyz) > max_points:
        kept, kept_of_point = voxels.voxel_downsample(cloud.xyz, max_points)
    else:
        kept = kept_of_point = np.arange(len(cloud.xyz), dtype=np.int32)
    return dataclasses.replace(cloud, kept=kept, kept_of_point=kept_of_point)


def checked_positions(xyz: np.ndarray, rgb: np.ndarray | None) -> np.ndarray:
    """Return xyz (H, 3) as float32 or float64. ValueError with a fix if it, or rgb, has another shape or type."""
    xyz = np.asarray(xyz)
    if xyz.dtype.kind not in "fiu":
        raise ValueError(f"xyz has type {xyz.dtype}; give real numbers, e.g. xyz.astype(np.float32)")
    if xyz.dtype not in (np.float32, np.float64):
        xyz = xyz.astype(np.float64)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"xyz has shape {xyz.shape}{_shape_advice(xyz.shape)}")
    if rgb is not None and np.shape(rgb) != xyz.shape:
        raise ValueError(f"rgb has shape {np.shape(rgb)} and xyz {xyz.shape}; they must agree")
    return xyz


def _shape_advice(shape: tuple[int, ...]) -> str:
    """Say how to turn an array of positions of another shape into (points, 3)."""
    wanted = "; it must be (points, 3)"
    if len(shape) == 2 and (shape[0] == 3 or 3 < shape[0] < min(10, shape[1])):
        return f", which looks transposed{wanted}, pass {'xyz.T' if shape[0] == 3 else 'xyz[:3].T'}"
    if len(shape) > 2 and shape[-1] == 3:
        return f"{wanted}, pass xyz.reshape(-1, 3)"
    return f"{wanted}, pass xyz[:, :3]" if len(shape) == 2 and shape[1] > 3 else wanted


def lexicographic_order(points: np.ndarray) -> np.ndarray:
    """Return np.lexsort's order of points (H, 3) by x, y, z, index; fast if few points share an x."""
    if points.dtype == np.float32 and (order := argsort_points(points)) is not None:
        return order
    order = np.argsort(points[:, 0])
    x = points[order, 0]
    same = np.r_[False, x[1:] == x[:-1]]
    tied = same | np.r_[same[1:], False]
    if tied.any():
        rest = np.sort(order[tied])
        order[tied] = rest[np.lexsort(points[rest].T[::-1])]
    return order


def level(cloud: WorkingCloud, local: LocalGeometry, max_tilt: float) -> tuple[WorkingCloud, LocalGeometry]:
    """Rotate a cloud and its normals so that the floor is horizontal, if it is tilted by at most `max_tilt` degrees.

    SLAM does not know the direction of gravity well. A tilt of 10 degrees lifts the far end of a floor to the height of
    a table.
    """
    rotation = rotation_to_z(floor_normal(local.normals, max_tilt)).astype(np.float32)
    cloud = dataclasses.replace(cloud, xyz=cloud.xyz @ rotation.T)
    index = arrange(cloud.points, local.index.order)
    return cloud, local._replace(index=index, normals=local.normals @ rotation.T)


def floor_normal(normals: np.ndarray, max_tilt: float) -> np.ndarray:
    """Return the unit vector (3,) float64 that is normal to the floor: the mode of the nearly vertical normals.

    Mean shift on the sphere, from +z, with a kernel that narrows. Returns (0, 0, 1) if fewer than a tenth of all
    normals (H, 3), of arbitrary sign, are near the mode, or if it is more than `max_tilt` degrees off z.
    """
    z = np.array([0.0, 0.0, 1.0])
    sampled = np.linspace(0, len(normals) - 1, min(NORMALS_SAMPLED, len(normals))).astype(np.int64)
    some = normals[sampled].astype(np.float64)
    flat = some[np.abs(some[:, 2]) >= np.cos(np.radians(max_tilt))]
    axis = z
    for width in KERNEL_WIDTHS:
        cosine = flat @ axis
        weight = np.exp(-2 * (_degrees(np.abs(cosine)) / width) ** 2) * np.sign(cosine)
        mean = weight @ flat
        if not (length := np.linalg.norm(mean)) > 0:
            return z
        axis = mean / length
    fraction = (np.abs(some @ axis) >= np.cos(np.radians(FLOOR_ANGLE))).mean()
    return axis if fraction >= MIN_FLOOR_FRACTION and _degrees(axis[2]) <= max_tilt else z


def rotation_to_z(axis: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) float64 that takes the unit vector `axis` (3,), z > 0, to +z (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.eye(3) + cross + cross @ cross / (1 + z)


def _degrees(cosine: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
