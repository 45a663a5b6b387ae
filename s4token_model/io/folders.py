"""Folders of clouds and bags: what of them is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from s4token_model.io import bags
from s4token_model.io.errors import error
from s4token_model.io.files import READERS

CLOUD_SUFFIXES = tuple(suffix for suffix in READERS if suffix != ".png")  # a depth image is one frame of many
METADATA, BAG_KEY = "metadata.yaml", b"rosbag2_bagfile_information"


def list_inputs(folder: Path, cloud_suffixes: Sequence[str] = CLOUD_SUFFIXES) -> list[Path]:
    """Return the cloud files and bags in a folder and below, sorted; the folder of a bag is one of them, or the only.

    Hidden files and folders are left out, links are followed. ValueError if there is none, OSError if a folder cannot
    be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        here, real = Path(parent), os.path.realpath(parent)
        if is_bag := is_bag_folder(here):
            found.append(here)
        if is_bag or real in seen:  # links may lead in circles
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        endings = (*cloud_suffixes, *bags.SUFFIXES, *bags.RELATED)
        found += [here / name for name in names if name.lower().endswith(endings) and not name.startswith(".")]
    if not found:
        looked = f"looked for {', '.join(cloud_suffixes)} and bags in it and below"
        raise error(folder, "holds no cloud", looked)
    return sorted(found)


def is_bag_folder(folder: Path) -> bool:
    """Return whether a folder holds a bag with its metadata."""
    try:
        with (folder / METADATA).open("rb") as file:
            return BAG_KEY in file.read(4096)
    except OSError:
        return False


def is_one_bag(folder: Path) -> bool:
    """Return whether a folder is a bag, if need be without metadata: then it holds one file of a bag and no cloud."""
    if is_bag_folder(folder):
        return True
    names = [name.lower() for name in os.listdir(folder)]
    alone = sum(name.endswith((*bags.SUFFIXES, *bags.RELATED)) for name in names) == 1
    return alone and not any(name.endswith(CLOUD_SUFFIXES) for name in names)


def _raise(reason: OSError) -> None:
    raise reason
