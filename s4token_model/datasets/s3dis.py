"""S3DIS: rooms in six areas of office buildings with 13 classes; Area 5 is the usual test split.

Layouts below the root, detected automatically:
  official   Stanford3dDataset_v1.2(_Aligned_Version): Area_5/office_1/Annotations/chair_1.txt, lines x y z r g b
  Pointcept  Area_5/office_1/{coord,color,segment}.npy: m, 0-255, class index or -1
  PointNet   Area_5_office_1.npy, columns x y z r g b class
  SPT demo   NAME.h5, a partitioned crop as Superpoint Transformer's demo stores it, if no other layout is found:
             level_0/pos (H, 3) m, level_0/rgb 0-255, level_0/_csr_/y class votes, sparse (H, 14), the last void
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.constants import UNLABELED
from s4token_model.datasets import validation

NAMES = (
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "table", "chair", "sofa", "bookcase", "board",
    "clutter",
)  # fmt: skip
# The class order of the SPT demo, which is not that of the release.
SPT_NAMES = (
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "chair", "table", "bookcase", "sofa", "board",
    "clutter",
)  # fmt: skip
AREAS = tuple(f"Area_{k}" for k in range(1, 7))
TEST_AREA = "Area_5"


@dataclass(frozen=True)
class Room:
    """One room of H points."""

    name: str  # e.g. "Area_5/office_1"
    xyz: np.ndarray  # (H, 3) float32, meters, z up, its lowest corner at the origin
    rgb: np.ndarray  # (H, 3) float32 in [0, 1]
    label: np.ndarray  # (H,) uint32, index into NAMES, or UNLABELED
    instance: np.ndarray  # (H,) int32, -1 = unknown


def list_rooms(root: str | Path, area: str = TEST_AREA) -> list[str]:
    """List the rooms of an area, sorted: "Area_5/office_1" (SPT demo: "NAME"). ValueError names what was looked for."""
    validation.check_known("S3DIS", "area", area, AREAS)
    root = Path(root)
    found = {p.parent.name for p in (root / area).glob("*/Annotations")}
    found |= {p.parent.name for p in (root / area).glob("*/coord.npy")}
    found |= {p.stem.removeprefix(f"{area}_") for p in root.glob(f"{area}_*.npy")}
    if not found and (demo := sorted(p.stem for p in root.glob("*.h5"))):
        return demo
    if not found:
        raise ValueError(
            f"no rooms of S3DIS {area} in {root}: looked for {root / area / '*' / 'Annotations' / '*.txt'} (official), "
            f"{root / area / '*' / 'coord.npy'} (Pointcept) and {root / f'{area}_*.npy'} (PointNet)"
        )
    return [f"{area}/{name}" for name in sorted(found)]


def load_room(root: str | Path, name: str) -> Room:
    """Read one room by its name, e.g. "Area_5/office_1". ValueError names the file and what is wrong with it."""
    folder, demo = Path(root) / name, Path(root) / f"{name}.h5"
    if demo.is_file():
        return _load_spt_demo(name, demo)
    if (folder / "coord.npy").is_file():
        return _load_pointcept(name, folder)
    if (folder / "Annotations").is_dir():
        return _load_official(name, folder / "Annotations")
    return _load_pointnet(name, Path(root) / f"{name.replace('/', '_')}.npy")


def _room(name: str, xyz: np.ndarray, rgb: np.ndarray, label: np.ndarray, instance: np.ndarray | None = None) -> Room:
    """Build a room from float32 points and colors in 0-255."""
    if instance is None:
        instance = np.full(len(xyz), -1, np.int32)
    return Room(name, xyz - xyz.min(axis=0), np.clip(rgb / 255, 0, 1).astype(np.float32), label, instance)


def _load_official(name: str, folder: Path) -> Room:
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise ValueError(f"{folder} holds no *.txt; unpack the room again")
    tables = [validation.load_table(path, 6) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        validation.cloud(path, table[:, :3])
    sizes = [len(table) for table in tables]
    rows = np.concatenate(tables)
    xyz = (rows[:, :3] - rows[:, :3].min(axis=0)).astype(np.float32)  # in float64: some areas lie far from the origin
    names = [path.stem.split("_")[0] for path in paths]  # names of no class (stairs) are clutter
    label = np.repeat([NAMES.index(n if n in NAMES else "clutter") for n in names], sizes).astype(np.uint32)
    return _room(name, xyz, rows[:, 3:], label, np.repeat(np.arange(len(paths)), sizes).astype(np.int32))


def _load_pointcept(name: str, folder: Path) -> Room:
    xyz = validation.cloud(folder / "coord.npy", validation.load_array(folder / "coord.npy"))
    rgb = validation.load_array(folder / "color.npy")
    path = folder / "segment.npy"
    label = validation.labels(path, validation.load_array(path), len(xyz), len(NAMES), ignored=-1)
    instance = np.full(len(xyz), -1, np.int32)
    if (folder / "instance.npy").is_file():
        instance = validation.load_array(folder / "instance.npy").reshape(-1).astype(np.int32)
    if rgb.shape != xyz.shape or len(instance) != len(xyz):
        found = f"{len(xyz)} points, colors {rgb.shape}, {len(instance)} instances"
        raise ValueError(f"{folder}: {found}; the files are of different versions")
    return _room(name, xyz, rgb, label, instance)


def _load_pointnet(name: str, path: Path) -> Room:
    rows = validation.load_array(path)
    if rows.ndim != 2 or rows.shape[1] != 7:
        raise ValueError(f"{path}: expected columns x y z r g b class, found {rows.shape}")
    xyz = validation.cloud(path, rows[:, :3])
    return _room(name, xyz, rows[:, 3:6], validation.labels(path, rows[:, 6], len(xyz), len(NAMES)))


def _load_spt_demo(name: str, path: Path) -> Room:
    xyz, rgb = validation.load_hdf5(path, "level_0/pos", "level_0/rgb")
    # The votes of the points behind each voxel, as compressed sparse rows
    csr = (f"level_0/_csr_/y/{name}" for name in ("pointers", "columns", "values"))
    pointers, columns, votes = validation.load_hdf5(path, *csr)
    xyz = validation.cloud(path, xyz)
    if len(pointers) != len(xyz) + 1 or len(columns) != len(votes) or pointers[-1] != len(votes):
        raise ValueError(f"{path}: votes do not fit its {len(xyz)} points; download it again")
    winner = _majority(len(xyz), pointers, columns, votes)
    void = len(SPT_NAMES)
    winner = validation.labels(path, np.where(winner == void, -1, winner), len(xyz), void, ignored=-1)
    release_index = np.full(UNLABELED + 1, UNLABELED, np.uint32)
    release_index[:void] = [NAMES.index(name) for name in SPT_NAMES]
    return _room(name, xyz, rgb, release_index[winner])


def _majority(count: int, pointers: np.ndarray, columns: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Return the column (count,) with the most votes in each row, the lowest of equal ones; -1 in an empty row."""
    rows = np.repeat(np.arange(count), np.diff(pointers))
    order = np.lexsort((-columns.astype(np.int64), votes, rows))  # the last of a row wins
    best = np.full(count, -1, np.int64)
    best[rows[order]] = columns[order]
    return best
