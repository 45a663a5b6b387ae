"""How well confidences tell right labels from wrong ones: reliability, thresholds, ranking, temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from s4token_model.pipeline.labeling import argmax_and_confidence

BINS = 15  # of the reliability curve
THRESHOLDS = np.round(np.arange(0, 1.001, 0.01), 2)  # as users type them
TEMPERATURES = (1e-3, 1.0)  # range of the fit


class Scored(NamedTuple):
    """What R decisions are made of, each for some points of one superpoint, or for one point."""

    cosines: np.ndarray  # (R, C) with the class names
    counts: np.ndarray  # (R, C) annotated points of each true class


class Outcomes(NamedTuple):
    """R decisions, each for some annotated points, of which some are right."""

    confidence: np.ndarray  # (R,) in [0, 1]
    right: np.ndarray  # (R,) points whose true class is the chosen one
    points: np.ndarray  # (R,) annotated points

    @property
    def accuracy(self) -> float:
        """Fraction of the points that are right."""
        return float(self.right.sum() / self.points.sum())

    @property
    def mean_confidence(self) -> float:
        """Mean over the points."""
        return float(self.confidence @ self.points / self.points.sum())


class Reliability(NamedTuple):
    """Bins of equal mass, by rising confidence; at most BINS, none empty."""

    confidence: np.ndarray  # (B,) mean over the points of a bin
    precision: np.ndarray  # (B,) fraction of them that are right
    points: np.ndarray  # (B,)


def outcomes_of(scored: Scored, temperature: float) -> Outcomes:
    """Decide as the pipeline does, and compare with the truth."""
    best, confidence = argmax_and_confidence(scored.cosines, temperature)
    return Outcomes(confidence, scored.counts[np.arange(len(best)), best], scored.counts.sum(1))


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """All decisions of several sets."""
    return Outcomes(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def reliability(outcomes: Outcomes, bins: int = BINS) -> Reliability:
    """Mean confidence and precision in bins of about equal mass; a decision is in the bin of its middle point."""
    order = np.argsort(outcomes.confidence, kind="stable")
    confidence, right, points = (np.asarray(a, np.float64)[order] for a in outcomes)
    middle = (np.cumsum(points) - points / 2) / points.sum()
    chosen = np.minimum((middle * bins).astype(int), bins - 1)
    total = np.bincount(chosen, points)
    sums = (np.bincount(chosen, values)[total > 0] for values in (confidence * points, right))
    return Reliability(*(values / total[total > 0] for values in sums), total[total > 0])


def calibration_error(outcomes: Outcomes, bins: int = BINS) -> float:
    """Expected calibration error: mean over the points of |confidence - precision| of their bin."""
    confidence, precision, points = reliability(outcomes, bins)
    return float(np.abs(confidence - precision) @ points / points.sum())


def precision_and_coverage(outcomes: Outcomes, thresholds: np.ndarray = THRESHOLDS) -> tuple[np.ndarray, np.ndarray]:
    """Precision (T,) of the points labeled at each rising threshold, NaN without any, and their fraction (T,)."""
    limits = np.asarray(thresholds, np.float32)  # as labeling.write_labels compares
    kept = np.searchsorted(limits, outcomes.confidence.astype(np.float32), side="right")
    right, points = (
        np.bincount(kept, values, len(limits) + 1)[::-1].cumsum()[::-1][1:] for values in outcomes[1:]
    )  # fmt: skip
    with np.errstate(invalid="ignore"):
        return right / points, points / outcomes.points.sum()


def smallest_threshold(outcomes: Outcomes, precision: float) -> float | None:
    """The smallest of THRESHOLDS at which the labeled points have this precision, or None."""
    enough = np.flatnonzero(precision_and_coverage(outcomes)[0] >= precision)
    return float(THRESHOLDS[enough[0]]) if len(enough) else None


def auroc(score: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> float | None:
    """Probability that a right point has a higher score than a wrong one; ties count half. None without either."""
    rank = np.unique(score, return_inverse=True)[1].reshape(-1)
    positive, negative = np.bincount(rank, right), np.bincount(rank, wrong)
    below = np.cumsum(negative) - negative / 2
    pairs = positive.sum() * negative.sum()
    return float(positive @ below / pairs) if pairs else None


def aurc(score: np.ndarray, right: np.ndarray, points: np.ndarray) -> float:
    """Area under the risk-coverage curve: fraction of wrong points above a threshold, mean over all coverages."""
    order = np.argsort(-np.asarray(score), kind="stable")
    kept, total = np.cumsum(np.asarray(right)[order]), np.cumsum(np.asarray(points)[order])
    risk = 1 - kept / np.maximum(total, 1)
    return float(risk @ np.asarray(points)[order] / total[-1])


def negative_log_likelihood(scored: Scored, temperature: float) -> float:
    """Mean over the points of -log softmax_c(cosine / temperature) at their true class c."""
    logs = log_softmax(scored.cosines.astype(np.float64) / temperature, axis=1)
    return float(-(logs * scored.counts).sum() / scored.counts.sum())


def fitted_temperature(scored: Scored) -> float:
    """The temperature that minimizes the negative log likelihood, which is convex in 1 / temperature."""
    low, high = (1 / t for t in reversed(TEMPERATURES))
    found = minimize_scalar(lambda factor: negative_log_likelihood(scored, 1 / factor), bounds=(low, high))
    return float(1 / found.x)
