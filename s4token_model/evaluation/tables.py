"""Results as text tables and as a picture of the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from s4token_model.evaluation.loading import skipped_line
from s4token_model.pictures.colors import oklab_to_rgb
from s4token_model.pictures.figures import draw_text, text_width

CELL = 40
CONFUSION = "rows: truth, columns: prediction, percent of the row"


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    """Align rows under a header: first column left, the others right; floats in percent with one decimal, None as a
    dash."""
    texts = [list(header)] + [[_cell(v) for v in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    lines = [
        "  ".join([r[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(r[1:], widths[1:], strict=True)]) for r in texts
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def segmentation_table(result: dict[str, Any], model: str) -> str:
    """The table of `segmentation.evaluate`: methods as columns, mIoU, mAcc, accuracy and the IoU of every class that
    occurs as rows, in percent."""
    methods = result["methods"]
    titles = {
        "model": model,
        "synonyms": "synonyms",
        "rules": "height+normal",
        "chance": "chance",
        "oracle": "superpoint oracle",
        "provided": "oracle of provided",
    }
    rows: list[list[Any]] = [
        [title, *(m[key] for m in methods.values()), None]
        for title, key in (("mIoU", "miou"), ("mAcc", "macc"), ("accuracy", "accuracy"))
    ]
    for name, prompt in zip(result["classes"], result["prompts"], strict=True):
        if result["share"][name] > 0:
            word = name if name == prompt else f"{name} (as “{prompt}”)"
            rows.append([word, *(m["iou"][name] for m in methods.values()), result["share"][name]])
    absent = [name for name in result["classes"] if not result["share"][name]]
    header = ["percent", *(titles[m] for m in methods), "share of points"]
    seconds, pieces = result["seconds_per_cloud"], result["superpoints_per_cloud"]
    count = f"{len(result['clouds'])} clouds, {result['points']:,} points"
    tail = f"{count}; {seconds:.2f} s and {pieces:.0f} superpoints per cloud"
    missing = [f"not in the truth: {', '.join(absent)}"] if absent else []
    return "\n".join([table(rows, header), *missing, tail, *skipped_line(result.get("skipped", []))])


def save_confusion_picture(path: str | Path, counts: np.ndarray, names: Sequence[str]) -> None:
    """Draw a confusion matrix (C, C or C + 1), rows the true classes that occur, each row as shares of its points."""
    counts = np.asarray(counts, float)
    columns = [*names, "unlabeled"][: counts.shape[1]]
    used = np.flatnonzero(counts.sum(1) > 0)
    wanted = np.flatnonzero((counts.sum(0) > 0) | np.isin(np.arange(counts.shape[1]), used))
    share = counts[used][:, wanted] / counts[used].sum(1, keepdims=True)
    left = int(max([text_width(names[i], 16) for i in used], default=0)) + 60
    top = int(max([text_width(columns[i], 16) for i in wanted], default=0)) + 70
    width = max(left + CELL * len(wanted) + 24, int(text_width(CONFUSION, 16)) + 32)
    picture = Image.new("RGB", (width, top + CELL * len(used) + 24), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    draw_text(draw, (16, 14), CONFUSION, 16, (120, 124, 130))
    for x, j in enumerate(wanted):
        _upright(picture, columns[j], left + x * CELL + CELL // 2, top - 8)
    for y, i in enumerate(used):
        draw_text(draw, (left - 12 - text_width(names[i], 16), top + y * CELL + 10), names[i], 16, (30, 33, 38))
        for x in range(len(wanted)):
            _square(draw, left + x * CELL, top + y * CELL, share[y, x])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def _square(draw: ImageDraw.ImageDraw, x: int, y: int, share: float) -> None:
    """One cell: white over blue to dark with the share, the number on it from half a percent."""
    lightness = 0.985 - 0.62 * share**0.6
    chroma = 0.13 * min(1.0, 2.0 * share**0.6)
    fill = tuple(int(round(255 * v)) for v in oklab_to_rgb(np.array([lightness, -0.3 * chroma, -0.95 * chroma])))
    draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), fill=fill)
    if share >= 0.005:
        text = f"{100 * share:.0f}"
        ink = (255, 255, 255) if lightness < 0.62 else (40, 44, 50)
        draw_text(draw, (x + (CELL - 2 - text_width(text, 15)) / 2, y + 10), text, 15, ink)


def _upright(picture: Image.Image, text: str, x: int, bottom: int) -> None:
    """Text that reads upwards, centered on x, ending at `bottom`."""
    tile = Image.new("RGB", (int(text_width(text, 16)) + 4, 24), (255, 255, 255))
    draw_text(ImageDraw.Draw(tile), (0, 2), text, 16, (30, 33, 38))
    tile = tile.rotate(90, expand=True)
    picture.paste(tile, (x - tile.width // 2, bottom - tile.height))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)
