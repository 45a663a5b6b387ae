"""Clouds and 2D targets of scenes from posed RGB-D frames, after Open3DIS (Sec. 3.4).

A point is seen in a frame if the depth measured at its pixel is its own. Each superpoint takes the TOP frames that see
most of its points; in each, CLIP encodes square crops around it at several scales:

target_s = normalize( mean over frames and scales of normalize(CLIP(crop)) ),   global = the same over whole frames
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize

from s4token_model.config import Config
from s4token_model.datasets import posed_rgbd, scannet
from s4token_model.datasets.posed_rgbd import Frame, visible
from s4token_model.io import files
from s4token_model.io.depth_image import project, unproject
from s4token_model.kernels.voxel_fusion import voxel_fuse
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.segmenter import PatchedCloud, build_patches
from s4token_model.training import targets_dense
from s4token_model.training.targets import BATCH, encode_pictures
from s4token_model.training.token_samples import Targets

TOP = 5  # frames per superpoint
SCALES = (1.0, 1.2, 1.4)  # edge of the crop, in edges of the superpoint's box
MIN_POINTS = 8  # of a superpoint, that a frame must see
MIN_CROP = 24  # pixels, edge of a crop
TRIM = 0.02  # fraction of a superpoint's pixels outside of its box on each side
VOXEL = 0.02  # m, of the fused cloud
STRIDE = 3  # pixels between the measurements that are fused
MAX_DEPTH = 6.0  # m; depth cameras of rooms measure nothing useful beyond
SIGHTING = ("superpoint", "frame", "points", "left", "top", "right", "bottom")  # columns; the box in color pixels


def patch_scene(
    folder: Path, config: Config, encoder: FrozenClip, every: int = 1, dense: bool = False
) -> tuple[PatchedCloud, Targets, list[str]]:
    """Return the patched cloud of a scene, its 2D targets, and why frames were left out.

    The cloud is the folder's one .ply, else it is fused from every `every`-th frame. ValueError if nothing is usable.
    With superpoints.source provided, they are those beside ScanNet's mesh. `dense` is as in `encode_scene`.
    """
    frames, skipped = posed_rgbd.frames(folder, every)
    meshes = sorted(folder.glob("*_vh_clean_2.ply")) or sorted(folder.glob("*.ply"))
    if len(meshes) == 1:
        cloud = files.read_cloud(meshes[0], mesh_points=0)
        xyz, rgb = cloud.xyz.astype(np.float32), cloud.rgb
    else:
        xyz, rgb = fuse(frames)
    provided = None
    if config.superpoints.source == "provided" and len(meshes) == 1:
        provided = scannet.provided_superpoints(meshes[0], len(xyz))
    patched = build_patches(xyz, rgb, config, provided=provided)
    world = xyz[patched.working.original_index]  # the working cloud is rotated and scaled
    targets, left_out = encode_scene(world, patched.superpoints, frames, encoder, dense)
    return patched, targets, [*skipped, *left_out]


def encode_scene(
    xyz: np.ndarray, superpoints: np.ndarray, frames: list[Frame], encoder: FrozenClip, dense: bool = False
) -> tuple[Targets, list[str]]:
    """Return the float32 targets of the superpoints (H,) of points (H, 3), world frame, and why frames were left out.

    Of crops around each superpoint, or, if `dense`, of the pixels that show it, see targets_dense. ValueError if no
    frame sees a superpoint.
    """
    if dense:
        return targets_dense.encode_superpoints(xyz, superpoints, frames, encoder)
    rows, without_depth = sightings(xyz, superpoints, frames)
    targets, without_color = encode_sightings(rows, frames, encoder)
    return targets, [*without_depth, *without_color]


def fuse(frames: list[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """Average the depth measurements of all frames per voxel: xyz (H, 3) float32 m, rgb (H, 3) float32 in [0, 1]."""
    points, colors = [], []
    for frame in frames:
        try:
            depth, image = frame.depth(), frame.color()
        except ValueError:
            continue  # counted where the targets are made
        depth = np.where(depth < MAX_DEPTH, depth, np.nan)
        xyz = unproject(depth, frame.depth_matrix, frame.pose)[::STRIDE, ::STRIDE].reshape(-1, 3)
        measured = np.isfinite(xyz).all(axis=1)
        pixel, _ = project(xyz[measured], frame.pose, frame.color_matrix)
        row, column = (np.clip(np.rint(pixel[:, 1 - k]), 0, image.shape[k] - 1).astype(int) for k in (0, 1))
        points.append(xyz[measured])
        colors.append(image[row, column] / 255.0)
    if not points:
        raise ValueError(f"{frames[0].depth_path.parent}: no frame has depth and colors; export the frames again")
    xyz, rgb = np.concatenate(points), np.concatenate(colors)
    xyz, rgb, _, _ = voxel_fuse(xyz, rgb, np.zeros(len(xyz), np.int64), VOXEL)
    return xyz.astype(np.float32), rgb.astype(np.float32)


def sightings(xyz: np.ndarray, superpoints: np.ndarray, frames: list[Frame]) -> tuple[np.ndarray, list[str]]:
    """Return the rows of SIGHTING (Q, 7) int32 of the superpoints (H,) of points (H, 3), and why frames have none."""
    rows, skipped = [np.zeros((0, len(SIGHTING)), np.int32)], []
    for number, frame in enumerate(frames):
        try:
            seen = visible(xyz, frame, frame.depth())
        except ValueError as reason:
            skipped.append(str(reason))
            continue
        pixel, _ = project(xyz[seen], frame.pose, frame.color_matrix)
        rows.append(_boxes(superpoints[seen], pixel, number))
    return np.concatenate(rows), skipped


def best_sightings(rows: np.ndarray, top: int = TOP) -> np.ndarray:
    """The rows of the `top` frames of each superpoint that see most points, the earlier frame on a tie."""
    rows = rows[np.lexsort((rows[:, 1], -rows[:, 2], rows[:, 0]))]
    start = np.searchsorted(rows[:, 0], rows[:, 0])
    return rows[np.arange(len(rows)) - start < top]


def square(box: np.ndarray, scale: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the square crop around a box, moved and shrunk to lie in the picture."""
    left, top, right, bottom = (float(v) for v in box)
    edge = int(round(min(max(scale * max(right - left, bottom - top), MIN_CROP), width, height)))
    x = int(np.clip(round((left + right - edge) / 2), 0, width - edge))
    y = int(np.clip(round((top + bottom - edge) / 2), 0, height - edge))
    return x, y, x + edge, y + edge


