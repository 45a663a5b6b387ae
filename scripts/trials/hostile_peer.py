"""A hostile peer: a process that does to the node what any process on its network may do, until the parent ends."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import numpy as np
import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_interfaces.srv import Query, SetVocabulary
from s4token_ros import cloud_messages
from s4token_ros.qos import cloud_qos
from s4token_ros.session import NODE
from scripts.trials.sensor import structured

ANSWER_S = 5.0  # after which the peer goes on, whether the node has answered or not
BAD_TOPICS = (
    "bad name!",
    "/",
    "//a",
    "~",
    "a/",
    "1a",
    "{node}",
    "ä",
    "a" * 300,
    "x__y",
    f"{NODE}/labeled",
    f"{NODE}/similarity",
)
PATHS = (
    "/etc/shadow", "/proc/kmsg", "/dev/zero", "/proc/self/mem", "/proc/self/environ", "/", "..", "/dev/stdin", "a\0b",
    "../../../../etc/passwd", "~/.ssh/id_rsa", "file:///etc/passwd", "http://127.0.0.1/", "x" * 5000,
)  # fmt: skip


class Peer:
    """The attacks; each is called in turn, for ever."""

    def __init__(self, node, topic: str) -> None:
        self._node, self._rng = node, np.random.default_rng(0)
        self._parameters = node.create_client(SetParameters, f"{NODE}/set_parameters")
        self._vocabulary = node.create_client(SetVocabulary, f"{NODE}/set_vocabulary")
        self._query = node.create_client(Query, f"{NODE}/query")
        self._clouds = node.create_publisher(PointCloud2, topic, cloud_qos("reliable", 5))
        self._labeled = node.create_publisher(PointCloud2, f"{NODE}/labeled", cloud_qos("reliable", 5))
        self.attacks: tuple[Callable[[], None], ...] = (
            self.bad_topics, self.paths, self.long_words, self.flood_of_parameters, self.flood_of_clouds,
            self.malformed_clouds, self.forged_outputs, self.flood_of_queries,
        )  # fmt: skip

    def bad_topics(self) -> None:
        """Names that are none, and the node's own outputs, as input."""
        for name in BAD_TOPICS:
            self._set("input.topics", [name])
            self._set("input.topics", ["points", name])

    def paths(self) -> None:
        """Files of the machine as words."""
        for path in PATHS:
            self._set("vocabulary.labels", path)
            self._set("vocabulary.templates", path)

    def long_words(self) -> None:
        """A word of 30,000 letters, 10,000 words."""
        for names in (["a" * 30_000], ["word " * 6_000], [f"word {k}" for k in range(10_000)]):
            self._call(self._vocabulary, SetVocabulary.Request(names=names))
            self._call(self._query, Query.Request(texts=names))

    def flood_of_parameters(self) -> None:
        """Two hundred requests at once, valid and absurd."""
        values = [-1, 10**18, float("nan"), "", "x" * 10_000, [], [""] * 1000, True]
        futures = [
            self._parameters.call_async(self._request(name, values[self._rng.integers(len(values))]))
            for name in ("input.max_points", "no.such.parameter", "diagnostics.period", "output.class_topics") * 50
        ]
        self._wait(futures)

    def flood_of_clouds(self) -> None:
        """Clouds as fast as they can be sent, for five seconds."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            points = structured(self._rng.random((int(self._rng.integers(0, 50_000)), 3)), "xyz")
            self._clouds.publish(cloud_messages.encode(points, Header(frame_id="hostile")))
            time.sleep(0.01)

    def malformed_clouds(self) -> None:
        """Clouds whose sizes, fields and values contradict each other."""
        good = cloud_messages.encode(structured(self._rng.random((1000, 3)), "lidar"), Header(frame_id="h" * 5000))
        for name, value in (
            ("width", 2**32 - 1), ("height", 2**32 - 1), ("point_step", 0), ("point_step", 2**32 - 1), ("row_step", 0),
            ("row_step", 2**32 - 1), ("fields", []), ("fields", good.fields * 3000), ("data", good.data[:7]),
        ):  # fmt: skip
            bad = cloud_messages.encode(structured(self._rng.random((1000, 3)), "lidar"), Header())
            setattr(bad, name, value)
            self._clouds.publish(bad)
        for value in (np.nan, np.inf, 1e38, 1e-38):
            self._clouds.publish(cloud_messages.encode(structured(np.full((1000, 3), value), "double"), Header()))

    def forged_outputs(self) -> None:
        """Clouds on the node's own output."""
        for _ in range(20):
            self._labeled.publish(cloud_messages.encode(structured(self._rng.random((100, 3)), "xyz"), Header()))

    def flood_of_queries(self) -> None:
        """A hundred questions at once, each new."""
        texts = [f"thing {self._rng.integers(10**9)}" for _ in range(100)]
        self._wait([self._query.call_async(Query.Request(texts=[text], max_matches=2**32 - 1)) for text in texts])

    def _set(self, name: str, value: object) -> None:
        self._call(self._parameters, self._request(name, value))

    def _request(self, name: str, value: object) -> SetParameters.Request:
        return SetParameters.Request(parameters=[Parameter(name=name, value=parameter_value(value))])

    def _call(self, client, request: object) -> None:
        self._wait([client.call_async(request)])

    def _wait(self, futures: list) -> None:
        end = time.monotonic() + ANSWER_S
        while time.monotonic() < end and not all(future.done() for future in futures):
            rclpy.spin_once(self._node, timeout_sec=0.05)
        late = sum(not future.done() for future in futures)
        answers = {_reason(future.result()) for future in futures if future.done()}
        print(
            f"  {len(futures)} requests, {late} unanswered after {ANSWER_S:g} s",
            *sorted(answers)[:3],
            sep="; ",
            flush=True,
        )


def parameter_value(value: object) -> ParameterValue:
    """Return a value of Python as ROS sends it."""
    kinds = {bool: "bool", int: "integer", float: "double", str: "string", list: "string_array", bytes: "byte_array"}
    name = kinds[type(value)]
    if isinstance(value, list) and value and not isinstance(value[0], str):
        name = f"{kinds[type(value[0])]}_array"
    content = [bytes([b]) for b in value] if isinstance(value, bytes) else value
    return ParameterValue(type=getattr(ParameterType, f"PARAMETER_{name.upper()}"), **{f"{name}_value": content})


def _reason(response: object) -> str:
    if isinstance(response, SetParameters.Response):
        return "accepted" if response.results[0].successful else response.results[0].reason[:100]
    return "done" if response.success else response.message[:100]


def main(arguments: list[str] | None = None) -> int:
    """Attack until the parent process ends."""
    parser = argparse.ArgumentParser(prog="python -m scripts.trials.hostile_peer", description=__doc__)
    parser.add_argument("--topic", required=True, help="a topic that the node listens to, beside the sensor's")
    options = parser.parse_args(arguments)
    parent = os.getppid()
    rclpy.init(args=[])
    peer = Peer(rclpy.create_node("hostile_peer"), options.topic)
    while os.getppid() == parent and rclpy.ok():
        for attack in peer.attacks:
            print(attack.__name__, flush=True)
            attack()
    return 0


if __name__ == "__main__":
    sys.exit(main())
