"""The sample room that ships with the package: a labeled scan of a procedural room, in one small LAZ file.

scripts/make_sample_room.py makes it. The label is the LAS classification; the class names are in the file's
classification lookup table, where LAS viewers find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s4token_model.io.errors import error

if TYPE_CHECKING:  # imported late, so that commands can name the room at once
    import numpy as np

PATH = Path(__file__).resolve().parents[1] / "samples" / "room.laz"


@dataclass(frozen=True)
class SampleRoom:
    """A labeled scan of H points."""

    xyz: np.ndarray  # (H, 3) float32, meters, z up
    rgb: np.ndarray  # (H, 3) float32 in [0, 1]
    label: np.ndarray  # (H,) uint8, index into `names`
    names: tuple[str, ...]  # of the classes


def load(path: str | Path = PATH) -> SampleRoom:
    """Read a sample room. ValueError when the file is missing or has no colors or class names."""
    import laspy

    from s4token_model.io.files import read_cloud

    path, fix = Path(path), "make it with scripts/make_sample_room.py"
    if not path.is_file():
        raise error(path, "no such file", fix)
    cloud = read_cloud(path)
    with laspy.open(path) as reader:
        tables = reader.header.vlrs.get("ClassificationLookupVlr")
    if cloud.rgb is None or not tables:
        raise error(path, "no colors or no classification lookup table", fix)
    names = tuple(name for _, name in sorted(tables[0].lookups.items()))
    return SampleRoom(cloud.xyz.astype("float32"), cloud.rgb, cloud.fields["classification"], names)
