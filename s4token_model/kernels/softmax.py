"""Largest entry of each row and its softmax, in one pass over a few rows at a time."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for

FAST = {"nogil": True}


def argmax_and_softmax(values: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the first maximum (H,) int64 of each row of (H, C) float32, and its softmax(row / temperature) (H,)."""
    best, softmax = np.empty(len(values), np.int64), np.empty(len(values), np.float32)
    powers = np.empty_like(values)

    def part(begin: int, end: int) -> None:
        _below_best(begin, end, values, np.float32(1 / temperature), best, powers)
        np.exp(powers[begin:end], out=powers[begin:end])
        _inverse_sum(begin, end, powers, softmax)

    parallel_for(part, len(values))
    return best, softmax


def softmax_at(values: np.ndarray, columns: np.ndarray, temperature: float) -> np.ndarray:
    """Return (H,) float32, the softmax(row / temperature) of each row of values (H, C) at its column (H,) int64."""
    out, factor = np.empty(len(values), np.float32), np.float32(1 / temperature)
    parallel_for(lambda begin, end: _softmax_at(begin, end, values, columns, factor, out), len(values))
    return out


@njit(**FAST)
def _softmax_at(begin, end, values, columns, factor, out):
    for i in range(begin, end):
        row, total = values[i], np.float32(0)
        for c in range(len(row)):
            total += np.exp((row[c] - row[columns[i]]) * factor)
        out[i] = np.float32(1) / total


@njit(**FAST)
def _below_best(begin, end, values, factor, best, below):
    """Column of the first maximum of each row, and factor * (row - maximum)."""
    for i in range(begin, end):
        row, column = values[i], 0
        for c in range(1, len(row)):
            if row[c] > row[column]:
                column = c
        best[i] = column
        top, out = row[column], below[i]
        for c in range(len(row)):
            out[c] = (row[c] - top) * factor


@njit(**FAST, fastmath={"reassoc"})
def _inverse_sum(begin, end, powers, out):
    for i in range(begin, end):
        total = np.float32(0)
        row = powers[i]
        for c in range(len(row)):
            total += row[c]
        out[i] = np.float32(1) / total
