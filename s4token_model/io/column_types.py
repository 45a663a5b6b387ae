"""What the columns of a cloud become in a file: types and names that a format has, and notes about what changes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from s4token_model.io import field_names

Columns = Mapping[str, np.ndarray]


def fit(columns: Columns, suffix: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return columns as .ply, .pcd or .npy can hold them, and what the user should know about the difference.

    No value changes: 64-bit integers that PLY cannot hold become two columns, text is left out.
    ValueError for Python objects, which no format holds.
    """
    fitted: list[tuple[str, np.ndarray]] = []
    notes: list[str] = []
    for name, column in columns.items():
        if column.dtype.hasobject:
            raise ValueError(f"field {name!r} holds Python objects; give numbers")
        if suffix == ".npy":
            fitted.append((name, column))
            continue
        plain = _plain_type(column)
        if plain is None or not all(plain.shape[1:]):
            notes.append(f"field {name!r} ({column.dtype}) is left out, as it holds no numbers; .npy keeps it")
            continue
        parts = _flat(name, plain) if suffix == ".ply" else [(name, plain)]
        for part, values in parts:
            fitted += _ply_type(part, values, notes) if suffix == ".ply" else [(part, values)]
    old = [name for name, _ in fitted]
    new = field_names.distinct([_name(name, suffix) for name in old])
    notes += field_names.rename_notes(old, new, f" in {suffix}")
    return dict(zip(new, (values for _, values in fitted), strict=True)), tuple(notes)


def signed(columns: Columns) -> dict[str, np.ndarray]:
    """Return columns with int32 in place of uint32 where the values fit; Open3D drops uint32 of a PLY silently."""
    top = np.iinfo(np.int32).max
    fits = {name: c.dtype == np.uint32 and c.max(initial=0) <= top for name, c in columns.items()}
    return {name: c.astype(np.int32) if fits[name] else c for name, c in columns.items()}


def _name(name: str, suffix: str) -> str:
    """Return a name that a header can hold: one word, and for PCD not that of padding."""
    if suffix == ".npy":
        return name or "field"
    word = "_".join(name.split())
    return "field" if not word or (suffix == ".pcd" and word in field_names.PADDING) else word


def _plain_type(column: np.ndarray) -> np.ndarray | None:
    """Return a column with a type of PCD, with equal values; None if it holds no real numbers."""
    kind, size = column.dtype.kind, column.dtype.itemsize
    if kind == "b":
        return column.astype(np.uint8)
    if kind in "mM":  # times
        return column.view(np.int64)
    if kind == "f" and size == 2:
        return column.astype(np.float32)
    if kind == "f" and size > 8:
        return column.astype(np.float64)
    return column if kind in "fiu" else None


def _flat(name: str, column: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if column.ndim == 1:
        return [(name, column)]
    return [(f"{name}_{i}", part) for i, part in enumerate(column.reshape(len(column), math.prod(column.shape[1:])).T)]


def _ply_type(name: str, column: np.ndarray, notes: list[str]) -> list[tuple[str, np.ndarray]]:
    """Return a column as one or two of PLY's types, which has integers of 32 bits at most."""
    if column.dtype.kind == "f" or column.dtype.itemsize < 8:
        return [(name, column)]
    low, high = (int(column.min()), int(column.max())) if len(column) else (0, 0)
    for kind in (np.int32, np.uint32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return [(name, column.astype(kind))]
    notes.append(
        f"field {name!r} ({column.dtype}) is written as {name}_high * 2**32 + {name}_low, as .ply has no integers "
        "of 64 bits; .pcd and .npy keep it"
    )
    upper = (column >> 32).astype(np.int32 if column.dtype.kind == "i" else np.uint32)
    return [(f"{name}_high", upper), (f"{name}_low", (column & 0xFFFFFFFF).astype(np.uint32))]
