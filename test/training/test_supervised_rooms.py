"""Supervised semantic segmentation: rooms become blocks; both heads learn, in colors and in bf16, on all but Area 5."""

from __future__ import annotations

import json

import box_room
import numpy as np
import pytest

from s4token_model.datasets import s3dis
from s4token_model.training import supervised_rooms, train
from s4token_model.training.token_samples import find_samples, load_sample

CONFIG = (
    "task: semantic\nsteps: 30\nbatch: 4\ntokens: 16\npoints: 128\nrate: 3.0e-3\nprecision: fp32\nblock: 2\n"
    "tokenizer.width: 16\npatches.points: 16\nsampling.tokens: 24\ntokenizer.context: false\n"
    "superpoints.regularization: 0.05\n"
)
CLASSES = np.array([s3dis.NAMES.index(name) for name in ("floor", "wall", "ceiling", "table")])


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Three rooms in PointNet's layout, one of Area 5, each part in a color of its own."""
    folder = tmp_path_factory.mktemp("s3dis")
    xyz, part = box_room.room(0.1)
    for number, name in enumerate(("Area_1_office_1", "Area_6_hallway_2", "Area_5_office_1")):
        np.save(
            folder / f"{name}.npy", np.c_[xyz * (1 + 0.1 * number), 60.0 * part[:, None] + [[0, 10, 20]], CLASSES[part]]
        )
    return folder


def run(release, tmp_path, tiny_model, name: str, *more: str):
    """The results of a training, in front of the CLIP of the tiny model."""
    (path := tmp_path / f"{name}.yaml").write_text(CONFIG + f"clip.name: {tiny_model / 'clip'}\nclip.pretrained: ''\n")
    assert train.main([str(path), f"data={release}", f"run={tmp_path / name}", *more]) == 0
    return json.loads((tmp_path / name / "results.json").read_text())


def test_both_heads_learn_the_parts_of_a_room(release, tmp_path, tiny_model):
    found = run(release, tmp_path, tiny_model, "one")
    samples = [load_sample(path) for path in find_samples(tmp_path / "one" / "samples" / "test")]
    assert found["test_blocks"] == len(samples) == 6 and found["points"] == sum(len(s.point) for s in samples)
    assert {path.name[:6] for path in find_samples(tmp_path / "one" / "samples" / "train")} == {"Area_1", "Area_6"}
    assert found["miou"] > 0.4 and found["accuracy"] > 0.7  # one class for all has an accuracy of .4
    assert found["iou"]["table"] is not None and found["iou"]["sofa"] is None
    more = ("head=point-bert", "tokenizer.features=rgb", "rotate=true", "axis_scale=0.1", "jitter=0.02", "dropout=0.1")
    colored = run(release, tmp_path, tiny_model, "two", *more, "precision=bf16")
    assert colored["miou"] > 0.4 and colored["accuracy"] > 0.7
    assert load_sample(find_samples(tmp_path / "two" / "samples" / "test")[0]).patch.shape[2] == 6


def test_blocks_hold_every_point_of_a_room_once_or_overlap_by_half():
    xyz = np.random.default_rng(0).uniform(0, 3, (5000, 3))
    once = np.concatenate(list(supervised_rooms.blocks(xyz, 1.0, 1.0)))
    np.testing.assert_array_equal(np.sort(once), np.arange(5000))
    overlapping = np.concatenate(list(supervised_rooms.blocks(xyz, 1.0, 0.5)))
    middle = np.flatnonzero((abs(xyz[:, :2] - 1.5) < 1).all(axis=1))
    assert (np.bincount(overlapping, minlength=5000)[middle] == 4).all() and set(overlapping) == set(range(5000))
    lonely = np.concatenate([xyz, [[10.5, 0.5, 1]]])
    assert 5000 not in np.concatenate(list(supervised_rooms.blocks(lonely, 1.0, 1.0)))


def test_a_release_without_the_tested_area_is_an_error(release, tmp_path, tiny_model):
    (other := tmp_path / "other").mkdir()
    (other / "Area_1_office_1.npy").symlink_to(release / "Area_1_office_1.npy")
    with pytest.raises(ValueError, match="no rooms of S3DIS Area_5"):
        run(other, tmp_path, tiny_model, "none")
