"""The legend, the clicked point and notes as HTML, in the colors of the page's light or dark theme."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from s4token_model.explore.state import Bar, Drawn, Inspection, Match, Row
from s4token_model.palette import INFERNO

BOX = "padding:0 .75em .5em;font-size:.8125em;line-height:1.55;overflow-wrap:anywhere"
DIM = "color:var(--mantine-color-dimmed)"
WARNING = "color:light-dark(#b35c00,#ffb454)"
ERROR = "color:light-dark(#c92a2a,#ff8787);font-weight:600"
NUMBER = "text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;padding-left:.75em"
MAX_ROWS = 60  # of a legend; the rest is one row


def legend(rows: Sequence[Row], total: int) -> str:
    """Return the classes with colors, numbers of points and percentages of `total`; those without points in a line."""
    found, absent = [row for row in rows if row.points != 0], [row for row in rows if row.points == 0]
    shown = "".join(_row(row, total) for row in found[:MAX_ROWS])
    more = len(found) - MAX_ROWS
    rest = f'<tr><td></td><td style="{DIM}">and {more} more words</td><td></td><td></td></tr>' if more > 0 else ""
    names = ", ".join(escape(row.name) + _mark(row) for row in absent)
    none = f'<div class="absent" style="{DIM}">without points: {names}</div>' if absent else ""
    return _box(f'<table class="legend" style="width:100%;border-collapse:collapse">{shown}{rest}</table>{none}')


def _row(row: Row, total: int) -> str:
    swatch = f"display:inline-block;width:.85em;height:.85em;border-radius:.2em;background:rgb{row.color}"
    count = "&hellip;" if row.points is None else f"{row.points:,}"
    percent = "" if row.points is None else f"{100 * row.points / max(total, 1):.1f} %"
    return (
        f'<tr><td style="width:1.5em"><span style="{swatch}"></span></td><td>{escape(row.name)}{_mark(row)}</td>'
        f'<td style="{NUMBER}">{count}</td><td style="{NUMBER};width:4.2em">{percent}</td></tr>'
    )


def _mark(row: Row) -> str:
    return f' <span style="{WARNING}">{escape(row.note)}</span>' if row.note else ""


def color_bar(bar: Bar) -> str:
    """Return the colors of a heat map between its smallest and its largest cosine."""
    colors = ",".join(f"rgb({r},{g},{b})" for r, g, b in INFERNO.tolist())
    strip = f'<div style="height:.9em;border-radius:.2em;background:linear-gradient(to right,{colors})"></div>'
    ends = f"<span>{bar.low:.3f}</span><span>cosine</span><span>{bar.high:.3f}</span>"
    ends = f'<div style="display:flex;justify-content:space-between;{DIM}">{ends}</div>'
    return _box(f"<div>&ldquo;{escape(bar.text)}&rdquo;</div>{strip}{ends}")


def inspection(found: Inspection) -> str:
    """Return what is known about the point that was clicked on."""
    superpoint = "no superpoint" if found.superpoint is None else f"superpoint {found.superpoint}"
    head = f"<div><b>{escape(found.label)}</b>, confidence {found.confidence:.2f}</div>"
    head += f'<div style="{DIM}">{superpoint}, {found.points:,} points</div>'
    return _box(
        head
        + _matches("cosines with your words", found.words)
        + _matches("nearest words of the model", found.known_words)
        + (f'<div style="{DIM}">{escape(found.note)}</div>' if found.note else "")
    )


def _matches(title: str, matches: Sequence[Match]) -> str:
    if not matches:
        return ""
    rows = "".join(f'<tr><td>{escape(m.name)}</td><td style="{NUMBER}">{m.cosine:.3f}</td></tr>' for m in matches)
    table = f'<table style="width:100%;border-collapse:collapse">{rows}</table>'
    return f'<div style="{DIM};margin-top:.35em">{title}</div>{table}'


def drawn_points(drawn: Drawn, shown: int) -> str:
    """Return one line on what is drawn of the cloud."""
    count, total = len(drawn.points), drawn.total
    what = "one per voxel" if count < 0.95 * total else "all that are labeled"
    text = f"{total:,} points; {count:,} drawn ({what})"
    hidden = f", {count - shown:,} of them hidden by the cut" if shown < count else ""
    return _box(f'<span style="{DIM}">{text}{hidden}</span>')


def notes(sentences: Sequence[str]) -> str:
    """Return what to know about words and cloud; empty without any."""
    lines = "".join(f'<div style="{WARNING}">{escape(sentence)}</div>' for sentence in dict.fromkeys(sentences))
    return _box(lines) if lines else ""


def error(line: str) -> str:
    """Return what is wrong with the words, in one line; empty if nothing is."""
    return _box(f'<div class="error" style="{ERROR}">{escape(line)}</div>') if line else ""


def hint(line: str) -> str:
    """Return a line in a faint color."""
    return _box(f'<span style="{DIM}">{escape(line)}</span>')


def _box(content: str) -> str:
    return f'<div style="{BOX}">{content}</div>'
