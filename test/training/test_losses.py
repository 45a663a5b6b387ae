"""Losses against their formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from s4token_model.training.losses import (
    assignment_loss,
    balanced_weights,
    global_distillation,
    local_distillation,
    text_loss,
)


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


def test_gradients_of_distillation_are_those_of_the_rows_that_count_alone():
    """Masked rows must not leak into a gradient: neither zeros, nor the division by the length of an empty sum."""
    generator = torch.Generator().manual_seed(0)
    points, target = (torch.randn(n, 8, generator=generator) for n in (60, 9))
    superpoint = torch.randint(0, 7, (60,), generator=generator)  # nobody belongs to 7 and 8
    has_target = torch.tensor([1, 0, 1, 1, 0, 1, 1, 1, 0], dtype=torch.bool)
    target[~has_target] = 0

    def chosen(points):
        total = torch.zeros_like(target).index_add(0, superpoint, points)
        used = has_target & (torch.bincount(superpoint, minlength=9) > 0)
        return (1 - torch.cosine_similarity(total[used], target[used], dim=-1)).mean()

    def chosen_clouds(cls):
        return (1 - torch.cosine_similarity(cls[has_target], target[has_target], dim=-1)).mean()

    cls = torch.randn(9, 8, generator=generator)
    for found, expected, at in (
        (lambda p: local_distillation(p, superpoint, target, has_target), chosen, points),
        (lambda c: global_distillation(c, target), chosen_clouds, cls),
    ):
        at = at.clone().requires_grad_()
        torch.testing.assert_close(found(at), expected(at))
        torch.testing.assert_close(*(torch.autograd.grad(loss(at), at)[0] for loss in (found, expected)))


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


def test_clouds_without_a_global_target_do_not_count():
    cls, target = torch.randn(3, 8), torch.randn(3, 8)
    target[1] = 0
    expected = global_distillation(cls[[0, 2]], target[[0, 2]])
    assert float(global_distillation(cls, target)) == pytest.approx(float(expected))
    assert float(global_distillation(cls, target * 0)) == 0


def test_assignment_is_the_divergence_of_eq_7():
    torch.manual_seed(0)
    student, centroids = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    teacher = torch.softmax(torch.randn(2, 5, 3), -1)
    mine = torch.softmax(normalize(student, dim=-1) @ normalize(centroids, dim=-1).transpose(1, 2) / 0.1, -1)
    expected = (teacher * (teacher / mine).log()).sum(-1).mean()
    assert torch.isclose(assignment_loss(student, teacher, centroids), expected, atol=1e-5)
    assert assignment_loss(student, mine, centroids).abs() < 1e-6


def test_assignment_within_reach_is_the_divergence_over_the_clusters_there():
    rng = np.random.default_rng(2)
    student, centroids, reach = rng.normal(size=(2, 5, 8)), rng.normal(size=(2, 4, 8)), rng.random((2, 5, 4)) < 0.5
    reach[..., 1] = True
    teacher = np.where(reach, rng.random((2, 5, 4)), 0)
    teacher /= teacher.sum(axis=-1, keepdims=True)
    each = []
    for b, n in np.ndindex(2, 5):
        near = np.flatnonzero(reach[b, n])
        mine = np.exp([cosine(student[b, n], centroids[b, k]) / 0.07 for k in near])
        each.append((teacher[b, n, near] * np.log(teacher[b, n, near] / (mine / mine.sum()))).sum())
    asked = torch.from_numpy(student).requires_grad_()
    loss = assignment_loss(asked, *map(torch.from_numpy, (teacher, centroids)), 0.07, torch.from_numpy(reach))
    assert loss.item() == pytest.approx(np.mean(each), rel=1e-9)
    loss.backward()
    assert asked.grad.isfinite().all() and asked.grad.any()
