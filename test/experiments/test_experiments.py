"""`make results`: the metric and Eq. 4 by brute force, resumable runs, an honest document, and everything once."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paper_data
import pytest
import torch
from scipy import stats

from s4token_model.constants import SCANNET20
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.metrics import part_ious
from s4token_model.pipeline.propagation import TokenCenters, propagate
from s4token_model.segmenter import build_patches
from s4token_model.training.sampler import subsample_points

results = pytest.importorskip("s4token_model.experiments.__main__", reason="procedural scenes missing")
from s4token_model.experiments import (  # noqa: E402
    object_pretraining,
    paper_tables,
    part_training,
    procedural_objects,
    results_document,
    rooms,
    runs,
    teacher_clip,
    verdicts,
)
from s4token_model.experiments.experiment import Experiment  # noqa: E402
from s4token_model.experiments.runs import QUICK, Workspace  # noqa: E402

TINY = dataclasses.replace(
    QUICK, name="tiny", points=300, train_shapes=12, test_shapes=12, steps=2, sweep_steps=1, held_out=4,
    pretrain_shapes=4, pretrain_rooms=2, pretrain_steps=2, room_points=1500, room_tokens=24, robust_shapes=2, width=24,
)  # fmt: skip


def toy(compute, seeds=("a", "b"), **more) -> Experiment:
    fields = {
        "name": "toy", "title": "A toy", "about": "Nothing.", "settings": seeds, "figures": {"x": "X"}, "paper": {},
        "expected": (("a", "b"),), "compared": ("x",), "drawing": "bars",
        "compute": compute,
    }  # fmt: skip
    return Experiment(**(fields | more))


def test_a_shapes_iou_is_the_mean_over_its_categorys_parts():
    truth, prediction = np.array([3, 3, 5, 5, 5, 9]), np.array([3, 5, 5, 5, 3, 9])
    expected = [1 / 3, 2 / 4, 1.0, 1.0]  # 3, 5, 9, and 7, which neither has
    assert part_ious(truth, prediction, 10)[[3, 5, 9, 7]].tolist() == pytest.approx(expected)


def test_objects_fill_the_unit_sphere_and_carry_parts():
    made = procedural_objects.make(5, 3, 256)
    assert [s.category for s in made] == [0, 1, 2] and all(len(set(s.part.tolist())) > 1 for s in made)
    for shape in made:
        assert np.linalg.norm(shape.xyz, axis=1).max() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(shape.xyz.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(
        made[1].xyz, procedural_objects.make(6, 1, 256, procedural_objects.WITH_PARTS[1:])[0].xyz
    )


@pytest.mark.parametrize("variant", ["s4token", "knn"])
def test_propagation_as_a_matrix_is_that_of_the_pipeline(variant):
    config = procedural_objects.pipeline(variant, {"sampling.tokens": 6})
    shape = procedural_objects.make(5, 1, 400)[0]
    clouds = procedural_objects.stack([procedural_objects.tokenize(shape, config)])
    geometry = build_patches(shape.xyz, None, config)
    found = geometry.patches
    scores = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    anchors = TokenCenters(found.centers, found.superpoint, found.radius)
    expected = propagate(geometry.working.xyz, geometry.superpoints, anchors, scores)
    assert not np.isin(geometry.superpoints, found.superpoint).all(), "some points take the nearest tokens"
    np.testing.assert_allclose((clouds.weights[0] @ torch.from_numpy(scores)).numpy(), expected, atol=2e-3)


def test_drawn_points_keep_their_labels():
    config = procedural_objects.pipeline("s4token", {"sampling.tokens": 12})
    item = procedural_objects.tokenize(procedural_objects.make(5, 1, 300)[0], config)
    few = procedural_objects.stack([subsample_points(item, 50, np.random.default_rng(1))])
    assert few.weights.shape == (1, 50, 12) and few.label.shape == (1, 50)
    chosen = np.random.default_rng(1).choice(len(item.point_label), 50, replace=False)
    np.testing.assert_array_equal(few.label[0], item.point_label[chosen])


def test_a_finished_run_is_read_and_any_other_is_run_again(tmp_path):
    calls, workspace = [], Workspace(tmp_path, TINY)

    def compute():
        calls.append(1)
        return {"x": 0.5}

    for _ in range(2):
        assert runs.run(workspace, "toy", "a / b", 0, compute)["figures"] == {"x": 0.5}
    assert len(calls) == 1
    assert runs.load(Workspace(tmp_path, dataclasses.replace(TINY, steps=3)), "toy", "a / b", 0) is None
    path = runs.path_of(tmp_path, "toy", "a / b", 0)
    path.write_text(path.read_text()[:40])  # a file cut short, which an atomic write never leaves
    runs.run(workspace, "toy", "a / b", 0, compute)
    assert len(calls) == 2 and json.loads(path.read_text())["figures"] == {"x": 0.5}
    with pytest.raises(RuntimeError):
        runs.run(workspace, "toy", "c", 0, lambda: (_ for _ in ()).throw(RuntimeError("killed")))
    assert [p.name for p in (tmp_path / "toy").iterdir()] == [path.name]


def test_a_killed_sitting_goes_on_where_it_was(tmp_path):
    done = []

    def compute(setting, seed, workspace):
        if len(done) == 3:
            done.append("killed")
            raise KeyboardInterrupt
        done.append((setting, seed))
        return {"x": 0.1}

    workspace = Workspace(tmp_path, dataclasses.replace(TINY, seeds=2))
    with pytest.raises(KeyboardInterrupt):
        results.run([toy(compute)], workspace, tmp_path / "r.md")
    results.run([toy(compute)], workspace, tmp_path / "r.md")
    assert done == [("a", 0), ("a", 1), ("b", 0), "killed", ("b", 1)]

    def fail(*_):
        raise RuntimeError("out of luck")

    failing = dataclasses.replace(toy(fail), name="failing")
    with pytest.raises(ValueError, match="4 runs failed"):
        results.run([failing], workspace, tmp_path / "r.md")
    assert (tmp_path / "r.md").is_file()
    with pytest.raises(ValueError, match="no row c in toy"):
        results.run([toy(compute)], workspace, tmp_path / "r.md", settings=["c"])


def test_several_processes_share_the_runs(tmp_path):
    workspace = Workspace(tmp_path, dataclasses.replace(TINY, seeds=2))
    shared = dataclasses.replace(toy(pid_of_process), in_front_of_clip=False)
    results.run([shared], workspace, tmp_path / "r.md", workers=2)
    found = {runs.load(workspace, "toy", name, seed)["figures"]["x"] for name in "ab" for seed in range(2)}
    assert len(found) == 2 and os.getpid() not in found


def pid_of_process(setting, seed, workspace):
    time.sleep(1.0)  # so that no process does it all
    return {"x": os.getpid()}


def test_processes_find_what_the_command_calls(tmp_path):
    """They do not import the __main__ of a package."""
    words = ["--only", "table1", "--settings", "knn", "spt", "--workers", "2", "--cache", str(tmp_path)]
    command = [sys.executable, "-m", "s4token_model.experiments", "--quick", *words, "--out", str(tmp_path / "r.md")]
    subprocess.run(command, check=True)
    assert all(runs.path_of(tmp_path / "quick2", "table1", name, 0).is_file() for name in ("knn", "spt"))


def stored(folder, seeds: int = 4, **values) -> Workspace:
    """A workspace in which the settings of `toy` have these figures, one per seed."""
    workspace = Workspace(folder, dataclasses.replace(TINY, seeds=seeds))
    for setting, row in values.items():
        for seed, value in enumerate(row):
            runs.run(workspace, "toy", setting, seed, lambda v=value: {"x": v})
    return workspace


ONE = (0.5, 0.51, 0.53, 0.52)


@pytest.mark.parametrize(
    ("a", "b", "paper", "said"),
    [
        (ONE, (0.4, 0.42, 0.42, 0.41), "", "the paper's order appears"),
        ((0.4, 0.42, 0.42, 0.41), ONE, "", "**the opposite of the paper's order**"),
        (ONE, (0.49, 0.52, 0.53, 0.51), "10 / 20", "the paper's are 20.0: **does not appear**; "),
        (ONE, (0.49, 0.52, 0.53, 0.51), "10 / 1", "the paper's are 1.0: **cannot be seen**; at least"),
        (ONE, (0.49, 0.52, 0.53, 0.51), "", "638: **cannot be seen**; at least"),
        (ONE, (0.4, 0.41, 0.43, 0.42), "", "without a spread: no test"),
        ((0.5,), (0.4,), "", "+10.0 points, 1 seed without a spread: no test"),
        ((0.5,), (None,), "", "not measured yet"),
        ((0.5,), (), "", "not measured yet"),
    ],
)
def test_the_document_says_what_a_paired_test_supports(tmp_path, a, b, paper, said):
    figures = {"paper": {"a": paper, "b": "0 / 0"}, "stands_for": (1,)} if paper else {}
    experiment, workspace = toy(None, **figures), stored(tmp_path, a=a, b=b)
    found = results_document.rows(experiment, workspace)
    assert found[0].mean["x"] == pytest.approx(np.mean(a)) and found[0].seeds == len(a)
    assert math.isnan(found[0].spread["x"]) == (len(a) == 1)
    if len(a) > 1:
        assert found[0].spread["x"] == pytest.approx(np.std(a, ddof=1))
    results_document.write(tmp_path / "r.md", [experiment], workspace)
    text = (tmp_path / "r.md").read_text()
    assert said in text and (tmp_path / "r-toy.png").stat().st_size > 1000
    assert f"| a | {results_document.cell(found[0].mean['x'], found[0].spread['x'])} |" in text
    assert f"| {len(a)} of 4 |" in text and ("Not run yet: b." in text) == (not b)


def test_p_is_that_of_the_paired_t_test_over_the_seeds_that_both_rows_have(tmp_path):
    a, b = (0.5, 0.51, 0.53, 0.52), (0.49, 0.52, 0.5)
    (one,) = verdicts.comparisons(toy(None), stored(tmp_path, a=a, b=b))
    assert verdicts.p_value(one.gaps) == pytest.approx(stats.ttest_rel(a[:3], b).pvalue)
    (asked,) = verdicts.comparisons(toy(None, expected=(), asked=(("b", "a"),)), stored(tmp_path))
    np.testing.assert_allclose(asked.gaps, -one.gaps)
    assert one.of_paper and not asked.of_paper


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests():
    adjusted = verdicts.holm([0.04, math.nan, 0.01, 0.03, 0.6])
    np.testing.assert_allclose(adjusted, [0.09, math.nan, 0.04, 0.09, 0.6])  # 4 x .01, 3 x .03, then at least as much
    assert verdicts.holm([]).size == 0


def test_one_p_below_the_level_is_no_finding_among_many(tmp_path):
    workspace = stored(tmp_path, a=(0.50, 0.52, 0.54, 0.52), b=(0.49, 0.50, 0.51, 0.50))
    comparison = verdicts.comparisons(toy(None), workspace)
    assert verdicts.p_value(comparison[0].gaps) < 0.05
    assert "appears" in verdicts.sentences([comparison])[0][0]
    assert all("cannot be seen" in words[0] for words in verdicts.sentences([comparison] * 4))


@pytest.mark.parametrize(("seeds", "level"), [(3, 0.05), (8, 0.05), (8, 0.005)])
def test_the_detectable_difference_is_found_four_times_in_five(seeds, level):
    gaps = np.random.default_rng(0).normal(size=seeds)
    drawn = np.random.default_rng(1).normal(verdicts.detectable(gaps, level), np.std(gaps, ddof=1), (40000, seeds))
    assert (stats.ttest_1samp(drawn, 0, axis=1).pvalue < level).mean() == pytest.approx(0.8, abs=0.01)


def test_more_seeds_need_no_finished_run_again(tmp_path):
    few, many = (Workspace(tmp_path, dataclasses.replace(TINY, seeds=seeds)) for seeds in (1, 8))
    runs.run(few, "toy", "a", 0, lambda: {"x": 0.5})
    assert runs.load(many, "toy", "a", 0)["figures"] == {"x": 0.5}
    assert toy(None, sweep=True).seeds_of(runs.FULL) == runs.FULL.sweep_seeds < toy(None).seeds_of(runs.FULL)


def test_a_trained_model_is_kept_and_training_is_repeatable(tmp_path):
    config = procedural_objects.pipeline("s4token", {"sampling.tokens": 16})
    first = part_training.trained(config, 0, 2, Workspace(tmp_path, TINY), "a")
    second, kept = (part_training.trained(config, 0, 2, Workspace(tmp_path, TINY), name) for name in ("b", "a"))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]) and torch.equal(value, kept.state_dict()[name])
    other = part_training.trained(config, 1, 2, Workspace(tmp_path, TINY), "c")
    assert not torch.equal(first.head[0].weight, other.head[0].weight)


def test_training_learns_parts(tmp_path):
    budget = dataclasses.replace(TINY, points=512, width=48, rate=3e-3)
    config = procedural_objects.pipeline("s4token", {"sampling.tokens": 32, "tokenizer.width": 16})
    items = part_training.samples(config, budget)[0]
    before, after = (
        part_training.evaluate(
            part_training.trained(config, 0, steps, Workspace(tmp_path, budget), f"{steps}"), items, budget
        )["miou_i"]
        for steps in (0, 100)
    )
    assert after > before + 0.15


def test_rooms_are_scored_in_scannets_words():
    clouds = rooms.procedural(TINY)
    assert len(clouds) == 1 and len(clouds[0].xyz) == 1500
    found = set(np.unique(clouds[0].label).tolist())
    assert found <= {*range(20), 65535} and {0, 1} <= found  # walls and a floor


def test_furniture_is_scored_without_walls_and_floors():
    taught = [SCANNET20.index(name) for name in teacher_clip.TAUGHT]
    label = np.array([0, 1, taught[2], taught[2], taught[5], 65535], np.uint16)

    class Fake:
        def make_vocabulary(self, names, templates, threshold):
            return SimpleNamespace(names=names)

        def encode(self, xyz):
            return xyz

        def label(self, encoding, words):
            assert tuple(words.names) == teacher_clip.TAUGHT
            return SimpleNamespace(labels=np.array([3, 3, 2, 7, 5, 0]))

    cloud = LabeledCloud("x", np.zeros((6, 3), np.float32), None, label)
    seen = rooms.encode(Fake(), [cloud])
    assert rooms.score_furniture(Fake(), seen) == pytest.approx((1 / 2 + 1) / 2)  # of the two classes that occur


def test_things_are_cut_out_of_rooms():
    rng = np.random.default_rng(0)
    xyz, instance = rng.random((1300, 3)), np.repeat([4, 7, 9, 11], [300, 300, 100, 600])
    names = np.array(["chair"] * 299 + ["floor"] + ["wall"] * 300 + ["sofa"] * 100 + ["bed"] * 600)
    found = list(procedural_objects.cut(xyz, instance, names, 512))
    assert [teacher_clip.TAUGHT[s.category] for s in found] == ["chair", "bed"] and [len(s.xyz) for s in found] == [
        300,
        512,
    ]
    assert set(map(tuple, found[1].xyz)) <= set(map(tuple, xyz[700:].astype(np.float32)))
    with pytest.raises(ValueError, match="1300 points, but 4 instance ids"):
        list(procedural_objects.cut(xyz, instance[:4], names, 512))
    assert all(
        len(s.xyz) >= procedural_objects.MIN_POINTS
        for s in procedural_objects.from_procedural_rooms(dataclasses.replace(TINY, points=300))
    )


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> Path:
    """The folder of the small CLIP, whose training takes longest."""
    workspace = Workspace(tmp_path_factory.mktemp("taught"), TINY)
    teacher_clip.load(workspace)
    return workspace.folder / "clip"


@pytest.fixture
def cache(tmp_path, taught) -> Path:
    """The folder of a workspace that has the CLIP."""
    (folder := tmp_path / "cache").mkdir()
    (folder / "clip").symlink_to(taught)
    return folder


def test_everything_runs_once_and_is_written(tmp_path, cache):
    for experiment in paper_tables.EXPERIMENTS:
        assert set(experiment.compared) <= set(experiment.figures)
    workspace = Workspace(cache, TINY)
    out = tmp_path / "docs" / "results.md"
    few = {
        "ball+rpn+spt",
        "2D targets",
        "parts, knn",
        "zero-shot, knn",
        "local+global",
        "assign, reach",
        "K=4",
        "gamma=0.2",
        "alpha=0.5",
    }
    results.run(paper_tables.EXPERIMENTS, workspace, out, settings=sorted(few))
    text = out.read_text()
    for experiment in paper_tables.EXPERIMENTS:
        assert experiment.title in text and f"--only {experiment.name}" in text
        assert out.with_name(f"results-{experiment.name}.png").is_file()
        wanted = [name for name in experiment.settings if name in few]
        assert [row.setting for row in results_document.rows(experiment, workspace)] == wanted
    assert "ScanNet's columns are empty" in text
    figures = runs.load(workspace, "table2", "ball+rpn+spt", 0)["figures"]
    assert figures["scannet_miou"] is figures["s3dis_miou"] is figures["scannet_furniture"] is None
    assert 0 <= figures["rooms_miou"] <= 1 and 0 <= figures["rooms_furniture"] <= 1


def test_a_tokenizer_that_learned_from_rooms_is_scored_on_those_of_three_sources(tmp_path, cache):
    paper_data.write(tmp_path)
    workspace = Workspace(cache, TINY, tmp_path / "scannet", tmp_path / "s3dis")
    found = paper_tables.trained_on_rooms("ball+rpn+spt", 0, workspace)
    assert found.keys() == rooms.FIGURES.keys() and all(0 <= figure <= 1 for figure in found.values())
    log = (cache / "pretrained" / "ball+rpn+spt-rooms-seed0" / "state.jsonl").read_text()
    last = json.loads(log.splitlines()[-1])
    assert {"assign", "local", "global"} <= last.keys() and all(np.isfinite(v) for v in last.values() if v is not None)


def test_the_default_of_all_sweeps_is_one_model(tmp_path):
    workspace = Workspace(tmp_path, TINY)
    same = [paper_tables.sweep(setting, 0, workspace) for setting in ("N=128", "scaled=1")]
    assert same[0] == same[1] and len(list((tmp_path / "weights").iterdir())) == 1
    assert set(paper_tables.SWEEPS) >= set(paper_tables.DEFAULTS)
    base = procedural_objects.pipeline("s4token")
    for setting in paper_tables.DEFAULTS:
        assert procedural_objects.pipeline("s4token", paper_tables.SWEEPS[setting]) == base
    raw = procedural_objects.pipeline("s4token", paper_tables.SWEEPS["scaled=0"]).tokenizer
    assert not raw.position_scaled and raw.position_octaves > base.tokenizer.position_octaves


def test_a_finished_training_is_not_repeated(cache):
    workspace = Workspace(cache, TINY)
    first = object_pretraining.tokenizer_of("s4token", 0, workspace, {"clusters": 4})
    path = cache / "pretrained" / "s4token-clusters=4-seed0" / "state.jsonl"
    log = path.read_text()
    again = object_pretraining.tokenizer_of("s4token", 0, workspace, {"clusters": 4})
    assert path.read_text() == log
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())


def test_the_command_line(tmp_path, capsys):
    assert results.main(["--quick", "--minutes", "0", "--cache", str(tmp_path), "--out", str(tmp_path / "r.md")]) == 0
    assert "Not run yet." in (tmp_path / "r.md").read_text()
    with pytest.raises(ValueError, match="no such folder"):
        results.main(["--scannet", str(tmp_path / "none")])
    assert len({e.name for e in paper_tables.EXPERIMENTS}) == 7 and len(paper_tables.EXPERIMENTS[0].settings) == 8
