"""Self-supervised training: every loss against its formula, exact resume, the same losses over two processes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import two_ranks
from value_reads import NoValueReads

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.pipeline.patched_cloud import network_input
from s4token_model.segmenter import Segmenter
from s4token_model.training import prepare, settings, targets_depth_views, train
from s4token_model.training.batches import DrawConfig, make_batch
from s4token_model.training.clustering import farthest_tokens, masked_sinkhorn, spatial_clusters, within_radius
from s4token_model.training.losses import assignment_loss
from s4token_model.training.masked_modeling import (
    QueryDecoder,
    Teacher,
    draw_masks,
    first_momentum,
    gather,
    momentum_at,
)
from s4token_model.training.sampler import Sampler
from s4token_model.training.token_samples import load_sample
from s4token_model.training.train import split


def rngs(count: int):
    return [np.random.default_rng(k) for k in range(count)]


@pytest.mark.parametrize("tokens", [10, 128, 13])
def test_masking_hides_the_floor_and_shows_the_ceiling(tokens):
    visible, masked = draw_masks(tokens, 0.6, rngs(3))
    assert masked.shape == (3, math.floor(0.6 * tokens + 1e-9)) and visible.shape[1] == tokens - masked.shape[1]
    for seen, hidden in zip(visible, masked, strict=True):
        assert sorted([*seen.tolist(), *hidden.tolist()]) == list(range(tokens))


def test_the_decoder_reads_visible_tokens_alone():
    torch.manual_seed(0)
    decoder = QueryDecoder(16, 2).eval()
    visible, at, asked = torch.randn(1, 5, 16), torch.randn(1, 5, 3), torch.randn(1, 4, 3)
    whole = decoder(visible, at, asked)
    alone = torch.cat([decoder(visible, at, asked[:, k : k + 1]) for k in range(4)], dim=1)
    assert torch.allclose(whole, alone, atol=1e-6)  # masked tokens do not see each other
    order = torch.tensor([3, 1, 4, 0, 2])
    assert torch.allclose(whole, decoder(visible[:, order], at[:, order], asked), atol=1e-6)
    assert not torch.allclose(whole, decoder(visible * 2, at, asked), atol=1e-3)


def test_sinkhorn_meets_its_marginals_and_its_mask():
    rng = torch.Generator().manual_seed(1)
    similarity, mask = torch.rand(2, 40, 5, generator=rng), torch.rand(2, 40, 5, generator=rng) < 0.6
    mask[..., 0] = True
    gamma = masked_sinkhorn(similarity, mask, 400)
    assert torch.allclose(gamma.sum(-1), torch.ones(2, 40), atol=1e-5)
    assert torch.allclose(gamma.sum(-2), torch.full((2, 5), 8.0), rtol=1e-3)
    assert not gamma[~mask].any()
    mask[:, :, 3] = False  # nobody may go there
    assert (
        torch.isfinite(masked_sinkhorn(similarity, mask)).all() and not masked_sinkhorn(similarity, mask)[..., 3].any()
    )


def test_sinkhorn_is_the_plain_algorithm():
    similarity = torch.rand(1, 12, 3, dtype=torch.float64)
    kernel = torch.exp(similarity[0] / 0.05)
    for _ in range(3):
        kernel = kernel / kernel.sum(0) * (12 / 3)
        kernel = kernel / kernel.sum(1, keepdim=True)
    got = masked_sinkhorn(similarity, torch.ones(1, 12, 3, dtype=torch.bool), 3)
    assert torch.allclose(got[0], kernel, atol=1e-9)


def test_clusters_find_groups_that_lie_apart():
    torch.manual_seed(0)
    centers, group = torch.tensor([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]]), torch.arange(30) % 3
    xyz = (centers[group] + torch.randn(30, 3) * 0.1)[None]
    features = (torch.eye(8)[group] + 0.05 * torch.randn(30, 8))[None]
    found = spatial_clusters(features, xyz, 3)
    best = found.assignment[0].argmax(-1)
    assert all(len(set(best[group == g].tolist())) == 1 for g in range(3)) and len(set(best.tolist())) == 3
    for g in range(3):  # Eq. 15: centroids are the means of what they hold
        assert torch.allclose(found.xyz[0, best[g]], xyz[0, group == g].mean(0), atol=1e-3)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_clusters_do_not_depend_on_the_unit(scale):
    torch.manual_seed(2)
    features, xyz = torch.randn(2, 40, 8), torch.randn(2, 40, 3)
    here, there = spatial_clusters(features, xyz, 6), spatial_clusters(features, xyz * scale, 6)
    assert torch.allclose(here.assignment, there.assignment, atol=1e-4)
    assert torch.allclose(here.assignment.sum(-1), torch.ones(2, 40), atol=1e-5)


def test_clusters_of_equal_points_hold_no_nan():
    found = spatial_clusters(torch.ones(1, 9, 4), torch.zeros(1, 9, 3), 4)
    assert torch.isfinite(found.assignment).all() and torch.isfinite(found.features).all()
    with pytest.raises(ValueError, match="clusters=10"):
        spatial_clusters(torch.ones(1, 9, 4), torch.zeros(1, 9, 3), 10)


def test_a_token_out_of_reach_goes_to_its_nearest_centroid():
    mask = within_radius(
        torch.tensor([[[0.0, 0, 0], [50, 0, 0]]]), torch.tensor([[[0.0, 0, 0], [3, 0, 0]]]), torch.tensor([1.0])
    )
    assert mask.tolist() == [[[True, False], [False, True]]]


def test_farthest_points_are_those_of_the_definition():
    xyz = torch.randn(2, 30, 3)
    got = farthest_tokens(xyz, 7)
    for cloud, rows in zip(xyz, got, strict=True):
        chosen = [0]
        for _ in range(6):
            chosen.append(int(torch.cdist(cloud, cloud[chosen]).amin(1).argmax()))
        assert rows.tolist() == chosen


def test_the_teacher_follows_parameters_and_buffers():
    student = torch.nn.BatchNorm1d(3)
    teacher = Teacher(student)
    with torch.no_grad():
        student.weight.fill_(3.0)
        student.running_mean.fill_(1.0)
    teacher.update(student, 0.75)
    assert torch.allclose(teacher.module.weight, torch.full((3,), 1.5))
    assert torch.allclose(teacher.module.running_mean, torch.full((3,), 0.25))
    assert momentum_at(0, 100) == pytest.approx(0.996) and momentum_at(100, 100) == 1


@pytest.mark.parametrize(("made_for", "left"), [(0, 0.30), (98325, 0.0)])
def test_a_short_trainings_teacher_forgets_its_random_weights_if_its_momentum_is_that_of_a_long_one(made_for, left):
    first = first_momentum(0.996, made_for, 600)
    student = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(student.weight)
    teacher = Teacher(student)
    torch.nn.init.zeros_(student.weight)
    for step in range(600):
        teacher.update(student, momentum_at(step, 600, first))
    assert teacher.module.weight.item() == pytest.approx(left, abs=5e-3)
    assert first_momentum(0.996, 98325, 98325) == 0.996


def room(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    floor, wall = rng.uniform(0, 4, (3000, 3)), rng.uniform(0, 4, (3000, 3))
    floor[:, 2], wall[:, 1] = 0, 0
    box = rng.uniform(0, 1, (1500, 3)) + [1, 1, 0]
    box[:, 2] = np.where(rng.random(1500) < 0.5, 1.0, box[:, 2])
    return np.concatenate([floor, wall, box]).astype(np.float32)


def test_depth_views_show_what_is_in_front_and_ignore_scale():
    rng = np.random.default_rng(0)
    wall = np.column_stack([np.full(4000, 0.5), rng.uniform(-1, 1, (4000, 2))])
    behind = np.column_stack([np.full(500, -0.5), rng.uniform(-0.3, 0.3, (500, 2))])
    ids = np.repeat([0, 1], [4000, 500])
    images, seen = targets_depth_views.render_depth_views(np.concatenate([wall, behind]), ids, 56)
    of_front = seen.superpoint[seen.view == 0]  # from +x: the wall hides what is behind it
    of_back = seen.superpoint[seen.view == 2]
    assert (of_front == 0).all() and len(of_front) > 3000 and (of_back == 1).any()
    far_images, far = targets_depth_views.render_depth_views(np.concatenate([wall, behind]) * 64 + 512, ids, 56)
    assert np.array_equal(images, far_images) and np.array_equal(seen, far)


PIPELINE = "sampling.tokens: 24\nsuperpoints.regularization: 0.1\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_model):
    """Prepared samples of six rooms with targets of the tiny CLIP."""
    folder = tmp_path_factory.mktemp("rooms")
    for seed in range(6):
        np.save(folder / f"room{seed}.npy", room(seed))
    (folder / "broken.npy").write_bytes(b"no array")
    out = folder / "samples"
    (folder / "recipe.yaml").write_text(f"init: {tiny_model}\n{PIPELINE}")
    assert prepare.main([str(folder / "recipe.yaml"), "objects", str(folder), "--out", str(out)]) == 0
    return out


def test_bin_files_of_other_columns_are_prepared(tmp_path, tiny_model):
    np.hstack([room(0), room(1)]).astype("<f4").tofile(tmp_path / "six.bin")
    np.save(tmp_path / "beside.npy", room(0))
    (tmp_path / "recipe.yaml").write_text(f"init: {tiny_model}\n")
    words = ["clouds", str(tmp_path), "--bin-columns", "6", "--out", str(tmp_path / "out")]
    assert prepare.main([str(tmp_path / "recipe.yaml"), *words]) == 0
    one, other = (load_sample(tmp_path / "out" / f"{name}.safetensors") for name in ("six", "beside"))
    assert np.array_equal(one.position, other.position)


def arguments(data, run, tiny_model, *more: str) -> list[str]:
    given = {
        "data": data, "run": run, "init": tiny_model, "steps": 6, "batch": 4, "tokens": 16, "points": 128,
        "clusters": 4, "save_every": 2, "validate_every": 3, "held_out": 0.2, "precision": "fp32", "decoder_layers": 1,
    }  # fmt: skip
    config = run.parent / f"{run.name}.yaml"
    config.write_text(PIPELINE + "\n".join(f"{k}: {v}" for k, v in given.items()))
    return [str(config), *more]


def log(run) -> list[dict]:
    """The lines of a run's log, without the seconds, which no other run repeats."""
    lines = [json.loads(line) for line in (run / "state.jsonl").read_text().splitlines()]
    assert all(0 <= line["seconds/data"] < line["seconds/step"] for line in lines)
    return [{k: v for k, v in line.items() if not k.startswith("seconds/")} for line in lines]


