"""python -m s4token_model.experiments: run what is missing of the paper's comparisons, write docs/results.md."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from s4token_model import command_line, jobs
from s4token_model.experiments import results_document, runs, teacher_clip
from s4token_model.experiments.experiment import Experiment, run_cell
from s4token_model.experiments.paper_tables import EXPERIMENTS
from s4token_model.experiments.runs import FULL, QUICK, VERSION, Workspace
from s4token_model.kernels.parallel import processors

NAMES = [experiment.name for experiment in EXPERIMENTS]


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, write the document."""
    given = parser().parse_args(arguments)
    workspace, out = workspace_of(given), given.out or Path("out/results.md" if given.quick else "docs/results.md")
    chosen = [e for e in EXPERIMENTS if not given.only or e.name in given.only]
    run(chosen, workspace, out, None if given.minutes is None else 60 * given.minutes, given.settings, given.workers)
    print(f"wrote {out}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser("s4token experiments", description="the paper's comparisons at a small scale")
    top.add_argument("--quick", action="store_true", help="a few minutes: shows that everything runs, no more")
    top.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)}")
    top.add_argument("--settings", nargs="+", metavar="ROW", help="only these rows, e.g. knn knn+rpn")
    top.add_argument("--seeds", type=int, help=f"seeds of each row (default: {FULL.seeds}; sweeps: {FULL.sweep_seeds})")
    top.add_argument("--workers", type=int, default=processors(), help="processes (default: one per processor)")
    top.add_argument("--minutes", type=float, help="begin no run after so many; run again to go on")
    top.add_argument("--out", type=Path, help="the document (default: docs/results.md, or out/results.md with --quick)")
    top.add_argument("--cache", type=Path, default=Path("runs/results"), help="folder of finished runs and weights")
    top.add_argument("--scannet", type=Path, help="ScanNet's scans (default: below $S4TOKEN_DATA or ../shared/data)")
    top.add_argument("--s3dis", type=Path, help="S3DIS's rooms, in any layout (default: spt_demo in the same folder)")
    return top


def workspace_of(given: argparse.Namespace) -> Workspace:
    """Folder, budget and data of a command line. ValueError when a folder it names is not there."""
    budget = QUICK if given.quick else FULL
    data, rooms = Path(os.environ.get("S4TOKEN_DATA", "../shared/data")), []
    for option, usual in (("scannet", "scannet_votenet"), ("s3dis", "spt_demo")):
        folder = getattr(given, option)
        if folder and not folder.is_dir():
            raise ValueError(f"--{option} {folder}: no such folder; leave it out to skip the real rooms")
        found = folder or data / usual
        rooms.append(found if found.is_dir() else None)
    if given.seeds is not None:
        budget = replace(budget, seeds=given.seeds)
    return Workspace(given.cache / f"{budget.name}{VERSION}", budget, *rooms)


def run(
    experiments: Sequence[Experiment], workspace: Workspace, out: Path, seconds: float | None = None,
    settings: Sequence[str] | None = None, workers: int = 1,
) -> None:  # fmt: skip
    """Run what has no result yet, none after `seconds`, and write the document after each experiment.

    ValueError for an unknown row, and at the end if a run failed.
    """
    end, failed = math.inf if seconds is None else time.monotonic() + seconds, 0
    unknown = set(settings or ()) - {name for experiment in experiments for name in experiment.settings}
    if unknown:
        raise ValueError(f"no row {', '.join(sorted(unknown))} in {', '.join(e.name for e in experiments)}")
    for experiment in experiments:
        rows = [name for name in experiment.settings if not settings or name in settings]
        named = [
            jobs.Job(f"{experiment.name} {name} seed {seed}", (experiment, name, seed, workspace))
            for name in rows
            for seed in range(experiment.seeds_of(workspace.budget))
            if runs.load(workspace, experiment.name, name, seed) is None
        ]
        left = end - time.monotonic()
        if named and left > 0:
            if workers > 1 and experiment.in_front_of_clip:
                teacher_clip.load(workspace)  # once, not by every process
            for outcome in jobs.outcomes(run_cell, named, experiment.name, workers, seconds=left):
                failed += bool(outcome.error)
                tqdm.write(f"{outcome.name}: {outcome.error or outcome.result}")
        results_document.write(out, EXPERIMENTS, workspace)
    if failed:
        raise ValueError(f"{failed} runs failed, see above; run again to go on")


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token experiments", main))
