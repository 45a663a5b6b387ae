"""Batches of training: against brute force, Eq. 4 against inference, superpoints of several clouds, subsampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import reference_batches
import torch
from fake_samples import fake_sample

from s4token_model.pipeline.propagation import TokenCenters, propagate
from s4token_model.training import batches
from s4token_model.training.batches import DrawConfig, make_batch
from s4token_model.training.sampler import Sampler, StepDraws, draw_batch, draw_clouds
from s4token_model.training.token_samples import Targets


def weights_of(*arrays):
    return batches.propagation_weights(*(torch.from_numpy(a)[None] for a in arrays))[0].numpy()


@pytest.mark.parametrize("seed", range(4))
def test_training_propagates_as_inference_does(seed):
    rng = np.random.default_rng(seed)
    position, point = (rng.normal(size=(n, 3)).astype(np.float32) for n in (9, 80))
    token_superpoint, point_superpoint = (rng.integers(0, k, n).astype(np.int32) for k, n in ((4, 9), (5, 80)))
    weights = weights_of(point, position, point_superpoint, token_superpoint)
    scores = rng.normal(size=(9, 4)).astype(np.float32)
    expected = propagate(point, point_superpoint, TokenCenters(position, token_superpoint, 1.0), scores)
    assert not np.isin(point_superpoint, token_superpoint).all(), "some points take the nearest tokens"
    np.testing.assert_allclose(weights @ scores, expected, atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 2, 9])
def test_propagation_weights_are_those_of_the_formula(tokens):
    rng = np.random.default_rng(tokens)
    position, point = rng.normal(size=(tokens, 3)), rng.normal(size=(30, 3))
    token_superpoint, point_superpoint = rng.integers(0, 3, tokens), rng.integers(0, 4, 30)
    found = weights_of(point, position, point_superpoint, token_superpoint)
    expected = reference_batches.weights(point, position, point_superpoint, token_superpoint)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "config", [DrawConfig(8, 20, 4, 6), DrawConfig(20, 60, 8, 10), DrawConfig(12, 40, 32, 48, rotate=False)]
)
def test_a_drawn_batch_is_that_of_brute_force(config):
    samples = [replace(fake_sample(k, 8), position_scale=np.float32(1 + k)) for k in range(5)]
    batch = draw_batch(samples, config, [np.random.default_rng(k) for k in range(5)], 8)
    for k, sample in enumerate(samples):
        expected = reference_batches.draw(sample, config, np.random.default_rng(k))
        inputs = vars(batch.inputs) | {name: getattr(batch, name) for name in ("point", "weights", "label")}
        found = {name: value[k].numpy() for name, value in inputs.items()}
        for name, mask in (("patch", "mask"), ("context", "context_mask")):  # padding may be any point
            np.testing.assert_array_equal(found[mask], expected[mask])
            found[name], expected[name] = found[name][found[mask]], expected[name][expected[mask]]
        for values in (found, expected):  # of a token that is drawn twice, either may be among the three nearest
            values["weights"] = values["weights"] @ expected["position"]
        for name in inputs:
            np.testing.assert_allclose(found[name], expected[name], atol=2e-6, err_msg=name)
        ids = batch.superpoint[k].numpy()
        np.testing.assert_array_equal(ids - expected["superpoint"], ids[0] - expected["superpoint"][0])


def test_without_the_wide_patches_the_rest_of_a_batch_is_the_same():
    samples, config = [fake_sample(k, 8) for k in range(3)], DrawConfig(8, 20, 4, 6)
    one, other = (
        draw_batch(samples, config._replace(context=context), [np.random.default_rng(k) for k in range(3)], 8)
        for context in (True, False)
    )
    assert other.inputs.context.shape == (3, 8, 0, 5) and other.inputs.context_mask.shape == (3, 8, 0)
    for name in ("patch", "position"):
        assert torch.equal(getattr(one.inputs, name), getattr(other.inputs, name))


def test_what_a_loader_sends_is_as_small_as_on_disk():
    drawn = draw_clouds([fake_sample(0, 8)], DrawConfig(12, 40, 8, 10), [np.random.default_rng(0)], 8)
    assert drawn.tokens.patch.dtype == drawn.tokens.context.dtype == drawn.targets.feature.dtype == torch.float16
    assert "weights" not in drawn._fields


def test_superpoints_of_two_clouds_stay_distinct_in_a_batch():
    rng = np.random.default_rng(0)
    targets = [Targets(np.array([1, 3, 40]), rng.random((3, 8), np.float32), rng.random(8, np.float32)) for _ in "ab"]
    samples = [replace(fake_sample(seed, 8), targets=targets[seed]) for seed in (0, 1)]
    everything = DrawConfig(12, training=False)
    batch = draw_batch(samples, everything, [rng] * 2, 8)
    first, second = batch.superpoint
    assert first.max() < second.min() and len(batch.target) == second.max() + 1
    start = int(second.min() - samples[1].point_superpoint.min())
    np.testing.assert_array_equal(batch.target[1], samples[0].targets.feature[0])
    np.testing.assert_array_equal(batch.target[start + 3], samples[1].targets.feature[1])
    assert batch.has_target.nonzero().flatten().tolist() == [1, 3, start + 1, start + 3]
    assert batch.global_target.shape == (2, 8) and batch.inputs.patch.shape == (2, 12, 8, 3)
    np.testing.assert_array_equal(batch.label, np.stack([s.point_label for s in samples]))


def test_samples_without_labels_targets_or_category_are_filled_up():
    bare = replace(fake_sample(0, 8), targets=None, point_label=None)
    batch = draw_batch([bare, fake_sample(1, 8)], DrawConfig(12, training=False), [None] * 2, 8)
    assert (batch.label[0] == -1).all() and not (batch.label[1] == -1).any() and batch.category.tolist() == [-1, -1]
    assert not batch.global_target[0].any() and batch.global_target[1].any()
    assert batch.has_target.nonzero().flatten().min() > batch.superpoint[0].max()


@pytest.mark.parametrize("limit", [8, None])
def test_subsampled_patches_hold_distinct_valid_points(limit):
    rng = np.random.default_rng(0)
    count = np.array([3, 8, 20])
    points = np.where(np.arange(20)[None, :, None] < count[:, None, None], rng.random((3, 20, 3)) + 1, 0)
    kept, kept_count = batches.draw_patch_points(
        *map(torch.from_numpy, (points.astype(np.float16), count)), limit, lambda *shape: torch.rand(*shape)
    )
    for row in range(3):
        chosen = kept[row][: kept_count[row]]
        assert len(chosen) == (min(count[row], 8) if limit else count[row])
        assert (chosen >= 1).all() and len(np.unique(chosen[:, 0])) == len(chosen)


def test_rotations_are_about_the_vertical_and_keep_lengths():
    found = batches.rotations(torch.rand(30) * 2 * torch.pi, torch.where(torch.rand(30) < 0.5, -1.0, 1.0))
    torch.testing.assert_close(found @ found.transpose(1, 2), torch.eye(3).expand(30, 3, 3))
    assert (found[:, 2] == torch.tensor([0, 0, 1])).all() and (found[:, :, 2] == torch.tensor([0, 0, 1])).all()
    assert {round(float(value)) for value in torch.linalg.det(found)} == {-1, 1}


def test_a_generator_per_cloud_gives_the_batch_however_it_is_split():
    sampler = Sampler([fake_sample(k, 8) for k in range(5)], 8)
    config = DrawConfig(6, 20, 4, 4)
    whole = make_batch(sampler.draw(config, [np.random.default_rng([3, 0, k]) for k in range(4)]))
    parts, _ = StepDraws(sampler, config, 3, range(4), 2)(0)
    again, _ = StepDraws(sampler, config, 3, range(2, 4))(0)
    parts, again = [make_batch(drawn) for drawn in parts], make_batch(*again)
    assert torch.equal(parts[1].weights, again.weights)
    for name in ("patch", "context", "position"):
        assert torch.equal(getattr(whole.inputs, name), torch.cat([getattr(p.inputs, name) for p in parts]))
    assert torch.equal(whole.weights, torch.cat([part.weights for part in parts]))
