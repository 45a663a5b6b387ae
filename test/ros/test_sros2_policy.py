"""The SROS2 policy allows the node every topic and service that it has, and others no more than they need."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from fnmatch import fnmatchcase

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import ros_helpers as ros
from rclpy.node import NodeNameNonExistentError

POLICY = ros.ROOT / "config" / "sros2_policy.xml"
NODE = "s4token"
QUALIFIERS = {"topics": ("publish", "subscribe"), "services": ("reply", "request")}


def allowed(enclave: str) -> dict[str, set[str]]:
    """What an enclave may publish, subscribe, reply and request, as absolute names or patterns."""
    (profile,) = ElementTree.parse(POLICY).getroot().findall(f"enclaves/enclave[@path='/{NODE}/{enclave}']//profile")
    found: dict[str, set[str]] = {kind: set() for kinds in QUALIFIERS.values() for kind in kinds}
    for rule in profile:
        (kind,) = [kind for kind in QUALIFIERS[rule.tag] if rule.get(kind) == "ALLOW"]
        names = [expression.text for expression in rule]
        found[kind] |= {
            name.replace("~", f"/{profile.get('node')}") if name[0] in "~/" else f"/{name}" for name in names
        }
    return found


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The names that a running node publishes, subscribes and serves."""
    domain = ros.claim_domain()
    process = ros.NodeProcess(domain, tmp_path_factory.mktemp("sros2") / "log")
    peer = ros.Peer(domain)
    try:
        vocabulary = peer.vocabulary()
        ros.wait_for(lambda: vocabulary, 60, "the vocabulary")

        def names(of):
            try:
                return {name for name, _ in of(NODE, "/")}
            except NodeNameNonExistentError:  # its topics may be known before its name
                return set()

        node = peer.node
        ros.wait_for(lambda: "/points" in names(node.get_subscriber_names_and_types_by_node), 30, "the subscription")
        yield {
            "publish": names(node.get_publisher_names_and_types_by_node),
            "subscribe": names(node.get_subscriber_names_and_types_by_node),
            "reply": names(node.get_service_names_and_types_by_node),
        }
    finally:
        process.stop()
        peer.close()


@pytest.mark.parametrize("kind", ["publish", "subscribe", "reply"])
def test_the_node_may_do_what_it_does_and_nothing_else(graph, kind):
    names, patterns = graph[kind], allowed("node")[kind]
    assert {name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)} == set()
    optional = {"/tf", "/tf_static", "/clock", "/parameter_events"}  # with temporal.enabled, use_sim_time; and where
    # vision_msgs and visualization_msgs are installed, or with output.filtered_*
    optional |= {f"/{NODE}/{name}" for name in ("label_info", "detections", "markers", "filtered")}
    unused = {pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)}
    assert unused <= optional and not allowed("node")["request"]


def test_others_read_what_the_node_publishes_and_ask_what_it_serves():
    node = allowed("node")
    for enclave in ("operator", "viewer"):
        others = allowed(enclave)
        assert others["subscribe"] - {"/tf", "/tf_static"} <= node["publish"] and not others["reply"]
        assert {name for name in others["request"] if not name.endswith("/*")} <= node["reply"]
        words = {f"/{NODE}/set_words"} if enclave == "operator" else set()
        assert others["publish"] == {"/parameter_events", "/rosout"} | words
    changing = {f"/{NODE}/{name}" for name in ("set_vocabulary", "set_parameters", "change_state")}
    assert not allowed("viewer")["request"] & changing and not any("*" in name for name in allowed("viewer")["request"])


def test_a_sensor_publishes_clouds_and_nothing_of_the_node():
    sensor = allowed("sensor")
    assert sensor["publish"] == {"/points", "/tf", "/tf_static", "/parameter_events", "/rosout"}
    assert not sensor["subscribe"] | sensor["request"] | sensor["reply"]
