"""How confidence relates to being right: on held-out procedural rooms and on real data, also for absent words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.evaluation import calibration_report
from s4token_model.evaluation.confidence_metrics import (
    THRESHOLDS,
    Outcomes,
    Scored,
    aurc,
    auroc,
    calibration_error,
    fitted_temperature,
    joined,
    negative_log_likelihood,
    outcomes_of,
    precision_and_coverage,
    reliability,
    smallest_threshold,
)
from s4token_model.evaluation.loading import Result, Setup
from s4token_model.evaluation.scored_sets import ScoredSet, procedural_sets, real_sets
from s4token_model.pictures.plots import new_figure

PRECISIONS = (0.8, 0.9)
WORD_COUNTS = (5, 10, 20, 40)
DRAWS = 10  # of random word lists


def confidence_calibration(
    setup: Setup, root: str | Path | None = None, rooms: int = 40, report: str | Path | None = None
) -> Result:
    """Measure the confidences of a model on held-out rooms, and on the real data below `root` where they are.

    `report`: a Markdown file to write, with the picture NAME.png beside it.
    """
    if rooms < 2:
        raise ValueError(f"rooms={rooms}; at least two, to fit the temperature on one half and test it on the other")
    if report is not None:
        new_figure(1, 1)  # a missing package is an error before the work, not after it
    segmenter = setup.labeler()
    real = list(real_sets(segmenter, Path(root))) if root else []
    own_words, scannet_words = procedural_sets(segmenter, rooms)
    sets, temperature = [own_words, scannet_words, *real], segmenter.config.vocabulary.temperature
    fitted = fitted_temperature(scannet_words.pooled())
    advice = recommended(sets, temperature)
    figures = [measure(one, temperature, fitted, advice["threshold"] or 0.0) for one in sets]
    result = {"task": "calibration", "model": str(setup.model), "temperature": temperature, "rooms": rooms}
    result |= {"fitted_temperature": fitted, "recommended": advice, "sets": figures}
    if setup.out is not None:
        calibration_report.draw(setup.out / "calibration.png", result)
    if report is not None:
        calibration_report.write(Path(report), result)
    return result, calibration_report.text(result)


def measure(one: ScoredSet, temperature: float, fitted: float, threshold: float) -> dict[str, Any]:
    """All figures of a set, JSON-ready, at `temperature`; `fitted` is that of the rooms, `threshold` that of all."""
    scored = one.pooled()
    outcomes = outcomes_of(scored, temperature)
    precision, coverage = precision_and_coverage(outcomes)
    bins = reliability(outcomes)
    return {
        "name": one.name, "words": len(one.words), "clouds": len(one.clouds), "points": int(outcomes.points.sum()),
        "accuracy": outcomes.accuracy, "confidence": outcomes.mean_confidence,
        "temperatures": temperatures(one, temperature, fitted),
        "reliability": {key: values.tolist() for key, values in bins._asdict().items()},
        "curve": {
            "threshold": THRESHOLDS.tolist(), "coverage": coverage.tolist(),
            "precision": [finite(value) for value in precision],
        },
        "thresholds": {str(target): threshold_figures(outcomes, target) for target in PRECISIONS},
        "word_counts": word_counts(scored, temperature),
        "absent": absent_words(one, temperature, threshold),
        "scores": ranking(scored, temperature),
    }  # fmt: skip


def temperatures(one: ScoredSet, current: float, fitted: float) -> dict[str, Any]:
    """Calibration error and likelihood at the current temperature, at that of the rooms, and cross-fitted."""
    scored = one.pooled()
    found: dict[str, Any] = {"fitted": fitted_temperature(scored)}
    for key, value in (("current", current), ("rooms", fitted)):
        found[f"{key}_ece"] = calibration_error(outcomes_of(scored, value))
        found[f"{key}_nll"] = negative_log_likelihood(scored, value)
    # Fit on one half of the groups, test on the other
    parts, likelihood = [], 0.0
    for fit, test in one.halves():
        value, held_out = fitted_temperature(one.pooled(fit)), one.pooled(test)
        parts.append(outcomes_of(held_out, value))
        likelihood += negative_log_likelihood(held_out, value) * held_out.counts.sum()
    tested = joined(parts) if parts else None
    found["crossed_ece"] = calibration_error(tested) if tested else None
    found["crossed_nll"] = float(likelihood / tested.points.sum()) if tested else None
    return found


def threshold_figures(outcomes: Outcomes, precision: float) -> dict[str, float | None]:
    """The smallest threshold at which the labeled points have this precision, and their fraction; None if none has."""
    threshold = smallest_threshold(outcomes, precision)
    coverage = None if threshold is None else at_threshold(outcomes, threshold)["coverage"]
    return {"threshold": threshold, "coverage": coverage}


def at_threshold(outcomes: Outcomes, threshold: float) -> dict[str, float | None]:
    """Precision, None if no point is labeled, and coverage."""
    precision, coverage = precision_and_coverage(outcomes, np.array([threshold]))
    return {"precision": finite(precision[0]), "coverage": float(coverage[0])}


def finite(value: float) -> float | None:
    """The value as JSON has it: None for NaN."""
    return None if np.isnan(value) else float(value)


def recommended(sets: Sequence[ScoredSet], temperature: float) -> dict[str, Any]:
    """The smallest threshold that has the first of PRECISIONS on every set, and what it gives there."""
    outcomes = [outcomes_of(one.pooled(), temperature) for one in sets]
    for one, found in zip(sets, outcomes, strict=True):
        if not found.points.any():
            raise ValueError(f"{one.name}: no annotated point; check the labels")
    precisions = np.array([precision_and_coverage(found)[0] for found in outcomes])
    enough = np.flatnonzero((precisions >= PRECISIONS[0]).all(axis=0))
    if not len(enough):
        return {"threshold": None, "sets": []}
    threshold, rows = float(THRESHOLDS[enough[0]]), []
    for one, together in zip(sets, outcomes, strict=True):
        groups = list(dict.fromkeys(one.groups))
        parts = [at_threshold(outcomes_of(one.pooled([group]), temperature), threshold) for group in groups]
        row = {"name": one.name, **at_threshold(together, threshold), "groups": len(groups)}
        rows.append(row | {"lowest": min(part["precision"] for part in parts if part["precision"] is not None)})
    return {"threshold": threshold, "sets": rows}


def word_counts(scored: Scored, temperature: float) -> list[dict[str, Any]]:
    """Figures over random lists of each of WORD_COUNTS of the words, on the points whose class is in the list."""
    rows: list[dict[str, Any]] = []
    for count in WORD_COUNTS:
        if count >= scored.cosines.shape[1]:
            break
        rng = np.random.default_rng([count, 1])
        lists = [np.sort(rng.choice(scored.cosines.shape[1], count, replace=False)) for _ in range(DRAWS)]
        drawn = [Scored(scored.cosines[:, words], scored.counts[:, words]) for words in lists]
        together = Scored(*(np.concatenate(arrays) for arrays in zip(*drawn, strict=True)))
        if together.counts.any():
            outcomes = outcomes_of(together, temperature)
            row = {"words": count, "accuracy": outcomes.accuracy, "confidence": outcomes.mean_confidence}
            row |= {"ece": calibration_error(outcomes), "fitted_temperature": fitted_temperature(together)}
            rows.append(row | threshold_figures(outcomes, PRECISIONS[0]))
    return rows


def absent_words(one: ScoredSet, temperature: float, threshold: float) -> dict[str, Any]:
    """Figures with a random half of the classes that occur missing from the list.

    auroc: whether confidence tells points whose class is in the list from others. alone, with_background: precision
    and coverage at `threshold` of the words that are left, by themselves and with the removed ones as background.
    """
    rng, scored = np.random.default_rng(2), one.pooled()
    occurring = np.flatnonzero(scored.counts.sum(0) > 0)
    complete, best = outcomes_of(scored, temperature), scored.cosines.argmax(1)
    # Random halves: points whose class is in the list, and the outcomes of the half without and with the other one
    present, alone, background = [], [], []
    for _ in range(DRAWS):
        kept = np.setdiff1d(np.arange(len(one.words)), rng.choice(occurring, len(occurring) // 2, replace=False))
        found = outcomes_of(Scored(scored.cosines[:, kept], scored.counts[:, kept]), temperature)
        present.append(found.points)
        alone.append(found._replace(points=complete.points))
        background.append(complete._replace(confidence=np.where(np.isin(best, kept), complete.confidence, -1.0)))
    # All halves together
    outcomes, inside = joined(alone), np.concatenate(present)
    outside = outcomes.points - inside
    return {
        "present_confidence": float(outcomes.confidence @ inside / inside.sum()),
        "absent_confidence": float(outcomes.confidence @ outside / max(outside.sum(), 1.0)),
        "auroc": auroc(outcomes.confidence, inside, outside),
        "alone": at_threshold(outcomes, threshold),
        "with_background": at_threshold(joined(background), threshold),
        **threshold_figures(outcomes, PRECISIONS[0]),
    }


def ranking(scored: Scored, temperature: float) -> dict[str, dict[str, float | None]]:
    """Area under the ROC curve of right against wrong, and under the risk-coverage curve, of several scores."""
    confidence, right, points = outcomes_of(scored, temperature)
    second, first = np.sort(scored.cosines, axis=1)[:, -2:].T
    exponents = scored.cosines / temperature
    powers = np.exp(exponents - exponents.max(1, keepdims=True))
    probability = powers / powers.sum(1, keepdims=True)
    entropy = -(probability * np.log(np.maximum(probability, 1e-30))).sum(1)
    scores = {"softmax": confidence, "negative entropy": -entropy, "margin": first - second, "cosine": first}
    return {
        key: {"auroc": auroc(v, right, points - right), "aurc": aurc(v, right, points)} for key, v in scores.items()
    }
