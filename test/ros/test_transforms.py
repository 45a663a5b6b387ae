"""Transforms against a buffer whose answers are known; tf2_ros itself is not on PyPI."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import Quaternion
from ros_helpers import FakeBuffer

from s4token_ros import transforms
from s4token_ros.transforms import Transforms


def test_a_pose_is_the_rotation_and_translation_of_the_transform():
    half = np.sqrt(0.5)
    rotation, translation = Transforms(None, FakeBuffer((half, 0.0, 0.0, half))).pose("base_link", "camera", Stamp())
    np.testing.assert_allclose(rotation @ [0, 1, 0], [0, 0, 1], atol=1e-12)  # a quarter about x takes y to z
    assert translation.tolist() == [1.5, 0, 0]


def test_quaternions_of_any_length_are_rotations():
    rng = np.random.default_rng(0)
    for x, y, z, w in rng.normal(size=(20, 4)):
        turn = transforms.rotation_of(Quaternion(x=x, y=y, z=z, w=w))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) > 0
        np.testing.assert_allclose(turn @ [x, y, z], [x, y, z], atol=1e-12)  # the axis stays
    with pytest.raises(ValueError, match="is no rotation"):
        transforms.rotation_of(Quaternion(w=0.0))


def test_a_pose_waits_for_its_stamp_only_between_frames_that_are_connected():
    buffer = FakeBuffer(first=100)
    known = Transforms(None, buffer)
    with pytest.raises(ValueError, match=r"from frame 'camera' to 'base_link': .*into the past"):
        known.pose("base_link", "camera", Stamp(sec=5))
    with pytest.raises(ValueError, match=r"from frame 'camera' to 'map': .*does not exist"):
        known.pose("map", "camera", Stamp(sec=200))
    assert buffer.waits == [transforms.WAIT_S, 0]


def test_an_awaited_pose_waits_whether_the_frames_are_connected_or_not():
    buffer = FakeBuffer()
    with pytest.raises(ValueError, match=r"from frame 'lidar' to 'base_link': "):
        Transforms(None, buffer).awaited_pose("base_link", "lidar", Stamp(sec=5), 0.5)
    assert buffer.waits == [0.5]


def test_a_rotation_is_the_newest_one_if_there_is_none_at_the_stamp_and_never_waits():
    buffer = FakeBuffer(first=100)
    buffer.answer.header.stamp.sec = 2
    rotation, age = Transforms(None, buffer).rotation("base_link", "/camera", Stamp(sec=5))
    assert np.array_equal(rotation, np.eye(3)) and age == 3 and buffer.waits == [0, 0]


def test_without_tf2_ros_the_reason_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(ValueError, match=r"from frame 'camera' to 'map': tf2_ros is not installed"):
        Transforms(None).rotation("map", "camera", Stamp())
