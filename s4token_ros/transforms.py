"""Rotations and poses between frames, from tf2. Robots have tf2_ros; it is not on PyPI, so it is imported late."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from rclpy.duration import Duration
from rclpy.time import Time

from s4token_model.objects import rotation_matrix

INSTALL = "apt install ros-$ROS_DISTRO-tf2-ros-py"
WAIT_S = 0.2  # for the pose at the time of a cloud, which may arrive after the cloud


class _Found(NamedTuple):
    rotation: np.ndarray  # (3, 3) float64
    translation: np.ndarray  # (3,) float64 [m]
    stamp: Any  # builtin_interfaces/Time


def check_installed(parameter: str) -> None:
    """Raise ValueError if tf2_ros, which a parameter needs, cannot be imported."""
    if find_spec("tf2_ros") is None:
        raise ValueError(f"{parameter} needs tf2_ros: {INSTALL}")


class Transforms:
    """What tf2 knows of the frames of a robot, from /tf and /tf_static. Usable from any thread but the executor's."""

    def __init__(self, node: Any, buffer: Any = None) -> None:
        """Listen with `node`, or read a tf2_ros.Buffer that is filled elsewhere. Does not fail without tf2_ros."""
        self._listener, self._buffer, self._problem = None, buffer, ""
        if buffer is not None:
            return
        try:
            from tf2_ros import Buffer, TransformListener
        except ImportError as reason:
            self._problem = f"tf2_ros is not installed ({reason}): {INSTALL}"
            return
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def pose(self, target: str, source: str, stamp: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the rotation (3, 3) and translation (3,) float64 [m] that take points in `source` to `target`.

        `stamp` is the header's builtin_interfaces/Time; the transform at that time is awaited for WAIT_S between frames
        that are connected. ValueError that names the frames if there is none.
        """
        if self._connected(target, source):
            return self.awaited_pose(target, source, stamp, WAIT_S)
        return self._look_up(target, source, Time(), Duration())[:2]  # says what is missing

    def awaited_pose(self, target: str, source: str, stamp: Any, timeout: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the pose as `pose` does, and wait for up to `timeout` seconds, for connected frames or not."""
        return self._look_up(target, source, Time.from_msg(stamp), Duration(seconds=timeout))[:2]

    def rotation(self, target: str, source: str, stamp: Any) -> tuple[np.ndarray, float]:
        """Return the rotation (3, 3) float64 from `source` to `target` at `stamp`, and 0.0.

        If there is none at `stamp`, it is the newest one, and by how much that is older [s]. Never waits. ValueError
        that names the frames if there is none.
        """
        time = Time.from_msg(stamp)
        try:
            return self._look_up(target, source, time, Duration()).rotation, 0.0
        except ValueError:
            found = self._look_up(target, source, Time(), Duration())
            return found.rotation, (time - Time.from_msg(found.stamp)).nanoseconds * 1e-9

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None

    def _connected(self, target: str, source: str) -> bool:
        return self._buffer is not None and self._buffer.can_transform(frame_name(target), frame_name(source), Time())

    def _look_up(self, target: str, source: str, time: Time, wait: Duration) -> _Found:
        problem = self._problem
        if not problem:
            try:
                found = self._buffer.lookup_transform(frame_name(target), frame_name(source), time, wait)
                translation = np.array([getattr(found.transform.translation, axis) for axis in "xyz"])
                return _Found(rotation_of(found.transform.rotation), translation, found.header.stamp)
            except Exception as reason:  # tf2's own types, which are there only where tf2_ros is
                problem = " ".join(str(reason).split()).rstrip(".") or type(reason).__name__
        raise ValueError(f"no transform from frame {source!r} to {target!r}: {problem}")


def rotation_of(quaternion: Any) -> np.ndarray:
    """Return the matrix (3, 3) float64 of a geometry_msgs/Quaternion of any length but zero; ValueError for zero."""
    x, y, z, w = (getattr(quaternion, name) for name in "xyzw")
    square = x * x + y * y + z * z + w * w
    if not 0 < square < np.inf:
        raise ValueError(f"the quaternion ({x}, {y}, {z}, {w}) is no rotation")
    return rotation_matrix(np.array([x, y, z, w]) / np.sqrt(square))


def frame_name(frame: str) -> str:
    """Return the name of a frame as tf2 takes it: without the slash of ROS 1."""
    return frame.strip().removeprefix("/")
