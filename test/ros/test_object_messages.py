"""Objects as messages, their ids over time, and that nothing is computed for outputs without subscribers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from std_msgs.msg import Header

from s4token_model import constants
from s4token_model.objects import ObjectConfig
from s4token_ros import markers, object_ids, object_messages, object_outputs
from s4token_ros.cloud_messages import Cloud
from s4token_ros.object_ids import ObjectIds
from s4token_ros.options import OutputConfig

NAMES = ("floor", "chair", "table")
COLORS = np.array([[10, 20, 30], [255, 0, 0], [0, 0, 255]], np.uint8)


def blob(center, count: int = 100) -> np.ndarray:
    rng = np.random.default_rng(int(100 * abs(sum(center))))
    return (rng.uniform(-0.2, 0.2, (count, 3)) + center).astype(np.float32)


def labeled(*centers, labels=(1, 1, 2), frame="lidar"):
    """A cloud with a blob of 100 points at each center, labeled in turn, and a floor of 50 points; its segmentation."""
    xyz = np.concatenate([*(blob(c) for c in centers), np.zeros((50, 3), np.float32)])
    label = np.repeat([*labels[: len(centers)], 0], [*[100] * len(centers), 50]).astype(np.uint32)
    cloud = Cloud(Header(frame_id=frame), 1, len(xyz), True, np.zeros(0), xyz, None)
    vocabulary = SimpleNamespace(names=NAMES, colors=COLORS, version=7)
    superpoints = np.full(len(xyz), constants.NO_SUPERPOINT, np.uint32)
    superpoints[:] = np.arange(len(xyz)) // 100
    encoding = SimpleNamespace(up=lambda xyz: np.array([0.0, 0.0, 1.0]))
    confidence = np.where(label == 2, 0.9, 0.6).astype(np.float32)
    return cloud, SimpleNamespace(
        labels=label, confidence=confidence, superpoints=superpoints, vocabulary=vocabulary, encoding=encoding
    )


class Tracker:
    """Instead of TemporalLabels: the frame of the cloud stands still."""

    def __init__(self):
        self.ids = ObjectIds()

    def object_ids(self, names, center, size):
        return self.ids.number(names, center, size)


def find(*centers, tracker=None, **more):
    cloud, segmentation = labeled(*centers, **more)
    return object_messages.find(cloud, segmentation, ObjectConfig(), tracker), cloud, segmentation


def test_objects_carry_class_score_box_and_the_version_of_the_vocabulary():
    found, cloud, _ = find([0, 0, 1], [3, 0, 1], [0, 4, 1])
    message = object_messages.objects_message(found)
    assert message.header == cloud.header and message.vocabulary_version == 7 and not message.tracked
    assert [(o.id, o.label, o.name, o.points) for o in message.objects] == [
        (0, 2, "table", 100), (1, 1, "chair", 100), (2, 1, "chair", 100)
    ]  # fmt: skip
    assert [o.score for o in message.objects] == pytest.approx([0.9, 0.6, 0.6])
    table = message.objects[0]
    np.testing.assert_allclose([table.pose.position.x, table.pose.position.y], [0, 4], atol=0.05)
    assert table.size.x >= table.size.y > 0.3 and 0.3 < table.size.z <= 0.4
    q = table.pose.orientation
    assert q.x == q.y == 0 and q.z**2 + q.w**2 == pytest.approx(1)


def test_detections_are_the_same_objects():
    pytest.importorskip("vision_msgs")
    found, cloud, _ = find([0, 0, 1], [3, 0, 1], [0, 4, 1], tracker=Tracker())
    detections, objects = object_messages.detections_message(found), object_messages.objects_message(found).objects
    assert detections.header == cloud.header
    for detection, o in zip(detections.detections, objects, strict=True):
        (result,) = detection.results
        assert (result.hypothesis.class_id, detection.id, detection.header) == (o.name, str(o.id), cloud.header)
        assert result.hypothesis.score == pytest.approx(o.score)
        assert (detection.bbox.center, detection.bbox.size, result.pose.pose) == (o.pose, o.size, o.pose)


def test_ids_follow_the_nearest_object_of_the_class():
    tracker = Tracker()
    first, *_ = find([0, 0, 1], [3, 0, 1], [0, 4, 1], tracker=tracker)
    assert first.tracked and sorted(first.ids) == [0, 1, 2]

    def ids(found):
        keys = np.round(found.objects.center[:, :2]).astype(int)
        return {(*key, label): i for key, label, i in zip(keys.tolist(), found.names(), found.ids.tolist(), strict=True)
                for key in [tuple(key)]}  # fmt: skip

    before = {(k[0], k[1]): i for k, i in ids(first).items()}
    # One chair has moved a little, the other is gone for two clouds, and a table stands where a chair was
    second, *_ = find([0.1, 0, 1], [3, 0, 1], [0, 4, 1], labels=(1, 2, 2), tracker=tracker)
    after = {(k[0], k[1]): i for k, i in ids(second).items()}
    assert after[0, 0] == before[0, 0] and after[0, 4] == before[0, 4] and after[3, 0] == 3
    third, *_ = find([0.1, 0, 1], [3, 0, 1], tracker=tracker)
    assert {(k[0], k[1]): i for k, i in ids(third).items()} == {(0, 0): before[0, 0], (3, 0): before[3, 0]}


def test_known_objects_are_bounded_and_those_not_seen_for_longest_are_forgotten(monkeypatch):
    monkeypatch.setattr(object_ids, "MAX_KNOWN", 10)
    ids, one = ObjectIds(), np.ones((1, 3))
    for k in range(25):
        assert ids.number(["chair"], np.array([[10.0 * k, 0, 0]]), one).tolist() == [k]
    assert len(ids._ids) == 10
    assert ids.number(["chair"], np.array([[10.0 * 20, 0, 0]]), one).tolist() == [20]
    assert ids.number(["chair"], np.array([[10.0 * 3, 0, 0]]), one).tolist() == [25]
    assert ids.number([], np.zeros((0, 3)), np.zeros((0, 3))).tolist() == []


def test_markers_show_boxes_words_and_a_legend_and_delete_what_is_gone():
    Marker = pytest.importorskip("visualization_msgs.msg").Marker
    made, tracker = markers.Markers(), Tracker()

    def show(*centers, topic="/points", inputs=("/points", "/rear"), **more):
        found, cloud, segmentation = find(*centers, tracker=tracker, **more)
        return made.message(found, cloud.xyz, segmentation.labels, topic, inputs).markers, found

    first, found = show([0, 0, 1], [3, 0, 1], [0, 4, 1])
    assert first[0].action == Marker.DELETEALL
    boxes = {m.id: m for m in first if m.ns == "boxes/points"}
    words = {m.id: m for m in first if m.ns == "words/points"}
    assert sorted(boxes) == sorted(words) == sorted(found.ids.tolist())
    for k, i in enumerate(found.ids.tolist()):
        box, word = boxes[i], words[i]
        assert (box.type, box.header.frame_id, word.text) == (Marker.CUBE, "lidar", found.names()[k])
        assert [box.scale.x, box.scale.y, box.scale.z] == pytest.approx(found.objects.size[k])
        assert [255 * box.color.r, 255 * box.color.b] == pytest.approx(COLORS[found.objects.label[k]][[0, 2]])
        assert word.pose.position.z > box.pose.position.z + box.scale.z / 2 and word.scale.z > 0
    legend = {m.text: m for m in first if m.ns == "legend/points"}
    assert set(legend) == {"floor", "chair 2", "table 1"}
    heights = [legend[name].pose.position.z for name in ("floor", "chair 2", "table 1")]
    assert heights == sorted(heights, reverse=True) and len({*heights}) == 3
    # One chair is gone, then the other topic shows something, which deletes nothing of the first
    second, left = show([0, 0, 1])
    deleted = {(m.ns, m.id) for m in second if m.action == Marker.DELETE}
    gone = set(found.ids.tolist()) - set(left.ids.tolist())
    assert deleted == {(ns, i) for ns in ("boxes/points", "words/points") for i in gone} | {("legend/points", 2)}
    shown = {(m.ns, m.id) for m in second if m.action == Marker.ADD}
    third, _ = show([0, 0, 1], topic="/rear")
    assert {m.action for m in third} == {Marker.ADD} and {m.ns.split("/")[1] for m in third} == {"rear"}
    # The first topic is no input any longer: all of its markers go, once
    fourth, _ = show([0, 0, 1], topic="/rear", inputs=("/rear",))
    assert {(m.ns, m.id) for m in fourth if m.action == Marker.DELETE} == shown
    assert {m.ns.split("/")[1] for m in show([0, 0, 1], topic="/rear", inputs=("/rear",))[0]} == {"rear"}


class FakeNode:
    """Publishers that count what is published; `subscribers` is how many each topic has."""

    def __init__(self):
        self.subscribers, self.sent, self.hints = {}, [], []

    def create_publisher(self, kind, topic, qos):
        return SimpleNamespace(
            topic=topic, publish=lambda message: self.sent.append((topic, message)),
            get_subscription_count=lambda: self.subscribers.get(topic, 0),
        )  # fmt: skip

    def destroy_publisher(self, publisher):
        self.hints.append(f"destroyed {publisher.topic}")

    def get_logger(self):
        return SimpleNamespace(info=lambda text, once: self.hints.append(text))


def subscribed(publisher) -> bool:
    return publisher is not None and publisher.get_subscription_count() > 0


def test_without_subscribers_nothing_is_computed(monkeypatch):
    node = FakeNode()
    outputs = object_outputs.ObjectOutputs(node, OutputConfig(), None, subscribed)
    monkeypatch.setattr(object_messages, "find", lambda *args: pytest.fail("computed for nobody"))
    outputs.publish(*labeled([0, 0, 1]), "/points", None, ())
    assert not outputs.wanted() and node.sent == []
    monkeypatch.undo()
    node.subscribers["~/objects"] = 1
    assert outputs.wanted()
    monkeypatch.setattr(markers.Markers, "message", lambda *args: pytest.fail("markers for nobody"))
    outputs.publish(*labeled([0, 0, 1]), "/points", None, ())
    assert [topic for topic, _ in node.sent] == ["~/objects"]
    outputs.destroy()
    assert not outputs.wanted() and "destroyed ~/objects" in node.hints


def test_outputs_whose_messages_are_not_installed_are_off_and_say_so(monkeypatch):
    monkeypatch.setattr(object_messages, "Detection3DArray", None)
    monkeypatch.setattr(markers, "MarkerArray", None)
    node = FakeNode()
    outputs = object_outputs.ObjectOutputs(node, OutputConfig(), None, subscribed)
    assert [*outputs._publishers] == ["objects"]
    assert [hint.split()[0] for hint in node.hints] == ["~/detections", "~/markers"]
    assert "apt install ros-$ROS_DISTRO-vision-msgs" in node.hints[0]
    node = FakeNode()
    assert (
        object_outputs.ObjectOutputs(node, OutputConfig(objects=False, markers=False), None, subscribed)._publishers
        == {}
    )
    assert node.hints == []
