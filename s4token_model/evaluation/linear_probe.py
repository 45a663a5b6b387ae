"""Linear probe and few-shot classification of objects: logistic regression on frozen global features.

W, b = argmin  |W|^2 / 2 + C * sum over training objects of cross-entropy( W f + b ),   f the unit feature of an object

With k shots, each seed draws k training objects of each class, and, if asked, the classes; all test objects of these
are classified.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from s4token_model.datasets import modelnet40, scanobjectnn
from s4token_model.evaluation.classification import checked_object
from s4token_model.evaluation.loading import METHODS, UPRIGHT, Result, SampleLoader, Setup, skipped_lines
from s4token_model.evaluation.tables import table

VARIANT = "pb_t50_rs"  # of ScanObjectNN, the one that papers probe
STRENGTH = 100.0  # C
STEPS = 200  # of L-BFGS, at most


class Features(NamedTuple):
    """Features (n, E) of objects, unit rows, and their classes (n,)."""

    feature: np.ndarray
    label: np.ndarray


def linear_probe(
    setup: Setup, root: str | Path, shots: str | Sequence[int] = (0,), ways: int = 0, seeds: int = 10,
    method: str = METHODS[0], **options: Any,
) -> Result:  # fmt: skip
    """Probe the features of ModelNet40 or ScanObjectNN, whichever `root` holds; returns the result and its table.

    shots: training objects per class, e.g. "1,16"; 0 takes all, once; ways: classes that each seed draws, 0 takes all.
    options: `variant` of ScanObjectNN, `strength` of the fit (C). Each row of the result has the mean accuracy over the
    seeds, its standard deviation (n - 1) and the accuracies.
    """
    counts = _counts(shots) if isinstance(shots, str) else list(shots)
    strength, variant = float(options.get("strength", STRENGTH)), options.get("variant", VARIANT)
    _check(counts, ways, seeds, strength)
    sources = [_objects(root, split, variant) for split in ("train", "test")]
    labeler = setup.labeler(method, UPRIGHT)
    train, test = (_encode(loader, labeler) for _, loader in sources)
    names = scanobjectnn.NAMES if sources[0][0] else modelnet40.NAMES
    rows = {count: _accuracies(train, test, names, Draw(count, ways, seeds), strength) for count in counts}
    result = {"task": "probe", "data": sources[0][0] or "modelnet40", "model": str(setup.model), "method": method}
    result |= setup.projection.named() | {"strength": strength, "ways": ways or len(np.unique(train.label))}
    result |= {"train_objects": len(train.label), "test_objects": len(test.label)}
    result["shots"] = {str(count or "all"): _figures(found) for count, found in rows.items()}
    result["skipped"] = [one for _, loader in sources for one in loader.skipped]
    return result, _table(result, setup.title(method))


class Draw(NamedTuple):
    """What each of the seeds draws."""

    shots: int  # training objects per class, 0 = all
    ways: int  # classes, 0 = all
    seeds: int


def fit(features: Features, classes: int, strength: float = STRENGTH) -> tuple[np.ndarray, np.ndarray]:
    """Fit W (classes, E) and b (classes,) by L-BFGS in float64; labels are below `classes`."""
    feature, label = torch.from_numpy(features.feature).double(), torch.from_numpy(features.label).long()
    weight = torch.zeros(classes, feature.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, tolerance_grad=1e-6, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        # Per object, so that the tolerance means the same for any number
        total = cross_entropy(feature @ weight.T + bias, label) + weight.square().sum() / (2 * strength * len(label))
        total.backward()
        return total

    optimizer.step(loss)
    return weight.detach().numpy(), bias.detach().numpy()


def _accuracies(train: Features, test: Features, names: Sequence[str], draw: Draw, strength: float) -> list[float]:
    """The accuracy of each seed; of one if nothing is drawn."""
    known, found = np.unique(train.label), []
    if draw.ways > len(known):
        raise ValueError(f"--ways {draw.ways}: the training objects are of {len(known)} classes")
    for seed in range(draw.seeds if draw.shots or draw.ways else 1):
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(known, draw.ways, replace=False)) if draw.ways else known
        rows = []
        for label in chosen:
            there = np.flatnonzero(train.label == label)
            if len(there) < draw.shots:
                raise ValueError(f"--shots {draw.shots}: {names[label]} has only {len(there)} training objects")
            rows.append(rng.choice(there, draw.shots, replace=False) if draw.shots else there)
        kept, tested = np.concatenate(rows), np.flatnonzero(np.isin(test.label, chosen))
        if not len(tested):
            raise ValueError(f"no test object is of {', '.join(names[k] for k in chosen)}; give more --ways")
        weight, bias = fit(
            Features(train.feature[kept], np.searchsorted(chosen, train.label[kept])), len(chosen), strength
        )
        predicted = chosen[(test.feature[tested] @ weight.T + bias).argmax(axis=1)]
        found.append(float((predicted == test.label[tested]).mean()))
    return found


def _figures(accuracies: list[float]) -> dict[str, Any]:
    spread = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0
    return {"accuracy": float(np.mean(accuracies)), "std": spread, "seeds": len(accuracies), "accuracies": accuracies}


def _objects(root: str | Path, split: str, variant: str) -> tuple[str, SampleLoader]:
    """The variant of ScanObjectNN that was found, "" for ModelNet40, and its objects."""
    try:
        scanobjectnn.available(root, split)
    except ValueError:
        return "", SampleLoader(modelnet40.list_objects(root, split), modelnet40.load_object, f"{split} objects")
    return variant, SampleLoader(scanobjectnn.load(root, variant, split), checked_object, f"{split} objects")


def _encode(objects: SampleLoader, labeler: Any) -> Features:
    found = [(labeler.encode(item.xyz).cls, item.category) for item in objects]
    return Features(np.stack([feature for feature, _ in found]), np.array([label for _, label in found]))


def _counts(text: str) -> list[int]:
    try:
        return [int(count) for count in text.split(",")]
    except ValueError:
        raise ValueError(f"--shots {text}: give numbers such as 1,16") from None


def _check(shots: list[int], ways: int, seeds: int, strength: float) -> None:
    if not shots or min(shots) < 0:
        raise ValueError(f"--shots {','.join(map(str, shots))}: give numbers of at least 0; 0 takes all objects")
    if ways < 0 or ways == 1:
        raise ValueError(f"--ways {ways}: give at least 2 classes, or 0 for all")
    if seeds < 1:
        raise ValueError(f"--seeds {seeds}: give at least 1")
    if not 0 < strength < np.inf:
        raise ValueError(f"--strength {strength}: give a number above 0")


def _table(result: dict[str, Any], title: str) -> str:
    rows = [[shots, f["accuracy"], f["std"], str(f["seeds"])] for shots, f in result["shots"].items()]
    lines = [table(rows, ["shots", f"{title}, percent", "standard deviation", "seeds"])]
    lines.append(f"{result['data']}: {result['ways']} classes, {result['test_objects']} test objects")
    return "\n".join([*lines, *skipped_lines(result["skipped"])])
