"""The sample room in an optical frame, from a tilted LiDAR and from two fused sensors is labeled as it is upright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from ros_helpers import FakeBuffer, cloud
from scipy.spatial.transform import Rotation

import s4token_model
from s4token_model import Segmenter
from s4token_model.io.files import read_cloud
from s4token_ros import cloud_messages, frame_source, fusion
from s4token_ros.cloud_frames import CloudFrames
from s4token_ros.frame_source import Arrival
from s4token_ros.options import InputConfig, NodeConfig, OutputConfig
from s4token_ros.transforms import Transforms

ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"
AGREEMENT = 0.97  # of the labels
POSES = {  # of sensors in base_link
    "camera_optical_frame": (Rotation.from_quat([-0.5, 0.5, -0.5, 0.5]), [0.2, 0.0, 1.1]),
    "tilted_lidar": (Rotation.from_euler("xyz", [24, -17, 130], degrees=True), [-0.4, 0.3, 1.8]),
}


class Buffer(FakeBuffer):
    """Knows POSES."""

    def can_transform(self, target, source, time):
        return target == "base_link" and source in POSES

    def lookup_transform(self, target, source, time, timeout):
        rotation, translation = POSES[source]
        transform = self.answer.transform
        for name, value in zip("xyzw", rotation.as_quat(), strict=True):
            setattr(transform.rotation, name, value)
        for name, value in zip("xyz", translation, strict=True):
            setattr(transform.translation, name, float(value))
        return self.answer


def seen_by(frame: str, xyz: np.ndarray, topic: str = "/points") -> Arrival:
    """Points of base_link as a sensor measures them."""
    rotation, translation = POSES[frame]
    local = rotation.inv().apply(xyz - np.float64(translation))
    points = np.zeros(len(xyz), [(axis, "<f4") for axis in "xyz"])
    for k, axis in enumerate("xyz"):
        points[axis] = local[:, k]
    return Arrival(topic, cloud(points, frame))


def labels(segmenter, arrival, **given) -> tuple[np.ndarray, frame_source.Frame]:
    config = NodeConfig(input=InputConfig(**given), output=OutputConfig(frame="base_link"))
    frames = CloudFrames(None, lambda: config, Transforms(None, Buffer()))
    frame = frame_source.encode_frame(frame_source.build_frame(arrival, segmenter, frames))
    return segmenter.label(frame.encoded).labels, frame


def upright(arrival: Arrival, moved: bool = False) -> np.ndarray:
    """The same cloud (H, 3) from a sensor at the same spot, or in base_link if `moved`, that is not tilted."""
    rotation, translation = POSES[arrival.message.header.frame_id]
    local = cloud_messages.decode(arrival.message).xyz.astype(np.float64)
    return (local @ rotation.as_matrix().T + moved * np.float64(translation)).astype(np.float32)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load()


@pytest.fixture(scope="module")
def xyz():
    return read_cloud(ROOM).xyz.astype(np.float32)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("frame", POSES)
def test_a_cloud_of_another_frame_has_the_labels_of_the_same_cloud_upright(segmenter, xyz, frame):
    arrival = seen_by(frame, xyz)
    found, built = labels(segmenter, arrival, gravity_frame=("base_link",))
    agree = (found == segmenter.segment(upright(arrival)).labels).mean()
    print(f"{frame}: {agree:.4f} of {len(xyz)} labels agree")
    assert agree >= AGREEMENT
    np.testing.assert_allclose(built.cloud.xyz, xyz, atol=1e-4)


@pytest.mark.timeout(600)
def test_two_fused_sensors_have_the_labels_of_one_cloud(segmenter, xyz):
    first = np.random.default_rng(0).random(len(xyz)) < 0.5
    parts = [seen_by(frame, xyz[mine], f"/{frame}") for frame, mine in zip(POSES, (first, ~first), strict=True)]
    found, built = labels(segmenter, fusion.Group(tuple(parts)), fuse=True, fuse_frame="base_link")
    one = np.concatenate([upright(part, moved=True) for part in parts])
    agree = (found == segmenter.segment(one).labels).mean()
    print(f"fused: {agree:.4f} of {len(xyz)} labels agree")
    assert built.warnings == () and agree >= AGREEMENT
