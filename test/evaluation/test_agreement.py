"""Agreement without ground truth: its figures by hand, and over clouds whose labels are known to move or to stay."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from s4token_model import cli, constants
from s4token_model.evaluation import agreement, benchmarks
from s4token_model.io import files


class ByHeight:
    """Labels a point by its height; `noise` of the labels are drawn anew for every cloud."""

    def __init__(self, noise: float = 0.0):
        self.noise, self.rng = noise, np.random.default_rng(0)
        self.vocabulary = self.make_vocabulary(["low", "high"])

    def make_vocabulary(self, names):
        return SimpleNamespace(names=tuple(names))

    def encode(self, xyz):
        return xyz

    def label(self, xyz, words):
        labels = (xyz[:, 2] > 0.5).astype(np.uint32)
        drawn = self.rng.random(len(xyz)) < self.noise
        labels[drawn] = self.rng.integers(0, len(words.names), drawn.sum())
        labels[xyz[:, 2] > 0.95] = constants.UNLABELED
        return SimpleNamespace(labels=labels)


def clouds(folder, count: int = 3):
    for k in range(count):
        xyz = np.random.default_rng(k).random((3000, 3)).astype(np.float32)
        files.write_cloud(folder / f"{k}.ply", files.Cloud.from_fields(dict(zip("xyz", xyz.T, strict=True))))
    return folder


def test_labels_that_do_not_depend_on_the_view_agree(tmp_path):
    result = benchmarks.run("agreement", root=clouds(tmp_path), segmenter=ByHeight(), as_json=True)
    assert result["agreement"] == 1 and result["kappa"] == 1 and result["clouds"] == 3
    assert 0.5 < result["chance"] < 0.52
    assert result["points"] == pytest.approx(3 * 3000 * 0.95 * 0.64, rel=0.05), "points that both views hold and label"


def test_random_labels_agree_by_chance(tmp_path):
    result = benchmarks.run("agreement", root=clouds(tmp_path), segmenter=ByHeight(noise=1.0), as_json=True)
    assert abs(result["agreement"] - 0.5) < 0.03 and abs(result["kappa"]) < 0.06


def test_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 4, 500), rng.integers(0, 4, 500)
    second[:300] = first[:300]
    counts = np.zeros((4, 4), np.int64)
    np.add.at(counts, (first, second), 1)
    found = agreement.agreement_figures(counts)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    assert found["agreement"] == pytest.approx((first == second).mean(), abs=1e-12)


def test_nothing_to_measure_is_said(tmp_path):
    with pytest.raises(ValueError, match="holds no cloud"):
        benchmarks.run("agreement", root=tmp_path, segmenter=ByHeight())
    with pytest.raises(ValueError, match="no point was labeled"):
        agreement.agreement_figures(np.zeros((2, 2), np.int64))
    with pytest.raises(ValueError, match="--pictures"):
        benchmarks.run("agreement", root=tmp_path, segmenter=ByHeight(), out="x")


def test_bin_columns_are_those_of_the_bin_files_of_a_folder(tmp_path, tiny_model, capsys):
    values = np.random.default_rng(0).random((2000, 6)).astype("<f4")
    values.tofile(clouds(tmp_path, 1) / "six.bin")
    read = list(agreement.clouds_of(tmp_path, bin_columns=6))
    assert len(read) == 2 and np.array_equal(read[1], values[:, :3])
    with pytest.raises(ValueError, match="--bin-columns 6; give it for .bin files only"):
        list(agreement.clouds_of(tmp_path / "0.ply", bin_columns=6))
    words = ["agreement", "--root", str(tmp_path / "six.bin"), "--model", str(tiny_model), "--json"]
    assert cli.main(["evaluate", *words, "--bin-columns", "6"]) == 0 and '"clouds": 1,' in capsys.readouterr().out
