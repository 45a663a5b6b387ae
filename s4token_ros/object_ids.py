"""Ids of objects that stay the same from cloud to cloud: the nearest known object of the class in a fixed frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_KNOWN = 5000  # objects in memory; those not seen for longest are forgotten


class ObjectIds:
    """Numbers objects; one that lies near an object of the same class that is known gets its id."""

    def __init__(self) -> None:
        self._names = np.zeros(0, object)
        self._center, self._radius = np.zeros((0, 3)), np.zeros(0)
        self._ids, self._next = np.zeros(0, np.int64), 0

    def number(self, names: Sequence[str], center: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return (N,) int64, the ids of the objects of a cloud: class names, centers (N, 3) in the fixed frame, sizes.

        Pairs are made in the order of their distance, which is at most the mean of half the diagonals of the two boxes.
        """
        names, radius = np.array([*names], object), np.linalg.norm(size, axis=1) / 2
        distance = np.linalg.norm(center[:, None] - self._center, axis=2)
        allowed = (names[:, None] == self._names) & (distance <= (radius[:, None] + self._radius) / 2)
        ids, known = np.full(len(names), -1, np.int64), np.zeros(len(self._ids), bool)
        rows, columns = np.nonzero(allowed)
        for k in np.argsort(distance[rows, columns], kind="stable").tolist():
            row, column = rows[k], columns[k]
            if ids[row] < 0 and not known[column]:
                ids[row], known[column] = self._ids[column], True
        new = ids < 0
        ids[new] = self._next + np.arange(new.sum())
        self._next += int(new.sum())
        self._remember(names, center, radius, ids, known)
        return ids

    def _remember(self, names, center, radius, ids, known: np.ndarray) -> None:
        """Put the objects of a cloud before those in memory, in place of the `known` ones; forget the last ones."""
        kept = np.flatnonzero(~known)[: max(MAX_KNOWN - len(ids), 0)]
        self._names = np.concatenate([names, self._names[kept]])
        self._center = np.concatenate([center, self._center[kept]])
        self._radius = np.concatenate([radius, self._radius[kept]])
        self._ids = np.concatenate([ids, self._ids[kept]])
