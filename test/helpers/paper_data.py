"""A few files of every data set of the paper, in the official layouts, and the shape of a CLIP."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import posed_frames
from box_room import room

from s4token_model.datasets import s3dis

VIT_B16 = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
B16 = {"embed_dim": 512, "vision_cfg": VIT_B16, "text_cfg": TEXT, "quick_gelu": True}  # with a small text tower
Y_UP = [1, 2, 0]  # columns of files in which y is up, from xyz with z up
S3DIS_NAMES = ("floor", "wall", "ceiling", "table")  # of the parts of the room
WALL, PICTURE = 1, 11  # NYU40 ids
# The frames look along z, with y down; ScanNet's world has z up
TO_WORLD = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1.0]])


def mug(rng: np.random.Generator, points: int = 2048) -> tuple[np.ndarray, np.ndarray]:
    """A cup with a handle, xyz (H, 3) with z up, and which is which (H,): 0 handle, 1 cup."""
    count = points // 4
    angle, up = rng.uniform(0, 2 * np.pi, points - count), rng.uniform(-1, 1, points - count)
    turn = rng.uniform(-np.pi / 2, np.pi / 2, count)
    handle = np.column_stack([0.5 + 0.3 * np.cos(turn), rng.uniform(-0.05, 0.05, count), 0.3 * np.sin(turn)])
    cup = np.column_stack([0.5 * np.cos(angle), 0.5 * np.sin(angle), 0.5 * up])
    return np.concatenate([handle, cup]).astype(np.float32), np.repeat([0, 1], [count, points - count])


def table(rng: np.random.Generator, points: int = 2048) -> tuple[np.ndarray, np.ndarray]:
    """A table, xyz (H, 3) with z up, and which is which (H,): 0 top, 1 leg."""
    count = points // 4
    corner = rng.choice([-0.5, 0.5], (count, 2))
    legs = np.column_stack([corner + rng.uniform(-0.04, 0.04, (count, 2)), rng.uniform(-0.4, 0.3, count)])
    top = np.column_stack([rng.uniform(-0.6, 0.6, (points - count, 2)), rng.uniform(0.3, 0.35, points - count)])
    return np.concatenate([top, legs]).astype(np.float32), np.repeat([0, 1], [points - count, count])


def write(root: Path) -> None:
    """Write all six data sets, in the folders that `s4token paper --data` reads."""
    write_shapenet55(root / "shapenet55")
    write_shapenetpart(root / "shapenetpart")
    write_modelnet40(root / "modelnet40")
    write_scanobjectnn(root / "scanobjectnn")
    write_scannet(root / "scannet")
    write_s3dis(root / "s3dis")


def write_shapenet55(root: Path) -> None:
    """Three shapes in the layout of Point-BERT, two of them to train on."""
    names = [f"03797390-{letter}.npy" for letter in "abc"]
    for folder in ("shapenet_pc", "ShapeNet-55"):
        (root / folder).mkdir(parents=True)
    for seed, name in enumerate(names):
        np.save(root / "shapenet_pc" / name, mug(np.random.default_rng(seed), 8192)[0][:, Y_UP])
    for split, listed in (("train", names[:2]), ("test", names[2:])):
        (root / "ShapeNet-55" / f"{split}.txt").write_text("\n".join(listed))


def write_shapenetpart(root: Path) -> None:
    """Mugs and tables in the official layout, two of each to train on, one to test on."""
    (root / "train_test_split").mkdir(parents=True)
    for split, names in (("train", "a"), ("val", "b"), ("test", "c")):
        listed = []
        for make, synset, first in ((mug, "03797390", 36), (table, "04379243", 47)):
            (root / synset).mkdir(exist_ok=True)
            for name in names:
                xyz, part = make(np.random.default_rng(ord(name)))
                rows = np.c_[xyz[:, Y_UP], np.zeros_like(xyz), first + part]
                np.savetxt(root / synset / f"{name}.txt", rows, fmt="%.6f")
                listed.append(f"shape_data/{synset}/{name}")
        (root / "train_test_split" / f"shuffled_{split}_file_list.json").write_text(json.dumps(listed))


def write_modelnet40(root: Path) -> None:
    """A cup in the layout of PointNet++."""
    (root / "cup").mkdir(parents=True)
    xyz = mug(np.random.default_rng(5))[0][:, Y_UP]
    np.savetxt(root / "cup" / "cup_0080.txt", np.c_[xyz, xyz], fmt="%.6f", delimiter=",")
    (root / "modelnet40_test.txt").write_text("cup_0080\n")


def write_scanobjectnn(root: Path) -> None:
    """One object in each of the three variants of the release."""
    import h5py

    for name in (
        "main_split_nobg/test_objectdataset", "main_split/test_objectdataset",
        "main_split/test_objectdataset_augmentedrot_scale75",
    ):  # fmt: skip
        path = root / "h5_files" / f"{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["data"] = mug(np.random.default_rng(6))[0][None][..., Y_UP]
            file["label"] = np.array([1], np.int32)


def write_scannet(root: Path) -> None:
    """Two scans of the made wall with a board: meshes, labels, superpoints, exported frames, and the official lists."""
    xyz, part = posed_frames.cloud()
    for name, split in (("scene0010_00", "train"), ("scene0011_00", "val")):
        folder = root / "scans" / name
        posed_frames.write(folder, "scannet", TO_WORLD)
        base = folder / f"{name}_vh_clean_2"
        write_ply(Path(f"{base}.ply"), xyz @ TO_WORLD[:3, :3].T, None)
        write_ply(Path(f"{base}.labels.ply"), xyz @ TO_WORLD[:3, :3].T, np.array([WALL, PICTURE])[part])
        ids = np.where(part == 1, 9, xyz[:, 0] > 0)
        Path(f"{base}.0.010000.segs.json").write_text(json.dumps({"segIndices": ids.tolist()}))
        (root / f"scannetv2_{split}.txt").write_text(f"{name}\n")


def write_ply(path: Path, xyz: np.ndarray, label: np.ndarray | None) -> None:
    """Write vertices as the release does, gray, with `label` in the labels file."""
    kinds = [(a, "<f4") for a in "xyz"] + [(c, "u1") for c in ("red", "green", "blue", "alpha")]
    kinds += [] if label is None else [("label", "<u2")]
    vertices = np.zeros(len(xyz), kinds)
    for k, axis in enumerate("xyz"):
        vertices[axis] = xyz[:, k]
    for color in ("red", "green", "blue", "alpha"):
        vertices[color] = 128
    if label is not None:
        vertices["label"] = label
    names = {"<f4": "float", "u1": "uchar", "<u2": "ushort"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(xyz)}"]
    header += [f"property {names[kind]} {name}" for name, kind in kinds] + ["end_header", ""]
    path.write_bytes("\n".join(header).encode() + vertices.tobytes())


def write_s3dis(root: Path) -> None:
    """A room in Area 1 and one in Area 5, in the official layout."""
    xyz, part = room(0.1)
    for area in ("Area_1", "Area_5"):
        folder = root / area / "office_1" / "Annotations"
        folder.mkdir(parents=True)
        for number, name in enumerate(S3DIS_NAMES):
            assert name in s3dis.NAMES
            rows = np.c_[xyz, np.full_like(xyz, 60 * number)][part == number]
            np.savetxt(folder / f"{name}_1.txt", rows, fmt="%.3f %.3f %.3f %d %d %d")
