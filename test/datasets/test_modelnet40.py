"""ModelNet40: both layouts, wrong files, and zero-shot classification by a labeller that knows the truth."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from real_data import real

from s4token_model.datasets import modelnet40
from s4token_model.evaluation import benchmarks


class Knowing:
    """Stands in for a Segmenter: its global feature is the category that `answers` says, cloud after cloud."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def make_vocabulary(self, names, templates):
        return SimpleNamespace(names=names, text=np.eye(len(names)))

    def encode(self, xyz):
        assert xyz.shape[1] == 3 and np.isfinite(xyz).all()
        return SimpleNamespace(cls=np.eye(len(modelnet40.NAMES))[next(self.answers)])


def write(root, names):
    for name in names:
        folder = root / name.rsplit("_", 1)[0]
        folder.mkdir(exist_ok=True)
        np.savetxt(folder / f"{name}.txt", np.arange(12.0).reshape(2, 6), fmt="%.4f", delimiter=",")
    (root / "modelnet40_test.txt").write_text("\n".join(names))


def test_resampled_layout_and_scores(tmp_path, capsys):
    write(tmp_path, ["night_stand_0201", "chair_0890", "chair_0891", "bed_0516"])
    files = modelnet40.list_objects(tmp_path)
    things = [modelnet40.load_object(f) for f in files]
    assert [modelnet40.NAMES[t.category] for t in things] == ["bed", "chair", "chair", "night_stand"]
    np.testing.assert_allclose(things[0].xyz, [[2, 0, 1], [8, 6, 7]])  # y is up in the files, z here
    right = [t.category for t in things]
    result = benchmarks.run(
        "modelnet", root=tmp_path, segmenter=Knowing(right[:2] + [0] + right[3:]), as_json=True, out=tmp_path
    )
    assert json.loads(capsys.readouterr().out) == result
    assert result["accuracy"] == 0.75 and result["macc"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert result["class_accuracy"] == {"bed": 1.0, "chair": 0.5, "night_stand": 1.0}
    assert (tmp_path / "confusion.png").stat().st_size > 1000 and (tmp_path / "objects.png").stat().st_size > 1000
    assert len(result["prompts_sha256"]) == 64 and result["chance"] == 1 / 40
    (tmp_path / "bed" / "bed_0516.txt").write_text("1,nan,3\n")
    result = benchmarks.run("modelnet", root=tmp_path, segmenter=Knowing(right[1:]))
    assert result["objects"] == 3 and "bed_0516.txt" in result["skipped"][0]["reason"]
    assert "left out, not in these figures: 1" in capsys.readouterr().out
    (tmp_path / "modelnet40_test.txt").write_text("bed_0516")
    with pytest.raises(ValueError, match="none of the objects could be read"):
        benchmarks.run("modelnet", root=tmp_path, segmenter=Knowing([]))


def write_hdf5(root, labels, xyz):
    h5py = pytest.importorskip("h5py")
    (root / "test_files.txt").write_text("data/modelnet40_ply_hdf5_2048/ply_data_test0.h5\n")
    (root / "shape_names.txt").write_text("\n".join(modelnet40.NAMES))
    with h5py.File(root / "ply_data_test0.h5", "w") as file:
        file["data"], file["label"] = xyz.astype(np.float32), np.array(labels, np.uint8)[:, None]


def test_hdf5_layout(tmp_path):
    xyz = np.random.default_rng(0).normal(size=(3, 20, 3))
    xyz[2, 0] = np.nan
    write_hdf5(tmp_path, [8, 40, 8], xyz)
    files = modelnet40.list_objects(tmp_path)
    chair = modelnet40.load_object(files[0])
    assert len(files) == 3 and modelnet40.NAMES[chair.category] == "chair"
    np.testing.assert_allclose(chair.xyz, xyz[0][:, [2, 0, 1]], atol=1e-6)
    for file, reason in zip(files[1:], ("class 40", "NaN"), strict=True):
        with pytest.raises(ValueError, match=rf"ply_data_test0\.h5.*{reason}"):
            modelnet40.load_object(file)
    (tmp_path / "shape_names.txt").write_text("chair\nbed")
    with pytest.raises(ValueError, match=r"shape_names\.txt is not ModelNet40"):
        modelnet40.list_objects(tmp_path)
    (tmp_path / "ply_data_test0.h5").unlink()
    with pytest.raises(ValueError, match=r"names 1 files that are not there, e\.g\. .*ply_data_test0\.h5"):
        modelnet40.list_objects(tmp_path)


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"modelnet40_test\.txt"):
        modelnet40.list_objects(tmp_path)
    with pytest.raises(ValueError, match="unknown split"):
        modelnet40.list_objects(tmp_path, "val")
    write(tmp_path, ["chair_0001", "dragon_0001"])
    (tmp_path / "chair" / "chair_0001.txt").write_text("1,2\n3")
    with pytest.raises(ValueError, match=r"chair_0001\.txt"):
        modelnet40.load_object(tmp_path / "chair" / "chair_0001.txt")
    with pytest.raises(ValueError, match="dragon"):
        modelnet40.load_object(tmp_path / "dragon" / "dragon_0001.txt")
    (tmp_path / "modelnet40_test.txt").write_text("sofa_0001")
    with pytest.raises(ValueError, match="sofa_0001"):
        modelnet40.list_objects(tmp_path)


def test_real_meshes():
    files = modelnet40.list_objects(real("modelnet"))
    chair = modelnet40.load_object(next(f for f in files if "chair" in f.name), 500)
    assert len(files) >= 15 and chair.xyz.shape == (500, 3) and modelnet40.NAMES[chair.category] == "chair"
