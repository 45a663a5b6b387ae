"""Heads of supervised segmentation: interpolation and edges by brute force, and which points decide what."""

from __future__ import annotations

import numpy as np
import torch
from fake_samples import fake_sample

from s4token_model.training import supervised_heads
from s4token_model.training.batches import DrawConfig
from s4token_model.training.sampler import draw_batch


def test_interpolation_takes_the_three_nearest_by_squared_distance():
    generator = torch.Generator().manual_seed(0)
    point, center, features = (torch.rand(*shape, generator=generator) for shape in ((2, 7, 3), (2, 5, 3), (2, 5, 4)))
    found = supervised_heads.interpolated(point, center, features).numpy()
    for b in range(2):
        for i in range(7):
            distance = np.linalg.norm(center[b].numpy() - point[b, i].numpy(), axis=1)
            near = np.argsort(distance)[:3]
            weights = 1 / distance[near] ** 2
            wanted = (weights[:, None] * features[b].numpy()[near]).sum(0) / weights.sum()
            np.testing.assert_allclose(found[b, i], wanted, rtol=1e-3)


def test_edges_take_the_maximum_over_the_four_nearest_keys():
    generator = torch.Generator().manual_seed(0)
    position, features, keys, values = (
        torch.rand(1, n, c, generator=generator) for n, c in ((6, 3), (6, 2), (9, 3), (9, 2))
    )
    layers = torch.nn.Linear(4, 5)
    found = supervised_heads._edges(position, features, keys, values, layers)[0]
    for i in range(6):
        near = (keys[0] - position[0, i]).norm(dim=1).argsort()[:4]
        pairs = torch.stack([torch.cat([values[0, k] - features[0, i], features[0, i]]) for k in near])
        torch.testing.assert_close(found[i], layers(pairs).amax(dim=0))


def test_both_heads_see_category_position_and_features():
    """A gradient of the logits reaches each input, and no logit of one cloud depends on another."""
    torch.manual_seed(0)
    batch = draw_batch([fake_sample(k, 8) for k in range(2)], DrawConfig(8, 20, 4, 4), [np.random.default_rng(0)] * 2)
    for head in (supervised_heads.EpclHead(8, 3, 5), supervised_heads.PointBertHead(8, 3, 5).eval()):
        features, kind, point = torch.rand(2, 8, 8), torch.rand(2, 3), batch.point.clone()
        inputs = [tensor.requires_grad_() for tensor in (features, kind, point)]
        logits = head(features, [features] * 3, batch._replace(point=point), kind)
        assert logits.shape == (2, 20, 5)
        gradients = torch.autograd.grad(logits[0].sum(), inputs)
        assert all(g[0].abs().sum() > 0 and g[1].abs().sum() == 0 for g in gradients)


def test_an_augmented_cloud_is_scaled_along_its_axes_and_its_patch_points_are_noisy():
    sample = fake_sample(0, 8)
    plain = DrawConfig(12, 40, 8, 10, rotate=False)
    before, scaled, noisy = (
        draw_batch([sample], config, [np.random.default_rng(1)])
        for config in (plain, plain._replace(axis_scale=0.3), plain._replace(jitter=0.1))
    )
    point = torch.from_numpy(sample.point)
    ratio = (scaled.point[0].abs().amax(0) / point.abs().amax(0)).numpy()
    np.testing.assert_allclose(scaled.point[0].numpy(), sample.point * ratio, rtol=1e-5)
    assert (abs(ratio - 1) <= 0.3).all() and ratio.std() > 0.01
    sizes = [np.sort(batch.center[0].numpy() / r, axis=0) for batch, r in ((scaled, ratio), (before, 1))]
    np.testing.assert_allclose(*sizes, rtol=1e-4, atol=1e-6)
    difference = (noisy.inputs.patch[..., :3] - before.inputs.patch[..., :3])[before.inputs.mask]
    assert 0.08 < difference.std() < 0.12
