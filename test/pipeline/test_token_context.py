"""The surroundings of tokens: membership, channels, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.config import PatchConfig, TokenizerConfig
from s4token_model.pipeline import geometry, token_context
from s4token_model.pipeline.patches import group
from s4token_model.pipeline.sampling import farthest_points


def surroundings(xyz: np.ndarray, superpoints: np.ndarray, config: TokenizerConfig | None = None, tokens: int = 12):
    local = geometry.local_geometry(xyz, None, 12, 8)
    patches = group(xyz, superpoints, farthest_points(xyz, tokens), PatchConfig())
    around = token_context.context_features(
        xyz, local.normals, local.eigen, superpoints, patches, config or TokenizerConfig()
    )
    return around, patches, local


def scene(count: int = 900, seed: int = 0):
    rng = np.random.default_rng(seed)
    floor = np.c_[rng.uniform(-2, 2, (count, 2)), 0.01 * rng.normal(size=count)]
    wall = np.c_[rng.uniform(-2, 2, count), np.full(count, 2.0), rng.uniform(0, 2.5, count)]
    return np.concatenate([floor, wall]).astype(np.float32), np.repeat([0, 1], count)


def test_the_wide_patch_against_its_definition():
    xyz, superpoints = scene()
    config = TokenizerConfig(context_radius=1.0, context_points=2000)
    around, patches, local = surroundings(xyz, superpoints, config)
    for row, center in enumerate(patches.centers):
        offsets = xyz - center
        inside = (offsets**2).sum(axis=1) <= np.float32(patches.radius) ** 2
        assert around.mask[row].sum() == inside.sum()
        expected = np.c_[
            offsets[inside] / patches.radius,
            superpoints[inside] == patches.superpoint[row],
            local.normals[inside, 2] ** 2,
        ]
        np.testing.assert_allclose(around.points[row, : inside.sum()], expected, atol=1e-5)
        assert not around.points[row, inside.sum() :].any()


def test_shapes_types_and_bounds():
    xyz, superpoints = scene()
    around, patches, _ = surroundings(xyz, superpoints)
    assert around.points.shape == (12, 48, token_context.CHANNELS) and around.points.dtype == np.float32
    assert around.descriptor.shape == (12, token_context.DESCRIPTOR_DIM) and around.descriptor.dtype == np.float32
    assert np.isfinite(around.descriptor).all() and around.mask.any(axis=1).all()
    assert np.linalg.norm(around.points[..., :3], axis=2).max() <= 1 + 1e-5


def test_more_points_than_the_pool_are_thinned():
    xyz = np.random.default_rng(0).random((3 * token_context.POOL, 3)).astype(np.float32)
    around, _, _ = surroundings(xyz, np.zeros(len(xyz), int), TokenizerConfig(context_radius=2.0))
    assert around.mask.all(), "wide patches of a dense cloud are full"


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_scale_and_translation_change_nothing(scale):
    xyz, superpoints = scene()
    once, _, _ = surroundings(xyz, superpoints)
    moved, _, _ = surroundings((scale * (xyz + [3.0, -2.0, 1.0])).astype(np.float32), superpoints)
    assert (once.mask == moved.mask).mean() > 0.999
    np.testing.assert_allclose(once.descriptor, moved.descriptor, atol=2e-2)


def test_a_turn_about_the_vertical_keeps_the_superpoints_shape():
    xyz, superpoints = scene()
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)  # exact in float32
    once, _, _ = surroundings(xyz, superpoints)
    turned, _, _ = surroundings(xyz @ turn.T, superpoints)
    np.testing.assert_allclose(once.descriptor, turned.descriptor, atol=1e-3)
    np.testing.assert_allclose(once.points[..., :3] @ turn.T, turned.points[..., :3], atol=1e-4)


def test_floor_and_wall_look_different():
    xyz, superpoints = scene()
    around, patches, _ = surroundings(xyz, superpoints)
    floor, wall = (around.descriptor[patches.superpoint == s] for s in (0, 1))
    height = slice(3, 6)  # low, high and extent of the superpoint above the floor, in radii
    assert floor[:, height].max() < 0.5 < 1 < wall[:, 4].min()


def test_a_single_point():
    around, _, _ = surroundings(np.zeros((1, 3), np.float32), np.zeros(1, int))
    assert around.mask.sum() == 1 and np.isfinite(around.descriptor).all()
