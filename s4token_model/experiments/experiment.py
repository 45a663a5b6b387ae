"""One table of `make results` as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from s4token_model.experiments import runs
from s4token_model.experiments.runs import Budget, Workspace

Figures = dict[str, Any]  # {key: fraction of 1, or None if not measured}


@dataclass(frozen=True)
class Experiment:
    """One table of the document."""

    name: str
    title: str
    about: str
    settings: tuple[str, ...]  # rows
    figures: dict[str, str]  # columns: {key: title}, fractions of 1
    compute: Callable[[str, int, Workspace], Figures]  # (setting, seed, workspace)
    expected: tuple[tuple[str, str], ...]  # pairs (better, worse) of settings that the paper orders
    compared: tuple[str, ...]  # the figures that are compared
    drawing: str = "bars"  # per setting; "curves": per setting over the columns; "panels": settings "key=value"
    paper: dict[str, str] | None = None  # {setting: what the paper reports}
    stands_for: tuple[int, ...] = ()  # which of the paper's figures each of `compared` stands for, if any does
    asked: tuple[tuple[str, str], ...] = ()  # further pairs, about which the paper says nothing
    sweep: bool = False  # of fewer seeds
    in_front_of_clip: bool = True  # of the small one, which is trained first

    def seeds_of(self, budget: Budget) -> int:
        """Return how many seeds its settings are run with."""
        return min(budget.seeds, budget.sweep_seeds) if self.sweep else budget.seeds


def run_cell(experiment: Experiment, setting: str, seed: int, workspace: Workspace) -> str:
    """Run one seed of one row, and return its figures as a line."""
    compute = partial(experiment.compute, setting, seed, workspace)
    done = runs.run(workspace, experiment.name, setting, seed, compute)
    figures = (f"{key} {100 * value:.1f}" for key, value in done["figures"].items() if value is not None)
    return f"{', '.join(figures)} ({done['seconds']:.0f} s)"
