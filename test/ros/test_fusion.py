"""Clouds that become one: which of them wait for each other, and which fields the joined cloud has."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from builtin_interfaces.msg import Time as Stamp
from ros_helpers import cloud, room
from std_msgs.msg import Header

from s4token_ros import cloud_messages, fusion
from s4token_ros.frame_source import Arrival
from s4token_ros.fusion import FusedMailbox


def arrival(topic: str, seconds: float, count: int = 10) -> Arrival:
    header = Header(frame_id="base_link", stamp=Stamp(sec=int(seconds), nanosec=round(seconds % 1 * 1e9)))
    return Arrival(topic, cloud(room(count), header=header))


def box(window: float = 60.0, topics=("a", "b")) -> FusedMailbox:
    found = FusedMailbox(lambda: window)
    found.set_weights(dict.fromkeys(topics, 1.0))
    return found


def stamps(group) -> dict[str, float]:
    return {part.topic: part.message.header.stamp.sec + part.message.header.stamp.nanosec / 1e9 for part in group.parts}


def test_a_group_is_complete_with_a_cloud_of_every_topic():
    found = box(0.5)
    found._window = lambda: 0.5
    assert found.put(arrival("a", 10.0)) == () and not found.wait(0.0) and found.take() is None
    assert found.put(arrival("b", 10.2)) == () and found.wait(0.0)
    group = found.take()
    assert stamps(group) == {"a": 10.0, "b": 10.2} and group.problems == () and group.topics == ("a", "b")
    assert not found.wait(0.0)


def test_of_a_faster_sensor_the_newest_cloud_counts_and_the_other_is_dropped():
    found = box()
    assert found.put(arrival("a", 10.0)) == () and found.put(arrival("a", 10.05)) == ("a",)
    found.put(arrival("b", 10.06))
    assert stamps(found.take()) == {"a": 10.05, "b": 10.06}


def test_a_missing_sensor_is_waited_for_as_long_as_the_window_and_named():
    found = box(0.15)
    found.put(arrival("a", 10.0))
    start = time.monotonic()
    assert found.wait(5.0) and 0.1 < time.monotonic() - start < 2.0
    group = found.take()
    assert stamps(group) == {"a": 10.0}
    assert group.problems == ("labeled without b: no cloud within input.fuse_window, 0.15 s",)


def test_a_waiting_worker_wakes_when_the_group_is_complete():
    found = box()
    found.put(arrival("a", 10.0))
    threading.Timer(0.1, lambda: found.put(arrival("b", 10.0))).start()
    start = time.monotonic()
    assert found.wait(20.0) and time.monotonic() - start < 10


def test_a_later_stamp_ends_the_group_and_an_older_one_is_dropped_and_explained():
    found = box(1.0)
    found.put(arrival("a", 10.0))
    assert found.put(arrival("b", 12.0)) == ()  # a's next cloud will fit
    assert stamps(found.take()) == {"a": 10.0}
    assert found.put(arrival("a", 10.5)) == ("a",)
    assert found.put(arrival("b", 12.1)) == ("b",)
    group = found.take_newest()
    assert stamps(group) == {"b": 12.1}
    assert "labeled without a" in group.problems[0] and "its last one was 1.5 s older" in group.problems[0]


def test_a_group_that_nobody_took_is_replaced_and_counted():
    found = box()
    for seconds in (10.0, 11.0):
        found.put(arrival("a", seconds))
        dropped = found.put(arrival("b", seconds))
    assert dropped == ("a", "b")
    newest = found.take()
    assert stamps(newest) == {"a": 11.0, "b": 11.0}
    found.put_back(newest)
    assert found.take() is newest and found.take_newest() is None
    found.put_back(newest)
    found.clear()
    assert found.take() is None


def test_a_cloud_of_a_topic_that_is_no_longer_joined_is_left_out():
    found = box()
    assert found.put(arrival("c", 10.0)) == ("c",)
    found.put(arrival("a", 10.0))
    found.put(arrival("b", 10.0))
    assert set(stamps(found.take())) == {"a", "b"}


def test_one_topic_is_never_waited_for():
    found = box(topics=("a",))
    found.put(arrival("a", 10.0))
    assert stamps(found.take()) == {"a": 10.0}


def decoded(points: np.ndarray) -> cloud_messages.Cloud:
    return cloud_messages.decode(cloud(points, "base_link"))


def test_fields_that_all_clouds_have_keep_their_bits_whatever_the_byte_order():
    rng = np.random.default_rng(0)
    little = np.zeros(4, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4"), ("time", "<f8"), ("ring", "<u2")])
    big = np.zeros(3, [("ring", ">u2"), ("rgb", ">f4"), ("x", ">f8"), ("y", ">f8"), ("z", ">f8"), ("time", ">f4")])
    for points in (little, big):
        points["rgb"] = rng.integers(0, 1 << 24, len(points)).astype(np.uint32).view(np.float32)
        points["ring"], points["x"] = rng.integers(0, 99, len(points)), rng.normal(size=len(points))
    cloud_of_both, notes = fusion.joined([decoded(little), decoded(big)])
    points = cloud_of_both.points
    assert points.dtype.names == ("x", "y", "z", "rgb", "ring") and points.dtype["x"] == np.float64
    bits = np.concatenate([little["rgb"].astype("<f4").view("<u4"), big["rgb"].astype("<f4").view("<u4")])
    assert points["rgb"].view("<u4").tolist() == bits.tolist()
    assert points["ring"].tolist() == [*little["ring"], *big["ring"]]
    assert points["x"].tolist() == [*little["x"].astype(float), *big["x"]]
    assert notes == ("input.fuse: fields that not all clouds have are left out: time",)
    assert (cloud_of_both.height, cloud_of_both.width) == (1, 7) and cloud_of_both.rgb.shape == (7, 3)


def test_fields_of_several_values_keep_their_shape():
    points = np.zeros(4, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("normal", "<f4", (3,))])
    points["normal"] = np.arange(12).reshape(4, 3)
    joined, notes = fusion.joined([decoded(points), decoded(points[:1])])
    assert joined.points["normal"].tolist() == [*points["normal"].tolist(), [0, 1, 2]] and notes == ()


def test_empty_clouds_are_joined_too():
    joined, _ = fusion.joined([decoded(room(0)), decoded(room(5))])
    assert len(joined.points) == 5
