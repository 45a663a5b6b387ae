"""Time the node at work: s4token benchmark --live [--input BAG] [--rate 10] [--set input.max_points=40000] [--json]

Node and sensor are processes of their own, this one listens; all three share the machine. A cloud's age is the time
from its stamp, when the sensor publishes it, to the arrival of the labeled cloud here.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")  # before rclpy reads it

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_interfaces.msg import Vocabulary
from s4token_interfaces.srv import SetVocabulary
from s4token_ros import cloud_messages
from s4token_ros.demo import SAMPLE
from s4token_ros.demo_client import environment, stop
from s4token_ros.qos import LATCHED, cloud_qos

NODE = "/s4token"
TOPIC = "/benchmark/points"
ENCODED_POINTS, ENCODED_STEP = 130_000, 32


@dataclass
class Ear:
    """What was heard: (arrival, age) in s of every labeled cloud, vocabularies, figures of the newest diagnostics."""

    clouds: list[tuple[float, float]] = field(default_factory=list)
    vocabularies: list[Vocabulary] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    def cloud(self, raw: bytes) -> None:
        """Take a labeled cloud as it comes from the wire: its header begins with the stamp."""
        seconds, nanoseconds = struct.unpack_from("<iI", raw, 4)
        now = time.time()
        self.clouds.append((time.monotonic(), now - seconds - 1e-9 * nanoseconds))

    def diagnostics(self, message: DiagnosticArray) -> None:
        """Take the node's own figures."""
        self.figures = {pair.key: pair.value for pair in message.status[0].values}


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser("s4token benchmark --live", description=__doc__)
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--input", default=SAMPLE, help="a bag or a cloud file to play; default: the sample room")
    parser.add_argument("--rate", type=float, default=10.0, help="clouds per second that are played")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to count, after the warm-up")
    parser.add_argument("--model", default="s4token-mini")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="also write the figures to a file")
    options = parser.parse_args(arguments)
    result = run(options.input, options.rate, options.seconds, options.model, options.changes)
    print(json.dumps(result) if options.json else table(result), flush=True)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def run(source: str, rate: float, seconds: float, model: str, changes: list[str]) -> dict[str, Any]:
    """Return the figures as a flat dictionary; rates in Hz, times in ms."""
    os.environ.update(environment())
    rclpy.init(args=[])
    node, ear, children = rclpy.create_node("s4token_live_benchmark"), Ear(), []
    node.create_subscription(PointCloud2, f"{NODE}/labeled", ear.cloud, cloud_qos("reliable", 5), raw=True)
    node.create_subscription(Vocabulary, f"{NODE}/vocabulary", ear.vocabularies.append, LATCHED)
    node.create_subscription(DiagnosticArray, "/diagnostics", ear.diagnostics, 10)
    with tempfile.TemporaryDirectory() as folder:
        try:
            children.append(_start(Path(folder, "node.log"), _node_command(model, changes)))
            _spin(node, lambda: ear.vocabularies, 120, children, "the node")
            playing = ["s4token_ros.replay", source, "--topic", TOPIC, "--rate", str(rate)]
            children.append(_start(Path(folder, "player.log"), playing))
            _spin(node, lambda: ear.clouds, 60, children, "the first labeled cloud")
            first_ms = 1e3 * ear.clouds[0][1]
            live = _count(node, ear, seconds, children)
            stop(children.pop()[0])
            relabel = _relabel(node, ear, children)
        finally:
            for process, _ in reversed(children):
                stop(process)
        encoded_ms = _encoded(node)
        node.destroy_node()
        rclpy.try_shutdown()
    about = {"input": source, "played_hz": rate, "model": model, "settings": changes}
    return about | live | {"first_age_ms": round(first_ms, 1), **relabel, "decode_encode_publish_ms": encoded_ms}


def _node_command(model: str, changes: list[str]) -> list[str]:
    pairs = [f"model:={model}", *(change.replace("=", ":=", 1) for change in changes)]
    return ["s4token_ros.node", "--ros-args", "-r", f"points:={TOPIC}", *(w for p in pairs for w in ("-p", p))]


def _start(log: Path, words: list[str]) -> tuple[subprocess.Popen, Path]:
    kept = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    with log.open("w") as out:
        command = [sys.executable, "-m", *words]
        return subprocess.Popen(command, env=kept, stdout=out, stderr=subprocess.STDOUT), log


def _spin(node: Any, done: Callable[[], Any], seconds: float, children: list, what: str) -> None:
    """Take in messages until `done`; ValueError with the last words of a process that ended, or after `seconds`."""
    end = time.monotonic() + seconds
    while not done():
        rclpy.spin_once(node, timeout_sec=0.05)
        for process, log in children:
            if process.poll() is not None:
                said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise ValueError(f"waited for {what}, but a process ended: {''.join(said) or 'it said nothing'}")
        if time.monotonic() > end:
            raise ValueError(f"waited {seconds:.0f} s in vain for {what}")


