"""Agreement without ground truth: the share of points that get the same label in two views of one cloud.

A view is the cloud turned about the vertical by a random angle, with a random part of its points missing. A model that
knows what it sees gives a point the same word in both; `chance` is what two random labelings with the same shares of
words would give, `kappa` = (agreement - chance) / (1 - chance).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from s4token_model import constants
from s4token_model.io import bags, files

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter

MISSING = 0.2  # share of the points that each view lacks
CLOUDS = 20  # of a folder or bag, evenly spread


def run(
    root: str | Path,
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    segmenter: Segmenter | None = None,
    words: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Measure a model on the clouds of a bag, a folder or a file, and print the figures or one JSON object.

    `words` replaces the model's vocabulary. ValueError when there is no cloud, or `out`, pictures, is asked for.
    """
    if out is not None:
        raise ValueError("evaluate agreement draws no pictures; leave --pictures out")
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    vocabulary = segmenter.make_vocabulary(words) if words else segmenter.vocabulary
    counts = np.zeros((len(vocabulary.names),) * 2, np.int64)
    clouds = list(clouds_of(root))
    for number, xyz in enumerate(tqdm(clouds, "clouds", disable=as_json)):
        first, second = two_views(xyz, segmenter, vocabulary, np.random.default_rng([number, 5]))
        named = (first != constants.UNLABELED) & (second != constants.UNLABELED)
        np.add.at(counts, (first[named], second[named]), 1)
    result = {"task": "agreement", "model": str(model), "clouds": len(clouds)} | figures(counts)
    text = "{clouds} clouds, {points:,} points: agreement {agreement:.4f}, chance {chance:.4f}, kappa {kappa:.4f}"
    print(json.dumps(result) if as_json else text.format(**result))
    return result


def two_views(xyz: np.ndarray, segmenter: Segmenter, words: Any, rng: np.random.Generator):
    """Labels (K,) uint32 each of the K points that both views hold."""
    kept = rng.random((2, len(xyz))) >= MISSING
    both, found = kept.all(axis=0), []
    for keep in kept:
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        encoding = segmenter.encode((xyz[keep] @ turn.T).astype(np.float32))
        found.append(segmenter.label(encoding, words).labels[both[keep]])
    return tuple(found)


def figures(counts: np.ndarray) -> dict[str, Any]:
    """points, agreement, chance and kappa of a table (C, C) of labels in the first and in the second view."""
    total = int(counts.sum())
    if total == 0:
        raise ValueError("no point was labeled in both views; the clouds are empty, or thresholds too high")
    agreement = float(np.trace(counts)) / total
    chance = float((counts.sum(axis=0) / total) @ (counts.sum(axis=1) / total))
    kappa = 1.0 if chance == 1 else (agreement - chance) / (1 - chance)
    return {"points": total, "agreement": agreement, "chance": chance, "kappa": kappa}


def clouds_of(root: str | Path) -> Iterator[np.ndarray]:
    """Finite points (H, 3) float32 of up to CLOUDS clouds of a bag, a folder of cloud files, or one file."""
    path = Path(root)
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in files.READERS) if path.is_dir() else []
    if found or (path.is_dir() and not any(path.iterdir())):
        every = [files.read_cloud(p) for p in _spread(found)]
    elif bags.is_bag(path):
        every = _of_bag(path)
    else:
        every = [files.read_cloud(path)]
    if not every:
        raise ValueError(f"{path} holds no clouds; give a bag, a cloud file or a folder of cloud files")
    for cloud in _spread(every):
        yield np.ascontiguousarray(cloud.xyz[np.isfinite(cloud.xyz).all(axis=1)], np.float32)


def _of_bag(path: Path) -> list[files.Cloud]:
    """Read through the bag twice, so that only the clouds that are measured are in memory at once."""
    count = sum(1 for _ in bags.read_clouds(path))
    chosen = set(_spread(list(range(count))))
    recorded = enumerate(bags.read_clouds(path))
    return [bags.cloud_of(message)[1] for k, (_, _, message) in recorded if k in chosen]


def _spread(items: list) -> list:
    return items if len(items) <= CLOUDS else [items[k] for k in np.linspace(0, len(items) - 1, CLOUDS).astype(int)]
