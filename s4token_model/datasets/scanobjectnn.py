"""ScanObjectNN: scanned objects of 15 categories, in the three variants that papers report.

The root is the release's h5_files folder, its parent, or a folder with main_split and main_split_nobg:
  obj_only   main_split_nobg/{training,test}_objectdataset.h5: the object alone
  obj_bg     main_split/{training,test}_objectdataset.h5: with its background
  pb_t50_rs  main_split/{training,test}_objectdataset_augmentedrot_scale75.h5: box shifted by 50 %, rotated, scaled
Each file: data (K, 2048, 3), y up, about one unit in size; label (K,), an index into NAMES.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from s4token_model.datasets import validation
from s4token_model.datasets.modelnet40 import Object

NAMES = (
    "bag", "bin", "box", "cabinet", "chair", "desk", "display", "door", "shelf", "table", "bed", "pillow", "sink",
    "sofa", "toilet",
)  # fmt: skip
VARIANTS = {
    "obj_only": "main_split_nobg/{}_objectdataset.h5",
    "obj_bg": "main_split/{}_objectdataset.h5",
    "pb_t50_rs": "main_split/{}_objectdataset_augmentedrot_scale75.h5",
}
SPLITS = {"train": "training", "test": "test"}


def find(root: str | Path, variant: str, split: str = "test") -> Path:
    """Return the file of a variant's split. ValueError on an unknown name, or naming the files looked for."""
    validation.check_known("ScanObjectNN", "variant", variant, VARIANTS)
    candidates = _candidates(root, variant, split)
    for path in candidates:
        if path.is_file():
            return path
    raise ValueError(f"no ScanObjectNN {variant} in {root}: looked for {' and '.join(map(str, candidates))}")


def available(root: str | Path, split: str = "test") -> list[str]:
    """List the variants whose file is below `root`. ValueError names the files looked for when there is none."""
    candidates = {name: _candidates(root, name, split) for name in VARIANTS}
    found = [name for name, paths in candidates.items() if any(path.is_file() for path in paths)]
    if not found:
        wanted = ", ".join(str(paths[0]) for paths in candidates.values())
        raise ValueError(f"no ScanObjectNN in {root}: looked for {wanted}, and for them below h5_files")
    return found


def _candidates(root: str | Path, variant: str, split: str) -> list[Path]:
    validation.check_known("ScanObjectNN", "split", split, SPLITS)
    inside = VARIANTS[variant].format(SPLITS[split])
    return [Path(root) / inside, Path(root) / "h5_files" / inside]


def load(root: str | Path, variant: str, split: str = "test") -> Iterator[tuple[str, Object | ValueError]]:
    """Yield (name, object) of a split in the order of the file; a damaged object comes as its ValueError."""
    path = find(root, variant, split)
    xyz, labels = validation.load_hdf5_clouds(path, "data", "label")
    return _each(path, variant, xyz, labels)


def _each(path: Path, variant: str, xyz: np.ndarray, labels: np.ndarray) -> Iterator[tuple[str, Object | ValueError]]:
    for number, (points, label) in enumerate(zip(xyz, labels, strict=True)):
        name = f"{variant}_{number:04d}"
        try:
            category = validation.labels(path, label, 1, len(NAMES))
            yield name, Object(name, validation.with_z_up(validation.cloud(path, points)), int(category[0]))
        except ValueError as reason:
            yield name, ValueError(f"object {number} of {reason}")
