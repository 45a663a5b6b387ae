"""Arrays of HDF5 files. h5py is imported late: only the data sets that come as HDF5 need it."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Read whole data sets of a file. ValueError names the file and what it lacks; ImportError says what to install."""
    try:
        import h5py
    except ImportError:
        raise ImportError(f"reading {path} needs h5py; pip install h5py (it is in requirements-train.txt)") from None
    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in names if name not in file]
            if missing:
                found = ", ".join(file) or "nothing"
                raise ValueError(
                    f"{path} holds no {', '.join(missing)}, but {found}; it is not a file of this data set"
                )
            return tuple(np.asarray(file[name]) for name in names)
    except OSError as reason:
        raise ValueError(f"{path} is missing or damaged ({reason}); unpack it again") from None


def read_clouds(path: Path, points: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Read clouds (K, H, 3) and one label each (K,). ValueError when they do not belong together."""
    xyz, labels = read(path, points, label)
    labels = labels.reshape(-1)
    if xyz.ndim != 3 or xyz.shape[2] != 3 or len(labels) != len(xyz):
        found = f"{points} {xyz.shape} and {label} {labels.shape}"
        raise ValueError(f"{path}: expected clouds (K, H, 3) and K labels, found {found}; unpack it again")
    if len(xyz) == 0:
        raise ValueError(f"{path} holds no clouds; unpack it again")
    return xyz, labels
