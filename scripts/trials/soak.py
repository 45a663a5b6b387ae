"""A long run of the node: varying clouds, changing words, parameters and subscribers, while its memory is sampled."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import PointCloud2

from s4token_interfaces.msg import SceneClasses
from s4token_interfaces.srv import Query, SetVocabulary
from s4token_ros.qos import cloud_qos
from s4token_ros.session import NODE, Session, SessionError, environment
from s4token_ros.watch import RELEASE_S
from scripts.trials import samples
from scripts.trials.samples import Sample
from scripts.trials.sensor import LAYOUTS

TOPIC = "/soak/points"
TICK_S = 5.0  # between samples
WARM_UP = 1 / 6  # of the run, not in the slope: in it every event has happened
MIN_MINUTES = 15  # with three rests after the warm-up
MAX_SLOPE = 1.0  # MB/h
RESTS = (230.0, 50.0)  # seconds with clouds and without, in turn: a cloud at work takes up to 100 MB
SETTLED = RELEASE_S + TICK_S  # seconds of a rest until the memory is what stays
POINTS = (1000, 150_000)
OUTPUTS = {"labeled": PointCloud2, "classes": SceneClasses, "similarity": PointCloud2, "class/chair": PointCloud2}
VOCABULARIES = (
    ["chair", "table", "floor", "wall"],
    ["sofa", "lamp", "a potted plant", "window", "door", "chair"],
    [f"thing number {k}" for k in range(40)],
    ["floor"],
)
PARAMETERS = (
    ("vocabulary.threshold", 0.0, 0.3),
    ("output.class_topics", 8, 64),
    ("diagnostics.period", 0.5, 1.0),
    ("superpoints.regularization", 0.5, 0.4),
)
KINDS = {
    int: ("integer_value", ParameterType.PARAMETER_INTEGER),
    float: ("double_value", ParameterType.PARAMETER_DOUBLE),
}


class Events:
    """What happens to the node beside clouds; `happen` is called every TICK_S seconds."""

    def __init__(self, session: Session, seed: int = 0) -> None:
        self._session, self._rng, self._ticks = session, np.random.default_rng(seed), 0
        self._subscriptions: list[object] = []
        self._waiting: list[object] = []
        self.unanswered = self.calls = 0
        self.refused: Counter[str] = Counter()  # by reason
        self.subscribe(list(OUTPUTS))

    def happen(self) -> None:
        """Change words every 10 s, ask and resubscribe every 15 s, and change a parameter every 30 s."""
        self._ticks += 1
        if self._ticks % 2 == 0:
            names = VOCABULARIES[self._ticks // 2 % len(VOCABULARIES)]
            self._call(SetVocabulary, "set_vocabulary", names=names)
        if self._ticks % 3 == 0:
            names = [name for name in OUTPUTS if self._rng.random() < 0.7]  # at times none
            self.subscribe(names)
            self._call(Query, "query", texts=["a red chair"])
        if self._ticks % 6 == 0:
            number = self._ticks // 6
            name, *values = PARAMETERS[number % len(PARAMETERS)]
            self._set_parameter(name, values[number // len(PARAMETERS) % 2])

    def subscribe(self, names: Sequence[str]) -> None:
        """Subscribe to these outputs and to no other."""
        node = self._session.node
        for subscription in self._subscriptions:
            node.destroy_subscription(subscription)
        self._subscriptions = [
            node.create_subscription(
                OUTPUTS[name], f"{NODE}/{name}", lambda raw: None, cloud_qos("reliable", 2), raw=True
            )
            for name in names
        ]

    def _set_parameter(self, name: str, value: float) -> None:
        field, kind = KINDS[type(value)]
        self._call(
            SetParameters,
            "set_parameters",
            parameters=[Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))],
        )

    def _call(self, kind: type, name: str, **request: object) -> None:
        """Call a service; count the answers of the calls before."""
        done = [future for future in self._waiting if future.done()]
        self.refused.update(filter(None, (_refusal(future.result()) for future in done)))
        self._waiting = [future for future in self._waiting if not future.done()]
        self.unanswered = len(self._waiting)
        self._waiting.append(self._session.client(kind, name).call_async(kind.Request(**request)))
        self.calls += 1


def _refusal(response: object) -> str:
    """Why a call was refused; "" if it was not."""
    if (results := getattr(response, "results", None)) is not None:
        return "; ".join(result.reason or "no reason" for result in results if not result.successful)
    return "" if response.success else response.message or "no reason"


def run(minutes: float, rate: float, model: str, out: Path) -> tuple[list[Sample], Events]:
    """Run the node for so many minutes; the samples grow in `out`/soak.csv."""
    os.environ.update(environment())
    recorder = samples.Recorder(out / "soak.csv")
    with tempfile.TemporaryDirectory() as logs, Session("s4token_soak", TOPIC, Path(logs)) as session:
        session.start_node([f"model:={model}"])
        low, high = map(str, POINTS)
        sensor = ["scripts.trials.sensor", "--topic", TOPIC, "--rate", str(rate), "--points", low, high]
        largest = str(round(rate * RESTS[0]))  # so that what they take is there before the warm-up ends
        session.start("sensor", [*sensor, "--rests", *map(str, RESTS), "--largest", largest])
        events, begin, received = Events(session), time.monotonic(), -1
        for tick in range(1, round(60 * minutes / TICK_S) + 1):
            due = begin + tick * TICK_S
            session.wait(lambda due=due: time.monotonic() >= due, 2 * TICK_S, "time")
            sample = samples.take(session.child("node").process.pid, time.monotonic() - begin, session.diagnostics)
            recorder.add(sample)
            print(
                f"\r{sample.seconds / 60:5.1f} min: {sample.rss_mb:.0f} MB, {sample.labeled} labeled",
                end="",
                flush=True,
            )
            if sample.received != received:  # nothing happens in a rest, so that memory is what stays
                events.happen()
            received = sample.received
        print()
    return samples.read(out / "soak.csv"), events


def judge(found: Sequence[Sample]) -> dict[str, object]:
    """Return the figures of a run and whether it passed; memory, descriptors and threads after the warm-up."""
    warm = [s for s in found if s.seconds > WARM_UP * found[-1].seconds]
    rests = samples.at_rest(warm, SETTLED)
    slope, low, high = samples.slope_mb_per_hour(rests)
    third = max(1, len(warm) // 3)
    first, last = warm[:third], warm[-third:]
    constant = {key: _median(first, key) == _median(last, key) for key in ("fds", "threads")}
    return {
        "minutes": found[-1].seconds / 60,
        "warm_up_minutes": WARM_UP * found[-1].seconds / 60,
        "labeled_hz": (found[-1].labeled - found[0].labeled) / (found[-1].seconds - found[0].seconds),
        "received": found[-1].received,
        "rss_mb": (_median(first, "rss_mb"), _median(last, "rss_mb")),
        "rests": rests,
        "slope": (slope, low, high),
        "slope_of_all": samples.slope_mb_per_hour(warm),
        "fds": (_median(first, "fds"), _median(last, "fds")),
        "threads": (_median(first, "threads"), _median(last, "threads")),
        "passed": slope < MAX_SLOPE and all(constant.values()),
    }


def _median(found: Sequence[Sample], key: str) -> float:
    return float(np.median([getattr(s, key) for s in found]))


def section(found: Sequence[Sample], command: str) -> str:
    """Return the text of docs/reliability.md about a run."""
    f = judge(found)
    rows = (
        ("memory (RSS), median of the first and the last third", "{:.0f} MB, {:.0f} MB".format(*f["rss_mb"])),
        ("memory at rest, first and last", "{:.0f} MB, {:.0f} MB".format(f["rests"][0].rss_mb, f["rests"][-1].rss_mb)),
        (
            f"slope of the memory at rest, of {len(f['rests'])} rests (Theil-Sen, 95 % interval)",
            "**{:+.2f} MB/h** ({:+.2f} to {:+.2f})".format(*f["slope"]),
        ),
        (
            "slope of all samples, clouds at work included",
            "{:+.2f} MB/h ({:+.2f} to {:+.2f})".format(*f["slope_of_all"]),
        ),
        ("file descriptors, the same", "{:.0f}, {:.0f}".format(*f["fds"])),
        ("threads, the same", "{:.0f}, {:.0f}".format(*f["threads"])),
        ("clouds received; labeled per second", f"{f['received']}; {f['labeled_hz']:.2f}"),
    )
    lines = [
        f"{f['minutes']:.0f} minutes of clouds of {POINTS[0]:,} to {POINTS[1]:,} points in {len(LAYOUTS)} layouts, the",
        f"largest ones in the first {RESTS[0]:.0f} s. The words change every 10 s, subscribers come and go every 15 s,",
        "and parameters change every 30 s. After every",
        f"{RESTS[0]:.0f} s nothing happens for {RESTS[1]:.0f} s, so that memory is measured with nothing at work.",
        f"After a warm-up of {f['warm_up_minutes']:.0f} minutes, a sixth of the run:",
        "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), "",
        f"Command: `{command}`", "", "![Memory over time](reliability.png)",
    ]  # fmt: skip
    return "\n".join(lines)


def save_plot(path: Path, found: Sequence[Sample]) -> None:
    """Draw memory, descriptors and threads over time."""
    from matplotlib.figure import Figure

    figure = Figure((8, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    minutes, f = [s.seconds / 60 for s in found], judge(found)
    upper.plot(minutes, [s.rss_mb for s in found], linewidth=1)
    rests = f["rests"]
    upper.plot([s.seconds / 60 for s in rests], [s.rss_mb for s in rests], "o", label="at rest, after the warm-up")
    upper.axvspan(0, f["warm_up_minutes"], color="gray", alpha=0.15, label="warm-up")
    upper.set(ylabel="memory [MB]", ylim=(0, None), title=f"{f['slope'][0]:+.2f} MB/h after the warm-up")
    upper.legend(loc="lower right")
    for key, name in (("fds", "file descriptors"), ("threads", "threads")):
        lower.plot(minutes, [getattr(s, key) for s in found], linewidth=1, label=name)
    lower.set(xlabel="minutes", ylim=(0, None))
    lower.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> int:
    """Run, print the section and write it; return 1 if a limit was passed."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=5.0, help="clouds per second (default: %(default)s)")
    parser.add_argument("--model", default="s4token-mini")
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="folder of soak.csv (default: %(default)s)")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write the section Soak, and a plot beside it")
    parser.add_argument("--only-report", action="store_true", help="of the samples that are there")
    options = parser.parse_args(arguments)
    if options.only_report:
        found = samples.read(options.out / "soak.csv")
    else:
        try:
            found, events = run(options.minutes, options.rate, options.model, options.out)
        except SessionError as error:
            print(f"FAILED: {error}")
            return 1
        print(f"{events.calls} calls, {events.unanswered} unanswered at the end, {events.refused.total()} refused")
        print(*(f"  {count} times: {reason}" for reason, count in events.refused.most_common()), sep="\n")
    if found[-1].seconds < 60 * MIN_MINUTES:
        print(f"FAILED: {found[-1].seconds / 60:.1f} minutes say nothing of the memory; take {MIN_MINUTES} or more")
        return 1
    text = section(found, f'make soak ARGS="--minutes {found[-1].seconds / 60:.0f} --rate {options.rate:g}"')
    print(text)
    plot = options.report.with_suffix(".png") if options.report else options.out / "soak.png"
    save_plot(plot, found)
    if options.report:
        samples.write_section(options.report, "Soak", text)
    return 0 if judge(found)["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
