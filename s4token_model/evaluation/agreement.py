"""Agreement without ground truth: the fraction of points that get the same label in two views of one cloud.

A view is the cloud rotated about the vertical by a random angle, with a random part of its points removed. A model that
recognizes what it sees labels a point the same in both views.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from s4token_model import constants
from s4token_model.evaluation.loading import Result, Setup
from s4token_model.io import bags, files, folders

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter
    from s4token_model.vocabulary import Vocabulary

REMOVED = 0.2  # fraction of the points missing from each view
MAX_CLOUDS = 20  # of a folder or bag, evenly spaced
TEXT = "{clouds} clouds, {points:,} points: agreement {agreement:.4f}, chance {chance:.4f}, kappa {kappa:.4f}"


def two_view_agreement(
    setup: Setup, root: str | Path, words: Sequence[str] | None = None, topic: str | None = None,
    bin_columns: int | None = None,
) -> Result:  # fmt: skip
    """Measure a model on the clouds of a bag (`topic`), a folder or a file; `words` replaces its class names."""
    if setup.out is not None:
        raise ValueError("evaluate agreement draws no pictures; leave --pictures out")
    segmenter = setup.labeler()
    vocabulary = segmenter.make_vocabulary(words) if words else segmenter.vocabulary
    counts = np.zeros((len(vocabulary.names),) * 2, np.int64)
    clouds = list(clouds_of(root, topic, bin_columns))
    print(f"measuring {len(clouds)} clouds of {root}{f', topic {topic}' if topic else ''}", file=sys.stderr)
    for number, xyz in enumerate(tqdm(clouds, "clouds", disable=None)):
        first, second = label_two_views(xyz, segmenter, vocabulary, np.random.default_rng([number, 5]))
        labeled = (first != constants.UNLABELED) & (second != constants.UNLABELED)
        np.add.at(counts, (first[labeled], second[labeled]), 1)
    result = {"task": "agreement", "model": str(setup.model), "clouds": len(clouds)} | agreement_figures(counts)
    return result, TEXT.format(**result)


def label_two_views(
    xyz: np.ndarray, segmenter: Segmenter, vocabulary: Vocabulary, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Label two random views of a cloud; returns the labels (K,) uint32 of the K points that both views hold."""
    kept = rng.random((2, len(xyz))) >= REMOVED
    in_both, labels = kept.all(axis=0), []
    for keep in kept:
        angle = rng.uniform(0, 2 * np.pi)
        rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        encoded = segmenter.encode((xyz[keep] @ rotation.T).astype(np.float32))
        labels.append(segmenter.label(encoded, vocabulary).labels[in_both[keep]])
    return labels[0], labels[1]


def agreement_figures(counts: np.ndarray) -> dict[str, Any]:
    """points, agreement, chance (of random labels as frequent) and Cohen's kappa of a table (C, C) of both views."""
    total = int(counts.sum())
    if total == 0:
        raise ValueError("no point was labeled in both views; the clouds are empty, or thresholds too high")
    agreement = float(np.trace(counts)) / total
    chance = float((counts.sum(axis=0) / total) @ (counts.sum(axis=1) / total))
    kappa = 1.0 if chance == 1 else (agreement - chance) / (1 - chance)
    return {"points": total, "agreement": agreement, "chance": chance, "kappa": kappa}


def clouds_of(root: str | Path, topic: str | None = None, bin_columns: int | None = None) -> Iterator[np.ndarray]:
    """Finite points (H, 3) float32 of up to MAX_CLOUDS clouds of a bag, a folder of cloud files, or one file.

    A .bin file has `bin_columns` float32 per point.
    """
    path = Path(root)
    if topic and not bags.is_bag(path):
        raise ValueError(f"--topic {topic}: {path} is no bag; leave --topic out")
    if path.is_dir() and not folders.is_one_bag(path):
        cloud_files = [one for one in folders.list_inputs(path, tuple(files.READERS)) if not bags.is_bag(one)]
        clouds = [files.read_one_of(cloud_files[k], bin_columns) for k in _evenly_spaced(len(cloud_files))]
    elif bags.is_bag(path):
        # Read the bag twice, so that only the clouds that are measured are in memory at once
        chosen = set(_evenly_spaced(sum(1 for _ in bags.read_clouds(path, topic))))
        clouds = [bags.cloud_of(record[2])[1] for k, record in enumerate(bags.read_clouds(path, topic)) if k in chosen]
    else:
        clouds = [files.read_cloud(path, bin_columns=bin_columns)]
    if not clouds:
        raise ValueError(f"{path} holds no clouds; give a bag, a cloud file or a folder of cloud files")
    for cloud in clouds:
        yield np.ascontiguousarray(cloud.xyz[np.isfinite(cloud.xyz).all(axis=1)], np.float32)


def _evenly_spaced(count: int) -> list[int]:
    return list(range(count)) if count <= MAX_CLOUDS else np.linspace(0, count - 1, MAX_CLOUDS).astype(int).tolist()
