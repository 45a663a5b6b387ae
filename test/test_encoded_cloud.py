"""What is up in a cloud that was encoded, in the cloud's own frame."""

from __future__ import annotations

import numpy as np
import pytest
from box_room import room
from scipy.spatial.transform import Rotation

from s4token_model.config import Config, replace
from s4token_model.encoded_cloud import encoded_cloud
from s4token_model.pipeline.upright import build_upright


def up_of(xyz: np.ndarray, changes: dict, frame: str = "", rotation: np.ndarray | None = None) -> np.ndarray:
    """What is up after a cloud was cut into patches with `changes` of the config."""
    patched = build_upright(xyz, None, replace(Config(), changes), 1, frame, rotation)
    return encoded_cloud(patched, np.zeros((0, 4), np.float32), np.zeros(4, np.float32), len(xyz), {}).up(xyz)


@pytest.mark.parametrize("unit, offset", [(1.0, 0.0), (1000.0, 0.0), (1.0, 300.0)])
@pytest.mark.parametrize("axis, up", [("z", [0, 0, 1]), ("-y", [0, -1, 0]), ("x", [1, 0, 0])])
def test_up_is_the_axis_of_the_config(axis, up, unit, offset):
    xyz = (unit * (room(0.1)[0] + offset)).astype(np.float32)
    xyz[5] = np.nan
    np.testing.assert_allclose(up_of(xyz, {"input.up": axis, "input.level": 0.0}), up, atol=1e-3)


def test_up_follows_the_name_of_the_frame_a_known_rotation_and_the_floor():
    xyz = room(0.1)[0]
    optical = xyz[:, [0, 2, 1]] * [1, -1, 1]
    found = up_of(optical, {"input.up": "auto", "input.level": 0.0}, "camera_optical_frame")
    np.testing.assert_allclose(found, [0, -1, 0], atol=1e-3)
    tilt = Rotation.from_euler("xyz", [10, -5, 40], degrees=True).as_matrix()
    found = up_of(xyz @ tilt.T, {"input.level": 0.0}, rotation=tilt.T)
    np.testing.assert_allclose(found, tilt @ [0, 0, 1], atol=1e-3)
    found = up_of(xyz @ tilt.T, {"input.up": "z", "input.level": 25.0})
    assert np.degrees(np.arccos(found @ tilt @ [0, 0, 1])) < 2


def test_without_points_z_is_up():
    np.testing.assert_array_equal(up_of(np.full((3, 3), np.nan), {}), [0, 0, 1])
