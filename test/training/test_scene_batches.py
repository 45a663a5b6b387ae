"""Batches on a device: beside those of batches.py, exactly where nothing is random and in distribution elsewhere."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from fake_samples import fake_sample

from s4token_model.training import batches, sampler, scene_batches
from s4token_model.training.batches import DrawConfig
from s4token_model.training.scene_batches import SceneBatches

DIM = 8
TRAINING = DrawConfig(12, 40, 8, 10)  # all tokens and points of a sample, in any order


def fake(seed, tokens=12):
    """A fake sample with its first `tokens` tokens; padding is zero, as in real ones."""
    sample = fake_sample(seed, DIM)
    names = ("patch", "patch_count", "context", "context_count", "descriptor", "position", "token_superpoint")
    changes = {name: getattr(sample, name)[:tokens] for name in names}
    for name in ("patch", "context"):
        valid = np.arange(changes[name].shape[1]) < changes[f"{name}_count"][:, None]
        changes[name] = np.where(valid[..., None], changes[name], 0).astype(np.float16)
    return replace(sample, **changes, position_scale=np.float32(1 + seed))


def test_without_chance_batches_are_those_of_numpy():
    samples = [fake(0), fake(1, 7), replace(fake(2), targets=None)]
    config = DrawConfig(12, training=False)
    expected = sampler.draw_batch(samples, config, [None] * 3, DIM)
    found = SceneBatches(samples, dim=DIM).draw(np.arange(3), config)
    for name in (f.name for f in fields(expected.inputs)):
        torch.testing.assert_close(getattr(found.inputs, name), getattr(expected.inputs, name), msg=name)
    for name in ("point", "weights", "label", "global_target", "category"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), msg=name)
    # Superpoints have other numbers, and the same points and targets
    same = found.superpoint.flatten()[:, None] == found.superpoint.flatten()
    assert torch.equal(same, expected.superpoint.flatten()[:, None] == expected.superpoint.flatten())
    assert torch.equal(found.has_target[found.superpoint], expected.has_target[expected.superpoint])
    assert torch.equal(found.target[found.superpoint], expected.target[expected.superpoint])


def test_a_cloud_twice_in_a_batch_has_superpoints_of_its_own():
    batch = SceneBatches([fake(0), fake(1)], dim=DIM).draw(np.array([1, 1]), DrawConfig(12, training=False))
    first, second = batch.superpoint
    assert not np.isin(first, second).any() and torch.equal(batch.target[first], batch.target[second])
    assert SceneBatches([fake(0)]).draw(np.array([0]), TRAINING, np.random.default_rng(0)).target.numel() == 0


def test_drawn_clouds_are_the_samples_rotated_and_shuffled():
    samples = [fake(k) for k in range(3)]
    chosen = np.array([2, 0, 2, 1])
    batch = SceneBatches(samples).draw(chosen, TRAINING, np.random.default_rng(0))
    mirrored = set()
    for k, which in enumerate(chosen):
        sample = samples[which]
        position = batch.inputs.position[k].numpy() / sample.position_scale
        order = np.array([np.abs(sample.position[:, 2] - z).argmin() for z in position[:, 2]])
        assert sorted(order) == list(range(12)), "every token once"
        rotation = np.linalg.lstsq(sample.position[order], position, rcond=None)[0]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-4)
        np.testing.assert_allclose(rotation[2], [0, 0, 1], atol=1e-4)
        mirrored.add(round(float(np.linalg.det(rotation))))
        points = np.array([np.abs(sample.point[:, 2] - z).argmin() for z in batch.point[k, :, 2].numpy()])
        np.testing.assert_allclose(sample.point[points] @ rotation, batch.point[k], atol=1e-4)
        np.testing.assert_array_equal(sample.point_label[points], batch.label[k])
        np.testing.assert_allclose(sample.descriptor[order], batch.inputs.shape[k], atol=1e-4)
        for name, mask in (("patch", batch.inputs.mask[k]), ("context", batch.inputs.context_mask[k])):
            found, expected = getattr(batch.inputs, name)[k].numpy(), getattr(sample, name)[order].astype(np.float32)
            count = getattr(sample, f"{name}_count")[order]
            np.testing.assert_array_equal(mask.sum(dim=1), count)
            for row in range(12):  # the valid points, in any order
                rotated = expected[row, : count[row]]
                rotated = np.concatenate([rotated[:, :3] @ rotation, rotated[:, 3:]], axis=1)
                nearest = np.linalg.norm(found[row][mask[row].numpy()][:, None] - rotated[None], axis=2)
                assert (nearest.min(axis=0) < 1e-3).all() and (nearest.min(axis=1) < 1e-3).all()
        weights = batches.propagation_weights(
            batch.point[k][None], torch.from_numpy(position)[None],
            torch.from_numpy(sample.point_superpoint[points])[None],
            torch.from_numpy(sample.token_superpoint[order])[None],
        )  # fmt: skip
        torch.testing.assert_close(batch.weights[k], weights[0], atol=1e-5, rtol=1e-4)
    assert mirrored == {-1, 1}


@pytest.mark.parametrize("points", [20, 60])
def test_fewer_tokens_and_points_are_drawn_alike_often(points):
    sampler, rng = SceneBatches([fake(0), fake(1, 5)]), np.random.default_rng(0)
    config, sample = DrawConfig(6, points, 4, 4, rotate=False), fake(0)
    batch = sampler.draw(np.zeros(3000, np.int64), config, rng)
    tokens = (batch.inputs.position[:, :, None] - torch.from_numpy(sample.position)).norm(dim=-1) < 1e-5
    assert (tokens.sum(dim=1) <= 1).all(), "no token twice while there are others"
    np.testing.assert_allclose(tokens.float().sum(dim=(0, 1)) / 3000, 0.5, atol=0.05)
    seen = (batch.point[:, :, None] - torch.from_numpy(sample.point)).norm(dim=-1) < 1e-5
    assert (seen.sum(dim=1) <= 1).all() == (points == 20)
    np.testing.assert_allclose(seen.float().sum(dim=(0, 1)) / 3000, points / 40, atol=0.1)
    assert (batch.inputs.mask.sum(dim=2) <= 4).all()
    repeated = sampler.draw(np.ones(50, np.int64), config, rng).inputs.position  # of five tokens, one comes twice
    assert all(len(torch.unique(cloud, dim=0)) == 5 for cloud in repeated)


def test_patches_lose_points_at_random_and_no_valid_one_for_padding():
    points = torch.arange(1.0, 21).view(1, 1, 20, 1).expand(4000, 3, 20, 3).half()
    count = torch.tensor([3, 8, 20]).expand(4000, 3)
    found, found_count = batches.draw_patch_points(points, count, 8, torch.rand)
    assert found_count[0].tolist() == [3, 8, 8]
    values = torch.where(torch.arange(8) < found_count.unsqueeze(-1), found[..., 0].float(), 0)
    assert (values[:, 0].sum(dim=1) == 6).all() and (values[:, 1].sum(dim=1) == 36).all()
    drawn = torch.bincount(values[:, 2].flatten().long(), minlength=21)[1:] / 4000
    np.testing.assert_allclose(drawn, 0.4, atol=0.04)


def test_disturbed_tokens_have_the_noise_that_is_asked_for():
    sampler = SceneBatches([fake(0)])
    chosen, rng = np.zeros(2000, np.int64), np.random.default_rng
    config = TRAINING._replace(rotate=False)
    plain, noisy, again = (sampler.draw(chosen, config, rng(3), jitter).inputs for jitter in (0.0, 2.0, 2.0))
    assert torch.equal(noisy.patch, again.patch) and torch.equal(noisy.position, plain.position)
    # Offsets: a stretch per cloud and axis, which all points share, and white noise
    before, after = plain.patch[plain.mask].double(), noisy.patch[plain.mask].double()
    expected = (0.06**2 + before.pow(2).mean() * (np.exp(2 * 0.16**2) - 2 * np.exp(0.16**2 / 2) + 1)) ** 0.5
    assert float((after - before).std()) == pytest.approx(float(expected), rel=0.1)
    assert torch.equal(noisy.context[..., 3:], plain.context[..., 3:])
    # Descriptors: a fifth of the columns and of the tokens is zero
    zero = noisy.shape == 0
    assert float(zero.float().mean()) == pytest.approx(1 - 0.8**2, abs=0.02)
    ratios = (noisy.shape - plain.shape)[..., scene_batches.LENGTH_DIMS :][~zero[..., scene_batches.LENGTH_DIMS :]]
    assert float(ratios.std()) == pytest.approx(0.16, rel=0.05)


def test_samples_are_drawn_by_their_weights():
    sampler = SceneBatches([fake(k) for k in range(4)], weights=np.array([0.1, 0.1, 0.1, 0.7]))
    assert 0.6 < (sampler.choose(400, np.random.default_rng(0)) == 3).mean() < 0.8


def test_pairs_of_clouds_are_laid_over_each_other_and_stay_apart():
    batch = SceneBatches([fake(k) for k in range(4)], dim=DIM).draw(np.array([2, 0, 3, 1]), TRAINING)
    mixed = scene_batches.merge_pairs(batch)
    assert mixed.inputs.patch.shape == (2, 24, *batch.inputs.patch.shape[2:]) and mixed.label.shape == (2, 80)
    for name in (f.name for f in fields(batch.inputs)):
        halves = getattr(mixed.inputs, name).unflatten(1, (2, 12)).flatten(0, 1)
        assert torch.equal(halves, getattr(batch.inputs, name)), name
    assert torch.equal(mixed.label.reshape(4, 40), batch.label)
    # A point takes from the tokens of its own cloud what it took before
    features = torch.randn(4, 12, 5)
    expected = (batch.weights @ features).reshape(2, 80, 5)
    torch.testing.assert_close(mixed.weights @ features.reshape(2, 24, 5), expected)
    torch.testing.assert_close(mixed.target[mixed.superpoint], batch.target[batch.superpoint].reshape(2, 80, DIM))
    torch.testing.assert_close(mixed.global_target[1], batch.global_target[2:].mean(dim=0))
