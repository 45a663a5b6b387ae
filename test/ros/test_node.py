"""The node as a process, through real DDS, with a segmenter that needs no network. One process serves all tests."""

from __future__ import annotations

import time

import numpy as np
import pytest

from s4token_model import constants

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import ros_helpers as ros
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters
from ros_helpers import arrays, cloud, figures, label_cloud, room, set_parameter, wait_for
from sensor_msgs.msg import PointCloud2, PointField

from s4token_interfaces.msg import Objects
from s4token_model.config import Config, options
from s4token_model.objects import find_objects
from s4token_ros.options import NodeConfig
from s4token_ros.qos import cloud_qos


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    domain = ros.claim_domain()
    log = tmp_path_factory.mktemp("node") / "log"
    arguments = ("-p", "diagnostics.period:=0.1", "-p", "diagnostics.stale_after:=1.0")
    process = ros.NodeProcess(domain, log, *arguments, FAKE_SECONDS="0.02")
    with ros.peer_of(process, domain) as peer:
        yield peer


@pytest.fixture
def peer(running):
    """The peer, with the vocabulary every test starts from; a test's subscriptions are gone afterwards."""
    assert running.set_vocabulary("floor", "wall", "chair", thresholds=[0.0]).success
    before = set(running.node.subscriptions)
    yield running
    for subscription in set(running.node.subscriptions) - before:
        running.node.destroy_subscription(subscription)


def status(peer):
    """The next diagnostics."""
    collected = peer.diagnostics()
    wait_for(lambda: len(collected) > 1)  # the first may have been on its way
    collected.close()
    return figures(collected[-1])


def status_while_clouds_arrive(peer, wanted):
    """The first diagnostics that are wanted(figures): when clouds pause, the message becomes one about that."""
    collected, found = peer.diagnostics(), {}

    def arrived():
        peer.points.publish(cloud(room(500), "lidar_top"))
        time.sleep(0.05)
        found.update(figures(collected[-1]) if collected else {})
        return found and wanted(found) and "no cloud" not in found["message"]

    wait_for(arrived, what="the diagnostics")
    collected.close()
    return found


