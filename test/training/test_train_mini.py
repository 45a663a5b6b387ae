"""Training of s4token-mini: exact resume, balanced scenes, the vocabulary of a step, the whole recipe end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_samples import fake_sample

from s4token_model import checkpoint, jobs
from s4token_model import config as configs
from s4token_model.config import ClipConfig, Config
from s4token_model.pipeline import clip
from s4token_model.pipeline.streets import cut_street
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.classes import INDOOR, PROCEDURAL, STREET
from s4token_model.segmenter import Segmenter
from s4token_model.training import (
    mini_clip,
    mini_tokenizer,
    procedural_samples,
    step_vocabulary,
    token_samples,
    train_mini,
)
from s4token_model.training.losses import text_loss
from s4token_model.training.mini_tokenizer import MiniTrainer
from s4token_model.training.procedural_samples import TrainingScenes
from s4token_model.training.scene_batches import SceneBatches
from s4token_model.training.settings import MiniConfig
from s4token_model.training.step_vocabulary import StepVocabulary


def fake_scenes(rooms: int, streets: int = 0) -> TrainingScenes:
    """Random samples; those of streets have classes of streets."""
    outdoors = [fake_sample(seed, 32) for seed in range(streets)]
    outdoors = [replace(s, point_label=s.point_label + np.int16(len(INDOOR))) for s in outdoors]
    indoors = [fake_sample(seed, 32) for seed in range(rooms)]
    return TrainingScenes(*(SceneBatches(found, dim=32) if found else None for found in (indoors, outdoors)))


MINI = configs.replace(
    MiniConfig(),
    {"steps": 4, "batch": 2, "tokens": 8, "patch_points": 8, "context_points": 8, "save_every": 2, "precision": "fp32"},
)
PIPELINE = configs.replace(Config(), {"tokenizer.width": 8, "sampling.tokens": 12})


@pytest.fixture(scope="module")
def frozen(tiny_model):
    return clip.load(ClipConfig(name=str(tiny_model / "clip"), pretrained=""))


def last_batch():
    """The batch of the last step, with all tokens."""
    return mini_tokenizer.draw(fake_scenes(3), MINI.steps - 1, 0.99, PIPELINE, MINI)


def fit(frozen, run, config=MINI):
    return mini_tokenizer.train(fake_scenes(3), fake_scenes(2), frozen, PIPELINE, config, run).state_dict()


def logged(run):
    return [json.loads(line) for line in (run / "tokenizer.jsonl").read_text().splitlines()]


def test_the_tokenizer_resumes_to_the_same_weights_and_leaves_clip_alone(frozen, tmp_path, monkeypatch):
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    whole = fit(frozen, tmp_path / "a")
    draw = mini_tokenizer.draw

    def killed(samples, step, *rest):
        if step == 3:
            raise KeyboardInterrupt
        return draw(samples, step, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mini_tokenizer, "draw", killed)
        fit(frozen, tmp_path / "b")
    again = fit(frozen, tmp_path / "b")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert all(torch.equal(before[name], tensor) for name, tensor in frozen.state_dict().items())
    assert [line["step"] for line in logged(tmp_path / "b")] == [2, 4] and "held_out_miou" in logged(tmp_path / "b")[0]


def test_a_limit_of_time_ends_the_training_with_its_schedule_finished(frozen, tmp_path, monkeypatch):
    clock = iter(np.arange(0.0, 90, 10))  # every step takes ten seconds
    monkeypatch.setattr(mini_tokenizer, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    rates, tokens = [], []
    cosine_rate, draw = mini_tokenizer.cosine_rate, mini_tokenizer.draw
    monkeypatch.setattr(mini_tokenizer, "cosine_rate", lambda *given: rates.append(cosine_rate(*given)))

    def drawn(*given):
        batch = draw(*given)
        tokens.append(batch.inputs.position.shape[1])
        return batch

    monkeypatch.setattr(mini_tokenizer, "draw", drawn)
    limited = configs.replace(MINI, {"train_minutes": 1.0, "last_rate": 0.0, "steps": 1, "full_share": 0.4})
    fit(frozen, tmp_path, limited)
    lines = logged(tmp_path)
    assert [line["step"] for line in lines] == [2, 4, 5] and ["held_out_miou" in line for line in lines] == [0, 0, 1]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.1 * rates[0] and tokens == [8, 8, 8, 12, 12]
    clock = iter(np.arange(0.0, 90, 10))
    fit(frozen, tmp_path, limited)  # a finished run takes no further step
    assert logged(tmp_path) == lines


def test_a_loss_that_is_not_finite_ends_the_training_unsaved(frozen, tmp_path, monkeypatch):
    draw = mini_tokenizer.draw

    def broken(samples, step, *rest):
        batch = draw(samples, step, *rest)
        return batch if step < 2 else batch._replace(weights=batch.weights * torch.nan)

    monkeypatch.setattr(mini_tokenizer, "draw", broken)
    with pytest.raises(ValueError, match=r"loss text is not finite.*nan_batch\.pt"):
        fit(frozen, tmp_path)
    assert torch.load(tmp_path / "tokenizer.pt", weights_only=True)["step"] == 2


def test_every_loss_reaches_every_part_of_the_tokenizer(frozen):
    trainer = MiniTrainer(frozen, PIPELINE, configs.replace(MINI, {"distill_weight": 0.2}), torch.ones(6))
    batch = last_batch()
    text = torch.nn.functional.normalize(torch.randn(6, 32), dim=-1)
    losses = trainer.compute_losses(batch, StepVocabulary(torch.arange(6), torch.arange(6)), text)
    assert set(losses) == {"local", "global", "text"}
    without = MiniTrainer(frozen, PIPELINE, MINI, torch.ones(6))
    assert set(without.compute_losses(batch, StepVocabulary(torch.arange(6), torch.arange(6)), text)) == {"text"}
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, list(trainer.tokenizer.parameters()), retain_graph=True)
        assert all(torch.isfinite(g).all() for g in gradients), name
        assert sum(bool(g.any()) for g in gradients) == len(gradients), name


def test_pictures_of_a_resumed_run_are_those_of_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(mini_clip, "load_part", lambda path, _: path)
    monkeypatch.setattr(mini_clip, "_batch", lambda pool, config, rng: (sorted(pool), rng.random()))
    monkeypatch.setattr(mini_clip, "CACHE_SCENES", 5)
    monkeypatch.setattr(mini_clip, "CACHE_STEPS", 6)
    paths = [tmp_path / str(k) for k in range(40)]
    whole = mini_clip._batches(paths, MINI, 0)
    expected = [next(whole) for _ in range(15)]
    assert expected[0][0] != expected[6][0]
    for start in (3, 6, 8):
        resumed = mini_clip._batches(paths, MINI, start)
        assert [next(resumed) for _ in range(15 - start)] == expected[start:]


def test_rooms_with_rare_classes_are_drawn_more_often():
    chair, sink, lamp = (np.full(64, PROCEDURAL.index(name), np.int16) for name in ("chair", "sink", "lamp"))
    labels = [chair] * 6 + [sink] * 2
    assert np.allclose(procedural_samples.scene_weights(labels, 0.0), 1 / 8, rtol=0.2)
    alike = procedural_samples.scene_weights(labels, 1.0)
    assert alike.sum() == pytest.approx(1) and alike[6:].sum() == pytest.approx(0.5, abs=0.05)
    both = procedural_samples.scene_weights(
        [*labels, np.r_[chair, sink], np.r_[chair, sink[:3]], lamp, chair[:0] - 1], 1.0
    )
    assert both[8] == max(both) and both[9] == pytest.approx(both[0])  # three points of a sink are no sink
    assert 0 < both[10] == both[11] < both[0] / 2
    assert np.allclose(procedural_samples.scene_weights([lamp, lamp], 1.0), 0.5)


def test_the_recipe_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_mini, "HELD_OUT_SCENES", 1)
    monkeypatch.setattr(jobs, "run", lambda function, items, *_: (function(item) for item in items))  # here
    monkeypatch.setattr(procedural_samples, "KIND_CHANCES", (0.0, 0.0, 0.0, 1.0))  # objects: quick to scan
    small = {"embed_dim": 16, "vision_cfg": mini_clip.ARCHITECTURE["vision_cfg"] | {"layers": 1, "width": 64}}
    small["text_cfg"] = mini_clip.ARCHITECTURE["text_cfg"] | {"layers": 1, "width": 16, "heads": 2}
    monkeypatch.setattr(mini_clip, "ARCHITECTURE", small)
    sizes = "scenes=2 clip_scenes=2 views=2 view_pixels=64 points=64 text_steps=2 clip_steps=2 clip_images=6 steps=2"
    arguments = [*sizes.split(), "batch=2", "tokens=16", "save_every=1", "tokenizer.width=8", "sampling.tokens=32"]
    arguments += [f"run={tmp_path / 'run'}", f"out={tmp_path / 'out'}"]
    train_mini.main([*arguments, "distill_weight=0.2"])
    provenance = json.loads((tmp_path / "out" / "config.json").read_text())["provenance"]
    assert len(provenance["clip_sha256"]) == 64 and provenance["training"]["steps"] == 2
    xyz = np.random.default_rng(0).random((800, 3))
    result = Segmenter.load(tmp_path / "out").segment(xyz)
    assert (result.labels < 20).all()
    before = (tmp_path / "out" / "tokenizer.safetensors").read_bytes()
    train_mini.main([*arguments, "distill_weight=0.2"])  # everything is there: nothing is trained again
    assert (tmp_path / "out" / "tokenizer.safetensors").read_bytes() == before
    with pytest.raises(ValueError, match="begun with other settings"):
        train_mini.main([*arguments, "tokenizer.width=16"])
    with pytest.raises(ValueError, match="begun with other settings"):
        train_mini.main([*arguments, f"shapes={tmp_path}"])
    with pytest.raises(ValueError, match="begun with other settings"):
        train_mini.main([*arguments, "plain_rooms=0.5", f"shapes={tmp_path}"])
    for words in (["plain_rooms=0.5"], ["teacher_rooms=true"], ["start_weight=0.5"]):
        with pytest.raises(ValueError, match="has no effect without"):
            train_mini.parse(words)
    further = [f"start={tmp_path / 'out'}", "rate=1e-7", f"run={tmp_path / 'further'}", f"out={tmp_path / 'third'}"]
    train_mini.main([*arguments, *further])  # at this rate it hardly leaves where it starts
    pairs = [checkpoint.load(tmp_path / name)[0].state_dict() for name in ("out", "third")]
    assert all(torch.allclose(tensor, pairs[1][name], atol=1e-5) for name, tensor in pairs[0].items())
    found = json.loads((tmp_path / "third" / "config.json").read_text())["provenance"]
    assert found["clip_sha256"] == provenance["clip_sha256"]
    assert found["start_sha256"] == checkpoint.digest(tmp_path / "out" / "tokenizer.safetensors")
    # The mean with the start: of the same training, which is not done again
    own, mixed = tmp_path / "own", tmp_path / "mixed"
    apart = [f"start={tmp_path / 'out'}", "rate=1", f"run={own}"]
    train_mini.main([*arguments, *apart, f"out={own / 'out'}"])
    train_mini.main([*arguments, *apart, f"out={mixed}", "start_weight=0.25"])
    weights = [checkpoint.load(folder)[0].state_dict() for folder in (own / "out", mixed)]
    for name, start in pairs[0].items():
        torch.testing.assert_close(weights[1][name], 0.75 * weights[0][name] + 0.25 * start, atol=1e-6, rtol=0)
    assert any((weights[0][name] - start).abs().max() > 1e-5 for name, start in pairs[0].items())
    with pytest.raises(ValueError, match="start with the tokenizer of this size"):
        train_mini.parse([*arguments, apart[0], f"out={mixed}", "start_weight=0.25", "tokenizer.width=16"])
    with pytest.raises(ValueError, match="give another out="):
        train_mini.parse([*arguments, apart[0], apart[0].replace("start=", "out="), "start_weight=0.25"])
    # A tokenizer of another size takes what fits
    fourth = [f"run={tmp_path / 'fourth'}", f"out={tmp_path / 'fourth' / 'out'}", "tokenizer.width=16"]
    train_mini.main([*arguments, *further[:2], *fourth])
    assert "tensors begin at random: context.local.0.bias, " in capsys.readouterr().out
    wider = checkpoint.load(tmp_path / "fourth" / "out")[0].state_dict()
    torch.testing.assert_close(wider["mix.1.weight"], pairs[0]["mix.1.weight"], atol=1e-5, rtol=0)
    # A CLIP of its own, and the tokenizer from scratch; no picture is taken
    fifth = tmp_path / "fifth"
    words = [f"clip={tmp_path / 'out' / 'clip'}", f"run={fifth}", f"out={fifth / 'out'}", "scene_minutes=1e-9"]
    train_mini.main([*arguments, *words])
    found = json.loads((fifth / "out" / "config.json").read_text())["provenance"]
    assert found["clip_sha256"] == provenance["clip_sha256"] and "start_sha256" not in found
    assert found["data"] == "1 clouds of procedural scenes, seeds 00000001 to 00000001"
    assert not (fifth / "pictures").exists() and not (fifth / "targets").exists()
    assert token_samples.load_sample(fifth / "scenes" / "00000001.safetensors").pictures is None
    # Trained while scenes are made, which are read from a folder
    beside = [f"run={tmp_path / 'beside'}", f"out={tmp_path / 'beside' / 'out'}", "first_scenes=1"]
    with pytest.raises(ValueError, match="first_scenes= trains without 2D targets"):
        train_mini.main([*arguments, *words[:1], *beside, "distill_weight=0.2"])
    train_mini.main([*arguments, *words[:1], *beside])
    found = json.loads((tmp_path / "beside" / "out" / "config.json").read_text())["provenance"]
    assert found["data"].startswith(("1 ", "2 ")) and found["training"]["first_scenes"] == 1
    shortened = [f"start={checkpoint.MINI}", "distill_weight=0.2", f"run={tmp_path / 'seventh'}"]
    with pytest.raises(ValueError, match="this CLIP does not take; give clip="):
        train_mini.main([*arguments, *shortened, f"out={tmp_path / 'seventh' / 'out'}"])
    assert not (tmp_path / "seventh" / "scenes").exists()
    with pytest.raises(ValueError, match=r"holds no open_clip_config\.json; clip= takes"):
        train_mini.main([*arguments, f"clip={tmp_path}", f"run={tmp_path / 'sixth'}"])


def test_a_teacher_is_followed_less_and_less(frozen, tiny_model):
    taught = {"teacher": str(tiny_model), "teacher_part": 0.5, "seed": 9}
    trainer = MiniTrainer(frozen, checkpoint.read_config(tiny_model), configs.replace(MINI, taught), torch.ones(6))
    assert [trainer.taught(done, True) for done in (0.0, 0.25, 0.5, 0.9)] == [10.0, 5.0, 0.0, 0.0]
    trainer.config = configs.replace(trainer.config, {"teacher_rooms": True})
    assert [trainer.taught(0.9, outdoors) for outdoors in (False, True)] == [10.0, 0.0]
    names, text = StepVocabulary(torch.arange(6), torch.arange(6)), torch.eye(6, 32)
    assert set(trainer.compute_losses(last_batch(), names, text)) == {"text"}
    loss = trainer.compute_losses(last_batch(), names, text, taught=5.0)["teacher"]
    assert 0.1 < loss < 10
    # The teacher's weights get no gradient, and for itself nothing is left to learn
    loss.backward()
    assert all(weight.grad is None for weight in trainer.teacher[0].parameters())
    trainer.tokenizer.load_state_dict(trainer.teacher[0].state_dict())
    assert trainer.compute_losses(last_batch(), names, text, taught=5.0)["teacher"] < 1e-5
    assert MiniTrainer(frozen, PIPELINE, MINI, torch.ones(6)).taught(0.0, False) == 0


def test_weights_that_fit_a_tokenizer_of_another_size_are_taken(capsys):
    old, new = (Tokenizer(configs.replace(PIPELINE, {"tokenizer.layers": n}).tokenizer, 32) for n in (3, 2))
    plain = Tokenizer(configs.replace(PIPELINE, {"tokenizer.layers": 2, "tokenizer.maxima": 1}).tokenizer, 32)
    before = plain.patch.local[2].weight.clone()
    for smaller in (new, plain):
        mini_tokenizer.load_fitting(smaller, old.state_dict())
        torch.testing.assert_close(smaller.layers[1].qkv.weight, old.layers[1].qkv.weight, atol=0, rtol=0)
    assert torch.equal(plain.patch.local[2].weight, before)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 and "context.local.2.bias" in printed[0]  # all of the first fit
    bare = configs.replace(PIPELINE, {"tokenizer.layers": 0, "tokenizer.context": False}).tokenizer
    mini_tokenizer.load_fitting(Tokenizer(bare, 32), Tokenizer(bare, 32).state_dict())
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="start: no weights fit"):
        mini_tokenizer.load_fitting(Tokenizer(PIPELINE.tokenizer, 64), old.state_dict())


def test_the_text_loss_of_a_step_is_over_its_class_names(frozen):
    trainer = MiniTrainer(frozen, PIPELINE, MINI, torch.ones(6))
    batch = last_batch()
    batch.label[0, :5] = -1  # without a label
    text = torch.nn.functional.normalize(torch.randn(6, 32), dim=-1)
    names = StepVocabulary(torch.tensor([0, 2, 3, 5]), torch.tensor([0, -1, 1, 2, -1, 3]))
    losses = trainer.compute_losses(batch, names, text)
    features, _ = frozen.encode_tokens(trainer.tokenizer(batch.inputs))
    points = batch.weights @ torch.nn.functional.normalize(features, dim=-1)
    keep = (batch.label >= 0) & (names.row[batch.label] >= 0)
    row = names.row[batch.label[keep]]
    expected = text_loss(points[keep], text[names.names], row, torch.ones(4), PIPELINE.vocabulary.temperature)
    assert torch.isclose(losses["text"], MINI.text_weight * expected)


def test_with_streets_some_steps_have_only_their_class_names():
    classes = mini_tokenizer.class_names(configs.replace(MINI, {"street_share": 0.5}))
    assert mini_tokenizer.class_names(configs.replace(MINI, {"street_share": 0.0})) == INDOOR and classes == PROCEDURAL
    found = step_vocabulary.draw_vocabulary(np.random.default_rng(0), classes, True)
    names = [classes[k] for k in found.names]
    assert names == ["person", *STREET] and len(found.row) == len(classes)
    assert [int(found.row[classes.index(name)]) for name in names] == list(range(len(names)))
    assert int((found.row >= 0).sum()) == len(names)


def test_street_steps_draw_only_streets():
    config = configs.replace(MINI, {"street_share": 0.5, "street_steps": 0.25})
    rooms, samples = fake_scenes(6), fake_scenes(6, 6)
    assert not any(mini_tokenizer.is_street_step(step, rooms, config) for step in range(50))  # there is no street
    streets = [mini_tokenizer.is_street_step(step, samples, config) for step in range(400)]
    assert 0.15 < np.mean(streets) < 0.35
    for outdoors in (False, True):
        batch = mini_tokenizer.draw(samples, streets.index(outdoors), 0.0, PIPELINE, config)
        assert bool((batch.label >= len(INDOOR)).all()) == bool((batch.label >= len(INDOOR)).any()) == outdoors


def test_mixed_steps_show_two_scenes_in_a_cloud_but_not_the_last_ones():
    config = configs.replace(MINI, {"mix": 0.5, "batch": 3, "full_share": 0.25})
    sizes = [mini_tokenizer.draw(fake_scenes(6), step, 0.5, PIPELINE, config).label.shape for step in range(40)]
    points = config.step_points
    assert set(sizes) == {(3, points), (2, 2 * points)}
    assert 0.2 < np.mean([size[0] == 2 for size in sizes]) < 0.8
    last = [mini_tokenizer.draw(fake_scenes(6), step, 0.8, PIPELINE, config).label.shape for step in range(40)]
    assert set(last) == {(3, points)}


def test_scenes_that_come_during_the_training_are_trained_on(frozen, tmp_path, monkeypatch):
    drawn, more = [], iter([None, None, fake_scenes(5, 2), None])
    draw = mini_tokenizer.draw

    def recorded(samples, *rest):
        drawn.append(samples.rooms.size)
        return draw(samples, *rest)

    monkeypatch.setattr(mini_tokenizer, "draw", recorded)
    config = configs.replace(MINI, {"street_share": 0.5})
    mini_tokenizer.train(fake_scenes(3), fake_scenes(2), frozen, PIPELINE, config, tmp_path, lambda: next(more))
    assert drawn == [3, 3, 5, 5]


def test_a_street_is_scanned_again_from_elsewhere(tmp_path):
    config = configs.replace(MINI, {"street_share": 1.0, "street_scans": 2, "points": 64, "workers": 1})
    paths = procedural_samples.prepare(tmp_path, range(3, 5), PIPELINE, config)
    assert [path.stem for path in paths] == ["00000003-1", "00000003", "00000004-1", "00000004"]
    second, first = map(token_samples.load_sample, paths[:2])
    assert procedural_samples.is_outdoors(first.point_label) and procedural_samples.is_outdoors(second.point_label)
    assert not np.array_equal(first.point, second.point)
    once = next(procedural_samples.make_samples(3, PIPELINE, configs.replace(config, {"street_scans": 1})))
    np.testing.assert_array_equal(once.point, first.point)  # the first scan is the same


def test_what_a_camera_scans_has_colors_and_what_a_lidar_scans_is_gray(monkeypatch):
    monkeypatch.setattr(procedural_samples, "KIND_CHANCES", (0.0, 0.0, 0.0, 1.0))
    pipeline = configs.replace(PIPELINE, {"tokenizer.features": "rgb"})
    found = []
    for street_share in (0.0, 1.0):
        config = configs.replace(MINI, {"street_share": street_share, "points": 64})
        sample = next(procedural_samples.make_samples(3, pipeline, config))
        valid = np.arange(sample.patch.shape[1]) < sample.patch_count[:, None]
        assert sample.patch.shape[2] == 6 and not sample.patch[~valid].any()
        found.append(sample.patch[valid][:, 3:])
    assert np.ptp(found[0]) > 0.1 and (found[1] == 0.5).all()


def test_a_teacher_that_reads_other_features_is_refused_before_any_scene():
    with pytest.raises(ValueError, match="tokenizer.features=rgb needs a teacher= with the same"):
        train_mini.parse(["teacher=s4token-mini", "tokenizer.features=rgb"])


def test_streets_are_trained_in_the_windows_that_they_are_labeled_in(monkeypatch):
    found = []

    def cut(patched, **rest):
        found.append((patched, cut_street(patched, **rest)))
        return found[-1][1]

    monkeypatch.setattr(procedural_samples, "cut_street", cut)
    pipeline = configs.replace(PIPELINE, {"sampling.tokens": 256, "windows.street_spacing": 0.2})
    config = configs.replace(MINI, {"street_share": 1.0, "points": 64})
    samples = [next(procedural_samples.make_samples(seed, pipeline, config)) for seed in (3, 4, 5, 7)]
    few = [after is before for before, after in found]  # one in four scenes has one window, and far ones had several
    assert 0 < sum(few) < 4 and all(len(sample.position) <= 256 for sample in samples)
    for (before, after), same in zip(found, few, strict=True):
        assert same or len(before.windows) == 1 < len(after.windows)
    # Rooms are not cut again
    next(procedural_samples.make_samples(3, pipeline, configs.replace(config, {"street_share": 0.0})))
    assert len(found) == 4


def test_scenes_are_loaded_with_targets_and_balanced(tmp_path):
    paths = [tmp_path / "scenes" / f"{k}.safetensors" for k in range(4)]
    for folder in ("scenes", "targets"):
        (tmp_path / folder).mkdir()
    for k, (path, name) in enumerate(zip(paths, ("chair", "chair", "chair", "road"), strict=True)):
        sample = fake_sample(k, 32)
        token_samples.save_arrays(
            tmp_path / "targets" / path.name, token_samples.part_to_arrays(sample.targets, "targets")
        )
        label = np.full(40, PROCEDURAL.index(name), np.int16)
        token_samples.save_sample(path, replace(sample, targets=None, point_label=label))
    found = procedural_samples.load_scenes(paths, "cpu", tmp_path / "targets", 32, 1.0)
    assert (found.rooms.size, found.streets.size) == (3, 1) and found.streets.weights is None
    np.testing.assert_allclose(found.rooms.weights, 1 / 3)
    expected = [fake_sample(k, 32).targets.global_feature for k in range(3)]
    np.testing.assert_array_equal(found.rooms.targets.global_feature, np.stack(expected))
    found = procedural_samples.load_scenes(paths[:3], "cpu")
    assert found.rooms.weights is None and found.streets is None and found.rooms.targets.feature.numel() == 0


def test_half_of_the_steps_have_scannets_class_names():
    drawn = [step_vocabulary.draw_vocabulary(np.random.default_rng(k)) for k in range(400)]
    last = len(INDOOR)
    scannet = [bool((d.names == last).any()) for d in drawn]
    assert 0.4 < np.mean(scannet) < 0.6 and 0.15 < np.mean([len(d.names) == last for d in drawn]) < 0.35
    for found, with_other in zip(drawn, scannet, strict=True):
        named = found.row >= 0
        names = found.names[found.row[named]]
        other = names == last
        assert torch.equal(names[~other], named.nonzero().flatten()[~other]) and bool(other.any()) == with_other
