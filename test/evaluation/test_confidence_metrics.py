"""Reliability, thresholds, ranking, temperature: against brute force, scikit-learn and data of known calibration."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from s4token_model.evaluation import confidence_metrics as metrics
from s4token_model.pipeline import labeling

POINTS, CLASSES = 20_000, 8


def drawn(temperature: float, seed: int = 0) -> metrics.Scored:
    """Points whose true class is drawn from the softmax of their cosines at a temperature: calibrated there."""
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(-0.3, 0.3, (POINTS, CLASSES)).astype(np.float32)
    noise = rng.gumbel(size=cosines.shape)  # the argmax of logits + Gumbel noise is a draw from their softmax
    truth = (cosines / temperature + noise).argmax(1)
    return metrics.Scored(cosines, (truth[:, None] == np.arange(CLASSES)).astype(float))


def random_outcomes(seed: int = 0, rows: int = 300) -> metrics.Outcomes:
    """Decisions of several points each, with many equal confidences."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 40, rows)
    return metrics.Outcomes(rng.integers(0, 60, rows).astype(np.float32) / 60, rng.integers(0, points + 1), points)


def test_calibrated_data_have_no_calibration_error():
    scored = drawn(0.1)
    outcomes = metrics.outcomes_of(scored, 0.1)
    assert metrics.calibration_error(outcomes) < 0.015
    assert outcomes.mean_confidence == pytest.approx(outcomes.accuracy, abs=0.01)
    for wrong in (0.05, 0.2):
        off = metrics.outcomes_of(scored, wrong)
        gap = abs(off.mean_confidence - off.accuracy)
        assert gap > 0.05 and metrics.calibration_error(off) == pytest.approx(gap, abs=0.01), wrong


@pytest.mark.parametrize("temperature", [0.03, 0.1, 0.4])
def test_the_fit_recovers_a_known_temperature(temperature):
    assert metrics.fitted_temperature(drawn(temperature)) == pytest.approx(temperature, rel=0.03)


def test_the_likelihood_is_that_of_the_true_classes():
    scored = drawn(0.1)._replace(counts=np.random.default_rng(1).integers(0, 3, (POINTS, CLASSES)))
    powers = np.exp(scored.cosines.astype(float) / 0.07)
    expected = -(np.log(powers / powers.sum(1, keepdims=True)) * scored.counts).sum() / scored.counts.sum()
    assert metrics.negative_log_likelihood(scored, 0.07) == pytest.approx(expected)


def test_calibration_error_is_that_of_equal_parts_of_the_sorted_points():
    outcomes = metrics.outcomes_of(drawn(0.1), 0.06)
    order = np.argsort(outcomes.confidence, kind="stable")
    parts = [order[k * POINTS // 10 : (k + 1) * POINTS // 10] for k in range(10)]
    gaps = [abs(outcomes.confidence[part].mean() - outcomes.right[part].mean()) for part in parts]
    assert metrics.calibration_error(outcomes, bins=10) == pytest.approx(np.mean(gaps), abs=1e-6)
    assert metrics.reliability(outcomes, 10).points.tolist() == [POINTS / 10] * 10


def test_bins_hold_all_points_and_none_is_empty():
    one_large = metrics.Outcomes(np.array([0.2, 0.5, 0.9]), np.array([1, 600, 2]), np.array([2, 1000, 2]))
    found = metrics.reliability(one_large)
    assert found.points.sum() == 1004 and (found.points > 0).all()
    np.testing.assert_allclose(found.precision, [0.5, 0.6, 1.0])
    np.testing.assert_allclose(found.confidence, [0.2, 0.5, 0.9])


@pytest.mark.parametrize("seed", range(5))
def test_precision_coverage_and_the_smallest_threshold_are_those_of_brute_force(seed):
    outcomes = random_outcomes(seed)
    precision, coverage = metrics.precision_and_coverage(outcomes)
    enough = []
    for k, threshold in enumerate(metrics.THRESHOLDS):
        kept = outcomes.confidence >= np.float32(threshold)
        right, points = outcomes.right[kept].sum(), outcomes.points[kept].sum()
        assert coverage[k] == pytest.approx(points / outcomes.points.sum())
        assert precision[k] == pytest.approx(right / points) if points else np.isnan(precision[k])
        if points and right / points >= 0.55:
            enough.append(threshold)
    assert metrics.smallest_threshold(outcomes, 0.55) == (enough[0] if enough else None)
    assert metrics.smallest_threshold(outcomes, 1.1) is None


def test_coverage_is_what_the_pipeline_labels():
    outcomes = metrics.outcomes_of(drawn(0.1), 0.1)
    for threshold in (0.0, 0.25, 0.4, 1.0):
        labels, confidence = np.full(POINTS, 65535, np.uint32), np.zeros(POINTS, np.float32)
        best = np.zeros(POINTS, np.int64)
        labeling.write_labels(np.arange(POINTS), best, outcomes.confidence, np.array([threshold]), (labels, confidence))
        coverage = metrics.precision_and_coverage(outcomes, np.array([threshold]))[1]
        assert coverage[0] == pytest.approx((labels != 65535).mean())


def test_ranking_is_that_of_scikit_learn_and_of_the_definition():
    confidence, right, points = random_outcomes()
    truth = np.repeat([1, 0], len(confidence))
    expected = roc_auc_score(truth, np.tile(confidence, 2), sample_weight=np.r_[right, points - right])
    assert metrics.auroc(confidence, right, points - right) == pytest.approx(expected)
    assert metrics.auroc(confidence, points, 0 * points) is None
    distinct = np.random.default_rng(0).permutation(len(points)) / len(points)
    risks = [1 - right[distinct >= s].sum() / max(points[distinct >= s].sum(), 1) for s in distinct]
    assert metrics.aurc(distinct, right, points) == pytest.approx(np.average(risks, weights=points))


def test_a_single_word_is_decided_as_in_the_pipeline():
    scored = metrics.Scored(np.array([[-0.2], [0.4]], np.float32), np.ones((2, 1)))
    np.testing.assert_allclose(metrics.outcomes_of(scored, 0.05).confidence, [0, 0.4])
