"""SemanticKITTI scans in the official layout: sequences/SS/velodyne/NNNNNN.bin and sequences/SS/labels/NNNNNN.label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.constants import UNLABELED
from s4token_model.datasets import validation

NAMES = (
    "car", "bicycle", "motorcycle", "truck", "other vehicle", "person", "bicyclist", "motorcyclist", "road", "parking",
    "sidewalk", "other ground", "building", "fence", "vegetation", "trunk", "terrain", "pole", "traffic sign",
)  # fmt: skip
# Raw ids of each class in the benchmark's learning map: moving objects count as their class, buses and trains as other
# vehicles, lane markings as road. Raw ids 0, 1, 52 and 99 are ignored.
RAW_IDS = {
    "car": (10, 252), "bicycle": (11,), "motorcycle": (15,), "truck": (18, 258),
    "other vehicle": (13, 16, 20, 256, 257, 259), "person": (30, 254), "bicyclist": (31, 253),
    "motorcyclist": (32, 255), "road": (40, 60), "parking": (44,), "sidewalk": (48,), "other ground": (49,),
    "building": (50,), "fence": (51,), "vegetation": (70,), "trunk": (71,), "terrain": (72,), "pole": (80,),
    "traffic sign": (81,),
}  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """One LiDAR revolution of H points."""

    name: str  # "SEQUENCE/NUMBER", e.g. "00/000000"
    xyz: np.ndarray  # (H, 3) float32, meters, in the sensor's frame, z up
    intensity: np.ndarray  # (H,) float32
    label: np.ndarray  # (H,) uint32, index into NAMES, or UNLABELED for ignored points
    raw: np.ndarray  # (H,) int32, semantic ids of the file


def list_sweeps(root: str | Path, sequences: Sequence[str] | None = None) -> list[str]:
    """List the labeled sweeps below `root` as "SS/NNNNNN", sorted; `sequences` selects e.g. ("08",)."""
    labels = sorted((Path(root) / "sequences").glob("*/labels/*.label"))
    names = [f"{path.parent.parent.name}/{path.stem}" for path in labels]
    names = [name for name in names if sequences is None or name.split("/")[0] in sequences]
    if not names:
        where = Path(root) / "sequences" / (",".join(sequences) if sequences else "*")
        raise ValueError(f"no labeled sweeps: looked for {where}/labels/*.label and {where}/velodyne/*.bin")
    return names


def load_sweep(root: str | Path, name: str) -> Sweep:
    """Read one sweep by its name, e.g. "00/000000". ValueError names a missing or truncated file."""
    sequence, number = name.split("/")
    folder = Path(root) / "sequences" / sequence
    points = _read(folder / "velodyne" / f"{number}.bin", np.float32, 4)
    raw = (_read(folder / "labels" / f"{number}.label", np.uint32, 1)[:, 0] & 0xFFFF).astype(np.int32)
    if len(raw) != len(points):
        raise ValueError(f"{folder}: sweep {number} has {len(points)} points but {len(raw)} labels")
    validation.cloud(folder / "velodyne" / f"{number}.bin", points[:, :3])
    return Sweep(name, points[:, :3], points[:, 3], learning_map(raw), raw)


def learning_map(raw: np.ndarray) -> np.ndarray:
    """Map raw semantic ids (H,) to indices into NAMES (uint32), UNLABELED where the benchmark ignores them."""
    table = np.full(0x10000, UNLABELED, np.uint32)  # raw ids have 16 bits
    for index, name in enumerate(NAMES):
        table[list(RAW_IDS[name])] = index
    return table[np.asarray(raw).astype(np.int64) & 0xFFFF]


def _read(path: Path, kind: type, columns: int) -> np.ndarray:
    if not path.exists():
        raise ValueError(f"{path} is missing; the sweep needs it")
    if path.stat().st_size % (4 * columns):
        raise ValueError(f"{path} is truncated: {path.stat().st_size} bytes are no multiple of {4 * columns}")
    return np.fromfile(path, kind).reshape(-1, columns)
