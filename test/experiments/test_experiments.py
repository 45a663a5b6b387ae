"""`make results`: the metric and Eq. 4 by brute force, resumable runs, an honest document, and everything once."""

from __future__ import annotations

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from s4token_model.constants import SCANNET20
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.pipeline.propagation import TokenCenters, propagate
from s4token_model.segmenter import build_patches

results = pytest.importorskip("s4token_model.experiments.__main__", reason="procedural scenes missing")
from s4token_model.experiments import (  # noqa: E402
    cache,
    distilled,
    document,
    experiment_crops,
    experiment_parts,
    experiment_rooms,
    experiment_shapes,
    summary,
    sweeps,
    table1,
    table2,
    teacher_clip,
)
from s4token_model.experiments.effort import QUICK  # noqa: E402
from s4token_model.experiments.experiment import Experiment, Lab  # noqa: E402

TINY = dataclasses.replace(
    QUICK, name="tiny", points=300, train_shapes=12, test_shapes=12, steps=2, sweep_steps=1, held_out=4,
    pretrain_shapes=4, pretrain_steps=2, room_points=1500, room_tokens=24, robust_shapes=2, width=24,
)  # fmt: skip


def toy(compute, seeds=("a", "b"), **more) -> Experiment:
    fields = {
        "name": "toy", "title": "A toy", "about": "Nothing.", "settings": seeds, "figures": {"x": "X"}, "paper": {},
        "expected": (("a", "b"),), "compared": ("x",), "drawing": "bars",
        "note": "Because.", "compute": compute,
    }  # fmt: skip
    return Experiment(**(fields | more))


def test_a_shapes_iou_is_the_mean_over_its_categorys_parts():
    truth, guess = np.array([3, 3, 5, 5, 5, 9]), np.array([3, 5, 5, 5, 3, 9])
    expected = np.mean([1 / 3, 2 / 4, 1.0, 1.0])  # 3, 5, 9, and 7, which neither has
    assert experiment_parts.shape_iou(guess, truth, np.array([3, 5, 9, 7])) == pytest.approx(expected)
    assert experiment_parts.shape_iou(guess, truth, np.array([3])) == pytest.approx(1 / 3)


