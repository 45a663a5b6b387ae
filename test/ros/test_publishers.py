"""The topics of classes come and go with the words."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces.msg")

import rclpy
from builtin_interfaces.msg import Time
from ros_helpers import claim_domain, random_rows

from s4token_model import vocabulary
from s4token_ros.options import OutputConfig
from s4token_ros.publishers import Publishers


def test_topics_that_are_gone_are_not_remembered():
    context = rclpy.Context()
    context.init(domain_id=claim_domain())
    node = rclpy.create_node("s4token", context=context)
    try:
        publishers, kept = Publishers(node, OutputConfig()), []
        for names in (["chair", "table"], ["lamp"], ["chair", "table"], ["a red chair", "door", "lamp"]):
            publishers.announce(vocabulary.build(names, ["{}"], 0.0, random_rows), Time())
            topics = {f"/s4token/class/{name.replace(' ', '_')}" for name in names}
            assert set(publishers.class_topics()) == topics
            kept.append(len(node.default_callback_group.entities))
        assert len(set(kept)) == 1
        assert {name for name, _ in node.get_topic_names_and_types() if "/class/" in name} == topics
        publishers.destroy()
    finally:
        node.destroy_node()
        context.shutdown()
