"""Viewpoints for point clouds: rooms from above without ceiling, objects, streets, clouds of a depth camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

KINDS = ("room", "object", "street", "camera")
MARGIN = 0.94  # fraction of the picture that the points may fill
FIELD_OF_VIEW = 34.0  # degrees, vertical
# Right, forward and up of a depth camera's optical frame (x right, y down, z forward)
OPTICAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in the cloud's frame and unit."""

    eye: np.ndarray  # (3,)
    axes: np.ndarray  # (3, 3), rows right, down, forward
    focal: float  # pixels
    center: tuple[float, float]  # principal point, pixels

    def rotate(self, directions: np.ndarray) -> np.ndarray:
        """Directions (H, 3) from the cloud's frame to the camera's: right, down, forward."""
        return directions @ self.axes.T

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixel column, pixel row and depth (H,) of points (H, 3); depth is in the cloud's unit."""
        x, y, z = ((points - self.eye) @ self.axes.T).T
        safe = np.where(np.abs(z) < 1e-12, 1e-12, z)
        return self.center[0] + self.focal * x / safe, self.center[1] + self.focal * y / safe, z


def guess_kind(points: np.ndarray) -> str:
    """Guess from the extents if points (H, 3) are a depth camera's cloud, a street scan, an object or a room."""
    if len(points) == 0:
        return "object"
    x, y, z = points.T
    in_view = (z > 0) & (np.abs(x) < 1.2 * z) & (np.abs(y) < 1.2 * z)  # of a camera at the origin that looks along +z
    if in_view.mean() > 0.999:
        return "camera"
    extent = np.subtract(*np.percentile(points, [99, 1], axis=0))
    width = max(extent[0], extent[1])
    distance = np.linalg.norm(points[:, :2] - np.median(points[:, :2], axis=0), axis=1)
    dense_center = np.median(distance) < 0.35 * np.percentile(distance, 99)  # returns thin out with range squared
    if width > 20.0 and extent[2] < 0.4 * width and dense_center:
        return "street"
    return "room" if extent[2] < 0.8 * width and 2.2 < width < 30.0 else "object"


def choose_camera(points: np.ndarray, normals: np.ndarray, kind: str, size: tuple[int, int]) -> Camera:
    """A camera that frames the cloud: rooms and streets from their best azimuth, others from a fixed one."""
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of auto, {', '.join(KINDS)}")
    if len(points) == 0:
        return look_at(np.zeros((1, 3)), -60.0, 30.0, size)
    if kind == "camera":
        return look_at(points, -84.0, 14.0, size, OPTICAL)
    if kind == "street":  # the azimuth from which the camera comes nearest
        core = points[_street_core(points)]
        cameras = [look_at(core, azimuth, 45.0, size) for azimuth in np.arange(-180.0, 180.0, 30.0)]
        return min(cameras, key=lambda camera: float(((core.mean(0) - camera.eye) @ camera.axes.T)[2]))
    if kind == "room":  # the azimuth that shows most points
        cameras = [look_at(points, azimuth, 52.0, size) for azimuth in np.arange(-157.5, 180.0, 45.0)]
        return max(cameras, key=lambda camera: _count_visible(points, normals, camera, size))
    extent = np.ptp(points, axis=0)  # flat objects are seen from higher up
    elevation = 46.0 - 44.0 * extent[2] / (max(extent[0], extent[1]) + 1e-12)
    return look_at(points, -55.0, float(np.clip(elevation, 22.0, 46.0)), size)


