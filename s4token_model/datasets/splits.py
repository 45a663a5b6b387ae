"""Which split of its data set a file or a scene belongs to, so that no training sees what is tested on.

    ScanNet         sceneXXXX_XX in the path: by scannetv2_{train,val}.txt, or by a folder train, val or test above it
    ShapeNet55      shapenet_pc/SYNSET-ID.npy: by ShapeNet-55/train.txt
    ModelNet40      CATEGORY/{train,test}/*.off
    S3DIS           Area_5 is tested on
    SemanticKITTI   sequences/08 is val, 11 and above are test

Anything else is of no split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from s4token_model.datasets import scannet, shapenet55

SPLITS = ("train", "val", "test")
ALL = "all"  # in place of a split
NONE, UNKNOWN = "none", "unknown"  # of no data set with splits; of one whose lists are missing
SCANNET_ROOM = re.compile(r"scene\d{4}_\d{2}")
S3DIS_AREA = re.compile(r"Area_(\d)(?!\d)")
KITTI_SEQUENCE = re.compile(r"(?:^|/)sequences/(\d\d)(?:/|$)")


def split_of(path: Path) -> str:
    """Return train, val or test of a file, or of the folder of a scene; NONE or UNKNOWN where nothing says it.

    Where the path says nothing, that to which its links lead does.
    """
    by_name = _by_name(path.absolute())
    return _by_name(path.resolve()) if by_name in (NONE, UNKNOWN) else by_name


def _by_name(path: Path) -> str:
    """Split of an absolute path."""
    text = path.as_posix()
    if room := SCANNET_ROOM.search(text):
        return _split_of_room(path, room.group())
    if path.parent.name == "shapenet_pc":
        return _split_of_shape(path)
    if path.suffix == ".off" and path.parent.name in SPLITS:
        return path.parent.name
    if area := S3DIS_AREA.search(text):
        return "test" if area.group(1) == "5" else "train"
    if sequence := KITTI_SEQUENCE.search(text):
        number = int(sequence.group(1))
        return "test" if number > 10 else "val" if number == 8 else "train"
    return NONE


def of_split(paths: Sequence[Path], split: str = "train") -> list[tuple[Path, str]]:
    """Keep the paths of a split, or ALL, each with its own split; what is of no split counts as train.

    ValueError if the lists of a data set are missing, or nothing is of that split.
    """
    _lists.cache_clear()  # they may have been copied there since
    found = [(path, split_of(path)) for path in paths]
    if split == ALL:
        return found
    if unknown := next((path for path, of in found if of == UNKNOWN), None):
        lists = "scannetv2_train.txt and scannetv2_val.txt in a folder above it, or in meta there"
        if unknown.parent.name == "shapenet_pc":
            lists = f"train.txt in {unknown.parent.parent / shapenet55.SUBSETS[0]}"
        fix = f"copy them there, or give --split {ALL}, whose samples training refuses unless told"
        raise ValueError(f"is {unknown} of the split {split}? Looked for {lists}; {fix}")
    kept = [(path, of) for path, of in found if of == split or (split == "train" and of == NONE)]
    if not kept and found:
        counts = ", ".join(f"{count} of {of}" for of, count in sorted(Counter(of for _, of in found).items()))
        raise ValueError(f"none of {len(found)} inputs is of the split {split}: there are {counts}")
    return kept


def _split_of_room(path: Path, name: str) -> str:
    """Split of a room by the lists above it, else by the folders above it."""
    for folder in path.parents:
        if (lists := _lists(folder, scannet.LISTS, ("train", "val"))) is not None:
            return next((split for split, names in lists.items() if name in names), "test")
    above = path.as_posix().partition(name)[0].split("/")
    return next((part for part in reversed(above) if part in SPLITS), UNKNOWN)


def _split_of_shape(path: Path) -> str:
    """Split of a shape by the list beside its folder; what is not listed is of a test."""
    lists = _lists(path.parent.parent, (f"{shapenet55.SUBSETS[0]}/{{0}}.txt",), ("train",))
    return UNKNOWN if lists is None else "train" if path.name in lists["train"] else "test"


@lru_cache(maxsize=64)
def _lists(folder: Path, patterns: tuple[str, ...], splits: tuple[str, ...]) -> dict[str, frozenset[str]] | None:
    """Return the names in the lists of all splits in a folder; None if one of them is missing."""
    found = {}
    for split in splits:
        listed = next((path for pattern in patterns if (path := folder / pattern.format(split)).is_file()), None)
        if listed is None:
            return None
        found[split] = frozenset(listed.read_text(encoding="utf-8").split())
    return found
