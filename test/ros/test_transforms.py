"""Transforms against a buffer whose answers are known; tf2_ros itself is not on PyPI."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import Quaternion, TransformStamped
from ros_helpers import cloud, room

from s4token_ros import frame_source, transforms
from s4token_ros.frame_source import Arrival
from s4token_ros.transforms import Gravity, Transforms


class FakeBuffer:
    """Knows one pair of frames, from `first` [s] on; records how long it was asked to wait."""

    def __init__(self, quaternion=(0.0, 0.0, 0.0, 1.0), first: int = 0, frames=("base_link", "camera")) -> None:
        self.answer = TransformStamped()
        self.answer.transform.rotation = Quaternion(**dict(zip("xyzw", quaternion, strict=True)))
        self.answer.transform.translation.x = 1.5
        self.first, self.frames, self.waits = first, frames, []

    def can_transform(self, target, source, time):
        return (target, source) == self.frames

    def lookup_transform(self, target, source, time, timeout):
        self.waits.append(timeout.nanoseconds * 1e-9)
        if not self.can_transform(target, source, time):
            raise LookupError(f'"{source}" passed to lookupTransform argument source_frame does not exist.')
        if 0 < time.nanoseconds < self.first * 10**9:
            raise LookupError("Lookup would require extrapolation into the past.")
        return self.answer


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


def test_a_rotation_is_the_newest_one_if_there_is_none_at_the_stamp_and_never_waits():
    buffer = FakeBuffer(first=100)
    assert np.array_equal(Transforms(None, buffer).rotation("base_link", "/camera", Stamp(sec=5)), np.eye(3))
    assert buffer.waits == [0, 0]


def test_without_tf2_ros_the_reason_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(ValueError, match=r"from frame 'camera' to 'map': tf2_ros is not installed"):
        Transforms(None).rotation("map", "camera", Stamp())


def test_clouds_are_turned_to_the_gravity_frame_and_published_as_they_came():
    half = np.sqrt(0.5)
    gravity = Gravity(None, lambda: "base_link", Transforms(None, FakeBuffer((half, 0.0, 0.0, half))))
    message = cloud(room(100), "camera")
    seen = {}
    segmenter = SimpleNamespace(build_patches=lambda *given: seen.update(given=given))
    frame = frame_source.build_frame(Arrival("points", message), segmenter, gravity.rotation)
    xyz, _, name, rotation = seen["given"]
    assert name == "camera" and frame.warnings == () and frame.arrival.message is message
    np.testing.assert_array_equal(xyz, frame.cloud.xyz)  # not turned itself
    np.testing.assert_allclose(rotation @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_without_the_transform_the_cloud_is_labeled_and_the_warning_names_the_frames():
    gravity = Gravity(None, lambda: "map", Transforms(None, FakeBuffer()))
    seen = {}
    segmenter = SimpleNamespace(build_patches=lambda *given: seen.update(given=given))
    frame = frame_source.build_frame(Arrival("points", cloud(room(100), "camera")), segmenter, gravity.rotation)
    assert seen["given"][2:] == ("camera", None)
    (warning,) = frame.warnings
    assert warning.startswith("input.gravity_frame: no transform from frame 'camera' to 'map': ")
    assert warning.endswith("what is up follows from input.up")


def test_without_a_gravity_frame_nobody_listens():
    assert Gravity(None, lambda: "").rotation(cloud(room(10)).header) == (None, "")


def test_a_gravity_frame_that_is_set_later_is_listened_to(monkeypatch):
    monkeypatch.setattr(transforms, "Transforms", lambda node: Transforms(node, FakeBuffer()))
    frame = ""
    gravity = Gravity("the node", lambda: frame)
    frame = "base_link"
    rotation, warning = gravity.rotation(cloud(room(10), "camera").header)
    assert warning == "" and np.array_equal(rotation, np.eye(3))
