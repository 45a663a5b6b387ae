"""Helpers of the node's tests: a segmenter without a network, the node as a process, and a peer to talk to it.

python test/helpers/ros_helpers.py --ros-args ...      runs the node with the fake segmenter
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
PROFILE = str(ROOT / "config" / "fastdds_large_clouds.xml")
OLD_FASTDDS = os.environ.get("ROS_DISTRO") in ("humble", "jazzy")  # Fast DDS 3 warns about the old name
os.environ.pop("FASTRTPS_DEFAULT_PROFILES_FILE", None)
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE" if OLD_FASTDDS else "FASTDDS_DEFAULT_PROFILES_FILE"] = PROFILE
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from s4token_interfaces.msg import SceneClasses, Vocabulary  # noqa: E402
from s4token_interfaces.srv import GetVocabulary, Query, SetVocabulary  # noqa: E402
from s4token_model import constants, vocabulary  # noqa: E402
from s4token_model.config import Config  # noqa: E402
from s4token_ros import cloud_messages  # noqa: E402
from s4token_ros.qos import LATCHED, cloud_qos  # noqa: E402

FAILING_POINTS = 13  # a cloud of so many points makes the fake segmenter fail
_next_domain = iter(range(1000))


def unused_domain() -> int:
    """A ROS domain that no other test of this process uses, from a range that depends on the process."""
    return 1 + (os.getpid() * 16 + next(_next_domain)) % 96


class FakeSegmenter:
    """Every 100 points are a superpoint s; its label is (s + vocabulary.version) % words, its confidence tells how many
    clouds were encoded (n / 1000), and it resembles a text when s == len(text)."""

    def __init__(self, model: str, config: Config, device: str) -> None:
        if device != "cpu":
            raise ValueError(f"device {device!r} is not available on this machine; use cpu")
        self.config = config
        self.encoded = 0
        self.seconds = float(os.environ.get("FAKE_SECONDS", "0"))
        self.forming = float(os.environ.get("FAKE_FORMING", "0"))
        self.vocabulary = self.make_vocabulary(config.vocabulary.names or ("floor", "wall", "chair"))

    def make_vocabulary(self, names, templates=None, thresholds=None):
        limits = self.config.vocabulary.threshold if thresholds is None else thresholds
        return vocabulary.build(names, templates or ("a photo of a {}.",), limits, lambda t: np.ones((len(t), 4)))

    def encode(self, xyz, rgb=None):
        return self.encode_patches(self.build_patches(xyz, rgb), len(xyz))

    def build_patches(self, xyz, rgb=None):
        if len(xyz) == FAILING_POINTS:
            raise RuntimeError("thirteen points are too unlucky")
        time.sleep(self.forming)
        return xyz

    def encode_patches(self, xyz, count):
        self.encoded += 1
        time.sleep(self.seconds)
        valid = np.isfinite(xyz).all(axis=1)
        superpoints = np.where(valid, np.arange(len(xyz)) // 100, constants.NO_SUPERPOINT).astype(np.uint32)
        reason = (
            "" if valid.any() else "the cloud has no points" if len(xyz) == 0 else "no point of the cloud is finite"
        )
        return SimpleNamespace(
            valid=valid,
            superpoints=superpoints,
            unlabeled_reason=reason,
            number=self.encoded,
            stages_ms={"superpoints": 2.0, "encoder": 1.0},
        )

    def label(self, encoding, words=None):
        words = words or self.vocabulary
        labels = ((encoding.superpoints + np.uint32(words.version)) % len(words.names)).astype(np.uint32)
        return SimpleNamespace(
            labels=np.where(encoding.valid, labels, constants.UNLABELED).astype(np.uint32),
            confidence=np.where(encoding.valid, encoding.number / 1000, 0).astype(np.float32),
            superpoints=encoding.superpoints,
            vocabulary=words,
            stages_ms={**encoding.stages_ms, "propagation": 0.5},
        )

    def segment(self, xyz, rgb=None):
        result = self.label(self.encode(xyz, rgb))
        self.encoded = 0  # the warm-up does not count
        return result

    def similarity(self, encoding, texts):
        hits = encoding.superpoints[:, None] == np.array([len(t) for t in texts])
        return np.where(encoding.valid[:, None], np.where(hits, 0.9, 0.1), np.nan).astype(np.float32)


class NodeProcess:
    """The node as a process; stdout and stderr go to `log`."""

    def __init__(self, domain: int, log: Path, *args: str, command: tuple[str, ...] = (), **env: str) -> None:
        command = command or (sys.executable, str(Path(__file__).resolve()), "--ros-args")
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": str(ROOT), **env}
        environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen([*command, *args], env=environment, stdout=out, stderr=subprocess.STDOUT)

    def stop(self, sig: int = signal.SIGINT, timeout: float = 60.0) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def text(self) -> str:
        return self.log.read_text()


class Peer:
    """A node in the test's process, spun by a thread, that publishes clouds and collects what comes back."""

    def __init__(self, domain: int, name: str = "peer") -> None:
        self.domain = domain
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node(name, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._running = True
        self._thread.start()

    def _spin(self) -> None:
        while self._running:
            self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._running = False
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def publisher(self, topic: str = "points", qos=None):
        return self.node.create_publisher(PointCloud2, topic, qos or cloud_qos("reliable", 10))

    def collect(self, kind, topic: str, qos=None) -> Collected:
        return Collected(self.node, kind, topic, qos or cloud_qos("reliable", 10))

    def labeled(self) -> Collected:
        return self.collect(PointCloud2, "/s4token/labeled")

    def classes(self) -> Collected:
        return self.collect(SceneClasses, "/s4token/classes")

    def vocabulary(self) -> Collected:
        return self.collect(Vocabulary, "/s4token/vocabulary", LATCHED)

    def diagnostics(self) -> Collected:
        return self.collect(DiagnosticArray, "/diagnostics", 10)

    def call(self, kind, name: str, timeout: float = 30.0, **request):
        client = self.node.create_client(kind, name)
        try:
            assert client.wait_for_service(timeout), f"no service {name}"
            future = client.call_async(kind.Request(**request))
            wait_for(future.done, timeout, f"an answer of {name}")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def set_vocabulary(self, *names: str, **more) -> SetVocabulary.Response:
        return self.call(SetVocabulary, "/s4token/set_vocabulary", names=list(names), **more)

    def get_vocabulary(self) -> GetVocabulary.Response:
        return self.call(GetVocabulary, "/s4token/get_vocabulary")

    def query(self, *texts: str, max_matches: int = 0) -> Query.Response:
        return self.call(Query, "/s4token/query", texts=list(texts), max_matches=max_matches)

    def topics(self) -> set[str]:
        return {name for name, _ in self.node.get_topic_names_and_types()}


class Collected(list):
    """Messages of one topic; `close` unsubscribes."""

    def __init__(self, node, kind, topic: str, qos) -> None:
        super().__init__()
        self._node = node
        self.subscription = node.create_subscription(kind, topic, self.append, qos)

    def connected(self) -> bool:
        return self._node.count_publishers(self.subscription.topic_name) > 0

    def close(self) -> None:
        self._node.destroy_subscription(self.subscription)

    def by_stamp(self, stamp):
        return [m for m in self if m.header.stamp == stamp]


def wait_for(condition, timeout: float = 30.0, what: str = "") -> None:
    """Wait until condition() is true; AssertionError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout} s in vain for {what or condition}"
        time.sleep(0.01)


_stamps = iter(range(1, 10**9))


def cloud(points: np.ndarray, frame: str = "map", height: int | None = None, **changes) -> PointCloud2:
    """A PointCloud2 with a stamp of its own from a structured array."""
    number = next(_stamps)
    header = Header(frame_id=frame)
    header.stamp.sec, header.stamp.nanosec = 1000 + number, number
    message = cloud_messages.encode(points, header, height, is_dense=False)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def room(count: int = 1000, seed: int = 0, kind: str = "<f4") -> np.ndarray:
    """Random points with intensity and ring, structured (count,)."""
    rng = np.random.default_rng(seed)
    points = np.zeros(
        count, [("x", kind), ("y", kind), ("z", kind), ("intensity", "<f4"), ("ring", "<u2"), ("pad", "<u2")]
    )
    for axis in "xyz":
        points[axis] = rng.uniform(-5, 5, count)
    points["intensity"] = rng.random(count)
    points["ring"] = rng.integers(0, 16, count)
    return points


def arrays(message: PointCloud2) -> np.ndarray:
    """The points of a message, structured."""
    return cloud_messages.decode(message).points


def figures(array: DiagnosticArray) -> dict[str, str]:
    """Key values of the node's status, with its message and level."""
    status = array.status[0]
    return {v.key: v.value for v in status.values} | {"message": status.message, "level": str(ord(status.level))}


if __name__ == "__main__":
    from s4token_ros import node

    sys.exit(node.main(sys.argv, FakeSegmenter, lambda model: Config()))
