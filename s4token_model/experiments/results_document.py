"""docs/results.md: mean and spread over seeds, whether the paper's order appears, tables and pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from s4token_model import atomic
from s4token_model.evaluation.tables import markdown_table
from s4token_model.experiments import runs, verdicts
from s4token_model.experiments.experiment import Experiment
from s4token_model.experiments.runs import Workspace
from s4token_model.pictures.plots import new_figure

COMMAND = "python -m s4token_model.experiments"
MAX_BARS = 4  # per row; of more figures only the compared ones are drawn


@dataclass(frozen=True)
class Row:
    """One setting: its seeds, and per figure the mean and the sample standard deviation, NaN if not measured."""

    setting: str
    seeds: int
    mean: dict[str, float]
    spread: dict[str, float]  # NaN for a single seed, too
    seconds: float  # of all runs


def rows(experiment: Experiment, workspace: Workspace) -> list[Row]:
    """Summarize the settings of which at least one seed was run, in the experiment's order."""
    found = []
    for setting in experiment.settings:
        seeds = range(experiment.seeds_of(workspace.budget))
        stored = [runs.load(workspace, experiment.name, setting, seed) for seed in seeds]
        if done := [run for run in stored if run is not None]:
            # None, not measured, becomes NaN
            values = {key: np.array([run["figures"].get(key) for run in done], float) for key in experiment.figures}
            mean = {key: float(np.mean(v)) for key, v in values.items()}
            spread = {key: float(np.std(v, ddof=1)) if len(v) > 1 else math.nan for key, v in values.items()}
            found.append(Row(setting, len(done), mean, spread, sum(run["seconds"] for run in done)))
    return found


