"""Dense 2D targets of scenes: CLIP's features of patches, interpolated to the pixels of posed RGB-D frames.

Each frame is cut into square tiles of two sizes, which overlap; CLIP gives every tile a grid of features, MaskCLIP's
values of the last block. A pixel takes the mean over the tiles that hold it, and a point p the sum over the frames
that see it (OpenScene's fusion):

f(p) = sum over frames of normalize( sum over tiles of normalize(grid) at the pixel of p )
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from s4token_model.datasets.posed_rgbd import Frame, visible
from s4token_model.io.depth_image import project
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.training.targets import BATCH, encode_pictures
from s4token_model.training.token_samples import Targets

EDGES = (1.0, 0.5)  # of the tiles, in heights of the frame, or widths of an upright one
PICTURES = 4 * BATCH  # that wait to be encoded together, so that each size of tiles fills a batch
OVERLAP = 0.5  # fraction of a tile's edge that neighbors have in common, or more


class SeenPoints(NamedTuple):
    """The points that one frame shows, and what CLIP says of them."""

    index: np.ndarray  # (n,) of the points
    feature: Tensor  # (n, E) float32 unit rows, on CLIP's device
    global_feature: np.ndarray  # (E,) float32 unit, of the frame


class _View(NamedTuple):
    """A frame that shows points: its picture, the points, and their pixels (n, 2) as column and row."""

    image: np.ndarray  # (h, w, 3) uint8
    index: np.ndarray
    pixel: np.ndarray


def seen_points(xyz: np.ndarray, frames: list[Frame], clip: FrozenClip, skipped: list[str]) -> Iterator[SeenPoints]:
    """Yield what each frame says of the points (H, 3), world frame; adds to `skipped` why frames say nothing.

    CLIP sees the tiles of many frames at once, so that a GPU has full batches.
    """
    waiting, count = list[_View](), 0
    for frame in frames:
        try:
            index = visible(xyz, frame, frame.depth())
            image = frame.color()
        except ValueError as reason:
            skipped.append(str(reason))
            continue
        pixel, _ = project(xyz[index], frame.pose, frame.color_matrix)
        inside = ((pixel >= -0.5) & (pixel <= np.array(image.shape[1::-1]) - 0.5)).all(
            axis=1
        )  # of the picture, as of the depth
        if inside.any():
            waiting.append(_View(image, index[inside], pixel[inside]))
            count += 1 + len(tiles(image.shape[1], image.shape[0]))
        if count >= PICTURES:
            yield from _encode(waiting, clip)
            waiting, count = [], 0
    if waiting:
        yield from _encode(waiting, clip)


def encode_superpoints(
    xyz: np.ndarray, superpoints: np.ndarray, frames: list[Frame], clip: FrozenClip
) -> tuple[Targets, list[str]]:
    """Return the targets of the superpoints (H,) of points (H, 3) that a frame shows, and why frames were left out.

    A superpoint takes the sum over its points in all frames. ValueError if no frame shows a point.
    """
    ids, inverse = np.unique(superpoints, return_inverse=True)
    total = torch.zeros(len(ids), clip.dim, device=clip.device)
    global_sum, skipped = np.zeros(clip.dim), list[str]()
    for seen in seen_points(xyz, frames, clip, skipped):
        total.index_add_(0, torch.from_numpy(inverse.reshape(-1)[seen.index]).to(clip.device), seen.feature)
        global_sum += seen.global_feature
    kept = total.norm(dim=1).cpu().numpy() > 0
    if not kept.any():
        raise ValueError("no frame sees a superpoint; are poses, depth and cloud of one scene, and is z up (input.up)?")
    feature = normalize(total, dim=-1).cpu().numpy()[kept]
    global_feature = (global_sum / np.linalg.norm(global_sum)).astype(np.float32)
    return Targets(ids[kept].astype(np.int32), feature, global_feature), skipped


def tiles(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the square tiles of a picture, which cover it at each of EDGES."""
    found = []
    for fraction in EDGES:
        edge = max(1, round(fraction * min(width, height)))
        steps = [int(np.ceil((length / edge - 1) / (1 - OVERLAP))) + 1 for length in (width, height)]
        lengths = zip((width, height), steps, strict=True)
        lefts, tops = (np.rint(np.linspace(0, length - edge, count)).astype(int) for length, count in lengths)
        found += [(int(x), int(y), int(x) + edge, int(y) + edge) for y in tops for x in lefts]
    return found


def _encode(views: list[_View], clip: FrozenClip) -> Iterator[SeenPoints]:
    """Encode the tiles of frames, and each frame as a whole, and sample the pixels of their points."""
    boxes = [tiles(view.image.shape[1], view.image.shape[0]) for view in views]
    pictures = [
        view.image[top:bottom, left:right]
        for view, ours in zip(views, boxes, strict=True)
        for left, top, right, bottom in ours
    ]
    grids, pooled = _encode_all(pictures + [view.image for view in views], clip)
    start, unit = 0, pooled[len(pictures) :].cpu().numpy()
    for view, ours, global_feature in zip(views, boxes, unit, strict=True):
        feature = sample_tiles(grids[start : start + len(ours)], ours, view.pixel)
        yield SeenPoints(view.index, feature, global_feature)
        start += len(ours)


def _encode_all(pictures: list[np.ndarray], clip: FrozenClip) -> tuple[Tensor, Tensor]:
    """Unit features (K, E, g, g) of patches and (K, E) of pictures of some sizes, each size in batches of its own.

    They are resized on CLIP's device, so that a GPU does not wait for a CPU.
    """
    index_of: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        index_of.setdefault(picture.shape, []).append(number)
    found = [
        part
        for index in index_of.values()
        for part in encode_pictures(np.stack([pictures[k] for k in index]), clip, dense=True)
    ]
    order = np.argsort([number for index in index_of.values() for number in index])
    grids, pooled = (torch.cat(parts)[order].float() for parts in zip(*found, strict=True))
    return normalize(grids, dim=-1).permute(0, 3, 1, 2), normalize(pooled, dim=-1)


def sample_tiles(grids: Tensor, boxes: list[tuple[int, int, int, int]], pixel: np.ndarray) -> Tensor:
    """Sum the features (T, E, g, g) of tiles at the pixels (n, 2) that each holds, bilinearly; unit rows (n, E)."""
    position = torch.from_numpy(pixel).float().to(grids.device) + 0.5  # of a pixel's center
    total = torch.zeros(len(pixel), grids.shape[1], device=grids.device)
    for grid, (left, top, right, bottom) in zip(grids, boxes, strict=True):
        low, high = position.new_tensor((left, top)), position.new_tensor((right, bottom))
        inside = ((position >= low) & (position <= high)).all(dim=1).nonzero()[:, 0]
        where = 2 * (position[inside] - low) / (high - low) - 1
        values = grid_sample(grid[None], where[None, :, None], align_corners=False, padding_mode="border")
        total.index_add_(0, inside, values[0, :, :, 0].T)
    return normalize(total, dim=-1)
