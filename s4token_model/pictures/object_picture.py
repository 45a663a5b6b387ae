"""Pictures of labeled clouds with a box around each object, and the word over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from s4token_model.objects import Objects, corners
from s4token_model.palette import label_colors
from s4token_model.pictures.camera import Camera
from s4token_model.pictures.figures import (
    INK,
    PANEL,
    SIZE,
    WHITE,
    Legend,
    draw_legend,
    draw_text,
    framed,
    save_picture,
    text_width,
)
from s4token_model.pictures.renderer import SUPERSAMPLE, paint, trace

EDGES = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]  # pairs of corners of a box
WORD_SIZE, ABOVE, DARK = 17, 22, 0.6  # pixels of the words, and of their upper edge over a box; of the lines


def save_objects_picture(
    path: str | Path, xyz: np.ndarray, labels: np.ndarray, names: Sequence[str], colors: np.ndarray, objects: Objects
) -> None:
    """Write a picture of a labeled cloud, as `figures.save_labels_picture`, with boxes around the objects in sight."""
    raster = trace(xyz, SIZE)
    image = Image.fromarray(paint(raster, label_colors(labels, colors)))
    draw, seen = ImageDraw.Draw(image), np.unique(objects.of_point[raster.index[raster.index >= 0]])
    boxes = [_pixels(raster.camera, box) for box in corners(objects)]
    shown = [pixels if k in seen else None for k, pixels in enumerate(boxes)]
    for pixels, label in zip(shown, objects.label.tolist(), strict=True):
        ink = tuple(int(DARK * value) for value in colors[label])
        for a, b in EDGES if pixels is not None else ():
            draw.line((*pixels[a], *pixels[b]), fill=ink, width=2)
    for pixels, label in zip(shown, objects.label.tolist(), strict=True):  # over all lines
        if pixels is not None:
            left = float(pixels[:, 0].mean() - text_width(names[label], WORD_SIZE) / 2)
            corner = (left, max(0.0, float(pixels[:, 1].min() - ABOVE)))
            draw_text(draw, corner, names[label], WORD_SIZE, INK, stroke_width=2, stroke_fill=WHITE)
    picture = framed(np.asarray(image), None, PANEL)
    draw_legend(picture, Legend(np.asarray(labels)[np.isfinite(xyz).all(1)], names, colors))
    save_picture(picture, path)


def _pixels(camera: Camera, corners: np.ndarray) -> np.ndarray | None:
    """The corners (8, 3) in pixels of the picture (8, 2); None if one is behind the camera."""
    column, row, depth = camera.project(corners)
    return np.stack([column, row], axis=1) / SUPERSAMPLE if (depth > 0).all() else None
