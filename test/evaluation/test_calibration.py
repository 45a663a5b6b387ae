"""The benchmark of the confidence: figures of sets whose calibration is known, and the command on fixture data."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from box_room import write_semantickitti, write_votenet
from PIL import Image

from s4token_model import cli
from s4token_model.evaluation import benchmarks, calibration, calibration_report, procedural_rooms, scored_sets
from s4token_model.evaluation.confidence_metrics import THRESHOLDS, Scored, outcomes_of, precision_and_coverage
from s4token_model.evaluation.scored_sets import ScoredSet

CLASSES = 12


def calibrated_set(temperature: float = 0.05, name: str = "drawn", clouds: int = 4) -> ScoredSet:
    """Superpoints of ten points, with true classes drawn from the softmax of their cosines."""
    rng, parts = np.random.default_rng(3), []
    for _ in range(clouds):
        cosines = rng.uniform(0, 0.4, (2000, CLASSES)).astype(np.float32)
        truth = (cosines[:, None] / temperature + rng.gumbel(size=(2000, 10, CLASSES))).argmax(2)
        parts.append(Scored(cosines, (truth[:, :, None] == np.arange(CLASSES)).sum(1).astype(float)))
    return ScoredSet(name, tuple("abcdefghijkl"), tuple(parts), tuple(map(str, range(clouds))))


def test_a_calibrated_set_is_found_to_be_one():
    found = calibration.measure(calibrated_set(), 0.05, fitted=0.1, threshold=0.5)
    fit = found["temperatures"]
    assert fit["fitted"] == pytest.approx(0.05, rel=0.03) and fit["current_ece"] < 0.015
    assert fit["crossed_ece"] < 0.02 and fit["rooms_ece"] > 0.1 and fit["rooms_nll"] > fit["current_nll"]
    assert fit["crossed_nll"] == pytest.approx(fit["current_nll"], abs=0.01)
    assert found["confidence"] == pytest.approx(found["accuracy"], abs=0.01)
    for row in found["word_counts"]:
        assert row["ece"] < 0.02 and row["fitted_temperature"] == pytest.approx(0.05, rel=0.05), "whatever the length"
    row, curve = found["thresholds"]["0.8"], found["curve"]
    position = curve["threshold"].index(row["threshold"])
    assert curve["precision"][position] >= 0.8 > curve["precision"][position - 1]
    assert curve["coverage"][position] == row["coverage"]


def test_points_of_missing_words_are_less_confident_and_background_words_restore_the_precision():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, 5000)
    own = truth[:, None] == np.arange(CLASSES)
    scored = Scored((0.2 * own + rng.normal(0, 0.05, own.shape)).astype(np.float32), 3.0 * own)
    one = ScoredSet("recognized", tuple("abcdefghijkl"), (scored,), ("r",))
    complete = calibration.measure(one, 0.05, fitted=0.05, threshold=0.0)
    absent = complete["absent"]
    assert complete["accuracy"] > 0.95 and complete["thresholds"]["0.8"]["threshold"] == 0
    assert absent["absent_confidence"] < absent["present_confidence"] - 0.2 and absent["auroc"] > 0.8
    assert absent["alone"]["precision"] < 0.55 and absent["alone"]["coverage"] == 1, "half of the points have no word"
    assert absent["with_background"]["precision"] == pytest.approx(complete["accuracy"], abs=0.01)
    assert absent["with_background"]["coverage"] == pytest.approx(0.5, abs=0.02)
    assert absent["threshold"] > 0.4 and 0.2 < absent["coverage"] < 0.65


def test_the_recommended_threshold_reaches_the_precision_on_every_set():
    sets = [calibrated_set(0.03, "modest"), calibrated_set(0.055, "too sure")]
    found = calibration.recommended(sets, 0.05)
    precisions = [precision_and_coverage(outcomes_of(one.pooled(), 0.05))[0] for one in sets]
    reached = [t for t, *values in zip(THRESHOLDS, *precisions, strict=True) if min(values) >= 0.8]
    assert found["threshold"] == reached[0] and len(found["sets"]) == 2
    for row in found["sets"]:
        assert row["precision"] >= 0.8 and row["lowest"] <= row["precision"] and row["groups"] == 4


def test_nothing_to_measure_is_an_error(tmp_path, tiny_model):
    empty = ScoredSet("none", ("a", "b"), (Scored(np.zeros((3, 2), np.float32), np.zeros((3, 2))),), ("r",))
    with pytest.raises(ValueError, match="none: no annotated point"):
        calibration.recommended([empty], 0.05)
    with pytest.raises(ValueError, match="rooms=1; at least two"):
        benchmarks.run("calibration", rooms=1, model=str(tiny_model))
    with pytest.raises(ValueError, match="neither scannet_votenet/ nor semantickitti/"):
        benchmarks.run("calibration", rooms=2, root=tmp_path, model=str(tiny_model))


def test_the_command_measures_writes_and_draws(tmp_path, tiny_model, capsys, monkeypatch):
    monkeypatch.setattr(scored_sets, "MAX_POINTS", 200)
    monkeypatch.setattr(calibration, "DRAWS", 2)
    frames = partial(procedural_rooms.held_out_clouds, kind="frame")  # one depth image per room
    monkeypatch.setattr(procedural_rooms, "held_out_clouds", frames)
    for name in ("scene0001_00", "scene0002_00"):
        write_votenet(tmp_path / "scannet_votenet", name)
    write_semantickitti(tmp_path / "semantickitti", "08")
    words = ["evaluate", "calibration", "--root", tmp_path, "--rooms", "2", "--model", tiny_model, "--json"]
    words += ["--pictures", tmp_path / "out", "--report", tmp_path / "found.md"]
    assert cli.main([str(word) for word in words]) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # NaN is no JSON
    names = [one["name"] for one in result["sets"]]
    assert names[2:] == ["ScanNet", "SemanticKITTI"] and [one["clouds"] for one in result["sets"]] == [2, 2, 8, 4]
    assert result["temperature"] == 0.05 and result["sets"][3]["temperatures"]["crossed_ece"] is None
    document = (tmp_path / "found.md").read_text(encoding="utf-8")
    assert all(name in document for name in names) and "](found.png)" in document
    assert all(f"## {title}" in document for title in calibration_report.ABOUT)
    for path in (tmp_path / "found.png", tmp_path / "out" / "calibration.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 300
    assert "Temperature" in calibration_report.text(result)
