"""Two peers of the node, a sensor and a hostile process: the sensor's clouds go on being labeled at their rate."""

from __future__ import annotations

import argparse
import os
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sensor_msgs.msg import PointCloud2

from s4token_ros.qos import cloud_qos
from s4token_ros.session import NODE, Session, SessionError, environment
from scripts.trials import samples
from scripts.trials.samples import Sample

TOPIC, HOSTILE_TOPIC = "/trial/points", "/trial/rear_points"  # the node listens to both
FRAME = b"map\0"  # of the sensor's clouds; the hostile peer's have another
TICK_S = 5.0
CALM_S = 60.0  # without the hostile peer
SETTLED_S = 60.0  # of the hostile time, after which the memory stays
MIN_RATE, MAX_GROWTH = 0.9, 0.02


class Counter:
    """Counts the labeled clouds of the sensor."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_cloud(self, raw: bytes) -> None:
        """Take a labeled cloud as serialized: encapsulation, stamp, then length and text of the frame."""
        (length,) = struct.unpack_from("<I", raw, 12)
        if raw[16 : 16 + length] == FRAME:
            self.times.append(time.monotonic())

    def rate(self, begin: float, end: float) -> float:
        """Clouds per second between two times."""
        return sum(begin <= t < end for t in self.times) / (end - begin)


def run(minutes: float, rate: float, points: Sequence[int], out: Path) -> tuple[list[Sample], float, float]:
    """Return samples of the hostile time, and the sensor's labeled clouds per second without and with the peer."""
    os.environ.update(environment())
    recorder, low_high = samples.Recorder(out / "hostile.csv"), [str(n) for n in points]
    with tempfile.TemporaryDirectory() as logs, Session("s4token_trial", TOPIC, Path(logs)) as session:
        counter = Counter()
        session.node.create_subscription(
            PointCloud2, f"{NODE}/labeled", counter.on_cloud, cloud_qos("reliable", 10), raw=True
        )
        session.start_node([f"input.topics:=[points, {HOSTILE_TOPIC}]"])
        session.start("sensor", ["scripts.trials.sensor", "--topic", TOPIC, "--rate", str(rate), "--points", *low_high])
        session.wait(lambda: counter.times, 60, "labeled cloud")
        calm = time.monotonic()
        session.wait(lambda: time.monotonic() > calm + CALM_S, 2 * CALM_S, "end of the calm time")
        begin = time.monotonic()
        peer = session.start("hostile peer", ["scripts.trials.hostile_peer", "--topic", HOSTILE_TOPIC])
        for tick in range(1, round(60 * minutes / TICK_S) + 1):
            due = begin + tick * TICK_S
            session.wait(lambda due=due: time.monotonic() >= due, 2 * TICK_S, "time")
            sample = samples.take(session.child("node").process.pid, time.monotonic() - begin, session.diagnostics)
            recorder.add(sample)
            now = counter.rate(begin, time.monotonic())
            print(f"\r{sample.seconds / 60:5.1f} min: {sample.rss_mb:.0f} MB, {now:.2f} Hz", end="", flush=True)
        end = time.monotonic()
        for child in (peer, session.child("node")):
            (out / child.log.name).write_text(child.text(), encoding="utf-8")
        print()
        return samples.read(out / "hostile.csv"), counter.rate(calm, begin), counter.rate(begin, end)


def judge(found: Sequence[Sample], before: float, during: float) -> dict[str, object]:
    """Return the figures of a run and whether it passed."""
    settled = [s.rss_mb for s in found if s.seconds >= SETTLED_S] or [found[-1].rss_mb]
    part = max(1, len(settled) // 4)
    growth = np.median(settled[-part:]) / np.median(settled[:part]) - 1
    return {
        "rate": during / before,
        "growth": growth,
        "rss_mb": (min(settled), max(settled)),
        "passed": during >= MIN_RATE * before and abs(growth) <= MAX_GROWTH,
    }


def section(found: Sequence[Sample], before: float, during: float, command: str) -> str:
    """Return the text of docs/reliability.md about a run."""
    f = judge(found, before, during)
    lines = [
        f"{found[-1].seconds / 60:.0f} minutes with a peer that sets bad topic names, paths of files and",
        "the node's own outputs, sends words of 30,000 letters and lists of 10,000 words, floods of parameters,",
        "questions and clouds, and malformed clouds on a second topic of the node:",
        "", "| | |", "|---|---|",
        f"| labeled clouds of the sensor, without and with the peer | {before:.2f} Hz, {during:.2f} Hz:"
        f" **{100 * f['rate']:.0f} %** |",
        f"| memory (RSS) from the second minute on | {f['rss_mb'][0]:.0f} to {f['rss_mb'][1]:.0f} MB; last to first"
        f" quarter **{100 * f['growth']:+.1f} %** |",
        "", f"Command: `{command}`",
    ]  # fmt: skip
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run, print the section and write it; return 1 if a limit was passed."""
    parser = argparse.ArgumentParser(prog="make hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=1.0, help="of the sensor [Hz] (default: %(default)s)")
    parser.add_argument("--points", type=int, nargs=2, default=(19_000, 21_000), metavar=("LOW", "HIGH"))
    parser.add_argument("--out", type=Path, default=Path("out/hostile"), help="folder of hostile.csv and the logs")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write the section A hostile peer")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        found = run(options.minutes, options.rate, options.points, options.out)
    except SessionError as error:
        print(f"FAILED: {error}")
        return 1
    text = section(*found, f'make hostile ARGS="--minutes {options.minutes:g} --rate {options.rate:g}"')
    print(text)
    if options.report:
        samples.write_section(options.report, "A hostile peer", text)
    return 0 if judge(*found)["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
