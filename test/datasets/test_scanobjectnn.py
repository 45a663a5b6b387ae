"""ScanObjectNN: the release's h5 files of all three variants, written here, and what is wrong with a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from s4token_model.datasets import scanobjectnn, validation
from s4token_model.evaluation import benchmarks

h5py = pytest.importorskip("h5py")
XYZ = np.random.default_rng(0).normal(size=(3, 2048, 3)).astype(np.float32)


def write(path: Path, labels=(14, 0, 4), xyz=XYZ) -> None:
    """Write one file as in the release: data, label, and the mask of background points."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = xyz, np.array(labels, np.int32)
        file["mask"] = np.full(xyz.shape[:2], -1, np.int32)


@pytest.mark.parametrize("below", ["", "h5_files"])
def test_three_variants_of_the_release(tmp_path, below):
    root = tmp_path / below
    write(root / "main_split_nobg" / "test_objectdataset.h5")
    write(root / "main_split" / "test_objectdataset.h5", labels=(1, 1, 1))
    write(root / "main_split" / "test_objectdataset_augmentedrot_scale75.h5", labels=(2, 2, 2))
    write(root / "main_split" / "training_objectdataset.h5", labels=(9, 9, 9))
    assert scanobjectnn.available(tmp_path) == ["obj_only", "obj_bg", "pb_t50_rs"]
    name, first = next(scanobjectnn.load(tmp_path, "obj_only"))
    assert name == "obj_only_0000" and scanobjectnn.NAMES[first.category] == "toilet"
    np.testing.assert_array_equal(first.xyz, XYZ[0][:, [2, 0, 1]])  # y is up in the files, z here
    categories = {v: next(scanobjectnn.load(tmp_path, v))[1].category for v in scanobjectnn.VARIANTS}
    assert categories == {"obj_only": 14, "obj_bg": 1, "pb_t50_rs": 2}
    assert next(scanobjectnn.load(tmp_path, "obj_bg", "train"))[1].category == 9


def test_bad_objects_are_errors_beside_the_good_ones(tmp_path):
    xyz = XYZ.copy()
    xyz[1, 7] = np.nan
    write(tmp_path / "main_split" / "test_objectdataset.h5", (3, 3, 15), xyz)
    found = [item for _, item in scanobjectnn.load(tmp_path, "obj_bg")]
    assert found[0].category == 3
    assert "object 1 of" in str(found[1]) and "NaN" in str(found[1])
    assert "class 15" in str(found[2]) and "test_objectdataset.h5" in str(found[2])


class Knowing:
    """Stands in for a Segmenter: takes every object for a toilet."""

    def make_vocabulary(self, names, templates):
        assert "trash bin" in names
        return SimpleNamespace(text=np.eye(len(names)))

    def encode(self, xyz):
        return SimpleNamespace(cls=np.eye(15)[14])


def test_the_command_scores_every_variant(tmp_path, capsys):
    xyz = np.concatenate([XYZ, XYZ[:1] * np.nan])
    write(tmp_path / "main_split_nobg" / "test_objectdataset.h5", (14, 14, 4, 4), xyz)
    write(tmp_path / "main_split" / "test_objectdataset.h5")
    result = benchmarks.run("scanobjectnn", root=tmp_path, as_json=True, segmenter=Knowing(), out=tmp_path / "out")
    assert json.loads(capsys.readouterr().out) == result and list(result["variants"]) == ["obj_only", "obj_bg"]
    only = result["variants"]["obj_only"]
    assert (only["objects"], only["accuracy"], only["macc"]) == (3, pytest.approx(2 / 3), 0.5)
    assert only["chance"] == pytest.approx(1 / 15) and [s["name"] for s in only["skipped"]] == ["obj_only_0003"]
    assert only["class_accuracy"] == {"chair": 0.0, "toilet": 1.0} and "scanobjectnn version 1" in only["prompt_set"]
    assert (tmp_path / "out" / "obj_bg" / "objects.png").exists()
    benchmarks.run("scanobjectnn", root=tmp_path, variants="obj_bg", segmenter=Knowing())
    assert "OBJ_BG" in capsys.readouterr().out
    with pytest.raises(ValueError, match="pb_t50_rs"):
        benchmarks.run("scanobjectnn", root=tmp_path, variants="pb_t50_rs", segmenter=Knowing())


def test_what_is_wrong_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"main_split_nobg/test_objectdataset\.h5"):
        scanobjectnn.available(tmp_path)
    with pytest.raises(ValueError, match="h5_files"):
        scanobjectnn.find(tmp_path, "obj_bg")
    with pytest.raises(ValueError, match="unknown variant 'obj'"):
        scanobjectnn.find(tmp_path, "obj")
    path = tmp_path / "main_split" / "test_objectdataset.h5"
    write(path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match="missing or damaged"):
        scanobjectnn.load(tmp_path, "obj_bg")
    with h5py.File(path, "w") as file:
        file["points"] = XYZ
    with pytest.raises(ValueError, match="holds no data, label, but points"):
        scanobjectnn.load(tmp_path, "obj_bg")
    write(path, labels=(1, 2))
    with pytest.raises(ValueError, match="K labels"):
        scanobjectnn.load(tmp_path, "obj_bg")
    write(path, labels=(), xyz=XYZ[:0])
    with pytest.raises(ValueError, match="no clouds"):
        scanobjectnn.load(tmp_path, "obj_bg")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="pip install h5py"):
        validation.load_hdf5(path, "data")
