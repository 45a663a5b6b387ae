"""The demo's processes and its ear on them: start the node and the player, listen, call, wait, stop."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2

from s4token_interfaces.msg import SceneClasses
from s4token_interfaces.msg import Vocabulary as VocabularyMessage
from s4token_interfaces.srv import GetVocabulary, Query, SetVocabulary
from s4token_ros.qos import LATCHED, cloud_qos

NODE = "/s4token"
TOPIC = "/demo/points"
PROFILE = "fastdds_large_clouds.xml"
READY_S, FIRST_CLOUD_S, CLOUD_S, ANSWER_S = 180.0, 120.0, 60.0, 60.0


class DemoError(Exception):
    """Something did not come; the message says what, and what is known about why."""


@dataclass(frozen=True)
class Result:
    """One labeled cloud with the summary of its classes and the vocabulary that labeled it."""

    cloud: PointCloud2
    classes: SceneClasses
    vocabulary: VocabularyMessage


@dataclass(frozen=True)
class Answer:
    """What a query gave: Match messages, the cloud of similarities, and the same cloud labeled."""

    texts: tuple[str, ...]
    matches: list
    similarity: PointCloud2
    labeled: PointCloud2


@dataclass
class Child:
    """A process of the demo and the file its output goes to."""

    name: str
    process: subprocess.Popen
    log: Path

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@dataclass
class Heard:
    """Everything that came in over DDS; clouds by stamp in ns, the newest few."""

    clouds: dict[int, PointCloud2] = field(default_factory=dict)
    classes: dict[int, list[SceneClasses]] = field(default_factory=dict)
    vocabularies: dict[int, VocabularyMessage] = field(default_factory=dict)
    similarity: PointCloud2 | None = None
    arrivals: list[tuple[float, float]] = field(default_factory=list)  # monotonic s, age ms
    status: Any = None  # the node's DiagnosticStatus


def environment() -> dict[str, str]:
    """Environment variables for all processes of a demo: an own domain on this machine only, and room for large clouds.

    What the caller has set for Fast DDS stays.
    """
    found = {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    distro = os.environ.get("ROS_DISTRO", "")
    if distro == "humble":
        found["ROS_LOCALHOST_ONLY"] = "1"
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "")
    if Path(sys.prefix, "share", "ament_index").is_dir() and sys.prefix not in prefixes.split(os.pathsep):
        found["AMENT_PREFIX_PATH"] = os.pathsep.join(filter(None, [sys.prefix, prefixes]))
    profile = next((p for p in _profiles() if p.is_file()), None)
    if profile:
        name = "FASTRTPS_DEFAULT_PROFILES_FILE" if distro in ("humble", "jazzy") else "FASTDDS_DEFAULT_PROFILES_FILE"
        if not Path(os.environ.get(name, "")).is_file():
            found[name] = str(profile)
    return found


def _profiles() -> list[Path]:
    """Where the Fast DDS profile may be: the source checkout, then installations."""
    shares = [Path(sys.prefix), *map(Path, filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)))]
    installed = [share / "share" / "s4token_ros" / "config" / PROFILE for share in shares]
    return [Path(__file__).resolve().parents[1] / "config" / PROFILE, *installed]


class Session:
    """A context: inside it processes run and messages are heard; on leaving it everything is stopped."""

    def __init__(self, logs: Path, patience: float = 1.0) -> None:
        self._logs, self._patience = logs, patience
        self._children: list[Child] = []
        self._heard = Heard()

    def __enter__(self) -> Session:
        rclpy.init(args=[])
        self._node = rclpy.create_node("s4token_demo")
        listen = self._node.create_subscription
        clouds = cloud_qos("reliable", depth=5)
        listen(PointCloud2, f"{NODE}/labeled", self._on_cloud, clouds)
        listen(SceneClasses, f"{NODE}/classes", self._on_classes, clouds)
        listen(PointCloud2, f"{NODE}/similarity", self._on_similarity, clouds)
        listen(VocabularyMessage, f"{NODE}/vocabulary", self._on_vocabulary, LATCHED)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        return self

    def __exit__(self, *reason) -> None:
        for child in reversed(self._children):
            stop(child.process)
        self._node.destroy_node()
        rclpy.try_shutdown()

    def start_node(self, model: str = "") -> float:
        """Start the node and wait until its model is loaded; return the seconds that took."""
        start = time.monotonic()
        arguments = ["--ros-args", "-r", f"points:={TOPIC}", *(["-p", f"model:={model}"] if model else [])]
        self._start("node", ["s4token_ros.node", *arguments])
        loaded = "vocabulary: the model is not loaded"
        self._wait(lambda: self._heard.vocabularies or self._failed_to_configure(), READY_S, loaded)
        return time.monotonic() - start

    def _failed_to_configure(self) -> bool:
        status = self._heard.status
        if status is not None and status.message.startswith("not configured"):
            raise DemoError(f"the node could not load its model: {status.message}")
        return False

    def start_player(self, source: str, rate: float, bag_topic: str = "") -> None:
        """Start to publish `source`; `bag_topic` says which topic of a bag."""
        chosen = ["--bag-topic", bag_topic] if bag_topic else []
        self._start("player", ["s4token_ros.replay", source, "--topic", TOPIC, "--rate", str(rate), *chosen])

    def _start(self, name: str, command: list[str]) -> None:
        log = self._logs / f"{name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self._children.append(Child(name, process, log))

    @property
    def version(self) -> int:
        """Version of the newest vocabulary heard."""
        return max(self._heard.vocabularies)

    @property
    def figures(self) -> dict[str, str]:
        """The key-value pairs of the newest diagnostics."""
        return {v.key: v.value for v in self._heard.status.values} if self._heard.status else {}

    @property
    def model(self) -> str:
        """The model that the newest diagnostics name."""
        return self._heard.status.hardware_id if self._heard.status else ""

    def labeled_by(self, version: int) -> Result:
        """Wait for a cloud that one vocabulary version alone labeled."""

        def ready() -> Result | None:
            vocabulary = self._heard.vocabularies.get(version)
            for stamp, cloud in reversed(self._heard.clouds.items()):
                scenes = self._heard.classes.get(stamp, [])
                if vocabulary and scenes and {s.vocabulary_version for s in scenes} == {version}:
                    return Result(cloud, scenes[-1], vocabulary)
            return None

        return self._wait(ready, FIRST_CLOUD_S, f"labeled cloud (vocabulary version {version})")

    def count(self, clouds: int) -> tuple[int, float, float]:
        """Wait for more clouds and a diagnosis after them; return (clouds, Hz, mean age in ms when they came)."""
        self._heard.arrivals.clear()
        self._wait(lambda: len(self._heard.arrivals) > clouds, CLOUD_S, f"{clouds} more labeled clouds")
        self._heard.status = None
        self._wait(lambda: self._heard.status, CLOUD_S, "message on /diagnostics")
        times, ages = zip(*self._heard.arrivals, strict=True)
        return len(times), (len(times) - 1) / max(times[-1] - times[0], 1e-9), sum(ages) / len(ages)

    def set_vocabulary(self, names: Sequence[str]) -> int:
        """Change the words; return the new version."""
        return self._call(SetVocabulary, "set_vocabulary", SetVocabulary.Request(names=list(names))).version

    def vocabulary(self) -> VocabularyMessage:
        """The words in force, by service."""
        return self._call(GetVocabulary, "get_vocabulary", GetVocabulary.Request()).vocabulary

    def query(self, texts: Sequence[str]) -> Answer:
        """Ask for the superpoints that fit each text best, and for the cloud of similarities."""
        self._heard.similarity = None
        response = self._call(Query, "query", Query.Request(texts=list(texts), max_matches=3))

        def both() -> tuple[PointCloud2, PointCloud2] | None:
            similarity = self._heard.similarity
            labeled = similarity and self._heard.clouds.get(_stamp(similarity))
            return (similarity, labeled) if labeled else None

        return Answer(tuple(texts), list(response.matches), *self._wait(both, CLOUD_S, "cloud on ~/similarity"))

    def _call(self, kind: type, name: str, request: Any) -> Any:
        client = self._node.create_client(kind, f"{NODE}/{name}")
        try:
            self._wait(client.service_is_ready, ANSWER_S, f"service {NODE}/{name}")
            future = client.call_async(request)
            self._wait(future.done, ANSWER_S, f"answer of {NODE}/{name}")
            response = future.result()
        finally:
            self._node.destroy_client(client)
        if not response.success:
            raise DemoError(f"{name} was refused: {response.message}")
        return response

    def _wait(self, done: Callable[[], Any], seconds: float, what: str) -> Any:
        """Spin until `done` returns something true, and return that; DemoError when time is up or a process ended."""
        limit = seconds * self._patience
        end = time.monotonic() + limit
        while not (value := done()):
            for child in self._children:
                if (code := child.process.poll()) is not None:
                    raise DemoError(f"the {child.name} ended ({code}): {child.last_words()}; all of it: {child.log}")
            if time.monotonic() > end:
                raise DemoError(f"no {what} after {limit:.0f} s; {self._explain()}")
            rclpy.spin_once(self._node, timeout_sec=0.1)
        return value

    def _explain(self) -> str:
        """What is known about why nothing came."""
        logs = ", ".join(str(c.log) for c in self._children)
        if self._heard.status is None:
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            return f"the node is not heard at all (ROS_DOMAIN_ID {domain}); logs: {logs}"
        keys = ("clouds_received", "clouds_labeled", "dropped_failed", "last_error")
        said = ", ".join(f"{key} {self.figures[key]}" for key in keys if self.figures.get(key))
        return f"the node says: {self._heard.status.message} ({said}); logs: {logs}"

    def _on_cloud(self, message: PointCloud2) -> None:
        stamp = _stamp(message)
        if stamp not in self._heard.clouds:  # the second one of a stamp is the same cloud with new words
            age = (self._node.get_clock().now().nanoseconds - stamp) * 1e-6
            self._heard.arrivals.append((time.monotonic(), age))
        _keep(self._heard.clouds, stamp, message)

    def _on_classes(self, message: SceneClasses) -> None:
        stamp = _stamp(message)
        _keep(self._heard.classes, stamp, [*self._heard.classes.get(stamp, []), message])

    def _on_similarity(self, message: PointCloud2) -> None:
        self._heard.similarity = message

    def _on_vocabulary(self, message: VocabularyMessage) -> None:
        self._heard.vocabularies[message.version] = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.lstrip("/").startswith(NODE.lstrip("/")):
                self._heard.status = status


def _stamp(message: Any) -> int:
    return Time.from_msg(message.header.stamp).nanoseconds


def _keep(newest: dict[int, Any], stamp: int, value: Any, most: int = 8) -> None:
    newest[stamp] = value
    for old in list(itertools.islice(newest, max(0, len(newest) - most))):
        del newest[old]


def stop(process: subprocess.Popen, grace: float = 8.0) -> int:
    """End a process: SIGINT, after `grace` seconds SIGKILL; return its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
