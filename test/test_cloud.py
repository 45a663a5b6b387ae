"""The working form of a cloud."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model import cloud

AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}


@pytest.mark.parametrize("up", ["x", "-x", "y", "-y", "z", "-z"])
def test_upright_is_the_rotation_that_takes_up_to_z(up):
    turn = cloud.upright(np.eye(3), up).T
    assert np.isclose(np.linalg.det(turn), 1)
    axis = np.array(AXES[up[-1]]) * (-1 if up.startswith("-") else 1)
    assert np.array_equal(cloud.upright(axis[None], up)[0], (0, 0, 1))


def test_upright_passes_an_optical_frame_on_with_the_ground_below():
    # optical frame: x right, y down, z forward; a point one metre below the camera
    assert cloud.upright(np.array([[0.0, 1.0, 2.0]]), "-y")[0, 2] == -1.0


def test_prepare_is_the_same_for_any_order_and_scale():
    rng = np.random.default_rng(0)
    xyz = rng.random((500, 3))
    order = rng.permutation(500)
    first, second = cloud.prepare(xyz, None, 1000), cloud.prepare(xyz[order] * 8 + 4, None, 1000)
    assert np.array_equal(first.xyz, second.xyz)
    assert np.array_equal(first.source, order[second.source])


def test_prepare_keeps_colour_beside_its_point_and_drops_what_is_not_finite():
    xyz = np.array([[2.0, 0, 0], [np.nan, 0, 0], [1.0, 0, 0], [np.inf, 1, 1]])
    rgb = np.arange(12).reshape(4, 3) / 12
    made = cloud.prepare(xyz, rgb, 1000)
    assert made.source.tolist() == [2, 0]
    assert np.allclose(made.rgb, rgb[[2, 0]])
