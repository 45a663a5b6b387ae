"""The figures of `model_card.model_card` as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from s4token_model.evaluation.tables import markdown_table, table

Figures = dict[str, Any]


def tables(result: Figures) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Title, header and rows of every table."""
    models = result["models"]
    yield "Figures", ["figure", *models], [*_scores(result), *_words(result), *_times(result)]
    for name, found in result["sets"].items():
        shares = found[0]["share"]
        present = sorted((c for c in shares if shares[c]), key=lambda c: -shares[c])
        rows = [[c, *(_percent(one["iou"][c]) for one in found), _percent(shares[c])] for c in present]
        yield f"IoU by class: {name}", ["class", *models, "of the points"], rows


def text(result: Figures) -> str:
    """All tables, for a terminal."""
    return "\n\n".join(f"{title}\n{table(rows, header)}" for title, header, rows in tables(result))


def write(path: Path, result: Figures) -> None:
    """Write the tables as a Markdown document."""
    parts = [f"# Figures of {result['models'][0]}", f"Written by `s4token evaluate card` on {date.today()}; percent."]
    parts += [f"## {title}\n\n{markdown_table(header, rows)}" for title, header, rows in tables(result)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _scores(result: Figures) -> Iterator[list[str]]:
    for name, found in result["sets"].items():
        for title, key in (("mIoU", "miou"), ("accuracy", "accuracy")):
            yield [f"{name}: {title}", *(_percent(one[key]) for one in found)]
        if found[0]["iou"].get("car") is not None:
            yield [f"{name}: IoU of cars", *(_percent(one["iou"]["car"]) for one in found)]
        if "wall_as_door" in found[0]:
            yield [f"{name}: walls called door", *(_percent(one["wall_as_door"]) for one in found)]
        oracle = [f"{_percent(one['oracle_miou'])} / {_percent(one['oracle_accuracy'])}" for one in found]
        yield [f"{name}: oracle, mIoU / accuracy", *oracle]


def _words(result: Figures) -> Iterator[list[str]]:
    found = [one for one in result["words"] if one]
    if found:
        right = [_percent(one["text"]["right"] / one["text"]["words"]) for one in found]
        yield [f"{found[0]['text']['words']} everyday words: right class by text features", *right]
        title = "procedural rooms by everyday words: mIoU, of that by ScanNet's names"
        yield [title, *(f"{_percent(one['miou']['words'])}, {_percent(one['miou']['ratio'])}" for one in found)]
        for form in found[0]["agreement"]:
            yield [f"labels as by the name: {form}", *(_percent(one["agreement"][form]) for one in found)]


def _times(result: Figures) -> Iterator[list[str]]:
    for precision, medians in result["encoder_ms"].items():
        yield [f"encoder, 512 tokens, {precision}, one thread: ms", *(f"{ms:.1f}" for ms in medians)]
        if result["encoder_ratio"]:
            yield [f"encoder, {precision}: of the other's time", f"{result['encoder_ratio'][precision]:.3f}", "1"]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
