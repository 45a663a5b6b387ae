"""A sheet of objects with what they are and what they were taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from s4token_model.pictures.figures import draw_text, paint, trace

SIZE = (300, 260)
COLUMNS, MOST = 5, 40
RIGHT, WRONG = (30, 110, 60), (178, 45, 45)


@dataclass(frozen=True)
class Tile:
    """One object: xyz (H, 3), z up; the words of the truth and of the answer."""

    xyz: np.ndarray
    truth: str
    found: str
    right: bool


def save_gallery(path: str | Path, tiles: Sequence[Tile]) -> None:
    """Draw up to MOST objects in rows of COLUMNS: the truth in black, below it the answer, green if right, else red."""
    shown = list(tiles)[:MOST]
    rows = -(-len(shown) // COLUMNS)
    width, height = SIZE[0], SIZE[1] + 58
    sheet = Image.new("RGB", (min(len(shown), COLUMNS) * width, rows * height), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for number, tile in enumerate(shown):
        left, top = number % COLUMNS * width, number // COLUMNS * height
        raster = trace(tile.xyz, SIZE)
        plain = np.full((len(tile.xyz), 3), (150, 170, 196), np.uint8)
        sheet.paste(Image.fromarray(paint(raster, plain)), (left, top + 58))
        draw_text(draw, (left + 12, top + 6), tile.truth, 18, (30, 33, 38))
        draw_text(draw, (left + 12, top + 30), tile.found, 18, RIGHT if tile.right else WRONG)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
