"""Measure accuracy on disturbed clouds: s4token robustness [--root DATA] [--only FAMILY,...] [--report FILE.md]"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from s4token_model import checkpoint, command_line
from s4token_model.evaluation import robustness, robustness_report
from s4token_model.evaluation.disturbance_catalog import CATALOG, FAMILIES
from s4token_model.segmenter import Segmenter

DATA_VARIABLE = "S4TOKEN_DATA"
PARTS = (*FAMILIES, "clean", "cost")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, print."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    chosen = options.only.split(",") if options.only else PARTS
    if unknown := sorted({*chosen} - {*PARTS}):
        raise ValueError(f"--only {unknown[0]}: no such family; choose from {', '.join(PARTS)}")
    if options.report:
        from s4token_model.pictures.plots import new_figure

        new_figure(1, 1)  # a missing package is an error before the work, not after it
    result = run(options.model, options.device, chosen, _root(options), options.quick)
    print(json.dumps(_as_json(result)) if options.json else robustness_report.text(result))
    if options.report:
        robustness_report.write(options.report, result, shlex.join(["s4token", "robustness", *words]))
        print(f"wrote {options.report}", file=sys.stderr)
    return 0


def run(
    model: str | Path, device: str, chosen: Sequence[str], root: Path | None, quick: bool
) -> robustness_report.Result:
    """Measure the chosen PARTS; `quick`: one draw, and no process of its own for large clouds."""
    segmenter = Segmenter.load(model, device=device)
    scenes, draws = robustness.load_scenes(segmenter, root), 1 if quick else robustness.DRAWS
    jobs = [(d, scene) for d in CATALOG if d.family in chosen for scene in scenes if scene.kind in d.kinds]
    measurements = []
    for disturbance, scene in tqdm(jobs, "disturbances", disable=None):
        if disturbance.measures_memory and not quick:
            measurements.append(robustness.measure_in_subprocess(segmenter, model, scene, disturbance, draws))
        else:
            measurements.append(robustness.measure(segmenter, scene, disturbance, draws))
    clean = robustness.clean_scores(segmenter, root) if root and "clean" in chosen else {}
    largest = max(scenes, key=lambda scene: len(scene.cloud.xyz))
    cost_ms = robustness.clean_cost(segmenter, largest) if "cost" in chosen else {}
    size = len(largest.cloud.xyz)
    return robustness_report.Result(str(model), root is not None, tuple(measurements), clean, cost_ms, size)


def _root(options: argparse.Namespace) -> Path | None:
    """The folder of the real data, or None, which is said."""
    if options.quick or not options.root:
        print(f"the sample room alone: {'--quick' if options.quick else 'no --root given'}", file=sys.stderr)
        return None
    return Path(options.root)


def _as_json(result: robustness_report.Result) -> dict[str, Any]:
    rows = []
    for one in result.measurements:
        named = {"family": one.disturbance.family, "name": one.disturbance.name, "target": one.disturbance.target}
        rows.append({**vars(one), **named, "target": dataclasses.asdict(one.disturbance.target)})
        rows[-1].pop("disturbance")
    return {**vars(result), "measurements": rows}


def _parser() -> argparse.ArgumentParser:
    about = "Measure how much of the accuracy is left when clouds are disturbed as they are in the field."
    parser = argparse.ArgumentParser("s4token robustness", description=about)
    add = parser.add_argument
    folders = f"{robustness.SCANNET}/ and {robustness.SEMANTICKITTI}/"
    add("--root", metavar="DATA", default=os.environ.get(DATA_VARIABLE),
        help=f"folder with {folders} (default: ${DATA_VARIABLE}); without it only the sample room")  # fmt: skip
    add("--only", metavar="FAMILY,...", help=f"of {', '.join(PARTS)} (default: all)")
    add("--quick", action="store_true", help="one draw of the sample room alone, no measurement of memory")
    add("--report", type=Path, metavar="FILE.md", help="write a document, and plots beside it with the suffix .png")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    add("--model", default=checkpoint.MINI, help=f"a checkpoint or built-in name (default: {checkpoint.MINI})")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    return parser


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token robustness", main))
