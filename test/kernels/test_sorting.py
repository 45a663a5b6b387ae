"""Sorting kernels against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.kernels import sorting
from s4token_model.kernels.sorting import argsort_points, radix_argsort, sort_by_group


def test_points_are_sorted_by_group_in_a_stable_order():
    groups = np.random.default_rng(0).integers(0, 9, 500)
    groups[groups == 4] = 5  # an empty group
    order, starts = sort_by_group(groups, 9)
    np.testing.assert_array_equal(order, np.argsort(groups, kind="stable"))
    np.testing.assert_array_equal(starts, np.searchsorted(np.sort(groups), np.arange(10)))


@pytest.mark.parametrize("high", [1, 2, 3000, 2**62])
def test_the_radix_sort_is_stable_for_all_sizes_of_keys(high):
    keys = np.random.default_rng(1).integers(0, high, 3000)
    np.testing.assert_array_equal(radix_argsort(keys), np.argsort(keys, kind="stable"))
    assert len(radix_argsort(keys[:0])) == 0


def test_points_are_sorted_by_x_y_z_and_index():
    points = np.random.default_rng(2).integers(-40, 40, (400, 3)).astype(np.float32) / 7
    points[::3] = -points[::3]  # -0.0 among them
    np.testing.assert_array_equal(argsort_points(points), np.lexsort(points.T[::-1]))
    assert argsort_points(np.zeros((1000, 3), np.float32)) is None, "too many points with one x"


@pytest.mark.parametrize("kind", ["random", "ties", "equal", "scales"])
@pytest.mark.parametrize("k", [1, 20, 100])
def test_a_limit_holds_k_and_few_more(kind, k):
    squared = np.random.default_rng(k).random(112).astype(np.float32)
    if kind == "ties":
        squared = np.round(squared * 8) / 8
    elif kind == "equal":
        squared[:] = 0
    elif kind == "scales":
        squared **= 40
    for guess in (0, 1e-3, 1, 3e38):
        limit = sorting.limit_of(squared, k, np.float32(guess))
        inside = squared[squared <= limit]
        assert len(inside) >= k and (len(inside) <= k + sorting.SLACK or inside.max() == np.sort(squared)[k - 1])
    assert sorting.limit_of(squared, 113, np.float32(1)) == sorting.HUGE
