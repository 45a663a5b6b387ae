"""Pictures of labeled clouds and galleries of objects, written to files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from s4token_model.constants import NO_SUPERPOINT, UNLABELED_COLOR
from s4token_model.palette import heat, index_colors, label_colors
from s4token_model.pictures.renderer import SUPERSAMPLE, Raster, paint, trace

SIZE = (1280, 900)  # pixels of one rendered cloud, without title and legend
HEAD, PANEL, BAR = 52, 300, 120  # pixels: height of the title, widths of the legend and of the color bar
INK, QUIET, WHITE, GOOD, BAD = (30, 33, 38), (120, 124, 130), (255, 255, 255), (30, 110, 60), (178, 45, 45)
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf")
TILE, TILE_HEAD, TILE_COLOR = (300, 260), 58, (150, 170, 196)
COLUMNS, MAX_TILES = 5, 40


class Legend(NamedTuple):
    """Labels (any,) whose classes are listed, by names (C,) and colors (C, 3) uint8."""

    labels: np.ndarray
    names: Sequence[str]
    colors: np.ndarray


class Tile(NamedTuple):
    """One object of a gallery: xyz (H, 3), z up; its true and its predicted name."""

    xyz: np.ndarray
    truth: str
    prediction: str
    correct: bool


def save_labels_picture(
    path: str | Path,
    xyz: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    colors: np.ndarray,
    title: str | None = None,
    raster: Raster | None = None,
) -> None:
    """Write a picture of a labeled cloud with a legend of the classes that occur, largest first.

    xyz (H, 3) m; labels (H,) indices into `names`, 65535 = unlabeled; colors (C, 3) uint8; `raster`, of `trace`, draws
    the same cloud again without tracing it.
    """
    raster = trace(xyz, SIZE) if raster is None else raster
    picture = framed(paint(raster, label_colors(labels, colors)), title, PANEL)
    draw_legend(picture, Legend(np.asarray(labels)[np.isfinite(xyz).all(1)], names, colors))
    save_picture(picture, path)


def save_superpoints_picture(
    path: str | Path, xyz: np.ndarray, superpoints: np.ndarray, title: str | None = None, raster: Raster | None = None
) -> None:
    """Write a picture of superpoints (H,), each in the color of its id; gray where there is none."""
    superpoints = np.asarray(superpoints).astype(np.int64)
    valid = (superpoints >= 0) & (superpoints != NO_SUPERPOINT)
    colors = index_colors(np.where(valid, superpoints, 0))
    colors[~valid] = UNLABELED_COLOR
    raster = trace(xyz, SIZE) if raster is None else raster
    count = len(np.unique(superpoints[valid]))
    save_picture(framed(paint(raster, colors), title or f"{count:,} superpoints of {len(superpoints):,} points"), path)


def save_similarity_picture(
    path: str | Path,
    xyz: np.ndarray,
    similarity: np.ndarray,
    query: str,
    superpoints: np.ndarray | None = None,
    top: int = 3,
    raster: Raster | None = None,
) -> None:
    """Write a heat picture of the similarity (H,) of every point to a query, with a color bar; NaN is gray.

    With `superpoints` (H,), the `top` superpoints of highest mean similarity are marked 1, 2, 3 where they are visible.
    """
    similarity = np.asarray(similarity, np.float64)
    known = similarity[np.isfinite(similarity)]
    low, high = np.percentile(known, [2, 99.8]) if len(known) else (0.0, 1.0)
    raster = trace(xyz, SIZE) if raster is None else raster
    heated = paint(raster, heat((similarity - low) / max(high - low, 1e-9)), "dark")
    picture = framed(heated, f"similarity to “{query}”", BAR)
    _draw_color_bar(picture, low, high)
    if superpoints is not None:
        _mark_best(picture, raster, similarity, np.asarray(superpoints).astype(np.int64), top)
    save_picture(picture, path)


def save_comparison(
    path: str | Path,
    xyz: np.ndarray,
    columns: Sequence[tuple[str, np.ndarray]],
    size: tuple[int, int] = (860, 640),
    legend: Legend | None = None,
) -> None:
    """Write one cloud in several colorings side by side: columns of a title and colors (H, 3) uint8."""
    raster = trace(xyz, size)
    tiles = [np.asarray(framed(paint(raster, colors), title)) for title, colors in columns]
    if legend is not None:
        tiles.append(np.full((len(tiles[0]), PANEL, 3), WHITE, np.uint8))
    picture = Image.fromarray(np.concatenate(tiles, axis=1))
    if legend is not None:
        draw_legend(picture, legend)
    save_picture(picture, path)


def save_gallery(path: str | Path, tiles: Sequence[Tile]) -> None:
    """Draw up to MAX_TILES objects in rows: the true name in black, below it the predicted one in green or red."""
    tiles = list(tiles)[:MAX_TILES]
    width, height = TILE[0], TILE[1] + TILE_HEAD
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (min(len(tiles), COLUMNS) * width, rows * height), WHITE)
    draw = ImageDraw.Draw(sheet)
    for number, tile in enumerate(tiles):
        left, top = number % COLUMNS * width, number // COLUMNS * height
        image = paint(trace(tile.xyz, TILE), np.full((len(tile.xyz), 3), TILE_COLOR, np.uint8))
        sheet.paste(Image.fromarray(image), (left, top + TILE_HEAD))
        draw_text(draw, (left + 12, top + 6), tile.truth, 18, INK)
        draw_text(draw, (left + 12, top + 30), tile.prediction, 18, GOOD if tile.correct else BAD)
    save_picture(sheet, path)


def framed(image: np.ndarray, title: str | None, panel: int = 0) -> Image.Image:
    """The image below its title, with an empty panel on its right, in the image's background color."""
    head = HEAD if title else 0
    background = tuple(int(v) for v in image[0, 0])
    picture = Image.new("RGB", (image.shape[1] + panel, image.shape[0] + head), background)
    picture.paste(Image.fromarray(image), (0, head))
    if title:
        ink = INK if sum(background) > 380 else (235, 236, 238)
        draw_text(ImageDraw.Draw(picture), (24, 14), _shortened(title, 26, picture.width - 40), 26, ink)
    return picture


