"""ScanNet rooms with ScanNet20 labels: the official release, Pointcept's and VoteNet's npy files.

Layouts below the root, detected automatically:
  official   scans/sceneXXXX_XX/sceneXXXX_XX_vh_clean_2.ply and ..._vh_clean_2.labels.ply (property `label`, NYU40 ids)
             and, if downloaded, ..._vh_clean_2.0.010000.segs.json: ScanNet's own superpoints
  Pointcept  {train,val}/sceneXXXX_XX/{coord,color,segment20}.npy: m, 0-255, index into ScanNet20 or -1
  VoteNet    sceneXXXX_XX_vert.npy (H, 6: xyz m, rgb 0-255), sceneXXXX_XX_sem_label.npy (NYU40 ids)
The objects are in instance.npy (Pointcept, -1 for none) or sceneXXXX_XX_ins_label.npy (VoteNet, 0 for none).
The lists scannetv2_{train,val}.txt, in the root or its meta folder, choose the rooms of an official split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4token_model.constants import SCANNET20, UNLABELED
from s4token_model.datasets import validation
from s4token_model.io.files import read_cloud

NAMES = SCANNET20
# NYU40 ids of SCANNET20, in its order; the benchmark ignores every other NYU40 id.
SCANNET20_NYU40 = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
SPLITS = ("train", "val")
_PLY, _LABELS_PLY, _SEGMENTS = "{0}_vh_clean_2.ply", "{0}_vh_clean_2.labels.ply", "{0}_vh_clean_2.0.010000.segs.json"
LISTS = ("scannetv2_{0}.txt", "meta/scannetv2_{0}.txt", "meta_data/scannetv2_{0}.txt")


@dataclass(frozen=True)
class Room:
    """One labeled room of H points."""

    name: str  # e.g. "scene0003_00"
    xyz: np.ndarray  # (H, 3) float32, meters, z up
    rgb: np.ndarray  # (H, 3) float32 in [0, 1]
    label: np.ndarray  # (H,) uint32, index into SCANNET20, or UNLABELED for every other class
    nyu40: np.ndarray  # (H,) int32, the NYU40 ids of the file, 0 = unannotated
    superpoint: np.ndarray | None = None  # (H,) int32, ScanNet's own superpoints, or None


def list_rooms(root: str | Path, rooms: Sequence[str] | None = None, split: str | None = None) -> list[str]:
    """List the labeled rooms below `root`, sorted; of all, or of the official split "train" or "val".

    `rooms` keeps only these, each of which must exist: "0003" (all scans of a room), "0003_01" or "scene0003_01".
    """
    root = Path(root)
    votenet = {p.name.removesuffix("_vert.npy") for p in root.glob("scene*_vert.npy")}
    found = sorted({*_official(root), *votenet, *(p.parent.name for p in _pointcept(root))})
    if not found:
        raise ValueError(
            f"no ScanNet rooms in {root}: looked for {root / 'scene*_vert.npy'} (VoteNet layout), "
            f"{root / '{train,val}' / 'scene*' / 'coord.npy'} (Pointcept) and "
            f"{root / 'scans' / 'scene*' / _PLY.format('scene*')} (official layout); pass the folder that holds them"
        )
    found = found if split is None else _of_split(root, found, split)
    if rooms is None:
        return found
    chosen = set()
    for room in rooms:
        names = {name for name in found if f"{name}_".startswith(f"scene{room.removeprefix('scene')}_")}
        if not names:
            there = ", ".join(found[:8]) + ", ..." * (len(found) > 8)
            raise ValueError(f"room {room!r} is not in {root}; there are {there}")
        chosen |= names
    return sorted(chosen)


def load_room(root: str | Path, name: str) -> Room:
    """Read one room by its name, e.g. "scene0003_00". ValueError names the missing or inconsistent file."""
    root = Path(root)
    folders = [p.parent for p in _pointcept(root) if p.parent.name == name]
    if folders:
        return _load_pointcept(folders[0])
    if (root / f"{name}_vert.npy").exists():
        return _load_votenet(root / f"{name}_vert.npy", name)
    folder = root / "scans" / name if (root / "scans" / name).is_dir() else root / name
    return _load_official(_present(folder / _PLY.format(name)), name)


def load_instances(root: str | Path, name: str) -> np.ndarray:
    """Read the object of each point of a room, (H,) int64, -1 for none, from the layouts of Pointcept and VoteNet."""
    root = Path(root)
    for folder in (p.parent for p in _pointcept(root) if p.parent.name == name):
        return validation.load_array(_present(folder / "instance.npy")).reshape(-1).astype(np.int64)
    if not (root / f"{name}_vert.npy").exists():
        raise ValueError(f"{name} in {root}: objects are read from the layouts of VoteNet and Pointcept, not of scans/")
    return validation.load_array(_present(root / f"{name}_ins_label.npy")).reshape(-1).astype(np.int64) - 1


def _room(path: Path, name: str, xyz: np.ndarray, rgb: np.ndarray, nyu40: np.ndarray) -> Room:
    """Build a room from points, unit colors and NYU40 ids; `path` names the points in errors."""
    if len(nyu40) != len(xyz):
        raise ValueError(f"{name}: {len(xyz)} points but {len(nyu40)} labels; the two files are of different versions")
    nyu40 = np.asarray(nyu40).reshape(-1).astype(np.int32)
    return Room(name, validation.cloud(path, xyz), np.asarray(rgb, np.float32), scannet20(nyu40), nyu40)


def _load_votenet(path: Path, name: str) -> Room:
    points = validation.load_array(path)
    nyu40 = validation.load_array(_present(path.with_name(f"{name}_sem_label.npy")))
    return _room(path, name, points[:, :3], points[:, 3:6] / 255.0, nyu40)


def _load_official(path: Path, name: str) -> Room:
    cloud = read_cloud(path, mesh_points=0)
    labels_path = _present(path.with_name(_LABELS_PLY.format(name)))
    labels = read_cloud(labels_path, mesh_points=0)
    if "label" not in labels.fields:
        raise ValueError(f"{labels_path} has no property `label`; it has {', '.join(labels.fields)}")
    rgb = np.full(cloud.xyz.shape, 0.5) if cloud.rgb is None else cloud.rgb
    segments = path.with_name(_SEGMENTS.format(name))
    superpoint = load_segments(segments, len(cloud.xyz)) if segments.is_file() else None
    return dataclasses.replace(_room(path, name, cloud.xyz, rgb, labels.fields["label"]), superpoint=superpoint)


def provided_superpoints(mesh: Path, count: int) -> np.ndarray:
    """Read the superpoints (count,) int32 beside a mesh sceneXXXX_XX_vh_clean_2.ply. ValueError if there are none."""
    name = mesh.name.removesuffix(_PLY.format(""))
    return load_segments(_present(mesh.with_name(_SEGMENTS.format(name))), count)


def load_segments(path: Path, count: int) -> np.ndarray:
    """Read the superpoints (count,) int32 of a .segs.json, numbered from 0. ValueError names the fault."""
    content = validation.load_json(path)
    if not isinstance(content, dict) or "segIndices" not in content:
        raise ValueError(f"{path} holds no segIndices; it is not ScanNet's over-segmentation")
    if len(content["segIndices"]) != count:
        raise ValueError(f"{path}: {count} points but {len(content['segIndices'])} segIndices; download both again")
    return np.unique(np.asarray(content["segIndices"]), return_inverse=True)[1].reshape(-1).astype(np.int32)


def _load_pointcept(folder: Path) -> Room:
    xyz = validation.cloud(folder / "coord.npy", validation.load_array(folder / "coord.npy"))
    rgb = validation.load_array(folder / "color.npy")
    if rgb.shape != xyz.shape:
        raise ValueError(f"{folder}: {len(xyz)} points but colors {rgb.shape}; the two files are of different versions")
    path = folder / "segment20.npy"
    label = validation.labels(path, validation.load_array(path), len(xyz), len(SCANNET20), ignored=-1)
    nyu40 = np.array([*SCANNET20_NYU40, 0], np.int32)[np.minimum(label, len(SCANNET20))]
    return Room(folder.name, xyz, (rgb / 255.0).astype(np.float32), label, nyu40)


def scannet20(nyu40: np.ndarray) -> np.ndarray:
    """Map NYU40 ids to indices into SCANNET20 (uint32); every other id becomes UNLABELED."""
    nyu40 = np.asarray(nyu40).astype(np.int64)
    table = np.full(257, UNLABELED, np.uint32)
    table[list(SCANNET20_NYU40)] = np.arange(len(SCANNET20), dtype=np.uint32)
    return table[np.where((nyu40 >= 0) & (nyu40 < 256), nyu40, 256)]


def _pointcept(root: Path) -> list[Path]:
    """List coord.npy of every room that also has labels."""
    found = [*root.glob("scene*/coord.npy"), *(p for split in SPLITS for p in root.glob(f"{split}/scene*/coord.npy"))]
    return [path for path in found if path.with_name("segment20.npy").is_file()]


def _of_split(root: Path, names: list[str], split: str) -> list[str]:
    """Keep the rooms of an official split, by its list or by their folder."""
    validation.check_known("ScanNet", "split", split, SPLITS)
    lists = [root / pattern.format(split) for pattern in LISTS]
    listed = next((path for path in lists if path.is_file()), None)
    inside = {path.name for path in (root / split).glob("scene*")}
    if listed is None and not inside:
        raise ValueError(f"which rooms are of {split}? Looked for {', '.join(map(str, lists))} and {root / split}")
    wanted = inside if listed is None else set(listed.read_text(encoding="utf-8").split())
    kept = [name for name in names if name in wanted]
    if not kept:
        raise ValueError(f"none of the {len(names)} rooms in {root} is of the split {split} ({listed or root / split})")
    return kept


def _official(root: Path) -> list[str]:
    folders = [p for base in (root / "scans", root) for p in base.glob("scene*") if p.is_dir()]
    return [p.name for p in folders if (p / _LABELS_PLY.format(p.name)).exists()]


def _present(path: Path) -> Path:
    if not path.exists():
        raise ValueError(f"{path} is missing; the room needs it")
    return path
