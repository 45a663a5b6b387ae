"""Clouds as columns, colorings of them as rows, in one picture: the form of the paper's figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from s4token_model.pictures.figures import INK, WHITE, draw_text, save_picture, text_width
from s4token_model.pictures.renderer import paint, trace

TILE, HEAD, SIDE, LETTERS = (420, 330), 40, 46, 22  # pixels: a cloud, the titles of columns and rows, their text


class Column(NamedTuple):
    """One cloud: its title, xyz (H, 3), and for each row colors (H, 3) uint8."""

    title: str
    xyz: np.ndarray
    colors: Sequence[np.ndarray]


def save_grid(path: str | Path, rows: Sequence[str], columns: Sequence[Column], size: tuple[int, int] = TILE) -> None:
    """Write all colorings of all clouds, `size` pixels each, the titles of `rows` upright at the left."""
    width, height = size
    sheet = Image.new("RGB", (SIDE + len(columns) * width, HEAD + len(rows) * height), WHITE)
    draw = ImageDraw.Draw(sheet)
    for number, column in enumerate(columns):
        left, raster = SIDE + number * width, trace(column.xyz, size)
        draw_text(draw, (left + (width - text_width(column.title, LETTERS)) / 2, 8), column.title, LETTERS, INK)
        for row, colors in enumerate(column.colors):
            sheet.paste(Image.fromarray(paint(raster, colors)), (left, HEAD + row * height))
    for row, title in enumerate(rows):
        label = Image.new("RGB", (height, SIDE), WHITE)
        draw_text(ImageDraw.Draw(label), ((height - text_width(title, LETTERS)) / 2, 10), title, LETTERS, INK)
        sheet.paste(label.rotate(90, expand=True), (0, HEAD + row * height))
    save_picture(sheet, path)
