"""Labels smoothed over time, in the node's process and by hand, at poses of a fake tf."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from s4token_model import constants

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import ros_helpers as ros
from builtin_interfaces.msg import Time
from ros_helpers import arrays, cloud, figures, label_cloud, room, set_parameter, wait_for
from std_msgs.msg import Header

from s4token_interfaces.msg import Objects
from s4token_model.config import Config
from s4token_model.evaluation import temporal_agreement
from s4token_ros.options import TemporalConfig
from s4token_ros.temporal import TemporalLabels

CONFIG = TemporalConfig(enabled=True, voxel=0.01)  # no two random points are in one voxel
NAMES = ("a", "ab", "abc", "abcd")


def expected(count: int, names=NAMES, points: int = 1000) -> np.ndarray:
    """Labels of `points` points by the features of the fake segmenter for a cloud of `count` points."""
    label = {len(f"a photo of a {name}.") % 4: k for k, name in enumerate(names)}
    return np.array([label[(i // 100 + count) % 4] for i in range(points)])


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    domain = ros.claim_domain()
    parameters = ("temporal.enabled:=true", "temporal.voxel:=0.01", "diagnostics.period:=0.1")
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    process = ros.NodeProcess(domain, tmp_path_factory.mktemp("node") / "log", *arguments)
    with ros.peer_of(process, domain) as peer:
        assert peer.set_vocabulary(*NAMES, thresholds=[0.0]).success
        yield peer


def longer(points: np.ndarray) -> np.ndarray:
    """The same points and one more, which changes what the fake segmenter sees in all of them."""
    return np.concatenate([points, points[-1:]])


def status(peer, ready):
    collected = peer.diagnostics()
    wait_for(lambda: collected and ready(figures(collected[-1])), 20, "diagnostics")
    collected.close()
    return figures(collected[-1])


def test_an_odd_cloud_keeps_the_labels_and_new_class_names_label_the_past_again(peer):
    points = room(1000)
    collected, classes = peer.labeled(), peer.classes()
    peer.connect(collected, classes)
    for _ in range(3):
        np.testing.assert_array_equal(arrays(label_cloud(peer, cloud(points), collected))["label"], expected(1000))
    odd = cloud(longer(points))
    answer = arrays(label_cloud(peer, odd, collected))
    assert (expected(1001) != expected(1000)).all()
    np.testing.assert_array_equal(answer["label"][:1000], expected(1000))
    # The same cloud under other names, from the votes of the four
    names = ("abcd", "a", "abc", "ab")
    assert peer.set_vocabulary(*names, thresholds=[0.0]).relabeled
    wait_for(lambda: len(collected.by_stamp(odd.header.stamp)) == 2, 20, "the relabeled cloud")
    answer = arrays(collected.by_stamp(odd.header.stamp)[-1])
    np.testing.assert_array_equal(answer["label"][:1000], expected(1000, names))
    wait_for(lambda: len(classes.by_stamp(odd.header.stamp)) == 2, 20, "the summary")
    counts = {c.name: c.points for c in classes.by_stamp(odd.header.stamp)[-1].classes}
    assert counts == {name: int((answer["label"] == k).sum()) for k, name in enumerate(names)}
    found = status(peer, lambda f: int(f.get("temporal.clouds", 0)) >= 4)
    assert int(found["temporal.voxels"]) > 900 and found["temporal.inactive"] == "" and found["level"] == "0"
    assert peer.set_vocabulary(*NAMES, thresholds=[0.0]).success


def test_a_cloud_without_a_pose_is_labeled_alone_and_diagnostics_say_why(peer):
    answer = arrays(label_cloud(peer, cloud(room(1001), "lidar")))
    fake = (np.arange(1001) // 100 + peer.get_vocabulary().vocabulary.version) % 4
    np.testing.assert_array_equal(answer["label"], fake)
    reason = "no transform from frame 'lidar' to 'odom'"
    found = status(peer, lambda f: reason in f["message"])
    assert found["level"] == "1" and reason in found["temporal.inactive"]


def test_turned_off_and_on_again_it_has_forgotten(peer):
    points = room(1000, seed=4)
    for _ in range(3):
        label_cloud(peer, cloud(points))
    assert set_parameter(peer, "temporal.enabled", False).successful
    version = peer.get_vocabulary().vocabulary.version
    answer = arrays(label_cloud(peer, cloud(points)))
    np.testing.assert_array_equal(answer["label"], (np.arange(1000) // 100 + version) % 4)
    assert "temporal.voxels" not in status(peer, lambda f: "temporal.voxels" not in f)
    assert set_parameter(peer, "temporal.enabled", True).successful
    np.testing.assert_array_equal(arrays(label_cloud(peer, cloud(longer(points))))["label"][:1000], expected(1001))
    assert not set_parameter(peer, "temporal.half_life", 0.0).successful


def frame(stamp: float, points: int = 400, segmenter=None):
    """A frame of the fake segmenter as the worker holds it, and its vocabulary."""
    segmenter = segmenter or ros.FakeSegmenter("", Config(), "cpu")
    xyz = np.random.default_rng(0).uniform(-5, 5, (400, 3))
    xyz = np.concatenate([xyz, xyz[: points - 400]])
    header = Header(frame_id="map", stamp=Time(sec=int(stamp), nanosec=round(stamp % 1 * 1e9)))
    encoded = segmenter.encode_patches(xyz, len(xyz))
    cloud = SimpleNamespace(xyz=xyz, header=header)
    return SimpleNamespace(cloud=cloud, encoded=encoded, segmenter=segmenter), segmenter.make_vocabulary(NAMES)


def test_the_defaults_are_those_that_are_measured():
    defaults, measured = TemporalConfig(), temporal_agreement
    found = defaults.voxel, defaults.half_life, defaults.max_voxels, defaults.margin
    assert found == (measured.VOXEL, measured.HALF_LIFE, measured.MAX_VOXELS, measured.MARGIN)


def test_a_stamp_that_jumps_back_and_another_model_begin_anew():
    smoother, model = TemporalLabels(CONFIG, ros.FakeTransforms(None)), ros.FakeSegmenter
    segmenter = model("", Config(), "cpu")
    for stamp in (100.0, 100.1, 100.05):  # the last is of another sensor
        smoother.label(*frame(stamp, segmenter=segmenter))
    assert smoother.resets == 0
    kept = smoother.label(*frame(100.2, 401, segmenter)).labels
    assert kept[:400].tolist() == expected(400, points=400).tolist()
    looped = smoother.label(*frame(90.0, 401, segmenter)).labels
    assert looped[:400].tolist() == expected(401, points=400).tolist() and smoother.resets == 1
    other = smoother.label(*frame(90.1, 402)).labels
    assert other[:400].tolist() == expected(402, points=400).tolist() and smoother.resets == 2


def test_a_cloud_without_valid_points_has_no_votes():
    smoother = TemporalLabels(CONFIG, ros.FakeTransforms(None))
    empty, vocabulary = frame(1.0)
    empty.encoded.valid[:] = False
    assert smoother.label(empty, vocabulary) is None and smoother.problem == ""


def test_points_below_the_threshold_are_unlabeled_after_smoothing():
    smoother = TemporalLabels(CONFIG, ros.FakeTransforms(None))
    seen, vocabulary = frame(1.0)
    vocabulary.thresholds[2] = 1.0
    labels = smoother.label(seen, vocabulary).labels
    wanted = expected(400, points=400)
    assert labels.tolist() == np.where(wanted == 2, constants.UNLABELED, wanted).tolist()


def test_ids_of_objects_stay_with_votes(peer):
    objects, labeled = peer.collect(Objects, "/s4token/objects"), peer.labeled()
    peer.connect(objects, labeled)

    def send():
        answer = label_cloud(peer, cloud(room(1000)), labeled)
        wait_for(lambda: objects.by_stamp(answer.header.stamp), 20, "the objects")
        found = objects.by_stamp(answer.header.stamp)[-1]
        assert found.tracked and found.objects
        return {(round(o.pose.position.x, 3), round(o.pose.position.y, 3), o.name): o.id for o in found.objects}

    assert send() == send() == send()
