"""Time every stage beside the reference pipeline: s4token benchmark [--input F] [--json] [--report FILE.md]"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s4token_model import checkpoint, command_line
from s4token_model.benchmark import batch_speed, comparisons, inputs, reference, report, scaling
from s4token_model.evaluation import benchmarks

PACKAGES = ("torch", "numpy", "numba", "scipy", "open_clip_torch", "cut_pursuit_py", "pgeof", "fpsample", "open3d")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, print."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    if options.live:
        raise ValueError("--live times the node: run s4token benchmark --live, or s4token live-benchmark")
    if options.repeats < 1 or (options.points is not None and options.points < 1):
        raise ValueError(f"--repeats {options.repeats} --points {options.points}: give at least 1")
    batches = batch_speed.run(options.repeats) if options.batches or options.report is not None else None
    if options.batches:
        print(json.dumps(batches) if options.json else batch_speed.text(batches))
        return 0
    results = []
    for path in options.input or [None]:
        xyz = inputs.load_points(path, options.points, options.bin_columns)
        results.append(
            {"cloud": str(path or "procedural room")} | run(xyz, options.model, options.tokens, options.repeats)
        )
        print(json.dumps(results[-1]) if options.json else report.text_table(results[-1]), flush=True)
    if options.report is not None:
        live = [json.loads(path.read_text(encoding="utf-8")) for path in options.live_figures]
        scores = benchmarks.run("scannet", root=options.scannet) if options.scannet else None
        command = shlex.join(["s4token", "benchmark", *words])
        report.write(options.report, results, scaling.measure(), command, live, scores, batches)
        print(f"wrote {options.report}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("s4token benchmark", description="Time every stage beside the paper's libraries.")
    add = parser.add_argument
    add("--input", action="append", help="a cloud file, may be repeated; default: a procedural room")
    add("--bin-columns", type=int, metavar="N", help="float32 per point of a .bin file (default: 4)")
    add("--points", type=int, help="use this many points of the cloud, drawn at random")
    add("--model", default=checkpoint.MINI, help="a checkpoint, or random:ViT-B-16 for the time alone")
    add("--tokens", type=int, help="tokens per cloud; default: the model's")
    add("--repeats", type=int, default=5)
    add("--json", action="store_true", help="print one JSON object per cloud")
    add("--report", type=Path, metavar="FILE.md", help="also write a document and a plot of time against points")
    add("--batches", action="store_true", help="time the batches of training instead: how fast a CPU draws them")
    add("--live", action="store_true", help="time the node at 10 Hz instead; see --live --help")
    about = "for the report: what --live --out wrote"
    add("--live-figures", action="append", type=Path, default=[], metavar="FILE.json", help=about)
    add("--scannet", metavar="ROOT", help="for the report: score s4token-mini on the rooms there")
    return parser


def run(xyz: np.ndarray, model: str, tokens: int | None, repeats: int) -> dict[str, Any]:
    """Measure one cloud and one model: medians of `repeats` runs, None where a peer's package is not installed."""
    segmenter = inputs.load_model(model, tokens)
    config = segmenter.config
    segmenter.segment(xyz)
    ours_ms = comparisons.medians([segmenter.segment(xyz).stages_ms for _ in range(repeats)])
    reference_ms = None
    if not reference.missing_packages():
        exact = inputs.load_model(model, tokens, "fp32")
        runs = [reference.stage_times(xyz, exact, exact.clip) for _ in range(max(2, repeats // 2))]
        reference_ms = comparisons.medians(runs[1:])
    return {
        "points": len(xyz),
        "model": model,
        "tokens": config.sampling.tokens,
        "precision": segmenter.clip.precision,
        "ours_ms": ours_ms,
        "reference_ms": reference_ms,
        "ratio_total": reference_ms and round(reference_ms["total"] / ours_ms["total"], 2),
        "partition": comparisons.compare_partition(xyz, config, repeats),
        "geometry": comparisons.compare_geometry(xyz, config, repeats),
        "wfps": comparisons.compare_sampling(xyz, config, repeats),
        "propagation": comparisons.compare_propagation(xyz, segmenter, repeats),
        "precisions": comparisons.compare_precisions(xyz, model, tokens, repeats),
        "hardware": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token benchmark", main))
