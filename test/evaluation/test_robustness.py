"""Robustness: figures of labelers whose answers are known, the rows of the table, and the command end to end."""

from __future__ import annotations

import dataclasses
import json
import mmap
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from box_room import room
from PIL import Image

from s4token_model import cli, constants
from s4token_model.config import Config
from s4token_model.evaluation import disturbances, robustness, robustness_report
from s4token_model.evaluation.disturbance_catalog import Disturbance, Target
from s4token_model.evaluation.memory import PeakMemory
from s4token_model.evaluation.segmentation import LabeledCloud

NOTHING = Target()
WORDS = SimpleNamespace(names=("low", "high"))


class ByHeight:
    """Labels a point by its height above 1 m, as the truth does; sets points beyond 10 m aside, with a warning."""

    config = Config()

    def make_vocabulary(self, names, templates=None):
        return SimpleNamespace(names=tuple(names))

    def encode(self, xyz, rgb=None):
        far = np.abs(xyz).max(axis=1) > 10
        labels = np.where(far, constants.UNLABELED, xyz[:, 2] > 1).astype(np.uint32)
        warnings = ("points far off",) if far.any() else ()
        return SimpleNamespace(labels=labels, set_aside={"isolated": int(far.sum())}, warnings=warnings)

    def label(self, encoding, words):
        return SimpleNamespace(labels=encoding.labels, encoding=encoding, unlabeled_reasons=encoding.set_aside)


@pytest.fixture
def scene() -> robustness.Scene:
    xyz = room(0.1)[0].astype(np.float32)
    truth = (xyz[:, 2] > 1).astype(np.uint32)
    cloud = LabeledCloud("box", xyz, None, truth)
    return robustness.Scene("room", cloud, WORDS, truth, WORDS, truth)


def test_scenes_are_the_sample_room_three_scans_and_every_sweep(tmp_path):
    xyz, part = room(0.2)
    (tmp_path / "scannet_votenet").mkdir()
    for name in ("scene0000_00", "scene0000_01", "scene0002_00", "scene0003_00"):
        np.save(tmp_path / f"scannet_votenet/{name}_vert.npy", np.c_[xyz, 0 * xyz].astype(np.float32))
        np.save(tmp_path / f"scannet_votenet/{name}_sem_label.npy", np.where(part > 0, 1, 2).astype(np.uint32))
    for folder in ("velodyne", "labels"):
        (tmp_path / "semantickitti/sequences/00" / folder).mkdir(parents=True)
    np.c_[xyz, xyz[:, 0]].astype(np.float32).tofile(tmp_path / "semantickitti/sequences/00/velodyne/000000.bin")
    np.full(len(xyz), 40, np.uint32).tofile(tmp_path / "semantickitti/sequences/00/labels/000000.label")
    alone, *found = robustness.load_scenes(ByHeight(), tmp_path)
    assert alone.kind == "room" and len(alone.cloud.xyz) == len(alone.labels) == robustness.ROOM_POINTS
    assert len(alone.vocabulary.names) == 18 and len(alone.stable_vocabulary.names) == 20
    assert [(one.kind, one.cloud.name) for one in found] == [
        ("scans", "scene0000_00"), ("scans", "scene0002_00"), ("scans", "scene0003_00"), ("sweeps", "00/000000")
    ]  # fmt: skip
    assert [len(one.vocabulary.names) for one in found] == [20, 20, 20, 19]
    assert set(found[0].cloud.label) == {0, 1} and len(robustness.load_scenes(ByHeight())) == 1


def test_a_cloud_that_keeps_its_labels_keeps_all_and_added_points_do_not_count(scene):
    far = Disturbance("far", "f", partial(disturbances.far_clump, count=5, distance=1000), Target(0.99), random=True)
    found = robustness.measure(ByHeight(), scene, far, draws=2)
    assert found.kept == found.accuracy == found.miou == (1, 1) and found.clean_accuracy == found.clean_miou == 1
    assert found.set_aside == {"isolated": 5} and found.warnings == ("points far off",)
    assert found.added_labeled == (0, 0) and found.points == len(scene.cloud.xyz) + 5


