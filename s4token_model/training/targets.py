"""2D targets: the multi-view CLIP feature of every superpoint, and of the whole scene (method: Sec. 3.4, Eq. 8 and 9).

target_s = normalize( mean over the pixels at which s is seen of CLIP's dense feature there ),   target = mean over
views
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import grid_sample, normalize
from tqdm import tqdm

from s4token_model.pipeline.clip import FrozenClip
from s4token_model.training.procedural_samples import load_sample


def target_path(sample: Path, folder: Path) -> Path:
    """File of the targets of one sample."""
    return folder / sample.name


def prepare(samples: list[Path], folder: Path, clip: FrozenClip) -> None:
    """Write the targets of all samples that have none yet; one atomic file each."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [path for path in samples if not target_path(path, folder).is_file()]
    for path in tqdm(missing, "2D targets", disable=not missing):
        found, features, whole = superpoint_features(load_sample(path), clip)
        partial = target_path(path, folder).with_suffix(".partial")
        with open(partial, "wb") as file:
            np.savez(file, superpoint=found, feature=features.astype(np.float16), whole=whole.astype(np.float16))
        os.replace(partial, target_path(path, folder))


def superpoint_features(sample: dict[str, np.ndarray], clip: FrozenClip) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the superpoints that some view sees (S,) int32, their unit features (S, E), and the scene's (E,),
    float32."""
    dense, pooled = (features.cpu() for features in clip.encode_images(sample["image"]))
    dense = normalize(dense, dim=-1).permute(0, 3, 1, 2)
    height, width = sample["image"].shape[1:3]
    column = torch.from_numpy((2 * sample["seen_column"] + 1) / width - 1).float()
    row = torch.from_numpy((2 * sample["seen_row"] + 1) / height - 1).float()
    view = torch.from_numpy(sample["seen_view"]).long()
    found, inverse = np.unique(sample["seen_superpoint"], return_inverse=True)
    total = torch.zeros(len(found), clip.dim)
    for number in range(len(dense)):
        here = view == number
        places = torch.stack([column[here], row[here]], dim=-1).view(1, -1, 1, 2)
        values = grid_sample(dense[number : number + 1], places, align_corners=False, padding_mode="border")
        total.index_add_(0, torch.from_numpy(inverse.reshape(-1))[here], values[0, :, :, 0].T)
    whole = normalize(normalize(pooled, dim=-1).mean(dim=0), dim=-1)
    return found.astype(np.int32), normalize(total, dim=-1).numpy(), whole.numpy()