def encode_sightings(rows: np.ndarray, frames: list[Frame], clip: FrozenClip) -> tuple[Targets, list[str]]:
    """Return the float32 targets of the superpoints in rows of SIGHTING, and why frames could not be read.

    ValueError if no superpoint is seen.
    """
    best, waiting, owners = best_sightings(rows), list[Image.Image](), list[int]()
    superpoint, skipped = np.unique(best[:, 0]), list[str]()
    sums = np.zeros((len(superpoint) + 1, clip.dim))  # the last is of whole frames
    numbers = np.unique(best[:, 1])
    for number in numbers:
        try:
            image = Image.fromarray(frames[number].color())
        except ValueError as reason:
            skipped.append(str(reason))
        else:
            # Crops of every superpoint at every scale, and the whole frame
            here = best[best[:, 1] == number]
            waiting += [image.crop(square(row[3:], scale, *image.size)) for row in here for scale in SCALES] + [image]
            owners += [*np.repeat(np.searchsorted(superpoint, here[:, 0]), len(SCALES)), len(superpoint)]
        # Those of several frames together, so that a GPU has full batches
        if waiting and (len(waiting) >= BATCH or number == numbers[-1]):
            np.add.at(sums, owners, _encode(waiting, clip))
            waiting, owners = [], []
    sums, global_sum = sums[:-1], sums[-1]
    lengths = np.linalg.norm(sums, axis=1)
    kept = lengths > 0
    if not kept.any():
        raise ValueError("no frame sees a superpoint; are poses, depth and cloud of one scene, and is z up (input.up)?")
    feature, global_feature = sums[kept] / lengths[kept, None], global_sum / np.linalg.norm(global_sum)
    found = Targets(superpoint[kept].astype(np.int32), feature.astype(np.float32), global_feature.astype(np.float32))
    return found, skipped


def _boxes(superpoints: np.ndarray, pixel: np.ndarray, frame: int) -> np.ndarray:
    """Rows of SIGHTING of one frame, from the superpoints (Q,) and pixels (Q, 2) of the points it sees."""
    rows, order = [], np.argsort(superpoints, kind="stable")
    found, starts = np.unique(superpoints[order], return_index=True)
    for superpoint, members in zip(found, np.split(order, starts[1:]), strict=False):  # an empty split has one part
        if len(members) >= MIN_POINTS:
            low, high = np.quantile(pixel[members], (TRIM, 1 - TRIM), axis=0)
            rows.append([superpoint, frame, len(members), *np.floor(low), *np.ceil(high)])
    return np.array(rows, np.int32).reshape(-1, len(SIGHTING))


def _encode(images: list[Image.Image], clip: FrozenClip) -> np.ndarray:
    """Unit global features (K, E) of pictures of any size."""
    edge = (clip.image_size, clip.image_size)
    pixels = np.stack([np.asarray(image.resize(edge, Image.Resampling.BICUBIC)) for image in images])
    parts = [pooled for _, pooled in encode_pictures(pixels, clip)]
    return normalize(torch.cat(parts).float(), dim=-1).cpu().numpy()
