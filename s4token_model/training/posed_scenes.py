"""Samples of scenes of posed RGB-D frames: the cloud they measured, its tokens, 2D targets from their colors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s4token_model.config import Config
from s4token_model.datasets import posed_rgbd
from s4token_model.io import files
from s4token_model.io.depth_image import unproject
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.segmenter import PatchedCloud, build_patches
from s4token_model.sensors.voxel_fusion import voxel_fuse
from s4token_model.training import targets_posed_rgbd

VOXEL = 0.02  # m, of the fused cloud
STRIDE = 3  # pixels between the measurements that are fused
REACH = 6.0  # m; depth cameras of rooms tell nothing further away


def make(
    folder: Path, config: Config, encoder: FrozenClip, every: int = 1
) -> tuple[PatchedCloud, dict[str, np.ndarray], list[str]]:
    """Return the tokens of a scene, its targets (target_superpoint, target_feature, target_whole) and why frames were
    left out. The cloud is the folder's one .ply where there is one, else fused from the frames. ValueError when
    nothing can be used."""
    frames, skipped = posed_rgbd.frames(folder, every)
    xyz, rgb = cloud_of(folder, frames)
    geometry = build_patches(xyz, rgb, config)
    world = xyz[geometry.working.original_index]  # the working cloud is turned and scaled
    seen, dark = targets_posed_rgbd.sightings(world, geometry.superpoints, frames)
    ids, found, whole, unread = targets_posed_rgbd.features(seen, frames, encoder)
    targets = {
        "target_superpoint": ids,
        "target_feature": found.astype(np.float16),
        "target_whole": whole.astype(np.float16),
    }
    return geometry, targets, [*skipped, *dark, *unread]


def cloud_of(folder: Path, frames: list[posed_rgbd.Frame]) -> tuple[np.ndarray, np.ndarray | None]:
    """xyz (H, 3) float32 m, world frame, and rgb (H, 3) or None, of a scene."""
    meshes = sorted(folder.glob("*_vh_clean_2.ply")) or sorted(folder.glob("*.ply"))
    if len(meshes) == 1:
        cloud = files.read_cloud(meshes[0], mesh_points=1)
        return cloud.xyz.astype(np.float32), cloud.rgb
    return fuse(frames)


def fuse(frames: list[posed_rgbd.Frame]) -> tuple[np.ndarray, np.ndarray]:
    """Average the depth measurements of all frames per voxel: xyz (H, 3) float32 m, rgb (H, 3) float32 in [0, 1]."""
    points, colors = [], []
    for frame in frames:
        try:
            depth, image = frame.depth(), frame.color()
        except ValueError:
            continue  # counted where the targets are made
        depth = np.where(depth < REACH, depth, np.nan)
        xyz = unproject(depth, frame.depth_matrix, frame.pose)[::STRIDE, ::STRIDE].reshape(-1, 3)
        good = np.isfinite(xyz).all(axis=1)
        points.append(xyz[good])
        colors.append(_colors_at(xyz[good], frame, image))
    if not points:
        raise ValueError(f"{frames[0].depth_path.parent}: no frame has depth and colors; export the frames again")
    xyz, rgb = np.concatenate(points), np.concatenate(colors)
    xyz, rgb, _, _ = voxel_fuse(xyz, rgb, np.zeros(len(xyz), np.int64), VOXEL)
    return xyz.astype(np.float32), rgb.astype(np.float32)


def _colors_at(xyz: np.ndarray, frame: posed_rgbd.Frame, image: np.ndarray) -> np.ndarray:
    pixel, _ = targets_posed_rgbd.project(xyz, frame.pose, frame.color_matrix)
    height, width = image.shape[:2]
    column, row = (np.clip(np.rint(pixel[:, k]), 0, n - 1).astype(int) for k, n in ((0, width), (1, height)))
    return image[row, column] / 255.0
