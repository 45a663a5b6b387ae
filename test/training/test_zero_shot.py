"""Evaluation during training: the scores of `s4token evaluate`, in log, state and model, the same after a kill."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from box_room import room, write_votenet
from fake_samples import fake_sample

from s4token_model import checkpoint, cli
from s4token_model.evaluation import benchmarks
from s4token_model.training import pretrain, zero_shot
from s4token_model.training.sampler import Sampler
from s4token_model.training.settings import TrainConfig

SHAPES = {"bowl": (1, 1, 1), "bench": (3, 0.2, 0.3), "door": (0.1, 1.0, 2.0)}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """ModelNet40 in the layout of resampled points: ellipsoids, four of each kind in the test split, one damaged."""
    folder, rng, names = tmp_path_factory.mktemp("modelnet"), np.random.default_rng(0), []
    for name, scale in SHAPES.items():
        (folder / name).mkdir()
        for number in range(4):
            xyz = rng.normal(size=(300, 3))
            xyz *= np.array(scale) / np.linalg.norm(xyz, axis=1, keepdims=True)
            names.append(f"{name}_{number:04d}")
            np.savetxt(folder / name / f"{names[-1]}.txt", np.c_[xyz, xyz], delimiter=",", fmt="%.5f")
    (folder / "door" / "door_0003.txt").write_text("no,numbers,at all")
    (folder / "modelnet40_test.txt").write_text("\n".join(names))
    return folder


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scannet")
    write_votenet(folder, "scene0000_00")
    (folder / "scannetv2_val.txt").write_text("scene0000_00\n")
    return folder


def scorer(root, model, split="val", clouds=0):
    config = TrainConfig(evaluate=str(root), evaluate_split=split, evaluate_clouds=clouds)
    tokenizer, clip, pipeline = checkpoint.load(model)
    return zero_shot.ZeroShot(zero_shot.find(root, split), config, pipeline, tokenizer.train(), clip)


def test_objects_score_what_the_command_measures(objects, tiny_model, capsys):
    found = scorer(objects, tiny_model)
    result = benchmarks.run("modelnet", model=tiny_model, as_json=True, root=objects)
    assert found.scores() == {"zero_shot/accuracy": result["accuracy"]} and result["objects"] == 11
    assert "1 of 12 clouds to evaluate on failed" in capsys.readouterr().err
    assert found.tokenizer.training and found.scores() == {"zero_shot/accuracy": result["accuracy"]}
    assert len(scorer(objects, tiny_model, clouds=6).items) == 6


def test_rooms_score_what_the_command_measures(rooms, tiny_model):
    result = benchmarks.run("scannet", model=tiny_model, as_json=True, root=rooms)["methods"]["model"]
    found = scorer(rooms, tiny_model).scores()
    assert found == {"zero_shot/miou": result["miou"], "zero_shot/accuracy": result["accuracy"]}
    assert scorer(rooms, tiny_model, "all").scores() == found


def test_processes_score_parts_and_sum_their_counts(objects, tiny_model, monkeypatch):
    config, (tokenizer, clip, pipeline) = TrainConfig(evaluate_clouds=0), checkpoint.load(tiny_model)
    data_set = zero_shot.find(objects, "test")
    ranks = [zero_shot.ZeroShot(data_set, config, pipeline, tokenizer, clip, rank, 2) for rank in range(2)]
    assert sorted(ranks[0].items + ranks[1].items) == sorted(data_set.items) and len(ranks[0].items) == 6
    counted = []

    def add_the_others(counts):
        counted.append(counts.clone())
        counts += sum(counted[:-1])

    monkeypatch.setattr(zero_shot, "world_size", lambda: 2)
    monkeypatch.setattr(zero_shot.dist, "all_reduce", add_the_others)
    _, together = (rank.scores() for rank in ranks)
    monkeypatch.undo()
    assert together == scorer(objects, tiny_model).scores() and int(sum(counted).sum()) == 11


@pytest.fixture
def run(objects, tiny_model, tmp_path):
    """Train a few steps in tmp_path/NAME, killed before step `stop`; returns the state and the log."""

    def start(name, stop=None, steps=6):
        words = TrainConfig(
            run=str(tmp_path / name), steps=steps, batch=2, tokens=12, points=32, patch_points=8, context_points=8,
            save_every=3, evaluate=str(objects), evaluate_every=2, evaluate_clouds=4, decoder_layers=1, clusters=3,
            rounds=2, precision="fp32", rate=1e-2,
        )  # fmt: skip
        tokenizer, clip, pipeline = checkpoint.load(tiny_model)
        trainer = pretrain.Trainer(tokenizer.train(), clip, words, 0, 1)
        trainer.zero_shot = zero_shot.ZeroShot(zero_shot.find(objects, "val"), words, pipeline, tokenizer, clip)
        step = trainer.step

        def dies(number, *more):
            if number == stop:
                raise KeyboardInterrupt
            return step(number, *more)

        trainer.step = dies
        try:
            pretrain.train(Sampler([fake_sample(k, 32) for k in range(4)], 32), None, trainer)
        except KeyboardInterrupt:
            return None
        log = [json.loads(line) for line in (tmp_path / name / "state.jsonl").read_text().splitlines()]
        return torch.load(tmp_path / name / "state.pt", weights_only=True), log

    return start


def test_log_and_state_have_the_scores_and_a_killed_run_has_the_same(run):
    state, log = run("one")
    assert list(state["evaluations"]) == ["0", "2", "4"]
    scores = [found["zero_shot/accuracy"] for found in state["evaluations"].values()]
    assert log[0]["zero_shot/accuracy"] == pytest.approx((scores[0] + scores[1]) / 2, abs=1e-5)  # of steps 0 to 2
    assert log[1]["zero_shot/accuracy"] == pytest.approx(scores[2], abs=1e-5)
    assert run("two", stop=5) is None
    again, _ = run("two")
    assert again["evaluations"] == state["evaluations"]
    for key, tensor in state["model"].items():
        torch.testing.assert_close(again["model"][key], tensor, rtol=0, atol=0)


def test_evaluation_does_not_change_the_training(run, monkeypatch):
    state, _ = run("one", steps=3)
    monkeypatch.setattr(zero_shot.ZeroShot, "scores", lambda self: {"zero_shot/accuracy": 0.5})
    other, _ = run("two", steps=3)
    assert other["evaluations"]["0"] == {"zero_shot/accuracy": 0.5}
    for key, tensor in state["model"].items():
        torch.testing.assert_close(other["model"][key], tensor, rtol=0, atol=0)


def test_the_model_says_how_it_scored(objects, rooms, tiny_model, tmp_path):
    (tmp_path / "clouds").mkdir()
    xyz, _ = room(0.15)
    np.save(tmp_path / "clouds" / "a.npy", xyz.astype(np.float32))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "steps: 2\nbatch: 1\ntokens: 12\npoints: 64\ndecoder_layers: 1\nclusters: 3\nheld_out: 0.0\nprecision: fp32\n"
        "local_weight: 0\nglobal_weight: 0\n"
    )
    words = [str(recipe), f"data={tmp_path / 'clouds'}", f"run={tmp_path / 'run'}", f"init={tiny_model}"]
    assert cli.main(["train", *words, f"evaluate={objects}", "evaluate_every=2", "evaluate_clouds=3"]) == 0
    record = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["provenance"]
    assert list(record["zero_shot"]) == ["0", "2"]
    assert 0 <= record["zero_shot"]["2"]["zero_shot/accuracy"] <= 1


def test_what_is_wrong_is_named(objects, rooms, tmp_path, tiny_model, capsys):
    with pytest.raises(
        ValueError, match="no data set with a split val to evaluate on; .*scene.*ScanObjectNN.*ModelNet40"
    ):
        zero_shot.find(tmp_path, "val")
    with pytest.raises(ValueError, match="no data set with a split train to evaluate on; which rooms are of train"):
        zero_shot.find(rooms, "train")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"data: {tmp_path}\nrun: {tmp_path / 'run'}\ninit: {tiny_model}\n")
    assert cli.main(["train", str(recipe), "evaluate=nowhere"]) == 2
    assert "evaluate=nowhere: no data set with a split val" in capsys.readouterr().err
    assert cli.main(["train", str(recipe), f"evaluate={objects}", "task=parts"]) == 2
    assert "has no effect with task=parts" in capsys.readouterr().err
