"""The hash map of voxels against a dict that holds every vote, and what it forgets when it is full."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from s4token_model import constants
from s4token_model.kernels import voxel_votes
from s4token_model.kernels.voxel_votes import COUNT, NONE, Cells, add_votes, cells_of, empty_table, smooth

HALF_LIFE, MARGIN = 3.0, np.float32(0.05)


class DictOfVotes:
    """The same map, with all votes of each voxel in float64; the oldest voxel comes first."""

    def __init__(self, capacity: int, classes: int) -> None:
        self.capacity, self.classes, self.votes, self.labels = capacity, classes, OrderedDict(), {}

    def past(self, key, stamp):
        """Decayed number and mean of the votes of a voxel."""
        votes = self.votes.get(key, ())
        weights = np.array([fraction * 0.5 ** ((stamp - when) / HALF_LIFE) for fraction, _, when in votes])
        scores = np.array([score for _, score, _ in votes]).reshape(len(votes), self.classes)
        return weights.sum(), weights @ scores / max(weights.sum(), 1e-30)

    def smooth(self, cells, scores, stamp):
        past = [self.past(key, stamp) for key in cells.keys.tolist()]
        smoothed, best = [], []
        for key, s, (weight, mean) in zip(cells.keys.tolist(), cells.superpoint, past, strict=True):
            together = [p for p, other in zip(past, cells.superpoint, strict=True) if other == s]
            total = sum(w for w, _ in together)
            of_superpoint = sum(w * m for w, m in together) / max(total, 1e-30)
            row = (weight * (mean + of_superpoint) / 2 + scores[s]) / (weight + 1)
            bonus = np.zeros(self.classes)
            if self.labels.get(key) is not None:
                bonus[self.labels[key]] = MARGIN
            smoothed.append(row)
            best.append(int((row + bonus).argmax()))
        return np.array(smoothed), best

    def add(self, cells, scores, best, stamp):
        for key, s, fraction, label in zip(cells.keys.tolist(), cells.superpoint, cells.fraction, best, strict=True):
            if key not in self.votes and len(self.votes) == self.capacity:
                oldest, _ = self.votes.popitem(last=False)
                self.labels.pop(oldest, None)
            self.votes.setdefault(key, []).append((float(fraction), scores[s], stamp))
            self.votes.move_to_end(key)
            if fraction >= 0.5:
                self.labels[key] = label


def random_cells(rng, count: int = 120, voxels: int = 90, superpoints: int = 7) -> Cells:
    """Cells of some of `voxels` voxels, several in some of them."""
    keys = np.sort(rng.integers(0, voxels, count))
    fraction = rng.dirichlet(np.ones(count)).astype(np.float32)
    for key in np.unique(keys):
        fraction[keys == key] /= fraction[keys == key].sum()
    order = rng.permutation(count)
    return Cells(keys[order], rng.integers(0, superpoints, count).astype(np.int32), fraction[order])


@pytest.mark.parametrize("capacity", [40, 90, 1000])
def test_votes_are_those_of_a_dict(capacity):
    rng = np.random.default_rng(capacity)
    table, expected = empty_table(capacity, 4), DictOfVotes(capacity, 4)
    for stamp in np.cumsum(rng.random(30)):
        cells, scores = random_cells(rng), rng.normal(size=(7, 4)).astype(np.float32)
        smoothed, best, voxels = smooth(table, cells, scores, stamp, HALF_LIFE, MARGIN)
        rows, choices = expected.smooth(cells, scores, stamp)
        np.testing.assert_allclose(smoothed, rows, atol=2e-5)
        assert best.tolist() == choices
        add_votes(table, cells, voxels, scores, best, stamp, HALF_LIFE)
        expected.add(cells, scores, choices, stamp)
        assert table.ends[COUNT] == len(expected.votes) <= capacity
    oldest, order = table.ends[voxel_votes.OLDEST], []
    while oldest != NONE:
        order.append(int(table.keys[oldest]))
        oldest = table.newer[oldest]
    assert order == list(expected.votes), "the oldest vote first"


def test_a_vote_counts_half_after_the_half_life():
    table, cells = empty_table(10, 2), Cells(np.array([7]), np.zeros(1, np.int32), np.ones(1, np.float32))
    first, second = (np.array([row], np.float32) for row in ([1, 0], [0, 1]))
    for stamp, scores in ((0.0, first), (10.0, second)):
        smoothed, best, voxels = smooth(table, cells, scores, stamp, 10.0, np.float32(0))
        add_votes(table, cells, voxels, scores, best, stamp, 10.0)
    np.testing.assert_allclose(smoothed, [[0.5 / 1.5, 1 / 1.5]], rtol=1e-6)
    assert table.weights[0] == 1.5


def test_a_class_stays_until_another_leads_by_the_margin():
    table, cells = empty_table(10, 2), Cells(np.array([7]), np.zeros(1, np.int32), np.ones(1, np.float32))
    choices = []
    for lead in (-1.0, 0.03, 0.03, 0.2):
        scores = np.array([[0, lead]], np.float32)
        _, best, voxels = smooth(table, cells, scores, 1e6 * len(choices), 1.0, MARGIN)  # the past has no weight left
        add_votes(table, cells, voxels, scores, best, 1e6 * len(choices), 1.0)
        choices.append(int(best[0]))
    assert choices == [0, 0, 0, 1]


def test_cells_are_the_pairs_of_voxel_and_superpoint():
    rng = np.random.default_rng(1)
    xyz = rng.uniform(-2, 2, (5000, 3)).astype(np.float32)
    superpoints = rng.integers(0, 5, 5000).astype(np.uint32)
    superpoints[::7] = constants.NO_SUPERPOINT
    xyz[0] = np.nan  # a point without a superpoint
    rotation, offset = np.linalg.qr(rng.normal(size=(3, 3)))[0], np.array([1e5, -2.0, 0.3])
    cell_of_point, cells = cells_of(xyz, superpoints, rotation, offset, 0.7)
    valid = superpoints != constants.NO_SUPERPOINT
    voxel = np.floor((xyz[valid].astype(np.float64) @ rotation.T + offset) / 0.7).astype(int)
    pairs, inverse, counts = np.unique(
        np.column_stack([voxel, superpoints[valid]]), axis=0, return_inverse=True, return_counts=True
    )
    assert (cell_of_point[~valid] == NONE).all() and len(cells.keys) == len(pairs)
    cell_of_pair = np.full(len(pairs), NONE)
    cell_of_pair[inverse.ravel()] = cell_of_point[valid]
    np.testing.assert_array_equal(cell_of_pair[inverse.ravel()], cell_of_point[valid])
    np.testing.assert_array_equal(cells.superpoint[cell_of_pair], pairs[:, 3])
    _, group = np.unique(pairs[:, :3], axis=0, return_inverse=True)
    _, key_group = np.unique(cells.keys[cell_of_pair], return_inverse=True)
    assert len(set(zip(group.ravel().tolist(), key_group.tolist(), strict=True))) == group.max() + 1
    expected = counts / np.bincount(group.ravel(), counts)[group.ravel()]
    np.testing.assert_allclose(cells.fraction[cell_of_pair], expected, rtol=1e-6)
