"""2D targets: the multi-view CLIP feature of every superpoint, and of the whole cloud (Sec. 3.4, Eq. 8 and 9).

target_s = normalize( mean over the pixels that show s of CLIP's dense feature there ),   global = mean over the views
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize
from tqdm import tqdm

from s4token_model.pipeline.clip import FrozenClip
from s4token_model.training.token_samples import SeenPixels, Targets, load_part, part_to_arrays, save_arrays

BATCH = 128  # pictures per run of the image tower
_batch_sizes: WeakKeyDictionary[FrozenClip, int] = WeakKeyDictionary()  # of those that a GPU had no memory for


def prepare(samples: list[Path], folder: Path, clip: FrozenClip) -> None:
    """Write the targets of all samples with pictures that have none yet, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [path for path in samples if not (folder / path.name).is_file()]
    for path in tqdm(missing, "2D targets", disable=not missing):
        found = superpoint_features(load_part(path, "pictures").image, load_part(path, "seen"), clip)
        save_arrays(folder / path.name, part_to_arrays(to_half(found), "targets"))


def superpoint_features(
    images: np.ndarray, seen: SeenPixels, clip: FrozenClip, dense: bool = False, weights: np.ndarray | None = None
) -> Targets:
    """Return the float32 targets of the superpoints that the images (V, h, w, 3) uint8 show.

    `dense` is as in FrozenClip.encode_images; each image counts by its weight (V,), by default 1.
    """
    weights = np.ones(len(images)) if weights is None else weights
    seen = SeenPixels(*(column[weights[seen.view] > 0] for column in seen))
    parts = [(grid.cpu(), pooled.cpu()) for grid, pooled in encode_pictures(images, clip, dense)]
    grids, pooled = (torch.cat(features) for features in zip(*parts, strict=True))
    grids = normalize(grids, dim=-1).permute(0, 3, 1, 2)
    height, width = images.shape[1:3]
    # Pixel centers in the coordinates of grid_sample, -1 to 1
    column = torch.from_numpy((2 * seen.column + 1) / width - 1).float()
    row = torch.from_numpy((2 * seen.row + 1) / height - 1).float()
    view = torch.from_numpy(seen.view).long()
    superpoint, inverse = np.unique(seen.superpoint, return_inverse=True)
    # Sum the features at the pixels of each superpoint, view by view
    total = torch.zeros(len(superpoint), clip.dim)
    for number in range(len(grids)):
        here = view == number
        pixels = torch.stack([column[here], row[here]], dim=-1).view(1, -1, 1, 2)
        values = grid_sample(grids[number : number + 1], pixels, align_corners=False, padding_mode="border")
        rows = torch.from_numpy(inverse.reshape(-1))[here]
        total.index_add_(0, rows, values[0, :, :, 0].T, alpha=float(weights[number]))
    each = normalize(pooled, dim=-1) * torch.from_numpy(weights).to(pooled)[:, None]
    global_feature = normalize(each.mean(dim=0), dim=-1)
    return Targets(superpoint.astype(np.int32), normalize(total, dim=-1).numpy(), global_feature.numpy())


def encode_pictures(images: np.ndarray, clip: FrozenClip, dense: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield features of patch grids (b, g, g, E) and of pictures (b, E) for images (V, h, w, 3) uint8, in batches.

    If a GPU runs out of memory the batch is halved, for this CLIP from then on. ValueError if one picture is too much.
    """
    start = 0
    while start < len(images):
        size = _batch_sizes.get(clip, BATCH)
        try:
            found = clip.encode_images(images[start : start + size], dense)
        except torch.cuda.OutOfMemoryError as error:
            size = min(size, len(images) - start)
            if size == 1:
                fix = "end other programs on it, or use --device cpu"
                raise ValueError(f"the GPU has not enough memory for one picture; {fix}") from error
        else:
            start += size
            yield found
            continue
        _batch_sizes[clip] = size // 2
        logging.getLogger(__name__).warning("GPU out of memory: %d pictures at once from now on", size // 2)
        torch.cuda.empty_cache()


def to_half(targets: Targets) -> Targets:
    """Round the features to float16, as they are stored."""
    return Targets(targets.superpoint, targets.feature.astype(np.float16), targets.global_feature.astype(np.float16))