def test_what_is_kept_is_relative_to_the_clean_labels_of_the_same_points(scene):
    """The truth is wrong on purpose for the upper half; the disturbance removes that half."""
    high = scene.labels == 1
    wrong = dataclasses.replace(scene.cloud, label=np.where(high, 0, scene.labels).astype(np.uint32))
    scene = dataclasses.replace(scene, cloud=wrong)
    upside = Disturbance("frames", "u", partial(disturbances.in_frame, frame="upside down"))
    kept_low = Disturbance("crops", "c", lambda xyz, rng: disturbances.Disturbed(xyz[~high], np.flatnonzero(~high)))
    low = robustness.measure(ByHeight(), scene, kept_low)
    assert low.clean_accuracy == 1 and low.kept == (1,)
    found = robustness.measure(ByHeight(), scene, upside)
    assert found.clean_accuracy == pytest.approx((~high).mean()) and found.accuracy == (1,)
    assert found.kept[0] == pytest.approx(1 / (~high).mean())


def test_points_without_truth_are_not_scored(scene):
    label = scene.cloud.label.copy()
    label[::2] = constants.UNLABELED
    scene = dataclasses.replace(scene, cloud=dataclasses.replace(scene.cloud, label=label))
    flipped = Disturbance("f", "f", lambda xyz, rng: disturbances.Disturbed(xyz[::2], np.arange(0, len(xyz), 2)))
    assert np.isnan(robustness.measure(ByHeight(), scene, flipped).accuracy[0])


def test_stability_compares_with_the_clean_labels_or_with_the_frame_before(scene):
    lifted = iter(np.linspace(0, 0.9, 10))

    def rising(xyz, rng):
        return disturbances.Disturbed(xyz + np.float32([0, 0, next(lifted)]), np.arange(len(xyz)))

    walls = (scene.cloud.xyz[:, 2] > 0) & (scene.cloud.xyz[:, 2] < scene.cloud.xyz[:, 2].max())
    frames = robustness.measure(ByHeight(), scene, Disturbance("s", "s", rising, stability=True, frames=10))
    assert len(frames.kept) == 9 and min(frames.kept) > 1 - 0.2 * walls.mean() and frames.accuracy == ()
    turned = Disturbance("s", "t", partial(disturbances.turned, degrees=30), stability=True)
    assert robustness.measure(ByHeight(), scene, turned).kept == (1,)
    fallen = Disturbance(
        "s", "f", lambda xyz, rng: disturbances.Disturbed(0 * xyz, np.arange(len(xyz))), stability=True
    )
    assert robustness.measure(ByHeight(), scene, fallen).kept == (pytest.approx((scene.labels == 0).mean()),)


def test_a_value_of_input_up_that_does_not_exist_is_skipped_and_one_that_does_is_used(scene):
    segmenter = ByHeight()
    segmenter.encode = None  # must not be reached
    row = robustness.measure(segmenter, scene, Disturbance("frames", "z", disturbances.unchanged, up="sideways"))
    assert "input.up='sideways'" in row.skipped and row.kept == ()
    wanted = Disturbance("frames", "z", disturbances.unchanged, up="-y", passes=3)
    changed = robustness._configured(ByHeight(), wanted)
    assert changed.config.input.up == "-y" and changed.config.sampling.passes == 3
    assert ByHeight.config.input.up == "auto" and ByHeight.config.sampling.passes == 1


def test_colors_follow_their_points_and_added_points_are_gray(scene):
    seen = []
    segmenter = ByHeight()
    segmenter.encode = lambda xyz, rgb: seen.append(rgb) or ByHeight().encode(xyz)
    rgb = np.random.default_rng(0).random(scene.cloud.xyz.shape, np.float32)
    scene = dataclasses.replace(scene, cloud=dataclasses.replace(scene.cloud, rgb=rgb))
    robustness.measure(segmenter, scene, Disturbance("far", "f", partial(disturbances.far_point, distance=99)))
    np.testing.assert_array_equal(seen[0], np.r_[rgb, [[0.5, 0.5, 0.5]]])


def measurement(target: Target = NOTHING, **fields) -> robustness.Measurement:
    base = {"kept": (0.5, 1.0), "accuracy": (0.3, 0.6), "clean_accuracy": 0.6, "miou": (0.2, 0.2), "clean_miou": 0.4}
    disturbance = Disturbance("strays", "few", disturbances.unchanged, target, random=True)
    return robustness.Measurement(disturbance, "a", "scans", **base | fields)


