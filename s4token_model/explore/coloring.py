"""Colors and legends of a view: rows of classes, heat maps, and the colors of the scan itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from s4token_model.constants import NO_SUPERPOINT, UNLABELED_COLOR
from s4token_model.explore.state import Bar, Drawn, Match, Row, View
from s4token_model.palette import heat, index_colors

BEST = 5  # words that are shown of a superpoint
UNLABELED_NAME = "unlabeled"
OUTLIERS = 1  # percent of the values at either end that do not stretch a heat map


def class_rows(
    names: Sequence[str], colors: np.ndarray, labels: np.ndarray | None, notes: Mapping[str, str] | None = None
) -> tuple[Row, ...]:
    """Return the legend of labels (H,), most frequent class first; without labels in the order of the names.

    colors (C, 3) uint8; `notes` on some of the names; unlabeled points come last.
    """
    table, notes = [tuple(int(v) for v in color) for color in colors], notes or {}
    if labels is None:
        return tuple(Row(name, color, None, notes.get(name, "")) for name, color in zip(names, table, strict=True))
    counts = np.bincount(np.minimum(labels, len(names)).astype(np.int64), minlength=len(names) + 1)
    order = np.argsort(-counts[:-1], kind="stable")
    rows = [Row(names[k], table[k], int(counts[k]), notes.get(names[k], "")) for k in order]
    return (*rows, *([Row(UNLABELED_NAME, UNLABELED_COLOR, int(counts[-1]))] if counts[-1] else []))


def heat_colors(values: np.ndarray, text: str) -> tuple[np.ndarray, Bar]:
    """Return the colors (D, 3) uint8 of cosines (D,) with a text, and their bar; gray where they are NaN."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [OUTLIERS, 100 - OUTLIERS]) if len(finite) else (0.0, 1.0)
    return heat((values - low) / max(high - low, 1e-6)), Bar(text.strip(), float(low), float(high))


def scan_colors(rgb: np.ndarray | None, drawn: Drawn) -> np.ndarray:
    """Return the colors (D, 3) uint8 that the scan has, rgb (H, 3) in [0, 1], or of the height if it has none."""
    if rgb is not None:
        return np.rint(255 * np.clip(np.nan_to_num(rgb[drawn.index]), 0, 1)).astype(np.uint8)
    height = drawn.points[:, 2]
    low, high = np.percentile(height, [OUTLIERS, 100 - OUTLIERS]) if len(height) else (0.0, 1.0)
    return heat((height - low) / max(high - low, 1e-6))


def superpoint_view(drawn: Drawn, superpoints: np.ndarray, notes: tuple[str, ...]) -> View:
    """Give each of the superpoints (H,) a color."""
    count = len(np.unique(superpoints[superpoints != NO_SUPERPOINT]))
    caption = f"{count:,} superpoints, each in a color of its own"
    return View(drawn, index_colors(superpoints[drawn.index]), caption=caption, notes=notes)


def scan_view(drawn: Drawn, rgb: np.ndarray | None, notes: tuple[str, ...]) -> View:
    """Show the colors of the scan, see `scan_colors`."""
    caption = "the heights of the points: the scan has no colors" if rgb is None else "the colors of the scan"
    return View(drawn, scan_colors(rgb, drawn), caption=caption, notes=notes)


def check_heat_text(text: str) -> None:
    """Raise ValueError if there is no text for a heat map."""
    if not text.strip():
        raise ValueError("type a text for the heat map, e.g. a place to sit")


def best_matches(names: Sequence[str], cosines: np.ndarray) -> tuple[Match, ...]:
    """Return the names with the largest cosines (C,), largest first."""
    return tuple(Match(names[k], float(cosines[k])) for k in np.argsort(-cosines, kind="stable")[:BEST])


def label_name(names: Sequence[str], label: int) -> str:
    """Return the class name of a label."""
    return names[label] if label < len(names) else UNLABELED_NAME
