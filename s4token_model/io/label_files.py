"""Label files: a cloud or a bag in, the same with labels out, and a summary of what was found."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s4token_model import config as configs
from s4token_model import constants
from s4token_model.io import bags, files
from s4token_model.io.files import Cloud
from s4token_model.pipeline.preprocess import prepare

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmentation, Segmenter


@dataclasses.dataclass
class Summary:
    """What labeling one file gave, added up over the clouds of a bag."""

    points: int = 0
    finite_points: int = 0
    superpoints: int = 0
    tokens: int = 0
    unlabeled: int = 0
    classes: Counter = dataclasses.field(default_factory=Counter)
    stages_ms: Counter = dataclasses.field(default_factory=Counter)
    reasons: Counter = dataclasses.field(default_factory=Counter)
    clouds: int = 0
    skipped: list[str] = dataclasses.field(default_factory=list)

    def add(self, found: Segmentation) -> None:
        """Count one labeled cloud."""
        valid, labels = found.encoding.valid, found.labels
        none = labels == constants.UNLABELED
        self.clouds += 1
        self.points += len(labels)
        self.finite_points += int(valid.sum())
        self.superpoints += found.superpoint_count
        self.tokens += found.tokens
        self.unlabeled += int(none.sum())
        counts = np.bincount(labels[~none], minlength=len(found.vocabulary.names))
        self.classes.update({name: int(n) for name, n in zip(found.vocabulary.names, counts, strict=True) if n})
        self.stages_ms.update(found.stages_ms)
        self.reasons.update(unlabeled_reasons(found))

    def to_dict(self, model: str) -> dict[str, Any]:
        """Return the summary as printed by `s4token label --json`; classes that occur, most points first."""
        return {
            "points": self.points,
            "finite_points": self.finite_points,
            "superpoints": self.superpoints,
            "tokens": self.tokens,
            "unlabeled": self.unlabeled,
            "unlabeled_reason": "; ".join(f"{n} points: {reason}" for reason, n in self.reasons.items()),
            "classes": dict(self.classes.most_common()),
            "stages_ms": {stage: round(ms, 3) for stage, ms in self.stages_ms.items()},
            "total_ms": round(sum(self.stages_ms.values()), 3),
            "model": model,
        }


def unlabeled_reasons(found: Segmentation) -> dict[str, int]:
    """Return {why: how many points} of the points without a label; the counts add up to all of them."""
    if len(found.labels) == 0:
        return {found.encoding.unlabeled_reason: 0}
    none = found.labels == constants.UNLABELED
    finite = int((none & found.encoding.valid).sum())
    reasons = {
        "not finite": int(none.sum()) - finite,
        found.encoding.unlabeled_reason or "below the threshold": finite,
    }
    return {reason: count for reason, count in reasons.items() if count}


def columns(found: Segmentation) -> dict[str, np.ndarray]:
    """Return the fields that labeling adds, each (H,): label, confidence, superpoint and the class color (uint8)."""
    palette = np.concatenate([found.vocabulary.colors.reshape(-1, 3), [constants.UNLABELED_COLOR]]).astype(np.uint8)
    colors = palette[np.minimum(found.labels, len(palette) - 1)]
    out = {
        "label": found.labels.astype(np.uint32),
        "confidence": found.confidence.astype(np.float32),
        "superpoint": found.superpoints.astype(np.uint32),
    }
    return out | {name: colors[:, i] for i, name in enumerate(("red", "green", "blue"))}


def label_cloud(cloud: Cloud, target: str | Path, segmenter: Segmenter) -> Summary:
    """Label one cloud and write it to the file `target`."""
    summary = Summary()
    found = segmenter.segment(cloud.xyz, cloud.rgb)
    summary.add(found)
    files.write_cloud(target, cloud, columns(found))
    return summary


def label_bag(source: str | Path, target: str | Path, segmenter: Segmenter, topic: str | None = None) -> Summary:
    """Label the clouds of one topic of a bag and write the bag with a topic of labeled clouds added."""
    summary = Summary()

    def label(cloud: Cloud) -> dict[str, np.ndarray]:
        found = segmenter.segment(cloud.xyz, cloud.rgb)
        summary.add(found)
        return columns(found)

    bags.add_labels(source, target, label, topic, summary.skipped.append)
    return summary


def partition_cloud(cloud: Cloud, config: configs.Config) -> np.ndarray:
    """Return the superpoint of every point (H,) uint32 as the pipeline forms them, 4294967295 where not finite."""
    from s4token_model.pipeline.superpoints import partition

    working = prepare(cloud.xyz, cloud.rgb, config.input.max_points)
    ids = np.full(len(cloud.xyz), constants.NO_SUPERPOINT, np.uint32)
    if len(working.original_index):
        kept_ids = partition(working.points, working.colors, config.superpoints)
        ids[working.original_index] = kept_ids[working.kept_of_point]
    return ids


def superpoint_columns(ids: np.ndarray) -> dict[str, np.ndarray]:
    """Return the fields superpoint, red, green, blue, each (H,): a random but fixed color per superpoint."""
    count = int(ids[ids != constants.NO_SUPERPOINT].max(initial=0)) + 1
    palette = np.random.default_rng(0).integers(40, 256, (count + 1, 3), np.uint8)
    palette[count] = constants.UNLABELED_COLOR
    colors = palette[np.minimum(ids, count)]
    return {"superpoint": ids} | {name: colors[:, i] for i, name in enumerate(("red", "green", "blue"))}
