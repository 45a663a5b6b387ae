"""A room of six sheets with a box in it, also as a scan of ScanNet and as a sweep of SemanticKITTI."""

from __future__ import annotations

from pathlib import Path

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


def write_votenet(root: Path, name: str, labels: tuple[int, ...] = (2, 1, 22, 3)) -> None:
    """Write the room as a labeled ScanNet scan in VoteNet's layout; `labels` are the NYU40 ids of its parts."""
    xyz, part = room(0.1)
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / f"{name}_vert.npy", np.c_[xyz, 255 * np.random.default_rng(0).random(xyz.shape)].astype(np.float32))
    np.save(root / f"{name}_sem_label.npy", np.array(labels, np.uint32)[part])


def write_semantickitti(root: Path, sequence: str) -> None:
    """Write the room as one labeled sweep: road, building, unlabeled and a car."""
    xyz, part = room(0.1)
    folder = root / "sequences" / sequence
    for kind, data in (
        ("velodyne", np.c_[xyz, xyz[:, 0]].astype(np.float32)),
        ("labels", np.array([40, 50, 0, 10], np.uint32)[part]),
    ):
        (folder / kind).mkdir(parents=True)
        data.tofile(folder / kind / ("000000.bin" if kind == "velodyne" else "000000.label"))
