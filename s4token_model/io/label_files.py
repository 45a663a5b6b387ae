"""Label files: read a cloud or a bag, write it with labels added, and summarize the result."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s4token_model import config as configs
from s4token_model.constants import NO_SUPERPOINT, UNLABELED, UNLABELED_COLOR
from s4token_model.io import files, labeled_bags
from s4token_model.io.errors import error
from s4token_model.io.files import Cloud
from s4token_model.io.pointcloud2 import COLOR_NAMES
from s4token_model.palette import index_colors
from s4token_model.pipeline.cleaning import NOT_FINITE
from s4token_model.pipeline.preprocess import downsample, prepare

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmentation, Segmenter


@dataclasses.dataclass
class Summary:
    """The result of labeling one file, summed over the clouds of a bag."""

    points: int = 0
    finite_points: int = 0
    superpoints: int = 0
    tokens: int = 0
    unlabeled: int = 0
    classes: Counter = dataclasses.field(default_factory=Counter)
    stages_ms: Counter = dataclasses.field(default_factory=Counter)
    reasons: Counter = dataclasses.field(default_factory=Counter)
    warnings: dict[str, str] = dataclasses.field(default_factory=dict)  # what tells them apart -> text
    clouds: int = 0
    skipped: list[str] = dataclasses.field(default_factory=list)

    def add(self, found: Segmentation) -> None:
        """Count one labeled cloud."""
        labels = found.labels
        unlabeled = labels == UNLABELED
        self.clouds += 1
        self.points += len(labels)
        self.finite_points += len(labels) - found.encoding.set_aside.get(NOT_FINITE, 0)
        self.superpoints += found.superpoint_count
        self.tokens += found.tokens
        self.unlabeled += int(unlabeled.sum())
        counts = np.bincount(labels[~unlabeled], minlength=len(found.vocabulary.names))
        self.classes.update({name: int(n) for name, n in zip(found.vocabulary.names, counts, strict=True) if n})
        self.stages_ms.update(found.stages_ms)
        self.reasons.update(found.unlabeled_reasons if len(labels) else {found.unlabeled_reason: 0})
        self.warnings.update({warning: warning for warning in found.vocabulary.warnings})
        for warning in found.encoding.warnings:  # clouds of a bag are alike but for their numbers: the first is enough
            self.warnings.setdefault(warning_key(warning), warning)

    def merge(self, other: dict[str, Any]) -> None:
        """Count what `to_dict` returned of another file, and its `clouds`, but not its warnings."""
        for name in ("points", "finite_points", "superpoints", "tokens", "unlabeled", "clouds"):
            setattr(self, name, getattr(self, name) + other[name])
        self.classes.update(other["classes"])
        self.stages_ms.update(other["stages_ms"])
        self.reasons.update(other["unlabeled_reasons"])

    def to_dict(self, model: str) -> dict[str, Any]:
        """Return the summary as `s4token label --json` prints it; classes are those found, most frequent first."""
        counts = ("points", "finite_points", "superpoints", "tokens", "unlabeled")
        return {name: getattr(self, name) for name in counts} | {
            "unlabeled_reason": "; ".join(f"{n} points: {reason}" for reason, n in self.reasons.items()),
            "unlabeled_reasons": dict(self.reasons),
            "warnings": list(self.warnings.values()),
            "classes": dict(self.classes.most_common()),
            "stages_ms": {stage: round(ms, 3) for stage, ms in self.stages_ms.items()},
            "total_ms": round(sum(self.stages_ms.values()), 3),
            "model": model,
        }


def warning_key(warning: str) -> str:
    """Return a warning without its numbers, in which those of like clouds differ."""
    return re.sub(r"\d[\d.,e+-]*", "", warning)


def check_has_points(path: str | Path, cloud: Cloud) -> None:
    """Raise ValueError if a cloud read from `path` has no point that could be labeled."""
    if not np.isfinite(cloud.xyz).all(axis=1).any():
        found = f"none of its {len(cloud.xyz):,} points is finite, so there is nothing to write"
        raise error(path, found, "check the sensor, or the program that wrote the file")


def _label(cloud: Cloud, segmenter: Segmenter, summary: Summary) -> Segmentation:
    """Label one cloud and count it in the summary."""
    found = segmenter.segment(cloud.xyz, cloud.rgb, cloud.frame_id)
    summary.add(found)
    summary.warnings |= {note: note for note in cloud.notes}
    return found


def label_columns(found: Segmentation) -> dict[str, np.ndarray]:
    """Return the fields that labeling adds, each (H,): label, confidence, superpoint and the class color (uint8)."""
    out = {
        "label": found.labels.astype(np.uint32),
        "confidence": found.confidence.astype(np.float32),
        "superpoint": found.superpoints.astype(np.uint32),
    }
    return out | _color_columns(found.labels, found.vocabulary.colors)


def label_cloud(
    cloud: Cloud, target: str | Path, segmenter: Segmenter, show: Callable[[Segmentation], None] | None = None
) -> Summary:
    """Label one cloud, write it to the file `target`, and `show` it."""
    summary = Summary()
    found = _label(cloud, segmenter, summary)
    lost = files.write_cloud(target, cloud, label_columns(found))
    if show is not None:
        show(found)
    summary.warnings |= {note: note for note in lost}
    return summary


def label_bag(
    source: str | Path, target: str | Path, segmenter: Segmenter, topic: str | Sequence[str] | None = None,
    replace: bool = False,
) -> Summary:  # fmt: skip
    """Label the clouds of some topics of a bag, and write a copy of it with labeled topics and their vocabulary."""
    summary = Summary()
    labeling = labeled_bags.Labeling(
        lambda cloud: label_columns(_label(cloud, segmenter, summary)), segmenter.vocabulary, summary.skipped.append,
        lambda note: summary.warnings.update({note: note}), segmenter.encoder.progress,
    )  # fmt: skip
    labeled_bags.add_labels(source, target, labeling, topic, replace)
    return summary


def partition_cloud(cloud: Cloud, config: configs.Config) -> np.ndarray:
    """Return the superpoint of every point (H,) uint32 as the pipeline forms them; NO_SUPERPOINT if not finite."""
    from s4token_model.pipeline.superpoints import partition

    working = downsample(prepare(cloud.xyz, cloud.rgb, config.input.clean), config.input.max_points)
    ids = np.full(len(cloud.xyz), NO_SUPERPOINT, np.uint32)
    if len(working.xyz):
        kept_ids = partition(working.points, working.colors, config.superpoints)
        ids[working.labeled_index] = kept_ids[working.kept_of_point[working.position]]
    return ids


def write_superpoints(cloud: Cloud, target: str | Path, config: configs.Config) -> dict[str, Any]:
    """Write one cloud with its superpoints to the file `target`; return the counts and the time of the partition."""
    start = time.perf_counter()
    ids = partition_cloud(cloud, config)
    total_ms = round(1000 * (time.perf_counter() - start), 3)
    finite = ids[ids != NO_SUPERPOINT]
    count = int(finite.max()) + 1 if len(finite) else 0
    colors = _color_columns(ids, index_colors(np.arange(max(count, 1))))  # one per superpoint, as in pictures
    lost = files.write_cloud(target, cloud, {"superpoint": ids} | colors)
    counts = {"points": len(ids), "finite_points": int(np.isfinite(cloud.xyz).all(axis=1).sum()), "superpoints": count}
    return counts | {
        "without_superpoint": len(ids) - len(finite),
        "total_ms": total_ms,
        "warnings": [*cloud.notes, *lost],
    }


def _color_columns(index: np.ndarray, table: np.ndarray) -> dict[str, np.ndarray]:
    """Return red, green, blue, each (H,) uint8, by a table (C, 3); UNLABELED_COLOR for an index that it lacks."""
    colors = np.concatenate([table.reshape(-1, 3), [UNLABELED_COLOR]]).astype(np.uint8)[np.minimum(index, len(table))]
    return {name: colors[:, i] for i, name in enumerate(COLOR_NAMES[0])}
