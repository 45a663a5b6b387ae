"""ShapeNet55: unlabeled shapes for training, as point clouds in the layout that Point-BERT published.

shapenet_pc/SYNSET-ID.npy (8192, 3), y up; ShapeNet-55/{train,test}.txt (ShapeNet-34 alike) list one file name a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.datasets import validation

SPLITS = ("train", "test")
SUBSETS = ("ShapeNet-55", "ShapeNet-34")


@dataclass(frozen=True)
class Shape:
    """One shape: xyz (H, 3) float32, z up, in the unit of the file; synset is its category's WordNet number."""

    name: str
    xyz: np.ndarray
    synset: str


def list_shapes(root: str | Path, split: str = "train", subset: str = SUBSETS[0]) -> list[Path]:
    """List the files of a split, sorted. ValueError names what was looked for, or a listed file that is missing."""
    validation.check_known("ShapeNet55", "split", split, SPLITS)
    validation.check_known("ShapeNet55", "subset", subset, SUBSETS)
    root = Path(root)
    listed = root / subset / f"{split}.txt"
    if not listed.is_file():
        raise ValueError(f"no ShapeNet55 in {root}: looked for {listed} and {root / 'shapenet_pc' / 'SYNSET-ID.npy'}")
    found = sorted(root / "shapenet_pc" / entry for entry in listed.read_text(encoding="utf-8").split())
    if not found:
        raise ValueError(f"{listed} lists no shape; unpack the release again")
    validation.check_listed(listed, found)
    return found


def load_shape(path: str | Path) -> Shape:
    """Read one shape. ValueError names the file and what is wrong with it."""
    path = Path(path)
    xyz = validation.load_array(path)
    xyz = validation.cloud(path, xyz[:, :3] if xyz.ndim == 2 else xyz)
    return Shape(path.stem, validation.with_z_up(xyz), path.stem.split("-")[0])