def test_objects_fill_the_unit_sphere_and_carry_parts():
    made = experiment_shapes.make(5, 3, 256)
    assert [s.category for s in made] == [0, 1, 2] and all(len(set(s.part.tolist())) > 1 for s in made)
    for shape in made:
        assert np.linalg.norm(shape.xyz, axis=1).max() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(shape.xyz.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(
        made[1].xyz, experiment_shapes.make(6, 1, 256, experiment_shapes.WITH_PARTS[1:])[0].xyz
    )


@pytest.mark.parametrize("variant", ["s4token", "knn"])
def test_propagation_as_a_matrix_is_that_of_the_pipeline(variant):
    config = experiment_shapes.config_of(variant, sampling__tokens=6)
    shape = experiment_shapes.make(5, 1, 400)[0]
    clouds = experiment_shapes.collate([experiment_shapes.tokenized(shape, config)])
    geometry = build_patches(shape.xyz, None, config)
    found = geometry.patches
    scores = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    anchors = TokenCenters(found.centers, found.superpoint, found.radius)
    expected = propagate(geometry.working.xyz, geometry.superpoints, anchors, scores)
    assert not np.isin(geometry.superpoints, found.superpoint).all(), "some points take the nearest tokens"
    np.testing.assert_allclose((clouds.weights[0] @ torch.from_numpy(scores)).numpy(), expected, atol=2e-3)


def test_drawn_points_keep_their_labels():
    config = experiment_shapes.config_of("s4token", sampling__tokens=12)
    item = experiment_shapes.tokenized(experiment_shapes.make(5, 1, 300)[0], config)
    few = experiment_shapes.collate([item], 50, np.random.default_rng(1))
    assert few.weights.shape == (1, 50, 12) and few.part.shape == (1, 50)
    chosen = np.random.default_rng(1).choice(300, 50, replace=False)
    np.testing.assert_array_equal(few.part[0], item.point_label[chosen])


def test_a_finished_run_is_read_and_any_other_is_run_again(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"x": 0.5}

    for _ in range(2):
        assert cache.run(tmp_path, "toy", "a / b", 0, TINY, compute)["figures"] == {"x": 0.5}
    assert len(calls) == 1
    assert cache.load(tmp_path, "toy", "a / b", 0, dataclasses.replace(TINY, steps=3)) is None
    path = cache.path_of(tmp_path, "toy", "a / b", 0)
    path.write_text(path.read_text()[:40])  # a file cut short, which an atomic write never leaves
    cache.run(tmp_path, "toy", "a / b", 0, TINY, compute)
    assert len(calls) == 2 and json.loads(path.read_text())["figures"] == {"x": 0.5}
    with pytest.raises(RuntimeError):
        cache.run(tmp_path, "toy", "c", 0, TINY, lambda: (_ for _ in ()).throw(RuntimeError("killed")))
    assert [p.name for p in (tmp_path / "toy").iterdir()] == [path.name]


def test_a_killed_sitting_goes_on_where_it_was(tmp_path):
    done = []

    def compute(setting, seed, lab):
        if len(done) == 3:
            done.append("killed")
            raise KeyboardInterrupt
        done.append((setting, seed))
        return {"x": 0.1}

    lab = Lab(tmp_path, dataclasses.replace(TINY, seeds=2))
    with pytest.raises(KeyboardInterrupt):
        results.run([toy(compute)], lab, tmp_path / "r.md")
    results.run([toy(compute)], lab, tmp_path / "r.md")
    assert done == [("a", 0), ("a", 1), ("b", 0), "killed", ("b", 1)]
    with pytest.raises(ValueError, match="no row c in toy"):
        results.run([toy(compute)], lab, tmp_path / "r.md", settings=["c"])


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ((0.5, 0.52, 0.51), (0.4, 0.41, 0.42), "the paper's order appears"),
        ((0.5, 0.6, 0.4), (0.49, 0.5, 0.48), "the paper's order does not appear"),
        ((0.4, 0.41, 0.42), (0.5, 0.52, 0.51), "the opposite of the paper's order"),
        ((0.5,), (0.4,), "the spread is unknown"),
        ((0.5,), (None,), "not measured"),
        ((0.5,), (), "not measured yet"),
    ],
)
def test_the_document_says_whether_the_papers_order_appears(tmp_path, a, b, said):
    experiment, lab = toy(None), Lab(tmp_path, dataclasses.replace(TINY, seeds=3))
    for setting, values in (("a", a), ("b", b)):
        for seed, value in enumerate(values):
            cache.run(tmp_path, "toy", setting, seed, lab.effort, lambda v=value: {"x": v})
    found = summary.rows(experiment, lab)
    assert found[0].mean["x"] == pytest.approx(np.mean(a)) and found[0].seeds == len(a)
    assert math.isnan(found[0].spread["x"]) == (len(a) == 1)
    if len(a) > 1:
        assert found[0].spread["x"] == pytest.approx(np.std(a, ddof=1))
    assert said in summary.verdicts(experiment, found)[0]
    document.write(tmp_path / "r.md", [experiment], lab)
    text = (tmp_path / "r.md").read_text()
    assert said in text and (tmp_path / "r-toy.png").stat().st_size > 1000
    assert f"| a | {document.cell(found[0].mean['x'], found[0].spread['x'])} | {len(a)} of 3 |" in text
    assert ("Not run yet: b." in text) == (not b)


def test_a_trained_model_is_kept_and_training_is_repeatable(tmp_path):
    config = experiment_shapes.config_of("s4token", sampling__tokens=16)
    first = experiment_parts.trained(config, 0, 2, TINY, tmp_path / "a.pt")
    second, kept = (experiment_parts.trained(config, 0, 2, TINY, tmp_path / name) for name in ("b.pt", "a.pt"))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]) and torch.equal(value, kept.state_dict()[name])
    other = experiment_parts.trained(config, 1, 2, TINY, tmp_path / "c.pt")
    assert not torch.equal(first.head[0].weight, other.head[0].weight)


def test_training_learns_parts(tmp_path):
    effort = dataclasses.replace(TINY, points=512, width=48, rate=3e-3)
    config = experiment_shapes.config_of("s4token", sampling__tokens=32, tokenizer__width=16)
    items = experiment_parts.tokens(config, effort)[0]
    before, after = (
        experiment_parts.evaluate(
            experiment_parts.trained(config, 0, steps, effort, tmp_path / f"{steps}.pt"), items, effort
        )["miou_i"]
        for steps in (0, 100)
    )
    assert after > before + 0.15


