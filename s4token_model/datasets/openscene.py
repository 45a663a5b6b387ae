"""OpenScene's fused features: what a 2D network says of the points of a room, averaged over its frames.

NAME_0.pt, NAME_1.pt, ... of a room NAME, of the H vertices of ScanNet's NAME_vh_clean_2.ply in their order:
  feat       (n, E) float16, of the n points of the mask; 512 numbers of LSeg, 768 of OpenSeg
  mask_full  (H,) bool, the points that the file has features of: a random 20,000 in files for training
  mask       in older files: which of the n points some frame shows, as bool (n,) or their indices
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

LIMIT = 4 << 30  # bytes of a file


class FusedFeatures(NamedTuple):
    """Features of H points."""

    seen: np.ndarray  # (H,) bool, which points have one
    feature: np.ndarray  # (n, E) float16, of these


def load_features(folder: str | Path, name: str, count: int) -> FusedFeatures:
    """Read the features of a room of `count` points, of all its files together. ValueError names what is wrong."""
    paths = sorted(Path(folder).glob(f"{name}_*.pt"), key=lambda path: (len(path.name), path.name))
    paths = [path for path in paths if path.stem.removeprefix(f"{name}_").isdigit()]
    if not paths:
        raise ValueError(f"no features of {name}: looked for {Path(folder) / f'{name}_0.pt'}")
    seen, found = np.zeros(count, bool), np.zeros((count, 0), np.float16)
    for path in paths:
        rows, feature = _load(path, count)
        if not found.shape[1]:
            found = np.zeros((count, feature.shape[1]), np.float16)
        if feature.shape[1] != found.shape[1]:
            raise ValueError(f"{path}: features of {feature.shape[1]} numbers, those before of {found.shape[1]}")
        seen[rows], found[rows] = True, feature
    if not seen.any():
        raise ValueError(f"{paths[0]}: no point of {name} has a feature; fuse the features again")
    return FusedFeatures(seen, found[seen])


def _load(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that a file has features of, and these (n, E)."""
    content = _read(path)
    feature, full = content["feat"], content["mask_full"].bool().reshape(-1)
    feature = feature[..., 0] if feature.ndim == 3 else feature
    if len(full) != count:
        fix = "take --root in the official layout, whose points OpenScene keeps"
        raise ValueError(f"{path} is of {len(full)} points, the room has {count}; {fix}")
    if feature.ndim != 2 or len(feature) != int(full.sum()):
        raise ValueError(f"{path}: {int(full.sum())} points in mask_full, but feat {tuple(feature.shape)}")
    rows, feature = full.nonzero()[:, 0].numpy(), feature.half().numpy()
    if "mask" in content:
        visible = np.zeros(len(rows), bool)
        visible[content["mask"].reshape(-1).numpy()] = True
        rows, feature = rows[visible], feature[visible]
    finite = np.isfinite(feature).all(axis=1) & feature.any(axis=1)
    return rows[finite], feature[finite]


def _read(path: Path) -> dict[str, Any]:
    """Read the tensors of a file; nothing in it is run."""
    if path.stat().st_size > LIMIT:
        raise ValueError(f"{path} is larger than {LIMIT} bytes; it holds no features of one room")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, pickle and torch raise whatever the bytes lead to
        raise ValueError(
            f"{path} is damaged or holds more than tensors ({type(error).__name__}); copy it again"
        ) from error
    names = [name for name in ("feat", "mask_full") if not isinstance(content, dict) or name not in content]
    tensors = content.values() if isinstance(content, dict) else ()
    if names or not all(isinstance(value, torch.Tensor) for value in tensors):
        raise ValueError(f"{path} needs the tensors feat and mask_full; it is no file of OpenScene's features")
    return content