def write(path: Path, experiments: Sequence[Experiment], workspace: Workspace) -> None:
    """Write the document from the stored runs; pictures are NAME-EXPERIMENT.png in its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [_head(workspace)]
    spoken = verdicts.sentences([verdicts.comparisons(experiment, workspace) for experiment in experiments])
    for experiment, conclusions in zip(experiments, spoken, strict=True):
        found = rows(experiment, workspace)
        picture = path.with_name(f"{path.stem}-{experiment.name}.png")
        if found:
            draw(picture, experiment, found)
        parts.append(_section(experiment, found, conclusions, workspace, picture.name))
    with atomic.file(path) as file:
        file.write(("\n\n".join(parts) + "\n").encode())


def _head(workspace: Workspace) -> str:
    budget = workspace.budget
    notes = [
        "# Results at a small scale",
        f"Written by `make results` (`{COMMAND}`) on {date.today()}, {os.cpu_count()} processors, budget"
        f" `{budget.name}`; it runs what is missing and can be stopped at any time."
        " [findings.md](findings.md) discusses the figures.",
        "These are not the paper's benchmarks: small models, procedural data, minutes of training. They ask whether the"
        " paper's *comparisons* come out the same way. Figures are percent, mean ± sample standard deviation over seeds"
        " of weights and batches; a figure without ± is from one seed.",
        "The lines below a table compare two rows seed by seed: mean ± standard deviation of the difference, and p of a"
        " paired t test, as it is and after Holm's correction over all lines of this document. The latter decides:"
        " below .05, the paper's order *appears*, or, where the paper states none, the first row is *better* or"
        " *worse*. Otherwise the smallest difference follows that would have been found with a probability of 80 % at"
        " the strictest step of the correction. A difference as large as the paper's *does not appear* if it is above"
        " that, and *cannot be seen* if it is below; where the paper gives none, *cannot be seen* says that none was"
        " found.",
    ]
    if workspace.scannet is None:
        notes.append("ScanNet's columns are empty: no scans were found; give their folder with `--scannet DIR`.")
    if budget.name == "quick":
        notes.append("**Budget `quick` only shows that everything runs; its figures mean nothing.**")
    return "\n\n".join(notes)


def _section(
    experiment: Experiment, found: list[Row], conclusions: list[str], workspace: Workspace, picture: str
) -> str:
    quick = " --quick" if workspace.budget.name == "quick" else ""
    lines = [f"## {experiment.title}", "", experiment.about, "", f"`{COMMAND}{quick} --only {experiment.name}`", ""]
    if not found:
        return "\n".join([*lines, "Not run yet."])
    lines += [
        _table(experiment, found, experiment.seeds_of(workspace.budget)),
        "",
        f"![{experiment.title}]({picture})",
        "",
    ]
    lines += [f"- {sentence}" for sentence in conclusions]
    missing = [name for name in experiment.settings if name not in {row.setting for row in found}]
    if missing:
        lines.append(f"- Not run yet: {', '.join(missing)}.")
    lines.append(f"- {sum(row.seeds for row in found)} runs took {sum(row.seconds for row in found) / 60:.1f} minutes.")
    return "\n".join(lines)


def _table(experiment: Experiment, found: list[Row], seeds: int) -> str:
    paper, rows = experiment.paper, []
    for row in found:
        cells = [cell(row.mean[key], row.spread[key]) for key in experiment.figures]
        cells += [paper.get(row.setting, "-")] if paper else []
        rows.append([row.setting, *cells, f"{row.seeds} of {seeds}"])
    return markdown_table(["", *experiment.figures.values(), *(["the paper's"] if paper else []), "seeds"], rows)


def cell(mean: float, spread: float) -> str:
    """Format a fraction of 1 in percent, with its spread if there is one."""
    if math.isnan(mean):
        return "-"
    return f"{100 * mean:.1f}" + ("" if math.isnan(spread) else f" ± {100 * spread:.1f}")


def draw(path: Path, experiment: Experiment, found: list[Row]) -> None:
    """Draw the rows of an experiment in percent, with the spread."""
    draw_rows = {"bars": _bars, "curves": _curves, "panels": _panels}[experiment.drawing]
    draw_rows(experiment, found).savefig(path, dpi=120)


def _bars(experiment: Experiment, found: list[Row]):
    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    shown = list(experiment.figures)
    if len(shown) > MAX_BARS:
        shown = [key for key in experiment.compared if not np.isnan(_values(found, key)[0]).all()]
        found = [row for row in found if not any(np.isnan(row.mean[key]) for key in shown)]
    width, ticks = 0.8 / len(shown), np.arange(len(found))
    for number, key in enumerate(shown):
        means, spreads = _values(found, key)
        offset = (number - (len(shown) - 1) / 2) * width
        axes.bar(ticks + offset, means, width, yerr=spreads, label=experiment.figures[key])
    axes.set_xticks(ticks, [row.setting for row in found], rotation=20, ha="right", rotation_mode="anchor")
    axes.set_ylabel("percent")
    lowest = min(value for key in shown for value in _values(found, key)[0])
    if lowest > 50:  # differences of a point or two between high bars
        axes.set_ylim(10 * (lowest // 10 - 1), None)
    figure.legend(loc="outside upper center", ncols=len(shown))
    return figure


def _curves(experiment: Experiment, found: list[Row]):
    figure = new_figure(8, 4)
    axes = figure.add_subplot()
    factors = [float(key) for key in experiment.figures]
    for row in found:
        means = [100 * row.mean[key] for key in experiment.figures]
        spreads = [100 * np.nan_to_num(row.spread[key]) for key in experiment.figures]
        style = "--" if row.setting.startswith("zero-shot") else "-"
        axes.errorbar(factors, means, spreads, marker=".", linestyle=style, label=row.setting)
    axes.set(xscale="log", xlabel="factor on the test clouds", ylabel="percent")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _panels(experiment: Experiment, found: list[Row]):
    names = list(dict.fromkeys(row.setting.split("=")[0] for row in found))
    figure = new_figure(3 * len(names) + 1, 3.2)
    panels = figure.subplots(1, len(names), squeeze=False)
    for axes, name in zip(panels[0], names, strict=True):
        here = [row for row in found if row.setting.split("=")[0] == name]
        for key, title in experiment.figures.items():
            means, spreads = _values(here, key)
            axes.errorbar([float(row.setting.split("=")[1]) for row in here], means, spreads, marker=".", label=title)
        axes.set(xlabel=name, ylabel="percent")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def _values(found: list[Row], key: str) -> tuple[list[float], list[float]]:
    return [100 * row.mean[key] for row in found], [100 * float(np.nan_to_num(row.spread[key])) for row in found]
