"""Labeled clouds of S3DIS as Superpoint Transformer keeps them (its demo file): level_0 of a partition, in HDF5.

level_0/pos (H, 3) m, rgb (H, 3) 0-255, _csr_/y: votes of the points behind each voxel, sparse (H, 14), last void.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s4token_model.datasets import hdf5, validation

# Its order of classes, which is not the release's.
NAMES = (
    "ceiling", "floor", "wall", "beam", "column", "window", "door", "chair", "table", "bookcase", "sofa", "board",
    "clutter",
)  # fmt: skip
_VOTES = "level_0/_csr_/y"


def load(path: Path, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return xyz (H, 3) float32 m, rgb (H, 3) 0-255, label (H,) uint32 index into `names` by majority of the votes,
    65535 = void, and superpoint (H,) int32 of the file's finest partition."""
    xyz, rgb, pointers, columns, votes, superpoint = hdf5.read(
        path, "level_0/pos", "level_0/rgb", f"{_VOTES}/pointers", f"{_VOTES}/columns", f"{_VOTES}/values",
        "level_0/super_index",
    )  # fmt: skip
    xyz = validation.cloud(path, xyz)
    if len(pointers) != len(xyz) + 1 or len(columns) != len(votes) or pointers[-1] != len(votes):
        raise ValueError(f"{path}: votes do not fit its {len(xyz)} points; download it again")
    found = _majority(len(xyz), pointers, columns, votes)
    found = validation.labels(path, np.where(found == len(NAMES), -1, found), len(xyz), len(NAMES), ignored=-1)
    table = np.full(65536, 65535, np.uint32)
    table[: len(NAMES)] = [names.index(name) for name in NAMES]
    return xyz, rgb, table[found], superpoint.astype(np.int32)


def _majority(count: int, pointers: np.ndarray, columns: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """The column (count,) with most votes of each row, the lowest of equal ones; -1 in a row without any."""
    rows = np.repeat(np.arange(count), np.diff(pointers))
    order = np.lexsort((-columns.astype(np.int64), votes, rows))  # the last of a row wins
    best = np.full(count, -1, np.int64)
    best[rows[order]] = columns[order]
    return best
