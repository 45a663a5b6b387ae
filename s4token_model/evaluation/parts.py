"""IoU of the parts of one shape, and its picture beside the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s4token_model.datasets import shapenetpart
from s4token_model.pictures.colors import palette
from s4token_model.pictures.figures import label_colors, save_comparison


def part_ious(truth: np.ndarray, found: np.ndarray, parts: int) -> np.ndarray:
    """IoU (parts,) of the labels of one shape; 1 for a part neither in the truth nor found."""
    hit = np.bincount(truth[truth == found], minlength=parts)[:parts]
    given = np.bincount(found[found < parts], minlength=parts)[:parts]
    union = np.bincount(truth, minlength=parts)[:parts] + given - hit
    return np.where(union > 0, hit / np.maximum(union, 1), 1.0)


def chance_ious(truth: np.ndarray, parts: int) -> np.ndarray:
    """IoU (parts,) of uniform guesses, from the expected counts: n/P hits of n + N/P - n/P in the union."""
    size = np.bincount(truth, minlength=parts)[:parts] / 1.0
    hit = size / parts
    return hit / (size + len(truth) / parts - hit)


def save_shape(folder: Path, shape: shapenetpart.Shape, found: np.ndarray) -> None:
    """Draw the found parts of a shape beside the true ones, into folder/CATEGORY_NAME.png."""
    names = shapenetpart.parts(shape.category)
    colors = palette(len(names))
    columns = [("prediction", label_colors(found, colors)), ("truth", label_colors(shape.label, colors))]
    path = folder / f"{shape.category}_{shape.name}.png"
    save_comparison(path, shape.xyz, columns, size=(560, 460), legend=(shape.label, names, colors))
