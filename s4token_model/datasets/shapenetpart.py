"""ShapeNetPart: shapes of 16 categories with 50 part labels, and names of the parts.

Layouts below the root, detected automatically:
  official   shapenetcore_partanno_segmentation_benchmark_v0_normal: train_test_split/shuffled_SPLIT_file_list.json
             SYNSET/ID.txt, columns x y z nx ny nz label
  loose      {train,val,test}/*.txt, the same columns; the category follows from the labels
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.datasets import validation

# Category: (synset, part names in the order of their labels). The release numbers the labels 0 to 49 in this order.
CATEGORIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "airplane": ("02691156", ("body", "wing", "tail", "engine")),
    "bag": ("02773838", ("handle", "body")),
    "cap": ("02954340", ("crown", "visor")),
    "car": ("02958343", ("roof", "hood", "wheel", "body")),
    "chair": ("03001627", ("back", "seat", "leg", "arm")),
    "earphone": ("03261776", ("earcup", "headband", "wire")),
    "guitar": ("03467517", ("head", "neck", "body")),
    "knife": ("03624134", ("blade", "handle")),
    "lamp": ("03636649", ("base", "lampshade", "ceiling mount", "pole")),
    "laptop": ("03642806", ("keyboard", "screen")),
    "motorbike": ("03790512", ("gas tank", "seat", "wheel", "handlebar", "light", "frame")),
    "mug": ("03797390", ("handle", "cup")),
    "pistol": ("03948459", ("barrel", "handle", "trigger")),
    "rocket": ("04099429", ("body", "fin", "nose")),
    "skateboard": ("04225987", ("wheel", "deck", "belt")),
    "table": ("04379243", ("tabletop", "leg", "drawer")),
}
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Shape:
    """One shape of H points, about one unit in size."""

    name: str  # of the file, without its suffix
    category: str  # a key of CATEGORIES
    xyz: np.ndarray  # (H, 3) float32, z up
    normal: np.ndarray  # (H, 3) float32 unit vectors
    label: np.ndarray  # (H,) uint32, index into parts(category)


def parts(category: str) -> tuple[str, ...]:
    """Return the part names of a category. ValueError on an unknown one."""
    validation.check_known("ShapeNetPart", "category", category, CATEGORIES)
    return CATEGORIES[category][1]


def first_label(category: str) -> int:
    """Return the release's label of a category's first part."""
    names = list(CATEGORIES)
    return sum(len(parts(name)) for name in names[: names.index(category)])


def list_shapes(root: str | Path, split: str = "test") -> list[Path]:
    """List the files of a split, sorted. ValueError names what was looked for, or a listed file that is missing."""
    validation.check_known("ShapeNetPart", "split", split, SPLITS)
    root = Path(root)
    listed = root / "train_test_split" / f"shuffled_{split}_file_list.json"
    if listed.is_file():
        entries = (Path(entry).parts[1:] for entry in validation.load_json(listed))
        found = sorted(root.joinpath(*parts).with_suffix(".txt") for parts in entries)
        validation.check_listed(listed, found)
    else:
        found = sorted((root / split).glob("*.txt"))
    if not found:
        raise ValueError(f"no ShapeNetPart in {root}: looked for {listed} (official) and {root / split / '*.txt'}")
    return found


def load_shape(path: str | Path) -> Shape:
    """Read one shape. ValueError names the file and what is wrong with it."""
    path = Path(path)
    rows = validation.load_table(path, 7)
    if not np.isfinite(rows).all():
        raise ValueError(f"{path}: expected rows of 7 finite numbers x y z nx ny nz label; unpack it again")
    label = rows[:, 6].astype(np.int64)
    category = _category(path, label)
    local = label - first_label(category)
    if local.min() < 0 or local.max() >= len(parts(category)):
        raise ValueError(f"{path}: labels {label.min()} to {label.max()} are not those of the category {category}")
    xyz, normal = (validation.with_z_up(rows[:, k : k + 3].astype(np.float32)) for k in (0, 3))
    return Shape(path.stem, category, xyz, normal, local.astype(np.uint32))


def _category(path: Path, label: np.ndarray) -> str:
    """Return the category by the folder's synset, else by the labels."""
    for category, (synset, _) in CATEGORIES.items():
        if path.parent.name == synset:
            return category
    for category, (_, names) in CATEGORIES.items():
        if 0 <= label[0] - first_label(category) < len(names):
            return category
    raise ValueError(f"{path}: label {label[0]} is no part of ShapeNetPart, which has 0 to 49")
