"""Checks of what a data set's file holds; every error names the file and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def load_array(path: Path) -> np.ndarray:
    """Read one .npy array of numbers. ValueError when it is missing or damaged."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; unpack the release again")
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as reason:  # numpy parses the header as Python, which can fail in many ways
        raise ValueError(f"{path} is damaged or no plain array ({reason}); unpack it again") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds no single array of numbers; it is not a file of this data set")
    return values


def load_table(path: Path, columns: int, delimiter: str | None = None) -> np.ndarray:
    """Read a text file of `columns` or more numbers a line: (H, columns) float64. ValueError naming the bad line."""
    try:
        rows = np.loadtxt(path, np.float64, delimiter=delimiter, ndmin=2)
    except (ValueError, OSError) as reason:
        raise ValueError(f"{path} is damaged ({reason}); unpack it again, or correct that line") from None
    if rows.shape[0] == 0 or rows.shape[1] < columns:
        raise ValueError(f"{path}: expected lines of {columns} numbers, found {rows.shape}; unpack it again")
    return rows[:, :columns]


def load_json(path: Path) -> Any:
    """Read a JSON file. ValueError when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        raise ValueError(f"{path} cannot be read ({reason}); unpack it again") from None


def cloud(path: Path, xyz: np.ndarray) -> np.ndarray:
    """Return xyz (H, 3) as float32. ValueError on an empty cloud, another shape, or a coordinate that is no number."""
    xyz = np.asarray(xyz)
    if xyz.ndim != 2 or xyz.shape[1] != 3 or len(xyz) == 0:
        raise ValueError(f"{path}: expected points (H, 3), found {xyz.shape}; it is not a file of this data set")
    bad = int((~np.isfinite(xyz).all(axis=1)).sum())
    if bad:
        raise ValueError(
            f"{path}: {bad} of {len(xyz)} points have a coordinate that is NaN or infinite; unpack it again"
        )
    return np.ascontiguousarray(xyz, np.float32)


def labels(path: Path, values: np.ndarray, count: int, classes: int, ignored: int | None = None) -> np.ndarray:
    """Return labels (H,) uint32, `ignored` become 65535. ValueError when they are not `count`, or not in 0..classes."""
    values = np.asarray(values).reshape(-1)
    if len(values) != count:
        raise ValueError(f"{path}: {count} points but {len(values)} labels; the two are of different versions")
    good = (values >= 0) & (values < classes)
    known = good if ignored is None else good | (values == ignored)
    if not known.all():
        bad = ", ".join(map(str, np.unique(values[~known])[:3].tolist()))
        raise ValueError(f"{path}: class {bad} is not among 0 to {classes - 1}; is it another data set?")
    out = np.full(len(values), 65535, np.uint32)
    out[good] = values[good]
    return out
