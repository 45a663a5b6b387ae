"""The working form of a cloud, and leveling against known tilts."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.io import samples
from s4token_model.pipeline import preprocess
from s4token_model.segmenter import build_patches
from s4token_model.sensors.depth_noise import rotations

AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}


@pytest.mark.parametrize("up", ["x", "-x", "y", "-y", "z", "-z"])
def test_upright_is_the_rotation_that_takes_up_to_z(up):
    turn = preprocess.rotate_up(np.eye(3), up).T
    assert np.isclose(np.linalg.det(turn), 1)
    axis = np.array(AXES[up[-1]]) * (-1 if up.startswith("-") else 1)
    assert np.array_equal(preprocess.rotate_up(axis[None], up)[0], (0, 0, 1))


def test_upright_passes_an_optical_frame_on_with_the_ground_below():
    # optical frame: x right, y down, z forward; a point one meter below the camera
    assert preprocess.rotate_up(np.array([[0.0, 1.0, 2.0]]), "-y")[0, 2] == -1.0


def test_prepare_is_the_same_for_any_order_and_scale():
    rng = np.random.default_rng(0)
    xyz = rng.random((500, 3))
    order = rng.permutation(500)
    first, second = preprocess.prepare(xyz, None), preprocess.prepare(xyz[order] * 8 + 4, None)
    assert np.array_equal(first.xyz, second.xyz)
    assert np.array_equal(first.original_index, order[second.original_index])


def test_prepare_keeps_color_beside_its_point_and_drops_what_is_not_finite():
    xyz = np.array([[2.0, 0, 0], [np.nan, 0, 0], [1.0, 0, 0], [np.inf, 1, 1]])
    rgb = np.arange(12).reshape(4, 3) / 12
    made = preprocess.prepare(xyz, rgb)
    assert made.original_index.tolist() == [2, 0]
    assert np.allclose(made.rgb, rgb[[2, 0]])


def rounded(seed: int, levels: int, kind=np.float32) -> np.ndarray:
    xyz = np.random.default_rng(seed).integers(-levels, levels, (2000, 3)) / 7
    xyz[::3] = -xyz[::3]  # -0.0 among them
    return xyz.astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [1, 40, 10**6])
def test_the_quick_order_is_the_lexicographic_one(kind, levels):
    points = rounded(levels, levels, kind)
    np.testing.assert_array_equal(preprocess.lexicographic_order(points), np.lexsort(points.T[::-1]))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, ">f4", np.longdouble])
def test_prepare_is_the_definition_for_every_type(kind):
    xyz = (100 * np.random.default_rng(0).random((500, 3))).astype(kind)
    made, points = preprocess.prepare(xyz, None), xyz.astype(np.float64)
    order = np.lexsort(points.T[::-1])
    np.testing.assert_array_equal(made.original_index, order)
    expected = (points[order] - points.min(axis=0)) / np.ptp(points, axis=0).max()
    np.testing.assert_array_equal(made.xyz, expected.astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_a_thinned_cloud_has_the_first_point_of_every_voxel(seed):
    rng = np.random.default_rng(seed)
    xyz = rng.random((30000, 3)) * (1, 1, 0) + (rng.random((30000, 1)) < 0.1) * rng.random((30000, 3))
    made = preprocess.downsample(preprocess.prepare(xyz, None), 3000)
    assert 0.8 * 3000 < len(made.kept) < 1.25 * 3000
    assert (np.diff(made.kept) > 0).all() and (made.kept_of_point[made.kept] == np.arange(len(made.kept))).all()
    first = np.full(len(made.kept), len(xyz))
    np.minimum.at(first, made.kept_of_point, np.arange(len(made.xyz)))
    np.testing.assert_array_equal(first, made.kept)
    apart = np.abs(made.xyz - made.xyz[made.kept[made.kept_of_point]]).max(axis=0)
    own = preprocess.voxels._count_occupied(made.xyz, apart.max(), 8)
    assert own <= 1.5 * len(made.kept), "a voxel is no larger than its number says"


def room_normals(rng: np.random.Generator, count: int = 4000) -> np.ndarray:
    """Floor, walls and clutter, with noise and arbitrary signs."""
    faces = np.concatenate([np.tile([0, 0, 1.0], (2, 1)), [[1, 0, 0], [0, 1, 0]]])[rng.integers(4, size=count)]
    clutter = rng.random(count) < 0.4
    faces[clutter] = rng.normal(size=(clutter.sum(), 3))
    faces += rng.normal(0, 0.05, faces.shape)
    return faces / np.linalg.norm(faces, axis=1, keepdims=True) * rng.choice([-1, 1], (count, 1))


@pytest.mark.parametrize("tilt", [0, 3, 8, 15, 22])
def test_a_tilted_room_is_found(tilt):
    rng = np.random.default_rng(tilt)
    turn = rotations(np.radians([[tilt * 0.6, -tilt * 0.8, 0.0]]))[0]
    axis = preprocess.floor_normal(room_normals(rng) @ turn.T, 25)
    assert np.degrees(np.arccos(np.clip(axis @ turn[:, 2], -1, 1))) < 1


def test_without_a_floor_the_vertical_stays():
    rng = np.random.default_rng(0)
    wall = np.tile([1.0, 0, 0], (1000, 1)) + rng.normal(0, 0.02, (1000, 3))
    assert (preprocess.floor_normal(wall, 25) == [0, 0, 1]).all()
    assert (preprocess.floor_normal(np.array([[1.0, 0, 0]]), 25) == [0, 0, 1]).all()


def test_a_steeper_tilt_than_allowed_is_left():
    turn = rotations(np.radians([[35.0, 0.0, 0.0]]))[0]
    floor = np.tile([0, 0, 1.0], (500, 1)) @ turn.T
    assert (preprocess.floor_normal(floor, 25) == [0, 0, 1]).all()


def test_the_turn_is_a_rotation_that_takes_the_axis_to_z():
    rng = np.random.default_rng(1)
    for axis in rng.normal(size=(20, 3)) * [0.3, 0.3, 1]:
        axis = axis / np.linalg.norm(axis) * np.sign(axis[2])
        turn = preprocess.rotation_to_z(axis)
        np.testing.assert_allclose(turn @ axis, [0, 0, 1], atol=1e-12)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) > 0


def test_tokens_of_a_tilted_scan_see_a_level_floor():
    """Heights above the floor, which the descriptors hold, agree with those of the untilted scan."""
    scan = samples.load()
    pick = np.random.default_rng(0).choice(len(scan.xyz), 20000, replace=False)
    changed = configs.replace(Config(), {"input.level": 25.0, "sampling.tokens": 128})
    turn = rotations(np.radians([[9.0, 6.0, 0.0]]))[0]
    floor = scan.label[pick] == scan.names.index("floor")
    heights = []
    for xyz in (scan.xyz[pick], scan.xyz[pick] @ turn.T):
        working = build_patches(xyz.astype(np.float32), None, changed).working
        z = working.xyz[np.argsort(working.original_index), 2] * working.extent
        heights.append(z - np.median(z[floor]))
    assert np.abs(heights[0] - heights[1]).max() < 0.12  # a degree over some six meters
    assert np.ptp(np.percentile(heights[1][floor], (5, 95))) < 0.1