def test_rooms_are_scored_in_scannets_words():
    clouds = experiment_rooms.procedural(TINY)
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
    seen = experiment_rooms.encoded(Fake(), [cloud])
    assert experiment_rooms.score_furniture(Fake(), seen) == pytest.approx(
        (1 / 2 + 1) / 2
    )  # of the two classes that occur


def test_things_are_cut_out_of_rooms():
    rng = np.random.default_rng(0)
    xyz, instance = rng.random((1300, 3)), np.repeat([4, 7, 9, 11], [300, 300, 100, 600])
    names = np.array(["chair"] * 299 + ["floor"] + ["wall"] * 300 + ["sofa"] * 100 + ["bed"] * 600)
    found = list(experiment_crops.cut(xyz, instance, names, 512))
    assert [teacher_clip.TAUGHT[s.category] for s in found] == ["chair", "bed"] and [len(s.xyz) for s in found] == [
        300,
        512,
    ]
    assert set(map(tuple, found[1].xyz)) <= set(map(tuple, xyz[700:].astype(np.float32)))
    with pytest.raises(ValueError, match="1300 points, but 4 instance ids"):
        list(experiment_crops.cut(xyz, instance[:4], names, 512))
    assert all(
        len(s.xyz) >= experiment_crops.LEAST for s in experiment_crops.procedural(dataclasses.replace(TINY, points=300))
    )


def test_everything_runs_once_and_is_written(tmp_path):
    for module in (table1, table2, sweeps):
        assert set(module.EXPERIMENT.compared) <= set(module.EXPERIMENT.figures)
    lab = Lab(tmp_path / "cache", TINY)
    out = tmp_path / "docs" / "results.md"
    few = {
        "ball+rpn+spt",
        "2D targets",
        "parts, knn",
        "zero-shot, knn",
        "local+global",
        "K=4",
        "gamma=0.2",
        "alpha=0.5",
    }
    results.run(results.EXPERIMENTS, lab, out, settings=sorted(few))
    text = out.read_text()
    for experiment in results.EXPERIMENTS:
        assert experiment.title in text and f"--only {experiment.name}" in text
        assert out.with_name(f"results-{experiment.name}.png").is_file()
        wanted = [name for name in experiment.settings if name in few]
        assert [row.setting for row in summary.rows(experiment, lab)] == wanted
    assert "ScanNet's columns are empty" in text
    figures = cache.load(lab.folder, "table2", "ball+rpn+spt", 0, TINY)["figures"]
    assert figures["scannet_miou"] is figures["s3dis_miou"] is figures["scannet_furniture"] is None
    assert 0 <= figures["rooms_miou"] <= 1 and 0 <= figures["rooms_furniture"] <= 1


def test_the_default_of_all_sweeps_is_one_model(tmp_path):
    lab = Lab(tmp_path, TINY)
    same = [sweeps.compute(setting, 0, lab) for setting in sorted(sweeps.UNCHANGED & {"N=128", "scaled=1"})]
    assert same[0] == same[1] and len(list((tmp_path / "weights").iterdir())) == 1
    assert set(sweeps.EXPERIMENT.settings) >= sweeps.UNCHANGED
    raw = sweeps._config_of("scaled=0").tokenizer
    assert not raw.position_scaled and raw.position_octaves > sweeps._config_of("scaled=1").tokenizer.position_octaves


def test_a_finished_training_is_not_repeated(tmp_path):
    config, lab = experiment_shapes.config_of("s4token", sampling__tokens=16), Lab(tmp_path, TINY)
    first = distilled.trained("x", config, {"clusters": 4}, 0, lab)
    log = (tmp_path / "distilled" / "x-seed0" / "state.jsonl").read_text()
    again = distilled.trained("x", config, {"clusters": 4}, 0, lab)
    assert (tmp_path / "distilled" / "x-seed0" / "state.jsonl").read_text() == log
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in first.state_dict().items())


def test_the_command_line(tmp_path, capsys):
    assert results.main(["--quick", "--minutes", "0", "--cache", str(tmp_path), "--out", str(tmp_path / "r.md")]) == 0
    assert "Not run yet." in (tmp_path / "r.md").read_text()
    assert results.main(["--scannet", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert len({e.name for e in results.EXPERIMENTS}) == 6 and len(table1.EXPERIMENT.settings) == 8
