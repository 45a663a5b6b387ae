"""ShapeNetPart: both layouts, damaged files, the metric's convention, and the command on real shapes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from real_data import real

from s4token_model.datasets import shapenetpart
from s4token_model.evaluation import part_segmentation as evaluation
from s4token_model.segmenter import Segmenter


def write(path: Path, labels, rows=None) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.random.default_rng(0).normal(size=(len(labels), 6)) if rows is None else rows
    np.savetxt(path, np.c_[rows, labels], fmt="%.6f")
    return rows


def test_official_layout(tmp_path):
    rows = write(tmp_path / "03001627" / "aa.txt", [12, 13, 15, 14])
    write(tmp_path / "02954340" / "bb.txt", [6, 7])
    lists = tmp_path / "train_test_split"
    lists.mkdir()
    (lists / "shuffled_test_file_list.json").write_text(
        json.dumps(["shape_data/03001627/aa", "shape_data/02954340/bb"])
    )
    chair = shapenetpart.load_shape(shapenetpart.list_shapes(tmp_path, "test")[1])
    assert (chair.category, chair.label.tolist()) == ("chair", [0, 1, 3, 2])
    assert [shapenetpart.parts("chair")[k] for k in chair.label] == ["back", "seat", "arm", "leg"]
    np.testing.assert_allclose(chair.xyz[:, 2], rows[:, 1], atol=1e-5)  # y is up in the files, z here
    assert np.isclose(np.linalg.det(np.linalg.lstsq(rows[:, :3], chair.xyz, rcond=None)[0]), 1, atol=1e-4)
    (lists / "shuffled_val_file_list.json").write_text(json.dumps(["shape_data/03001627/zz"]))
    with pytest.raises(ValueError, match=r"zz\.txt"):
        shapenetpart.list_shapes(tmp_path, "val")


def test_labels_count_through_all_categories():
    firsts = [shapenetpart.first_label(c) for c in shapenetpart.CATEGORIES]
    assert firsts == [0, 4, 6, 8, 12, 16, 19, 22, 24, 28, 30, 36, 38, 41, 44, 47]
    assert sum(len(shapenetpart.parts(c)) for c in shapenetpart.CATEGORIES) == 50


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(ValueError, match="shuffled_test_file_list.json"):
        shapenetpart.list_shapes(tmp_path)
    write(tmp_path / "03001627" / "far.txt", [12, 40])
    write(tmp_path / "test" / "none.txt", [77])
    write(tmp_path / "test" / "nan.txt", [6], np.full((1, 6), np.nan))
    (tmp_path / "test" / "cut.txt").write_text("0.1 0.2 0.3\n0.1 0.")
    for file, reason in (("03001627/far", "40"), ("test/none", "77"), ("test/nan", "finite"), ("test/cut", "damaged")):
        with pytest.raises(ValueError, match=reason):
            shapenetpart.load_shape(tmp_path / f"{file}.txt")


class Knowing:
    """Stands in for a Segmenter: labels every point with the first word."""

    def make_vocabulary(self, words, templates):
        return words

    def encode(self, xyz):
        return np.zeros(len(xyz), np.uint32)

    def label(self, encoding, vocabulary):
        return SimpleNamespace(labels=encoding)


def test_averages_of_both_lists_and_a_skipped_shape(tmp_path, capsys):
    for name, labels in (
        ("a", [36, 36, 37, 37]),
        ("b", [41, 41, 41, 41]),
        ("c", [36, 37, 37, 37]),
    ):  # mugs and a rocket
        write(tmp_path / "test" / f"{name}.txt", labels)
    (tmp_path / "test" / "d.txt").write_text("1 2 nan 4 5 6 36")
    result = evaluation.run(tmp_path, segmenter=Knowing())
    mug, rocket = (0.5 + 0 + 0.25 + 0) / 4, 1.0  # of the rocket's parts two are neither there nor found
    assert result["miou_c"] == pytest.approx((mug + rocket) / 2) and result["miou_pointclipv2"] == pytest.approx(mug)
    assert result["miou_i"] == pytest.approx((2 * mug + rocket) / 3) and result["averaged_over"]["pointclipv2"] == 1
    assert result["accuracy"] == pytest.approx(7 / 12) and [s["name"][-5:] for s in result["skipped"]] == ["d.txt"]
    assert "mIoU over 1 of PointCLIPv2's 10" in capsys.readouterr().out


def test_the_command_on_real_caps(tiny_model, capsys, tmp_path):
    root = real("shapenetpart_cap")
    result = evaluation.run(root, "val", as_json=True, segmenter=Segmenter.load(str(tiny_model)), out=tmp_path)
    assert json.loads(capsys.readouterr().out) == result
    assert len(list(tmp_path.glob("cap_*.png"))) == 2 and (tmp_path / "confusion.png").exists()
    assert result["shapes"] == 5 and list(result["categories"]) == ["cap"]
    assert 0 <= result["miou_i"] <= 1 and result["miou_i"] == pytest.approx(result["miou_c"])
    assert 0.2 < result["whole_miou_i"] < 0.6
