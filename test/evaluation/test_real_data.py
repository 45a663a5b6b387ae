"""Every real scan there is through the node over DDS, and some of each kind through `label`, with the embedded
model."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from real_data import real

from s4token_model import checkpoint, constants
from s4token_model.io import files, label_files
from s4token_model.segmenter import Segmenter

pytestmark = pytest.mark.timeout(400)
FRAMES = 5  # of the 7-Scenes frames, spread over the sequence
MESH_POINTS = 4000


def sources(kind: str) -> list[Path]:
    """The files of one kind; the test is skipped where the data are absent."""
    if kind == "rooms":
        return [*sorted(real("scannet_votenet").glob("*_vert.npy")), *real("scannet_full").glob("*_vert_all.npy")]
    if kind == "sweeps":
        return sorted(real("semantickitti", "sequences").glob("*/velodyne/*.bin"))
    if kind == "frames":
        frames = sorted(real("rgbd_7scenes").glob("*.depth.png"))
        return frames[:: max(1, len(frames) // FRAMES)]
    return sorted(real("modelnet").glob("*/*.off"))


@pytest.fixture(scope="module")
def mini() -> Segmenter:
    return Segmenter.load(checkpoint.MINI)


@pytest.mark.parametrize("kind", ["rooms", "sweeps", "frames", "meshes"])
def test_files_go_through_label(tmp_path, mini, kind):
    for source in sources(kind)[::3]:
        cloud = files.read_cloud(source, mesh_points=MESH_POINTS)
        found = label_files.label_cloud(cloud, tmp_path / "out.ply", mini)
        finite = int(np.isfinite(cloud.xyz).all(axis=1).sum())
        assert found.points == len(cloud.xyz) and found.finite_points == finite, source
        strays = finite - sum(found.classes.values())
        assert 0 <= strays <= 0.01 * finite and found.unlabeled == found.points - finite + strays, source
        assert found.classes.most_common(1)[0][1] < finite or finite < 10000, f"{source}: one class for everything"


def test_every_scan_goes_through_the_node(tmp_path):
    pytest.importorskip("rclpy")
    pytest.importorskip("s4token_interfaces")
    import ros_helpers as ros

    from s4token_ros import replay

    paths = [path for kind in ("rooms", "sweeps", "frames") for path in sources(kind)]
    paths += [real("bags", "kitti_seq00_6scans"), real("bags", "watercan_ros2")]
    domain = ros.claim_domain()
    process = ros.NodeProcess(
        domain, tmp_path / "log", command=(sys.executable, "-m", "s4token_ros.node", "--ros-args")
    )
    peer = ros.Peer(domain)
    try:
        vocabulary, publisher, labelled = peer.vocabulary(), peer.publisher(), peer.labeled()
        ros.wait_for(lambda: vocabulary, 120, "the vocabulary")
        ros.wait_for(lambda: publisher.get_subscription_count() and labelled.connected())
        time.sleep(0.3)
        words = len(vocabulary[-1].names)
        for path in paths:
            for number, message in enumerate(replay.load(str(path))):
                message.header.stamp.sec, message.header.stamp.nanosec = 1 + number, len(labelled)
                publisher.publish(message)
                ros.wait_for(lambda m=message: labelled.by_stamp(m.header.stamp), 60, f"{path}, labeled")
                answer = ros.arrays(labelled.by_stamp(message.header.stamp)[0])
                sent = ros.arrays(message)
                finite = np.isfinite([sent[axis] for axis in "xyz"]).all(axis=0)
                assert len(answer) == len(sent), path
                labeled = answer["label"] < words
                assert labeled[finite].mean() >= 0.99, f"{path}: strays"
                assert (answer["label"][~finite | ~labeled] == constants.UNLABELED).all(), path
        assert process.stop() == 0 and "Traceback" not in process.text(), process.text()
    finally:
        peer.close()
        process.stop()
