"""The frame of the bank: meters, z up, front facing -y, base at z = 0, centered in x and y."""

from __future__ import annotations

import numpy as np

Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # x right, y up, z front -> z up, front -y
UP = {"y": Y_UP, "z": np.eye(3)}


def turn(degrees: float) -> np.ndarray:
    """(3, 3) rotation about z, counterclockwise as seen from above."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def placed(vertices: np.ndarray, rotation: np.ndarray, size: tuple[float, ...]) -> np.ndarray:
    """Rotate vertices (V, 3) and scale them to a size.

    `size` is () for meters as they are, (largest,) for one factor that gives the largest extent in m, or (width x,
    depth y, height z) m, one factor an axis; an axis without extent keeps the mean factor of the others.
    """
    vertices = vertices @ rotation.T
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = high - low
    factor = np.ones(3)
    if len(size) == 1:
        factor[:] = size[0] / extent.max()
    elif size:
        thick = extent > 1e-6 * extent.max()
        factor[thick] = np.array(size)[thick] / extent[thick]
        factor[~thick] = factor[thick].mean()
    base = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return (vertices - base) * factor


def parse_size(text: str) -> tuple[float, ...]:
    """Read "", "4.4" or "1.8x4.4x1.5", in m; ValueError for anything else."""
    try:
        size = tuple(float(number) for number in text.split("x")) if text else ()
    except ValueError:
        size = (0.0,)
    if len(size) not in (0, 1, 3) or not all(0 < number < 100 for number in size):
        raise ValueError(f"size {text!r} is none of '', '4.4' and '1.8x4.4x1.5'; write meters below 100")
    return size
