"""Weighted farthest point sampling against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.config import SamplingConfig
from s4token_model.kernels.spatial_index import build
from s4token_model.pipeline.sampling import farthest_points, sample


def brute(xyz, superpoints, config: SamplingConfig) -> list[int]:
    """The definition, step by step over all points, in the precision of the implementation (float32)."""
    sizes = np.array([(superpoints == label).sum() for label in superpoints])
    candidate = sizes >= config.min_superpoint
    if not candidate.any():
        candidate[:] = True
    weights = np.where(candidate, 1 / sizes, 0)
    weights = weights / weights.sum()
    draw = np.random.default_rng(config.seed).random()
    chosen = [int(np.flatnonzero(np.cumsum(weights) > draw)[0])]
    score_weights = np.where(candidate, weights**config.gamma, 0).astype(np.float32)
    squared = np.full(len(xyz), np.inf, np.float32)
    while len(chosen) < min(config.tokens, len(xyz)):
        d = xyz - xyz[chosen[-1]]
        squared = np.minimum(squared, d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1] + d[:, 2] * d[:, 2])
        score = squared * score_weights
        if not score.max() > 0:
            break
        chosen.append(int(score.argmax()))  # the first of equal ones
    return chosen


def clouds():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8), np.arange(4)), axis=-1).reshape(-1, 3)
    yield rng.random((400, 3)).astype(np.float32)
    yield grid.astype(np.float32)
    yield grid[rng.permutation(len(grid))].astype(np.float32) / 8
    yield np.repeat(rng.random((60, 3)), 5, axis=0).astype(np.float32)


@pytest.mark.parametrize("gamma", [0.0, 0.15, 0.6, 1.0])
@pytest.mark.parametrize("least", [1, 5, 10**5])
@pytest.mark.parametrize("number", range(4))
def test_index_for_index_as_defined(number, least, gamma):
    xyz = list(clouds())[number]
    rng = np.random.default_rng(number)
    superpoints = rng.choice(12, len(xyz), p=np.arange(1, 13) ** 2 / 650)
    config = SamplingConfig(tokens=50, gamma=gamma, min_superpoint=least, seed=number)
    chosen = sample(build(xyz), superpoints, config)
    assert chosen.dtype == np.int32 and chosen.tolist() == brute(xyz, superpoints, config)
    if least == 5:
        assert (np.bincount(superpoints)[superpoints[chosen]] >= 5).all()
    assert np.array_equal(chosen, sample(build(xyz.copy()), superpoints.copy(), config))


def test_plain_farthest_points_cover_as_well_as_promised():
    xyz = np.random.default_rng(1).random((500, 3)).astype(np.float32)
    chosen = farthest_points(xyz, 40)
    assert chosen[0] == 0 and chosen.tolist() == brute_from_zero(xyz, 40)
    apart = np.linalg.norm(xyz[chosen][:, None] - xyz[chosen][None], axis=2)
    cover = np.linalg.norm(xyz[:, None] - xyz[chosen][None], axis=2).min(axis=1).max()
    assert cover <= apart[~np.eye(40, dtype=bool)].min() + 1e-6


def brute_from_zero(xyz, count):
    chosen = [0]
    while len(chosen) < count:
        d = xyz[:, None] - xyz[chosen][None]
        chosen.append(int((d[..., 0] * d[..., 0] + d[..., 1] * d[..., 1] + d[..., 2] * d[..., 2]).min(axis=1).argmax()))
    return chosen


def test_fewer_distinct_points_than_tokens():
    xyz = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    chosen = sample(build(xyz), np.zeros(60, int), SamplingConfig(tokens=50))
    assert len(chosen) == 3 and len(np.unique(xyz[chosen], axis=0)) == 3
    assert sample(build(xyz[:1]), np.zeros(1, int), SamplingConfig()).tolist() == [0]
    assert sample(build(np.full((9, 3), 1.5, np.float32)), np.zeros(9, int), SamplingConfig()).shape == (1,)
    assert sample(build(np.zeros((0, 3), np.float32)), np.zeros(0, int), SamplingConfig()).shape == (0,)
    assert farthest_points(xyz, 50).shape == (3,) and farthest_points(np.zeros((0, 3)), 5).shape == (0,)


def test_the_first_sample_follows_the_weights():
    superpoints = np.repeat([0, 1, 2], [2, 18, 80])
    xyz = np.random.default_rng(0).random((100, 3)).astype(np.float32)
    first = [sample(build(xyz), superpoints, SamplingConfig(tokens=1, seed=seed))[0] for seed in range(1500)]
    share = np.bincount(superpoints[first], minlength=3) / 1500  # each superpoint has the same mass
    np.testing.assert_allclose(share, 1 / 3, atol=0.05)
    inside = np.bincount(np.array(first)[superpoints[first] == 1] - 2, minlength=18)
    assert inside.max() < 3 * inside.mean(), "uniform within a superpoint"


def test_larger_gamma_favors_small_superpoints():
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.random((2000, 3)), rng.random((40, 3)) * 0.2]).astype(np.float32)
    superpoints = np.repeat([0, 1], [2000, 40])
    chosen = [sample(build(xyz), superpoints, SamplingConfig(tokens=60, gamma=gamma)) for gamma in (0, 0.3, 1)]
    few, more, most = ((superpoints[c] == 1).sum() for c in chosen)
    assert few < more < most
