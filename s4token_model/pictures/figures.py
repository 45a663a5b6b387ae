"""Pictures of labeled clouds: classes with a legend, superpoints, similarity to a query, comparisons side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from s4token_model.pictures.colors import UNLABELED_COLOR, heat, random_colors
from s4token_model.pictures.renderer import Raster, paint, render, trace

__all__ = [
    "draw_text",
    "label_colors",
    "paint",
    "render",
    "save_comparison",
    "save_labels_picture",
    "save_similarity_picture",
    "save_superpoints_picture",
    "text_width",
    "trace",
]

INVALID_SUPERPOINT = 4294967295
SIZE = (1280, 900)  # of one rendered cloud, without title and legend
PANEL = 300  # width of the legend
INK, QUIET = (30, 33, 38), (120, 124, 130)
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")


def label_colors(labels: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Colors (H, 3) uint8 of labels (H,) by the table (C, 3) uint8; labels outside of it (65535) are gray."""
    labels, colors = np.asarray(labels).astype(np.int64), np.asarray(colors, np.uint8).reshape(-1, 3)
    table = np.concatenate([colors, np.array([UNLABELED_COLOR], np.uint8)])
    return table[np.where((labels >= 0) & (labels < len(colors)), labels, len(colors))]


def save_labels_picture(
    path: str | Path,
    xyz: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    colors: np.ndarray,
    title: str | None = None,
    size: tuple[int, int] = SIZE,
    raster: Raster | None = None,
) -> None:
    """Write a picture of a labeled cloud with a legend of the classes that occur, largest share first.

    xyz (H, 3) m; labels (H,) indices into `names`, 65535 = unlabeled; colors (C, 3) uint8; `raster` of `trace` saves
    tracing the same cloud again.
    """
    raster = trace(xyz, size) if raster is None else raster
    picture = _framed(paint(raster, label_colors(labels, colors)), title, PANEL)
    _legend(picture, np.asarray(labels)[np.isfinite(xyz).all(1)], names, colors)
    _save(picture, path)


def save_superpoints_picture(
    path: str | Path,
    xyz: np.ndarray,
    superpoints: np.ndarray,
    title: str | None = None,
    size: tuple[int, int] = SIZE,
    raster: Raster | None = None,
) -> None:
    """Write a picture of the partition: one stable random color per superpoint id (H,), gray where there is none."""
    superpoints = np.asarray(superpoints).astype(np.int64)
    valid = (superpoints >= 0) & (superpoints != INVALID_SUPERPOINT)
    colors = random_colors(np.where(valid, superpoints, 0))
    colors[~valid] = UNLABELED_COLOR
    raster = trace(xyz, size) if raster is None else raster
    count = len(np.unique(superpoints[valid]))
    _save(_framed(paint(raster, colors), title or f"{count:,} superpoints of {len(superpoints):,} points", 0), path)


def save_similarity_picture(
    path: str | Path,
    xyz: np.ndarray,
    similarity: np.ndarray,
    query: str,
    superpoints: np.ndarray | None = None,
    top: int = 3,
    size: tuple[int, int] = SIZE,
    raster: Raster | None = None,
) -> None:
    """Write a heat picture of the similarity (H,) of every point to a query, with a color bar.

    NaN is gray. With `superpoints` (H,) the `top` superpoints of highest mean similarity are marked 1, 2, 3 where they
    are seen.
    """
    similarity = np.asarray(similarity, np.float64)
    known = similarity[np.isfinite(similarity)]
    low, high = np.percentile(known, [2, 99.8]) if len(known) else (0.0, 1.0)
    span = max(high - low, 1e-9)
    raster = trace(xyz, size) if raster is None else raster
    picture = _framed(paint(raster, heat((similarity - low) / span), "dark"), f"similarity to “{query}”", 120)
    _color_bar(picture, low, high)
    if superpoints is not None:
        _mark_best(picture, raster, similarity, np.asarray(superpoints).astype(np.int64), top)
    _save(picture, path)


def save_comparison(
    path: str | Path,
    xyz: np.ndarray,
    columns: Sequence[tuple[str, np.ndarray]],
    size: tuple[int, int] = (860, 640),
    legend: tuple[np.ndarray, Sequence[str], np.ndarray] | None = None,
    raster: Raster | None = None,
) -> None:
    """Write one cloud in several colorings side by side: columns (title, colors (H, 3) uint8), all from one
    viewpoint.

    legend (labels (any,), names, colors) adds the legend of these labels on the right.
    """
    raster = trace(xyz, size) if raster is None else raster
    tiles = [_framed(paint(raster, colors), title, 0) for title, colors in columns]
    panel = PANEL if legend is not None else 0
    picture = Image.new("RGB", (sum(t.width for t in tiles) + panel, tiles[0].height), (255, 255, 255))
    left = 0
    for tile in tiles:
        picture.paste(tile, (left, 0))
        left += tile.width
    if legend is not None:
        _legend(picture, *legend)
    _save(picture, path)