def test_a_row_is_the_mean_over_draws_and_clouds_and_adds_up_what_is_set_aside():
    second = measurement(kept=(1.5,), accuracy=(0.3,), clean_accuracy=0.2, set_aside={"isolated": 2}, warnings=("w",))
    (row,) = robustness_report.rows_of([measurement(set_aside={"isolated": 1}), second])
    assert row.accuracy == pytest.approx(0.375) and row.kept == pytest.approx(0.375 / 0.4)
    assert (row.lowest, row.highest) == (0.5, 1.5) and row.miou_kept == pytest.approx(0.5)
    assert row.set_aside == {"isolated": 3} and row.warned == 0.5 and row.warnings == ("w",)
    cells = dict(zip(robustness_report.HEADER, robustness_report.cells(row), strict=True))
    assert cells["kept, %"] == "93.8" and cells["lowest to highest, %"] == "50.0 to 150.0"
    assert cells["set aside"] == "3 isolated" and cells["warned"] == "50.0 % of the clouds" and cells["met"] == ""


@pytest.mark.parametrize(
    "target, fields, met",
    [
        (Target(), {}, None),
        (Target(0.75), {}, True),
        (Target(0.76), {}, False),
        (Target(warned=True), {}, False),
        (Target(warned=True), {"warnings": ("w",)}, True),
        (Target(warned=False), {"warnings": ("w",)}, False),
        (Target(added_unlabeled=True), {"added_labeled": (0.0, 0.1)}, False),
        (Target(added_unlabeled=True), {"added_labeled": (0.0, 0.0)}, True),
        (Target(0.5, seconds=30), {"seconds": 31.0}, False),
        (Target(0.5, seconds=30), {"seconds": 29.0}, True),
        (Target(0.5, bytes_per_point=1000), {"peak_bytes_per_point": 1001.0}, False),
        (Target(0.5), {"skipped": "no such option"}, None),
    ],
)
def test_a_target_is_met_when_all_that_it_asks_for_is_reached(target, fields, met):
    (row,) = robustness_report.rows_of([measurement(target, **fields)])
    assert row.met is met


def test_the_document_holds_every_row_its_target_and_a_picture(tmp_path):
    weak = measurement(Target(0.9), warnings=("1 point is far off",))
    skipped = dataclasses.replace(weak, kind="sweeps", skipped="no auto")
    clean = {"scannet_votenet": {"clouds": 2, "miou": 0.25, "accuracy": 0.5}}
    result = robustness_report.Result("m", True, (weak, skipped), clean, {"encoder": 1.5, "total": 2.0}, 1000)
    path = tmp_path / "new" / "robust.md"
    robustness_report.write(path, result, "s4token robustness")
    document = path.read_text(encoding="utf-8")
    assert "| few | ScanNet scans | 45.0 | 75.0 | 50.0 to 100.0 | 50.0 | yes | 90 % | **no** |" in document
    assert "Targets met: 0 of 1." in document and "Skipped: no auto." in document and "- 1 point is far off" in document
    assert "| scannet_votenet | 2 | 25.0 | 50.0 |" in document and "1,000 points, milliseconds: encoder 1.5" in document
    assert "![accuracy kept against every disturbance](robust.png)" in document
    assert Image.open(path.with_suffix(".png")).width > 1000


def test_the_command_measures_a_family_of_the_sample_room(tiny_model, tmp_path, capsys):
    words = ["robustness", "--quick", "--only", "copies,cost", "--model", str(tiny_model), "--json"]
    assert cli.main([*words, "--report", str(tmp_path / "r.md")]) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [row["name"] for row in result["measurements"]] == ["2 times", "3 times", "6 times"]
    assert all(row["points"] % 30_000 == 0 and len(row["kept"]) == 1 for row in result["measurements"])
    assert result["cost_ms"]["total"] > 0 and (tmp_path / "r.md").is_file()


def test_an_unknown_family_is_an_error_that_names_the_known_ones(capsys):
    assert cli.main(["robustness", "--only", "rain"]) == 2
    assert "rain: no such family; choose from strays, far" in capsys.readouterr().err


def test_memory_above_the_start_is_what_was_allocated_and_freed_in_between():
    memory = PeakMemory()
    memory.start()
    with mmap.mmap(-1, 30_000_000) as fresh:  # malloc could hand out memory that the process has already
        for page in range(0, len(fresh), mmap.PAGESIZE):
            fresh[page] = 1
    seconds, peak = memory.stop()
    assert peak == pytest.approx(30e6, rel=0.1) and 0 < seconds < 5
