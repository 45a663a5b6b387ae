"""Helpers of the node's tests: a segmenter without a network, the node as a process, and a peer to talk to it.

python test/helpers/ros_helpers.py --ros-args ...      runs the node with the fake segmenter
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Quaternion, TransformStamped
from lifecycle_msgs.srv import GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_interfaces.msg import SceneClasses, Vocabulary
from s4token_interfaces.srv import GetVocabulary, Query, SetVocabulary
from s4token_model import constants, vocabulary
from s4token_model.config import Config
from s4token_ros import cloud_messages, session
from s4token_ros.qos import LATCHED, PROFILE_VARIABLES, cloud_qos
from s4token_ros.session import claim_domain  # noqa: F401

ROOT = Path(__file__).parents[2]
if __name__ != "__main__":  # the node's process inherits it
    for name in PROFILE_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(session.environment())

HANGING_POINTS = 17  # a cloud of so many points, or a class "hang", makes it hang where FAKE_HANG names
FAILING_POINTS = 13  # a cloud of so many points makes the fake segmenter fail


def hang(state: str, points: int = HANGING_POINTS) -> None:
    """Compute for ever, without the GIL, as a compiler or a network of a large cloud may, if FAKE_HANG is `state`."""
    if os.environ.get("FAKE_HANG") == state and points == HANGING_POINTS:
        print(f"hanging: {state}", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


def random_rows(texts: list[str]) -> np.ndarray:
    """Rows (T, 4) that depend on the text alone, in place of a text tower; largest at its length modulo 4."""
    noise = [np.random.default_rng(list(text.encode())).normal(size=4) for text in texts]
    return np.stack(noise) + 5 * np.eye(4)[[len(text) % 4 for text in texts]]


class FakeSegmenter:
    """A segmenter whose results follow from the order of the points.

    Every 100 points are a superpoint s. Its label is (s + vocabulary.version) % classes, its confidence is the number
    of clouds encoded so far / 1000, and it is similar to a text if s == len(text). Where labels are smoothed over time,
    a superpoint s of a cloud of H points is similar to the texts with len(text) % 4 == (s + H) % 4.
    """

    def __init__(self, model: str, config: Config, device: str) -> None:
        if device != "cpu":
            raise ValueError(f"device {device!r} is not available on this machine; use cpu")
        self.config = config
        self.encoded = 0
        self.seconds = float(os.environ.get("FAKE_SECONDS", "0"))
        self.forming = float(os.environ.get("FAKE_FORMING", "0"))
        self.texts = 0.0  # seconds per class name that the text tower takes, except while loading
        hang("loading")
        self.vocabulary = self.make_vocabulary(config.vocabulary.names or ("floor", "wall", "chair"))
        self.texts = float(os.environ.get("FAKE_TEXTS", "0"))

    def with_config(self, config):
        return FakeSegmenter("", config, "cpu")

    def make_vocabulary(self, names, templates=None, thresholds=None, check=lambda: None):
        hang("texts", HANGING_POINTS * ("hang" in names))
        for _ in range(round(self.texts * len(names) * 100)):
            check()
            time.sleep(0.01)
        limits = self.config.vocabulary.threshold if thresholds is None else thresholds
        words = vocabulary.build(names, templates or ("a photo of a {}.",), limits, random_rows)
        unknown = ("'xyzzy' is unknown to this model",) if "xyzzy" in names else ()
        taken_for = {"loveseat": "sofa"} if "loveseat" in names else {}
        return dataclasses.replace(words, warnings=unknown, taken_for=taken_for)

    def encode(self, xyz, rgb=None):
        hang("warm-up")
        while not Path(os.environ.get("FAKE_GATE", "/")).exists():
            time.sleep(0.01)
        return self.encode_patches(self.build_patches(xyz, rgb), len(xyz))

    def build_patches(self, xyz, rgb=None, frame="", rotation=None, changes=None):
        if len(xyz) == FAILING_POINTS:
            raise RuntimeError("thirteen points are too unlucky")
        hang("patches", len(xyz))
        time.sleep(self.forming)
        return xyz

    def encode_patches(self, xyz, count):
        self.encoded += 1
        hang("inference", len(xyz))
        time.sleep(self.seconds)
        valid = np.isfinite(xyz).all(axis=1)
        superpoints = np.where(valid, np.arange(len(xyz)) // 100, constants.NO_SUPERPOINT).astype(np.uint32)
        reason = "" if valid.any() else "the cloud has no points" if len(xyz) == 0 else "all points are not finite"
        return SimpleNamespace(
            valid=valid,
            superpoints=superpoints,
            unlabeled_reason=reason,
            set_aside={} if valid.all() else {"not finite": int((~valid).sum())},
            warnings=(),
            superpoint_features=lambda: 0.2 * np.eye(4, dtype=np.float32)[np.arange(len(xyz), 2 * len(xyz)) % 4],
            number=self.encoded,
            up=lambda xyz: np.array([0.0, 0.0, 1.0]),
            stages_ms={"superpoints": 2.0, "encoder": 1.0},
        )

    def label(self, encoding, vocabulary=None):
        vocabulary = vocabulary or self.vocabulary
        labels = ((encoding.superpoints + np.uint32(vocabulary.version)) % len(vocabulary.names)).astype(np.uint32)
        return SimpleNamespace(
            labels=np.where(encoding.valid, labels, constants.UNLABELED).astype(np.uint32),
            confidence=np.where(encoding.valid, encoding.number / 1000, 0).astype(np.float32),
            superpoints=encoding.superpoints,
            encoding=encoding,
            vocabulary=vocabulary,
            unlabeled_reason="; ".join(f"{n} points: {reason}" for reason, n in encoding.set_aside.items()),
            stages_ms={**encoding.stages_ms, "propagation": 0.5},
        )

    def segment(self, xyz, rgb=None):
        result = self.label(self.encode(xyz, rgb))
        self.encoded = 0  # the warm-up does not count
        return result

    def similarity(self, encoding, texts):
        hits = encoding.superpoints[:, None] == np.array([len(t) for t in texts.names])
        return np.where(encoding.valid[:, None], np.where(hits, 0.9, 0.1), np.nan).astype(np.float32)


class NodeProcess(session.ChildProcess):
    """The node as a process; by default this file, with the fake segmenter."""

    grace_s = 60.0

    def __init__(self, domain: int, log: Path, *args: str, command: tuple[str, ...] = (), **env: str) -> None:
        command = command or (sys.executable, str(Path(__file__).resolve()), "--ros-args")
        super().__init__(
            "node", [*command, *args], log, **{"PYTHONPATH": str(ROOT), **env, "ROS_DOMAIN_ID": str(domain)}
        )


class Peer:
    """A node in the test's process, spun by a thread, that publishes clouds and collects what comes back."""

    def __init__(self, domain: int, name: str = "peer") -> None:
        self.domain, self.clients = domain, {}
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
            with contextlib.suppress(InvalidHandle):  # a test has just destroyed a subscription
                self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._running = False
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    points = None  # a publisher of clouds, for `connect`

    def publisher(self, topic: str = "points", qos=None):
        return self.node.create_publisher(PointCloud2, topic, qos or cloud_qos("reliable", 10))

    def connect(self, *topics: Collected, publisher=None) -> None:
        """Send small clouds until the last one has come back on every topic: the node has matched them all.

        Clouds are answered in order, so no probe is on its way afterwards. One answer is not enough: it may have been
        meant for a subscription of the same topic that has just gone, and the next find no subscription at all.
        """
        end, patience = time.monotonic() + 60, 0.2
        silent = [t.subscription.topic_name for t in topics]
        while silent:
            assert time.monotonic() < end, f"the last probe has not come back on {silent}"
            probe = cloud(room(10))
            (publisher or self.points).publish(probe)
            retry, patience = time.monotonic() + patience, min(1.5 * patience, 5.0)
            while silent and time.monotonic() < retry:
                time.sleep(0.005)
                silent = [t.subscription.topic_name for t in topics if not t.by_stamp(probe.header.stamp)]
        for topic in topics:
            topic.clear()
            topic.matched = True

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
        client = self.clients.get(name) or self.clients.setdefault(name, self.node.create_client(kind, name))
        assert client.wait_for_service(timeout), f"no service {name}"
        future = client.call_async(kind.Request(**request))
        wait_for(future.done, timeout, f"an answer of {name}")
        return future.result()

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

    matched = False  # set by Peer.connect

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


