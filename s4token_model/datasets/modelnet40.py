"""ModelNet40: objects of 40 categories, as meshes or as the sampled points of PointNet++.

Layouts below the root, detected automatically:
  resampled  modelnet40_normal_resampled: modelnet40_{train,test}.txt names CATEGORY_0001, and the file
             CATEGORY/CATEGORY_0001.txt has lines x,y,z,nx,ny,nz (y up)
  hdf5       modelnet40_ply_hdf5_2048: {train,test}_files.txt names ply_data_test0.h5 ..., each with data (K, 2048, 3),
             y up, and label (K, 1), an index into shape_names.txt
  meshes     the official release: CATEGORY/{train,test}/*.off (z up); CATEGORY/*.off without splits is "test"
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from s4token_model.datasets import validation
from s4token_model.io.files import read_cloud

NAMES = (
    "airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car", "chair", "cone", "cup",
    "curtain", "desk", "door", "dresser", "flower_pot", "glass_box", "guitar", "keyboard", "lamp", "laptop",
    "mantel", "monitor", "night_stand", "person", "piano", "plant", "radio", "range_hood", "sink", "sofa",
    "stairs", "stool", "table", "tent", "toilet", "tv_stand", "vase", "wardrobe", "xbox",
)  # fmt: skip
SPLITS = ("train", "test")
POINTS = 10_000  # sampled on a mesh


@dataclass(frozen=True)
class Object:
    """One object: xyz (H, 3) float32, z up, in the unit of the file; category is an index into NAMES."""

    name: str
    xyz: np.ndarray
    category: int


def list_objects(root: str | Path, split: str = "test") -> list[Path]:
    """List the files of a split, sorted; in the hdf5 layout FILE.h5/NUMBER for every object."""
    validation.check_known("ModelNet40", "split", split, SPLITS)
    root = Path(root)
    listed = root / f"modelnet40_{split}.txt"
    if listed.is_file():
        found = sorted(root / name.rsplit("_", 1)[0] / f"{name}.txt" for name in listed.read_text().split())
        validation.check_listed(listed, found)
    elif (root / f"{split}_files.txt").is_file():
        found = _list_hdf5(root, root / f"{split}_files.txt")
    else:
        found = sorted(root.glob(f"*/{split}/*.off")) or (sorted(root.glob("*/*.off")) if split == "test" else [])
    if not found:
        raise ValueError(
            f"no ModelNet40 objects in {root}: looked for {listed} (resampled layout), "
            f"{root / f'{split}_files.txt'} (hdf5), {root / '*' / split / '*.off'} (meshes) "
            f"and, for the test split, {root / '*' / '*.off'}"
        )
    return found


def load_object(path: str | Path, points: int = POINTS) -> Object:
    """Read one object; a mesh becomes `points` points, sampled by area, seeded. ValueError names it."""
    path = Path(path)
    if path.parent.suffix == ".h5":
        return _load_hdf5(path)
    category = path.stem.rsplit("_", 1)[0]
    if category not in NAMES:
        raise ValueError(f"{path}: {category!r} is no category of ModelNet40; files are called CATEGORY_0001")
    if path.suffix == ".off":
        return Object(path.stem, np.asarray(read_cloud(path, points).xyz, np.float32), NAMES.index(category))
    xyz = validation.cloud(path, validation.load_table(path, 3, delimiter=","))
    return Object(path.stem, validation.with_z_up(xyz), NAMES.index(category))


def _list_hdf5(root: Path, listed: Path) -> list[Path]:
    """List FILE.h5/NUMBER of every object; folders in the list are those of its author's machine and are dropped."""
    files = [root / Path(entry).name for entry in listed.read_text(encoding="utf-8").split()]
    validation.check_listed(listed, files)
    names = root / "shape_names.txt"
    if names.is_file() and tuple(names.read_text(encoding="utf-8").split()) != NAMES:
        raise ValueError(f"{names} is not ModelNet40's list of 40 categories in alphabetical order; unpack it again")
    return [path / str(number) for path in files for number in range(len(_clouds(path)[0]))]


def _load_hdf5(path: Path) -> Object:
    xyz, labels = _clouds(path.parent)
    number = int(path.name)
    category = int(validation.labels(path, labels[number], 1, len(NAMES))[0])
    return Object(
        f"{path.parent.stem}_{number:04d}", validation.with_z_up(validation.cloud(path, xyz[number])), category
    )


@lru_cache(maxsize=1)  # objects are read in the order of the files
def _clouds(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return validation.load_hdf5_clouds(path, "data", "label")
