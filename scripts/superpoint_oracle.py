"""Quality of the superpoints by themselves: mIoU of their majority classes on real scans, by lambda and solver.

Every annotated raw class counts (NYU40 ids in ScanNet, raw ids in SemanticKITTI); points without annotation (id 0)
neither vote nor count; the mean runs over the classes that occur.

    python scripts/superpoint_oracle.py --root DIR [--solver cut_pursuit] [superpoints.anchors=voxel]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import command_line, config, constants, metrics
from s4token_model.datasets import semantickitti
from s4token_model.evaluation.tables import table
from s4token_model.pipeline import superpoints

LAMBDAS = (0.03, 0.1, 0.3)
HEADER = ("cloud", "lambda", "superpoints", "oracle mIoU", "oracle accuracy", "seconds")


def run(
    root: str | Path, changes: dict[str, Any] | None = None, lambdas: Sequence[float] = LAMBDAS, as_json: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Measure the partition of every cloud below `root` and print a table; changes: dotted config paths to values."""
    base = config.replace(config.Config(), changes or {}).superpoints
    settings = [dataclasses.replace(base, regularization=value) for value in lambdas]
    found = {name: [measure(xyz, rgb, raw, s) for s in settings] for name, xyz, rgb, raw in load_clouds(root)}
    if not found:
        raise ValueError(f"no clouds: looked for {root}/scannet_full/*_vert_all.npy and {root}/semantickitti/sequences")
    rows = [[name, *row.values()] for name, measured in found.items() for row in measured]
    for row in rows:
        row[1], row[-1] = str(row[1]), str(row[-1])  # lambda and seconds are no percentages
    print(json.dumps(found) if as_json else table(rows, HEADER))
    return found


def measure(
    xyz: np.ndarray, rgb: np.ndarray | None, raw: np.ndarray, settings: config.SuperpointConfig
) -> dict[str, Any]:
    """Partition one cloud; return the number of superpoints, oracle scores and seconds."""
    started = time.perf_counter()
    ids = superpoints.partition(xyz, rgb, settings)
    seconds, scores = time.perf_counter() - started, oracle(ids, raw)
    found = {"lambda": settings.regularization, "superpoints": int(ids.max(initial=-1)) + 1}
    found |= {"oracle_miou": scores.miou, "oracle_accuracy": scores.accuracy}
    return found | {"seconds": round(seconds, 2)}


def oracle(ids: np.ndarray, raw: np.ndarray) -> metrics.Scores:
    """Score superpoints ids (H,) that each take their majority class of raw (H,), 0 where there is no annotation."""
    truth = np.where(raw > 0, raw, constants.UNLABELED)
    classes = int(raw.max(initial=0)) + 1
    return metrics.scores(metrics.confusion(truth, metrics.oracle_labels(ids, truth), classes))


def load_clouds(root: str | Path) -> Iterator[tuple[str, np.ndarray, np.ndarray | None, np.ndarray]]:
    """Yield name, xyz, rgb and raw classes of every cloud in scannet_full and semantickitti below `root`."""
    for path in sorted((Path(root) / "scannet_full").glob("*_vert_all.npy")):
        points = np.load(path)
        raw = np.load(path.with_name(path.name.replace("_vert_all", "_sem_label_all"))).astype(np.int64)
        name = path.name.removesuffix("_vert_all.npy")
        yield name, points[:, :3].astype(np.float32), points[:, 3:6] / 255.0, raw
    kitti = Path(root) / "semantickitti"
    for name in semantickitti.list_sweeps(kitti) if (kitti / "sequences").is_dir() else ():
        sweep = semantickitti.load_sweep(kitti, name)
        yield name, sweep.xyz, None, sweep.raw.astype(np.int64)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line, see above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", required=True, help="folder with scannet_full and semantickitti")
    parser.add_argument("--solver", help="solver of the l0 energy, default as configured")
    parser.add_argument("--lambdas", default=",".join(map(str, LAMBDAS)), help="comma separated")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("changes", nargs="*", help="config changes, e.g. superpoints.anchors=voxel")
    options = parser.parse_args(arguments)
    changes: dict[str, Any] = dict(config.pairs(options.changes))
    if options.solver:
        changes["superpoints.solver"] = options.solver
    run(options.root, changes, [float(v) for v in options.lambdas.split(",")], options.json)


if __name__ == "__main__":
    raise SystemExit(command_line.guard("superpoint_oracle", main))
