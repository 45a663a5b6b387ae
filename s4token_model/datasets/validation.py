"""Read and check the files of a data set; every error names the file and the fix."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.constants import UNLABELED
from s4token_model.io import limits


def load_array(path: Path) -> np.ndarray:
    """Read one .npy array of numbers. ValueError when it is missing or damaged."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; unpack the release again")
    try:
        values = limits.load_npy(path)
    except Exception as reason:  # numpy parses the header as Python, which can fail in many ways
        raise ValueError(f"{path} is damaged or no plain array ({reason}); unpack it again") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds no single array of numbers; it is not a file of this data set")
    return values


def load_table(path: Path, columns: int, delimiter: str | None = None) -> np.ndarray:
    """Read (H, columns) float64 of a text file with `columns` or more numbers a line. ValueError names a bad line."""
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


def load_hdf5(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Read arrays of an HDF5 file by name. ValueError names the file and what it lacks; needs h5py."""
    try:
        import h5py
    except ImportError:
        raise ImportError(f"reading {path} needs h5py; pip install h5py (it is in requirements-train.txt)") from None
    try:
        with h5py.File(path, "r") as file:
            if missing := [name for name in names if name not in file]:
                found = f"{path} holds no {', '.join(missing)}, but {', '.join(file) or 'nothing'}"
                raise ValueError(f"{found}; it is not a file of this data set")
            for name in names:
                limits.check_unpacked(path, getattr(file[name], "nbytes", 0), path.stat().st_size)
            return tuple(np.asarray(file[name]) for name in names)
    except OSError as reason:
        raise ValueError(f"{path} is missing or damaged ({reason}); unpack it again") from None


def load_hdf5_clouds(path: Path, points: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Read clouds (K, H, 3) and one label each (K,). ValueError when the two do not belong together."""
    xyz, labels = load_hdf5(path, points, label)
    labels = labels.reshape(-1)
    if xyz.ndim != 3 or xyz.shape[2] != 3 or len(labels) != len(xyz):
        found = f"{points} {xyz.shape} and {label} {labels.shape}"
        raise ValueError(f"{path}: expected clouds (K, H, 3) and K labels, found {found}; unpack it again")
    if len(xyz) == 0:
        raise ValueError(f"{path} holds no clouds; unpack it again")
    return xyz, labels


def check_known(data_set: str, kind: str, value: str, known: Collection[str]) -> None:
    """Raise ValueError when `value`, a split for example, is not among the `known` ones of the data set."""
    if value not in known:
        raise ValueError(f"unknown {kind} {value!r}; {data_set} has {', '.join(known)}")


def check_listed(listed: Path, files: Sequence[Path]) -> None:
    """Raise ValueError when one of the files that the release's list `listed` names is missing."""
    if missing := [path for path in files if not path.is_file()]:
        found = f"{listed} names {len(missing)} files that are not there, e.g. {missing[0]}"
        raise ValueError(f"{found}; unpack the release again")


def with_z_up(xyz: np.ndarray) -> np.ndarray:
    """Turn objects (..., 3) of the frame of meshes, y up and z forward, to z up and x forward."""
    return np.roll(xyz, 1, axis=-1)


def cloud(path: Path, xyz: np.ndarray) -> np.ndarray:
    """Return points (H, 3) as float32. ValueError when there are none, on another shape and on non-finite points."""
    xyz = np.asarray(xyz)
    if xyz.ndim != 2 or xyz.shape[1] != 3 or len(xyz) == 0:
        raise ValueError(f"{path}: expected points (H, 3), found {xyz.shape}; it is not a file of this data set")
    if bad := int((~np.isfinite(xyz).all(axis=1)).sum()):
        raise ValueError(f"{path}: {bad} of {len(xyz)} points have a NaN or infinite coordinate; unpack it again")
    return np.ascontiguousarray(xyz, np.float32)


def labels(path: Path, values: np.ndarray, count: int, classes: int, ignored: int | None = None) -> np.ndarray:
    """Return labels (count,) uint32 in [0, classes), `ignored` ones UNLABELED. ValueError on any other value."""
    values = np.asarray(values).reshape(-1)
    if len(values) != count:
        raise ValueError(f"{path}: {count} points but {len(values)} labels; the two are of different versions")
    good = (values >= 0) & (values < classes)
    known = good if ignored is None else good | (values == ignored)
    if not known.all():
        bad = ", ".join(map(str, np.unique(values[~known])[:3].tolist()))
        raise ValueError(f"{path}: class {bad} is not among 0 to {classes - 1}; is it another data set?")
    out = np.full(len(values), UNLABELED, np.uint32)
    out[good] = values[good]
    return out