def test_prepared_samples_have_targets_and_the_broken_one_is_left_out(data):
    paths = sorted(data.glob("*.safetensors"))
    assert len(paths) == 6
    sample = load_sample(paths[0])
    assert len(sample.targets.superpoint) and len(sample.targets.feature) == len(sample.targets.superpoint)


def test_the_teachers_own_features_are_near_the_minimum_of_l_assign_only_within_reach():
    segmenter = Segmenter.load()
    inputs = network_input(segmenter.build_patches(room(0)), segmenter.config, 0)
    features = torch.from_numpy(segmenter.encoder._encode_tokens(inputs)[0])[None]
    found = spatial_clusters(features, inputs.position, 24)
    assert not found.assignment[~found.reach].any() and found.reach.any(dim=2).all()
    given = (features, found.assignment, found.features, 0.1)
    assert assignment_loss(*given, found.reach) < 0.1 < 0.5 < assignment_loss(*given)


def test_the_decoder_is_trained_alone_first(data, tmp_path, tiny_model):
    words = arguments(data, tmp_path / "r", tiny_model, "decoder_steps=2", "held_out=0")
    config, pipeline = settings.read(words[0], words[1:])
    _, frozen, tokenizer = train.pretrain.start(config, pipeline)
    trainer = train.pretrain.Trainer(tokenizer, frozen, config, 0, 1)
    draws = trainer.draws(Sampler(sorted(data.glob("*.safetensors")), frozen.dim))
    parts = {"tokenizer": tokenizer, "decoder": trainer.student.decoder, "teacher": trainer.teacher}
    before = {name: {k: v.clone() for k, v in part.state_dict().items()} for name, part in parts.items()}

    def moved() -> set[str]:
        now = {name: part.state_dict() for name, part in parts.items()}
        return {name for name in parts if any((v != before[name][k]).any() for k, v in now[name].items())}

    for step in range(2):
        trainer.step(step, draws(step)[0])
        assert moved() == {"decoder"}
    trainer.step(2, draws(2)[0])
    assert moved() == {*parts}
    for wrong in ("decoder_steps=6", "mask_ratio=0"):
        with pytest.raises(ValueError, match="decoder_steps=.* must be fewer than steps=6"):
            train.main(arguments(data, tmp_path / "w", tiny_model, "decoder_steps=2", wrong))


