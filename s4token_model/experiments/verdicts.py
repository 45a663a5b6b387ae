"""What the runs say about an order of the paper's: paired t tests over seeds, and what they could have seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from s4token_model.experiments import runs
from s4token_model.experiments.experiment import Experiment
from s4token_model.experiments.runs import Workspace

LEVEL, POWER = 0.05, 0.8
NO_SPREAD = 1e-9  # gaps this alike are one number, which no test over seeds is about


class Comparison(NamedTuple):
    """Two settings, the first of which should be better, by one figure."""

    pair: str  # "better over worse", and the figure if there are several
    gaps: np.ndarray  # (S,) better - worse of the seeds that both have, fractions of 1
    paper: float  # the paper's difference; NaN if it gives none
    of_paper: bool  # whether the order is the paper's, or a question of ours


def comparisons(experiment: Experiment, workspace: Workspace) -> list[Comparison]:
    """Pair the stored runs of an experiment by their seeds."""
    found = []
    for better, worse in (*experiment.expected, *experiment.asked):
        for key in experiment.compared:
            title = f", {experiment.figures[key]}" if len(experiment.compared) > 1 else ""
            seeds = range(experiment.seeds_of(workspace.budget))
            values = np.array([[_figure(experiment, s, k, key, workspace) for s in (better, worse)] for k in seeds])
            gaps = values[:, 0] - values[:, 1]
            paper, of_paper = _paper_gap(experiment, better, worse, key), (better, worse) in experiment.expected
            found.append(Comparison(f"{better} over {worse}{title}", gaps[~np.isnan(gaps)], paper, of_paper))
    return found


def p_value(gaps: np.ndarray) -> float:
    """Return p of the two-sided paired t test that the mean gap is 0; NaN for fewer than 2, or when all are alike."""
    if len(gaps) < 2 or np.ptp(gaps) < NO_SPREAD:
        return math.nan
    return float(stats.ttest_1samp(gaps, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust p values of tests that are looked at together, by Holm's step-down method; NaN are no tests."""
    p = np.array(p_values, float)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]  # NaN come last
    p[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return p


def detectable(gaps: np.ndarray, level: float = LEVEL, power: float = POWER) -> float:
    """Return the smallest mean gap that the paired t test finds with this power, at the spread of `gaps`.

    The power for a gap d is the mean, over the spreads that n draws may have, of P(|Z + d sqrt(n) / sd| > t s / sd),
    with the limit t of n - 1 degrees of freedom. (The noncentral t of SciPy is NaN for some of these values.)
    """
    degrees, error = len(gaps) - 1, float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps))
    quantiles = (np.arange(2000) + 0.5) / 2000
    limits = stats.t.isf(level / 2, degrees) * np.sqrt(stats.chi2.ppf(quantiles, degrees) / degrees)

    def excess(center: float) -> float:
        return float((stats.norm.sf(limits - center) + stats.norm.cdf(-limits - center)).mean()) - power

    return error * float(optimize.brentq(excess, 0.0, limits.max() + 10.0))


def sentences(comparisons_of: Sequence[Sequence[Comparison]]) -> list[list[str]]:
    """Return the verdicts on the comparisons of each experiment, after Holm's correction over all of them."""
    alone = np.array([p_value(one.gaps) for found in comparisons_of for one in found])
    tests, p_values = int((~np.isnan(alone)).sum()), iter(zip(alone, holm(alone), strict=True))
    return [[f"{one.pair}: {_verdict(one, *next(p_values), tests)}" for one in found] for found in comparisons_of]


def _verdict(one: Comparison, alone: float, adjusted: float, tests: int) -> str:
    if not len(one.gaps):
        return "not measured yet."
    mean, seeds = float(one.gaps.mean()), f"{len(one.gaps)} seed{'s' * (len(one.gaps) > 1)}"
    if math.isnan(adjusted):
        return f"{100 * mean:+.1f} points, {seeds} without a spread: no test."
    points = f"{100 * mean:+.1f} ± {100 * np.std(one.gaps, ddof=1):.1f} points, {seeds}"
    points += f", p {_shown(alone)}, corrected {_shown(adjusted)}"
    if adjusted < LEVEL:
        if not one.of_paper:
            return f"{points}: {'better' if mean > 0 else 'worse'}."
        return f"{points}: " + ("the paper's order appears." if mean > 0 else "**the opposite of the paper's order**.")
    smallest = detectable(one.gaps, LEVEL / tests)
    if math.isnan(one.paper):
        return f"{points}: **cannot be seen**; at least {100 * smallest:.1f} could be."
    paper = f"{points}; the paper's are {100 * one.paper:.1f}"
    if one.paper < smallest:
        return f"{paper}: **cannot be seen**; at least {100 * smallest:.1f} could be."
    return f"{paper}: **does not appear**; {100 * smallest:.1f} would have been seen."


def _shown(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _figure(experiment: Experiment, setting: str, seed: int, key: str, workspace: Workspace) -> float:
    stored = runs.load(workspace, experiment.name, setting, seed)
    value = None if stored is None else stored["figures"].get(key)
    return math.nan if value is None else float(value)


def _paper_gap(experiment: Experiment, better: str, worse: str, key: str) -> float:
    """Return the paper's difference in the figure that `key` stands for."""
    paper, column = experiment.paper or {}, dict(zip(experiment.compared, experiment.stands_for, strict=False)).get(key)
    if column is None or better not in paper or worse not in paper:
        return math.nan
    one, other = (paper[name].split("/")[column].strip() for name in (better, worse))
    return math.nan if "-" in (one, other) else (float(one) - float(other)) / 100
