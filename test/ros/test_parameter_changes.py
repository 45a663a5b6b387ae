"""What a peer may set on a running node: names, files, values and types that cannot work, and what stays as it was."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import ros_helpers as ros
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from ros_helpers import cloud, figures, label_cloud, room, set_parameter, state, wait_for
from sensor_msgs.msg import PointCloud2

from s4token_model.config import options
from s4token_ros.options import NodeConfig
from s4token_ros.parameters import READ_ONLY
from s4token_ros.qos import cloud_qos

REMAPPED = ("-r", "~/similarity:=/scores", "-r", "~/class/lamp:=/lamps", "-r", "/diagnostics:=/health")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """vocabulary.folder, a file beside it, and a symlink to that one."""
    inside = tmp_path_factory.mktemp("robot") / "words"
    inside.mkdir()
    (inside / "rooms.txt").write_text("kitchen\nbath\n")
    (inside / "repeated.txt").write_text("hunter2\nhunter2\n")
    (inside.parent / "secret.txt").write_text("hunter2\nhunter3\n")
    (inside / "link.txt").symlink_to(inside.parent / "secret.txt")
    return inside


@pytest.fixture(scope="module")
def peer(folder):
    domain = ros.claim_domain()
    words = ("-p", f"vocabulary.folder:={folder}", "-p", f"vocabulary.labels:={folder.parent / 'secret.txt'}")
    process = ros.NodeProcess(domain, folder.parent / "log", *REMAPPED, *words, "-p", "diagnostics.period:=0.1")
    with ros.peer_of(process, domain) as peer:
        yield peer


@pytest.fixture(scope="module")
def answers(peer):
    """A subscription that stays, since each new one takes a while to be found."""
    return peer.labeled()


@pytest.fixture(autouse=True)
def still_labeling(request):
    """After whatever a test of `peer` has tried, the node labels a cloud."""
    used = [request.getfixturevalue(name) for name in ("peer", "answers") if "peer" in request.fixturenames]
    yield
    if used:
        used[0].connect(used[1])


def value_of(peer, name):
    return peer.call(GetParameters, "/s4token/get_parameters", names=[name]).values[0]


def wait_until_configuring(peer):
    """Wait for the start; what is set before it, as a fast peer may, is what the node starts with."""
    wait_for(lambda: state(peer) == State.TRANSITION_STATE_CONFIGURING, 30)


def refused(peer, name, value, reason):
    before = value_of(peer, name)
    result = set_parameter(peer, name, value)
    assert not result.successful and reason in result.reason, result.reason
    assert value_of(peer, name) == before
    return result.reason


@pytest.mark.parametrize(
    "topics, reason",
    [
        (["/robot-1/points"], "'/robot-1/points' is no topic: topic name must not contain characters other than"),
        (["a b"], "is no topic"),
        (["{robot}/points"], "unknown substitution: {robot}"),
        (["/"], "must not end with a forward slash"),
        (["1a"], "must not start with a number"),
        (["a/~/b"], "tilde"),
        (["x" * 300], "topic length should not exceed"),
        ([], "input.topics is empty"),
        ([""], "input.topics is empty"),
        (["points", "/points"], "holds /points twice, as 'points' and '/points'"),
        ([f"t{i}" for i in range(17)], "at most 16"),
        (["~/labeled"], "'~/labeled' is /s4token/labeled, this node's output ~/labeled"),
        (["points", "{node}/labeled"], "this node's output ~/labeled"),
        (["/s4token/class/chair"], "this node's output ~/class"),
        (["/scores"], "this node's output ~/similarity"),
        (["~/similarity"], "this node's output ~/similarity"),
        (["/rosout"], "/rosout carries rcl_interfaces/msg/Log"),
        (["/tf"], "/tf carries tf2_msgs/msg/TFMessage"),
        (["/health"], "cannot subscribe"),  # only the attempt tells: the node publishes another type there
        (["/health", "points"], "cannot subscribe"),
    ],
)
def test_topics_that_cannot_work_are_refused_and_the_old_ones_stay(peer, topics, reason):
    refused(peer, "input.topics", topics, reason)
    assert peer.points.get_subscription_count() == 1


def test_a_class_topic_that_is_remapped_to_an_input_is_refused_whichever_comes_last(peer):
    assert peer.set_vocabulary("lamp", "bed").success
    refused(peer, "input.topics", ["points", "/lamps"], "this node's output /lamps")
    assert peer.set_vocabulary("bed").success
    assert set_parameter(peer, "input.topics", ["points", "/lamps"]).successful
    version = peer.get_vocabulary().vocabulary.version
    answer = peer.set_vocabulary("lamp", "bed")
    assert not answer.success and "~/class/lamp is remapped to /lamps, which is an input" in answer.message
    refused(peer, "vocabulary.names", ["lamp"], "which is an input")
    assert peer.get_vocabulary().vocabulary.names == ["bed"]
    assert peer.get_vocabulary().vocabulary.version == version
    assert set_parameter(peer, "input.topics", ["points"]).successful
    assert peer.set_vocabulary("lamp", "bed").success


@pytest.mark.parametrize("kind", ["labels", "templates"])
def test_files_outside_of_the_folder_are_refused_alike_whether_they_exist_or_not(peer, folder, kind):
    names = ["/etc/passwd", "/etc/no-such-file", "/dev/zero", "/proc/self/environ", "link", "link.txt", "../secret.txt"]
    names += ["../no-such-file", f"{folder}/../secret.txt", "/proc/kmsg", "."]
    begin = time.monotonic()
    reasons = {refused(peer, f"vocabulary.{kind}", n, "cannot be chosen").replace(repr(n), "NAME") for n in names}
    assert len(reasons) == 1 and "hunter2" not in reasons.pop() and time.monotonic() - begin < 30


def test_files_of_the_folder_the_package_and_the_start_can_be_chosen(peer, folder):
    for labels, count in (("rooms", 2), (str(folder / "rooms.txt"), 2), ("scannet20", 20)):
        assert set_parameter(peer, "vocabulary.labels", labels).successful
        assert len(peer.get_vocabulary().vocabulary.names) == count
    assert "hunter2" not in refused(peer, "vocabulary.labels", "repeated", "repeated.txt: a line holds a word that is")
    secret = str(folder.parent / "secret.txt")  # the operator's own choice
    assert set_parameter(peer, "vocabulary.labels", secret).successful
    assert peer.get_vocabulary().vocabulary.names == ["hunter2", "hunter3"]


@pytest.mark.parametrize("name", ["vocabulary.folder", "clip.name", "clip.pretrained", "tokenizer.width", "model"])
def test_what_names_other_files_or_belongs_to_the_weights_is_read_only(peer, name):
    value = 256 if name == "tokenizer.width" else "/etc"
    refused(peer, name, value, "read-only")


def test_a_combination_that_cannot_work_is_refused(peer):
    assert set_parameter(peer, "patches.points", 1024).successful
    refused(peer, "sampling.tokens", 16384, "more than 524288 points at once; lower one of the two")
    assert set_parameter(peer, "patches.points", 32).successful
    assert set_parameter(peer, "sampling.tokens", 16384).successful
    assert set_parameter(peer, "sampling.tokens", 512).successful
    assert set_parameter(peer, "temporal.frame", "").successful  # it is off
    refused(peer, "temporal.enabled", True, "temporal.frame is empty")
    assert set_parameter(peer, "temporal.frame", "map").successful
    assert peer.set_vocabulary(*[f"word {i}" for i in range(200)]).success
    assert set_parameter(peer, "temporal.enabled", True).successful
    refused(peer, "temporal.max_voxels", 10_000_000, "with 200 classes takes 8.6 GB")
    assert set_parameter(peer, "temporal.enabled", False).successful
    assert peer.set_vocabulary("lamp", "bed").success


def test_every_extreme_of_the_node_s_own_parameters_works(peer):
    collected = peer.collect(PointCloud2, "/s4token/labeled", cloud_qos("best_effort"))
    for path, (default, item) in options(NodeConfig()).items():
        low, high, choices = (item.metadata[key] for key in ("low", "high", "choices"))
        values = choices or (
            (not default, default) if isinstance(default, bool) else () if low is None else (low, high)
        )
        if path.startswith(READ_ONLY) or path == "output.labeled":
            continue
        before = value_of(peer, path)
        for value in values:
            result = set_parameter(peer, path, type(default)(value))
            assert result.successful, (path, value, result.reason)
        if path.startswith(("temporal.", "output.")):
            peer.connect(collected)  # labels clouds until one comes back
        request = [Parameter(name=path, value=before)]
        assert peer.call(SetParameters, "/s4token/set_parameters", parameters=request).results[0].successful


def test_labels_that_come_back_through_another_node_are_warned_about(peer):
    collected, health = peer.labeled(), peer.collect(ros.DiagnosticArray, "/health", 10)
    peer.points.publish(label_cloud(peer, cloud(room()), collected))
    wait_for(lambda: health and "clouds arrive with labels" in figures(health[-1])["message"])
    label_cloud(peer, cloud(room()), collected)
    wait_for(lambda: figures(health[-1])["level"] == "0")


def test_a_parameter_that_does_not_exist_is_refused_with_the_nearest(peer):
    for name, near in (
        ("vocabulary.name", "did you mean vocabulary.names?"),
        ("tokens", "did you mean sampling.tokens?"),
        ("input_topics", "did you mean input.topics?"),
        ("xyzzy", "config/node.yaml lists all"),
        ("", "config/node.yaml lists all"),
    ):
        result = set_parameter(peer, name, "chair")
        assert not result.successful and f"there is no parameter {name!r}; {near}" in result.reason


@pytest.mark.parametrize(
    "value",
    [
        ParameterValue(type=77),
        ParameterValue(type=ParameterType.PARAMETER_NOT_SET),
        ParameterValue(type=ParameterType.PARAMETER_BYTE_ARRAY, byte_array_value=[b"\xff"]),
        ParameterValue(type=ParameterType.PARAMETER_DOUBLE_ARRAY, double_array_value=[float("nan")]),
        ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="\N{REPLACEMENT CHARACTER}" * 10_000),
        ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=-(2**63)),
        ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=float("inf")),
    ],
)
def test_values_of_any_type_are_answered(peer, value):
    for name in ("sampling.tokens", "superpoints.regularization", "input.topics", "device", "use_sim_time"):
        request = [Parameter(name=name, value=value)]
        results = peer.call(SetParameters, "/s4token/set_parameters", parameters=request).results
        assert len(results) == 1 and not results[0].successful and 0 < len(results[0].reason) < 1000


def test_parameters_are_set_together_all_or_none(peer):
    def parameter(name, kind, value):
        setting = ParameterValue(type=getattr(ParameterType, f"PARAMETER_{kind.upper()}"), **{f"{kind}_value": value})
        return Parameter(name=name, value=setting)

    def together(*given):
        return peer.call(SetParametersAtomically, "/s4token/set_parameters_atomically", parameters=given).result

    before = peer.get_vocabulary().vocabulary
    period, tokens = parameter("diagnostics.period", "double", 7.0), parameter("sampling.tokens", "integer", 100)
    for wrong in (parameter("input.topics", "string_array", ["/health"]), parameter("sampling.token", "integer", 1)):
        assert not together(period, tokens, wrong).successful
        assert value_of(peer, "diagnostics.period").double_value == 0.1
        assert value_of(peer, "sampling.tokens").integer_value == 512
        assert peer.get_vocabulary().vocabulary == before or peer.get_vocabulary().vocabulary.names == before.names
    collected = peer.collect(ros.DiagnosticArray, "/health", 10)
    wait_for(lambda: len(collected) > 3, 5, "diagnostics at the old period")
    collected.close()
    assert together(tokens, parameter("output.class_topics", "integer", 5)).successful
    assert value_of(peer, "sampling.tokens").integer_value == 100
    assert set_parameter(peer, "sampling.tokens", 512).successful


@pytest.fixture
def start(tmp_path):
    """Start node processes; everything is stopped afterwards."""
    started = []

    def run(*arguments, **more):
        domain = ros.claim_domain()
        started.append(ros.NodeProcess(domain, tmp_path / f"log{len(started)}", *arguments, **more))
        return started[-1], domain

    yield run
    for process in reversed(started):
        process.stop()


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (("-r", "~/labeled:=/points"), "input.topics: 'points' is /points, this node's output ~/labeled"),
        (("-p", "input.topics:=[/robot-1/points]"), "'/robot-1/points' is no topic"),
        (("-p", "vocabulary.folder:=/no/such/folder"), "vocabulary.folder='/no/such/folder' is no folder"),
        (("-p", "sampling.tokens:=16384", "-p", "patches.points:=1024"), "lower one of the two"),
        (("-r", "nonsense"), "Couldn't parse remap rule: '-r nonsense'"),
    ],
)
def test_a_start_that_cannot_work_ends_with_one_line(start, arguments, reason):
    process, _ = start(*arguments)
    assert process.process.wait(60) == 2
    lines = [line for line in process.text().splitlines() if "[rcl]" not in line]
    assert len(lines) == 1 and lines[0].startswith("s4token: ") and reason in lines[0], lines


def test_a_start_with_an_unknown_parameter_warns_and_names_the_nearest(start, tmp_path):
    path = tmp_path / "robot.yaml"
    path.write_text("/**:\n  ros__parameters:\n    vocabulary: {name: [sofa]}\n    use_sim_time: false\n")
    process, _ = start("--params-file", str(path), "-p", "sampling.token:=100")
    wait_for(lambda: "ready after" in process.text(), 60, "the node")
    warnings = [line for line in process.text().splitlines() if "there is no parameter" in line]
    assert len(warnings) == 2
    assert "'sampling.token'; did you mean sampling.tokens?; its value is ignored" in warnings[0]
    assert "'vocabulary.name'; did you mean vocabulary.names?" in warnings[1]


def test_a_node_that_cannot_subscribe_says_so_and_goes_on_once_the_topic_is_right(start):
    process, domain = start("-r", "/diagnostics:=/health", "-p", "input.topics:=[/health]")
    peer = ros.Peer(domain)
    try:
        health = peer.collect(ros.DiagnosticArray, "/health", 10)
        wait_for(lambda: health and "not activated: cannot subscribe" in figures(health[-1])["message"], 60)
        assert figures(health[-1])["level"] == "2"
        assert state(peer) == State.PRIMARY_STATE_INACTIVE
        assert set_parameter(peer, "input.topics", ["points"]).successful
        activate = Transition(id=Transition.TRANSITION_ACTIVATE)
        assert peer.call(ChangeState, "/s4token/change_state", transition=activate).success
        peer.points = peer.publisher()
        label_cloud(peer, cloud(room()))
        assert process.stop() == 0 and "Traceback" not in process.text()
    finally:
        peer.close()


def test_transitions_of_any_number_are_answered(start):
    process, domain = start()
    peer = ros.Peer(domain)
    try:
        vocabulary = peer.vocabulary()
        wait_for(lambda: vocabulary, 60)
        for number in (10, 11, 12, 30, 60, 62, 77, 255):  # what only the node itself may say, and nonsense
            request = Transition(id=number)
            assert not peer.call(ChangeState, "/s4token/change_state", transition=request).success
        request = Transition(id=Transition.TRANSITION_ACTIVATE, label="no such label")
        assert not peer.call(ChangeState, "/s4token/change_state", transition=request).success
        peer.points = peer.publisher()
        label_cloud(peer, cloud(room()))
        assert process.stop() == 0 and "Traceback" not in process.text()
    finally:
        peer.close()


def test_a_request_in_the_middle_of_a_transition_does_not_break_it(start, tmp_path):
    process, domain = start(FAKE_GATE=str(tmp_path / "gate"))  # configuring until that file exists
    peer = ros.Peer(domain)
    try:
        wait_until_configuring(peer)
        threading.Timer(0.5, (tmp_path / "gate").touch).start()
        assert not peer.call(ChangeState, "/s4token/change_state", transition=Transition(id=10)).success
        assert state(peer) == State.PRIMARY_STATE_ACTIVE
        peer.points = peer.publisher()
        label_cloud(peer, cloud(room()))
    finally:
        process.stop()
        peer.close()


def test_a_change_during_the_start_is_refused_or_waits(start, tmp_path):
    process, domain = start(FAKE_GATE=str(tmp_path / "gate"))
    peer = ros.Peer(domain)
    try:
        wait_until_configuring(peer)
        result = set_parameter(peer, "vocabulary.names", ["sofa"])
        assert not result.successful and "try again" in result.reason
        (tmp_path / "gate").touch()
        vocabulary = peer.vocabulary()
        wait_for(lambda: vocabulary, 60)
        assert set_parameter(peer, "vocabulary.names", ["sofa"]).successful
        assert peer.get_vocabulary().vocabulary.names == ["sofa"]
    finally:
        process.stop()
        peer.close()
