"""Metrics against scikit-learn and against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model import constants, metrics
from s4token_model.evaluation.baselines import chance_confusion, height_and_normal

CLASSES = 7


def random_labels(seed: int, size: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Truth without class 5, predictions of every class; a tenth of both unlabeled."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 2, 3, 4, 6], size, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    guess = np.where(rng.random(size) < 0.6, truth, rng.integers(0, CLASSES, size))
    truth[rng.random(size) < 0.1] = constants.UNLABELED
    guess[rng.random(size) < 0.1] = constants.UNLABELED
    return truth, guess


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_scikit_learn(seed):
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, guess = random_labels(seed)
    kept = truth != constants.UNLABELED
    present = [0, 1, 2, 3, 4, 6]
    found = metrics.scores(metrics.confusion(truth, guess, CLASSES))
    jaccard = sklearn.jaccard_score(truth[kept], guess[kept], labels=present, average=None)
    recall = sklearn.recall_score(truth[kept], guess[kept], labels=present, average=None)
    np.testing.assert_allclose(found.iou[present], jaccard, atol=1e-6)
    np.testing.assert_allclose(found.recall[present], recall, atol=1e-6)
    assert found.miou == pytest.approx(jaccard.mean(), abs=1e-6)
    assert found.macc == pytest.approx(recall.mean(), abs=1e-6)
    assert found.accuracy == pytest.approx(sklearn.accuracy_score(truth[kept], guess[kept]), abs=1e-6)
    table = sklearn.confusion_matrix(truth[kept], np.where(guess == constants.UNLABELED, CLASSES, guess)[kept])
    np.testing.assert_array_equal(metrics.confusion(truth, guess, CLASSES)[present], table[[0, 1, 2, 3, 4, 6]])


def test_absent_classes_are_left_out_and_still_cost_the_others():
    found = metrics.scores(metrics.confusion(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), 3))
    assert found.miou == pytest.approx((0.5 + 1.0) / 2)
    assert np.isnan(found.iou[2]) and found.support.tolist() == [2, 2, 0]
    assert np.isnan(metrics.scores(np.zeros((3, 4))).miou)


def test_pooling_is_the_confusion_of_the_joined_clouds():
    (a, b), (c, d) = random_labels(3), random_labels(4, 100)
    pooled = metrics.confusion(a, b, CLASSES) + metrics.confusion(c, d, CLASSES)
    np.testing.assert_array_equal(pooled, metrics.confusion(np.r_[a, c], np.r_[b, d], CLASSES))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(3,\).*\(4,\)"):
        metrics.confusion(np.zeros(3, int), np.zeros(4, int), 2)


def test_oracle_is_the_majority_of_each_superpoint():
    rng = np.random.default_rng(5)
    ids = rng.integers(0, 40, 600) * 17
    truth = rng.integers(0, 5, 600)
    truth[rng.random(600) < 0.3] = constants.UNLABELED
    truth[ids == 0] = constants.UNLABELED
    best = metrics.oracle_labels(ids, truth)
    for i in np.unique(ids):
        votes = truth[(ids == i) & (truth != constants.UNLABELED)]
        wanted = np.bincount(votes).argmax() if len(votes) else constants.UNLABELED  # argmax: ties to the lower label
        assert (best[ids == i] == wanted).all()


def test_oracle_of_single_points_is_perfect_and_no_labeling_beats_the_oracle():
    truth, guess = random_labels(6, 500)
    alone = metrics.scores(metrics.confusion(truth, metrics.oracle_labels(np.arange(500), truth), CLASSES))
    assert alone.miou == 1 and alone.accuracy == 1
    ids = np.arange(500) // 10
    blocky = guess[ids * 10]
    best = metrics.scores(metrics.confusion(truth, metrics.oracle_labels(ids, truth), CLASSES)).accuracy
    assert best >= metrics.scores(metrics.confusion(truth, blocky, CLASSES)).accuracy
    assert len(metrics.oracle_labels(np.zeros(0, int), np.zeros(0, int))) == 0


def test_chance_is_the_mean_of_random_labelings():
    truth, _ = random_labels(7, 20000)
    support = metrics.confusion(truth, truth, CLASSES).sum(1)
    expected = metrics.scores(chance_confusion(support))
    rng = np.random.default_rng(8)
    drawn = [metrics.scores(metrics.confusion(truth, rng.integers(0, CLASSES, 20000), CLASSES)) for _ in range(20)]
    assert expected.miou == pytest.approx(np.mean([d.miou for d in drawn]), abs=2e-3)
    assert expected.accuracy == pytest.approx(1 / CLASSES)


def test_rules_find_floor_and_walls():
    rng = np.random.default_rng(9)
    u, v = rng.random((2, 3000)) * 3
    floor, wall, table = np.c_[u, v, 0 * u], np.c_[u, 0 * u, 1 + 0.5 * v], np.c_[1 + u / 3, 1 + v / 3, 0 * u + 0.8]
    names = ("wall", "floor", "cabinet")
    labels = height_and_normal(np.concatenate([floor, wall, table]).astype(np.float32), names)
    for part, wanted in zip(np.split(labels, 3), (1, 0, 2), strict=True):
        assert (part == wanted).mean() > 0.97


def test_iou_of_parts_agrees_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    truth, found = rng.integers(0, 3, 500), rng.integers(0, 3, 500)
    expected = sklearn.jaccard_score(truth, found, labels=[0, 1, 2], average=None)
    np.testing.assert_allclose(metrics.part_ious(truth, found, 4), [*expected, 1.0], atol=1e-12)
    found[:100] = 65535  # unlabeled points are wrong
    assert metrics.part_ious(truth, found, 4)[:3].max() < expected.max()


def test_chance_is_the_iou_of_uniform_guesses():
    rng = np.random.default_rng(0)
    truth, found = np.repeat([0, 1], [60000, 20000]), rng.integers(0, 3, 80000)
    np.testing.assert_allclose(metrics.chance_part_ious(truth, 3), metrics.part_ious(truth, found, 3), atol=0.01)