def draw_legend(picture: Image.Image, legend: Legend) -> None:
    """Swatch, name and percentage of every class that occurs, in the right panel, largest first."""
    entries = _legend_entries(legend)
    draw, left, right = ImageDraw.Draw(picture), picture.width - PANEL + 16, picture.width - 16
    # Shrink the lines until all classes fit; drop the smallest classes if they still do not
    space = picture.height - 90
    step = int(np.clip(space / max(len(entries), 1), 20, 36))
    shown = entries if len(entries) * step <= space else entries[: space // step - 1]
    size = max(12, round(0.55 * step))
    for i, (name, color, fraction) in enumerate(shown):
        top, text_left = 66 + i * step, left + size + 14
        draw.rounded_rectangle((left, top, left + size + 4, top + size + 4), 4, fill=color)
        percent = f"{100 * fraction:.1f}%" if fraction >= 0.0995 / 100 else "<0.1%"
        draw_text(draw, (text_left, top), _shortened(name, size, right - 64 - text_left), size, INK)
        draw_text(draw, (right - text_width(percent, size), top), percent, size, QUIET)
    if len(shown) < len(entries):
        draw_text(draw, (left, 66 + len(shown) * step), f"+ {len(entries) - len(shown)} more", size, QUIET)


def _legend_entries(legend: Legend) -> list[tuple[str, tuple[int, ...], float]]:
    """Name, color and fraction of the classes that occur, largest first, unlabeled points last."""
    labels, count = np.asarray(legend.labels).astype(np.int64), len(legend.names)
    numbers = np.bincount(np.where((labels >= 0) & (labels < count), labels, count), minlength=count + 1)
    colors = [*(tuple(int(v) for v in color) for color in np.asarray(legend.colors)[:count]), UNLABELED_COLOR]
    names = [*map(str, legend.names), "unlabeled"]
    order = np.argsort(-numbers[:count], kind="stable").tolist() + [count]
    return [(names[i], colors[i], numbers[i] / max(len(labels), 1)) for i in order if numbers[i]]


def _draw_color_bar(picture: Image.Image, low: float, high: float) -> None:
    height = min(420, picture.height - 160)
    top, left = (picture.height - height) // 2, picture.width - 104
    bar = heat(np.linspace(1, 0, height))[:, None].repeat(24, 1)
    picture.paste(Image.fromarray(bar), (left, top))
    draw = ImageDraw.Draw(picture)
    for fraction in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + round((1 - fraction) * (height - 1))
        draw.line((left + 24, y, left + 30, y), fill=(200, 200, 200))
        draw_text(draw, (left + 34, y - 9), f"{low + fraction * (high - low):.2f}", 16, (225, 226, 228))


def _mark_best(picture: Image.Image, raster: Raster, similarity: np.ndarray, superpoints: np.ndarray, top: int) -> None:
    """Number the superpoints of highest mean similarity, at the median of the pixels that show them."""
    valid = np.isfinite(similarity) & (superpoints >= 0) & (superpoints != NO_SUPERPOINT)
    ids, inverse = np.unique(superpoints[valid], return_inverse=True)
    if not len(ids):
        return
    mean = np.bincount(inverse, similarity[valid]) / np.bincount(inverse)
    seen = np.where(raster.index >= 0, superpoints[np.maximum(raster.index, 0)], -1)
    head = picture.height - raster.index.shape[0] // SUPERSAMPLE
    draw = ImageDraw.Draw(picture)
    for rank, best in enumerate(np.argsort(-mean, kind="stable")[:top].tolist(), start=1):
        rows, columns = np.nonzero(seen == ids[best])
        if len(rows):
            # The pixel of the superpoint nearest to the median, which may lie beside it
            nearest = np.argmin((rows - np.median(rows)) ** 2 + (columns - np.median(columns)) ** 2)
            x, y = columns[nearest] / SUPERSAMPLE, rows[nearest] / SUPERSAMPLE + head
            draw.ellipse((x - 17, y - 17, x + 17, y + 17), fill=(20, 22, 26), outline=WHITE, width=3)
            draw_text(draw, (x - text_width(str(rank), 20) / 2, y - 12), str(rank), 20, WHITE)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font with many scripts if the machine has one, else Pillow's own."""
    for name in FONTS:
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def draw_text(
    draw: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, size: int, ink: tuple, **more: Any
) -> None:
    """Write text with its upper left corner at `corner`, in pixels; `more` goes to Pillow."""
    draw.text(corner, text, fill=ink, font=_font(size), **more)


def text_width(text: str, size: int) -> float:
    """Width in pixels that `_draw_text` takes."""
    return _font(size).getlength(text)


def _shortened(text: str, size: int, width: float) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


def save_picture(picture: Image.Image, path: str | Path) -> None:
    """Write a picture; its folder is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
