"""Evaluation end to end: a labeller that knows the truth, a real pipeline, and the figures and pictures they give."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import superpoint_oracle
from box_room import room, write_semantickitti, write_votenet
from PIL import Image
from real_data import real

from s4token_model import cli
from s4token_model.config import SuperpointConfig
from s4token_model.datasets import semantickitti as kitti
from s4token_model.evaluation import benchmarks, procedural_rooms, tables
from s4token_model.evaluation.segmentation import LabeledCloud, evaluate
from s4token_model.io import files
from s4token_model.segmenter import Segmenter

NAMES = ("floor", "wall", "bed", "cabinet", "sofa")  # the parts of `room`, its ceiling now a bed; nothing is a sofa


class Knowing:
    """Stands in for a Segmenter: labels every cloud with `labels`, one superpoint per 5 x 5 columns of the plan."""

    def __init__(self, labels: np.ndarray):
        self.labels = labels

    def make_vocabulary(self, names, templates=None):
        return SimpleNamespace(names=tuple(names), templates=templates or ("{}",))

    def encode(self, xyz, rgb=None):
        return xyz

    def label(self, encoding, vocabulary):
        cells = np.floor(encoding[:, :2]).astype(int)
        _, ids = np.unique(cells, axis=0, return_inverse=True)
        return SimpleNamespace(
            labels=self.labels,
            superpoints=ids.reshape(-1),
            superpoint_count=ids.max() + 1,
            tokens=5,
            stages_ms={"encoder": 1.0},
        )


@pytest.fixture
def cloud() -> LabeledCloud:
    xyz, part = room(0.1)
    return LabeledCloud("a/room", xyz.astype(np.float32), None, part.astype(np.uint32))


def test_truth_scores_one_and_the_oracle_bounds_it(cloud, tmp_path):
    result = evaluate([cloud, cloud], NAMES, Knowing(cloud.label), out=tmp_path)
    best = result["methods"]["model"]
    assert best["miou"] == best["macc"] == best["accuracy"] == 1.0
    assert best["iou"]["sofa"] is None and best["iou"]["bed"] == 1.0
    assert 0 < result["methods"]["chance"]["miou"] < result["methods"]["rules"]["miou"] < 1
    assert result["methods"]["oracle"]["accuracy"] < 1
    assert result["points"] == 2 * len(cloud.xyz) and np.sum(result["confusion"]) == result["annotated_points"]
    for name in ("a_room.png", "confusion.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 100
    json.dumps(result)


def test_unlabeled_predictions_cost_and_ignored_truth_does_not(cloud):
    guess = cloud.label.copy()
    guess[::2] = 65535
    half = evaluate([cloud], NAMES, Knowing(guess))
    assert half["methods"]["model"]["accuracy"] == pytest.approx(0.5, abs=0.01)
    assert half["clouds"][0]["unlabeled"] == pytest.approx(0.5, abs=0.01)
    truth = np.where(np.arange(len(guess)) % 2 == 0, 65535, cloud.label)
    ignored = LabeledCloud("b", cloud.xyz, None, truth)
    assert evaluate([ignored], NAMES, Knowing(guess))["methods"]["model"]["accuracy"] == 1.0
    with pytest.raises(ValueError, match="no clouds"):
        evaluate([], NAMES, Knowing(guess))


def test_table_shows_every_method_and_class(cloud):
    result = evaluate([cloud], NAMES, Knowing(cloud.label), prompts=("floor", "wall", "bed", "cupboard", "couch"))
    text = tables.segmentation_table(result, "some model")
    for wanted in ("some model", "height+normal", "chance", "superpoint oracle", "cabinet (as “cupboard”)", "100.0"):
        assert wanted in text


def test_table_aligns_and_rounds():
    text = tables.table([["a", 0.12345, None], ["long name", 1.0, 3]], ["name", "x", "y"])
    assert text.splitlines()[2].split() == ["a", "12.3", "-"]
    assert len({len(line) for line in text.splitlines()}) == 1


def test_scannet_with_a_real_pipeline(tmp_path, tiny_model, capsys):
    write_votenet(tmp_path, "scene0001_00")
    write_votenet(tmp_path, "scene0002_00")
    result = benchmarks.run(
        "scannet", root=tmp_path, rooms="0001", model=str(tiny_model), as_json=True, out=tmp_path / "out"
    )
    assert json.loads(capsys.readouterr().out) == result
    assert result["rooms"] == ["scene0001_00"] and set(result["methods"]) == {"model", "rules", "chance", "oracle"}
    assert result["methods"]["oracle"]["miou"] > 0.9
    assert result["methods"]["rules"]["iou"]["floor"] > 0.85
    assert {"superpoints", "sampling", "patches", "encoder", "propagation"} <= set(result["clouds"][0]["stages_ms"])
    assert (tmp_path / "out" / "scene0001_00.png").exists() and (tmp_path / "out" / "confusion.png").exists()
    benchmarks.run("scannet", root=tmp_path, rooms=["0001"], model=str(tiny_model))
    assert "mIoU" in capsys.readouterr().out


def test_semantickitti_with_a_real_pipeline(tmp_path, tiny_model, capsys):
    write_semantickitti(tmp_path, "08")
    result = benchmarks.run("semantickitti", root=tmp_path, segmenter=Segmenter.load(tiny_model))
    assert result["methods"]["rules"]["iou"]["road"] > 0.8 and "traffic sign" in capsys.readouterr().out
    assert tuple(result["classes"]) == kitti.NAMES


def test_partition_oracle_of_a_room_is_near_perfect():
    xyz, part = room(0.05)
    found = superpoint_oracle.measure(xyz.astype(np.float32), None, part + 1, SuperpointConfig(regularization=0.1))
    assert found["oracle_miou"] > 0.95 and found["superpoints"] < len(xyz) / 20


def test_partition_ignores_unannotated_points():
    raw = np.array([0, 0, 0, 3, 3, 5])
    assert superpoint_oracle.oracle(np.array([0, 0, 0, 0, 0, 1]), raw).miou == 1.0


# Superpoints and oracle mIoU of a reference implementation (features from 20 neighbors, lambda .3, .1 and .03).
REFERENCE = {
    "scene0000_00": ((680, 3745, 10886), (0.597, 0.774, 0.866)),
    "00/000000": ((1255, 3976, 9492), (0.686, 0.782, 0.856)),
}


def test_partition_reaches_the_reference_at_its_superpoint_count(capsys):
    found = superpoint_oracle.run(real(), lambdas=(0.1,))
    for name, (counts, figures) in REFERENCE.items():
        row = found[name][0]
        assert row["superpoints"] <= counts[1]
        assert row["oracle_miou"] >= np.interp(np.log(row["superpoints"]), np.log(counts), figures)
    assert "oracle mIoU" in capsys.readouterr().out


def test_partition_says_what_it_looked_for(tmp_path):
    with pytest.raises(ValueError, match="scannet_full"):
        superpoint_oracle.run(tmp_path)
    with pytest.raises(ValueError, match="scannet_full"):
        superpoint_oracle.main(["--root", str(tmp_path)])


def test_procedural_rooms_are_held_out_and_asked_for_by_synonyms(tiny_model, capsys):
    result = benchmarks.run("procedural", rooms=1, model=str(tiny_model))
    assert "renamed classes" in capsys.readouterr().out
    words = dict(zip(result["classes"], result["prompts"], strict=True))
    assert words["sofa"] == "couch" and words["chair"] == "chair"
    assert {"model", "synonyms", "oracle"} <= set(result["methods"])
    assert result["methods"]["oracle"]["accuracy"] > 0.8
    one, two = (next(procedural_rooms.held_out_clouds(1, "frame")) for _ in range(2))
    np.testing.assert_array_equal(one.xyz, two.xyz)
    with pytest.raises(ValueError, match="rooms=0"):
        benchmarks.run("procedural", rooms=0)


def test_scannet_is_segmented_by_its_own_superpoints_if_the_config_says_so(tmp_path, tiny_model, capsys):
    """The oracle of the superpoints that the model used is that of the data set's, which follow the parts."""
    xyz, part = room(0.1)
    folder, name = tmp_path / "scans" / "scene0000_00", "scene0000_00_vh_clean_2"
    folder.mkdir(parents=True)
    xyz = xyz + 0.02 * part[:, None]  # no two parts meet in a point
    columns = dict(zip("xyz", xyz.T.astype(np.float32), strict=True))
    labels = np.array([2, 1, 22, 3], np.uint16)[part]
    files.write_cloud(folder / f"{name}.ply", files.Cloud.from_fields(columns))
    files.write_cloud(folder / f"{name}.labels.ply", files.Cloud.from_fields(columns | {"label": labels}))
    words = ["evaluate", "scannet", "--root", str(tmp_path), "--model", str(tiny_model), "--json"]
    provided = ["--set", "superpoints.source=provided"]
    assert cli.main([*words, *provided]) == 2 and "comes without superpoints" in capsys.readouterr().err
    (folder / f"{name}.0.010000.segs.json").write_text(json.dumps({"segIndices": (9 * part).tolist()}))
    assert cli.main([*words, *provided]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["methods"]["oracle"] == result["methods"]["provided"] and result["methods"]["oracle"]["miou"] == 1
    assert result["superpoints_per_cloud"] == 4 and result["changes"] == ["superpoints.source=provided"]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["superpoints_per_cloud"] != 4
    with pytest.raises(ValueError, match="has no effect with --method projection"):
        benchmarks.Setup(tiny_model, changes=("superpoints.source=provided",)).labeler("projection")


def test_an_unknown_benchmark_is_named():
    with pytest.raises(ValueError, match="unknown benchmark 'scanet'; choose from scannet, s3dis"):
        benchmarks.run("scanet", root="somewhere")
