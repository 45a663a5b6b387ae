"""ScanNet rooms: three layouts, written here as the releases have them, and the real files where they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from real_data import real

from s4token_model.constants import SCANNET20
from s4token_model.datasets import scannet

RNG = np.random.default_rng(0)
XYZ = RNG.random((9, 3)).astype(np.float32)
RGB = RNG.integers(0, 256, (9, 3)).astype(np.uint8)
NYU40 = np.array([1, 2, 39, 36, 13, 0, 40, 5, 22], np.uint16)
WANTED = [0, 1, 19, 18, 65535, 65535, 65535, 4, 65535]


def write_ply(path: Path, labels: np.ndarray | None) -> None:
    """Write the release's binary PLY: vertices with color and alpha, `label` in the labels file, and triangles."""
    kinds = [(a, "<f4") for a in "xyz"] + [(c, "u1") for c in ("red", "green", "blue", "alpha")]
    kinds += [("label", "<u2")] if labels is not None else []
    vertices = np.zeros(len(XYZ), kinds)
    for i, (a, c) in enumerate(zip("xyz", ("red", "green", "blue"), strict=True)):
        vertices[a], vertices[c] = XYZ[:, i], RGB[:, i]
    vertices["alpha"] = 255
    if labels is not None:
        vertices["label"] = labels
    words = {"<f4": "float", "u1": "uchar", "<u2": "ushort"}
    faces = np.zeros(3, [("n", "u1"), ("v", "<i4", 3)])
    faces["n"], faces["v"] = 3, [[0, 1, 2], [2, 3, 4], [5, 6, 7]]
    header = ["ply", "format binary_little_endian 1.0", "comment MLIB generated", f"element vertex {len(XYZ)}"]
    header += [f"property {words[kind]} {name}" for name, kind in kinds]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join(header).encode() + vertices.tobytes() + faces.tobytes())


def write_official(root: Path, name: str) -> None:
    write_ply(root / "scans" / name / f"{name}_vh_clean_2.ply", None)
    write_ply(root / "scans" / name / f"{name}_vh_clean_2.labels.ply", NYU40)


def write_votenet(root: Path, name: str) -> None:
    np.save(root / f"{name}_vert.npy", np.c_[XYZ, RGB].astype(np.float32))
    np.save(root / f"{name}_sem_label.npy", NYU40.astype(np.uint32))


def write_pointcept(root: Path, name: str, split: str = "val") -> None:
    folder = root / split / name
    folder.mkdir(parents=True)
    segment = np.where(np.array(WANTED) == 65535, -1, WANTED)
    for file, array in (("coord", XYZ), ("color", RGB), ("segment20", segment.astype(np.int16))):
        np.save(folder / f"{file}.npy", array)


@pytest.mark.parametrize("write", [write_official, write_votenet, write_pointcept])
def test_layouts_give_the_same_room(tmp_path, write):
    write(tmp_path, "scene0011_00")
    assert scannet.list_rooms(tmp_path) == ["scene0011_00"]
    room = scannet.load_room(tmp_path, "scene0011_00")
    np.testing.assert_array_equal(room.xyz, XYZ)
    np.testing.assert_allclose(room.rgb, RGB / 255.0, atol=1e-6)
    assert room.label.tolist() == WANTED and room.label.dtype == np.uint32
    kept = NYU40 if write is not write_pointcept else np.where(np.array(WANTED) == 65535, 0, NYU40)
    assert room.nyu40.tolist() == kept.tolist() and room.superpoint is None


def test_provided_superpoints(tmp_path):
    write_official(tmp_path, "scene0001_00")
    path = tmp_path / "scans/scene0001_00/scene0001_00_vh_clean_2.0.010000.segs.json"
    ids = [7, 7, 900, 900, 7, 12, 12, 12, 12]
    path.write_text(json.dumps({"params": {"kThresh": "0.0001"}, "sceneId": "scene0001_00", "segIndices": ids}))
    assert scannet.load_room(tmp_path, "scene0001_00").superpoint.tolist() == [0, 0, 2, 2, 0, 1, 1, 1, 1]
    for content, reason in (({"segIndices": ids[:3]}, "9 points but 3"), ({}, "no segIndices")):
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=rf"segs\.json.*{reason}"):
            scannet.load_room(tmp_path, "scene0001_00")


