"""Measured disturbances as rows of a table, as text, and as a document with a plot per family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s4token_model.evaluation.disturbance_catalog import FAMILIES, Disturbance
from s4token_model.evaluation.tables import markdown_table, table

if TYPE_CHECKING:
    from s4token_model.evaluation.robustness import Measurement
    from s4token_model.pictures.plots import Panel

KINDS = {"room": "sample room", "scans": "ScanNet scans", "sweeps": "SemanticKITTI sweeps"}
HEADER = (
    "disturbance", "clouds", "accuracy, %", "kept, %", "lowest to highest, %", "mIoU kept, %",
    "added points labeled, %", "set aside", "warned", "seconds", "bytes a point", "target", "met",
)  # fmt: skip
INTRODUCTION = (
    "Kept: the points that are right, in percent of the points that are right in the clean cloud, over the same points;"
    " for frame-to-frame and rotation, the points that have the same label as before. Lowest to highest: over the draws"
    " of a random disturbance and over the clouds. Set aside: points without a label, by reason. Added points have no"
    " truth; their column tells how many of them got a label. Seconds and bytes (the peak of memory): to encode and"
    " label the cloud, in a process of its own. In the plots black lines are the targets."
)


@dataclass(frozen=True)
class Result:
    """What one run of the command measured."""

    model: str
    real_data: bool
    measurements: tuple[Measurement, ...]
    clean: dict[str, dict[str, float]]  # data: clouds, miou, accuracy
    cost_ms: dict[str, float]  # milliseconds per stage of a clean cloud
    cost_points: int  # of this cloud


@dataclass(frozen=True)
class Row:
    """A disturbance of all clouds of one kind; means over draws and clouds, NaN where it has no such figure."""

    disturbance: Disturbance
    kind: str
    skipped: str
    accuracy: float
    kept: float
    lowest: float
    highest: float
    miou_kept: float
    added_labeled: float
    set_aside: dict[str, int]  # summed over the clouds
    warned: float  # fraction of the clouds
    warnings: tuple[str, ...]
    seconds: float  # of the slowest cloud
    bytes_per_point: float

    @property
    def met(self) -> bool | None:
        """Whether everything that the target asks for is reached; None if it asks for nothing, or was skipped."""
        asked = self.disturbance.target
        tests = [
            (asked.kept, lambda: self.kept >= asked.kept),
            (asked.warned, lambda: self.warned == float(asked.warned)),
            (asked.added_unlabeled, lambda: self.added_labeled == 0),
            (asked.seconds, lambda: not self.seconds > asked.seconds),
            (asked.bytes_per_point, lambda: not self.bytes_per_point > asked.bytes_per_point),
        ]
        answers = [test() for limit, test in tests if limit is not None]
        return all(answers) if answers and not self.skipped else None


def rows_of(measurements: Sequence[Measurement]) -> list[Row]:
    """One row per disturbance and kind of clouds, in the order of the measurements."""
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.disturbance.family, one.disturbance.name, one.kind), []).append(one)
    return [_row(group) for group in groups.values()]


def _row(group: list[Measurement]) -> Row:
    disturbance, values = group[0].disturbance, [v for one in group for v in one.kept] or [np.nan]
    accuracy, miou = _mean([one.accuracy for one in group]), _mean([one.miou for one in group])
    clean_accuracy = _mean([[one.clean_accuracy or np.nan] for one in group])
    # Points set aside add up over the clouds; of all else the row has the mean, or the worst cloud
    set_aside: dict[str, int] = {}
    for one in group:
        for reason, count in one.set_aside.items():
            set_aside[reason] = set_aside.get(reason, 0) + count
    return Row(
        disturbance, group[0].kind, group[0].skipped, accuracy,
        kept=float(np.mean(values)) if disturbance.stability else accuracy / clean_accuracy,
        lowest=float(np.min(values)), highest=float(np.max(values)),
        miou_kept=miou / _mean([[one.clean_miou or np.nan] for one in group]),
        added_labeled=_mean([one.added_labeled for one in group]),
        set_aside=set_aside,
        warned=float(np.mean([bool(one.warnings) for one in group])),
        warnings=tuple(dict.fromkeys(w for one in group for w in one.warnings)),
        seconds=max(one.seconds or np.nan for one in group),
        bytes_per_point=max(one.peak_bytes_per_point or np.nan for one in group),
    )  # fmt: skip


def _mean(values: Sequence[Sequence[float]]) -> float:
    """Mean over clouds of the mean over draws; NaN if a cloud has none."""
    return float(np.mean([np.mean(v) if len(v) else np.nan for v in values]))


def cells(row: Row) -> list[str]:
    """The cells of HEADER."""
    name, target = row.disturbance.name, row.disturbance.target.text()
    if row.skipped:
        return [name, KINDS[row.kind], *[""] * (len(HEADER) - 4), target, "skipped"]
    spread = f"{_percent(row.lowest)} to {_percent(row.highest)}" if row.highest > row.lowest else ""
    aside = ", ".join(f"{count:,} {reason}" for reason, count in row.set_aside.items())
    warned = {0.0: "no", 1.0: "yes"}.get(row.warned, f"{_percent(row.warned)} % of the clouds")
    met = {True: "yes", False: "**no**", None: ""}[row.met]
    return [
        name, KINDS[row.kind], _percent(row.accuracy), _percent(row.kept), spread, _percent(row.miou_kept),
        _percent(row.added_labeled), aside, warned, _number(row.seconds, ".1f"), _number(row.bytes_per_point, ".0f"),
        target, met,
    ]  # fmt: skip


def _percent(value: float) -> str:
    return _number(100 * value, ".1f")


def _number(value: float, digits: str) -> str:
    return "" if np.isnan(value) else format(value, digits)


def text(result: Result) -> str:
    """All rows as one text table, the warnings, and the clean figures below."""
    rows = rows_of(result.measurements)
    lines = [table(*_without_empty([[row.disturbance.family, *cells(row)] for row in rows]))] if rows else []
    lines += [f"skipped: {reason}" for reason in dict.fromkeys(row.skipped for row in rows) if reason]
    lines += [f"warning: {text}" for text in dict.fromkeys(w for row in rows for w in row.warnings)]
    for name, scores in result.clean.items():
        figures = f"{100 * scores['miou']:.1f} % mIoU, {100 * scores['accuracy']:.1f} % of the points right"
        lines.append(f"{name}: {scores['clouds']} clouds, {figures}")
    return "\n".join(lines + ([_cost(result)] if result.cost_ms else []))


def write(path: Path, result: Result, command: str) -> None:
    """Write the document to `path`, and the plots beside it with the suffix .png."""
    from s4token_model.pictures.plots import save_robustness_plot

    rows, picture = rows_of(result.measurements), path.with_suffix(".png")
    families = [family for family in FAMILIES if any(row.disturbance.family == family for row in rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    # What made it, all targets at a glance, and the plots
    about = f"Written by `{command}` on {date.today()}, with {result.model}."
    parts = ["# Robustness", about if result.real_data else f"{about} The sample room alone: no real data were given."]
    if rows:
        save_robustness_plot(picture, [_panel(family, rows) for family in families])
        decided = [row.met for row in rows if row.met is not None]
        parts += [INTRODUCTION, f"Targets met: {sum(decided)} of {len(decided)}."]
        parts += [f"![accuracy kept against every disturbance]({picture.name})"]
    # A table per family, and the clean clouds
    parts += [_section(family, rows) for family in families]
    if result.clean:
        scores = [
            [name, str(s["clouds"]), *(f"{100 * s[k]:.1f}" for k in ("miou", "accuracy"))]
            for name, s in result.clean.items()
        ]
        parts += ["## Clean clouds", markdown_table(["data", "clouds", "mIoU, %", "accuracy, %"], scores)]
    if result.cost_ms:
        parts += ["## Time of a clean cloud", _cost(result)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _section(family: str, rows: Sequence[Row]) -> str:
    """Heading, table, what was skipped and the warnings that were given."""
    ours, about = [row for row in rows if row.disturbance.family == family], FAMILIES[family].about
    filled, header = _without_empty([["", *cells(row)] for row in ours])
    parts = [f"## {family.capitalize()}", f"{about[0].upper()}{about[1:]}.", markdown_table(header, filled)]
    parts += [f"Skipped: {reason}." for reason in dict.fromkeys(row.skipped for row in ours) if reason]
    if warnings := dict.fromkeys(w for row in ours for w in row.warnings):
        parts.append("\n".join(["Warnings:", "", *(f"- {warning}" for warning in warnings)]))
    return "\n\n".join(parts)


def _without_empty(rows: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """Rows and header, family first, without columns in which no row has a value."""
    header = ["family", *HEADER]
    used = [k for k in range(len(header)) if any(row[k] for row in rows)]
    return [[row[k] for k in used] for row in rows], [header[k] for k in used]


def _panel(family: str, rows: Sequence[Row]) -> Panel:
    from s4token_model.pictures.plots import Panel

    ours = [row for row in rows if row.disturbance.family == family]
    targets = {row.disturbance.name: row.disturbance.target.kept for row in ours}
    names = list(targets)
    lines: dict[str, list[tuple[int, float]]] = {title: [] for title in KINDS.values()}
    for row in ours:
        if not row.skipped:
            lines[KINDS[row.kind]].append((names.index(row.disturbance.name), row.kept))
    return Panel(family, FAMILIES[family].ordered, names, list(targets.values()), lines)


def _cost(result: Result) -> str:
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in result.cost_ms.items())
    return f"A clean cloud of {result.cost_points:,} points, milliseconds: {stages}."
