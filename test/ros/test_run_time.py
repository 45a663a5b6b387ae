"""What a running node stands: slow texts, odd clocks, several topics, floods, malformed messages, failing callbacks."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import rclpy
import ros_helpers as ros
from builtin_interfaces.msg import Time
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import serialize_message
from ros_helpers import cloud, figures, label_cloud, room, set_parameter, wait_for
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from s4token_interfaces.srv import GetVocabulary, Query, SetVocabulary
from s4token_ros.process import THREADS, GuardedExecutor
from s4token_ros.qos import SERVICES, cloud_qos

FAST = ("-p", "diagnostics.period:=0.1")


@pytest.fixture
def start(tmp_path):
    """Start one node with a peer; both are stopped afterwards, and the node must have lived until then."""
    started = []

    def run(*args, ready=True, **more):
        domain = ros.claim_domain()
        started.append(ros.NodeProcess(domain, tmp_path / "log", *FAST, *args, **more))
        started.append(ros.Peer(domain))
        if ready:
            vocabulary = started[1].vocabulary()
            wait_for(lambda: vocabulary, 60, "the vocabulary")
        return started[1]

    yield run
    process, peer = started
    code = process.stop()
    peer.close()
    assert code == 0, process.text()


def status(peer) -> dict[str, str]:
    collected = peer.diagnostics()
    wait_for(lambda: len(collected) > 1)
    collected.close()
    return figures(collected[-1])


def wait_for_status(peer, part: str) -> dict[str, str]:
    """The first diagnostics with `part` in the message."""
    collected, found = peer.diagnostics(), []
    wait_for(lambda: found.extend(f for f in map(figures, list(collected)) if part in f["message"]) or found, 30, part)
    collected.close()
    return found[0]


def connected(peer):
    """Publish and hear with the QoS that stays: the node subscribes reliably when it finds the publisher."""
    peer.points = peer.publisher()
    infos = peer.node.get_subscriptions_info_by_topic
    wait_for(lambda: any(i.qos_profile.reliability == ReliabilityPolicy.RELIABLE for i in infos("/points")))
    labeled = peer.labeled()
    peer.connect(labeled)
    return labeled


def seconds(call) -> float:
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def test_services_and_clouds_go_on_while_a_vocabulary_is_encoded(start):
    peer = start("-p", "services.deadline:=6.0", FAKE_TEXTS="0.05")
    labeled = connected(peer)
    client = peer.node.create_client(SetVocabulary, "/s4token/set_vocabulary")
    assert client.wait_for_service(30)
    slow = SetVocabulary.Request(names=[f"word {k}" for k in range(80)])  # four seconds
    futures = [client.call_async(slow)]
    label_cloud(peer, cloud(room()), labeled)
    # Everything else answers meanwhile
    calls = (
        peer.get_vocabulary,
        lambda: peer.query("lamp"),
        lambda: peer.call(GetState, "/s4token/get_state"),
        lambda: peer.call(GetParameters, "/s4token/get_parameters", names=["model"]),
        lambda: label_cloud(peer, cloud(room()), labeled),
    )
    taken = [seconds(call) for call in calls]
    assert not futures[0].done() and max(taken) < 2, taken
    # A second request waits, and comes too late; a third is refused at once
    futures += [client.call_async(slow)]
    time.sleep(0.3)
    assert "other requests are at work or waiting" in peer.set_vocabulary("lamp").message
    assert not futures[0].done()
    wait_for(lambda: all(future.done() for future in futures))
    assert futures[0].result().success and len(peer.get_vocabulary().vocabulary.names) == 80
    assert "80 texts were not encoded in services.deadline, 6 s" in futures[1].result().message
    # What is too large is refused at once
    for answer, reason in (
        (peer.set_vocabulary("q" * 30_000), "has 30000 letters; a word has at most 1000"),
        (peer.set_vocabulary(*[f"w{k}" for k in range(2001)]), "2001 words; the node takes at most 2000"),
        (peer.query(*[f"w{k}" for k in range(101)]), "101 texts; a query has at most 100"),
        (peer.query("lamp", max_matches=1001), "1001 matches per text; a query has at most 1000"),
        (set_parameter(peer, "vocabulary.names", [f"w{k}" for k in range(2001)]), "2001 words"),
    ):
        assert reason in (answer.reason if hasattr(answer, "reason") else answer.message)


def test_labels_and_diagnostics_flow_without_a_clock_and_whatever_it_does(start):
    peer = start("-p", "use_sim_time:=true")
    labeled = connected(peer)
    label_cloud(peer, cloud(room()), labeled)
    found = wait_for_status(peer, "use_sim_time is true, but no /clock arrives (0 publishers)")
    assert found["level"] == "1" and found["age_when_published_s"] == "unknown"
    clock = peer.node.create_publisher(Clock, "/clock", 10)

    def tick(shift: float) -> dict[str, str]:
        """Set the clock `shift` seconds after the stamp of a cloud, and return the diagnostics after it."""
        message = cloud(room())
        now = Time(sec=int(message.header.stamp.sec + shift), nanosec=message.header.stamp.nanosec)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:  # best effort
            clock.publish(Clock(clock=now))
            time.sleep(0.05)
        peer.points.publish(message)
        wait_for(lambda: labeled.by_stamp(message.header.stamp), what="a labeled cloud")
        return status(peer)

    wait_for(lambda: clock.get_subscription_count())
    assert tick(2)["age_when_published_s"] == "2.000"
    jumped = tick(-500)  # back, as a bag in a loop does: the stamps are ahead
    assert jumped["level"] == "1" and "500.0 s ahead of this machine's ROS time" in jumped["message"]
    found = tick(3)
    assert found["level"] == "0" and found["age_when_published_s"] == "3.000"


def test_a_flood_on_one_topic_costs_the_other_nothing(start):
    topics = ("-p", "input.topics:=[front, rear]", "-p", "input.weights:=[1.0, 2.0]")
    peer = start(*topics, FAKE_SECONDS="0.05")
    front, rear = (peer.publisher(topic, cloud_qos("reliable", 1)) for topic in ("front", "rear"))
    labeled = peer.labeled()
    wait_for(lambda: front.get_subscription_count() and rear.get_subscription_count() and labeled.connected())
    flood, sent, end = cloud(room(200), "front"), [], time.monotonic() + 4
    peer.connect(labeled, publisher=rear)
    while time.monotonic() < end:
        if len(sent) < 8 * (time.monotonic() - end + 4) * 0.5:
            sent.append(cloud(room(100), "rear"))
            rear.publish(sent[-1])
        front.publish(flood)
        time.sleep(0.001)
    wait_for(lambda: labeled.by_stamp(sent[-1].header.stamp), what="the last cloud")
    answered = sum(bool(labeled.by_stamp(message.header.stamp)) for message in sent)
    assert answered >= 0.9 * len(sent) and len(sent) > 10, (answered, len(sent))
    found = {key: int(value) for key, value in status(peer).items() if key.startswith(("clouds", "dropped"))}
    assert found["dropped_stale./front"] > found["clouds_labeled./front"] > 5
    assert found["dropped_stale./rear"] <= 1 and found["clouds_received./front"] > found["clouds_received./rear"]
    assert found["clouds_received"] == found["clouds_received./front"] + found["clouds_received./rear"]
    for topic in ("front", "rear"):
        done = sum(found[f"{key}./{topic}"] for key in ("clouds_labeled", "dropped_stale", "dropped_failed"))
        assert found[f"clouds_received./{topic}"] - 2 <= done <= found[f"clouds_received./{topic}"]
    for weights in ([1.0], [1.0, -1.0], [1.0, float("nan")], ["a", "b"]):
        assert "input.weights" in set_parameter(peer, "input.weights", [str(w) for w in weights]).reason
    assert set_parameter(peer, "input.weights", ["3", "1"]).successful


def test_malformed_messages_and_failing_callbacks_become_diagnostics(start):
    peer = start(FAKE_FAULT="diagnostics")
    found = wait_for_status(peer, "timer failed: RuntimeError('diagnostics')")
    assert found["level"] == "2" and found["faults"] == "1"
    labeled = connected(peer)
    message = cloud(room(), frame="mapmapmap")
    data = serialize_message(message)
    for malformed in (b"", data[:4], data[:50], data[:-5], data[:4] + b"\xff" * 40 + data[44:]):
        peer.points.publish(malformed)
    odd = data.replace(b"mapmapmap", b"\xff\xfe\xfdmapmap")  # not UTF-8

    def answered():  # Fast DDS may hold a message that follows malformed ones until another comes
        peer.points.publish(odd)
        time.sleep(0.2)
        return labeled.by_stamp(message.header.stamp)

    wait_for(answered)
    assert labeled.by_stamp(message.header.stamp)[0].header.frame_id.endswith("mapmap")
    label_cloud(peer, cloud(room()), labeled)


def test_no_exception_of_a_callback_leaves_the_executor_or_blocks_its_group():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros.claim_domain())
    node, faults = rclpy.create_node("failing", context=context), []
    executor = GuardedExecutor(lambda error, name: faults.append((repr(error), name)), context)
    executor.add_node(node)

    def fail(*_):
        raise RuntimeError("callback")

    group, names = MutuallyExclusiveCallbackGroup(), {"timer", "/text", "/broken", "set"}
    node.create_timer(0.02, fail, callback_group=group)
    node.create_subscription(String, "text", fail, 10, callback_group=group)
    other = MutuallyExclusiveCallbackGroup()
    broken = node.create_subscription(String, "broken", fail, 10, callback_group=other)
    broken.msg_type = None  # its messages cannot be converted
    node.create_service(SetVocabulary, "set", fail, callback_group=group)
    client = node.create_client(SetVocabulary, "set")
    publishers = [node.create_publisher(String, topic, 10) for topic in ("text", "broken")]
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end and min(Counter(name for _, name in faults).get(n, 0) for n in names) < 2:
            for publisher in publishers:
                publisher.publish(String(data="x"))
            client.call_async(SetVocabulary.Request())
            executor.spin_once(timeout_sec=0.1)
        found = Counter(name for _, name in faults)
        assert found.keys() == names and min(found.values()) >= 2, "after a fault, the group of each still runs"
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def test_the_executor_has_all_threads_from_the_start():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros.claim_domain())
    before = threading.active_count()
    executor = GuardedExecutor(lambda error, name: None, context)
    try:
        assert threading.active_count() - before == THREADS
    finally:
        executor.shutdown()
        context.try_shutdown()


def test_every_request_of_a_burst_is_answered(start):
    peer = start(FAKE_TEXTS="0.01")
    kinds = ((SetVocabulary, {"names": ["lamp"]}), (Query, {"texts": ["lamp"]}), (GetVocabulary, {}))
    for kind, request in kinds:
        name = "_".join(re.findall("[A-Z][a-z]+", kind.__name__)).lower()
        client = peer.node.create_client(kind, f"/s4token/{name}", qos_profile=SERVICES)
        assert client.wait_for_service(30)
        answers = [client.call_async(kind.Request(**request)) for _ in range(40)]
        wait_for(lambda answers=answers: all(answer.done() for answer in answers), 30, f"every answer of {name}")
