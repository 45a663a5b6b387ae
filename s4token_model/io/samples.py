"""The samples that ship with the package: labeled scans of a procedural room and street, each in one small LAZ file.

scripts/make_samples.py makes them. The label is the LAS classification; the class names are in the file's
classification lookup table, where LAS viewers find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s4token_model.io.errors import error

if TYPE_CHECKING:  # imported late, so that commands can name the samples at once
    import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "samples"
ROOM, STREET = FOLDER / "room.laz", FOLDER / "street.laz"


@dataclass(frozen=True)
class Sample:
    """A labeled scan of H points."""

    xyz: np.ndarray  # (H, 3) float32, meters, z up; of the street in the frame of the LiDAR
    rgb: np.ndarray | None  # (H, 3) float32 in [0, 1]; a LiDAR sees none
    label: np.ndarray  # (H,) uint8, index into `names`
    names: tuple[str, ...]  # of the classes


def load(path: str | Path = ROOM) -> Sample:
    """Read a sample, ROOM or STREET. ValueError when the file is missing or has no class names."""
    import laspy

    from s4token_model.io.files import read_cloud

    path, fix = Path(path), "make it with scripts/make_samples.py"
    if not path.is_file():
        raise error(path, "no such file", fix)
    cloud = read_cloud(path)
    with laspy.open(path) as reader:
        tables = reader.header.vlrs.get("ClassificationLookupVlr")
    if not tables:
        raise error(path, "no classification lookup table", fix)
    names = tuple(name for _, name in sorted(tables[0].lookups.items()))
    return Sample(cloud.xyz.astype("float32"), cloud.rgb, cloud.fields["classification"], names)
