"""What a process takes, sampled: a CSV file that grows while a trial runs, its trend, and a section of a document."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.stats import theilslopes


@dataclass(frozen=True)
class Sample:
    """The node at one time."""

    seconds: float  # since the trial began
    rss_mb: float  # resident memory
    fds: int  # open file descriptors
    threads: int
    received: int  # clouds, since the node was activated
    labeled: int


def take(pid: int, seconds: float, diagnostics: dict[str, str]) -> Sample:
    """Measure a process of Linux; `diagnostics` are the node's newest."""
    status = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    fds = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    counts = (int(diagnostics.get(key, 0)) for key in ("clouds_received", "clouds_labeled"))
    return Sample(round(seconds, 1), int(status["VmRSS"]) / 1024, fds, int(status["Threads"]), *counts)


class Recorder:
    """A CSV file of samples; what is in it survives an interruption."""

    def __init__(self, path: Path) -> None:
        """Start a new file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._write("w", [f.name for f in fields(Sample)])

    def add(self, sample: Sample) -> None:
        """Append a sample."""
        self._write("a", astuple(sample))

    def _write(self, mode: str, row: Sequence[object]) -> None:
        with self._path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)


def read(path: Path) -> list[Sample]:
    """Return the samples of a file, also of a trial that still runs."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    kinds = {"seconds": float, "rss_mb": float}
    return [Sample(**{key: kinds.get(key, int)(value) for key, value in row.items()}) for row in rows]


def at_rest(samples: Sequence[Sample], settled: float) -> list[Sample]:
    """Return the sample of least memory in every rest: a time longer than `settled` seconds in which no cloud arrived.

    Memory that stays is in all samples of a rest; the first and the last one may hold a cloud at work.
    """
    found, rest = [], [samples[0]]
    for sample in samples[1:]:
        if sample.received != rest[0].received:
            if rest[-1].seconds - rest[0].seconds >= settled:
                found.append(min(rest, key=lambda s: s.rss_mb))
            rest = []
        rest.append(sample)
    return found


def slope_mb_per_hour(samples: Sequence[Sample]) -> tuple[float, float, float]:
    """Return (slope, low, high) of the memory: the Theil-Sen slope and its 95 % interval [MB/h]."""
    hours = np.array([s.seconds for s in samples]) / 3600
    found = theilslopes([s.rss_mb for s in samples], hours, 0.95)
    return found.slope, found.low_slope, found.high_slope


def write_section(path: Path, heading: str, text: str) -> None:
    """Replace the text below the heading `## heading` of a Markdown file by `text`."""
    document = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(^## {re.escape(heading)}\n).*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if not pattern.search(document):
        raise ValueError(f"{path} has no section {heading!r}")
    path.write_text(pattern.sub(lambda m: f"{m[1]}\n{text.strip()}\n\n", document).rstrip() + "\n", encoding="utf-8")
