"""The spatial index: order, boxes, and searches in an order that is not its own."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.kernels import spatial_index
from s4token_model.kernels.nearest_neighbors import nearest_neighbors

BLOCK = spatial_index.BLOCK


@pytest.mark.parametrize("count", [1, 16, 17, 700])
def test_boxes_hold_the_points_of_their_blocks_and_children(count):
    xyz = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
    index = spatial_index.build(xyz)
    assert sorted(index.order) == list(range(count))
    np.testing.assert_array_equal(index.points(), xyz[index.order])
    leaves = index.boxes.shape[1] // 2
    for block in range(-(-count // BLOCK)):
        points = index.points()[block * BLOCK : (block + 1) * BLOCK]
        np.testing.assert_array_equal(index.boxes[:, leaves + block], [*points.min(axis=0), *points.max(axis=0)])
    np.testing.assert_array_equal(index.boxes[:, 1], [*xyz.min(axis=0), *xyz.max(axis=0)])


def test_points_adjacent_in_the_order_are_near_each_other():
    xyz = np.random.default_rng(0).random((5000, 3)).astype(np.float32)
    step = np.linalg.norm(np.diff(spatial_index.build(xyz).points(), axis=0), axis=1)
    assert step.mean() < 0.2 * np.linalg.norm(np.diff(xyz, axis=0), axis=1).mean()


def test_neighbors_do_not_depend_on_the_order():
    rng = np.random.default_rng(1)
    xyz = rng.random((600, 3)).astype(np.float32)
    expected = nearest_neighbors(spatial_index.build(xyz), 7)
    shuffled = spatial_index.arrange(xyz, rng.permutation(600).astype(np.int32))
    np.testing.assert_array_equal(nearest_neighbors(shuffled, 7), expected)


def test_the_distance_to_a_box_is_a_lower_bound():
    rng = np.random.default_rng(2)
    index = spatial_index.build(rng.random((64, 3)).astype(np.float32))
    leaves = index.boxes.shape[1] // 2
    for x, y, z in rng.uniform(-1, 2, (50, 3)).astype(np.float32):
        offsets = index.points()[:BLOCK] - np.array([x, y, z])
        squared = offsets[:, 0] * offsets[:, 0] + offsets[:, 1] * offsets[:, 1] + offsets[:, 2] * offsets[:, 2]
        assert spatial_index.box_distance(index.boxes, leaves, x, y, z) <= squared.min()
    inside = index.points()[3]
    assert spatial_index.box_distance(index.boxes, leaves, *inside) == 0


@pytest.mark.parametrize("count", [1, 15, 300, 5000])
def test_points_inside_a_box_are_those_of_brute_force(count):
    rng = np.random.default_rng(count)
    xyz = rng.normal(size=(count, 3)).astype(np.float32)
    index = spatial_index.build(xyz)
    boxes = [np.sort(rng.normal(size=(2, 3)).astype(np.float32), axis=0) for _ in range(50)]
    boxes += [(xyz[0], xyz[0]), (xyz.min(axis=0), xyz.max(axis=0)), (np.float32([9] * 3), np.float32([10] * 3))]
    boxes += [(np.float32([-np.inf] * 3), np.float32([np.inf] * 3)), (xyz.max(axis=0), xyz.min(axis=0))]
    for low, high in boxes:
        expected = ((xyz >= low) & (xyz <= high)).all(axis=1)
        assert np.array_equal(spatial_index.inside_box(index, low, high), expected)
