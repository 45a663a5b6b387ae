"""Label a sample room and street, or your own cloud or bag, live over ROS 2, and draw the results."""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s4token_model import command_line
from s4token_model.constants import SAMPLE_ROOM, SAMPLE_STREET
from s4token_model.io import samples
from s4token_model.word_lists import split_list

if TYPE_CHECKING:  # everything of ROS is imported late, so that --help is instant and works without it
    from s4token_ros.demo_client import DemoClient, LabeledCloud, QueryResult
    from s4token_ros.demo_report import Comparison, Report
    from s4token_ros.session import Session

TOPIC = "/demo/points"
ROOM_CLASSES = ("floor", "wall", "ceiling", "door", "window", "couch", "seat", "desk", "shelf", "closet", "bed", "lamp")
ROOM_QUERIES = ("a place to sit", "a desk to work at", "somewhere to sleep")
MEASURED = 6  # clouds


@dataclass(frozen=True)
class Options:
    """What to show: a source (file, bag or "sample"), class names, queries, and where the results go."""

    source: str = SAMPLE_ROOM
    vocabulary: tuple[str, ...] = ()  # empty: the default vocabulary, then that of the sample or ROOM_CLASSES
    queries: tuple[str, ...] = ()
    out: Path = Path("out/demo")
    model: str = ""  # empty: the node's default
    rate: float = 2.0  # Hz
    topic: str = ""  # of a bag with more than one cloud topic
    patience: float = 1.0  # factor on every time limit


def run(options: Options) -> Report:
    """Run node and player as processes, listen, change the vocabulary, query; print and write what arrived."""
    from s4token_ros import demo_report
    from s4token_ros.demo_client import DemoClient
    from s4token_ros.session import Session

    start = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    report = demo_report.Report(options.source)
    with Session("s4token_demo", TOPIC, options.out, options.patience) as session:
        client = DemoClient(session)
        print(f"starting the node; its log is {options.out / 'node.log'}")
        report.ready_s = session.start_node([f"model:={options.model}"] if options.model else [])
        print(f"playing {options.source} at {options.rate:g} Hz from another process")
        session.start_player(options.source, options.rate, options.topic)
        # Labels in the node's vocabulary, rate and latency
        first = client.wait_for_cloud(max(session.vocabularies))
        _measure(session, client, report)
        print(demo_report.latency_table(report))
        # The same source in another vocabulary; that of the sample are its true names
        sample = samples.load() if options.source == SAMPLE_ROOM and not options.vocabulary else None
        changed = _change_vocabulary(client, report, sample.names if sample else options.vocabulary or ROOM_CLASSES)
        shown = [changed] if options.vocabulary else [first, changed]
        for result in shown:
            report.vocabularies.append(demo_report.vocabulary_summary(result))
            print(demo_report.class_table(result))
        answer = _query(client, report, options.queries or options.vocabulary[:3] or ROOM_QUERIES)
        print(demo_report.match_table(report))
        # Prediction beside truth, of the room and of a street
        compared = []
        if sample:
            compared = [demo_report.Comparison("room", changed, sample), _street(session, client, options.rate)]
            report.accuracy = {one.name: one.accuracy for one in compared}
            print(demo_report.accuracy_table(report))
    report.files = demo_report.write_files(options.out, shown, answer, compared)
    report.total_s = time.monotonic() - start
    summary = options.out / "summary.json"
    summary.write_text(json.dumps(demo_report.as_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nafter {report.total_s:.0f} s in {options.out}: {', '.join([*report.files, summary.name])}")
    return report


def _measure(session: Session, client: DemoClient, report: Report) -> None:
    """Let some clouds pass and note rate, latency and drops."""
    report.clouds, report.rate_hz, report.age_ms = client.measure(MEASURED)
    values = session.diagnostics
    report.model, report.device = session.status.hardware_id, values.get("device", "")
    report.dropped = int(values.get("dropped_stale", 0)) + int(values.get("dropped_failed", 0))
    report.stages_ms = {k.split(".")[1]: float(v) for k, v in values.items() if k.startswith("latency_ms.")}


def _change_vocabulary(client: DemoClient, report: Report, names: tuple[str, ...]) -> LabeledCloud:
    start = time.monotonic()
    version = client.set_vocabulary(names)
    report.set_vocabulary_ms = 1e3 * (time.monotonic() - start)
    print(f"set_vocabulary: {len(names)} classes in effect after {report.set_vocabulary_ms:.0f} ms")
    result = client.wait_for_cloud(version)
    report.points = result.cloud.width * result.cloud.height
    return result


def _query(client: DemoClient, report: Report, texts: tuple[str, ...]) -> QueryResult:
    """Ask for the superpoints that match free texts, and note them and the time."""
    from s4token_ros.demo_report import match_summary

    start = time.monotonic()
    answer = client.query(texts)
    report.query_ms = 1e3 * (time.monotonic() - start)
    report.matches = [match_summary(match) for match in answer.matches]
    return answer


def _street(session: Session, client: DemoClient, rate: float) -> Comparison:
    """Play the sample street instead of the room, and label it by its true names."""
    from s4token_ros.demo_report import Comparison

    sample = samples.load(samples.STREET)
    session.stop_children("player")
    session.start_player(SAMPLE_STREET, rate)
    version = client.set_vocabulary(sample.names)
    return Comparison("street", client.wait_for_cloud(version, len(sample.xyz)), sample)


def comma_separated(text: str) -> tuple[str, ...]:
    """Split texts separated by commas or semicolons and drop repeats; ArgumentTypeError if there is none."""
    texts = tuple(dict.fromkeys(part.strip() for part in split_list(text) if part.strip()))
    if not texts:
        raise argparse.ArgumentTypeError(f"{text!r} is an empty list; write it as chair,table,lamp")
    return texts


def parse(arguments: list[str] | None = None) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="s4token demo", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--input", default=SAMPLE_ROOM, help="cloud file or ROS 2 bag (default: a sample room and street)")
    add("--vocabulary", type=comma_separated, default=(), metavar="A,B,C", help="class names to label the points with")
    add("--query", type=comma_separated, default=(), metavar="A,B,C", help="texts to search for")
    add("--out", type=Path, default=Options.out, help="folder for the results (default: %(default)s)")
    add("--model", default="", help="checkpoint directory (default: the embedded model)")
    add("--topic", default="", help="topic to play from a bag that has several cloud topics")
    add("--rate", type=float, default=Options.rate, help="clouds per second (default: %(default)s)")
    add("--patience", type=float, default=1.0, help="factor on every time limit, for slow machines")
    parsed = parser.parse_args(arguments)
    if not 0.01 <= parsed.rate <= 100:
        parser.error(f"--rate {parsed.rate:g}: use 0.01 to 100 Hz")
    if parsed.input != SAMPLE_ROOM and not Path(parsed.input).exists():
        parser.error(f"--input {parsed.input}: no such file")
    values = vars(parsed)
    return Options(source=values.pop("input"), queries=values.pop("query"), **values)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return 0 if everything arrived."""
    options = parse(arguments)
    try:
        from rclpy.executors import ExternalShutdownException

        from s4token_ros.session import environment
    except ImportError as error:
        fix = "run make demo, or source a ROS 2 workspace that contains s4token_interfaces"
        raise ImportError(f"{error}; {fix}") from error
    os.environ.update(environment())
    try:
        run(options)
    except ExternalShutdownException:  # SIGTERM; all processes are stopped by now
        return command_line.INTERRUPTED
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token demo", main))
