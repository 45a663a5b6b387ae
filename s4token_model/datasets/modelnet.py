"""ModelNet40: objects of 40 categories, as meshes or as the sampled points of PointNet++.

Layouts below the root, found by themselves:
  resampled  modelnet40_normal_resampled: modelnet40_{train,test}.txt names CATEGORY_0001, and the file
             CATEGORY/CATEGORY_0001.txt has lines x,y,z,nx,ny,nz (y up)
  meshes     the official release: CATEGORY/{train,test}/*.off (z up); CATEGORY/*.off without splits counts as "test"
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.cloud import upright
from s4token_model.files import read_cloud

NAMES = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone", "cup",
    "curtain", "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp", "laptop",
    "mantel", "monitor", "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink", "sofa",
    "stairs", "stool", "table", "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
)  # fmt: skip
WORDS = tuple(name.replace("_", " ") for name in NAMES)
SPLITS = ("train", "test")
POINTS = 10_000  # of a mesh


@dataclass(frozen=True)
class Object:
    """One object: xyz (H, 3) float32, z up, unit of the file; category, index into NAMES."""

    name: str
    xyz: np.ndarray
    category: int


def list_objects(root: str | Path, split: str = "test") -> list[Path]:
    """Files of a split, sorted. ValueError names what was looked for, or a listed file that is missing."""
    root = Path(root)
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; there are {', '.join(SPLITS)}")
    listed = root / f"modelnet40_{split}.txt"
    if listed.is_file():
        entries = listed.read_text().split()
        found = sorted(root / entry.rsplit("_", 1)[0] / f"{entry}.txt" for entry in entries)
        missing = [path for path in found if not path.is_file()]
        if missing:
            raise ValueError(
                f"{listed} names {len(missing)} files that are not there, e.g. {missing[0]}; unpack the release again"
            )
    else:
        found = sorted(root.glob(f"*/{split}/*.off")) or (sorted(root.glob("*/*.off")) if split == "test" else [])
    if not found:
        raise ValueError(
            f"no ModelNet40 objects in {root}: looked for {listed} (resampled layout), {root / '*' / split / '*.off'} "
            f"and, for the test split, {root / '*' / '*.off'}"
        )
    return found


def load_object(path: str | Path, points: int = POINTS) -> Object:
    """Read one object; a mesh becomes `points` points drawn by area, seeded. ValueError names file and fault."""
    path = Path(path)
    category = path.stem.rsplit("_", 1)[0]
    if category not in NAMES:
        raise ValueError(f"{path}: {category!r} is no category of ModelNet40; files are called CATEGORY_0001")
    if path.suffix == ".off":
        return Object(path.stem, np.asarray(read_cloud(path, points).xyz, np.float32), NAMES.index(category))
    try:
        rows = np.loadtxt(path, np.float32, delimiter=",", ndmin=2)
    except ValueError as reason:
        raise ValueError(f"{path} is damaged ({reason}); unpack it again") from None
    if rows.shape[1] < 3 or not np.isfinite(rows).all():
        raise ValueError(f"{path}: expected lines x,y,z,nx,ny,nz of finite numbers, found {rows.shape}")
    return Object(path.stem, upright(rows[:, :3], "y"), NAMES.index(category))
