"""Checks of data sets' files: what is wrong is named, with the file and the fix; what is right passes unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s4token_model.constants import UNLABELED
from s4token_model.datasets import validation

PATH = Path("somewhere/file.npy")


def test_clouds():
    xyz = np.arange(6.0).reshape(2, 3)
    assert validation.cloud(PATH, xyz).dtype == np.float32
    np.testing.assert_array_equal(validation.cloud(PATH, xyz), xyz)
    for bad, reason in ((np.full((2, 3), np.nan), "2 of 2 points"), (xyz[:0], r"\(0, 3\)"), (xyz[:, :2], r"\(2, 2\)")):
        with pytest.raises(ValueError, match=f"file.npy.*{reason}"):
            validation.cloud(PATH, bad)


def test_labels():
    assert validation.labels(PATH, np.array([[0], [-1], [2]], np.int8), 3, 3, ignored=-1).tolist() == [0, UNLABELED, 2]
    assert validation.labels(PATH, np.array([1.0, 2.0]), 2, 3).tolist() == [1, 2]
    for bad in ([0, 3], [0, -1], [0, np.nan]):
        with pytest.raises(ValueError, match="file.npy.*not among 0 to 2"):
            validation.labels(PATH, np.array(bad), 2, 3)
    with pytest.raises(ValueError, match="5 points but 1 labels"):
        validation.labels(PATH, np.zeros(1), 5, 3)


def test_files(tmp_path):
    np.save(tmp_path / "words.npy", np.array(["a"]))
    whole = tmp_path / "whole.npy"
    np.save(whole, np.zeros((9, 3)))
    (tmp_path / "cut.npy").write_bytes(whole.read_bytes()[:-9])
    for name, reason in (("none", "missing"), ("words", "no single array"), ("cut", "damaged")):
        with pytest.raises(ValueError, match=rf"{name}\.npy.*{reason}"):
            validation.load_array(tmp_path / f"{name}.npy")
    (tmp_path / "rows.txt").write_text("1 2 3\n4 5")
    with pytest.raises(ValueError, match=r"rows\.txt is damaged"):
        validation.load_table(tmp_path / "rows.txt", 3)
    (tmp_path / "rows.txt").write_text("1 2\n4 5")
    with pytest.raises(ValueError, match="lines of 3 numbers"):
        validation.load_table(tmp_path / "rows.txt", 3)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json cannot be read"):
        validation.load_json(tmp_path / "a.json")
