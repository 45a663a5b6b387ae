"""Viewpoints for point clouds: rooms seen into from above, objects, streets, and clouds of a depth camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("room", "object", "street", "camera")


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: rows of `axes` (3, 3) are right, down and forward in the cloud's frame; `eye` (3,) in the
    cloud's unit; focal length and principal point in pixels."""

    eye: np.ndarray
    axes: np.ndarray
    focal: float
    center: tuple[float, float]

    def rotate(self, directions: np.ndarray) -> np.ndarray:
        """Directions (H, 3) of the cloud's frame in the camera's: right, down, forward."""
        return directions @ self.axes.T

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixel column, pixel row and depth (H,) of points (H, 3); depth is in the cloud's unit."""
        x, y, z = ((points - self.eye) @ self.axes.T).T
        safe = np.where(np.abs(z) < 1e-12, 1e-12, z)
        return self.center[0] + self.focal * x / safe, self.center[1] + self.focal * y / safe, z


def guess_kind(points: np.ndarray) -> str:
    """Tell a depth camera's cloud, a street scan, a single object and a room apart by their extents."""
    if len(points) == 0:
        return "object"
    x, y, z = points.T
    ahead = (z > 0) & (np.abs(x) < 1.2 * z) & (np.abs(y) < 1.2 * z)
    if ahead.mean() > 0.999:
        return "camera"
    extent = np.subtract(*np.percentile(points, [99, 1], axis=0))
    width = max(extent[0], extent[1])
    reach = np.linalg.norm(points[:, :2] - np.median(points[:, :2], axis=0), axis=1)
    dense_middle = np.median(reach) < 0.35 * np.percentile(reach, 99)  # returns thin out with the square of the range
    if width > 20.0 and extent[2] < 0.4 * width and dense_middle:
        return "street"
    return "room" if extent[2] < 0.8 * width and 2.2 < width < 30.0 else "object"


def choose_camera(points: np.ndarray, normals: np.ndarray, kind: str, size: tuple[int, int]) -> Camera:
    """A camera that frames the cloud: rooms and streets from the azimuth that shows most, others from a fixed one."""
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of auto, {', '.join(KINDS)}")
    if len(points) == 0:
        return look_at(np.zeros((1, 3)), -60.0, 30.0, size)
    if kind == "camera":
        return look_at(points, -84.0, 14.0, size, up=np.array([0.0, -1.0, 0.0]), margin=0.97)
    if kind == "street":
        near = points[_street_core(points)]
        cameras = [look_at(near, a, 45.0, size) for a in np.arange(-180.0, 180.0, 30.0)]
        return min(cameras, key=lambda c: float(((near.mean(0) - c.eye) @ c.axes.T)[2]))
    elevation, azimuths = (52.0, np.arange(-157.5, 180, 45.0)) if kind == "room" else (_tilt(points), np.array([-55.0]))
    cameras = [look_at(points, a, elevation, size) for a in azimuths]
    if len(cameras) == 1:
        return cameras[0]
    return max(cameras, key=lambda c: _visible(points, normals, kind, c, size))


def _tilt(points: np.ndarray) -> float:
    """Elevation in degrees for an object: flat things are seen from higher up."""
    extent = np.ptp(points, axis=0)
    return float(np.clip(46.0 - 44.0 * extent[2] / (max(extent[0], extent[1]) + 1e-12), 22.0, 46.0))