def test_official_splits(tmp_path):
    for name in ("scene0001_00", "scene0002_00"):
        write_votenet(tmp_path, name)
    with pytest.raises(ValueError, match=r"scannetv2_val\.txt"):
        scannet.list_rooms(tmp_path, split="val")
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "scannetv2_val.txt").write_text("scene0002_00\nscene0009_00\n")
    (tmp_path / "meta" / "scannetv2_train.txt").write_text("scene0009_01\n")
    assert scannet.list_rooms(tmp_path, split="val") == ["scene0002_00"]
    with pytest.raises(ValueError, match="none of the 2 rooms"):
        scannet.list_rooms(tmp_path, split="train")
    other = tmp_path / "pointcept"
    write_pointcept(other, "scene0003_00")
    write_pointcept(other, "scene0004_00", "train")
    assert scannet.list_rooms(other, split="val") == ["scene0003_00"] and len(scannet.list_rooms(other)) == 2
    np.save(other / "val" / "scene0003_00" / "segment20.npy", np.full(9, 20))
    with pytest.raises(ValueError, match=r"segment20\.npy: class 20"):
        scannet.load_room(other, "scene0003_00")


def test_rooms_are_chosen_by_number_or_name(tmp_path):
    for name in ("scene0003_00", "scene0003_01", "scene0030_00"):
        write_votenet(tmp_path, name)
    assert scannet.list_rooms(tmp_path, ["0003"]) == ["scene0003_00", "scene0003_01"]
    assert scannet.list_rooms(tmp_path, ["0003_01", "scene0030"]) == ["scene0003_01", "scene0030_00"]
    with pytest.raises(ValueError, match="'0004' is not in .*scene0003_00"):
        scannet.list_rooms(tmp_path, ["0003", "0004"])


def test_wrong_roots_and_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"scene\*_vert.npy.*_vh_clean_2.ply"):
        scannet.list_rooms(tmp_path)
    write_official(tmp_path, "scene0001_00")
    (tmp_path / "scans/scene0001_00/scene0001_00_vh_clean_2.ply").unlink()
    with pytest.raises(ValueError, match="scene0001_00_vh_clean_2.ply is missing"):
        scannet.load_room(tmp_path, "scene0001_00")
    write_votenet(tmp_path, "scene0002_00")
    np.save(tmp_path / "scene0002_00_sem_label.npy", NYU40[:5])
    with pytest.raises(ValueError, match="9 points but 5 labels"):
        scannet.load_room(tmp_path, "scene0002_00")
    write_ply(tmp_path / "scans/scene0001_00/scene0001_00_vh_clean_2.ply", None)
    write_ply(tmp_path / "scans/scene0001_00/scene0001_00_vh_clean_2.labels.ply", None)
    with pytest.raises(ValueError, match="no property `label`"):
        scannet.load_room(tmp_path, "scene0001_00")


def test_label_map_is_the_benchmark_s():
    assert scannet.scannet20(np.array([24, 28, 33, 34, 16, 14, 12, -1, 5000])).tolist() == [
        *(
            SCANNET20.index(n)
            for n in ("refrigerator", "shower curtain", "toilet", "sink", "curtain", "desk", "counter")
        ),
        65535,
        65535,
    ]


def test_label_map_agrees_with_the_release_s_table():
    """The release's tsv names the NYU40 class of each id."""
    lines = real("scannet_votenet", "meta", "scannetv2-labels.combined.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    where, what = header.index("nyu40id"), header.index("nyu40class")
    names = {int(row[where]): row[what] for row in (line.split("\t") for line in lines[1:]) if row[where]}
    for nyu40, label in zip(range(1, 41), scannet.scannet20(np.arange(1, 41)), strict=True):
        if label != 65535:
            spelt = {"other furniture": "otherfurniture", "refrigerator": "refridgerator"}
            wanted = spelt.get(SCANNET20[label], SCANNET20[label])
            assert names[nyu40] == wanted


def test_real_rooms():
    root = real("scannet_votenet")
    names = scannet.list_rooms(root)
    assert len(names) == 11
    room = scannet.load_room(root, names[0])
    assert room.xyz.shape == (50000, 3) and room.rgb.max() <= 1
    assert 0.5 < (room.label != 65535).mean() < 1
