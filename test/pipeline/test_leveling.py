"""Leveling: the mode of near-vertical normals, against known tilts."""

import numpy as np
import pytest

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.io import sample_room
from s4token_model.pipeline import leveling
from s4token_model.segmenter import build_patches
from s4token_model.sensors.depth_noise import rotations


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
    axis = leveling.vertical(room_normals(rng) @ turn.T, 25)
    assert np.degrees(np.arccos(np.clip(axis @ turn[:, 2], -1, 1))) < 1


def test_without_a_floor_the_vertical_stays():
    rng = np.random.default_rng(0)
    wall = np.tile([1.0, 0, 0], (1000, 1)) + rng.normal(0, 0.02, (1000, 3))
    assert (leveling.vertical(wall, 25) == [0, 0, 1]).all()
    assert (leveling.vertical(np.array([[1.0, 0, 0]]), 25) == [0, 0, 1]).all()


def test_a_steeper_tilt_than_allowed_is_left():
    turn = rotations(np.radians([[35.0, 0.0, 0.0]]))[0]
    floor = np.tile([0, 0, 1.0], (500, 1)) @ turn.T
    assert (leveling.vertical(floor, 25) == [0, 0, 1]).all()


def test_the_turn_is_a_rotation_that_takes_the_axis_to_z():
    rng = np.random.default_rng(1)
    for axis in rng.normal(size=(20, 3)) * [0.3, 0.3, 1]:
        axis = axis / np.linalg.norm(axis) * np.sign(axis[2])
        turn = leveling.turn_upright(axis)
        np.testing.assert_allclose(turn @ axis, [0, 0, 1], atol=1e-12)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) > 0


def test_tokens_of_a_tilted_scan_see_a_level_floor():
    """Heights above the floor, which the descriptors hold, agree with those of the untilted scan."""
    scan = sample_room.load()
    pick = np.random.default_rng(0).choice(len(scan.xyz), 20000, replace=False)
    changed = configs.replace(Config(), {"input.level": 25.0, "sampling.tokens": 128})
    turn = rotations(np.radians([[9.0, 6.0, 0.0]]))[0]
    floor = scan.label[pick] == scan.names.index("floor")
    heights = []
    for xyz in (scan.xyz[pick], scan.xyz[pick] @ turn.T):
        working = build_patches(xyz.astype(np.float32), None, changed).working
        z = working.xyz[np.argsort(working.source), 2] * working.extent
        heights.append(z - np.median(z[floor]))
    assert np.abs(heights[0] - heights[1]).max() < 0.12  # a degree over some six meters
    assert np.ptp(np.percentile(heights[1][floor], (5, 95))) < 0.1