def look_at(
    points: np.ndarray, azimuth: float, elevation: float, size: tuple[int, int], frame: np.ndarray | None = None
) -> Camera:
    """A camera that looks at all the points (H, 3) from a direction, as near as they fit a picture (width, height).

    azimuth: degrees; 0 looks from +x, -90 from -y; elevation: degrees above the horizontal plane; frame: rows x, y and
    up in the cloud's frame, default the identity.
    """
    x, y, up = np.eye(3) if frame is None else frame
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    back = np.cos(elevation) * (np.cos(azimuth) * x + np.sin(azimuth) * y) + np.sin(elevation) * up
    right = -np.sin(azimuth) * x + np.cos(azimuth) * y
    axes = np.stack([right, -np.cross(back, right), -back])
    width, height = size
    focal = 0.5 * height / np.tan(np.radians(FIELD_OF_VIEW) / 2)
    limit = MARGIN * np.array([width, height]) / (2 * focal)
    local = points[:: max(1, len(points) // 40000)] @ axes.T
    # On each axis the two outermost sight lines fix offset and distance: x - offset <= limit (z + distance)
    high = (local[:, :2] - limit * local[:, 2:]).max(0)
    low = (local[:, :2] + limit * local[:, 2:]).min(0)
    distance = ((high - low) / (2 * limit)).max() + 1e-9
    offset = (high + low) / 2
    eye = offset[0] * axes[0] + offset[1] * axes[1] - distance * axes[2]
    return Camera(eye, axes, float(focal), (width / 2.0, height / 2.0))


def cut_away(points: np.ndarray, normals: np.ndarray, kind: str, camera: Camera) -> np.ndarray:
    """Points (H,) bool to draw: rooms without ceiling and walls in front of the camera, streets without their rim."""
    if kind == "street":
        return _street_core(points)
    if kind != "room" or len(points) < 100:
        return np.ones(len(points), bool)
    floor, top = np.percentile(points[:, 2], [1, 99.5])
    below_ceiling = points[:, 2] < _ceiling(points, normals, floor, top)
    return below_ceiling & ~_near_walls(points, normals, floor, camera)


def _street_core(points: np.ndarray) -> np.ndarray:
    """The dense core (H,) bool of a street scan; its rim is a few scattered returns."""
    offset = points - np.median(points, axis=0)
    distance = np.linalg.norm(offset[:, :2], axis=1)
    return (distance < np.percentile(distance, 90)) & (np.abs(offset[:, 2]) < 25.0)


def _ceiling(points: np.ndarray, normals: np.ndarray, floor: float, top: float) -> float:
    """Height above which a room is cut; infinite if no level surface up there covers a good part of the plan."""
    high = (np.abs(normals[:, 2]) > 0.8) & (points[:, 2] > floor + 0.72 * (top - floor))
    cell = max(np.ptp(points[:, 0]), np.ptp(points[:, 1])) / 40 + 1e-9
    plan = len(np.unique((points[:, :2] // cell).astype(np.int64), axis=0))
    cover = len(np.unique((points[high, :2] // cell).astype(np.int64), axis=0))
    return np.inf if cover < 0.12 * plan else float(np.percentile(points[high, 2], 15) - 0.04 * (top - floor))


def _near_walls(points: np.ndarray, normals: np.ndarray, floor: float, camera: Camera) -> np.ndarray:
    """Points (H,) bool on walls between the camera and the room, above knee height: they would hide the room."""
    forward = camera.axes[2, :2] / (np.linalg.norm(camera.axes[2, :2]) + 1e-12)
    along = points[:, :2] @ forward
    across = points[:, :2] @ np.array([-forward[1], forward[0]])
    column = ((across - across.min()) / (np.ptp(across) / 60 + 1e-9)).astype(np.int64)
    nearest = np.full(column.max() + 1, np.inf)
    np.minimum.at(nearest, column, along)
    nearest = ndimage.minimum_filter1d(nearest, 5, mode="nearest")
    near = (np.abs(normals[:, 2]) < 0.45) & (along < nearest[column] + 0.07 * np.ptp(along))
    return near & (points[:, 2] > floor + 0.12 * np.ptp(points[:, 2]))


def _count_visible(points: np.ndarray, normals: np.ndarray, camera: Camera, size: tuple[int, int]) -> int:
    """How many points of a room a coarse z-buffer shows."""
    step = max(1, len(points) // 8000)
    kept = cut_away(points[::step], normals[::step], "room", camera)
    column, row, depth = camera.project(points[::step][kept])
    pixel = (row * 60 / size[1]).astype(np.int64) * 4096 + (column * 60 / size[1]).astype(np.int64)
    cells, inverse = np.unique(pixel, return_inverse=True)
    front = np.full(len(cells), np.inf)
    np.minimum.at(front, inverse, depth)
    return int((depth < front[inverse] * 1.02).sum())
