"""Labels that stay: votes of the superpoints of successive sweeps, kept per voxel of a frame that stands still.

Each sweep is kept as the voxels and superpoints it saw and a feature per superpoint, so that a new vocabulary counts
the votes again without the network.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from s4token_model import constants
from s4token_model.kernels import voxel_votes
from s4token_model.kernels.voxel_votes import Cells
from s4token_model.pipeline import labeling


class Sweep(NamedTuple):
    """What a map keeps of a cloud."""

    cells: Cells  # its n pairs of a voxel and a superpoint
    features: np.ndarray  # (S, E) float16, mean feature of each superpoint's points
    stamp: float  # [s]


def labels_of_points(
    cell_of_point: np.ndarray, decision: tuple[np.ndarray, np.ndarray], thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (H,) uint32 and confidence (H,) float32 of points by the class and confidence of their cells.

    thresholds (C,) are the smallest confidences of a label; points without a cell have no label and confidence 0.
    """
    best, sure = decision
    labels, confidence = np.full(len(best) + 1, constants.UNLABELED, np.uint32), np.zeros(len(best) + 1, np.float32)
    labeling.write_labels(np.arange(len(best)), best, sure, thresholds, (labels, confidence))
    return labels[cell_of_point], confidence[cell_of_point]  # cell -1 is the last row


class VoxelMap:
    """Smooths the labels of clouds over time.

    A cloud is labeled by the decayed mean of the cosines in each voxel, see `voxel_votes.smooth`: half of the past is
    that of the voxel, half that of the superpoint over its voxels, so that an object is not split where it touches
    others. What moves into voxels that were empty has no past there. The map holds at most `max_voxels` voxels, and as
    many cells of past sweeps: (4 C + 64) bytes for each, and the features.
    """

    def __init__(self, size: float, half_life: float, max_voxels: int, margin: float) -> None:
        """Voxels with edges of `size` [m]; a vote counts half after `half_life` seconds.

        A voxel keeps its class until another leads by `margin` times the softmax temperature.
        """
        self.size, self.half_life, self.max_voxels, self.margin = size, half_life, max_voxels, margin
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._sweeps: deque[Sweep] = deque()
        self._origin: np.ndarray | None = None
        self._query: tuple[np.ndarray, float, np.ndarray | float] | None = None  # text, temperature, bias of the votes

    @property
    def voxels(self) -> int:
        """Number of voxels that have votes."""
        return int(self._table.ends[voxel_votes.COUNT]) if self._query else 0

    @property
    def sweeps(self) -> int:
        """Number of sweeps that a new vocabulary can label again."""
        return len(self._sweeps)

    def sweep(
        self, xyz: np.ndarray, superpoints: np.ndarray, features: np.ndarray,
        pose: tuple[np.ndarray, np.ndarray], stamp: float,
    ) -> tuple[np.ndarray, Sweep]:  # fmt: skip
        """Return (H,) int32, the cell of each point, -1 for points without a superpoint; and the Sweep, not yet added.

        xyz (H, 3), superpoints (H,) uint32 and features (S, E) are those of a cloud, `pose` its rotation (3, 3) and
        translation (3,) in the fixed frame [m], `stamp` its time [s].
        """
        rotation, translation = pose
        if self._origin is None:
            # Small coordinates, even in a map of a country; voxels begin at multiples of their size
            self._origin = np.round(np.asarray(translation, np.float64) / self.size) * self.size
        offset = translation - self._origin
        rotation = np.ascontiguousarray(rotation, np.float64)
        cell_of_point, cells = voxel_votes.cells_of(xyz, superpoints, rotation, offset, self.size)
        return cell_of_point, Sweep(cells, features.astype(np.float16), stamp)

    def label(
        self, sweep: Sweep, text: np.ndarray, temperature: float, bias: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the class (n,) int64 and confidence (n,) float32 of each cell of a sweep, and let it vote once.

        text (C, E) are the text features, bias (C,) is added to their cosines. If they are others than those of the
        last call, the sweeps that are kept vote again, in their order.
        """
        repeated = bool(self._sweeps) and self._sweeps[-1] is sweep
        query = text, temperature, bias
        if self._query is None or not all(map(np.array_equal, self._query, query)):
            self._query = query
            self._table = voxel_votes.empty_table(self.max_voxels, len(text))
            for old in self._sweeps:
                self._decision = self._vote(old)
        if not repeated:
            self._decision = self._vote(sweep)
            self._sweeps.append(sweep)
            while sum(len(s.cells.keys) for s in self._sweeps) > self.max_voxels and len(self._sweeps) > 1:
                self._sweeps.popleft()
        return self._decision

    def _vote(self, sweep: Sweep) -> tuple[np.ndarray, np.ndarray]:
        import torch  # late, since that takes seconds; the threads of numpy's BLAS would keep spinning afterwards

        text, temperature, bias = self._query
        scores = (torch.from_numpy(sweep.features).float() @ torch.from_numpy(text).T).numpy() + np.float32(bias)
        when = sweep.stamp, self.half_life
        margin = np.float32(self.margin * temperature)
        smoothed, best, voxels = voxel_votes.smooth(self._table, sweep.cells, scores, *when, margin)
        voxel_votes.add_votes(self._table, sweep.cells, voxels, scores, best, *when)
        return best, labeling.confidence_of(smoothed, best, temperature)
