"""Mean and spread over seeds of the runs that are on disk, and whether the paper's order appears."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from s4token_model.experiments import cache
from s4token_model.experiments.experiment import Experiment, Lab


@dataclass(frozen=True)
class Row:
    """One setting: seeds run; mean {figure: value} and spread {figure: sample standard deviation}, NaN where it was not
    measured, a spread also for a single seed; seconds of all runs."""

    setting: str
    seeds: int
    mean: dict[str, float]
    spread: dict[str, float]
    seconds: float


def rows(experiment: Experiment, lab: Lab) -> list[Row]:
    """The settings of which at least one seed was run, in the experiment's order."""
    found = []
    for setting in experiment.settings:
        runs = [cache.load(lab.folder, experiment.name, setting, seed, lab.effort) for seed in range(lab.effort.seeds)]
        done = [run for run in runs if run is not None]
        if done:
            values = {key: [_number(run["figures"].get(key)) for run in done] for key in experiment.figures}
            mean = {key: float(np.mean(v)) for key, v in values.items()}
            spread = {key: float(np.std(v, ddof=1)) if len(v) > 1 else math.nan for key, v in values.items()}
            found.append(Row(setting, len(done), mean, spread, sum(run["seconds"] for run in done)))
    return found


def verdicts(experiment: Experiment, found: list[Row]) -> list[str]:
    """One sentence for each pair that the paper orders: whether the order appears, and how clearly."""
    by_name, sentences = {row.setting: row for row in found}, []
    for better, worse in experiment.expected:
        for key in experiment.compared:
            pair = f"{better} over {worse}" + (f", {experiment.figures[key]}" if len(experiment.compared) > 1 else "")
            missing = better not in by_name or worse not in by_name
            said = "not measured yet." if missing else _verdict(by_name[better], by_name[worse], key)
            sentences.append(f"{pair}: {said}")
    return sentences


def _verdict(one: Row, other: Row, key: str) -> str:
    gap = one.mean[key] - other.mean[key]
    if math.isnan(gap):
        return "not measured."
    points = f"{100 * gap:+.1f} points"
    spread = max(one.spread[key], other.spread[key])
    if min(one.seeds, other.seeds) < 2 or math.isnan(spread):
        return f"{points}, one seed: {'as in' if gap > 0 else 'against'} the paper, the spread is unknown."
    if abs(gap) <= spread:
        return f"{points}, within the spread of the seeds ({100 * spread:.1f}): **the paper's order does not appear**."
    if gap < 0:
        return f"{points}: **the opposite of the paper's order**."
    return f"{points}, above the spread of the seeds ({100 * spread:.1f}): the paper's order appears."


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
