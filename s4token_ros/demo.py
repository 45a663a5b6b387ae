"""The demo: a real node in its own process, clouds from another one over DDS, words changed and questions asked.

Starts `s4token_ros.node` and `s4token_ros.replay`, listens as any ROS program would, prints what came and
writes it to a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # everything of ROS is imported late, so that --help works without it and at once
    from s4token_ros.demo_client import Answer, Result, Session
    from s4token_ros.demo_report import Report

SAMPLE = "sample"  # the source that is the sample room
ROOM_WORDS = ("floor", "wall", "ceiling", "door", "window", "couch", "seat", "desk", "shelf", "closet", "bed", "lamp")
ROOM_QUESTIONS = ("a place to sit", "a desk to work at", "somewhere to sleep")
MEASURED = 6  # clouds


@dataclass(frozen=True)
class Options:
    """What to show: a source (file, bag or "sample"), words, questions, where the results go."""

    source: str = SAMPLE
    vocabulary: tuple[str, ...] = ()  # empty: the default words, then ROOM_WORDS
    questions: tuple[str, ...] = ()
    out: Path = Path("out/demo")
    model: str = ""  # empty: the node's default
    rate: float = 2.0  # Hz
    topic: str = ""  # of a bag with more than one cloud topic
    patience: float = 1.0  # factor on every time limit


def run(options: Options) -> Report:
    """Show everything, print it and write it to `options.out`.

    DemoError says in one line what did not come, and why.
    """
    from s4token_ros import demo_report
    from s4token_ros.demo_client import Session

    start = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    report = demo_report.Report(options.source)
    with Session(options.out, options.patience) as session:
        print(f"starting the node; its log is {options.out / 'node.log'}")
        report.ready_s = session.start_node(options.model)
        print(f"playing {options.source} at {options.rate:g} Hz from another process")
        session.start_player(options.source, options.rate, options.topic)
        first = session.labeled_by(version=session.version)
        _measure(session, report)
        print(demo_report.latency_table(report))
        changed = _change_words(session, report, options.vocabulary or ROOM_WORDS)
        shown = [changed] if options.vocabulary else [first, changed]
        for result in shown:
            report.vocabularies.append(demo_report.summary_of(result))
            print(demo_report.class_table(result))
        answer = _ask(session, report, options.questions or options.vocabulary[:3] or ROOM_QUESTIONS)
        print(demo_report.answer_table(report))
    report.files = demo_report.write_files(options.out, shown, answer)
    report.total_s = time.monotonic() - start
    summary = options.out / "summary.json"
    summary.write_text(json.dumps(demo_report.as_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nafter {report.total_s:.0f} s in {options.out}: {', '.join([*report.files, summary.name])}")
    return report


def _measure(session: Session, report: Report) -> None:
    """Let some clouds pass and note rate, latency and drops."""
    report.clouds, report.rate_hz, report.age_ms = session.count(MEASURED)
    figures = session.figures
    report.model, report.device = session.model, figures.get("device", "")
    report.dropped = int(figures.get("dropped_stale", 0)) + int(figures.get("dropped_failed", 0))
    prefix = "latency_ms."
    report.stages_ms = {k.removeprefix(prefix): float(v) for k, v in figures.items() if k.startswith(prefix)}


def _change_words(session: Session, report: Report, words: tuple[str, ...]) -> Result:
    start = time.monotonic()
    version = session.set_vocabulary(words)
    report.set_vocabulary_ms = 1e3 * (time.monotonic() - start)
    print(f"set_vocabulary: {len(words)} words in force after {report.set_vocabulary_ms:.0f} ms")
    result = session.labeled_by(version)
    report.points = result.cloud.width * result.cloud.height
    return result


def _ask(session: Session, report: Report, questions: tuple[str, ...]) -> Answer:
    start = time.monotonic()
    answer = session.query(questions)
    report.query_ms = 1e3 * (time.monotonic() - start)
    report.matches = [_match(m) for m in answer.matches]
    return answer


def _match(m) -> dict:
    def numbers(vector) -> list[float]:
        return [round(v, 3) for v in (vector.x, vector.y, vector.z)]

    found = {"text": m.text, "score": round(m.score, 4), "superpoint": m.superpoint, "points": m.points}
    return {**found, "centroid": numbers(m.centroid), "extent": numbers(m.extent)}


def words(text: str) -> tuple[str, ...]:
    """Split comma-separated words; ValueError when there is none."""
    found = tuple(dict.fromkeys(w.strip() for w in text.split(",") if w.strip()))
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} holds no word; write them as chair,table,lamp")
    return found


def parse(args: list[str] | None = None) -> Options:
    """Command line to Options."""
    parser = argparse.ArgumentParser(prog="s4token demo", description=__doc__.split("\n")[0])
    parser.add_argument("--input", default=SAMPLE, help="cloud file or ROS 2 bag (default: a sample room)")
    parser.add_argument("--vocabulary", type=words, default=(), metavar="A,B,C", help="words that label the points")
    parser.add_argument("--query", type=words, default=(), metavar="A,B,C", help="texts to look for")
    parser.add_argument("--out", type=Path, default=Options.out, help="folder of the results (default: %(default)s)")
    parser.add_argument("--model", default="", help="directory of a checkpoint (default: the embedded one)")
    parser.add_argument("--topic", default="", help="topic to play of a bag that has more than one with clouds")
    parser.add_argument("--rate", type=float, default=Options.rate, help="clouds per second (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=1.0, help="factor on every time limit, for slow machines")
    given = parser.parse_args(args)
    if not 0.01 <= given.rate <= 100:
        parser.error(f"--rate {given.rate:g}: give 0.01 to 100 Hz")
    if given.input != SAMPLE and not Path(given.input).exists():
        parser.error(f"--input {given.input}: no such file")
    return Options(
        given.input, given.vocabulary, given.query, given.out, given.model, given.rate, given.topic, given.patience
    )


def main(args: list[str] | None = None) -> int:
    """Run the demo; 0 when everything came."""
    options = parse(args)
    try:
        from rclpy.executors import ExternalShutdownException

        from s4token_ros.demo_client import DemoError, environment
    except ImportError as error:
        fix = "run make demo, or source a ROS 2 workspace that holds s4token_interfaces"
        print(f"s4token demo: {error}; {fix}", file=sys.stderr)
        return 1
    os.environ.update(environment())
    try:
        run(options)
    except DemoError as error:
        print(f"s4token demo: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):  # SIGINT, SIGTERM; all processes are stopped by now
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
