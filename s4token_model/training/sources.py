"""The files, bags and scenes that samples are made of, and the split that each of them belongs to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4token_model.datasets import posed_rgbd, shapenet55, splits
from s4token_model.io import files, folders

SCENES = "scenes"  # the kind of samples that folders of posed RGB-D frames give


class Source(NamedTuple):
    """What becomes a sample, or, if it is a bag, several."""

    name: str  # of the sample
    path: Path
    split: str


def list_sources(given: Path, kind: str, split: str, report: bool = True) -> list[Source]:
    """List the scenes, or cloud files and bags, of a file or folder that are of the split; names are unique in it.

    `report` prints how many are not.
    """
    paths = posed_rgbd.list_scenes(given) if kind == SCENES else _list_files(given, split)
    kept = splits.of_split(paths, split)
    if report and (left_out := len(paths) - len(kept)):
        print(f"{given}: {left_out} of {len(paths)} are not of the split {split}, left out", file=sys.stderr)
    return [Source(_name_below(path, given, kind), path.resolve(), of) for path, of in kept]


def _list_files(given: Path, split: str) -> list[Path]:
    if not given.is_dir() or folders.is_bag_folder(given):
        return [given]
    if (given / shapenet55.SUBSETS[0]).is_dir():
        wanted = shapenet55.SPLITS if split == splits.ALL else (split,)
        return [path for one in wanted for path in shapenet55.list_shapes(given, one)]
    return folders.list_inputs(given)


def _name_below(path: Path, given: Path, kind: str) -> str:
    """The parts of a path below `given`, without a suffix, or its own name."""
    if kind == SCENES:
        return "_".join(path.relative_to(given).parts) or path.resolve().name
    return path.stem if path == given else "_".join(path.relative_to(given).with_suffix("").parts)


def read_xyz(path: Path, bin_columns: int | None = None, mesh_points: int | None = None) -> np.ndarray:
    """xyz (H, 3) of a file; a .bin file has `bin_columns` float32 per point, `mesh_points` as in `read_cloud`."""
    if path.parent.name == "shapenet_pc" and path.suffix == ".npy":
        return shapenet55.load_shape(path).xyz
    return files.read_one_of(path, bin_columns, mesh_points).xyz
