"""Superpoint-aware propagation against the dense formula."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.kernels import propagate as propagate_kernel
from s4token_model.pipeline import propagation
from s4token_model.pipeline.propagation import TokenCenters, propagate, score_blocks


def scene(seed: int = 0, count: int = 500, tokens: int = 14, regions: int = 8):
    """Points, superpoints, tokens at some of the points (several superpoints without any), unit token features."""
    rng = np.random.default_rng(seed)
    xyz = rng.random((count, 3)).astype(np.float32)
    superpoints = rng.integers(0, regions, count)
    chosen = rng.choice(np.flatnonzero(superpoints < regions - 3), tokens, replace=False)
    features = rng.normal(size=(tokens, 16)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return xyz, superpoints, TokenCenters(xyz[chosen], superpoints[chosen], 0.17), features


def dense(xyz, superpoints, centers: TokenCenters) -> np.ndarray:
    """w (H, N) of Eq. 4, point by point in float64."""
    weights = np.zeros((len(xyz), len(centers.centers)))
    for i, point in enumerate(xyz.astype(np.float64)):
        distance = np.linalg.norm(point - centers.centers.astype(np.float64), axis=1)
        allowed = centers.superpoint == superpoints[i]
        if not allowed.any():
            allowed = np.isin(np.arange(len(distance)), np.argsort(distance)[: propagate_kernel.FALLBACK])
        weights[i] = allowed / (distance / centers.radius + 1e-4)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tokens", [1, 2, 14, 60])
@pytest.mark.parametrize("words", [5, 16, 37])
def test_scores_are_those_of_the_dense_formula(seed, tokens, words):
    xyz, superpoints, centers, features = scene(seed, tokens=tokens)
    scores = np.random.default_rng(seed).normal(size=(tokens, words)).astype(np.float32)
    expected = dense(xyz, superpoints, centers)
    got = propagate(xyz, superpoints, centers, scores)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected @ scores, atol=1e-5)
    text = np.random.default_rng(1).normal(size=(words, 16))
    text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)
    points = expected @ features
    cosines = points @ text.T / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(
        propagate(xyz, superpoints, centers, features @ text.T, features @ features.T), cosines, atol=1e-5
    )


@pytest.mark.parametrize("chunk", [7, 65536])
def test_every_point_is_covered_once_with_weights_that_sum_to_one(monkeypatch, chunk):
    monkeypatch.setattr(propagation, "CHUNK", chunk)
    xyz, superpoints, centers, _ = scene()
    seen = np.zeros(len(xyz), int)
    expected = dense(xyz, superpoints, centers)
    one_each = np.eye(len(centers.centers), dtype=np.float32)  # token k alone scores in column k: the weights
    for points, weights in score_blocks(xyz, superpoints, centers, one_each):
        seen[points] += 1
        assert len(points) <= chunk and weights.dtype == np.float32
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(weights, expected[points], atol=1e-5)
    assert (seen == 1).all()


def test_a_point_on_a_centroid_takes_nearly_all_of_it():
    xyz, superpoints, centers, features = scene()
    weights = dense(centers.centers, centers.superpoint, centers)
    assert np.diag(weights).min() > 0.99
    np.testing.assert_allclose(propagate(centers.centers, centers.superpoint, centers, features), features, atol=0.03)


@pytest.mark.parametrize("scale", [2.0**-10, 2.0**10])
def test_the_unit_of_length_does_not_matter(scale):
    xyz, superpoints, centers, features = scene()
    large = TokenCenters(centers.centers * np.float32(scale), centers.superpoint, centers.radius * scale)
    once = propagate(xyz, superpoints, centers, features)
    np.testing.assert_allclose(propagate(xyz * np.float32(scale), superpoints, large, features), once, atol=1e-6)


def test_no_points_and_opposed_features():
    xyz, superpoints, centers, features = scene()
    assert propagate(xyz[:0], superpoints[:0], centers, features).shape == (0, 16)
    few = superpoints == 0  # a part of the cloud, without the superpoints of most tokens
    some = propagate(xyz[few], superpoints[few], centers, features)
    np.testing.assert_array_equal(some, propagate(xyz, superpoints, centers, features)[few])
    pair = TokenCenters(np.array([[-1.0, 0, 0], [1, 0, 0]], np.float32), np.zeros(2, int), 1.0)
    opposed = np.array([[1.0, 0], [-1, 0]], np.float32)
    cosine = propagate(np.zeros((1, 3), np.float32), np.zeros(1, int), pair, opposed[:, :1], opposed @ opposed.T)
    assert np.isfinite(cosine).all(), "features that cancel give no NaN"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tokens", [1, 2, 14, 60])
def test_features_of_superpoints_are_the_means_of_the_dense_formula(seed, tokens):
    xyz, superpoints, centers, features = scene(seed, 3000, tokens)
    points = dense(xyz, superpoints, centers) @ features
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    expected = np.stack([points[superpoints == s].mean(axis=0) for s in range(8)])
    everything = np.arange(len(xyz), dtype=np.int32)
    found = propagation.superpoint_features(xyz, superpoints, [(everything, centers, features)])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # Two windows that see the same tokens
    windows = [(everything[k::2], centers, features) for k in range(2)]
    np.testing.assert_allclose(propagation.superpoint_features(xyz, superpoints, windows), expected, atol=2e-5)


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.1, 1.0])
def test_many_tokens_of_one_surface_are_blended_as_the_dense_formula_says(noise):
    rng = np.random.default_rng(3)
    xyz = rng.random((2000, 3), np.float32)
    features = rng.normal(size=(1, 64)) + noise * rng.normal(size=(300, 64))  # alike, up to unlike
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    one = np.zeros(len(xyz), int)
    centers = TokenCenters(xyz[:300], one[:300], 0.17)
    points = dense(xyz, one, centers) @ features
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    texts = np.eye(64, dtype=np.float32)
    found = propagate(xyz, one, centers, features @ texts, features @ features.T)
    np.testing.assert_allclose(found, points, atol=1e-4)
    mean = propagation.superpoint_features(xyz, one, [(np.arange(len(xyz), dtype=np.int32), centers, features)])
    np.testing.assert_allclose(mean[0], points.mean(axis=0), atol=1e-4)
