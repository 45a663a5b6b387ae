"""Splits of data sets by path: the conventions, the lists of ScanNet and ShapeNet55, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from s4token_model.datasets import splits

BY_PATH = {
    "s3dis/Area_5/office_1.ply": "test",
    "s3dis/Area_5_office_1.npy": "test",
    "s3dis/Area_1/office_1.ply": "train",
    "kitti/sequences/08/velodyne/000000.bin": "val",
    "kitti/sequences/00/velodyne/000000.bin": "train",
    "kitti/sequences/21/velodyne/000000.bin": "test",
    "ModelNet40/chair/train/chair_0001.off": "train",
    "ModelNet40/chair/test/chair_0900.off": "test",
    "pointcept/val/scene0011_00/coord.npy": "val",
    "pointcept/train/scene0000_00/coord.npy": "train",
    "scans/scene0011_00/scene0011_00_vh_clean_2.ply": "unknown",
    "shapenet_pc/02691156-a.npy": "unknown",
    "my_robot/train/cloud.ply": "none",
    "my_robot/walk.mcap": "none",
}


def write_lists(folder: Path) -> None:
    """Write ScanNet's lists: room 0 is trained on, room 11 is val."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scannetv2_train.txt").write_text("scene0000_00\nscene0000_01\n")
    (folder / "scannetv2_val.txt").write_text("scene0011_00\n")


@pytest.mark.parametrize("path", BY_PATH)
def test_paths_say_their_split(tmp_path, path):
    assert splits.split_of(tmp_path / path) == BY_PATH[path]


def test_lists_of_scannet_are_found_above_a_room_and_in_meta(tmp_path):
    rooms = [tmp_path / "frames" / f"scene{name}" for name in ("0000_01", "0011_00", "0800_00")]
    with pytest.raises(ValueError, match=r"scene0000_01 of the split train\? Looked for scannetv2_train.*--split all"):
        splits.of_split(rooms)
    assert [split for _, split in splits.of_split(rooms, "all")] == ["unknown"] * 3
    write_lists(tmp_path / "meta")
    assert splits.of_split(rooms) == [(rooms[0], "train")]
    assert splits.of_split(rooms, "val") == [(rooms[1], "val")]
    assert [split for _, split in splits.of_split(rooms, "all")] == ["train", "val", "test"]
    (tmp_path / "meta" / "scannetv2_val.txt").unlink()  # one list alone does not tell val from test
    with pytest.raises(ValueError, match="Looked for"):
        splits.of_split(rooms, "val")


def test_a_link_to_a_room_of_val_is_of_val(tmp_path):
    write_lists(tmp_path / "scannet")
    (tmp_path / "scannet" / "scene0011_00").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "scannet" / "scene0011_00")
    assert splits.split_of(tmp_path / "mine") == "val"


def test_shapes_outside_of_the_list_of_train_are_left_out(tmp_path):
    shapes = [tmp_path / "shapenet_pc" / f"02691156-{k}.npy" for k in "ab"]
    with pytest.raises(ValueError, match="Looked for train.txt in .*ShapeNet-55"):
        splits.of_split(shapes)
    (tmp_path / "ShapeNet-55").mkdir()
    (tmp_path / "ShapeNet-55" / "train.txt").write_text("02691156-b.npy\n")
    assert splits.of_split(shapes) == [(shapes[1], "train")]


def test_own_data_is_trained_on_and_an_empty_split_is_an_error(tmp_path):
    own = [tmp_path / "a.ply", tmp_path / "Area_5" / "b.ply"]
    assert splits.of_split(own) == [(own[0], "none")]
    with pytest.raises(ValueError, match="none of 2 inputs is of the split val: there are 1 of none, 1 of test"):
        splits.of_split(own, "val")