def look_at(
    points: np.ndarray,
    azimuth: float,
    elevation: float,
    size: tuple[int, int],
    up: np.ndarray | None = None,
    margin: float = 0.94,
    field: float = 34.0,
) -> Camera:
    """A camera that looks at all the points from a direction in degrees, as near as they fit.

    azimuth 0 looks from +x (-90 from -y), elevation above the horizontal plane; field of view vertical, in degrees;
    margin is the share of the picture that the points may fill.
    """
    back, right, vertical = _frame(np.radians(azimuth), np.radians(elevation), up)
    axes = np.stack([right, -vertical, -back])
    width, height = size
    focal = 0.5 * height / np.tan(np.radians(field) / 2)
    limit = margin * np.array([width, height]) / (2 * focal)
    local = points[:: max(1, len(points) // 40000)] @ axes.T
    # On each axis the two outermost sight lines fix offset and distance: x - ox <= t (z + D) for all points.
    high = (local[:, :2] - limit * local[:, 2:]).max(0)
    low = (local[:, :2] + limit * local[:, 2:]).min(0)
    distance = ((high - low) / (2 * limit)).max() + 1e-9
    offset = (high + low) / 2
    eye = offset[0] * axes[0] + offset[1] * axes[1] - distance * axes[2]
    return Camera(eye, axes, float(focal), (width / 2.0, height / 2.0))


def cut_away(points: np.ndarray, normals: np.ndarray, kind: str, camera: Camera) -> np.ndarray:
    """Which points (H,) bool to draw: rooms lose their ceiling and the walls between the camera and the inside,
    streets their rim."""
    kept = np.ones(len(points), bool)
    if kind == "street":
        return _street_core(points)
    if kind != "room" or len(points) < 100:
        return kept
    z = points[:, 2]
    floor, top = np.percentile(z, [1, 99.5])
    kept &= z < _ceiling(points, normals, floor, top)
    return kept & ~_near_walls(points, normals, floor, camera)


def _street_core(points: np.ndarray) -> np.ndarray:
    """The dense middle of a street scan: its rim is a few scattered returns."""
    middle = np.median(points, axis=0)
    reach = np.linalg.norm(points[:, :2] - middle[:2], axis=1)
    return (reach < np.percentile(reach, 90)) & (np.abs(points[:, 2] - middle[2]) < 25.0)


def _ceiling(points: np.ndarray, normals: np.ndarray, floor: float, top: float) -> float:
    """Height above which a room is cut; infinite where no level surface up there covers a good part of the plan."""
    level = np.abs(normals[:, 2]) > 0.8
    high = level & (points[:, 2] > floor + 0.72 * (top - floor))
    cell = max(np.ptp(points[:, 0]), np.ptp(points[:, 1])) / 40 + 1e-9
    plan = len(np.unique((points[:, :2] // cell).astype(np.int64), axis=0))
    cover = len(np.unique((points[high, :2] // cell).astype(np.int64), axis=0))
    if cover < 0.12 * plan:
        return np.inf
    return float(np.percentile(points[high, 2], 15) - 0.04 * (top - floor))


def _near_walls(points: np.ndarray, normals: np.ndarray, floor: float, camera: Camera) -> np.ndarray:
    """Upright surfaces at the near boundary of the plan, above knee height: they would hide the room."""
    forward = camera.axes[2, :2] / (np.linalg.norm(camera.axes[2, :2]) + 1e-12)
    along = points[:, :2] @ forward
    across = points[:, :2] @ np.array([-forward[1], forward[0]])
    width = np.ptp(across) / 60 + 1e-9
    column = ((across - across.min()) / width).astype(np.int64)
    nearest = np.full(column.max() + 1, np.inf)
    np.minimum.at(nearest, column, along)
    padded = np.pad(nearest, 2, mode="edge")
    nearest = np.min([padded[i : i + len(nearest)] for i in range(5)], axis=0)
    upright = np.abs(normals[:, 2]) < 0.45
    depth = 0.07 * np.ptp(along)
    return upright & (along < nearest[column] + depth) & (points[:, 2] > floor + 0.12 * np.ptp(points[:, 2]))


def _visible(points: np.ndarray, normals: np.ndarray, kind: str, camera: Camera, size: tuple[int, int]) -> int:
    """How many different points a coarse z-buffer shows."""
    step = max(1, len(points) // 8000)
    kept = cut_away(points[::step], normals[::step], kind, camera)
    column, row, depth = camera.project(points[::step][kept])
    pixel = (row * 60 / size[1]).astype(np.int64) * 4096 + (column * 60 / size[1]).astype(np.int64)
    cells, inverse = np.unique(pixel, return_inverse=True)
    front = np.full(len(cells), np.inf)
    np.minimum.at(front, inverse, depth)
    return int((depth < front[inverse] * 1.02).sum())


def _frame(azimuth: float, elevation: float, up: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors back (towards the eye), right and vertical; `up` defaults to +z."""
    x, y, z = np.eye(3)
    if up is not None:  # an optical frame: right x, down y, forward z
        x, y, z = np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), np.asarray(up, float)
    back = np.cos(elevation) * (np.cos(azimuth) * x + np.sin(azimuth) * y) + np.sin(elevation) * z
    right = -np.sin(azimuth) * x + np.cos(azimuth) * y
    return back, right, np.cross(back, right) * np.sign(np.dot(np.cross(x, y), z))
