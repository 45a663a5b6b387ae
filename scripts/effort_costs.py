"""Measure what fewer points and tokens cost: python scripts/effort_costs.py [--clouds 24] [--model M] [--write]

Labels held-out procedural rooms and streets at every level of s4token_model/effort.py; --write puts the mean mIoU of
the clouds beside the weights, where the node reads what latency.budget_ms costs.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4token_model import checkpoint, command_line, effort, metrics, prompts
from s4token_model.config import replace
from s4token_model.datasets import semantickitti
from s4token_model.evaluation import procedural_rooms, scored_sets
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.segmenter import Segmenter

TURNS = 8


def clouds(count: int, root: str) -> Iterator[tuple[str, LabeledCloud]]:
    """Yield (data, cloud): `count` rooms and streets, and the sweeps in `root` turned by TURNS angles."""
    for room in procedural_rooms.held_out_clouds(count):
        yield "rooms", room
    for street in procedural_rooms.held_out_streets(count):
        yield "streets", street
    for sweep in scored_sets.semantickitti_sweeps(Path(root)) if root else ():
        for angle in np.linspace(0, 2 * np.pi, TURNS, endpoint=False):
            turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
            yield "SemanticKITTI", LabeledCloud(sweep.name, (sweep.xyz @ turn).astype(np.float32), None, sweep.label)


def measure(model: str, count: int, root: str) -> dict[effort.Effort, dict[str, list[float]]]:
    """Return {effort: {data: mIoU of each cloud [%], data + "_ms": its processor time}}."""
    config = checkpoint.read_config(model)
    loaded = Segmenter.load(model, config)
    segmenters = {one: loaded.with_config(replace(config, one.changes())) for one in effort.levels(config)}
    sweeps = prompts.load("semantickitti", semantickitti.NAMES)
    words = {
        "rooms": loaded.make_vocabulary(procedural_rooms.NAMES),
        "streets": loaded.make_vocabulary(procedural_rooms.STREET_NAMES),
        "SemanticKITTI": loaded.make_vocabulary(sweeps.names, sweeps.templates),
    }
    found: dict[effort.Effort, dict[str, list[float]]] = {one: {} for one in segmenters}
    for data, cloud in tqdm(clouds(count, root), "clouds"):
        for one, segmenter in segmenters.items():
            start = time.process_time()
            labels = segmenter.label(segmenter.encode(cloud.xyz, cloud.rgb), words[data]).labels
            found[one].setdefault(f"{data}_ms", []).append(1e3 * (time.process_time() - start))
            scores = metrics.scores(metrics.confusion(cloud.label, labels, len(words[data].names)))
            found[one].setdefault(data, []).append(100 * scores.miou)
    return found


def table(found: dict[effort.Effort, dict[str, list[float]]], sets: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table: per level the mean mIoU, its paired difference from the first, and the time."""
    first = next(iter(found.values()))
    yield f"| points | tokens | windows |{''.join(f' {data}, mIoU | ms |' for data in sets)}"
    yield "|---:|---:|---:|" + "---:|---:|" * len(sets)
    for one, figures in found.items():
        cells = []
        for data in sets:
            difference = np.subtract(figures[data], first[data])
            error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
            change = "" if figures is first else f" ({difference.mean():+.1f} ± {error:.1f})"
            cells += [f"{np.mean(figures[data]):.1f}{change}", f"{np.mean(figures[f'{data}_ms']):.0f}"]
        yield f"| {' | '.join([*map(str, one), *cells])} |"


def main(words: list[str]) -> None:
    """Measure, print and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=checkpoint.MINI)
    parser.add_argument("--clouds", type=int, default=24, help="rooms, and as many streets")
    parser.add_argument("--root", default="", help="SemanticKITTI's folder; without, no sweeps")
    parser.add_argument("--write", action="store_true", help="write the figures beside the weights")
    options = parser.parse_args(words)
    found = measure(options.model, options.clouds, options.root)
    sets = [data for data in next(iter(found.values())) if not data.endswith("_ms")]
    print(*table(found, sets), sep="\n")
    if options.write:
        with open(checkpoint.resolve(options.model) / effort.FILE, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*effort.Effort._fields, *sets])
            for one, figures in found.items():
                writer.writerow([*one, *(f"{np.mean(figures[data]):.2f}" for data in sets)])


if __name__ == "__main__":
    sys.exit(command_line.guard("effort_costs", main))
