"""S3DIS rooms: the official, Pointcept's and PointNet's layouts of the same room, damage, and the real crop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from box_room import room
from real_data import real

from s4token_model.constants import UNLABELED
from s4token_model.datasets import s3dis
from s4token_model.evaluation import benchmarks
from s4token_model.segmenter import Segmenter

RNG = np.random.default_rng(0)
XYZ = RNG.random((6, 3)).round(3) - 20.0
RGB = RNG.integers(0, 256, (6, 3))
CLASS = np.array([8, 8, 1, 12, 12, 7])  # stairs_1 (clutter) holds points 3 and 4
FILES = {"chair_1": [0, 1], "floor_1": [2], "stairs_1": [3, 4], "table_12": [5]}


def write_official(root: Path) -> None:
    folder = root / "Area_5" / "office_1" / "Annotations"
    folder.mkdir(parents=True)
    for name, rows in FILES.items():
        np.savetxt(folder / f"{name}.txt", np.c_[XYZ, RGB][rows], fmt="%.3f %.3f %.3f %d %d %d")


def write_pointcept(root: Path) -> None:
    folder = root / "Area_5" / "office_1"
    folder.mkdir(parents=True)
    for name, array in (
        ("coord", XYZ.astype(np.float32)), ("color", RGB.astype(np.uint8)),
        ("segment", CLASS[:, None].astype(np.int16)), ("instance", np.array([0, 0, 1, 2, 2, 3], np.int16)[:, None]),
    ):  # fmt: skip
        np.save(folder / f"{name}.npy", array)


def write_pointnet(root: Path) -> None:
    np.save(root / "Area_5_office_1.npy", np.c_[XYZ, RGB, CLASS])


@pytest.mark.parametrize("write", [write_official, write_pointcept, write_pointnet])
def test_layouts_give_the_same_room(tmp_path, write):
    write(tmp_path)
    assert s3dis.list_rooms(tmp_path) == ["Area_5/office_1"]
    room = s3dis.load_room(tmp_path, "Area_5/office_1")
    np.testing.assert_allclose(room.xyz, XYZ - XYZ.min(axis=0), atol=1e-5)
    np.testing.assert_allclose(room.rgb, RGB / 255, atol=1e-6)
    assert room.label.tolist() == CLASS.tolist() and room.xyz.dtype == np.float32
    if write is not write_pointnet:
        assert room.instance.tolist() == [0, 0, 1, 2, 2, 3]


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"Annotations/\*\.txt.*coord\.npy.*Area_5_\*\.npy"):
        s3dis.list_rooms(tmp_path)
    with pytest.raises(ValueError, match="unknown area"):
        s3dis.list_rooms(tmp_path, "Area_7")
    write_official(tmp_path)
    bad = tmp_path / "Area_5" / "office_1" / "Annotations" / "floor_1.txt"
    bad.write_text("1 2 3 10 20\x10 30\n")  # as in a file of the release
    with pytest.raises(ValueError, match=r"floor_1\.txt is damaged.*correct that line"):
        s3dis.load_room(tmp_path, "Area_5/office_1")
    bad.write_text("1 2 nan 10 20 30\n")
    with pytest.raises(ValueError, match=r"floor_1\.txt.*NaN"):
        s3dis.load_room(tmp_path, "Area_5/office_1")
    write_pointnet(tmp_path)
    np.save(tmp_path / "Area_5_hall_1.npy", np.c_[XYZ, RGB, CLASS + 5])
    with pytest.raises(ValueError, match=r"hall_1\.npy: class 13"):
        s3dis.load_room(tmp_path, "Area_5/hall_1")


def test_pointcept_ignores_and_disagreements(tmp_path):
    write_pointcept(tmp_path)
    folder = tmp_path / "Area_5" / "office_1"
    np.save(folder / "segment.npy", np.array([-1, 0, 1, 2, 3, 4]))
    assert s3dis.load_room(tmp_path, "Area_5/office_1").label.tolist() == [UNLABELED, 0, 1, 2, 3, 4]
    np.save(folder / "color.npy", RGB[:4])
    with pytest.raises(ValueError, match="different versions"):
        s3dis.load_room(tmp_path, "Area_5/office_1")


def write_crop(path: Path) -> None:
    """Write the layout of Superpoint Transformer's demo: votes (9 is its bookcase, 13 void), sparse by rows."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["level_0/pos"], file["level_0/rgb"] = np.eye(3, dtype=np.float32), np.zeros((3, 3), np.uint8)
        for name, values in (("pointers", [0, 2, 3, 3]), ("columns", [7, 9, 13]), ("values", [1, 4, 2])):
            file[f"level_0/_csr_/y/{name}"] = np.array(values)


def test_votes_of_a_crop(tmp_path):
    write_crop(tmp_path / "crop.h5")
    assert s3dis.list_rooms(tmp_path) == ["crop"]
    room = s3dis.load_room(tmp_path, "crop")
    assert room.label.tolist() == [s3dis.NAMES.index("bookcase"), UNLABELED, UNLABELED]
    assert room.instance.tolist() == [-1] * 3 and np.array_equal(room.xyz, np.eye(3))
    assert set(s3dis.SPT_NAMES) == set(s3dis.NAMES)


def test_the_command(tmp_path, tiny_model, capsys):
    xyz, part = room(0.1)
    np.save(tmp_path / "Area_5_hall_1.npy", np.c_[xyz, 255 * np.ones_like(xyz), np.array([1, 2, 8, 0])[part]])
    np.save(tmp_path / "Area_5_hall_2.npy", np.c_[XYZ, RGB, CLASS + 5])
    result = benchmarks.run(
        "s3dis", root=tmp_path, as_json=True, segmenter=Segmenter.load(tiny_model), out=tmp_path / "out"
    )
    assert json.loads(capsys.readouterr().out) == result
    assert result["methods"]["rules"]["iou"]["floor"] > 0.8 and set(result["methods"]) == {
        "model", "rules", "chance", "oracle",
    }  # fmt: skip
    assert result["prompts"][s3dis.NAMES.index("board")] == "whiteboard" and len(result["prompts_sha256"]) == 64
    assert [s["name"] for s in result["skipped"]] == ["Area_5/hall_2"] and "class 13" in result["skipped"][0]["reason"]
    assert (tmp_path / "out" / "Area_5_hall_1.png").exists() and (tmp_path / "out" / "confusion.png").exists()


def test_the_real_crop():
    pytest.importorskip("h5py")
    root = real("spt_demo")
    room = s3dis.load_room(root, s3dis.list_rooms(root)[0])
    assert room.xyz.shape == (41568, 3) and 0.9 < (room.label != UNLABELED).mean() <= 1
    height = {
        name: room.xyz[room.label == k, 2].mean() for k, name in enumerate(s3dis.NAMES) if (room.label == k).any()
    }
    assert height["floor"] < 0.1 and 0.3 < height["chair"] < height["table"] < 1
