"""Real tf2 over DDS: the sample room in an optical frame, from a tilted LiDAR and from two fused sensors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")
pytest.importorskip("tf2_ros", reason="tf2_ros is not on PyPI")

import ros_helpers as ros
from geometry_msgs.msg import TransformStamped
from ros_helpers import arrays, cloud, figures, set_parameter, wait_for
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

import s4token_model
from s4token_model.io.files import read_cloud
from s4token_ros import session
from s4token_ros.qos import LATCHED

REAL = (sys.executable, "-m", "s4token_ros.start", "--ros-args", "-p", "diagnostics.period:=0.1")
ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"
AGREEMENT = 0.97
POSES = {  # of sensors in base_link
    "camera_optical_frame": (Rotation.from_quat([-0.5, 0.5, -0.5, 0.5]), np.array([0.2, 0.0, 1.1])),
    "tilted_lidar": (Rotation.from_euler("xyz", [24, -17, 130], degrees=True), np.array([-0.4, 0.3, 1.8])),
}
pytestmark = pytest.mark.timeout(900)


def structured(xyz: np.ndarray) -> np.ndarray:
    points = np.zeros(len(xyz), [(axis, "<f4") for axis in "xyz"])
    for k, axis in enumerate("xyz"):
        points[axis] = xyz[:, k]
    return points


def seen_by(frame: str, xyz: np.ndarray) -> np.ndarray:
    """Points of base_link as a sensor measures them."""
    rotation, translation = POSES[frame]
    return structured(rotation.inv().apply(xyz - translation))


def upright(frame: str, points: np.ndarray, moved: bool = False) -> np.ndarray:
    """The same cloud from a sensor at the same spot, or in base_link if `moved`, that is not tilted."""
    rotation, translation = POSES[frame]
    local = np.stack([points[axis] for axis in "xyz"], axis=1).astype(np.float64)
    return structured(local @ rotation.as_matrix().T + moved * translation)


@pytest.fixture
def running(tmp_path):
    """Start a node with the real segmenter and a peer that publishes static transforms."""
    started = []

    def run(*arguments: str) -> ros.Peer:
        domain = ros.claim_domain()
        paths = os.pathsep.join([str(ros.ROOT), os.environ.get("PYTHONPATH", "")])
        process = ros.NodeProcess(domain, tmp_path / "log", *arguments, command=REAL, PYTHONPATH=paths)
        peer = ros.Peer(domain)
        started.extend([process, peer])
        peer.statics = peer.node.create_publisher(TFMessage, "/tf_static", LATCHED)
        message = TFMessage()
        for frame, (rotation, translation) in POSES.items():
            message.transforms.append(TransformStamped(header=Header(frame_id="base_link"), child_frame_id=frame))
            for name, value in zip("xyzw", rotation.as_quat(), strict=True):
                setattr(message.transforms[-1].transform.rotation, name, value)
            for name, value in zip("xyz", translation.tolist(), strict=True):
                setattr(message.transforms[-1].transform.translation, name, value)
        peer.statics.publish(message)
        vocabulary = peer.vocabulary()
        wait_for(lambda: vocabulary, session.READY_S, "the vocabulary")
        return peer

    yield run
    process, peer = started
    assert process.stop() == 0 and "Traceback" not in process.text(), process.text()
    peer.close()


def labeled(publishers, messages, collected):
    """Publish a message on each publisher, and return the cloud that comes back for the last one."""
    for publisher, message in zip(publishers, messages, strict=True):
        publisher.publish(message)
    wait_for(lambda: collected.by_stamp(messages[-1].header.stamp), 120, "a labeled cloud")
    return collected.by_stamp(messages[-1].header.stamp)[-1]


def test_sensors_in_other_frames_have_the_labels_of_the_same_cloud_upright(running):
    peer = running("-p", "input.gravity_frame:=base_link", "-p", "output.frame:=base_link")
    publisher, collected = peer.publisher(), peer.labeled()
    wait_for(lambda: publisher.get_subscription_count() and collected.connected(), 60)
    xyz = read_cloud(ROOM).xyz
    for frame in POSES:
        points = seen_by(frame, xyz)
        found = arrays(labeled([publisher], [cloud(points, frame)], collected))
        same = arrays(labeled([publisher], [cloud(upright(frame, points), "base_link")], collected))
        agree = (found["label"] == same["label"]).mean()
        print(f"{frame}: {agree:.4f} of {len(points)} labels agree")
        assert agree >= AGREEMENT and collected[-2].header.frame_id == "base_link"
        for k, axis in enumerate("xyz"):
            np.testing.assert_allclose(found[axis], xyz[:, k], atol=1e-5)
    # A frame that tf2 does not know: dropped, and the diagnostics name it
    health = peer.diagnostics()
    publisher.publish(cloud(points, "nowhere"))
    expected = "output.frame: no transform from frame 'nowhere' to 'base_link'"
    wait_for(lambda: any(expected in figures(one)["last_error"] for one in health), 60, expected)
    assert set_parameter(peer, "output.frame", "").successful
    assert labeled([publisher], [cloud(points, "tilted_lidar")], collected).header.frame_id == "tilted_lidar"


def test_two_fused_sensors_have_the_labels_of_one_cloud_and_one_alone_is_labeled_with_a_diagnostic(running):
    arguments = ("-p", "input.topics:=[/camera, /lidar]", "-p", "input.fuse:=true", "-p", "input.fuse_window:=5.0")
    peer = running(*arguments)
    publishers, collected = [peer.publisher("/camera"), peer.publisher("/lidar")], peer.labeled()
    wait_for(lambda: all(p.get_subscription_count() for p in publishers) and collected.connected(), 60)
    xyz = read_cloud(ROOM).xyz
    first = np.random.default_rng(0).random(len(xyz)) < 0.5
    halves = [seen_by(frame, xyz[mine]) for frame, mine in zip(POSES, (first, ~first), strict=True)]
    messages = [cloud(points, frame) for points, frame in zip(halves, POSES, strict=True)]
    messages[1].header.stamp.sec = messages[0].header.stamp.sec
    found = labeled(publishers, messages, collected)
    assert (found.header.frame_id, found.width) == ("base_link", len(xyz))
    # The same points in one cloud, upright
    joined = np.concatenate([upright(frame, points, moved=True) for points, frame in zip(halves, POSES, strict=True)])
    later = [cloud(joined, "base_link"), cloud(joined[:0], "base_link")]
    later[1].header.stamp = later[0].header.stamp
    same = labeled(publishers, later, collected)
    agree = (arrays(found)["label"] == arrays(same)["label"]).mean()
    print(f"two fused sensors: {agree:.4f} of {len(xyz)} labels agree")
    assert agree >= AGREEMENT
    # One sensor falls silent
    health, alone = peer.diagnostics(), cloud(halves[0], "camera_optical_frame")
    assert labeled(publishers[:1], [alone], collected).width == len(halves[0])
    expected = "labeled without /lidar: no cloud within input.fuse_window, 5 s"
    wait_for(lambda: any(expected in figures(one)["warnings"] for one in health), 60, expected)