def _framed(image: np.ndarray, title: str | None, panel: int) -> Image.Image:
    """The image below its title, with an empty panel on its right, in the image's background color."""
    head = 52 if title else 0
    ground = tuple(int(v) for v in image[0, 0])
    picture = Image.new("RGB", (image.shape[1] + panel, image.shape[0] + head), ground)
    picture.paste(Image.fromarray(image), (0, head))
    if title:
        ink = INK if sum(ground) > 380 else (235, 236, 238)
        draw_text(ImageDraw.Draw(picture), (24, 14), _shortened(title, 26, picture.width - 40), 26, ink)
    return picture


def _legend(picture: Image.Image, labels: np.ndarray, names: Sequence[str], colors: np.ndarray) -> None:
    """Swatch, name and share of every class that occurs, in the right panel, largest first."""
    entries = _shares(labels, names, colors)
    draw, left = ImageDraw.Draw(picture), picture.width - PANEL + 16
    room = picture.height - 90
    step = int(np.clip(room / max(len(entries), 1), 20, 36))
    shown = entries if len(entries) * step <= room else entries[: room // step - 1]
    size = max(12, round(0.55 * step))
    for i, (name, color, share) in enumerate(shown):
        top = 66 + i * step
        draw.rounded_rectangle((left, top, left + size + 4, top + size + 4), 4, fill=color)
        percent = f"{100 * share:.1f}%" if share >= 0.0995 / 100 else "<0.1%"
        end = picture.width - 16
        draw_text(draw, (left + size + 14, top), _shortened(name, size, end - 64 - left - size - 14), size, INK)
        draw_text(draw, (end - text_width(percent, size), top), percent, size, QUIET)
    if len(shown) < len(entries):
        draw_text(draw, (left, 66 + len(shown) * step), f"+ {len(entries) - len(shown)} more", size, QUIET)


def _shares(labels: np.ndarray, names: Sequence[str], colors: np.ndarray) -> list[tuple[str, tuple, float]]:
    labels = np.asarray(labels).astype(np.int64)
    count = len(names)
    numbers = np.bincount(np.where((labels >= 0) & (labels < count), labels, count), minlength=count + 1)
    tints = [*(tuple(int(v) for v in c) for c in np.asarray(colors)[:count]), UNLABELED_COLOR]
    order = np.argsort(-numbers[:count], kind="stable").tolist() + [count]
    texts = [*names, "unlabeled"]
    return [(str(texts[i]), tints[i], numbers[i] / max(len(labels), 1)) for i in order if numbers[i]]


def _color_bar(picture: Image.Image, low: float, high: float) -> None:
    height = min(420, picture.height - 160)
    top, left = (picture.height - height) // 2, picture.width - 104
    bar = heat(np.linspace(1, 0, height))[:, None].repeat(24, 1)
    picture.paste(Image.fromarray(bar), (left, top))
    draw = ImageDraw.Draw(picture)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + round((1 - share) * (height - 1))
        draw.line((left + 24, y, left + 30, y), fill=(200, 200, 200))
        draw_text(draw, (left + 34, y - 9), f"{low + share * (high - low):.2f}", 16, (225, 226, 228))


def _mark_best(picture: Image.Image, raster: Raster, similarity: np.ndarray, superpoints: np.ndarray, top: int) -> None:
    """Rings with ranks on the superpoints of highest mean similarity, where most of their pixels lie."""
    good = np.isfinite(similarity) & (superpoints >= 0) & (superpoints != INVALID_SUPERPOINT)
    ids, inverse = np.unique(superpoints[good], return_inverse=True)
    if not len(ids):
        return
    mean = np.bincount(inverse, similarity[good]) / np.bincount(inverse)
    seen = np.where(raster.index >= 0, superpoints[np.maximum(raster.index, 0)], -1)
    head = picture.height - raster.index.shape[0] // raster.supersample
    draw = ImageDraw.Draw(picture)
    for rank, best in enumerate(np.argsort(-mean, kind="stable")[:top].tolist(), start=1):
        rows, columns = np.nonzero(seen == ids[best])
        if len(rows):
            middle = np.median(rows), np.median(columns)
            near = np.argmin((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2)  # on the superpoint itself
            x, y = columns[near] / raster.supersample, rows[near] / raster.supersample + head
            draw.ellipse((x - 17, y - 17, x + 17, y + 17), fill=(20, 22, 26), outline=(255, 255, 255), width=3)
            draw_text(draw, (x - text_width(str(rank), 20) / 2, y - 12), str(rank), 20, (255, 255, 255))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font with many scripts where the machine has one, else Pillow's own."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def draw_text(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, ink: tuple) -> None:
    """Write text with its upper left corner at `at`, size and place in pixels."""
    draw.text(at, text, fill=ink, font=_font(size))


def text_width(text: str, size: int) -> float:
    """Width in pixels that `draw_text` takes."""
    return _font(size).getlength(text)


def _shortened(text: str, size: int, width: float) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def _save(picture: Image.Image, path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
