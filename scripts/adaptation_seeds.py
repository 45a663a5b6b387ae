"""What adaptation does to s4token-mini, over seeds: `python scripts/adaptation_seeds.py BAG --root DATA [key=value]`.

Trains config/adapt.yaml, changed by key=value, on a bag once per seed, and measures accuracy on the SemanticKITTI
sweeps of DATA and the agreement of two views of the bag's clouds. Prints mean, spread and range over the seeds, and p
of the t test that the change from s4token-mini is 0. Finished seeds in --out are read, not trained again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import atomic, bounded_files, checkpoint, command_line
from s4token_model.datasets.semantickitti import NAMES
from s4token_model.evaluation.agreement import two_view_agreement
from s4token_model.evaluation.benchmarks import semantickitti_sweeps
from s4token_model.evaluation.loading import Setup
from s4token_model.evaluation.tables import markdown_table
from s4token_model.experiments.verdicts import p_value
from s4token_model.training import train

RECIPE = Path(__file__).resolve().parents[1] / "config" / "adapt.yaml"
FIGURES = ("miou", "accuracy", "agreement", "kappa")


def measure(model: str | Path, bag: Path, root: Path) -> dict[str, float]:
    """Return FIGURES of a model."""
    labeled, _ = semantickitti_sweeps(Setup(model), root)
    views, _ = two_view_agreement(Setup(model), bag, NAMES)
    return {key: float((labeled | views)[key]) for key in FIGURES}


def adapted(seed: int, given: argparse.Namespace) -> dict[str, float]:
    """Train with a seed and measure, or read what was measured."""
    folder = given.out / f"seed{seed}"
    words = [str(RECIPE), f"data={given.bag}", f"run={folder}", f"seed={seed}", *given.changes]
    return stored(
        folder / "figures.json", lambda: train.main(words) or measure(folder / "model", given.bag, given.root)
    )


def stored(path: Path, compute: Any) -> dict[str, float]:
    """Read a JSON file, or write what `compute` returns."""
    if not path.is_file():
        found = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.file(path) as file:
            file.write(json.dumps(found).encode())
    return json.loads(path.read_text(encoding="utf-8"))


def folder_of(given: argparse.Namespace) -> Path:
    """A folder in --out for the figures of this model, bag, DATA and list of changes, and of no others."""
    model = bounded_files.sha256(checkpoint.resolve(checkpoint.MINI) / "config.json")  # it has the digests of the rest
    made = [model, str(given.bag.resolve()), str(given.root.resolve()), *sorted(given.changes)]
    return given.out / hashlib.sha256(json.dumps(made).encode()).hexdigest()[:12]


def table(before: dict[str, float], after: list[dict[str, float]]) -> str:
    """Return a table in percent: before, after as mean ± spread (range), the mean change and its p."""
    rows = []
    for key in FIGURES:
        values = np.array([one[key] for one in after])
        spread = f" ± {100 * values.std(ddof=1):.1f}" if len(values) > 1 else ""
        cells = [f"{100 * before[key]:.1f}", f"{100 * values.mean():.1f}{spread}"]
        cells += [f"{100 * values.min():.1f} to {100 * values.max():.1f}"]
        rows.append(
            [key, *cells, f"{100 * (values.mean() - before[key]):+.1f}", f"{p_value(values - before[key]):.3f}"]
        )
    return markdown_table(["", "before", f"after, {len(after)} seeds", "range", "change", "p"], rows)


def main(words: list[str] | None = None) -> int:
    """Train and measure what is missing, print the table."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("bag", type=Path)
    top.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="changes of config/adapt.yaml")
    top.add_argument("--root", type=Path, required=True, help="folder that holds sequences/")
    top.add_argument("--seeds", type=int, default=8)
    top.add_argument("--out", type=Path, default=Path("runs/adaptation"))
    given = top.parse_intermixed_args(words)
    given.out = folder_of(given)
    before = stored(given.out / "before.json", lambda: measure(checkpoint.MINI, given.bag, given.root))
    print(table(before, [adapted(seed, given) for seed in range(given.seeds)]))
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("adaptation_seeds", main))
