"""Measured disturbances as rows of a table, as text, and as a document with a plot per family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s4token_model.evaluation.disturbance_catalog import FAMILIES, Disturbance
from s4token_model.evaluation.tables import markdown_table, table

if TYPE_CHECKING:
    from s4token_model.evaluation.robustness import Measurement

KINDS = {"room": "sample room", "scans": "ScanNet scans", "sweeps": "SemanticKITTI sweeps"}
HEADER = (
    "disturbance", "clouds", "accuracy, %", "kept, %", "lowest to highest, %", "mIoU kept, %", "added points labeled, %",
    "set aside", "warned", "target, %", "met",
)  # fmt: skip
INTRODUCTION = (
    "Kept: the points that are right, in percent of the points that are right in the clean cloud, over the same points;"
    " in the families of stability, the points with the same label. Lowest to highest: over the draws of a random"
    " disturbance and over the clouds. Set aside: points without a label, by reason, of the last draw. Added points have"
    " no truth; they count only in the column of those that got a label."
)


@dataclass(frozen=True)
class Row:
    """A disturbance of all clouds of one kind."""

    disturbance: Disturbance
    kind: str
    clouds: int
    skipped: str
    accuracy: float  # mean over draws and clouds; NaN for stability
    kept: float
    lowest: float
    highest: float
    miou_kept: float
    added_labeled: float  # NaN if no point was added
    set_aside: dict[str, int]  # summed over the clouds
    warned: int  # clouds with a warning
    warnings: tuple[str, ...]
    seconds: float  # of the slowest cloud
    peak_bytes_per_point: float

    @property
    def met(self) -> bool | None:
        """Whether the target is reached and the warning given, if one is asked for."""
        if self.skipped or (self.disturbance.target is None and not self.disturbance.must_warn):
            return None
        reached = self.disturbance.target is None or self.kept >= self.disturbance.target
        return bool(reached and (not self.disturbance.must_warn or self.warned == self.clouds))


def rows_of(measurements: Sequence[Measurement]) -> list[Row]:
    """One row per disturbance and kind of clouds, in the order of the measurements."""
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.disturbance.family, one.disturbance.name, one.kind), []).append(one)
    return [_row(group) for group in groups.values()]


def _row(group: list[Measurement]) -> Row:
    disturbance, values = group[0].disturbance, np.array([v for one in group for v in one.kept] or [np.nan])
    accuracy, clean = _mean([one.accuracy for one in group]), np.mean([one.clean_accuracy for one in group])
    kept = float(values.mean()) if disturbance.stability else float(accuracy / clean)
    set_aside: dict[str, int] = {}
    for one in group:
        for reason, count in one.set_aside.items():
            set_aside[reason] = set_aside.get(reason, 0) + count
    return Row(
        disturbance, group[0].kind, len(group), group[0].skipped, accuracy, kept,
        float(values.min()), float(values.max()),
        miou_kept=float(_mean([one.miou for one in group]) / np.mean([one.clean_miou for one in group])),
        added_labeled=_mean([one.added_labeled for one in group]),
        set_aside=set_aside,
        warned=sum(bool(one.warnings) for one in group),
        warnings=tuple(dict.fromkeys(w for one in group for w in one.warnings)),
        seconds=max(one.seconds for one in group),
        peak_bytes_per_point=max(one.peak_bytes_per_point for one in group),
    )  # fmt: skip


def _mean(values: Sequence[Sequence[float]]) -> float:
    """Mean over clouds of the mean over draws."""
    return float(np.mean([np.mean(v) if len(v) else np.nan for v in values]))


def cells(row: Row) -> list[str]:
    """The cells of HEADER."""
    d = row.disturbance
    if row.skipped:
        return [d.name, KINDS[row.kind], *["-"] * (len(HEADER) - 3), "skipped"]
    aside = ", ".join(f"{count:,} {reason}" for reason, count in row.set_aside.items())
    warned = f"{row.warned} of {row.clouds}" if row.clouds > 1 else ("yes" if row.warned else "no")
    target = "" if d.target is None else f"{100 * d.target:g}"
    if d.must_warn:
        target += " and warned" if target else "warned"
    met = {True: "yes", False: "**no**", None: ""}[row.met]
    spread = f"{100 * row.lowest:.1f} to {100 * row.highest:.1f}" if row.highest > row.lowest else ""
    return [d.name, KINDS[row.kind], _percent(row.accuracy), _percent(row.kept), spread, _percent(row.miou_kept),
            _percent(row.added_labeled), aside, warned, target, met]  # fmt: skip


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.1f}"


def text(result: dict[str, Any], rows: Sequence[Row]) -> str:
    """All rows as one text table, and the clean figures below."""
    lines = [table([cells(row) for row in rows], HEADER)] if rows else []
    lines += [f"skipped {reason}" for reason in dict.fromkeys(row.skipped for row in rows) if reason]
    lines += [f"warning: {text}" for text in dict.fromkeys(w for row in rows for w in row.warnings)]
    for row in rows:
        if row.disturbance.measures_memory and not np.isnan(row.seconds):
            lines.append(
                f"{row.disturbance.name}, {KINDS[row.kind]}: {row.seconds:.1f} s,"
                f" {row.peak_bytes_per_point:.0f} bytes a point"
            )
    for name, scores in result["clean"].items():
        lines.append(f"{name}: {scores['clouds']} clouds, {_scores(scores)}")
    if result["cost_ms"]:
        lines.append(_cost(result["cost_ms"]))
    return "\n".join(lines)


def write(path: Path, result: dict[str, Any], rows: Sequence[Row], command: str) -> None:
    """Write the document to `path`, and the plots beside it with the suffix .png."""
    from s4token_model.pictures.plots import save_robustness_plot

    picture = path.with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_robustness_plot(picture, [_panel(family, rows) for family in FAMILIES if _of(family, rows)])
    decided = [row.met for row in rows if row.met is not None]
    parts = [
        "# Robustness",
        f"Written by `{command}` on {date.today()}, with {result['model']}.",
        INTRODUCTION,
        f"Targets met: {sum(decided)} of {len(decided)}.",
        f"![accuracy kept against every disturbance]({picture.name})",
        *(_section(family, _of(family, rows)) for family in FAMILIES if _of(family, rows)),
    ]
    if not result["root"]:
        parts.append("Without `--root`: the scans, the sweeps and the benchmarks of clean clouds were left out.")
    if result["clean"]:
        scores = [[name, str(s["clouds"]), *(f"{100 * s[k]:.1f}" for k in ("miou", "accuracy"))]
                  for name, s in result["clean"].items()]  # fmt: skip
        parts += ["## Clean clouds", markdown_table(["data", "clouds", "mIoU, %", "accuracy, %"], scores)]
    if result["cost_ms"]:
        parts.append(_cost(result["cost_ms"]))
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _of(family: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.disturbance.family == family]


def _section(family: str, rows: Sequence[Row]) -> str:
    """Heading, table without empty columns, what was skipped and the warnings that were given."""
    about = FAMILIES[family][0]
    full = [cells(row) for row in rows]
    used = [k for k in range(len(HEADER)) if any(row[k] not in ("", "-") for row in full)]
    parts = [f"## {family.capitalize()}", f"{about[0].upper()}{about[1:]}."]
    parts.append(markdown_table([HEADER[k] for k in used], [[row[k] for k in used] for row in full]))
    timed = [row for row in rows if row.disturbance.measures_memory and not np.isnan(row.peak_bytes_per_point)]
    if timed:
        costs = [[row.disturbance.name, KINDS[row.kind], f"{row.seconds:.1f}", f"{row.peak_bytes_per_point:.0f}"]
                 for row in timed]  # fmt: skip
        parts.append(markdown_table(["map", "clouds", "seconds", "peak memory, bytes a point"], costs))
    parts += [f"Skipped: {reason}." for reason in dict.fromkeys(row.skipped for row in rows) if reason]
    warnings = dict.fromkeys(w for row in rows for w in row.warnings)
    if warnings:
        parts.append("Warnings given:\n\n" + "\n".join(f"- {warning}" for warning in warnings))
    return "\n\n".join(parts)


def _panel(family: str, rows: Sequence[Row]) -> dict[str, Any]:
    """What `save_robustness_plot` draws: labels of the axis, and per kind of clouds the levels and what is kept."""
    ours = [row for row in rows if not row.skipped]
    ticks = sorted({(row.disturbance.level, row.disturbance.name) for row in _of(family, rows)})
    names = list(dict.fromkeys(name for _, name in ticks))
    lines = {
        KINDS[kind]: [
            (names.index(row.disturbance.name), 100 * row.kept) for row in _of(family, ours) if row.kind == kind
        ]
        for kind in KINDS
    }
    targets = {row.disturbance.name: row.disturbance.target for row in _of(family, rows)}
    return {"title": family, "names": names, "lines": lines, "targets": [targets[name] for name in names]}


def _scores(scores: dict[str, Any]) -> str:
    return f"{100 * scores['miou']:.1f} % mIoU, {100 * scores['accuracy']:.1f} % of the points right"


def _cost(cost: dict[str, float]) -> str:
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in cost.items() if name != "points")
    return f"A clean cloud of {cost['points']:,} points, milliseconds: {stages}."
