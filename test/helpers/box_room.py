"""A room of six sheets with a box in it."""

from __future__ import annotations

import numpy as np


def room(step: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """A 4 x 3 x 2.5 m room with floor (0), four walls (1), ceiling (2) and a box (3) in it."""
    x, y, z = np.arange(0, 4, step), np.arange(0, 3, step), np.arange(0, 2.5, step)

    def sheet(a, b, order, level):
        grid = [g.ravel() for g in np.meshgrid(a, b)]
        return np.stack([*grid, np.full(grid[0].size, level)], -1)[:, order]

    walls = [sheet(x, z, [0, 2, 1], v) for v in (0.0, 3.0)] + [sheet(y, z, [2, 0, 1], v) for v in (0.0, 4.0)]
    box = sheet(x[:16] + 1.5, y[:16] + 1, [0, 1, 2], 0.6)
    parts = [sheet(x, y, [0, 1, 2], 0.0), *walls, sheet(x, y, [0, 1, 2], 2.5), box]
    ids = np.repeat([0, 1, 1, 1, 1, 2, 3], [len(p) for p in parts])
    return np.concatenate(parts), ids
