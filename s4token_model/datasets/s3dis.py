"""S3DIS: rooms of six areas of office buildings with 13 classes; Area 5 is the usual test split.

Layouts below the root, found by themselves:
  official   Stanford3dDataset_v1.2(_Aligned_Version): Area_5/office_1/Annotations/chair_1.txt, lines x y z r g b
  Pointcept  Area_5/office_1/{coord,color,segment}.npy: m, 0-255, index of the class or -1
  PointNet   Area_5_office_1.npy, columns x y z r g b class
  crops      NAME.h5, the partition file of Superpoint Transformer's demo, where there is none of the above
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.datasets import spt_nag, validation

NAMES = (
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "table", "chair", "sofa", "bookcase", "board",
    "clutter",
)  # fmt: skip
AREAS = tuple(f"Area_{k}" for k in range(1, 7))
TEST_AREA = "Area_5"


@dataclass(frozen=True)
class Room:
    """One room: xyz (H, 3) float32 m, z up, its lowest corner at the origin; rgb (H, 3) float32 in [0, 1];
    label (H,) uint32 index into NAMES, 65535 = none; instance (H,) int32, -1 = unknown."""

    name: str
    xyz: np.ndarray
    rgb: np.ndarray
    label: np.ndarray
    instance: np.ndarray


def list_rooms(root: str | Path, area: str = TEST_AREA) -> list[str]:
    """Names "Area_5/office_1" of the rooms of an area (crops: "NAME"), sorted. ValueError names what was looked for."""
    root = Path(root)
    if area not in AREAS:
        raise ValueError(f"unknown area {area!r} of S3DIS; there are {', '.join(AREAS)}")
    found = {p.parent.name for p in (root / area).glob("*/Annotations")}
    found |= {p.parent.name for p in (root / area).glob("*/coord.npy")}
    found |= {p.stem.removeprefix(f"{area}_") for p in root.glob(f"{area}_*.npy")}
    crops = sorted(p.stem for p in root.glob("*.h5"))
    if crops and not found:
        return crops
    if not found:
        raise ValueError(
            f"no rooms of S3DIS {area} in {root}: looked for {root / area / '*' / 'Annotations' / '*.txt'} (official), "
            f"{root / area / '*' / 'coord.npy'} (Pointcept) and {root / f'{area}_*.npy'} (PointNet)"
        )
    return [f"{area}/{name}" for name in sorted(found)]


def load_room(root: str | Path, name: str) -> Room:
    """Read one room by its name, e.g. "Area_5/office_1". ValueError names the file and what is wrong with it."""
    folder, single = Path(root) / name, Path(root) / f"{name.replace('/', '_')}.npy"
    if (Path(root) / f"{name}.h5").is_file():
        xyz, rgb, label, _ = spt_nag.load(Path(root) / f"{name}.h5", NAMES)
        instance = np.full(len(xyz), -1, np.int32)
    elif (folder / "coord.npy").is_file():
        xyz, rgb, label, instance = _pointcept(folder)
    elif (folder / "Annotations").is_dir():
        xyz, rgb, label, instance = _official(folder / "Annotations")
    else:
        xyz, rgb, label, instance = _pointnet(single)
    return Room(name, xyz - xyz.min(axis=0), np.clip(rgb / 255, 0, 1).astype(np.float32), label, instance)


def class_of(path: Path) -> int:
    """Index of the class that an annotation file is named after; what is none of the 13 (stairs) is clutter."""
    name = path.stem.split("_")[0]
    return NAMES.index(name if name in NAMES else "clutter")


def _official(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise ValueError(f"{folder} holds no *.txt; unpack the room again")
    tables = [validation.load_table(path, 6) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        validation.cloud(path, table[:, :3])
    sizes = [len(table) for table in tables]
    rows = np.concatenate(tables)
    xyz = (rows[:, :3] - rows[:, :3].min(axis=0)).astype(np.float32)  # in float64: some areas lie far from the origin
    label = np.repeat([class_of(path) for path in paths], sizes).astype(np.uint32)
    return xyz, rows[:, 3:], label, np.repeat(np.arange(len(paths)), sizes).astype(np.int32)


def _pointcept(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    xyz = validation.cloud(folder / "coord.npy", validation.load_array(folder / "coord.npy"))
    rgb = validation.load_array(folder / "color.npy")
    label = validation.load_array(folder / "segment.npy")
    label = validation.labels(folder / "segment.npy", label, len(xyz), len(NAMES), ignored=-1)
    instance = np.full(len(xyz), -1, np.int32)
    if (folder / "instance.npy").is_file():
        instance = validation.load_array(folder / "instance.npy").reshape(-1).astype(np.int32)
    if rgb.shape != xyz.shape or len(instance) != len(xyz):
        found = f"{len(xyz)} points, colors {rgb.shape}, {len(instance)} instances"
        raise ValueError(f"{folder}: {found}; the files are of different versions")
    return xyz, rgb, label, instance


def _pointnet(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows = validation.load_array(path)
    if rows.ndim != 2 or rows.shape[1] != 7:
        raise ValueError(f"{path}: expected columns x y z r g b class, found {rows.shape}")
    xyz = validation.cloud(path, rows[:, :3])
    return xyz, rows[:, 3:6], validation.labels(path, rows[:, 6], len(xyz), len(NAMES)), np.full(len(xyz), -1, np.int32)
