"""The figures of `calibration.confidence_calibration` as text, as a document, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from s4token_model.evaluation.tables import markdown_table, table

Figures = dict[str, Any]
INTRODUCTION = (
    "Confidence is the softmax of the cosines, with what `vocabulary.prior` adds, at `vocabulary.temperature`. It is"
    " calibrated if, of the points with confidence p, a fraction p is right. Figures are over annotated points, in"
    " percent unless they are temperatures or thresholds. The procedural rooms are under seeds that training never"
    " draws. A real cloud counts four times, in quarter turns about the vertical, since the draw of tokens moves the"
    " figures of few clouds.",
    "Left: bins of equal mass by confidence, and the fraction of each that is right. Middle and right: what is right,"
    " and how many points keep a label, at a threshold.",
)
ABOUT = {
    "Temperature": (
        "ECE, the expected calibration error, and NLL, the mean negative log likelihood of the true class: at the"
        " model's temperature; at the one that minimizes the NLL of the procedural rooms under ScanNet's words; and"
        " cross-fitted: fitted on one half of the rooms or sequences of a set, measured on the other, both ways."
    ),
    "Thresholds": (
        "The smallest threshold at which the points that keep a label have a precision, and the fraction that does."
        " The last columns are at the smallest threshold that has the first precision on all sets; lowest: of any room"
        " or sequence."
    ),
    "Number of words": (
        "Random lists of the words, on the points whose class is in the list: whether the calibration depends on the"
        " length of the list."
    ),
    "Words that are missing": (
        "A random half of the classes that occur is removed from the list; all of their points are wrong. AUROC:"
        " whether confidence tells points whose class is in the list from the others. Alone, with background:"
        " precision and coverage of the words that are left, at the threshold for all sets: by themselves, and with"
        " the removed words in the list as background. The last columns: the threshold that the list alone needs."
    ),
    "Other scores": (
        "How well a score tells right from wrong: area under the ROC curve (AUROC, larger is better) and under the"
        " risk-coverage curve (AURC, smaller is better)."
    ),
}


def tables(result: Figures) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Title, header and rows of every table."""
    yield "Temperature", *_temperatures(result)
    yield "Thresholds", *_thresholds(result)
    header = ["set", "words", "right", "mean confidence", "ECE", "fitted temperature", *_threshold_titles(result)]
    rows = [
        [one["name"], str(row["words"]), *_percents(row, "accuracy", "confidence", "ece"),
         _number(row["fitted_temperature"], 3), *_threshold(row)]
        for one in result["sets"] for row in one["word_counts"]
    ]  # fmt: skip
    yield "Number of words", header, rows
    header = ["set", "confidence, class in the list", "class missing", "AUROC", "alone: precision", "coverage",
              "with background: precision", "coverage", *_threshold_titles(result)]  # fmt: skip
    rows = [
        [one["name"], *_percents(row, "present_confidence", "absent_confidence", "auroc"),
         *(cell for key in ("alone", "with_background") for cell in _percents(row[key], "precision", "coverage")),
         *_threshold(row)]
        for one in result["sets"] for row in [one["absent"]]
    ]  # fmt: skip
    yield "Words that are missing", header, rows
    scores = result["sets"][0]["scores"]
    rows = [
        [one["name"], *(" / ".join(_percents(one["scores"][key], "auroc", "aurc")) for key in scores)]
        for one in result["sets"]
    ]
    yield "Other scores", ["AUROC / AURC", *scores], rows


def _temperatures(result: Figures) -> tuple[list[str], list[list[str]]]:
    now, fitted = _number(result["temperature"], 3), _number(result["fitted_temperature"], 3)
    header = ["set", "clouds or views", "points", "words", "right", "mean confidence", f"ECE / NLL at {now}",
              f"at the rooms' {fitted}", "cross-fitted", "fitted on all"]  # fmt: skip
    rows = []
    for one in result["sets"]:
        found = one["temperatures"]
        pairs = [f"{_percent(found[f'{key}_ece'])} / {_number(found[f'{key}_nll'], 3)}"
                 for key in ("current", "rooms", "crossed")]  # fmt: skip
        counts = [str(one["clouds"]), f"{one['points']:,}", str(one["words"])]
        right = _percents(one, "accuracy", "confidence")
        rows.append([one["name"], *counts, *right, *pairs, _number(found["fitted"], 3)])
    return header, rows


def _thresholds(result: Figures) -> tuple[list[str], list[list[str]]]:
    advice, header = result["recommended"], ["set"]
    for target in result["sets"][0]["thresholds"]:
        header += [f"{_percent(float(target), 0)} % from", "coverage"]
    if advice["sets"]:
        header += [f"at {advice['threshold']:.2f}: precision", "coverage", "lowest precision"]
    rows = []
    for k, one in enumerate(result["sets"]):
        cells = [cell for row in one["thresholds"].values() for cell in _threshold(row)]
        more = _percents(advice["sets"][k], "precision", "coverage", "lowest") if advice["sets"] else []
        rows.append([one["name"], *cells, *more])
    return header, rows


def _threshold_titles(result: Figures) -> list[str]:
    return [f"{_percent(float(next(iter(result['sets'][0]['thresholds']))), 0)} % from", "coverage"]


def _threshold(row: Figures) -> list[str]:
    return ["never", "-"] if row["threshold"] is None else [f"{row['threshold']:.2f}", _percent(row["coverage"])]


def _percents(row: Figures, *keys: str) -> list[str]:
    return [_percent(row[key]) for key in keys]


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else _number(100 * value, digits)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def text(result: Figures) -> str:
    """All tables for a terminal."""
    parts = [f"{title}\n{table(rows, header)}" for title, header, rows in tables(result) if rows]
    return "\n\n".join(parts)


def write(path: Path, result: Figures) -> None:
    """Write the document to `path`, and its picture beside it with the suffix .png."""
    picture = path.with_suffix(".png")
    draw(picture, result)
    about = f"Written by `make calibration` (`s4token evaluate calibration`) on {date.today()}, with {result['model']}."
    parts = [
        "# Calibration of the confidence",
        about,
        *INTRODUCTION,
        f"![reliability, precision and coverage]({picture.name})",
    ]
    for title, header, rows in tables(result):
        parts += [f"## {title}", ABOUT[title], markdown_table(header, rows)] if rows else []
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def draw(path: Path, result: Figures) -> None:
    """Draw the reliability curves, and precision and coverage against the threshold."""
    from s4token_model.pictures.plots import save_reliability_plot

    curves = {one["name"]: (one["reliability"], one["curve"]) for one in result["sets"]}
    save_reliability_plot(path, curves, [float(target) for target in result["sets"][0]["thresholds"]])
