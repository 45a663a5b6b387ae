"""docs/results.md: tables, pictures beside it, and the command of each."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from s4token_model.experiments import drawing, summary
from s4token_model.experiments.experiment import Experiment, Lab

COMMAND = "python -m s4token_model.experiments"


def write(path: Path, experiments: Sequence[Experiment], lab: Lab) -> None:
    """Write the document from the runs on disk; pictures are NAME-EXPERIMENT.png in its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [_head(lab)]
    for experiment in experiments:
        found = summary.rows(experiment, lab)
        picture = path.with_name(f"{path.stem}-{experiment.name}.png")
        if found:
            drawing.draw(picture, experiment, found)
        parts.append(_section(experiment, found, lab, picture.name))
    partial = path.with_suffix(".partial")
    partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    partial.replace(path)


def _head(lab: Lab) -> str:
    effort = lab.effort
    notes = [
        "# Results at a small scale",
        f"Written by `make results` (`{COMMAND}`) on {date.today()}, {os.cpu_count()} processors, effort"
        f" `{effort.name}`; it runs what is missing and can be killed at any time.",
        "These are not the paper's benchmarks: small models, procedural data, minutes of training. They ask whether the"
        " paper's *comparisons* come out the same way. Figures are percent, mean ± sample standard deviation over seeds"
        " of weights and batches; a figure without ± is one seed. Where the paper's order does not appear, the text"
        " below the table says so.",
    ]
    if lab.scannet is None:
        notes.append("ScanNet's columns are empty: no scans were found; give their folder with `--scannet DIR`.")
    if effort.name == "quick":
        notes.append("**Effort `quick` only shows that everything runs; its figures mean nothing.**")
    return "\n\n".join(notes)


def _section(experiment: Experiment, found: list[summary.Row], lab: Lab, picture: str) -> str:
    quick = " --quick" if lab.effort.name == "quick" else ""
    lines = [f"## {experiment.title}", "", experiment.about, "", f"`{COMMAND}{quick} --only {experiment.name}`", ""]
    if not found:
        return "\n".join([*lines, "Not run yet."])
    lines += [*_table(experiment, found, lab.effort.seeds), "", f"![{experiment.title}]({picture})", ""]
    lines += [f"- {sentence}" for sentence in summary.verdicts(experiment, found)]
    if experiment.note and lab.effort.name == "full":
        lines.append(f"- {experiment.note}")
    missing = [name for name in experiment.settings if name not in {row.setting for row in found}]
    if missing:
        lines.append(f"- Not run yet: {', '.join(missing)}.")
    lines.append(f"- {sum(row.seeds for row in found)} runs took {sum(row.seconds for row in found) / 60:.1f} minutes.")
    return "\n".join(lines)


def _table(experiment: Experiment, found: list[summary.Row], seeds: int) -> list[str]:
    paper = ["the paper's"] if experiment.paper else []
    header = ["", *experiment.figures.values(), *paper, "seeds"]
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    for row in found:
        cells = [cell(row.mean[key], row.spread[key]) for key in experiment.figures]
        cells += [experiment.paper.get(row.setting, "-")] if paper else []
        lines.append(f"| {row.setting} | {' | '.join(cells)} | {row.seeds} of {seeds} |")
    return lines


def cell(mean: float, spread: float) -> str:
    """A share of 1 in percent, with its spread where there is one."""
    if math.isnan(mean):
        return "-"
    return f"{100 * mean:.1f}" + ("" if math.isnan(spread) else f" ± {100 * spread:.1f}")
