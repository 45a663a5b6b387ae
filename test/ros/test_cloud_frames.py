"""Clouds in other frames: taken to output.frame, joined in input.fuse_frame, and turned to what is up per topic."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from ros_helpers import FakeBuffer, cloud, room

from s4token_model.config import Config
from s4token_ros import cloud_frames, cloud_messages, frame_source, fusion, transforms
from s4token_ros.cloud_frames import CloudFrames
from s4token_ros.frame_source import Arrival
from s4token_ros.latency import LATE
from s4token_ros.options import InputConfig, LatencyConfig, NodeConfig, OutputConfig
from s4token_ros.parameters import Settings
from s4token_ros.transforms import Transforms

HALF = np.sqrt(0.5)
QUARTER = (HALF, 0.0, 0.0, HALF)  # about x: y to z
NODE = SimpleNamespace(resolve_topic_name=lambda name: f"/{name}")


def frames(buffer=None, output: str = "", **given) -> CloudFrames:
    config = NodeConfig(input=InputConfig(**given), output=OutputConfig(frame=output))
    return CloudFrames(NODE, lambda: config, Transforms(None, buffer or FakeBuffer(QUARTER)))


def built(known: CloudFrames, arrival):
    """The frame of an arrival, and what its segmenter was given."""
    seen = {}
    segmenter = SimpleNamespace(build_patches=lambda *given: seen.update(given=given), config=Config())
    return frame_source.build_frame(arrival, segmenter, known), seen["given"]


def test_clouds_are_turned_to_the_gravity_frame_and_published_as_they_came():
    message = cloud(room(100), "camera")
    frame, (xyz, _, name, rotation, changes) = built(frames(gravity_frame=("base_link",)), Arrival("/points", message))
    assert (name, changes) == ("camera", {}) and frame.warnings == () and frame.arrival.message is message
    np.testing.assert_array_equal(xyz, frame.cloud.xyz)  # not turned itself
    np.testing.assert_allclose(rotation @ [0, 1, 0], [0, 0, 1], atol=1e-12)


def test_without_the_transform_the_cloud_is_labeled_and_the_warning_names_the_frames():
    frame, given = built(frames(gravity_frame=("map",)), Arrival("/points", cloud(room(100), "camera")))
    assert given[2:] == ("camera", None, {})
    (warning,) = frame.warnings
    assert warning.startswith("input.gravity_frame: no transform from frame 'camera' to 'map': ")
    assert warning.endswith("what is up follows from input.up")


def test_clouds_that_are_late_get_less_and_keep_the_axis_of_their_topic():
    config = NodeConfig(input=InputConfig(topic_up=("-y",)), latency=LatencyConfig(1.0))
    known, working = CloudFrames(NODE, lambda: config), SimpleNamespace(kept=np.zeros(9), xyz=np.zeros(9))
    encoded = SimpleNamespace(tokens=np.zeros(9), geometry=SimpleNamespace(working=working))
    for _ in range(LATE):
        frame, given = built(known, Arrival("/points", cloud(room(100), "camera")))
        assert given[4]["windows.maximum"] == 256
        known.latency.count("/points", frame.effort, encoded, {"encoder": 100.0})
    frame, given = built(known, Arrival("/points", cloud(room(100), "camera")))
    assert given[4]["windows.maximum"] == 1 and given[4]["input.up"] == "-y"
    frame, _ = built(known, Arrival("/other", cloud(room(100), "camera")))
    assert frame.effort.windows == 256, "every topic has its own level"


def test_every_topic_has_its_gravity_frame_and_its_axis():
    known = frames(topics=("front", "rear"), gravity_frame=("base_link", ""), topic_up=("auto", "-y"))
    header = cloud(room(10), "camera").header
    assert known.rotation("/front", header)[0] is not None and known.rotation("/rear", header) == (None, "")
    changes = [known.changes(topic, Config())[1] for topic in ("/front", "/rear")]
    assert changes == [{"input.up": "auto"}, {"input.up": "-y"}]


def test_nobody_listens_to_tf_until_a_parameter_needs_it(monkeypatch):
    monkeypatch.setattr(cloud_frames, "Transforms", lambda node: Transforms(node, FakeBuffer()))
    config = NodeConfig()
    known = CloudFrames(NODE, lambda: config)
    assert known.rotation("/points", cloud(room(10)).header) == (None, "") and known._transforms is None
    config = NodeConfig(input=InputConfig(gravity_frame=("base_link",)))
    rotation, warning = known.rotation("/points", cloud(room(10), "camera").header)
    assert warning == "" and np.array_equal(rotation, np.eye(3)) and known._transforms is not None
    config = NodeConfig()
    known.listen()
    assert known._transforms is None


@pytest.mark.parametrize("seconds, expected", [(4, ""), (20, " is 15.0 s older than the cloud"),
                                               (1, " is 4.0 s newer than the cloud")])  # fmt: skip
def test_a_transform_of_another_time_that_says_what_is_up_is_warned_about(seconds, expected):
    buffer = FakeBuffer(first=100)  # knows none at the stamps of the clouds
    buffer.answer.header.stamp.sec = 5
    message = cloud(room(10), "camera")
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, 0
    rotation, warning = frames(buffer, gravity_frame=("base_link",)).rotation("/points", message.header)
    assert np.array_equal(rotation, np.eye(3)) and warning.endswith(expected) and bool(warning) == bool(expected)


def test_frames_with_the_slash_of_ros_1_are_those_without():
    frame, _ = built(frames(output="/base_link"), Arrival("/points", cloud(room(10), "/camera")))
    assert frame.cloud.header.frame_id == "base_link"
    same, _ = built(frames(output="base_link"), Arrival("/points", cloud(room(10), "/base_link")))
    assert same.cloud.header.frame_id == "/base_link"  # as it came


def test_a_cloud_is_published_in_the_output_frame_and_labeled_in_its_own():
    kinds = [(name, "<f4") for name in ("x", "y", "z", "normal_x", "normal_y", "normal_z", "intensity")]
    points = np.zeros(5, kinds)
    points["y"], points["normal_y"], points["intensity"] = np.arange(5), 1, np.arange(5) * 0.1
    points["x"][3] = np.nan
    message = cloud(points, "camera")
    frame, (xyz, *_) = built(frames(output="base_link"), Arrival("/points", message))
    np.testing.assert_array_equal(xyz[:, 1], np.arange(5))
    assert frame.cloud.header.frame_id == "base_link" and frame.cloud.header.stamp == message.header.stamp
    # A quarter about x takes y to z; the translation is 1.5 along x
    assert frame.cloud.xyz[4] == pytest.approx([1.5, 0, 4], abs=1e-6)
    assert frame.cloud.points["normal_z"] == pytest.approx(1) and np.isnan(frame.cloud.points["x"][3])
    assert frame.cloud.points["intensity"].tobytes() == points["intensity"].tobytes()
    assert message.header.frame_id == "camera" and cloud_messages.decode(message).points["y"][4] == 4  # not written to


def test_a_cloud_without_the_transform_to_the_output_frame_is_refused_before_it_is_labeled():
    buffer = FakeBuffer()
    with pytest.raises(ValueError, match=r"^output\.frame: no transform from frame 'camera' to 'map'"):
        built(frames(buffer, output="map", transform_timeout=0.3), Arrival("/points", cloud(room(10), "camera")))
    assert buffer.waits == pytest.approx([0.3])


def test_float32_in_a_frame_that_is_far_away_is_warned_about():
    buffer = FakeBuffer()
    buffer.answer.transform.translation.x = 5e6
    frame, _ = built(frames(buffer, output="base_link"), Arrival("/points", cloud(room(10), "camera")))
    assert "coordinates of 5e+06 in float32 have steps of 0.5" in frame.warnings[0]
    wide = cloud(room(10, kind="<f8"), "camera")
    assert built(frames(buffer, output="base_link"), Arrival("/points", wide))[0].warnings == ()


def test_coordinates_that_would_be_rounded_are_refused():
    points = np.zeros(3, [(axis, "<i2") for axis in "xyz"])
    with pytest.raises(ValueError, match="coordinate x is int16, and would be rounded"):
        built(frames(output="base_link"), Arrival("/points", cloud(points, "camera")))


def test_fused_clouds_are_one_cloud_in_the_common_frame():
    one, two = room(30), room(20, seed=1)
    parts = (Arrival("/front", cloud(one, "base_link")), Arrival("/rear", cloud(two, "camera")))
    known = frames(fuse=True, fuse_frame="base_link")
    frame, (xyz, _, name, *_) = built(known, fusion.Group(parts))
    assert name == frame.cloud.header.frame_id == "base_link" and len(xyz) == 50 and frame.warnings == ()
    assert frame.cloud.header.stamp == parts[1].message.header.stamp  # the newer one
    assert frame.cloud.points["ring"].tolist() == [*one["ring"], *two["ring"]]
    # A quarter about x takes (x, y, z) to (x, -z, y)
    np.testing.assert_allclose(xyz[30:], np.stack([two["x"] + 1.5, -two["z"], two["y"]], axis=1), atol=1e-5)
    np.testing.assert_array_equal(xyz[:30], np.stack([one[axis] for axis in "xyz"], axis=1))


def test_a_sensor_without_transform_or_with_malformed_clouds_is_left_out_with_the_reason():
    lost, broken = cloud(room(10), "nowhere"), cloud(room(10), "base_link")
    broken.data = broken.data[:20]
    good = Arrival("/front", cloud(room(30), "base_link"))
    known = frames(fuse=True, fuse_frame="base_link", transform_timeout=0.0)
    frame, (xyz, *_) = built(known, fusion.Group((good, Arrival("/rear", lost), Arrival("/left", broken))))
    assert len(xyz) == 30
    rear, left = frame.warnings
    assert rear.startswith("input.fuse: labeled without /rear: no transform from frame 'nowhere' to 'base_link'")
    assert left.startswith("input.fuse: labeled without /left: data holds 20 bytes")
    with pytest.raises(ValueError, match="input.fuse: labeled without /rear: no transform"):
        built(known, fusion.Group((Arrival("/rear", lost),)))


def test_moving_turns_all_clouds_as_tf2_does():
    rng = np.random.default_rng(0)
    points = cloud_messages.decode(cloud(room(100, kind="<f8"), "camera"))
    buffer = FakeBuffer(rng.normal(size=4))
    pose = Transforms(None, buffer).pose("base_link", "camera", points.header.stamp)
    there = cloud_frames.moved(points, pose, "base_link")
    back = cloud_frames.moved(there, (pose[0].T, -pose[0].T @ pose[1]), "camera")
    np.testing.assert_allclose(back.xyz, points.xyz, atol=1e-12)
    assert np.linalg.norm(there.xyz - pose[1], axis=1) == pytest.approx(np.linalg.norm(points.xyz, axis=1))
    np.testing.assert_allclose(there.xyz, points.xyz @ transforms.rotation_of(buffer.answer.transform.rotation).T
                               + [1.5, 0, 0], atol=1e-12)  # fmt: skip
    assert dataclasses.replace(there, header=None, points=None, xyz=None).rgb is points.rgb


@pytest.mark.parametrize("changes", [{"output.frame": "/"}, {"output.frame": " "}, {"input.gravity_frame": [" / "]}])
def test_a_frame_without_a_name_is_refused(changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))}: .* names no frame"):
        Settings().changed(changes)
    assert Settings().changed({"output.frame": "", "input.gravity_frame": [""]}) == Settings()
