"""Pictures of the results: bars per setting, curves over columns, panels over values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s4token_model.experiments.experiment import Experiment
from s4token_model.experiments.summary import Row

MOST_BARS = 4  # of a row; where there are more figures, those that are compared


def draw(path: Path, experiment: Experiment, found: list[Row]) -> None:
    """Draw the rows of an experiment as its `drawing` says, in percent, with the spread."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = {"bars": _bars, "curves": _curves, "panels": _panels}[experiment.drawing](pyplot, experiment, found)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _bars(pyplot, experiment: Experiment, found: list[Row]):
    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    shown = list(experiment.figures)
    if len(shown) > MOST_BARS:
        shown = [key for key in experiment.compared if not np.isnan(_values(found, key)[0]).all()]
        found = [row for row in found if not any(np.isnan(row.mean[key]) for key in shown)]
    width, at = 0.8 / len(shown), np.arange(len(found))
    for number, key in enumerate(shown):
        means, spreads = _values(found, key)
        place = at + (number - (len(shown) - 1) / 2) * width
        axes.bar(place, means, width, yerr=spreads, label=experiment.figures[key])
    axes.set_xticks(at, [row.setting for row in found], rotation=20)
    axes.set_ylabel("percent")
    lowest = min(value for key in shown for value in _values(found, key)[0])
    if lowest > 50:  # differences of a point or two between high bars
        axes.set_ylim(10 * (lowest // 10 - 1), None)
    figure.legend(loc="outside upper center", ncols=len(shown))
    return figure


def _curves(pyplot, experiment: Experiment, found: list[Row]):
    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    at = [float(key) for key in experiment.figures]
    for row in found:
        means = [100 * row.mean[key] for key in experiment.figures]
        spreads = [100 * np.nan_to_num(row.spread[key]) for key in experiment.figures]
        style = "--" if row.setting.startswith("zero-shot") else "-"
        axes.errorbar(at, means, spreads, marker=".", linestyle=style, label=row.setting)
    axes.set(xscale="log", xlabel="factor on the test clouds", ylabel="percent")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _panels(pyplot, experiment: Experiment, found: list[Row]):
    names = list(dict.fromkeys(row.setting.split("=")[0] for row in found))
    figure, panels = pyplot.subplots(
        1, len(names), figsize=(3 * len(names) + 1, 3.2), layout="constrained", squeeze=False
    )
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
