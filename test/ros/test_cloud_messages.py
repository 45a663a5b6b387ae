"""PointCloud2 messages to arrays and back; names; summaries of labeled clouds. No ROS graph."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from s4token_model import constants

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from s4token_ros import cloud_messages, summaries

COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def structured(xyz, kind="<f4", extra=()):
    points = np.zeros(len(xyz), [("x", kind), ("y", kind), ("z", kind), *extra])
    for axis, name in enumerate("xyz"):
        points[name] = xyz[:, axis]
    return points


def labeled(cloud, labels=None):
    count = len(cloud.points)
    labels = np.arange(count, dtype=np.uint32) % 4 if labels is None else labels
    labels = np.where(labels == 3, constants.UNLABELED, labels).astype(np.uint32)
    confidence = np.linspace(0, 1, count, dtype=np.float32)
    return (
        labels,
        confidence,
        cloud_messages.labeled_points(cloud, labels, confidence, np.arange(count, dtype=np.uint32), COLORS),
    )


XYZ = np.random.default_rng(0).uniform(-100, 100, (24, 3))


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8", "<i2", ">i2", "<i4", "<u2", "i1"])
def test_positions_of_every_type_and_byte_order(kind):
    points = structured(XYZ.astype(kind), kind)
    message = cloud_messages.encode(points, Header())
    assert message.is_bigendian == (kind[0] == ">")
    np.testing.assert_array_equal(cloud_messages.decode(message).xyz, XYZ.astype(kind).astype(np.float64))


def test_row_padding_and_organized_shape():
    points = structured(XYZ)
    message = cloud_messages.encode(points, Header(), height=4)
    assert (message.height, message.width) == (4, 6)
    rows = np.frombuffer(message.data, np.uint8).reshape(4, -1)
    padded = np.concatenate([rows, np.full((4, 7), 255, np.uint8)], axis=1)
    message.data = padded.tobytes()
    message.row_step = padded.shape[1]
    cloud = cloud_messages.decode(message)
    np.testing.assert_array_equal(cloud.points, points)
    message.data = message.data[:-7]  # the last row may lack its padding
    np.testing.assert_array_equal(cloud_messages.decode(message).points, points)
    out = cloud_messages.labeled_cloud(cloud, labeled(cloud)[2])
    assert (out.height, out.width, out.row_step) == (4, 6, 6 * out.point_step)


@pytest.mark.parametrize("name", ["rgb", "rgba"])
@pytest.mark.parametrize("kind", ["<f4", "<u4", "<i4", ">f4"])
def test_packed_color(name, kind):
    points = structured(XYZ, kind[0] + "f4", [(name, kind)])
    value = np.array([0x00FF8001], "u4")
    points[name] = value.view("f4") if "f" in kind else value.astype(kind)
    rgb = cloud_messages.decode(cloud_messages.encode(points, Header())).rgb
    np.testing.assert_allclose(rgb, np.tile([1.0, 128 / 255, 1 / 255], (24, 1)), atol=1e-6)


def test_separate_colors_and_none():
    points = structured(XYZ, extra=[("red", "u1"), ("green", "u1"), ("blue", "u1")])
    points["red"], points["blue"] = 255, 51
    rgb = cloud_messages.decode(cloud_messages.encode(points, Header())).rgb
    np.testing.assert_allclose(rgb[0], [1, 0, 0.2], atol=1e-6)
    assert cloud_messages.decode(cloud_messages.encode(structured(XYZ), Header())).rgb is None


def test_labeled_cloud_keeps_fields_stamp_and_frame():
    points = structured(XYZ, extra=[("intensity", "<f4"), ("ring", "<u2"), ("t", "<f8"), ("many", "<i2", (3,))])
    points["intensity"], points["ring"], points["t"] = np.arange(24), np.arange(24), np.arange(24) * 1e-9
    points["many"] = np.arange(72).reshape(24, 3)
    header = Header(frame_id="lidar")
    header.stamp.sec, header.stamp.nanosec = 12, 34
    cloud = cloud_messages.decode(cloud_messages.encode(points, header, height=3))
    labels, confidence, out = labeled(cloud)
    message = deserialize_message(serialize_message(cloud_messages.labeled_cloud(cloud, out)), PointCloud2)
    back = cloud_messages.decode(message).points
    assert message.header == header and (message.height, message.width) == (3, 8)
    for name in points.dtype.names:
        np.testing.assert_array_equal(back[name], points[name])
    kinds = {f.name: f.datatype for f in message.fields}
    assert kinds["label"] == kinds["superpoint"] == PointField.UINT32
    assert kinds["confidence"] == kinds["rgb"] == PointField.FLOAT32
    np.testing.assert_array_equal(back["label"], labels)
    np.testing.assert_array_equal(back["confidence"], confidence)
    colors = cloud_messages.decode(message).rgb * 255
    np.testing.assert_allclose(colors[:3], COLORS, atol=0.01)
    np.testing.assert_allclose(colors[3], constants.UNLABELED_COLOR, atol=0.01)


def test_taken_names_are_kept_under_another_name():
    points = structured(XYZ, extra=[("rgb", "<f4"), ("label", "<u2")])
    points["rgb"], points["label"] = 7, 9
    cloud = cloud_messages.decode(cloud_messages.encode(points, Header()))
    once = cloud_messages.decode(cloud_messages.labeled_cloud(cloud, labeled(cloud)[2]))
    assert (once.points["input_rgb"] == 7).all() and (once.points["input_label"] == 9).all()
    twice = cloud_messages.decode(cloud_messages.labeled_cloud(once, labeled(once)[2]))
    assert (twice.points["input_rgb"] == 7).all() and (twice.points["input_label"] == 9).all()
    assert len(set(twice.points.dtype.names)) == len(twice.points.dtype.names)


def test_big_endian_output_is_read_back():
    cloud = cloud_messages.decode(cloud_messages.encode(structured(XYZ, ">f4"), Header()))
    labels, confidence, out = labeled(cloud)
    back = cloud_messages.decode(cloud_messages.labeled_cloud(cloud, out)).points
    np.testing.assert_array_equal(back["label"], labels)
    np.testing.assert_array_equal(back["confidence"], confidence)


def test_class_cloud_has_the_points_of_the_class():
    cloud = cloud_messages.decode(cloud_messages.encode(structured(XYZ), Header(), height=2))
    labels, _, out = labeled(cloud)
    for label in range(4):
        part = cloud_messages.decode(cloud_messages.class_cloud(cloud, out, label))
        assert part.height == 1
        np.testing.assert_array_equal(part.xyz, cloud.xyz[labels == label])


def test_similarity_cloud_has_a_field_per_text():
    cloud = cloud_messages.decode(cloud_messages.encode(structured(XYZ), Header(), height=2))
    scores = np.random.default_rng(1).random((24, 3)).astype(np.float32)
    scores[5] = np.nan
    message = cloud_messages.similarity_cloud(cloud, ["a red chair", "x", "椅子"], scores)
    back = cloud_messages.decode(message).points
    assert message.height == 2
    for i, name in enumerate(("similarity_a_red_chair", "similarity_x", "similarity_text_2")):
        np.testing.assert_array_equal(back[name], scores[:, i])


def field(name, offset, datatype=PointField.FLOAT32, count=1):
    return PointField(name=name, offset=offset, datatype=datatype, count=count)


def valid():
    return cloud_messages.encode(structured(XYZ), Header(), height=2)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"fields": []}, "no field 'x'"),
        ({"fields": [field("x", 0), field("y", 4)]}, "no field 'z'"),
        ({"data": b"\0" * 100}, "data holds 100 bytes"),
        ({"data": b""}, "data holds 0 bytes"),
        ({"width": 13, "row_step": 156}, "data holds 288 bytes"),
        ({"row_step": 143, "data": b"\0" * 289}, "row_step is 143"),
        ({"point_step": 11}, "beyond point_step 11"),
        ({"point_step": 0}, "point_step"),
        ({"fields": [field("x", 0), field("y", 4), field("z", 4_000_000_000)]}, "'z' ends at byte"),
        ({"fields": [field("x", 0, 99), field("y", 4), field("z", 8)]}, "datatype 99"),
        ({"fields": [field("x", 0, count=2), field("y", 4), field("z", 8)]}, "count 1"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, "data holds 288 bytes"),
    ],
)
def test_wrong_messages_are_refused_with_the_value(change, reason):
    message = valid()
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match=reason):
        cloud_messages.decode(message)


@pytest.mark.parametrize("height, width", [(0, 0), (1, 0), (0, 5)])
def test_no_points(height, width):
    message = valid()
    message.height, message.width, message.data, message.row_step = height, width, b"", width * message.point_step
    cloud = cloud_messages.decode(message)
    assert cloud.xyz.shape == (0, 3)
    out = cloud_messages.labeled_cloud(cloud, labeled(cloud)[2])
    assert len(out.data) == 0 and "label" in [f.name for f in out.fields]


def test_names_are_valid_and_distinct():
    words = [
        "Café table",
        "cafe  table",
        "3D printer",
        "椅子",
        "a__b_",
        "-",
        "x" * 300,
        "sofa/couch",
        "cafe_table_2",
        "",
    ]
    names = cloud_messages.ros_names(words)
    assert names[:3] == ["cafe_table", "cafe_table_2", "n3d_printer"] and names[7] == "sofa_couch"
    assert len(set(names)) == len(words)
    from rclpy.validate_full_topic_name import validate_full_topic_name

    for name in names:
        assert validate_full_topic_name(f"/s4token/class/{name}") and "__" not in name and not name.endswith("_")


def test_decode_and_encode_take_milliseconds():
    count = 130_000
    rng = np.random.default_rng(0)
    extra = [("intensity", "<f4"), ("ring", "<u2"), ("pad", "<u2"), ("t", "<f8"), ("more", "<f4")]
    points = structured(rng.normal(size=(count, 3)), extra=extra)
    assert points.dtype.itemsize == 32
    message = cloud_messages.encode(points, Header())
    labels = rng.integers(0, 3, count).astype(np.uint32)
    confidence = rng.random(count, dtype=np.float32)
    best = np.inf
    for _ in range(7):
        start = time.thread_time()
        cloud = cloud_messages.decode(message)
        out = cloud_messages.labeled_cloud(
            cloud, cloud_messages.labeled_points(cloud, labels, confidence, labels, COLORS)
        )
        best = min(best, time.thread_time() - start)
    assert len(out.data) == count * out.point_step
    assert best < 0.06, f"{best * 1e3:.1f} ms"  # of CPU time: the machine may be busy


def segmentation(labels, superpoints, confidence, names=("a", "b", "c"), version=4):
    words = SimpleNamespace(names=names, version=version)
    return SimpleNamespace(
        labels=labels, superpoints=superpoints, confidence=confidence, vocabulary=words, unlabeled_reason="why"
    )


def test_scene_classes_against_a_loop():
    rng = np.random.default_rng(3)
    xyz = rng.normal(size=(500, 3)) + 1e6
    labels = rng.choice([0, 2, constants.UNLABELED], 500).astype(np.uint32)
    superpoints = rng.integers(0, 40, 500).astype(np.uint32)
    confidence = rng.random(500, dtype=np.float32)
    message = summaries.scene_classes(Header(frame_id="map"), xyz, segmentation(labels, superpoints, confidence))
    assert (message.vocabulary_version, message.points) == (4, 500)
    assert message.unlabeled == (labels == constants.UNLABELED).sum()
    assert [c.points for c in message.classes] == sorted((c.points for c in message.classes), reverse=True)
    assert {c.label for c in message.classes} == {0, 2}
    for c in message.classes:
        mine = labels == c.label
        assert c.name == "abc"[c.label] and c.points == mine.sum()
        assert c.superpoints == len(set(superpoints[mine]))
        assert c.confidence == pytest.approx(confidence[mine].mean(), abs=1e-6)
        low, high = xyz[mine].min(0), xyz[mine].max(0)
        np.testing.assert_allclose([c.centroid.x, c.centroid.y, c.centroid.z], xyz[mine].mean(0), rtol=0, atol=1e-6)
        np.testing.assert_allclose([c.extent.x, c.extent.y, c.extent.z], high - low, rtol=0, atol=1e-6)
        np.testing.assert_allclose([c.center.x, c.center.y, c.center.z], (high + low) / 2, rtol=0, atol=1e-6)


def test_scene_classes_of_nothing():
    labels = np.full(3, constants.UNLABELED, np.uint32)
    message = summaries.scene_classes(Header(), np.full((3, 3), np.nan), segmentation(labels, labels, labels))
    assert message.unlabeled == 3 and message.unlabeled_reason == "why" and not message.classes


def test_matches_against_a_loop():
    rng = np.random.default_rng(4)
    xyz = rng.normal(size=(300, 3))
    superpoints = rng.integers(0, 12, 300).astype(np.uint32)
    superpoints[:20] = constants.NO_SUPERPOINT
    scores = rng.normal(size=(300, 2)).astype(np.float32)
    scores[:20] = np.nan
    found = summaries.matches(["one", "two"], scores, superpoints, xyz, limit=4)
    assert [m.text for m in found] == ["one"] * 4 + ["two"] * 4
    for t, text in enumerate(["one", "two"]):
        means = {s: scores[superpoints == s, t].mean() for s in range(12)}
        best = sorted(means, key=lambda s: -means[s])[:4]
        mine = [m for m in found if m.text == text]
        assert [m.superpoint for m in mine] == best
        np.testing.assert_allclose([m.score for m in mine], [means[s] for s in best], atol=1e-6)
        assert mine[0].points == (superpoints == best[0]).sum()
    assert summaries.matches(["one"], scores[:20, :1], superpoints[:20], xyz[:20], 4) == []


def test_label_info_carries_the_classes(monkeypatch):
    monkeypatch.setattr(summaries, "LabelInfo", SimpleNamespace)  # vision_msgs is not on PyPI
    monkeypatch.setattr(summaries, "VisionClass", SimpleNamespace)
    words = SimpleNamespace(names=("chair", "table"), thresholds=np.array([0.5, 0.25]))
    message = summaries.label_info(words, Header(frame_id="f"))
    assert [(c.class_id, c.class_name) for c in message.class_map] == [(0, "chair"), (1, "table")]
    assert message.threshold == 0.25


def test_five_million_points():
    points = np.zeros(5_000_000, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])
    points["x"] = np.arange(5_000_000)
    cloud = cloud_messages.decode(cloud_messages.encode(points, Header()))
    labels, _, out = labeled(cloud)
    message = cloud_messages.labeled_cloud(cloud, out)
    assert (message.height, message.width) == (1, 5_000_000)
    back = cloud_messages.decode(message).points
    assert back["x"][-1] == 4_999_999 and (back["label"] == labels).all()


def test_a_default_constructed_cloud_is_an_empty_one_and_is_published_as_such():
    cloud = cloud_messages.decode(PointCloud2())
    none = np.zeros(0, np.uint32)
    points = cloud_messages.labeled_points(cloud, none, none.astype(np.float32), none, np.zeros((1, 3), np.uint8))
    message = cloud_messages.labeled_cloud(cloud, points)
    assert cloud.xyz.shape == (0, 3) and cloud.notes == () and message.width * message.height == 0
    assert [f.name for f in message.fields] == ["x", "y", "z", "label", "confidence", "superpoint", "rgb", "vocabulary"]


def test_fields_that_are_renamed_or_not_used_are_noted():
    message = valid()
    message.fields = [*message.fields, field("x", 0), field("far", 4000)]
    notes = cloud_messages.decode(message).notes
    assert "'x' -> 'x_2'" in notes[0] and "field 'far' ends at byte 4004" in notes[1]
