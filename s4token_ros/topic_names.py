"""Names of topics: which ones the node may subscribe to, and which ones are its own outputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

OUTPUTS = (  # below ~/
    "labeled", "classes", "objects", "detections", "markers", "filtered", "similarity", "vocabulary", "label_info",
)  # fmt: skip
CLASSES = "class"  # ~/class/<name>
MAX_TOPICS = 16
# Topics of ROS itself: they never hold clouds, and the node uses them with their own type
STANDARD = {
    "/clock": "rosgraph_msgs/msg/Clock",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    "/parameter_events": "rcl_interfaces/msg/ParameterEvent",
    "/rosout": "rcl_interfaces/msg/Log",
    "/tf": "tf2_msgs/msg/TFMessage",
    "/tf_static": "tf2_msgs/msg/TFMessage",
}


def resolved(node: Any, topic: str) -> str:
    """Return the full name of a topic, with ~ and {node} expanded and remappings applied; ValueError if it has none."""
    try:
        if "\0" in topic:
            raise ValueError("topic name must not contain a zero byte")
        return node.resolve_topic_name(topic)
    except Exception as error:  # rclpy's RCLError is no public type
        reason = str(error).removeprefix("failed to resolve name: ").partition(", at /")[0]
        raise ValueError(f"input.topics: {topic[:80]!r} is no topic: {reason}") from None


def checked_inputs(node: Any, topics: Sequence[str], outputs: Collection[str] = ()) -> tuple[str, ...]:
    """Return the full names of the topics to subscribe to.

    ValueError on a name that ROS does not allow, a repeated one, a standard topic of another type, and an output of the
    node, under its own name or a remapped one; `outputs` are further full names that the node publishes on.
    """
    if not topics:
        raise ValueError("input.topics is empty; give at least one topic, e.g. [points]")
    if len(topics) > MAX_TOPICS:
        raise ValueError(f"input.topics holds {len(topics)} topics; at most {MAX_TOPICS} are subscribed to")
    found: dict[str, str] = {}
    own = {resolved(node, f"~/{name}"): f"~/{name}" for name in OUTPUTS} | {name: name for name in outputs}
    class_topics = resolved(node, f"~/{CLASSES}/x")[:-1]
    for topic in topics:
        name = resolved(node, topic)
        if name in found:
            raise ValueError(f"input.topics holds {name} twice, as {found[name]!r} and {topic!r}; leave one out")
        if name in own or name.startswith(class_topics):
            output = own.get(name, f"~/{CLASSES}")
            raise ValueError(f"input.topics: {topic!r} is {name}, this node's output {output}; it would label its own")
        if name in STANDARD:
            raise ValueError(f"input.topics: {name} carries {STANDARD[name]}, not clouds")
        found[name] = topic
    return tuple(found)


def check_outputs(node: Any, names: Sequence[str], inputs: Collection[str]) -> None:
    """Raise ValueError if a topic ~/class/<name> of `names` is remapped to one of `inputs`, full names."""
    for name in names:
        topic = resolved(node, f"~/{CLASSES}/{name}")
        if topic in inputs:
            raise ValueError(f"~/{CLASSES}/{name} is remapped to {topic}, which is an input; remap it to another topic")
