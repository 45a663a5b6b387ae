"""Plots by matplotlib, which belongs to the extras `train` and `bench`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def save_confusion_picture(path: str | Path, counts: np.ndarray, names: Sequence[str]) -> None:
    """Draw a confusion matrix (C, C or C + 1), rows the true classes that occur, each row in percent of its points."""
    counts = np.asarray(counts, float)
    titles = [*names, "unlabeled"][: counts.shape[1]]
    rows = np.flatnonzero(counts.sum(1) > 0)
    columns = np.flatnonzero((counts.sum(0) > 0) | np.isin(np.arange(counts.shape[1]), rows))
    fraction = counts[rows][:, columns] / counts[rows].sum(1, keepdims=True)
    figure = new_figure(2.2 + 0.42 * len(columns), 2.2 + 0.42 * len(rows))
    axes = figure.add_subplot()
    axes.imshow(fraction**0.6, cmap="Blues", vmin=0, vmax=1)  # the power shows small confusions, too
    for (y, x), value in np.ndenumerate(fraction):
        if value >= 0.005:
            ink = "white" if value > 0.5 else "black"
            axes.text(x, y, f"{100 * value:.0f}", ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(columns)), [titles[j] for j in columns], rotation=90)
    axes.set_yticks(range(len(rows)), [titles[i] for i in rows])
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("rows: truth, columns: prediction, percent of the row", color="gray", labelpad=10)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, bbox_inches="tight", pad_inches=0.2)


def save_scaling_plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Draw time against points, both logarithmic, per stage and in total."""
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    points = [row["points"] for row in rows]
    for stage in rows[0]["stages_ms"]:
        axes.loglog(points, [max(row["stages_ms"][stage], 0.1) for row in rows], marker=".", label=stage)
    totals = [row["total_ms"] for row in rows]
    axes.loglog(points, totals, color="black", marker="o", linewidth=2, label="total")
    axes.loglog(points, [totals[-1] * n / points[-1] for n in points], color="gray", linestyle=":", label="linear")
    axes.set(xlabel="points", ylabel="milliseconds", title="Time to label a cloud")
    axes.grid(True, which="both", alpha=0.2)
    axes.legend(loc="lower right", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


class Panel(NamedTuple):
    """What is kept (fractions) at each of L levels of a disturbance, for several kinds of clouds."""

    title: str
    ordered: bool  # levels grow, so that a line may join them
    names: Sequence[str]  # (L,) of the levels
    targets: Sequence[float | None]  # (L,)
    lines: dict[str, list[tuple[int, float]]]  # kind of clouds: pairs of a level and what is kept


def save_robustness_plot(path: Path, panels: Sequence[Panel], columns: int = 3) -> None:
    """Draw a panel per disturbance: percent kept at each level, a color per kind of clouds, the targets in black."""
    rows = -(-len(panels) // columns)
    figure = new_figure(4.6 * columns, 0.4 + 3.4 * rows)
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        for k, (kind, points) in enumerate(panel.lines.items()):
            xs, ys = [level + 0.06 * k for level, _ in points], [100 * kept for _, kept in points]
            axes.plot(xs, ys, marker="o", markersize=5, linestyle="-" if panel.ordered else "", label=kind)
        for level, target in enumerate(panel.targets):
            if target is not None:
                axes.plot([level - 0.3, level + 0.4], [100 * target] * 2, color="black", linewidth=1.5, zorder=0)
        top = max([100.0, *(100 * kept for points in panel.lines.values() for _, kept in points)])
        axes.set(title=panel.title, ylim=(0, 1.05 * top), xlim=(-0.6, len(panel.names) - 0.3))
        axes.set_xticks(range(len(panel.names)), panel.names, rotation=30, ha="right", fontsize=8)
        axes.grid(True, alpha=0.2)
        if number % columns == 0:
            axes.set_ylabel("kept, %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.savefig(path, dpi=90)


def save_reliability_plot(
    path: Path, curves: dict[str, tuple[dict[str, Any], dict[str, Any]]], precisions: Sequence[float]
) -> None:
    """Draw precision against confidence, and precision and coverage against the threshold, a color per name.

    curves: of each name its reliability (confidence, precision) and its curve (threshold, precision, coverage), all
    fractions, precision None where nothing is labeled; precisions: horizontal lines of the panel in the middle.
    """
    figure = new_figure(14, 5)
    left, middle, right = figure.subplots(1, 3)
    for name, (bins, curve) in curves.items():
        left.plot(bins["confidence"], bins["precision"], marker="o", markersize=4, label=name)
        middle.plot(curve["threshold"], [np.nan if p is None else p for p in curve["precision"]])
        right.plot(curve["threshold"], curve["coverage"])
    left.plot([0, 1], [0, 1], color="gray", linestyle=":", zorder=0)
    for precision in precisions:
        middle.axhline(precision, color="gray", linestyle=":", zorder=0)
    left.set(xlabel="confidence", ylabel="fraction of the points that are right", title="Reliability")
    middle.set(xlabel="threshold", title="Precision of the points that keep a label")
    right.set(xlabel="threshold", title="Coverage: points that keep a label")
    for axes in (left, middle, right):
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(True, alpha=0.2)
    figure.legend(loc="outside lower center", ncols=len(curves))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of this size in inches; ImportError that names the package if it is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as reason:
        raise ImportError("this picture needs matplotlib: pip install matplotlib") from reason
    return Figure(figsize=(width, height), layout="constrained")
