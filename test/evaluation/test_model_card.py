"""The figures of a model card: two models on the same clouds, the walls called door, and encoders timed in turn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from box_room import write_semantickitti, write_votenet

from s4token_model import cli
from s4token_model.evaluation import encoder_time, model_card, procedural_rooms
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.procedural.classes import PROCEDURAL


@pytest.fixture
def quick(monkeypatch) -> None:
    """Replace what takes long: scenes and rounds of timing."""
    xyz = np.random.default_rng(0).random((400, 3), np.float32)
    cloud = LabeledCloud("scene", xyz, None, np.zeros(400, np.uint32))
    for name in ("held_out_clouds", "held_out_streets"):
        monkeypatch.setattr(procedural_rooms, name, lambda count, shapes="": iter([cloud] * count))
    monkeypatch.setattr(encoder_time, "ROUNDS", 1)


def test_a_card_compares_two_models_on_the_same_clouds(tmp_path, tiny_model, capsys, quick):
    write_votenet(tmp_path / "scannet_votenet", "scene0001_00")
    write_semantickitti(tmp_path / "semantickitti", "08")
    report = tmp_path / "card.md"
    words = ["--root", tmp_path, "--model", tiny_model, "--baseline", tiny_model, "--rooms", 1, "--streets", 2]
    words = ["evaluate", "card", *map(str, words), "--report", str(report), "--json"]
    assert cli.main(words) == 0
    result = json.loads(capsys.readouterr().out)
    expected = ["ScanNet", *model_card.VIEWS.values(), "procedural rooms", "procedural streets", *model_card.SAMPLES]
    assert list(result["sets"]) == expected
    for first, second in result["sets"].values():
        assert first == second
    first = result["sets"]["ScanNet"][0]
    assert first["oracle_accuracy"] > 0.9 > first["accuracy"]
    assert all(len(times) == 2 and min(times) > 0 for times in result["encoder_ms"].values())
    assert set(result["encoder_ratio"]) == set(result["encoder_ms"])
    assert result["words"][0] == result["words"][1] and result["words"][0]["text"]["words"] == 100
    text = report.read_text()
    for wanted in (
        "| SemanticKITTI: IoU of cars |",
        "| sample room: walls called door |",
        "## IoU by class: ScanNet",
        "by the name: plural |",
    ):
        assert wanted in text


def test_walls_called_door_are_a_fraction_of_the_walls():
    method = {"miou": 0.5, "accuracy": 0.5, "iou": {}, "class_accuracy": {}}
    result = {"methods": {"model": method, "oracle": method}, "share": {}, "classes": ["door", "wall", "bed"]}
    result["confusion"] = [[9, 0, 0, 0], [3, 5, 1, 3], [7, 0, 0, 0]]
    assert model_card.summary(result)["wall_as_door"] == 3 / 12
    assert "wall_as_door" not in model_card.summary(result | {"classes": ["door", "floor", "bed"]})


def test_the_ratio_is_of_rounds_and_not_of_medians():
    assert encoder_time.ratio([[1.0, 4.0, 9.0], [2.0, 16.0, 18.0]], 0, 1) == 0.5


def test_held_out_streets_are_the_same_again_and_labeled_by_their_names():
    one, two = (next(procedural_rooms.held_out_streets(1)) for _ in range(2))
    np.testing.assert_array_equal(one.xyz, two.xyz)
    used = set(np.unique(one.label).tolist()) - {65535}
    assert {"road", "building"} <= {procedural_rooms.STREET_NAMES[k] for k in used} <= set(PROCEDURAL)


def test_a_root_without_data_is_told(tmp_path):
    with pytest.raises(ValueError, match="has neither scannet_votenet/ nor semantickitti/"):
        model_card.real_sets(Path(tmp_path))
