"""The page over a running node: a peer in the node's stead publishes clouds and answers the services."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import rclpy
from background import heed_ctrl_c
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from ros_helpers import claim_domain
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA, Header

from s4token_interfaces.msg import Match, Vocabulary
from s4token_interfaces.srv import Query, SetVocabulary
from s4token_model import command_line
from s4token_model.explore.state import HEAT, SCAN, SUPERPOINTS, Choice
from s4token_model.palette import heat, index_colors
from s4token_model.vocabulary import color
from s4token_ros import cloud_messages, live_explore, qos
from s4token_ros.live_session import LiveSession
from s4token_ros.replay import to_message

POINTS = 40


class Peer:
    """Labels point i as i modulo the number of words, in superpoints of ten; refuses the word "bad"."""

    def __init__(self, context) -> None:
        self.node = rclpy.create_node("s4token", context=context)
        publish, reliable = self.node.create_publisher, qos.cloud_qos("reliable", 5)
        self.labeled = publish(PointCloud2, "~/labeled", reliable)
        self.similarity = publish(PointCloud2, "~/similarity", reliable)
        self.vocabulary = publish(Vocabulary, "~/vocabulary", qos.LATCHED)
        self.node.create_service(SetVocabulary, "~/set_vocabulary", self.set_vocabulary)
        self.node.create_service(Query, "~/query", self.query)
        self.xyz, self.superpoints = np.random.default_rng(0).random((POINTS, 3)), np.arange(POINTS) // 10
        rgb = np.full((POINTS, 3), 0.2)
        self.cloud = cloud_messages.decode(to_message(self.xyz.astype(np.float32), rgb))
        self.thresholds, self.stamp, self.version = [], 1, 0
        self.answer(("floor", "wall"), [0.25, 0.25])
        self.node.create_timer(0.2, self.publish)

    def answer(self, names, thresholds) -> None:
        self.names, self.version, self.thresholds = tuple(names), self.version + 1, list(thresholds)
        self.colors = np.array([color(name) for name in names], np.uint8)
        self.announce()

    def announce(self) -> None:
        colors = [ColorRGBA(**dict(zip("rgb", c / 255, strict=True)), a=1.0) for c in self.colors]
        message = Vocabulary(version=self.version, names=self.names, thresholds=self.thresholds, colors=colors)
        self.vocabulary.publish(message)

    def header(self) -> Header:
        header = Header(frame_id="map")
        header.stamp.sec = self.stamp
        return header

    def publish(self) -> None:
        labels = np.arange(POINTS, dtype=np.uint32) % len(self.names)
        confidence = np.full(POINTS, 0.5, np.float32)
        points = cloud_messages.labeled_points(
            self.cloud, labels, confidence, self.superpoints, self.colors, self.version
        )
        self.labeled.publish(cloud_messages.encode(points, self.header()))

    def set_vocabulary(self, request, response):
        response.success = "bad" not in request.names
        response.message = "a warning about the words" if response.success else "the word 'bad' is refused"
        if response.success:
            self.answer(request.names, request.thresholds)
        return response

    def query(self, request, response):
        response.success, response.header = True, self.header()
        response.matches = [
            Match(text=text, superpoint=s, score=0.1 * s + len(text) / 100) for text in request.texts for s in range(4)
        ]
        scores = np.tile(self.xyz[:, :1], len(request.texts))
        cloud = cloud_messages.similarity_cloud(self.cloud, request.texts, scores)
        cloud.header = self.header()
        self.similarity.publish(cloud)
        return response


@pytest.fixture(scope="module")
def peer_and_session():
    context = rclpy.Context()
    context.init(domain_id=claim_domain())
    peer = Peer(context)
    node = rclpy.create_node("s4token_explore", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(peer.node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass

    threading.Thread(target=spin, daemon=True).start()
    yield peer, LiveSession(node, "/s4token/labeled", 10**6)
    context.try_shutdown()


def until(session, choice, done):
    """The first view that is as wanted, as the page asks for one after each arrival."""
    for _ in range(100):
        view = session.view(choice)
        if done(view):
            return view
        session.wake.wait(2)
        session.wake.clear()
    raise AssertionError(f"not in sight: {view}")


def test_the_page_starts_with_the_words_of_the_node_and_leaves_them(peer_and_session):
    peer, session = peer_and_session
    first = session.about.first
    assert (first.words, first.threshold, session.about.can_vote) == ("floor, wall", 0.25, False)
    view = until(session, first, lambda view: view.rows)
    assert {row.name: row.points for row in view.rows} == {"floor": 20, "wall": 20} and peer.version == 1
    np.testing.assert_array_equal(view.colors, peer.colors[view.drawn.index % 2])


def test_words_go_to_the_node_and_a_refusal_is_told(peer_and_session):
    peer, session = peer_and_session
    choice = Choice("chair; table; lamp", 0.5)
    view = until(session, choice, lambda view: [row.name for row in view.rows] == ["chair", "table", "lamp"])
    assert peer.names == ("chair", "table", "lamp") and peer.thresholds == [0.5]
    assert view.notes == ("a warning about the words",) and [row.name for row in view.rows] == list(peer.names)
    np.testing.assert_array_equal(view.colors, peer.colors[view.drawn.index % 3])
    with pytest.raises(ValueError, match="the word 'bad' is refused"):
        session.view(Choice("bad"))
    # The slider was not moved, so the node keeps its threshold, which somebody else may have set
    until(session, Choice("lamp; bed", 0.5), lambda view: [row.name for row in view.rows] == ["lamp", "bed"])
    assert peer.thresholds == []


def test_a_relabeled_cloud_has_the_names_of_its_own_vocabulary_and_none_until_that_has_arrived(peer_and_session):
    peer, session = peer_and_session
    choice = Choice("chair; table; lamp", 0.5)
    until(session, choice, lambda view: [row.name for row in view.rows] == ["chair", "table", "lamp"])
    # The same stamp and points with other labels, whose vocabulary comes late
    peer.names, peer.version = ("sofa", "bed"), peer.version + 1
    peer.colors = np.array([color(name) for name in peer.names], np.uint8)
    view = until(session, choice, lambda view: not view.rows)
    np.testing.assert_array_equal(view.colors, peer.colors[view.drawn.index % 2])
    peer.announce()
    assert {row.name for row in until(session, choice, lambda view: view.rows).rows} == {"sofa", "bed"}


def test_heat_superpoints_and_the_scan_are_shown(peer_and_session):
    peer, session = peer_and_session
    view = session.view(Choice("a, b", coloring=HEAT, text="a place to sit"))
    x = peer.xyz[view.drawn.index, 0].astype(np.float32)
    low, high = np.percentile(x, [1, 99])
    np.testing.assert_array_equal(view.colors, heat((x - low) / (high - low)))
    view = session.view(Choice("a, b", coloring=SUPERPOINTS))
    np.testing.assert_array_equal(view.colors, index_colors(view.drawn.index // 10))
    assert (session.view(Choice("a, b", coloring=SCAN)).colors == 51).all()


def test_a_clicked_point_is_asked_for_at_the_node(peer_and_session):
    peer, session = peer_and_session
    choice = Choice("chair, table", 0.5)
    view = until(session, choice, lambda view: {row.name for row in view.rows} == {"chair", "table"})
    row = int(np.flatnonzero(view.drawn.index == 33)[0])
    found = session.inspect(choice, row)
    assert (found.label, found.confidence, found.superpoint, found.points) == ("table", 0.5, 3, 10)
    assert {m.name: round(m.cosine, 3) for m in found.words} == {"chair": 0.35, "table": 0.35}
    peer.stamp += 1  # the node goes on: its superpoints are others
    assert session.inspect(choice, row).words == () and "gone on" in session.inspect(choice, row).note


def test_what_is_shown_can_be_saved(peer_and_session, tmp_path):
    from s4token_model.io.files import read_cloud

    _, session = peer_and_session
    choice = Choice("chair, table", 0.5)
    until(session, choice, lambda view: view.rows)
    path = tmp_path / "saved.ply"
    path.write_bytes(session.labels_file(choice, ".ply"))
    assert read_cloud(path).fields["label"].tolist() == [k % 2 for k in range(POINTS)]
    assert session.words_file(choice).splitlines()[1:] == ["chair", "table"]


def test_a_topic_that_nobody_publishes_is_named():
    context = rclpy.Context()
    context.init(domain_id=claim_domain())
    node = rclpy.create_node("s4token_explore", context=context)
    with pytest.raises(ValueError, match="no publisher on /nothing/labeled: start the node, or name its topic"):
        LiveSession(node, "/nothing/labeled", 100, patience=0.02)
    context.try_shutdown()


def test_signals_end_the_command(tmp_path):
    """While it waits for a cloud: rclpy's own handlers would keep SIGTERM from it."""
    (tmp_path / "viser.py").write_text("")
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "s4token_ros.live_explore", "--port", "0"]
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)
        assert "waiting for a cloud" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(30) in (-number, command_line.INTERRUPTED)


def test_the_command_checks_the_address_before_it_waits(monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", sys)
    with pytest.raises(ValueError, match="--port 70000"):
        live_explore.main(["--live", "--port", "70000"])