def test_fields_shape_stamp_and_frame_are_kept(peer):
    points = room(1200)
    points["x"][7] = np.nan
    message = cloud(points, "lidar_top", height=4)
    answer = label_cloud(peer, message)
    assert answer.header == message.header and (answer.height, answer.width) == (4, 300)
    assert [f.name for f in answer.fields][:6] == list(points.dtype.names)
    back = arrays(answer)
    for name in points.dtype.names:
        np.testing.assert_array_equal(back[name], points[name])
    valid = np.arange(1200) != 7
    assert back["label"][7] == constants.UNLABELED and back["superpoint"][7] == constants.NO_SUPERPOINT
    np.testing.assert_array_equal(back["superpoint"][valid], (np.arange(1200) // 100)[valid])
    assert set(back["label"][valid]) == {0, 1, 2}


def test_vocabulary_is_latched_for_late_joiners(peer):
    version = peer.set_vocabulary("sofa", "lamp", thresholds=[0.25, 0.5]).version
    late = ros.Peer(peer.domain, "late")
    try:
        collected = late.vocabulary()
        wait_for(lambda: collected)
        message = collected[-1]
        assert (message.version, list(message.names)) == (version, ["sofa", "lamp"])
        assert list(message.thresholds) == [0.25, 0.5] and len(message.colors) == 2
    finally:
        late.close()
    answer = peer.get_vocabulary()
    assert answer.success and answer.vocabulary.names == ["sofa", "lamp"] and answer.vocabulary.version == version


def test_a_new_vocabulary_relabels_the_last_cloud_without_the_network(peer):
    collected, classes = peer.labeled(), peer.classes()
    peer.connect(collected, classes)
    first = label_cloud(peer, cloud(room()), collected)
    answer = peer.set_vocabulary("one", "two", "three", "four", "five")
    assert answer.success and answer.relabeled
    wait_for(lambda: len(collected.by_stamp(first.header.stamp)) == 2)
    again = collected.by_stamp(first.header.stamp)[1]
    before, after = arrays(first), arrays(again)
    np.testing.assert_array_equal(after["label"], (after["superpoint"] + answer.version) % 5)
    assert after["confidence"][0] == before["confidence"][0]  # the fake counts the clouds it encoded there
    wait_for(lambda: any(c.vocabulary_version == answer.version for c in classes))


@pytest.mark.parametrize(
    "names, more, reason",
    [
        ([], {}, "empty"),
        (["chair", " "], {}, "empty word"),
        (["chair", "table", "chair"], {}, "'chair' is repeated"),
        (["chair"], {"templates": ["a photo"]}, "must contain {}"),
        (["chair", "table"], {"thresholds": [0.1, 0.2, 0.3]}, "3 thresholds for 2 words"),
        (["chair"], {"thresholds": [1.5]}, "[0, 1]"),
        (["chair"], {"thresholds": [float("nan")]}, "[0, 1]"),
    ],
)
def test_a_bad_vocabulary_is_rejected_with_the_reason(peer, names, more, reason):
    before = peer.get_vocabulary().vocabulary
    answer = peer.set_vocabulary(*names, **more)
    assert not answer.success and answer.version == before.version
    assert reason in answer.message, answer.message
    assert peer.get_vocabulary().vocabulary.names == before.names


def test_class_names_of_all_kinds(peer):
    answer = peer.set_vocabulary(*[f"word {i}" for i in range(1000)], "椅子", "3D printer")
    assert answer.success
    assert len(peer.get_vocabulary().vocabulary.names) == 1002
    wait_for(lambda: sum(t.startswith("/s4token/class/") for t in peer.topics()) == 64)  # output.class_topics
    assert status(peer)["vocabulary_size"] == "1002"
    assert peer.set_vocabulary("椅子").success
    wait_for(lambda: "/s4token/class/class_0" in peer.topics())


def test_class_names_keep_their_spelling_and_repeats_of_it_are_refused(peer):
    names = ["The Chairs", "dining_table", "night-stand", "TVs"]
    assert peer.set_vocabulary(*names).success
    assert peer.get_vocabulary().vocabulary.names == names
    wait_for(lambda: {"/s4token/class/the_chairs", "/s4token/class/night_stand"} <= peer.topics())
    for repeated in (("Chair", "chair"), ("chairs", "chair"), ("dining_table", "dining table")):
        answer = peer.set_vocabulary(*repeated)
        assert not answer.success and f"{repeated[1]!r} is repeated" in answer.message


def test_warnings_about_words_come_with_the_vocabulary(peer):
    collected = peer.vocabulary()
    answer = peer.set_vocabulary("floor", "xyzzy")
    assert answer.success and answer.message == "'xyzzy' is unknown to this model"
    read = peer.set_vocabulary("floor", "loveseat", "xyzzy").message
    assert read == f"{answer.message}; the model reads 'loveseat' as 'sofa'"
    assert peer.set_vocabulary("floor", "xyzzy").message == answer.message
    found = peer.get_vocabulary().vocabulary
    assert found.warnings == [answer.message] and len(found.known) == 2 and np.isnan(found.known).all()
    wait_for(lambda: collected and collected[-1].warnings == [answer.message])
    label_cloud(peer, cloud(room()))
    wait_for(lambda: answer.message in status(peer)["warnings"])
    answer = peer.set_vocabulary("floor", "wall")
    assert answer.success and answer.message == "" and peer.get_vocabulary().vocabulary.warnings == []


def test_class_topics_live_as_long_as_their_classes(peer):
    peer.set_vocabulary("chair", "coffee table")
    wait_for(lambda: {"/s4token/class/chair", "/s4token/class/coffee_table"} <= peer.topics())
    wait_for(lambda: "/s4token/class/wall" not in peer.topics(), what="the end of an old topic")
    chairs = peer.collect(PointCloud2, "/s4token/class/chair")
    peer.connect(chairs)
    message = label_cloud(peer, cloud(room()))
    labeled = arrays(message)
    wait_for(lambda: chairs.by_stamp(message.header.stamp))
    np.testing.assert_array_equal(arrays(chairs.by_stamp(message.header.stamp)[0]), labeled[labeled["label"] == 0])
    peer.set_vocabulary("lamp")
    chairs.close()
    wait_for(lambda: "/s4token/class/chair" not in peer.topics(), what="the end of the topic")


def test_classes_agree_with_the_labeled_cloud(peer):
    classes = peer.classes()
    peer.connect(classes)
    answer = label_cloud(peer, cloud(room(1050)))
    wait_for(lambda: classes.by_stamp(answer.header.stamp))
    message = classes.by_stamp(answer.header.stamp)[0]
    assert message.header == answer.header and message.points == 1050 and message.unlabeled == 0
    labels = arrays(answer)["label"]
    assert {c.label: c.points for c in message.classes} == {i: (labels == i).sum() for i in range(3)}
    assert {c.label: c.name for c in message.classes} == {0: "floor", 1: "wall", 2: "chair"}


def test_query_ranks_superpoints_and_shows_similarity(peer):
    points = room()
    answer = label_cloud(peer, cloud(points, "kitchen"))
    similarity = peer.collect(PointCloud2, "/s4token/similarity")
    wait_for(lambda: peer.query("sofa").success and similarity, what="similarities, once the subscription is known")
    similarity.clear()
    found = peer.query("mug", "lamps", max_matches=3)  # the fake likes superpoints 3 and 5
    assert found.success and found.header == answer.header
    assert [m.text for m in found.matches] == ["mug"] * 3 + ["lamps"] * 3
    assert [found.matches[i].superpoint for i in (0, 3)] == [3, 5]
    best = found.matches[0]
    mine = np.stack([points[n][300:400] for n in "xyz"], 1).astype(float)
    np.testing.assert_allclose([best.centroid.x, best.centroid.y, best.centroid.z], mine.mean(0), atol=1e-5)
    np.testing.assert_allclose([best.extent.x, best.extent.y, best.extent.z], np.ptp(mine, axis=0), atol=1e-5)
    assert best.points == 100 and best.score == pytest.approx(0.9)
    wait_for(lambda: similarity)
    scores = arrays(similarity[-1])["similarity_mug"]
    np.testing.assert_allclose(scores, np.where(np.arange(1000) // 100 == 3, 0.9, 0.1), atol=1e-6)
    assert len(peer.query("chair").matches) == 5
    for texts in ([], [""], ["a", "a"]):
        assert not peer.query(*texts).success
    similarity.clear()
    message = cloud(room(500))
    peer.points.publish(message)  # and the clouds after it show the last valid query
    wait_for(lambda: similarity.by_stamp(message.header.stamp))
    assert "similarity_chair" in [f.name for f in similarity[-1].fields]


def test_no_work_without_subscribers_but_a_query_is_answered(peer):
    before = status(peer)
    for _ in range(5):
        last = cloud(room(), "idle")
        peer.points.publish(last)
        time.sleep(0.05)
    wait_for(lambda: int(status(peer)["clouds_received"]) == int(before["clouds_received"]) + 5)
    after = status(peer)
    assert after["clouds_labeled"] == before["clouds_labeled"]
    assert int(after["skipped_without_subscribers"]) >= int(before["skipped_without_subscribers"]) + 4
    assert after["dropped_stale"] == before["dropped_stale"]
    assert "no output has a subscriber" in after["message"] and after["level"] == "0"
    assert peer.query("sofa").header == last.header  # the newest cloud was kept
    collected = peer.labeled()
    wait_for(lambda: collected.by_stamp(last.header.stamp), what="the cloud that the query encoded")


def test_the_last_cloud_waits_for_a_subscriber(peer):
    message = cloud(room())
    peer.points.publish(message)
    time.sleep(0.3)
    collected = peer.labeled()
    wait_for(lambda: collected.by_stamp(message.header.stamp))


def test_the_vocabulary_changes_atomically_under_load(peer):
    collected, classes = peer.labeled(), peer.classes()
    peer.connect(collected, classes)
    sizes = {}
    clouds = [cloud(room(2000, seed)) for seed in range(60)]
    for i, message in enumerate(clouds):
        peer.points.publish(message)
        time.sleep(0.03)
        if i % 3 == 0:
            names = [f"w{n}" for n in range(3 + i % 5)]
            answer = peer.set_vocabulary(*names)
            sizes[answer.version] = len(names)
    wait_for(lambda: classes.by_stamp(clouds[-1].header.stamp) and collected.by_stamp(clouds[-1].header.stamp))
    versions = {}
    for message in classes:
        versions.setdefault((message.header.stamp.sec, message.points), set()).add(message.vocabulary_version)
    checked = set()
    for message in collected:
        points = arrays(message)
        fits = [v for v in versions[(message.header.stamp.sec, len(points))]
                if (points["label"] == (points["superpoint"] + v) % sizes.get(v, 3)).all()]  # fmt: skip
        assert fits, "a cloud mixes two vocabularies, or ~/classes names another version"
        checked |= set(fits)
    assert len(checked) > 10 and len(collected) > 40
    order = [m.vocabulary_version for m in classes]
    assert order == sorted(order), "labels of an older version came after a newer one"


def test_stale_clouds_are_dropped_and_counted(peer):
    collected = peer.labeled()
    label_cloud(peer, cloud(room()), collected)
    before = status(peer)
    burst = [cloud(room(30_000)) for _ in range(20)]
    for message in burst:
        peer.points.publish(message)
    wait_for(lambda: collected.by_stamp(burst[-1].header.stamp), what="the newest cloud")
    after = status(peer)
    done = int(after["clouds_labeled"]) - int(before["clouds_labeled"])
    stale = int(after["dropped_stale"]) - int(before["dropped_stale"])
    assert stale > 0 and done + stale == int(after["clouds_received"]) - int(before["clouds_received"])
    stamps = [m.header.stamp.sec for m in collected]
    assert stamps == sorted(stamps)


def test_diagnostics(peer):
    label_cloud(peer, cloud(room()))
    collected = peer.labeled()
    for _ in range(5):
        label_cloud(peer, cloud(room()), collected)
    found = status(peer)
    assert found["level"] == "0" and "labeling at" in found["message"]
    assert float(found["rate_hz"]) > 0 and found["device"] == "cpu" and found["state"] == "active"
    for stage in ("decode", "superpoints", "encoder", "propagation", "publish"):
        assert float(found[f"latency_ms.{stage}"]) > 0, stage
    assert int(found["vocabulary_version"]) == peer.get_vocabulary().vocabulary.version
    wait_for(lambda: "no cloud for" in status(peer)["message"], what="a hint after the clouds stopped")
    found = status(peer)
    assert found["level"] == "1" and "1 publisher(s) of /points with compatible QoS" in found["message"]


def bad(**changes):
    message = cloud(room())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def xyz_field(name, offset, datatype=PointField.FLOAT32):
    return PointField(name=name, offset=offset, datatype=datatype, count=1)


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda: bad(fields=[xyz_field("y", 4), xyz_field("z", 8)]), "no field 'x'"),
        (lambda: bad(fields=[]), "no field 'x'"),
        (lambda: bad(data=b"\0" * 77), "data holds 77 bytes"),
        (lambda: bad(row_step=5, height=3, width=300), "row_step is 5"),
        (lambda: bad(point_step=8), "beyond point_step 8"),
        (lambda: bad(fields=[xyz_field("x", 0, 77), xyz_field("y", 4), xyz_field("z", 8)]), "datatype 77"),
        (lambda: cloud(room(ros.FAILING_POINTS)), "too unlucky"),
    ],
)
def test_a_bad_cloud_is_reported_and_the_node_goes_on(peer, make, reason):
    collected = peer.labeled()
    label_cloud(peer, cloud(room()), collected)
    failed = int(status(peer)["dropped_failed"])
    message = make()
    peer.points.publish(message)
    wait_for(lambda: int(status(peer)["dropped_failed"]) == failed + 1)
    found = status(peer)
    assert found["level"] == "2" and reason in found["message"], found["message"]
    assert not collected.by_stamp(message.header.stamp)
    label_cloud(peer, cloud(room()), collected)
    assert status(peer)["level"] == "0"


def odd_clouds():
    nan, inf = room(300), room(300)
    for axis in "xyz":
        nan[axis] = np.nan
    inf["y"][10], inf["z"][20], inf["x"][30] = np.inf, -np.inf, np.nan
    same, padded = room(300), cloud(room(300), height=3)
    for axis in "xyz":
        same[axis] = 1.5
    rows = np.frombuffer(padded.data, np.uint8).reshape(3, -1)
    padded.data = np.concatenate([rows, np.zeros((3, 40), np.uint8)], 1).tobytes()
    padded.row_step += 40
    empty = cloud(room(0))
    return {
        "no points": (empty, 0),
        "one point": (cloud(room(1)), 1),
        "all NaN": (cloud(nan), 0),
        "infinite": (cloud(inf), 297),
        "all equal": (cloud(same), 300),
        "big-endian": (cloud(room(300).astype(room(0).dtype.newbyteorder(">"))), 300),
        "float64": (cloud(room(300, kind="<f8")), 300),
        "integer": (cloud(room(300, kind="<i2")), 300),
        "row padding": (padded, 300),
        "empty frame": (cloud(room(300), frame=""), 300),
    }


@pytest.mark.parametrize("case", list(odd_clouds()))
def test_odd_clouds_are_labeled_as_far_as_possible(peer, case):
    message, expected = odd_clouds()[case]
    answer = label_cloud(peer, message)
    assert answer.header == message.header and (answer.height, answer.width) == (message.height, message.width)
    points = arrays(answer)
    assert (points["label"] != constants.UNLABELED).sum() == expected
    np.testing.assert_array_equal(points["x"], arrays(message)["x"])
    if case == "empty frame":
        collected = peer.labeled()
        label_cloud(peer, cloud(room(), frame=""), collected)
        assert "frame_id" in status(peer)["message"]
    if case == "all NaN":
        collected = peer.labeled()
        label_cloud(peer, message, collected)
        assert "all points are not finite" in status(peer)["message"]


def test_every_config_path_is_a_parameter_with_range_and_text(peer):
    paths = {**options(NodeConfig()), **options(Config())}
    found = peer.call(DescribeParameters, "/s4token/describe_parameters", names=list(paths)).descriptors
    values = peer.call(GetParameters, "/s4token/get_parameters", names=list(paths)).values
    for descriptor, value, (path, (default, item)) in zip(found, values, paths.items(), strict=True):
        assert descriptor.name == path and descriptor.description == item.metadata["doc"]
        if item.metadata["low"] is not None and isinstance(default, int):
            bounds = descriptor.integer_range[0]
            assert (bounds.from_value, bounds.to_value) == (item.metadata["low"], item.metadata["high"])
        if item.metadata["low"] is not None and isinstance(default, float):
            bounds = descriptor.floating_point_range[0]
            assert (bounds.from_value, bounds.to_value) == (item.metadata["low"], item.metadata["high"])
        for choice in item.metadata["choices"]:
            assert choice in descriptor.additional_constraints
        assert value.type != ParameterType.PARAMETER_BYTE_ARRAY, path


@pytest.mark.parametrize(
    "name, value, reason",
    [
        ("sampling.tokens", 0, "sampling.tokens"),
        ("superpoints.regularization", -1.0, "superpoints.regularization"),
        ("superpoints.regularization", float("nan"), "superpoints.regularization"),
        ("superpoints.solver", "magic", "is not one of"),
        ("patches.grouping", "", "is not one of"),
        ("sampling.tokens", "many", "type"),
        ("vocabulary.labels", "no-such-file", "labels 'no-such-file' cannot be chosen"),
        ("vocabulary.names", ["chair", "chair"], "'chair' is repeated"),
        ("device", "tpu", "'tpu' is not available"),
        ("autostart", False, "read-only"),
        ("model", "other", "read-only"),
        ("input.topics", [], "input.topics is empty"),
        ("diagnostics.period", 0.0, "diagnostics.period"),
    ],
)
def test_wrong_parameters_are_rejected_with_the_reason(peer, name, value, reason):
    before = peer.call(GetParameters, "/s4token/get_parameters", names=[name]).values[0]
    result = set_parameter(peer, name, value)
    assert not result.successful and reason in result.reason, result.reason
    assert peer.call(GetParameters, "/s4token/get_parameters", names=[name]).values[0] == before


def test_labels_that_names_hide_are_refused(peer):
    assert set_parameter(peer, "vocabulary.names", ["sofa", "bed"]).successful
    for labels in ("/no/such/file", "scannet20"):
        result = set_parameter(peer, "vocabulary.labels", labels)
        assert not result.successful
        assert "vocabulary.names (sofa, bed) takes precedence; empty it first" in result.reason
    assert peer.get_vocabulary().vocabulary.names == ["sofa", "bed"]
    assert set_parameter(peer, "vocabulary.names", [""]).successful
    assert set_parameter(peer, "vocabulary.labels", "scannet20").successful
    assert len(peer.get_vocabulary().vocabulary.names) == 20


def test_parameters_change_the_running_node(peer):
    version = peer.get_vocabulary().vocabulary.version
    assert set_parameter(peer, "sampling.tokens", 256).successful  # another segmenter, the same vocabulary
    kept = peer.get_vocabulary().vocabulary
    assert kept.version == version + 1 and kept.names == ["floor", "wall", "chair"]
    assert set_parameter(peer, "superpoints.regularization", 1).successful  # an integer for a number
    assert set_parameter(peer, "vocabulary.names", ["sofa", "bed"]).successful
    assert peer.get_vocabulary().vocabulary.names == ["sofa", "bed"]
    assert set_parameter(peer, "output.class_topics", 1).successful
    wait_for(lambda: {t for t in peer.topics() if "/class/" in t} == {"/s4token/class/sofa"})
    assert set_parameter(peer, "output.class_topics", 64).successful
    label_cloud(peer, cloud(room()))
    other = peer.publisher("elsewhere")
    assert set_parameter(peer, "input.topics", ["elsewhere"]).successful
    wait_for(lambda: other.get_subscription_count() == 1 and peer.points.get_subscription_count() == 0)
    assert set_parameter(peer, "input.topics", ["points"]).successful
    wait_for(lambda: peer.points.get_subscription_count() == 1)
    peer.node.destroy_publisher(other)
    label_cloud(peer, cloud(room()))


def test_subscription_follows_best_effort_publishers(peer):
    best_effort = peer.publisher(qos=cloud_qos("best_effort", 5))
    try:
        wait_for(lambda: best_effort.get_subscription_count() == 1, what="a best-effort subscription")
        collected = peer.labeled()
        peer.connect(collected, publisher=best_effort)
        message = cloud(room())
        best_effort.publish(message)
        wait_for(lambda: collected.by_stamp(message.header.stamp))
    finally:
        peer.node.destroy_publisher(best_effort)
    wait_for(lambda: peer.points.get_subscription_count() == 1)


def test_large_best_effort_clouds_arrive(peer):
    best_effort = peer.publisher(qos=cloud_qos("best_effort", 5))
    points = room(174_000)
    assert points.nbytes > 4e6 * 0.8
    collected = peer.collect(PointCloud2, "/s4token/labeled", cloud_qos("best_effort", 5))
    try:
        wait_for(lambda: best_effort.get_subscription_count() == 1)
        peer.connect(collected, publisher=best_effort)
        sent = []
        for _ in range(10):
            sent.append(cloud(points))
            best_effort.publish(sent[-1])
            wait_for(lambda: collected.by_stamp(sent[-1].header.stamp), 15, "a large cloud")
            assert len(collected[-1].data) > 4e6
    finally:
        peer.node.destroy_publisher(best_effort)


def test_a_gravity_frame_that_tf2_does_not_know_is_in_the_diagnostics_and_clouds_are_labeled(peer):
    labeled = peer.labeled()  # without subscribers the node is idle, and says so
    assert set_parameter(peer, "input.gravity_frame", "odom_of_nobody").successful
    try:
        label_cloud(peer, cloud(room(500), "lidar_top"), labeled)
        expected = "input.gravity_frame: no transform from frame 'lidar_top' to 'odom_of_nobody': "
        told = status_while_clouds_arrive(peer, lambda found: found["warnings"].startswith(expected))
        assert expected in told["message"] and told["level"] == "1"
    finally:
        assert set_parameter(peer, "input.gravity_frame", "").successful
    status_while_clouds_arrive(peer, lambda found: found["warnings"] == "")


def test_objects_are_those_of_the_labels_of_the_cloud(peer):
    objects, labeled = peer.collect(Objects, "/s4token/objects"), peer.labeled()
    peer.connect(objects, labeled)
    points = arrays(label_cloud(peer, cloud(room(3000)), labeled))
    wait_for(lambda: objects.by_stamp(labeled[-1].header.stamp), 20, "the objects")
    (found,) = objects.by_stamp(labeled[-1].header.stamp)
    xyz = np.stack([points[axis] for axis in "xyz"], axis=1)
    expected = find_objects(xyz, points["label"], points["confidence"], [False, False, True])
    assert [(o.name, o.points) for o in found.objects] == [("chair", n) for n in expected.points] and found.objects
    assert [o.id for o in found.objects] == list(range(len(found.objects))) and not found.tracked
    assert found.header.frame_id == "map" and found.vocabulary_version == peer.get_vocabulary().vocabulary.version
    # A larger minimum leaves none, and a value out of range is refused
    assert set_parameter(peer, "output.object_points", 100_000).successful
    wait_for(lambda: objects.connected(), 20)
    answer = label_cloud(peer, cloud(room(3000)), labeled)
    wait_for(lambda: objects.by_stamp(answer.header.stamp), 20, "no objects")
    assert objects.by_stamp(answer.header.stamp)[-1].objects == []
    assert not set_parameter(peer, "output.object_points", 0).successful
    assert set_parameter(peer, "output.object_points", 30).successful


def test_objects_alone_keep_the_node_at_work(peer):
    objects = peer.collect(Objects, "/s4token/objects")
    peer.connect(objects)
    wait_for(lambda: status(peer)["level"] == "0", 20, "a node at work")
    objects.close()
    wait_for(lambda: status(peer)["message"].startswith("idle"), 20, "an idle node")