@contextlib.contextmanager
def peer_of(process: NodeProcess, domain: int) -> Iterator[Peer]:
    """A peer of a node that is ready for its clouds; afterwards the node has ended cleanly."""
    peer = Peer(domain)
    vocabulary, peer.points = peer.vocabulary(), peer.publisher()
    try:
        wait_for(lambda: vocabulary and peer.points.get_subscription_count(), 60, f"the node: {process.text()}")
        vocabulary.close()
        yield peer
    finally:
        code = process.stop()
        peer.close()
        print(process.text())
    assert code == 0 and "Traceback" not in process.text(), process.text()


def wait_for(condition, timeout: float = 30.0, what: str = "") -> None:
    """Wait until condition() is true; AssertionError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited {timeout} s in vain for {what or condition}"
        time.sleep(0.01)


def label_cloud(peer, message, collected=None, timeout=30.0):
    """Publish a cloud and return its labeled answer."""
    mine = collected if collected is not None else peer.labeled()
    if not mine.matched:
        peer.connect(mine)
    peer.points.publish(message)
    wait_for(lambda: mine.by_stamp(message.header.stamp), timeout, "a labeled cloud")
    answer = mine.by_stamp(message.header.stamp)[-1]
    if collected is None:
        mine.close()
    return answer


def state(peer: Peer) -> int:
    """Return the number of the node's lifecycle state, or of the transition that it is in."""
    return peer.call(GetState, "/s4token/get_state").current_state.id


