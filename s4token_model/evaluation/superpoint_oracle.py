"""How good the superpoints are by themselves: the oracle of the partition on real clouds, over lambda.

Convention: every annotated raw class counts (NYU40 ids > 0 in ScanNet, raw ids > 0 in SemanticKITTI); unannotated
points (id 0) neither vote nor count; the mean runs over the classes that occur.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import config, constants, metrics
from s4token_model.datasets import semantickitti
from s4token_model.evaluation.tables import table
from s4token_model.pipeline import superpoints

LAMBDAS = (0.03, 0.1, 0.3)


def oracle(ids: np.ndarray, raw: np.ndarray) -> metrics.Scores:
    """Scores of superpoints ids (H,) that each take their majority class of raw (H,), where ids > 0 are annotated."""
    truth = np.where(raw > 0, raw, constants.UNLABELED)
    classes = int(raw.max(initial=0)) + 1
    return metrics.scores(metrics.confusion(truth, metrics.oracle_labels(ids, truth), classes))


def measure(
    xyz: np.ndarray, rgb: np.ndarray | None, raw: np.ndarray, settings: config.SuperpointConfig
) -> dict[str, Any]:
    """Partition one cloud and return its superpoint count, oracle figures and seconds."""
    started = time.perf_counter()
    ids = superpoints.partition(xyz, rgb, settings)
    seconds = time.perf_counter() - started
    best = oracle(ids, raw)
    return {
        "lambda": settings.regularization,
        "superpoints": int(ids.max(initial=-1)) + 1,
        "oracle_miou": best.miou,
        "oracle_accuracy": best.accuracy,
        "seconds": round(seconds, 2),
    }


def clouds(root: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """The labeled clouds below `root`: xyz, rgb and raw classes of scannet_full's room and every SemanticKITTI sweep
    there.

    Raises ValueError naming the files looked for when there is none.
    """
    root, found = Path(root), {}
    for path in sorted((root / "scannet_full").glob("*_vert_all.npy")):
        points = np.load(path)
        raw = np.load(path.with_name(path.name.replace("_vert_all", "_sem_label_all"))).astype(np.int64)
        found[path.name.removesuffix("_vert_all.npy")] = points[:, :3].astype(np.float32), points[:, 3:6] / 255.0, raw
    if (root / "semantickitti" / "sequences").is_dir():
        for name in semantickitti.list_sweeps(root / "semantickitti"):
            sweep = semantickitti.load_sweep(root / "semantickitti", name)
            found[name] = sweep.xyz, None, sweep.raw.astype(np.int64)
    if not found:
        raise ValueError(f"no clouds: looked for {root}/scannet_full/*_vert_all.npy and {root}/semantickitti/sequences")
    return found


def run(
    root: str | Path, changes: dict[str, Any] | None = None, lambdas: Sequence[float] = LAMBDAS, as_json: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Measure the partition of every cloud below `root` and print a table; changes: dotted config paths to values."""
    base = config.replace(config.Config(), changes or {}).superpoints
    result = {
        name: [measure(xyz, rgb, raw, dataclasses.replace(base, regularization=value)) for value in lambdas]
        for name, (xyz, rgb, raw) in clouds(root).items()
    }
    rows = [
        [name, str(row["lambda"]), *list(row.values())[1:4], str(row["seconds"])]
        for name in result
        for row in result[name]
    ]
    header = ["cloud", "lambda", "superpoints", "oracle mIoU", "oracle accuracy", "seconds"]
    print(json.dumps(result) if as_json else table(rows, header))
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: python -m s4token_model.evaluation.superpoint_oracle --root DIR [--solver merge] [key=value]."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", required=True, help="folder with scannet_full and semantickitti")
    parser.add_argument("--solver", help="solver of the l0 energy, default as configured")
    parser.add_argument("--lambdas", default=",".join(map(str, LAMBDAS)), help="comma separated")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("changes", nargs="*", help="config changes, e.g. superpoints.anchors=voxel")
    options = parser.parse_args(arguments)
    changes: dict[str, Any] = dict(change.split("=", 1) for change in options.changes)
    if options.solver:
        changes["superpoints.solver"] = options.solver
    try:
        run(options.root, changes, [float(v) for v in options.lambdas.split(",")], options.json)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
