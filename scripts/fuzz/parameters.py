"""Absurd parameter values, sent over DDS to a live node: it answers each in time, and what it accepts still works.

A value that the node accepts has to label a cloud, or the next ones do nothing; afterwards the old value is set again.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters, SetParametersAtomically
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from tqdm import tqdm

from s4token_ros import cloud_messages
from s4token_ros.model_loading import warm_up_cloud
from s4token_ros.qos import cloud_qos
from s4token_ros.session import NODE, Session, environment
from scripts.fuzz.outcome import Outcome
from scripts.trials.hostile_peer import BAD_TOPICS, PATHS, parameter_value
from scripts.trials.samples import take
from scripts.trials.sensor import structured

TOPIC = "/fuzz/points"
ANSWER_S = 30.0  # a value may load the model again
CLOUD_S = 60.0
NODE_OWN = ("use_sim_time", "start_type_description_service")  # declared by rclpy
NUMBERS = (0, -1, 1, 2, 3, 63, 64, 65, 1000, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1e-300, -1e-300, 0.5, 1.0, -1.0, 1e300, -1e300, float("nan"), float("inf"), float("-inf"))
TEXTS = (
    "",
    " ",
    "auto",
    "cpu",
    "cuda:99",
    "a",
    "A" * 30_000,
    "\n",
    "\\",
    "%s%n",
    "{}",
    "{0.__class__}",
    "椅子",
    "\u202e",
    *PATHS,
)
LISTS = (
    [], [""], ["a"], ["a", "a"], ["a"] * 10_000, [f"word {k}" for k in range(3000)], ["", " "], ["{}"], ["no place"],
    ["{} {}"], [*BAD_TOPICS], ["points"], list(TEXTS), [True, False], [1, 2, 3], [0.5, float("nan")], [0.5] * 1000,
)  # fmt: skip
UNDECLARED = (
    "no.such",
    "sampling.token",
    "",
    ".",
    "..",
    "a" * 5000,
    "input",
    "input.",
    "input.topics.0",
    "qos_overrides./x",
    "ä",
)


def values(rng: np.random.Generator, count: int, names: list[str]) -> list[tuple[str, object]]:
    """Return (name, value) pairs: every name with every kind of value, in random order."""
    kinds = ((True, False), NUMBERS, FLOATS, TEXTS, LISTS, (b"", bytes(range(256))))
    found = []
    for number in range(count):
        name = UNDECLARED[rng.integers(len(UNDECLARED))] if rng.random() < 0.1 else names[number % len(names)]
        kind = kinds[rng.integers(len(kinds))]
        found.append((name, kind[rng.integers(len(kind))]))
    return found


class Trial:
    """A session with the node, and what it answered."""

    def __init__(self, session: Session) -> None:
        self.session, self.outcome, self.seen = session, Outcome(), 0
        node = session.node
        node.create_subscription(PointCloud2, f"{NODE}/labeled", self._on_cloud, cloud_qos("reliable", 5), raw=True)
        self.publisher = node.create_publisher(PointCloud2, TOPIC, cloud_qos("reliable", 5))
        self.clients = {
            kind: node.create_client(kind, f"{NODE}/{name}")
            for kind, name in (
                (SetParameters, "set_parameters"), (SetParametersAtomically, "set_parameters_atomically"),
                (GetParameters, "get_parameters"), (ListParameters, "list_parameters"),
            )
        }  # fmt: skip
        self.message = cloud_messages.encode(structured(warm_up_cloud(2000), "xyz"), Header(frame_id="map"))

    def call(self, kind: type, **request: object) -> object | None:
        """Return the answer of the node, or None if there is none in time."""
        client = self.clients[kind]
        future = client.call_async(kind.Request(**request))
        return future.result() if self.within(future.done, ANSWER_S) else None

    def within(self, done, seconds: float) -> bool:
        """Spin until `done`; return whether that was in time. SessionError if the node ended."""
        end = time.monotonic() + seconds
        self.session.wait(lambda: done() or time.monotonic() > end, seconds + 10, "answer")
        return bool(done())

    def set(self, name: str, value: ParameterValue, atomically: bool = False) -> bool | None:
        """Set a parameter; return whether the node accepted it, None without an answer."""
        kind = SetParametersAtomically if atomically else SetParameters
        answer = self.call(kind, parameters=[Parameter(name=name, value=value)])
        if answer is None:
            return None
        result = answer.result if atomically else answer.results[0]
        return result.successful

    def labels_a_cloud(self) -> bool:
        """Whether a cloud sent now comes back."""
        before, due = self.seen, 0.0

        def answered() -> bool:
            nonlocal due
            if time.monotonic() > due:  # the subscription may just be made again
                self.publisher.publish(self.message)
                due = time.monotonic() + 2
            return self.seen > before

        return self.within(answered, CLOUD_S)

    def _on_cloud(self, raw: bytes) -> None:
        self.seen += 1


def run(count: int, seed: int, out: Path) -> Outcome:
    """Send `count` values; notes name those that were not answered, or after which no cloud was labeled."""
    os.environ.update(environment())
    with Session("s4token_fuzz", TOPIC, out) as session:
        session.start_node(["warm_up:=false"])
        trial = Trial(session)
        names = trial.call(ListParameters).result.names
        old = dict(zip(names, trial.call(GetParameters, names=names).values, strict=True))
        assert trial.labels_a_cloud(), "the node labels no cloud before the trial"
        before = take(session.child("node").process.pid, 0, {}).rss_mb
        pairs = values(np.random.default_rng(seed), count, [name for name in names if name not in NODE_OWN])
        try:
            for number, (name, value) in enumerate(tqdm(pairs, "parameters", leave=False)):
                _try(trial, old, name, value, atomically=number % 5 == 0)
                peak = take(session.child("node").process.pid, 0, {}).rss_mb - before
                trial.outcome.peak_bytes = max(trial.outcome.peak_bytes, int(peak * 2**20))
            if not trial.labels_a_cloud():
                trial.outcome.hangs += 1
                trial.outcome.note("no cloud was labeled after the last value")
        except ValueError as error:  # the node ended
            trial.outcome.crashes += 1
            trial.outcome.note(f"{name} = {str(value)[:80]!r}: {error}")
        trial.outcome.tracebacks += session.child("node").text().count("Traceback (most recent call last)")
        return trial.outcome


def _try(trial: Trial, old: dict[str, ParameterValue], name: str, value: object, atomically: bool) -> None:
    """Set one value; if it was accepted, label a cloud and set the old value again."""
    outcome, text = trial.outcome, f"{name} = {str(value)[:80]!r}"
    outcome.tried += 1
    accepted = trial.set(name, parameter_value(value), atomically)
    if accepted is None:
        outcome.hangs += 1
        outcome.note(f"{text}: no answer in {ANSWER_S:g} s")
        trial.within(lambda: trial.set(name, old[name]) if name in old else True, 10 * ANSWER_S)
    elif not accepted:
        outcome.refused += 1
    else:
        if name not in old:
            outcome.tracebacks += 1
            outcome.note(f"{text}: accepted, although it does not exist")
        elif name not in ("input.topics", "output.labeled") and not trial.labels_a_cloud():
            outcome.hangs += 1
            outcome.note(f"{text}: accepted, and no cloud is labeled")
        if name in old and not trial.set(name, old[name]):
            outcome.hangs += 1
            outcome.note(f"{text}: the old value was not accepted again")
