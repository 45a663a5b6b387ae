"""Depth images: unprojection to points and back, and the frame layout of 7-Scenes and ScanNet exports."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from s4token_model.io.contents import Contents
from s4token_model.io.errors import error, looks_like
from s4token_model.io.limits import MAX_COLOR_PIXELS, MAX_DEPTH_PIXELS, open_sized
from s4token_model.io.mesh_files import vertex_fields

NO_DEPTH = 65535  # mm; written by some cameras instead of 0
OPTICAL_FRAME = "camera_optical_frame"  # of points without a pose


def unproject(depth: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray | None = None) -> np.ndarray:
    """Turn a depth image (h, w) in meters into points (h, w, 3) float32, NaN where it is 0 or not finite.

    `intrinsics` (3, 3) are in pixels. `pose` (4, 4) is camera to world, with x right, y down, z forward; None leaves
    the points in the camera frame: x = (column - cx) / fx * depth, and alike for y.
    """
    rows, columns = np.indices(depth.shape)
    z = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float64)
    x = (columns - intrinsics[0, 2]) / intrinsics[0, 0] * z
    y = (rows - intrinsics[1, 2]) / intrinsics[1, 1] * z
    points = np.stack([x, y, z], axis=-1)
    if pose is not None:
        points = points @ pose[:3, :3].T + pose[:3, 3]
    return points.astype(np.float32)


def project(points: np.ndarray, pose: np.ndarray, intrinsics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 2) as (u, v) and depth (n,) of points (n, 3); pixels with a depth <= 0 mean nothing."""
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    depth = local[:, 2]
    safe = np.where(np.abs(depth) > 1e-9, depth, 1e-9)
    return local[:, :2] / safe[:, None] * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2], depth


def read(path: Path) -> Contents:
    """Read `NAME.depth.png` as an organized cloud; its frame is "" for that of the poses.

    In the same folder: camera-intrinsics.txt (3 x 3 or 4 x 4), and optionally NAME.pose.txt (camera to world) and
    NAME.color.jpg or NAME.color.png.
    """
    stem = path.name.removesuffix(".png").removesuffix(".depth")
    depth = read_depth(path)
    intrinsics = read_matrix(path.with_name("camera-intrinsics.txt"), (3, 3))
    pose_path = path.with_name(f"{stem}.pose.txt")
    pose = read_matrix(pose_path, (4, 4)) if pose_path.exists() else None
    points, (height, width) = unproject(depth, intrinsics, pose).reshape(-1, 3), depth.shape
    color_paths = [path.with_name(f"{stem}.color{suffix}") for suffix in (".jpg", ".png")]
    color_path = next((p for p in color_paths if p.exists()), None)
    colors = read_image(color_path, (width, height)).reshape(-1, 3) if color_path else None
    return Contents(vertex_fields(points, colors), width, height, OPTICAL_FRAME if pose is None else "")


def read_depth(path: Path) -> np.ndarray:
    """Read a 16-bit depth image in millimeters as (h, w) float64 m; NaN where it is 0 or NO_DEPTH."""
    raw = read_image(path)
    if raw.ndim != 2 or raw.dtype.itemsize < 2:
        raise error(path, f"an image of shape {raw.shape} and type {raw.dtype}", "depth is 16 bit, one channel, mm")
    return np.where((raw == 0) | (raw == NO_DEPTH), np.nan, raw / 1000.0)


def read_image(path: Path, color_size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a PNG or JPEG image unchanged, or as RGB resized to (width, height)."""
    from PIL import Image

    if not path.is_file():
        raise error(path, "no such file", "check the path")
    limit = MAX_DEPTH_PIXELS if color_size is None else MAX_COLOR_PIXELS
    try:
        with open_sized(path) as handle, Image.open(handle, formats=("PNG", "JPEG")) as image:
            if image.width * image.height <= limit:
                if color_size is not None:
                    image = image.convert("RGB")
                    image = image.resize(color_size) if image.size != color_size else image
                return np.asarray(image)
            found = f"an image of {image.width} x {image.height} pixels"
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as reason:
        found = f"found {looks_like(path)} that cannot be read ({reason})"
        raise error(path, found, "copy it again") from None
    raise error(path, found, f"{limit:,} pixels are the limit; make it smaller")


def read_matrix(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the first rows and columns of a text file of numbers. ValueError when they are missing or not finite."""
    if not path.is_file():  # a pipe would block
        raise error(path, "no such file", "a depth image needs its camera matrix, 3 rows of 3 numbers, in its folder")
    try:
        matrix = np.loadtxt(path)[: shape[0], : shape[1]]
    except (ValueError, IndexError) as reason:
        raise error(path, f"not a matrix ({reason})", f"write {shape[0]} rows of {shape[1]} numbers") from None
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise error(path, f"no finite matrix {shape}: shape {matrix.shape}", "this frame has no usable pose or camera")
    return matrix