@pytest.mark.parametrize("changes", [[], ["decoder_steps=4", "student_reach=false", "momentum_steps=100"]])
def test_a_killed_training_gives_the_same_losses_and_model(data, tmp_path, tiny_model, changes):
    assert train.main(arguments(data, tmp_path / "whole", tiny_model, *changes)) == 0
    again = tmp_path / "again"
    plain = train.pretrain.Trainer.step
    with pytest.MonkeyPatch.context() as patch:

        def dies(self, step, micro):
            if step == 3:
                raise KeyboardInterrupt
            return plain(self, step, micro)

        patch.setattr(train.pretrain.Trainer, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            train.main(arguments(data, again, tiny_model, *changes))
    assert train.main(arguments(data, again, tiny_model, *changes)) == 0
    assert log(again) == log(tmp_path / "whole") and {"assign", "local", "global"} <= set(log(again)[0])
    one, other = (checkpoint.load(tmp_path / k / "model")[0].state_dict() for k in ("whole", "again"))
    assert all(torch.equal(one[k], other[k]) for k in one)
    with pytest.raises(ValueError, match="begun with another config .*rate"):
        train.main(arguments(data, again, tiny_model, *changes, "rate=1e-3"))


LOSSES = {"assign": "assign_weight", "local": "local_weight", "global": "global_weight"}


def test_two_processes_give_the_losses_of_one_together_and_alone(data, tmp_path, tiny_model):
    """Every loss alone leaves some weights without a gradient, which two processes must not wait for."""
    words = {"all": ["decoder_steps=1"]}
    words |= {k: ["held_out=0", *(f"{key}=0" for other, key in LOSSES.items() if other != k)] for k in LOSSES}
    words["visible"] = [*words["assign"], "assigned=visible"]
    paths = []
    for name, changes in words.items():
        given = arguments(data, tmp_path / f"{name}1", tiny_model, *changes, "steps=2", "save_every=1")
        assert train.main(given) == 0
        paths.append(tmp_path / f"{name}2.yaml")
        changed = {**settings.read_yaml(given[0]), **configs.pairs(given[1:]), "run": tmp_path / f"{name}2"}
        paths[-1].write_text("\n".join(f"{key}: {value}" for key, value in changed.items()))
    two_ranks.train(paths)
    for name in words:
        lines = [log(tmp_path / f"{name}{count}") for count in (1, 2)]
        expected = {"all": {*LOSSES}, "visible": {"assign"}}.get(name, {name})
        assert (set(lines[0][0]) & set(LOSSES)) == expected
        for a, b in zip(*lines, strict=True):
            assert a.keys() == b.keys()
            assert all(a[k] == pytest.approx(b[k], abs=1e-4) for k in a), (name, a, b)


def test_worker_processes_change_nothing(data, tmp_path, tiny_model):
    for workers in (0, 2):
        given = arguments(data, tmp_path / str(workers), tiny_model, f"workers={workers}", "steps=3", "save_every=1")
        assert train.main(given) == 0
    assert log(tmp_path / "0") == log(tmp_path / "2")


def test_worker_processes_report_a_damaged_sample_once(data, tmp_path, tiny_model, caplog):
    (samples := tmp_path / "samples").mkdir()
    for path in sorted(data.glob("*.safetensors"))[:3]:
        (samples / path.name).write_bytes(path.read_bytes())
    (samples / "bad.safetensors").write_bytes(b"PK")
    words = ("workers=2", "held_out=0", "steps=4", "tokens=16")
    assert train.main(arguments(samples, tmp_path / "run", tiny_model, *words)) == 0
    assert [record.message.split(" is damaged")[0] for record in caplog.records if "damaged" in record.message] == [
        str(samples / "bad.safetensors")
    ]
    provenance = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["provenance"]
    assert provenance["skipped"] == 1


def test_a_step_does_not_wait_for_a_value(data, tmp_path, tiny_model):
    """From what a loader sends to the gradients: the CPU of a GPU would stand still, and then the GPU."""
    words = arguments(data, tmp_path / "r", tiny_model)
    config, pipeline = settings.read(words[0], words[1:])
    _, frozen, tokenizer = train.pretrain.start(config, pipeline)
    trainer = train.pretrain.Trainer(tokenizer, frozen, config, 0, 1)
    drawn, _ = trainer.draws(Sampler(sorted(data.glob("*.safetensors")), frozen.dim))(0)
    with NoValueReads():
        losses = trainer._losses(trainer.student, drawn[0])
        torch.stack(list(losses.values())).sum().backward()
        trainer.teacher.update(trainer.student.tokenizer, 0.99)
    assert set(losses) == set(LOSSES)
    with NoValueReads(), pytest.raises(AssertionError, match="reads values"):
        losses["local"].item()
    with NoValueReads(), pytest.raises(AssertionError, match="reads values"):
        drawn[0].tokens.position[drawn[0].tokens.position > 0]


def test_l_assign_of_all_tokens_is_that_of_the_masked_and_the_visible_ones(data, tmp_path, tiny_model):
    found = {}
    for assigned in ("masked", "visible", "all"):
        words = arguments(data, tmp_path / "r", tiny_model, f"assigned={assigned}", "local_weight=0", "global_weight=0")
        config, pipeline = settings.read(words[0], words[1:])
        _, frozen, tokenizer = train.pretrain.start(config, pipeline)
        trainer = train.pretrain.Trainer(tokenizer, frozen, config, 0, 1)
        drawn = trainer.draws(Sampler(sorted(data.glob("*.safetensors")), frozen.dim))(0)[0][0]
        found[assigned] = trainer._losses(trainer.student, drawn)["assign"].item()
        assert trainer.student.decoder.query.requires_grad == (assigned != "visible")
    visible, masked = (index.shape[1] for index in drawn.masks)
    mean = (found["masked"] * masked + found["visible"] * visible) / (masked + visible)
    assert found["all"] == pytest.approx(mean, rel=1e-5) and found["masked"] != found["visible"]


def test_errors_name_the_key_the_file_and_the_fix(data, tmp_path, tiny_model):
    with pytest.raises(ValueError, match="cannot read .*nowhere.yaml"):
        settings.read(tmp_path / "nowhere.yaml", [])
    for pair, message in (
        ("clusters=0", "clusters=0 is below"),
        ("color=1", "unknown config key 'color'"),
        ("x", "key=value"),
    ):
        with pytest.raises(ValueError, match=message):
            settings.read(arguments(data, tmp_path / "r", tiny_model)[0], [pair])
    with pytest.raises(ValueError, match="cannot be split over 1 processes x accumulate=3"):
        train.main(arguments(data, tmp_path / "r", tiny_model, "accumulate=3"))
    with pytest.raises(ValueError, match="no prepared samples"):
        split([], 0.1)


def test_a_run_that_failed_before_it_saved_anything_may_be_repeated_with_other_settings(data, tmp_path, tiny_model):
    run = tmp_path / "r"
    with pytest.raises(ValueError, match="cannot be split"):
        train.main(arguments(data, run, tiny_model, "accumulate=3"))
    assert train.main(arguments(data, run, tiny_model, "accumulate=2", "steps=1", "save_every=1")) == 0
    with pytest.raises(ValueError, match="begun with another config .accumulate: 2 -> 1"):
        train.main(arguments(data, run, tiny_model, "steps=1", "save_every=1"))


def test_samples_that_a_run_has_prepared_bind_the_settings_that_shaped_them(tmp_path, data, tiny_model):
    run = tmp_path / "r"
    words = arguments(data, run, tiny_model)
    settings.save_config(run, *settings.read(words[0], words[1:]))
    (run / "samples" / "train").mkdir(parents=True)
    (run / "samples" / "train" / "a.safetensors").touch()
    settings.save_config(run, *settings.read(words[0], ["rate=1e-3"]))
    for changed in ("superpoints.regularization=0.7", "points=64"):
        with pytest.raises(ValueError, match=changed.split("=")[0]):
            settings.save_config(run, *settings.read(words[0], [changed]))


def test_a_damaged_sample_is_skipped_and_counted(data, tmp_path):
    bad = tmp_path / "a.safetensors"
    bad.write_bytes(b"PK")
    good = sorted(data.glob("*.safetensors"))[0]
    samples = Sampler([bad, good], len(load_sample(good).targets.global_feature))
    generators = rngs(4)
    batch = make_batch(samples.draw(DrawConfig(16, 64, 32, 48), generators))
    assert samples.damaged.keys() == {bad} and batch.inputs.patch.shape[:2] == (4, 16)
    visible, _ = draw_masks(16, 0.5, generators)
    assert torch.equal(gather(batch.inputs.position, visible)[2, 0], batch.inputs.position[2, visible[2, 0]])
    with pytest.raises(ValueError, match="all 1 samples are damaged"):
        Sampler([good], 7).draw(DrawConfig(16, 64, 32, 48), generators)  # targets of another CLIP
