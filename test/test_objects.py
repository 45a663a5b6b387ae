"""Objects of a labeled cloud: which points hang together, and the boxes around them."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model import constants
from s4token_model.datasets.scannet import NAMES
from s4token_model.objects import MIN_POINTS, ObjectConfig, find_objects, is_thing

STEP = 0.02
FORWARD = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from z up to -y up, a camera's optical frame


def block(center, size, yaw: float = 0.0) -> np.ndarray:
    """The surface of a block, (n, 3): a grid of STEP, with its corners."""
    axes = [np.linspace(-s / 2, s / 2, round(s / STEP) + 1) for s in size]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    surface = grid[(np.abs(grid) >= np.array(size) / 2 - 1e-9).any(axis=1)]
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    return surface @ turn.T + center


def scene():
    """A floor (0), two chairs (1) 0.3 m from each other, and a table (2) that touches the second one."""
    floor = block([0, 0, -0.01], [4, 4, 0.02])
    chairs = [block([-0.5, 0, 0.4], [0.6, 0.4, 0.8], 0.5), block([0.5, 0, 0.4], [0.4, 0.4, 0.8])]
    table = block([1.0, 0, 0.35], [0.6, 1.2, 0.7])
    parts = [floor, *chairs, table]
    sizes = [len(part) for part in parts]
    return np.concatenate(parts).astype(np.float32), np.repeat([0, 1, 1, 2], sizes).astype(np.uint32), sizes


def found_in(xyz, labels, things=(False, True, True), **more):
    confidence = np.where(labels == 1, 0.5, 0.8).astype(np.float32)
    return find_objects(xyz, labels, confidence, things, **more)


@pytest.mark.parametrize(
    "name, expected",
    [
        *((name, name not in ("wall", "floor")) for name in NAMES),
        ("The Walls", False), ("brick_wall", False), ("wall clock", True), ("wall of bricks", False), ("road", False),
        ("road sign", True), ("ceiling lamp", True), ("car", True), ("tree", True), ("other-ground", False),
        ("parking", False), ("parking meter", True), ("椅子", True),
    ],
)  # fmt: skip
def test_names_of_things_and_of_what_surrounds_them(name, expected):
    assert is_thing(name) == expected


def test_the_parts_of_each_class_are_objects_and_the_floor_is_none():
    xyz, labels, sizes = scene()
    found = found_in(xyz, labels)
    assert found.label.tolist() == [2, 1, 1] and found.score.tolist() == pytest.approx([0.8, 0.5, 0.5])
    assert found.points.tolist() == [sizes[3], *sorted(sizes[1:3], reverse=True)]
    assert found.of_point.dtype == np.int32 and (found.of_point[labels == 0] == -1).all()
    for number, (label, points) in enumerate(zip(found.label, found.points, strict=True)):
        assert (labels[found.of_point == number] == label).all() and (found.of_point == number).sum() == points


def test_boxes_stand_upright_and_turn_with_the_object():
    xyz, labels, _ = scene()
    found = found_in(xyz, labels)
    left = int(np.flatnonzero((found.label == 1) & (found.center[:, 0] < 0))[0])
    np.testing.assert_allclose(found.center[left], [-0.5, 0, 0.4], atol=1e-5)
    np.testing.assert_allclose(found.size[left], [0.6, 0.4, 0.8], atol=1e-5)
    np.testing.assert_allclose(found.rotation[left], [0, 0, np.sin(0.25), np.cos(0.25)], atol=1e-5)
    # The table is longer along y: its x axis is turned there
    np.testing.assert_allclose(found.size[0], [1.2, 0.6, 0.7], atol=1e-5)
    assert abs(found.rotation[0, 2]) == pytest.approx(np.sqrt(0.5), abs=1e-5)


def test_boxes_stand_along_what_is_up():
    xyz, labels, _ = scene()
    upright = found_in(xyz, labels)
    found = found_in(xyz @ FORWARD.T.astype(np.float32), labels, up=FORWARD @ [0, 0, 1])
    np.testing.assert_array_equal(found.of_point, upright.of_point)
    np.testing.assert_allclose(found.size, upright.size, atol=1e-5)
    np.testing.assert_allclose(found.center, upright.center @ FORWARD.T, atol=1e-5)
    # The corners of the boxes are the same points of the scene
    for k in range(len(found.label)):
        corners = np.sort(np.round(_corners(upright, k) @ FORWARD.T, 4), axis=0)
        np.testing.assert_allclose(np.sort(np.round(_corners(found, k), 4), axis=0), corners, atol=2e-4)


def _corners(found, k: int) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    return Rotation.from_quat(found.rotation[k]).apply(signs * found.size[k] / 2) + found.center[k]


def test_a_given_gap_joins_what_is_nearer_than_it():
    xyz, labels, sizes = scene()
    joined = found_in(xyz, labels, config=ObjectConfig(gap=0.5))
    assert joined.label.tolist() == [2, 1] and joined.points[1] == sizes[1] + sizes[2]
    assert found_in(xyz, labels, config=ObjectConfig(gap=0.05)).label.tolist() == [2, 1, 1]


@pytest.mark.parametrize("gap", [1e-12, 1e-9, 1e-6, 1e-4])
def test_a_gap_too_small_for_a_grid_joins_no_classes(gap):
    xyz, labels, _ = scene()
    far = np.concatenate([xyz, xyz + [200, 0, 0]])
    found = found_in(far, np.tile(labels, 2), config=ObjectConfig(gap=gap, min_points=1))
    assert found.points.tolist() == [1] * 1000  # points of a grid of STEP are further from each other
    numbers = found.of_point[found.of_point >= 0]
    assert (found.label[numbers] == np.tile(labels, 2)[found.of_point >= 0]).all()


@pytest.mark.parametrize("scale", [0.001, 1.0, 1000.0])
def test_the_automatic_gap_follows_the_spacing_in_any_unit(scale):
    xyz, labels, _ = scene()
    assert found_in(xyz * np.float32(scale), labels).points.tolist() == found_in(xyz, labels).points.tolist()


def test_a_sparse_class_has_a_wider_gap_than_a_dense_one():
    xyz, labels, _ = scene()
    kept = (labels != 2) | (np.arange(len(labels)) % 40 == 0)
    assert sorted(found_in(xyz[kept], labels[kept]).label.tolist()) == [1, 1, 2]


def test_small_parts_unlabeled_points_and_points_that_are_not_finite_are_no_objects():
    xyz, labels, _ = scene()
    speck = np.random.default_rng(0).normal([0, 3, 1], 0.01, (MIN_POINTS - 1, 3)).astype(np.float32)
    xyz = np.concatenate([xyz, speck, [[np.nan, 0, 0], [0, 3, 1]]]).astype(np.float32)
    labels = np.concatenate([labels, np.full(len(speck), 1), [1, constants.UNLABELED]]).astype(np.uint32)
    found = found_in(xyz, labels)
    assert len(found.label) == 3 and (found.of_point[-len(speck) - 2 :] == -1).all()
    assert len(found_in(xyz, labels, config=ObjectConfig(min_points=MIN_POINTS - 1)).label) == 4


@pytest.mark.parametrize("count", [0, 1, 40])
def test_clouds_without_extent(count):
    labels = np.ones(count, np.uint32)
    found = found_in(np.full((count, 3), 5.0, np.float32), labels)
    assert found.points.tolist() == [40] * (count == 40) and found.of_point.shape == (count,)
    np.testing.assert_array_equal(found.size, np.zeros((len(found.label), 3)))
    nothing = found_in(np.zeros((count, 3), np.float32), np.zeros(count, np.uint32))
    assert nothing.center.shape == nothing.size.shape == (0, 3) and nothing.rotation.shape == (0, 4)


def test_the_order_of_the_points_does_not_matter():
    xyz, labels, _ = scene()
    order = np.random.default_rng(1).permutation(len(xyz))
    found, again = found_in(xyz, labels), found_in(xyz[order], labels[order])
    np.testing.assert_array_equal(again.of_point, found.of_point[order])
    np.testing.assert_allclose(again.center, found.center, atol=1e-9)
