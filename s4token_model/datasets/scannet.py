"""ScanNet rooms with ScanNet20 labels: the official release and VoteNet's npy files.

Layouts below the root, found by themselves:
  official   scans/sceneXXXX_XX/sceneXXXX_XX_vh_clean_2.ply and ..._vh_clean_2.labels.ply (property `label`, NYU40 ids)
  VoteNet    sceneXXXX_XX_vert.npy (H, 6: xyz m, rgb 0-255), sceneXXXX_XX_sem_label.npy (NYU40 ids)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model import marks
from s4token_model.datasets.classes import SCANNET20, SCANNET20_NYU40
from s4token_model.files import read_cloud

NAMES = SCANNET20
_PLY, _LABELS_PLY = "{0}_vh_clean_2.ply", "{0}_vh_clean_2.labels.ply"


@dataclass(frozen=True)
class Room:
    """One labelled room: xyz (H, 3) float32 m, z up; rgb (H, 3) float32 in [0, 1]; label (H,) uint32 index into
    SCANNET20, 65535 = not one of them; nyu40 (H,) int32 raw ids, 0 = unannotated."""

    name: str
    xyz: np.ndarray
    rgb: np.ndarray
    label: np.ndarray
    nyu40: np.ndarray


def list_rooms(root: str | Path, rooms: Sequence[str] | None = None) -> list[str]:
    """Names of the labelled rooms below `root`, sorted.

    `rooms` keeps those that match: "0003" (all scans of a room), "0003_01" or "scene0003_01". Raises ValueError when
    the root holds none (naming the files looked for) or when an entry of `rooms` matches nothing.
    """
    root = Path(root)
    found = sorted(set(_official(root)) | {p.name.removesuffix("_vert.npy") for p in root.glob("scene*_vert.npy")})
    if not found:
        raise ValueError(
            f"no ScanNet rooms in {root}: looked for {root / 'scene*_vert.npy'} (VoteNet layout) and "
            f"{root / 'scans' / 'scene*' / _PLY.format('scene*')} (official layout); pass the folder that holds them"
        )
    if rooms is None:
        return found
    chosen = {room: [name for name in found if _matches(name, room)] for room in rooms}
    for room, names in chosen.items():
        if not names:
            raise ValueError(
                f"room {room!r} is not in {root}; there are {', '.join(found[:8])}{', ...' * (len(found) > 8)}"
            )
    return sorted({name for names in chosen.values() for name in names})


def load_room(root: str | Path, name: str) -> Room:
    """Read one room by its name, e.g. "scene0003_00". Raises ValueError naming the missing or inconsistent file."""
    root = Path(root)
    if (root / f"{name}_vert.npy").exists():
        points, nyu40 = np.load(root / f"{name}_vert.npy"), np.load(_present(root / f"{name}_sem_label.npy"))
        xyz, rgb = points[:, :3], points[:, 3:6] / 255.0
    else:
        folder = _folder(root, name)
        cloud = read_cloud(_present(folder / _PLY.format(name)), mesh_points=1)
        labels = read_cloud(_present(folder / _LABELS_PLY.format(name)), mesh_points=1)
        if "label" not in labels.fields:
            raise ValueError(
                f"{folder / _LABELS_PLY.format(name)} has no property `label`; it has {', '.join(labels.fields)}"
            )
        xyz, rgb, nyu40 = cloud.xyz, cloud.rgb, labels.fields["label"]
        rgb = np.full(xyz.shape, 0.5) if rgb is None else rgb
    if len(nyu40) != len(xyz):
        raise ValueError(f"{name}: {len(xyz)} points but {len(nyu40)} labels; the two files are of different versions")
    nyu40 = np.asarray(nyu40).reshape(-1).astype(np.int32)
    return Room(name, np.asarray(xyz, np.float32), np.asarray(rgb, np.float32), scannet20(nyu40), nyu40)


def scannet20(nyu40: np.ndarray) -> np.ndarray:
    """Map NYU40 ids to indices into SCANNET20 (uint32); every other id becomes 65535."""
    nyu40 = np.asarray(nyu40).astype(np.int64)
    table = np.full(257, marks.UNLABELLED, np.uint32)
    table[list(SCANNET20_NYU40)] = np.arange(len(SCANNET20), dtype=np.uint32)
    return table[np.where((nyu40 >= 0) & (nyu40 < 256), nyu40, 256)]


def _official(root: Path) -> list[str]:
    folders = [p for base in (root / "scans", root) for p in base.glob("scene*") if p.is_dir()]
    return [p.name for p in folders if (p / _LABELS_PLY.format(p.name)).exists()]


def _folder(root: Path, name: str) -> Path:
    return root / "scans" / name if (root / "scans" / name).is_dir() else root / name


def _matches(name: str, room: str) -> bool:
    full = room if room.startswith("scene") else f"scene{room}"
    return name == full or name.startswith(f"{full}_")


def _present(path: Path) -> Path:
    if not path.exists():
        raise ValueError(f"{path} is missing; the room needs it")
    return path
