"""Node processes of their own: start, signals, lifecycle, hints on silence, the real segmenter, the launch file."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time

import numpy as np
import pytest

from s4token_model import constants

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import ros_helpers as ros
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters
from ros_helpers import arrays, cloud, figures, room, state, wait_for
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from s4token_ros import write_parameter_file
from s4token_ros.qos import cloud_qos

REAL = (sys.executable, "-m", "s4token_ros.start", "--ros-args")


@pytest.fixture
def start(tmp_path):
    """Start node processes with a peer; everything is stopped afterwards."""
    started = []

    def run(*args, peers=True, **more):
        domain = ros.claim_domain()
        process = ros.NodeProcess(domain, tmp_path / f"log{len(started)}", *args, **more)
        started.append(process)
        if peers:
            started.append(ros.Peer(domain))
        return started[-1 - peers :] if peers else process

    yield run
    for thing in reversed(started):
        thing.stop() if isinstance(thing, ros.NodeProcess) else thing.close()


def ready(peer, timeout=60.0):
    vocabulary = peer.vocabulary()
    wait_for(lambda: vocabulary, timeout, "the vocabulary")
    return vocabulary


def change(peer, transition):
    return peer.call(ChangeState, "/s4token/change_state", timeout=20, transition=Transition(id=transition)).success


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly_even_under_load(start, sig):
    process, peer = start(FAKE_SECONDS="0.3")
    ready(peer)
    publisher, collected = peer.publisher(), peer.labeled()
    wait_for(lambda: publisher.get_subscription_count() and collected.connected())
    for _ in range(5):
        publisher.publish(cloud(room(20_000)))
        time.sleep(0.02)
    begin = time.monotonic()
    assert process.stop(sig) == 0, process.text()
    assert time.monotonic() - begin < 15
    assert "Traceback" not in process.text() and "Error" not in process.text()


def test_overlap_labels_more_clouds_in_order_and_survives_bad_ones(start):
    process, peer = start("-p", "overlap:=true", FAKE_SECONDS="0.3", FAKE_FORMING="0.3")
    ready(peer)
    publisher, collected = peer.publisher(), peer.labeled()
    wait_for(lambda: publisher.get_subscription_count() and collected.connected())
    begin, sent = time.monotonic(), []
    while time.monotonic() < begin + 6:
        sent.append(cloud(room(ros.FAILING_POINTS if len(sent) == 20 else 500)))
        publisher.publish(sent[-1])
        time.sleep(0.1)
    assert len(collected) >= 13, "one after the other, ten would fit"
    stamps = [message.header.stamp.sec for message in collected]
    assert stamps == sorted(set(stamps)), "each once, none overtaken"
    assert peer.set_vocabulary("lamp", "bed").success
    last = sent[-1].header.stamp.sec
    wait_for(lambda: any(m.header.stamp.sec == last for m in collected), 20, "the newest cloud")
    assert peer.query("lamp").header.stamp.sec == last
    assert process.stop() == 0 and "Traceback" not in process.text()


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (("-p", "sampling.tokens:=0"), "sampling.tokens"),
        (("-p", "superpoints.solver:=magic"), "superpoints.solver='magic' is not one of"),
        (("-p", "sampling.tokens:=[1, 2]"), "sampling.tokens"),
        (
            ("-p", "vocabulary.names:=[sofa]", "-p", "vocabulary.labels:=mine.txt"),
            "vocabulary.labels='mine.txt' has no effect: vocabulary.names (sofa) takes precedence",
        ),
    ],
)
def test_a_wrong_parameter_at_the_start_ends_it_with_one_line(start, arguments, reason):
    process = start(*arguments, peers=False)
    assert process.process.wait(60) == 2
    assert reason in process.text() and "Traceback" not in process.text()


def test_lifecycle_and_a_model_that_cannot_be_loaded(start):
    process, peer = start("-p", "autostart:=false", "-p", "device:=cuda:7", "-p", "diagnostics.period:=0.2")
    assert state(peer) == State.PRIMARY_STATE_UNCONFIGURED
    answer = peer.get_vocabulary()
    assert not answer.success and "unconfigured" in answer.message
    assert not change(peer, Transition.TRANSITION_CONFIGURE)
    assert state(peer) == State.PRIMARY_STATE_UNCONFIGURED
    diagnostics = peer.diagnostics()
    wait_for(lambda: diagnostics and figures(diagnostics[-1])["level"] == "2")
    assert "'cuda:7' is not available" in figures(diagnostics[-1])["message"]

    assert ros.set_parameter(peer, "device", "cpu").successful
    assert ros.set_parameter(peer, "vocabulary.names", ["sofa", "lamp"]).successful
    publisher = peer.publisher()
    for round_ in (1, 2):  # all the way round, twice
        assert change(peer, Transition.TRANSITION_CONFIGURE) and state(peer) == State.PRIMARY_STATE_INACTIVE
        assert publisher.get_subscription_count() == 0
        vocabulary = peer.get_vocabulary().vocabulary
        assert vocabulary.names == ["sofa", "lamp"]  # what was set before the start
        assert vocabulary.version == round_  # never the same version for another vocabulary
        assert change(peer, Transition.TRANSITION_ACTIVATE)
        wait_for(lambda: publisher.get_subscription_count() == 1)
        collected = peer.labeled()
        wait_for(collected.connected)
        publisher.publish(cloud(room()))
        wait_for(collected.__len__)
        assert change(peer, Transition.TRANSITION_DEACTIVATE)
        wait_for(lambda: publisher.get_subscription_count() == 0)
        assert change(peer, Transition.TRANSITION_CLEANUP)
        wait_for(lambda: "/s4token/vocabulary" not in peer.topics())
        collected.close()
    assert change(peer, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert process.stop() == 0, process.text()


def test_silence_is_explained(start):
    options = (
        "-p",
        "diagnostics.period:=0.1",
        "-p",
        "diagnostics.stale_after:=0.3",
        "-p",
        "input.reliability:=reliable",
    )
    _, peer = start(*options)
    diagnostics = peer.diagnostics()

    def hint(part):
        wait_for(lambda: diagnostics and part in figures(diagnostics[-1])["message"], 60, part)
        assert figures(diagnostics[-1])["level"] == "1"

    hint("no publisher on /points; remap points or set input.topics")
    best_effort = peer.publisher(qos=cloud_qos("best_effort"))
    hint(
        "offer incompatible QoS (ERROR: Best effort publisher and reliable subscription); set input.reliability to auto"
    )
    peer.node.destroy_publisher(best_effort)
    other = ros.Peer(peer.domain, "other")  # a participant has one type per topic
    other.node.create_publisher(String, "points", 1)
    hint("/points is published as std_msgs/msg/String, not sensor_msgs/msg/PointCloud2")
    other.close()
    reliable = peer.publisher()
    hint("1 publisher(s) of /points with compatible QoS, but nothing arrives")
    peer.node.destroy_publisher(reliable)


def test_a_latched_map_published_before_the_node_is_labeled(tmp_path):
    domain = ros.claim_domain()
    peer = ros.Peer(domain)
    publisher = peer.publisher(qos=cloud_qos("reliable", 1, latched=True))
    message = cloud(room())
    publisher.publish(message)
    process = ros.NodeProcess(domain, tmp_path / "log")
    try:
        collected = peer.labeled()
        wait_for(lambda: collected.by_stamp(message.header.stamp), 60)
    finally:
        process.stop()
        peer.close()
        print(process.text())


@pytest.mark.timeout(400)  # imports torch in another process, and compiles on the first run
def test_the_real_segmenter(start, tiny_model):
    words = ("-p", f"model:={tiny_model}", "-p", "vocabulary.names:=[chair, table, wall]")
    process, peer = start(*words, command=REAL)
    assert list(ready(peer, 240)[-1].names) == ["chair", "table", "wall"]
    publisher, collected, classes = peer.publisher(), peer.labeled(), peer.classes()
    peer.connect(collected, classes, publisher=publisher)
    points = room(3000)
    points["y"][:50] = np.nan
    for message, finite in ((cloud(points, height=3), 2950), (cloud(room(0)), 0), (cloud(room(1)), 1)):
        publisher.publish(message)
        wait_for(lambda m=message: collected.by_stamp(m.header.stamp), 60, "a labeled cloud")
        answer = arrays(collected.by_stamp(message.header.stamp)[0])
        assert (answer["label"] < 3).sum() == finite
        assert (answer["label"] == constants.UNLABELED).sum() == len(answer) - finite
    publisher.publish(cloud(points))
    wait_for(lambda: len(collected) == 4, 60)
    answer = peer.set_vocabulary("椅子", "a lamp on a desk", " ".join(["long"] * 200))
    assert answer.success and answer.relabeled
    assert 1 <= len(peer.query("a red chair", max_matches=2).matches) <= 2
    assert process.stop() == 0, process.text()
    assert "Traceback" not in process.text()


def test_a_model_that_is_not_there_is_named(start):
    process = start("-p", "model:=/no/such/model", command=REAL, peers=False)
    assert process.process.wait(90) == 2
    assert "s4token: no checkpoint '/no/such/model'" in process.text() and "Traceback" not in process.text()


def test_parameter_file_is_that_of_the_dataclasses(start):
    path = ros.ROOT / "config" / "node.yaml"
    assert path.read_text() == write_parameter_file.text(), (
        "run: python -m s4token_ros.write_parameter_file > config/node.yaml"
    )
    process, peer = start("--params-file", str(path), "-p", "diagnostics.period:=0.2")
    ready(peer)
    assert process.stop() == 0


def test_parameters_for_sensor_rate(start):
    process, peer = start("--params-file", str(ros.ROOT / "config" / "live.yaml"))
    ready(peer)
    names = ["overlap", "input.max_points"]
    overlap, points = peer.call(GetParameters, "/s4token/get_parameters", names=names).values
    assert overlap.bool_value and points.integer_value == 40000
    assert process.stop() == 0


def test_every_line_of_the_parameter_file_can_be_uncommented(start, tmp_path):
    lines = write_parameter_file.text().splitlines()
    is_value = [line.startswith("    # ") and ": " in line and "." in line.split(":")[0] for line in lines]
    text = "\n".join(
        line.replace("# ", "", 1) if value and " " not in line[6:].split(":")[0] else line
        for line, value in zip(lines, is_value, strict=True)
    )
    assert "\n    sampling.tokens: " in text
    path = tmp_path / "all.yaml"
    path.write_text(text)
    process, peer = start("--params-file", str(path))
    ready(peer)
    assert process.stop() == 0


@pytest.mark.skipif(importlib.util.find_spec("launch_ros") is None, reason="launch_ros is not on PyPI")
def test_launch_file_starts_the_node(tmp_path):
    prefix = tmp_path / "install"  # what colcon would install, as far as launch_ros looks
    for file, text in {
        "share/ament_index/resource_index/packages/s4token_ros": "",
        "lib/s4token_ros/s4token_node": f'#!/bin/sh\nexec {sys.executable} {ros.__file__} "$@"\n',
    }.items():
        (prefix / file).parent.mkdir(parents=True)
        (prefix / file).write_text(text)
        (prefix / file).chmod(0o755)
    domain = ros.claim_domain()
    arguments = ["input:=/camera/points", "model:=another", "vocabulary:=sofa, floor lamp", "config:=live"]
    code = (
        "import sys, launch\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource as Source\n"
        "service = launch.LaunchService()\n"
        "pairs = [tuple(a.split(':=', 1)) for a in sys.argv[2:]]\n"
        "include = launch.actions.IncludeLaunchDescription(Source(sys.argv[1]), launch_arguments=pairs)\n"
        "service.include_launch_description(launch.LaunchDescription([include]))\n"
        "sys.exit(service.run())\n"
    )
    command = (sys.executable, "-c", code, str(ros.ROOT / "launch" / "s4token.launch.py"), *arguments)
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ros.ROOT), os.environ.get("PYTHONPATH", "")]),
        "AMENT_PREFIX_PATH": os.pathsep.join([str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")]),
    }
    process = ros.NodeProcess(domain, tmp_path / "log", command=command, **environment)
    peer = ros.Peer(domain)
    try:
        assert list(ready(peer, 120)[-1].names) == ["sofa", "floor lamp"]
        publisher = peer.publisher("/camera/points")
        collected = peer.collect(PointCloud2, "/s4token/labeled")
        peer.connect(collected, publisher=publisher)
        publisher.publish(cloud(room()))
        wait_for(lambda: collected, 60)
        assert process.stop() == 0, process.text()
    finally:
        process.stop()
        peer.close()
        print(process.text())
