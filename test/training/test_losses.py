"""Losses and the propagation of training batches, against numpy and against inference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s4token_model.pipeline.propagation import TokenCenters, propagate
from s4token_model.training import token_samples
from s4token_model.training.distillation import global_distillation, local_distillation
from s4token_model.training.text_target import balanced_weights, text_loss


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_local_distillation_is_its_formula():
    rng = np.random.default_rng(0)
    points, target = rng.normal(size=(60, 8)), rng.normal(size=(7, 8))
    superpoint = rng.integers(0, 6, 60)  # nobody belongs to 6
    has_target = np.array([True, False, True, True, False, True, True])
    expected = [1 - cosine(points[superpoint == s].mean(axis=0), target[s]) for s in (0, 2, 3, 5)]
    got = local_distillation(*map(torch.from_numpy, (points, superpoint, target, has_target)))
    assert float(got) == pytest.approx(np.mean(expected), abs=1e-6)


def test_local_distillation_without_any_target_is_zero_and_can_be_differentiated():
    points = torch.randn(5, 8, requires_grad=True)
    unseen = torch.zeros(2, dtype=torch.bool)
    loss = local_distillation(points, torch.zeros(5, dtype=torch.long), torch.zeros(2, 8), unseen)
    loss.backward()
    assert loss.item() == 0 and not points.grad.any()


def test_distillation_is_zero_at_the_target_and_two_opposite_to_it():
    target, superpoint = torch.randn(3, 8), torch.tensor([0, 1, 2, 2])
    seen = torch.ones(3, dtype=torch.bool)
    assert float(local_distillation(target[superpoint] * 5, superpoint, target, seen)) == pytest.approx(0, abs=1e-6)
    assert float(global_distillation(target * 0.1, target)) == pytest.approx(0, abs=1e-6)
    assert float(global_distillation(-target, target)) == pytest.approx(2, abs=1e-6)


def test_text_loss_is_its_formula():
    rng = np.random.default_rng(1)
    points, text = rng.normal(size=(40, 8)), rng.normal(size=(5, 8))
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    label, weight = rng.integers(0, 5, 40), rng.uniform(0.5, 2, 5)
    logits = points @ text.T / np.linalg.norm(points, axis=1, keepdims=True) / 0.07
    each = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(40), label]
    expected = (weight[label] * each).sum() / weight[label].sum()
    got = text_loss(*map(torch.from_numpy, (points, text, label, weight)), 0.07)
    assert float(got) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_balanced_weights(power):
    counts = np.array([0, 1, 10, 1000])
    weights = balanced_weights(torch.from_numpy(counts), power).double().numpy()
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(weights[2] / weights[3], 100**power, rtol=1e-5)
    assert weights[0] == pytest.approx(weights[1])


def drawn(seed: int = 0, tokens: int = 9, points: int = 80, regions: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "position": rng.normal(size=(tokens, 3)).astype(np.float32),
        "token_superpoint": rng.integers(0, regions - 1, tokens).astype(np.int32),
        "point": rng.normal(size=(points, 3)).astype(np.float32),
        "point_superpoint": rng.integers(0, regions, points).astype(np.int32),
    }


@pytest.mark.parametrize("seed", range(4))
def test_training_propagates_as_inference_does(seed):
    cloud = drawn(seed)
    weights = token_samples._propagation(cloud)
    anchors = TokenCenters(cloud["position"], cloud["token_superpoint"], 1.0)
    scores = np.random.default_rng(seed).normal(size=(9, 4)).astype(np.float32)
    expected = propagate(cloud["point"], cloud["point_superpoint"], anchors, scores)
    reached = weights.sum(axis=1) > 0
    assert np.array_equal(reached, np.isin(cloud["point_superpoint"], cloud["token_superpoint"])) and not reached.all()
    np.testing.assert_allclose((weights @ scores)[reached], expected[reached], atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=1)[reached], 1, atol=1e-5)


def test_superpoints_of_two_clouds_stay_apart_in_a_batch():
    rng = np.random.default_rng(0)
    clouds = []
    for seed in (0, 1):
        clouds.append(
            drawn(seed)
            | {"patch": rng.random((9, 4, 3), np.float32), "mask": np.ones((9, 4), bool)}
            | {"context": rng.random((9, 6, 5), np.float32), "context_mask": np.ones((9, 6), bool)}
            | {"shape": rng.random((9, 24), np.float32), "point_label": rng.integers(0, 3, 80)}
            | {"target_superpoint": np.array([1, 3, 40]), "target_feature": rng.random((3, 8), np.float32)}
            | {"target_whole": rng.random(8, np.float32)}
        )
    batch = token_samples.collate(clouds)
    first, second = batch.superpoint
    assert first.max() < second.min() and len(batch.target) == second.max() + 1
    start = int(second.min() - clouds[1]["point_superpoint"].min())
    np.testing.assert_array_equal(batch.target[1], clouds[0]["target_feature"][0])
    np.testing.assert_array_equal(batch.target[start + 3], clouds[1]["target_feature"][1])
    assert batch.has_target.nonzero().flatten().tolist() == [1, 3, start + 1, start + 3]
    assert batch.whole.shape == (2, 8) and batch.inputs.patch.shape == (2, 9, 4, 3)


@pytest.mark.parametrize("train", [True, False])
def test_thinned_patches_hold_distinct_valid_points(train):
    rng = np.random.default_rng(0)
    count = np.array([3, 8, 20])
    points = np.where(np.arange(20)[None, :, None] < count[:, None, None], rng.random((3, 20, 3)) + 1, 0)
    kept, mask = token_samples._thin(points.astype(np.float16), count, 8, rng, train)
    assert kept.dtype == np.float32
    for row in range(3):
        chosen = kept[row][mask[row]]
        assert len(chosen) == (min(count[row], 8) if train else count[row])
        assert (chosen >= 1).all() and len(np.unique(chosen[:, 0])) == len(chosen)


def test_turns_are_about_the_vertical_and_keep_lengths():
    rng = np.random.default_rng(0)
    signs = set()
    for _ in range(30):
        turn = token_samples._turn(rng)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
        assert turn[2].tolist() == [0, 0, 1] and turn[:, 2].tolist() == [0, 0, 1]
        signs.add(round(float(np.linalg.det(turn))))
    assert signs == {-1, 1}