def set_parameter(peer, name, value):
    kinds = {bool: "bool", int: "integer", float: "double", str: "string", list: "string_array"}
    kind = kinds[type(value)]
    setting = ParameterValue(type=getattr(ParameterType, f"PARAMETER_{kind.upper()}"), **{f"{kind}_value": value})
    request = [Parameter(name=name, value=setting)]
    return peer.call(SetParameters, "/s4token/set_parameters", parameters=request).results[0]


_stamps = iter(range(1, 10**9))


def cloud(points: np.ndarray, frame: str = "map", height: int = 1, **changes) -> PointCloud2:
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


class FakeBuffer:
    """Knows one pair of frames, from `first` [s] on; records how long it was asked to wait."""

    def __init__(self, quaternion=(0.0, 0.0, 0.0, 1.0), first: int = 0, frames=("base_link", "camera")) -> None:
        self.answer = TransformStamped()
        self.answer.transform.rotation = Quaternion(**dict(zip("xyzw", quaternion, strict=True)))
        self.answer.transform.translation.x = 1.5
        self.first, self.frames, self.waits = first, frames, []

    def can_transform(self, target, source, time):
        return (target, source) == self.frames

    def lookup_transform(self, target, source, time, timeout):
        self.waits.append(timeout.nanoseconds * 1e-9)
        if not self.can_transform(target, source, time):
            raise LookupError(f'"{source}" passed to lookupTransform argument source_frame does not exist.')
        if 0 < time.nanoseconds < self.first * 10**9:
            raise LookupError("Lookup would require extrapolation into the past.")
        return self.answer


class FakeTransforms:
    """Instead of transforms.Transforms, whose tf2_ros is not on PyPI: the frame "map" stands still."""

    def __init__(self, node) -> None:
        pass

    def pose(self, target: str, source: str, stamp):
        if source != "map":
            raise ValueError(f"no transform from frame {source!r} to {target!r}")
        return np.eye(3), np.zeros(3)

    def close(self) -> None:
        pass


if __name__ == "__main__":
    from s4token_ros import node, qos, signals, transforms, watch, worker

    worker.Transforms, transforms.check_installed = FakeTransforms, lambda parameter: None
    if os.environ.get("FAKE_FAULT") == "diagnostics":  # the first call of the timer fails
        slowness = watch.diagnostics.slowness

        def fail_once(*arguments):
            watch.diagnostics.slowness = slowness
            raise RuntimeError("diagnostics")

        watch.diagnostics.slowness = fail_once
    qos.use_histories_of_profile()
    signals.leave(node.main(sys.argv, FakeSegmenter, lambda model: Config()))
