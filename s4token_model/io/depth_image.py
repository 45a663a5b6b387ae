"""Depth images: unprojection to points and back, and the frame layout of 7-Scenes and ScanNet exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s4token_model.io.errors import error, looks_like


def unproject(depth: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray | None = None) -> np.ndarray:
    """Return the points (h, w, 3) float32 m of a depth image; NaN where there is no depth.

    depth (h, w) m along the optical axis, 0 or non-finite = none; intrinsics (3, 3) pixels; pose (4, 4) from camera to
    world, with the camera x right, y down, z forward (camera frame when None).
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


def read(path: Path) -> tuple[dict[str, np.ndarray], int, int]:
    """Read `NAME.depth.png` (16 bit, millimeters; 0 and 65535 = none) as an organized cloud: (fields, width, height).

    Beside it: camera-intrinsics.txt (3x3 or 4x4), and where present NAME.pose.txt (camera-to-world) and NAME.color.jpg
    or NAME.color.png.
    """
    stem = path.name.removesuffix(".png").removesuffix(".depth")
    raw = read_image(path)
    if raw.ndim != 2 or raw.dtype.itemsize < 2:
        raise error(path, f"an image of shape {raw.shape} and type {raw.dtype}", "depth is 16 bit, one channel, mm")
    intrinsics = read_matrix(path.with_name("camera-intrinsics.txt"), (3, 3))
    pose_path = path.with_name(f"{stem}.pose.txt")
    pose = read_matrix(pose_path, (4, 4)) if pose_path.exists() else None
    depth = np.where((raw == 0) | (raw == 65535), np.nan, raw / 1000.0)
    points = unproject(depth, intrinsics, pose).reshape(-1, 3)
    fields = {name: points[:, i] for i, name in enumerate("xyz")}
    for color_path in (path.with_name(f"{stem}.color{suffix}") for suffix in (".jpg", ".png")):
        if color_path.exists():
            color = read_image(color_path, (raw.shape[1], raw.shape[0])).reshape(-1, 3)
            fields.update({name: color[:, i] for i, name in enumerate(("red", "green", "blue"))})
            break
    return fields, raw.shape[1], raw.shape[0]


def read_image(path: Path, color_size: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image as it is, or as RGB of the given (width, height)."""
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise error(path, "no such file", "check the path")
    try:
        with Image.open(path) as image:
            if color_size is not None:
                image = image.convert("RGB")
                image = image.resize(color_size) if image.size != color_size else image
            return np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as reason:
        with path.open("rb") as handle:
            found = looks_like(handle.read(32))
        raise error(path, f"found {found} that cannot be read ({reason})", "copy it again") from None


def read_matrix(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the first rows and columns of a text file of numbers. ValueError unless they are there and finite."""
    if not path.exists():
        raise error(path, "no such file", "a depth image needs its camera matrix, 3 rows of 3 numbers, beside it")
    try:
        matrix = np.loadtxt(path)[: shape[0], : shape[1]]
    except (ValueError, IndexError) as reason:
        raise error(path, f"not a matrix ({reason})", f"write {shape[0]} rows of {shape[1]} numbers") from None
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise error(path, f"no finite matrix {shape}: shape {matrix.shape}", "this frame has no usable pose or camera")
    return matrix