def _count(node: Any, ear: Ear, seconds: float, children: list) -> dict[str, Any]:
    """The steady state: clouds per second and their ages, after a warm-up of two seconds."""
    end = time.monotonic() + 2
    _spin(node, lambda: time.monotonic() > end and ear.figures, 30, children, "diagnostics")
    before, begin = dict(ear.figures), time.monotonic()
    _spin(node, lambda: time.monotonic() > begin + seconds, seconds + 10, children, "labeled clouds")
    ages = [1e3 * age for arrival, age in ear.clouds if begin <= arrival <= begin + seconds]
    if not ages:
        raise ValueError(f"no labeled cloud in {seconds:.0f} s")
    counts = {key: int(ear.figures[key]) - int(before[key]) for key in ("clouds_received", "dropped_stale")}
    stages = {key.split(".")[1]: float(ms) for key, ms in ear.figures.items() if key.startswith("latency_ms.")}
    return {
        "labeled_hz": round(len(ages) / seconds, 2),
        "received": counts["clouds_received"],
        "dropped": counts["dropped_stale"],
        "age_p50_ms": round(float(np.percentile(ages, 50)), 1),
        "age_p95_ms": round(float(np.percentile(ages, 95)), 1),
        "stages_ms": stages,
    }


def _relabel(node: Any, ear: Ear, children: list, repeats: int = 7) -> dict[str, float]:
    """From set_vocabulary to the relabeled last cloud: with new words, and with words the text tower has seen."""
    client = node.create_client(SetVocabulary, f"{NODE}/set_vocabulary")
    _spin(node, client.service_is_ready, 20, children, "set_vocabulary")
    quiet = time.monotonic() + 1.0
    _spin(node, lambda: time.monotonic() > quiet, 10, children, "quiet")
    times = []
    for turn in range(repeats):
        names = [f"thing {k}" for k in range(20)]
        request = SetVocabulary.Request(names=names, thresholds=[0.001 * turn] * 20)
        heard, begin = len(ear.clouds), time.monotonic()
        answer = client.call_async(request)
        _spin(node, lambda a=answer, h=heard: a.done() and len(ear.clouds) > h, 20, children, "relabeling")
        times.append(1e3 * (ear.clouds[-1][0] - begin))
    return {"relabel_new_words_ms": round(times[0], 1), "relabel_ms": round(float(np.median(times[1:])), 1)}


def _encoded(node: Any, repeats: int = 15) -> float:
    """Milliseconds to decode a cloud, append the labels and publish it to a listener; the least of `repeats`."""
    publisher = node.create_publisher(PointCloud2, "/benchmark/encoded", cloud_qos("reliable", 1))
    node.create_subscription(PointCloud2, "/benchmark/encoded", lambda raw: None, cloud_qos("reliable", 1), raw=True)
    kinds = [(name, "<f4") for name in ("x", "y", "z", "intensity", "a", "b", "c", "d")]
    points = np.zeros(ENCODED_POINTS, kinds)
    assert points.itemsize == ENCODED_STEP
    message = cloud_messages.encode(points, Header(frame_id="map"))
    labels, sure = np.zeros(ENCODED_POINTS, np.uint32), np.zeros(ENCODED_POINTS, np.float32)
    colors, times = np.zeros((20, 3), np.uint8), []
    for _ in range(repeats):
        begin = time.perf_counter()
        cloud = cloud_messages.decode(message)
        made = cloud_messages.labeled_cloud(cloud, cloud_messages.labeled_points(cloud, labels, sure, labels, colors))
        publisher.publish(made)
        times.append(1e3 * (time.perf_counter() - begin))
        rclpy.spin_once(node, timeout_sec=0.05)
    return round(min(times), 2)


def table(result: dict[str, Any]) -> str:
    """The figures as lines of text."""
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in result["stages_ms"].items())
    settings = ", ".join(result["settings"]) or "default settings"
    return "\n".join(
        [
            f"{result['input']} at {result['played_hz']:g} Hz, {result['model']}, {settings}",
            f"labeled clouds per second {result['labeled_hz']}; received {result['received']}, dropped as stale"
            f" {result['dropped']}",
            f"age at arrival p50 {result['age_p50_ms']:.0f} ms, p95 {result['age_p95_ms']:.0f} ms,"
            f" first cloud {result['first_age_ms']:.0f} ms; stages: {stages}",
            f"set_vocabulary to relabeled cloud {result['relabel_ms']} ms, with new words"
            f" {result['relabel_new_words_ms']} ms",
            f"decode, encode and publish {ENCODED_POINTS:,} points of {ENCODED_STEP} bytes:"
            f" {result['decode_encode_publish_ms']} ms",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
