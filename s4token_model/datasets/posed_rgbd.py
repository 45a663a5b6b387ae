"""Scenes of posed RGB-D frames.

Layouts of a scene's folder, detected automatically:
  7-Scenes   frame-NNNNNN.{color.png|color.jpg,depth.png,pose.txt}, and camera-intrinsics.txt in it or above it
  ScanNet    as its SensReader exports it: {color/N.jpg,depth/N.png,pose/N.txt}, intrinsic/intrinsic_{color,depth}.txt
Depth is 16 bit in mm (0 and 65535 = none), a pose is 4 x 4 from camera to world, x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.io import depth_image

MIN_DEPTH_FRACTION = 0.01  # of the pixels; a frame with less shows nothing
DEPTH_TOLERANCE, RELATIVE_TOLERANCE = 0.04, 0.02  # m, and m per m of depth, of a measured depth
INTRINSICS = "camera-intrinsics.txt"


@dataclass(frozen=True)
class Frame:
    """One frame; its images are read on demand."""

    name: str  # the frame's number as the files have it
    color_path: Path
    depth_path: Path
    pose: np.ndarray  # (4, 4), camera to world
    color_matrix: np.ndarray  # (3, 3), intrinsics in pixels of the color image
    depth_matrix: np.ndarray  # (3, 3), of the depth image

    def color(self) -> np.ndarray:
        """Read the colors (h, w, 3) uint8."""
        image = depth_image.read_image(self.color_path)
        if image.ndim != 3 or image.shape[2] < 3:
            raise ValueError(f"{self.color_path}: expected colors, found an image {image.shape}; export it again")
        return image[..., :3]

    def depth(self) -> np.ndarray:
        """Read the depth (h, w) float32 m, NaN = none. ValueError when the frame has none."""
        meters = depth_image.read_depth(self.depth_path).astype(np.float32)
        if np.isfinite(meters).mean() < MIN_DEPTH_FRACTION:
            raise ValueError(f"{self.depth_path} has no depth; the frame is of no use")
        return meters


def list_scenes(root: str | Path) -> list[Path]:
    """Return `root` if it is a scene, else the scenes up to two folders below. ValueError names what was looked for."""
    root = Path(root)
    for folders in ([root], root.glob("*"), root.glob("*/*")):
        found = sorted(folder for folder in folders if folder.is_dir() and _is_scene(folder))
        if found:
            return found
    raise ValueError(
        f"no scene of posed RGB-D frames in {root}: looked for {root / 'frame-*.pose.txt'} (7-Scenes) and "
        f"{root / 'pose' / '*.txt'} (ScanNet), there and in its folders"
    )


def frames(folder: str | Path, every: int = 1) -> tuple[list[Frame], list[str]]:
    """Return every `every`-th frame of a scene by name, and why others are skipped: no finite pose, a missing file."""
    folder = Path(folder)
    good, skipped = [], []
    for name, color, depth, pose, matrices in list(_find(folder))[::every]:
        try:
            for path in (color, depth):
                if not path.is_file():
                    raise ValueError(f"{path} is missing")
            good.append(Frame(name, color, depth, depth_image.read_matrix(pose, (4, 4)), *matrices))
        except ValueError as reason:
            skipped.append(str(reason))
    if not good:
        raise ValueError(f"no frame of {folder} can be used; the first: {skipped[0] if skipped else 'there is none'}")
    return good, skipped


def visible(xyz: np.ndarray, frame: Frame, depth: np.ndarray) -> np.ndarray:
    """Indices of the points (H, 3), world frame, that are seen in a frame with depth (h, w) m, NaN = none."""
    pixel, distance = depth_image.project(xyz, frame.pose, frame.depth_matrix)
    column, row = (np.rint(np.clip(pixel[:, k], -1e6, 1e6)).astype(np.int64) for k in range(2))
    height, width = depth.shape
    inside = np.flatnonzero((distance > 0.05) & (column >= 0) & (column < width) & (row >= 0) & (row < height))
    error = np.abs(depth[row[inside], column[inside]] - distance[inside])
    return inside[error < DEPTH_TOLERANCE + RELATIVE_TOLERANCE * distance[inside]]


def _find(folder: Path) -> Iterator[tuple[str, Path, Path, Path, tuple[np.ndarray, np.ndarray]]]:
    """Yield (name, color path, depth path, pose path, (color matrix, depth matrix)) of every frame."""
    if (folder / "pose").is_dir():
        color_matrix, depth_matrix = (_matrix(folder / "intrinsic" / f"intrinsic_{k}.txt") for k in ("color", "depth"))
        for pose in sorted((folder / "pose").glob("*.txt"), key=lambda p: (len(p.stem), p.stem)):
            color, depth = folder / "color" / f"{pose.stem}.jpg", folder / "depth" / f"{pose.stem}.png"
            yield pose.stem, color, depth, pose, (color_matrix, depth_matrix)
        return
    above = folder.parent / INTRINSICS  # one matrix for several sequences
    matrix = _matrix(above if above.is_file() and not (folder / INTRINSICS).is_file() else folder / INTRINSICS)
    for pose in sorted(folder.glob("*.pose.txt")):
        name = pose.name.removesuffix(".pose.txt")
        color = folder / f"{name}.color.jpg"
        color = color if color.is_file() else color.with_suffix(".png")
        yield name, color, folder / f"{name}.depth.png", pose, (matrix, matrix)


def _matrix(path: Path) -> np.ndarray:
    if not path.is_file():
        known = "for 7-Scenes write the rows 585 0 320, 0 585 240 and 0 0 1"
        raise ValueError(f"{path} is missing: the camera matrix, 3 rows of 3 numbers; {known}")
    return depth_image.read_matrix(path, (3, 3))


def _is_scene(folder: Path) -> bool:
    return any(folder.glob("*.pose.txt")) or any((folder / "pose").glob("*.txt"))
