"""A made scene of posed RGB-D frames: a red wall, and a green board half a meter in front of its middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (64, 48)
MATRIX = np.array([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]])
EYES = ((0.0, 0.0, 0.0), (0.6, 0.0, 0.0), (-0.6, 0.1, 0.0))  # cameras look along +z; the wall is at z = 2
WALL, BOARD, HALF = 2.0, 1.5, 0.25


def pose(eye) -> np.ndarray:
    out = np.eye(4)
    out[:3, 3] = eye
    return out


def picture(eye) -> tuple[np.ndarray, np.ndarray]:
    """Depth (h, w) m and colors (h, w, 3) uint8 that a camera at `eye` sees."""
    row, column = np.indices(SIZE[::-1])
    x, y = (column - MATRIX[0, 2]) / 60 * BOARD + eye[0], (row - MATRIX[1, 2]) / 60 * BOARD + eye[1]
    board = (np.abs(x) < HALF) & (np.abs(y) < HALF)
    depth = np.where(board, BOARD, WALL) - eye[2]
    return depth, np.where(board[..., None], [0, 200, 0], [200, 0, 0]).astype(np.uint8)


def cloud() -> tuple[np.ndarray, np.ndarray]:
    """xyz (H, 3) float32 of wall and board, and which is which (H,): 0 and 1."""
    u, v = (a.ravel() for a in np.meshgrid(np.arange(-1, 1, 0.025), np.arange(-0.7, 0.7, 0.025)))
    wall = np.column_stack([u, v, np.full(len(u), WALL)])
    near = (np.abs(u) < HALF) & (np.abs(v) < HALF)
    board = np.column_stack([u, v, np.full(len(u), BOARD)])[near]
    return np.concatenate([wall, board]).astype(np.float32), np.repeat([0, 1], [len(wall), len(board)])


def write(folder: Path, layout: str = "7-scenes", world: np.ndarray | None = None) -> None:
    """Write the frames in the layout of 7-Scenes or of ScanNet's export, whose colors are twice as large.

    `world` (4, 4) moves the scene.
    """
    folder.mkdir(parents=True)
    if layout == "7-scenes":
        np.savetxt(folder / "camera-intrinsics.txt", MATRIX)
    else:
        for name in ("color", "depth", "pose", "intrinsic"):
            (folder / name).mkdir()
        for name, scale in (("color", 2.0), ("depth", 1.0)):
            wide = np.eye(4)
            wide[:3, :3] = np.diag([scale, scale, 1]) @ MATRIX
            np.savetxt(folder / "intrinsic" / f"intrinsic_{name}.txt", wide)
    for number, eye in enumerate(EYES):
        depth, color = picture(eye)
        name = f"frame-{number:06d}"
        paths = {k: folder / f"{name}.{k}.{s}" for k, s in (("color", "png"), ("depth", "png"), ("pose", "txt"))}
        if layout != "7-scenes":
            paths = {k: folder / k / f"{number}.{s}" for k, s in (("color", "jpg"), ("depth", "png"), ("pose", "txt"))}
            color = np.repeat(np.repeat(color, 2, 0), 2, 1)
        Image.fromarray(color).save(paths["color"])
        Image.fromarray((1000 * depth).astype(np.uint16)).save(paths["depth"])
        np.savetxt(paths["pose"], pose(eye) if world is None else world @ pose(eye))
