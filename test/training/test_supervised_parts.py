"""Supervised part segmentation: it learns, goes on after a kill as if it had not been, and keeps CLIP as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import two_ranks
import yaml

from s4token_model.segmenter import Segmenter
from s4token_model.training import settings, supervised, supervised_parts, train

CONFIG = (
    "task: parts\nsteps: 40\nbatch: 4\ntokens: 24\npoints: 128\nrate: 3.0e-3\nsave_every: 10\nprecision: fp32\n"
    "sampling.tokens: 24\nsuperpoints.regularization: 0.05\n"
)


def mug(rng) -> np.ndarray:
    """A cup and its handle: rows x y z nx ny nz label, y up; 36 handle, 37 cup."""
    angle, up = rng.uniform(0, 2 * np.pi, 400), rng.uniform(-1, 1, 400)
    cup = np.column_stack([np.cos(angle), up, np.sin(angle)])
    turn = rng.uniform(-np.pi / 2, np.pi / 2, 150)
    handle = np.column_stack([1 + 0.6 * np.cos(turn), 0.6 * np.sin(turn), rng.uniform(-0.1, 0.1, 150)])
    rows = np.concatenate([cup, handle]) * rng.uniform(0.8, 1.2)
    return np.c_[rows, np.zeros_like(rows), np.repeat([37, 36], [400, 150])]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        (folder / split).mkdir()
        for number in range(count):
            np.savetxt(folder / split / f"{split}{number}.txt", mug(rng), fmt="%.5f")
    (folder / "train" / "bad.txt").write_text("1 2 nan 0 0 0 36")
    return folder


def words(release, run, model, *more: str) -> list[str]:
    path = run.with_suffix(".yaml")
    path.write_text(CONFIG)
    return [str(path), f"data={release}", f"run={run}", f"init={model}", *more]


def test_it_learns_and_a_killed_run_gives_the_same(release, tmp_path, tiny_model):
    assert train.main(words(release, tmp_path / "whole", tiny_model)) == 0
    result = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert (result["train_samples"], result["test_shapes"]) == (8, 3)  # train and val without the damaged one
    assert result["miou_i"] == result["miou_c"] > 0.75  # one part for all gives 0.37
    log = [json.loads(line) for line in (tmp_path / "whole" / "state.jsonl").read_text().splitlines()]
    assert log[-1]["parts"] < 0.5 * log[0]["parts"]
    step = supervised.cosine_rate

    def dies(optimizer, peak, number, total):
        if number == 25:
            raise KeyboardInterrupt
        return step(optimizer, peak, number, total)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervised, "cosine_rate", dies)
        with pytest.raises(KeyboardInterrupt):
            train.main(words(release, tmp_path / "again", tiny_model))
    assert train.main(words(release, tmp_path / "again", tiny_model)) == 0
    one, two = (torch.load(tmp_path / k / "parts.pt", weights_only=True) for k in ("whole", "again"))
    assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
    assert not any("tuned" in key for key in one)
    Segmenter.load(tmp_path / "whole" / "model")  # the tokenizer is a checkpoint


def test_clip_is_trained_when_asked(release, tmp_path, tiny_model):
    assert train.main(words(release, tmp_path / "all", tiny_model, "steps=2", "tune_clip=true")) == 0
    state = torch.load(tmp_path / "all" / "parts.pt", weights_only=True)
    before = Segmenter.load(tiny_model).clip.model.visual.state_dict()
    changed = [k for k in before if not torch.equal(state[f"tuned.{k}"], before[k])]
    assert any("resblocks" in k for k in changed) and "conv1.weight" not in changed


def test_a_run_with_a_model_has_all_of_its_files(release, tmp_path, tiny_model, monkeypatch):
    def saves(folder, *_):
        assert (folder.parent / "results.json").is_file() and (folder.parent / "parts.pt").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(supervised.checkpoint, "save", saves)
    with pytest.raises(KeyboardInterrupt):
        train.main(words(release, tmp_path / "run", tiny_model, "steps=1"))


def test_logits_beyond_a_category_are_never_chosen(tiny_model):
    model = Segmenter.load(tiny_model)
    parts = supervised_parts.PartModel(model.tokenizer, model.clip, settings.TrainConfig())
    assert not any(p.requires_grad for p in model.clip.parameters())
    assert (
        len(supervised_parts.PART_COUNTS) == 16
        and sum(supervised_parts.PART_COUNTS) == 50
        and parts.task.shape[0] == 16
    )


def test_two_processes_give_the_losses_of_one(release, tmp_path, tiny_model):
    paths, heads = [], ("epcl", "point-bert")
    for head in heads:
        more = ("steps=2", "save_every=1", f"head={head}", "accumulate=2", "tune_clip=true", "dropout=0")
        assert train.main(words(release, tmp_path / f"{head}1", tiny_model, *more)) == 0
        paths.append(tmp_path / f"{head}2.yaml")
        changed = {"data": release, "run": tmp_path / f"{head}2", "init": tiny_model} | dict(w.split("=") for w in more)
        paths[-1].write_text(yaml.safe_dump(yaml.safe_load(CONFIG) | {k: str(v) for k, v in changed.items()}))
    two_ranks.train(paths)
    for head in heads:
        one, two = ((tmp_path / f"{head}{k}" / "state.jsonl").read_text().splitlines() for k in (1, 2))
        for a, b in zip(map(json.loads, one), map(json.loads, two), strict=True):
            assert a == pytest.approx(b, abs=1e-4), (head, a, b)
        results = [json.loads((tmp_path / f"{head}{k}" / "results.json").read_text()) for k in (1, 2)]
        assert results[0]["miou_i"] == pytest.approx(results[1]["miou_i"], abs=0.01)


def test_a_run_begun_before_a_setting_existed_goes_on(release, tmp_path, tiny_model):
    given = words(release, tmp_path / "r", tiny_model)
    config, pipeline = settings.read(given[0], given[1:])
    settings.save_config(tmp_path / "r", config, pipeline)
    path = tmp_path / "r" / "config.yaml"
    (tmp_path / "r" / "state.pt").touch()
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("tune_clip")))
    settings.save_config(tmp_path / "r", config, pipeline)
    other, _ = settings.read(given[0], [*given[1:], "tune_clip=true"])
    with pytest.raises(ValueError, match="tune_clip: False -> True"):
        settings.save_config(tmp_path / "r", other, pipeline)
