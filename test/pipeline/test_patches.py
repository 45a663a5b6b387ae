"""Grouping and normalization of patches against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.config import PatchConfig
from s4token_model.pipeline.patches import group, spacing

GROUPINGS = ["knn", "ball", "spt", "knn+spt", "ball+spt"]


def scene(seed: int = 0, count: int = 400, tokens: int = 25):
    rng = np.random.default_rng(seed)
    xyz = rng.random((count, 3)).astype(np.float32)
    superpoints = (xyz[:, 0] * 5).astype(int)
    return xyz, superpoints, rng.choice(count, tokens, replace=False)


def admitted(xyz, superpoints, center, radius, grouping: str, most: int) -> set[int]:
    """Every point that may belong to the patch of `center`, by the definition."""
    distance = np.linalg.norm(xyz.astype(np.float64) - xyz[center].astype(np.float64), axis=1)
    allowed = np.ones(len(xyz), bool)
    if "spt" in grouping:
        allowed &= superpoints == superpoints[center]
    if "ball" in grouping:
        allowed &= distance <= radius
    found = np.flatnonzero(allowed)
    if "knn" in grouping:
        found = found[np.argsort(distance[found], kind="stable")][:most]
    return set(found.tolist())


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("most", [4, 64, 500])
@pytest.mark.parametrize("random", [False, True])
def test_members_are_those_of_the_definition(grouping, most, random):
    xyz, superpoints, chosen = scene()
    rng = np.random.default_rng(1) if random else None
    patches = group(xyz, superpoints, chosen, PatchConfig(grouping=grouping, points=most, alpha=1.5), rng)
    assert patches.index.shape == (25, most) and patches.index.dtype == np.int32
    for row, center in enumerate(chosen):
        expected = admitted(xyz, superpoints, center, patches.radius, grouping, most)
        kept = patches.index[row][patches.index[row] >= 0]
        assert len(set(kept)) == len(kept) == min(most, len(expected))
        assert set(kept) <= expected
        assert (patches.index[row][: len(kept)] >= 0).all(), "padding comes last"


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_offsets_and_padding(grouping):
    xyz, superpoints, chosen = scene()
    scaled, plain = (
        group(xyz, superpoints, chosen, PatchConfig(grouping=grouping, points=500, normalize=n)) for n in (True, False)
    )
    padded = scaled.index < 0
    assert padded.any() and not scaled.offsets[padded].any()
    expected = (xyz[scaled.index] - xyz[chosen][:, None]) * ~padded[..., None]
    np.testing.assert_array_equal(plain.offsets, expected.astype(np.float32))
    np.testing.assert_allclose(scaled.offsets * scaled.radius, plain.offsets, rtol=1e-5, atol=1e-7)
    if "ball" in grouping:
        assert np.linalg.norm(scaled.offsets, axis=2).max() <= 1 + 1e-5
    np.testing.assert_array_equal(scaled.centers, xyz[chosen])
    np.testing.assert_array_equal(scaled.superpoint, superpoints[chosen])


def test_the_radius_is_the_mean_distance_to_the_nearest_other_centroid():
    xyz, superpoints, chosen = scene(3)
    apart = np.linalg.norm(xyz[chosen][:, None].astype(np.float64) - xyz[chosen][None], axis=2)
    np.fill_diagonal(apart, np.inf)
    patches = group(xyz, superpoints, chosen, PatchConfig(alpha=0.7))
    assert patches.radius == pytest.approx(0.7 * apart.min(axis=1).mean(), rel=1e-6)
    assert spacing(xyz[:1]) == 1.0
    assert spacing(np.zeros((4, 3), np.float32)) == 1.0


def test_thinning_spreads_evenly_or_draws_at_random():
    xyz = np.random.default_rng(0).random((1000, 3)).astype(np.float32)
    one = np.zeros(1000, int)
    config = PatchConfig(grouping="spt", points=10)
    fixed = group(xyz, one, np.array([5]), config).index[0]
    assert np.array_equal(fixed, np.arange(50, 1000, 100))
    draws = np.stack([group(xyz, one, np.array([5]), config, np.random.default_rng(s)).index[0] for s in range(300)])
    assert (np.diff(draws, axis=1) > 0).all(), "no point twice"
    assert len(np.unique(draws)) > 900, "every point has its chance"
    again = group(xyz, one, np.array([5]), config, np.random.default_rng(7)).index[0]
    assert np.array_equal(again, draws[7])


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_single_point_is_its_own_patch(grouping):
    config = PatchConfig(grouping=grouping, points=4)
    patches = group(np.ones((1, 3), np.float32), np.zeros(1, int), np.array([0]), config)
    assert patches.index.tolist() == [[0, -1, -1, -1]] and not patches.offsets.any() and patches.radius == 1.0
