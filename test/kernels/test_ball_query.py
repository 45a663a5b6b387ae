"""Ball queries against all distances."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.ball_query import ball_query, ball_query_in_group, keep_spread
from s4token_model.kernels.sorting import sort_by_group


def test_all_points_within_the_radius_are_found_in_order():
    rng = np.random.default_rng(0)
    xyz, centers = rng.random((400, 3)).astype(np.float32), rng.random((70, 3)).astype(np.float32)
    index = ball_query(xyz, centers, 0.25, 400)
    squared = ((xyz[None] - centers[:, None]) ** 2).sum(axis=2)
    for row, found in enumerate(index):
        expected = np.flatnonzero(squared[row] <= np.float32(0.25) ** 2)
        np.testing.assert_array_equal(found[found >= 0], expected)
        assert (found[len(expected) :] == -1).all()


def test_only_points_of_the_center_s_group_are_found():
    rng = np.random.default_rng(1)
    xyz, groups = rng.random((400, 3)).astype(np.float32), rng.integers(0, 6, 400)
    centers = rng.choice(400, 50, replace=False)
    for radius in (0.4, np.inf):
        index = ball_query_in_group(xyz, groups, centers, radius, sort_by_group(groups, 6), np.full((50, 400), 0.5))
        for center, found in zip(centers, index, strict=True):
            near = np.linalg.norm(xyz.astype(np.float64) - xyz[center], axis=1) <= radius
            np.testing.assert_array_equal(found[found >= 0], np.flatnonzero(near & (groups == groups[center])))


def test_a_longer_list_keeps_one_entry_of_each_equal_part():
    found, starts = np.arange(100, 130, dtype=np.int32), np.array([0, 2, 30])
    kept = keep_spread(found, starts, np.full((2, 4), 0.5, np.float32))
    assert kept.tolist() == [[100, 101, -1, -1], [105, 112, 119, 126]]
    early = keep_spread(found, starts, np.zeros((2, 4), np.float32))
    assert early[1].tolist() == [102, 109, 116, 123]
