"""Time the node at work: s4token benchmark --live [--input BAG] [--rate 10] [--set input.max_points=40000] [--json]

Node and player are separate processes and this one listens; all three share the machine. A cloud's age is the time from
its stamp, set when the player publishes it, to the arrival of the labeled cloud here.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_interfaces.srv import SetVocabulary
from s4token_model import command_line
from s4token_model.constants import SAMPLE_ROOM
from s4token_ros import cloud_messages
from s4token_ros.qos import cloud_qos
from s4token_ros.session import NODE, Session, environment

TOPIC = "/benchmark/points"
FIRST_CLOUD_S, CLOUD_S = 60.0, 20.0
WARM_UP_S, QUIET_S = 2.0, 1.0
MESSAGE_POINTS, MESSAGE_POINT_STEP = 130_000, 32


@dataclass
class Listener:
    """Arrival [monotonic s] and age [s] of every labeled cloud."""

    clouds: list[tuple[float, float]] = field(default_factory=list)

    def on_cloud(self, raw: bytes) -> None:
        """Take a labeled cloud as serialized: after 4 bytes of encapsulation its header begins with the stamp."""
        seconds, nanoseconds = struct.unpack_from("<iI", raw, 4)
        self.clouds.append((time.monotonic(), time.time() - seconds - 1e-9 * nanoseconds))


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print; return 0."""
    parser = argparse.ArgumentParser("s4token benchmark --live", description=__doc__)
    add = parser.add_argument
    add("--live", action="store_true", help=argparse.SUPPRESS)
    add("--input", default=SAMPLE_ROOM, help="bag or cloud file to play (default: the sample room)")
    add("--topic", default="", help="topic to play from a bag that has several cloud topics")
    add("--rate", type=float, default=10.0, help="clouds per second to play (default: %(default)s)")
    add("--seconds", type=float, default=15.0, help="time to count, after the warm-up")
    add("--model", default="s4token-mini", help="checkpoint directory or built-in name")
    add("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    add("--json", action="store_true", help="print one JSON object")
    add("--out", type=Path, metavar="FILE.json", help="also write the results to a file")
    options = parser.parse_args(arguments)
    if not (0.01 <= options.rate <= 1000 and 0 < options.seconds < float("inf")):
        parser.error(f"--rate {options.rate:g} --seconds {options.seconds:g}: use 0.01 to 1000 Hz, and some seconds")
    try:
        result = run(options.input, options.rate, options.seconds, options.model, options.changes, options.topic)
    except ExternalShutdownException:  # SIGTERM; all processes are stopped by now
        return command_line.INTERRUPTED
    print(json.dumps(result) if options.json else table(result), flush=True)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def run(
    source: str, rate: float, seconds: float, model: str, changes: list[str], bag_topic: str = ""
) -> dict[str, Any]:
    """Return the results as a flat dictionary; rates in Hz, times in ms."""
    os.environ.update(environment())
    parameters = [f"model:={model}", *(change.replace("=", ":=", 1) for change in changes)]
    with tempfile.TemporaryDirectory() as logs, Session("s4token_live_benchmark", TOPIC, Path(logs)) as session:
        listener, qos = Listener(), cloud_qos("reliable", 5)
        session.node.create_subscription(PointCloud2, f"{NODE}/labeled", listener.on_cloud, qos, raw=True)
        session.start_node(parameters)
        session.start_player(source, rate, bag_topic)
        session.wait(lambda: listener.clouds, FIRST_CLOUD_S, "labeled cloud")
        first_age_ms = round(1e3 * listener.clouds[0][1], 1)
        throughput = measure_throughput(session, listener, seconds)
        session.stop_children("player")
        relabeling = measure_relabeling(session, listener)
        session.stop_children()
        messages_ms = measure_messages(session)
    about = {"input": source, "played_hz": rate, "model": model, "settings": changes}
    return about | throughput | {"first_age_ms": first_age_ms, **relabeling, "decode_encode_publish_ms": messages_ms}


def measure_throughput(session: Session, listener: Listener, seconds: float) -> dict[str, Any]:
    """Return labeled clouds per second and their ages, after a warm-up."""
    end = time.monotonic() + WARM_UP_S
    session.wait(lambda: time.monotonic() > end and session.status, 30, "diagnostics")
    before, begin = session.diagnostics, time.monotonic()
    session.wait(lambda: time.monotonic() > begin + seconds, seconds + 10, "end of the measurement")
    after = session.diagnostics
    ages = [1e3 * age for arrival, age in listener.clouds if begin <= arrival <= begin + seconds]
    if not ages:
        raise ValueError(f"no labeled cloud in {seconds:.0f} s")
    return {
        "labeled_hz": round(len(ages) / seconds, 2),
        "received": int(after["clouds_received"]) - int(before["clouds_received"]),
        "dropped": int(after["dropped_stale"]) - int(before["dropped_stale"]),
        "age_p50_ms": round(float(np.percentile(ages, 50)), 1),
        "age_p95_ms": round(float(np.percentile(ages, 95)), 1),
        "stages_ms": {key.split(".")[1]: float(ms) for key, ms in after.items() if key.startswith("latency_ms.")},
    }


def measure_relabeling(session: Session, listener: Listener, repeats: int = 7) -> dict[str, float]:
    """Time set_vocabulary until the last cloud is relabeled: with new class names, then with known ones."""
    client = session.client(SetVocabulary, "set_vocabulary")
    end = time.monotonic() + QUIET_S
    session.wait(lambda: time.monotonic() > end, 10, "end of the pause")
    times_ms = []
    names = [f"thing {k}" for k in range(20)]
    for turn in range(repeats):
        request = SetVocabulary.Request(names=names, thresholds=[0.001 * turn] * len(names))
        count, begin = len(listener.clouds), time.monotonic()
        response = client.call_async(request)
        session.wait(lambda r=response, n=count: r.done() and len(listener.clouds) > n, CLOUD_S, "relabeled cloud")
        times_ms.append(1e3 * (listener.clouds[-1][0] - begin))
    return {"relabel_new_names_ms": round(times_ms[0], 1), "relabel_ms": round(float(np.median(times_ms[1:])), 1)}


def measure_messages(session: Session, repeats: int = 15) -> float:
    """Return the fastest time [ms] to decode a message, append the labels and publish it to a subscriber."""
    topic, qos = "/benchmark/encoded", cloud_qos("reliable", 1)
    publisher = session.node.create_publisher(PointCloud2, topic, qos)
    session.node.create_subscription(PointCloud2, topic, lambda raw: None, qos, raw=True)
    points = np.zeros(MESSAGE_POINTS, [(name, "<f4") for name in ("x", "y", "z", "intensity", "a", "b", "c", "d")])
    assert points.itemsize == MESSAGE_POINT_STEP
    message = cloud_messages.encode(points, Header(frame_id="map"))
    labels, confidence = np.zeros(MESSAGE_POINTS, np.uint32), np.zeros(MESSAGE_POINTS, np.float32)
    colors, times_ms = np.zeros((20, 3), np.uint8), []
    for _ in range(repeats):
        begin = time.perf_counter()
        cloud = cloud_messages.decode(message)
        labeled = cloud_messages.labeled_points(cloud, labels, confidence, labels, colors)
        publisher.publish(cloud_messages.labeled_cloud(cloud, labeled))
        times_ms.append(1e3 * (time.perf_counter() - begin))
        rclpy.spin_once(session.node, timeout_sec=0.05)
    return round(min(times_ms), 2)


def table(result: dict[str, Any]) -> str:
    """Return the results as lines of text."""
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in result["stages_ms"].items())
    settings = ", ".join(result["settings"]) or "default settings"
    age = f"p50 {result['age_p50_ms']:.0f} ms, p95 {result['age_p95_ms']:.0f} ms"
    rows = (
        f"{result['input']} at {result['played_hz']:g} Hz, {result['model']}, {settings}",
        f"labeled clouds per second {result['labeled_hz']}; received {result['received']}, dropped as stale"
        f" {result['dropped']}",
        f"age at arrival {age}, first cloud {result['first_age_ms']:.0f} ms; stages: {stages}",
        f"set_vocabulary to relabeled cloud {result['relabel_ms']} ms, with new class names"
        f" {result['relabel_new_names_ms']} ms",
        f"decode, encode and publish {MESSAGE_POINTS:,} points of {MESSAGE_POINT_STEP} bytes:"
        f" {result['decode_encode_publish_ms']} ms",
    )
    return "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token live-benchmark", main))
