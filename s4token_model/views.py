"""Views of a labeled cloud with its objects, for the eye: a picture, or a recording for the Rerun viewer."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s4token_model.io.bags import is_bag
from s4token_model.io.errors import check_folder_of
from s4token_model.objects import find_objects, is_thing

if TYPE_CHECKING:
    from s4token_model.encoded_cloud import Segmentation


def check(picture: str | None, recording: str | None, source: Path) -> None:
    """Raise ValueError or ImportError if the files, or None, of the cloud `source` cannot be written."""
    for path, suffix in ((picture, ".png"), (recording, ".rrd")):
        if path is None:
            continue
        if source.is_dir() or is_bag(source):
            raise ValueError(f"{path} can show one cloud, and {source} holds several: name a file of one")
        if Path(path).suffix.lower() != suffix:
            raise ValueError(f"{path}: give a name that ends in {suffix}")
        check_folder_of(Path(path))
    if recording and not _installed("rerun"):
        raise ImportError("--rerun needs rerun-sdk, which is not installed: pip install rerun-sdk")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # None in sys.modules
        return False


def write(xyz: np.ndarray, picture: str | None, recording: str | None, found: Segmentation) -> None:
    """Write a picture (.png), a recording (.rrd), or neither, of a labeled cloud xyz (H, 3)."""
    if picture is None and recording is None:
        return
    names, colors = tuple(found.vocabulary.names), np.asarray(found.vocabulary.colors, np.uint8)
    up, things = found.encoding.up(xyz), [is_thing(name) for name in names]
    objects = find_objects(xyz, found.labels, found.confidence, things, up=up)
    if picture is not None:
        from s4token_model.pictures.object_picture import save_objects_picture

        save_objects_picture(picture, xyz, found.labels, names, colors, objects)
    if recording is not None:
        from s4token_model.pictures.recording import LabeledPoints, save_recording

        save_recording(recording, LabeledPoints(xyz, found.labels, found.superpoints, names, colors, up), objects)
