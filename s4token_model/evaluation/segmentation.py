"""Semantic segmentation of labeled clouds: a model beside baselines and the oracle of its superpoints."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s4token_model import constants, metrics
from s4token_model.evaluation.baselines import chance_confusion, height_and_normal
from s4token_model.evaluation.loading import Readable
from s4token_model.evaluation.prompts import Prompts, digest

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmentation, Segmenter

SYNONYMS, RULES, CHANCE, ORACLE, PROVIDED = "synonyms", "rules", "chance", "oracle", "provided"
INDOOR = ("floor", "wall", "cabinet")


@dataclass(frozen=True)
class LabeledCloud:
    """xyz (H, 3) m, z up; rgb (H, 3) in [0, 1] or None; label (H,) index into the benchmark's classes, 65535 =
    ignored; superpoint (H,) that the data set provides, or None."""

    name: str
    xyz: np.ndarray
    rgb: np.ndarray | None
    label: np.ndarray
    superpoint: np.ndarray | None = None


@dataclass
class _Tally:
    """What is summed over clouds: confusions per method, and one row of figures per cloud."""

    counts: dict[str, np.ndarray] = field(default_factory=dict)
    clouds: list[dict[str, Any]] = field(default_factory=list)
    provided: int = 0

    def add(self, method: str, counts: np.ndarray) -> None:
        self.counts[method] = self.counts.get(method, 0) + counts


def evaluate(
    clouds: Iterable[LabeledCloud],
    names: Sequence[str],
    segmenter: Segmenter,
    prompts: Prompts | Sequence[str] | None = None,
    synonyms: Sequence[str] | None = None,
    rules: tuple[str, str, str] | None = INDOOR,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Label clouds with the vocabulary `names` and score them, the confusion pooled over all clouds.

    prompts: the word given to the model for each name, default the names themselves; as Prompts with their templates.
    synonyms: other words for the same classes, scored as one more method from the same encodings. rules: the
    height-and-normal baseline's classes for ground, upright surfaces and the rest, None to leave it out. out: folder
    for one picture per cloud (prediction beside truth) and the confusion matrix. Returns a JSON-ready dict: methods
    {name: figures}, clouds [figures], times and sizes, what was skipped.
    """
    names = tuple(names)
    frozen = prompts if isinstance(prompts, Prompts) else None
    words = frozen.words if frozen else tuple(prompts or names)
    vocabulary = segmenter.make_vocabulary(words, frozen.templates if frozen else None)
    others = None if synonyms is None else segmenter.make_vocabulary(tuple(synonyms))
    tally = _Tally()
    for cloud in clouds:
        started = time.perf_counter()
        encoding = segmenter.encode(cloud.xyz, cloud.rgb)
        found = segmenter.label(encoding, vocabulary)
        _score(tally, cloud, found, len(names), time.perf_counter() - started)
        if others is not None:
            guess = segmenter.label(encoding, others).labels
            tally.add(SYNONYMS, metrics.confusion(cloud.label, guess, len(names)))
        if rules is not None:
            guess = height_and_normal(cloud.xyz, names, *rules)
            tally.add(RULES, metrics.confusion(cloud.label, guess, len(names)))
        if out is not None:
            _picture(Path(out), cloud, found, names)
    if not tally.clouds:
        raise ValueError("no clouds to evaluate; check the root and the names of the rooms")
    result = _summary(tally, names, tuple(synonyms or words))
    result |= frozen.said() if frozen else {"prompts_sha256": digest(words, vocabulary.templates)}
    result["skipped"] = clouds.skipped if isinstance(clouds, Readable) else []
    if out is not None:
        from s4token_model.evaluation.tables import save_confusion_picture

        save_confusion_picture(Path(out) / "confusion.png", tally.counts["model"], names)
    return result


def _score(tally: _Tally, cloud: LabeledCloud, found: Segmentation, classes: int, seconds: float) -> None:
    counts = metrics.confusion(cloud.label, found.labels, classes)
    best = metrics.confusion(cloud.label, metrics.oracle_labels(found.superpoints, cloud.label), classes)
    tally.add("model", counts)
    tally.add(ORACLE, best)
    if cloud.superpoint is not None:
        tally.add(
            PROVIDED, metrics.confusion(cloud.label, metrics.oracle_labels(cloud.superpoint, cloud.label), classes)
        )
        tally.provided += 1
    tally.clouds.append(
        {
            "name": cloud.name,
            "points": len(cloud.xyz),
            "miou": metrics.scores(counts).miou,
            "accuracy": metrics.scores(counts).accuracy,
            "oracle_miou": metrics.scores(best).miou,
            "superpoints": int(found.superpoint_count),
            "tokens": int(found.tokens),
            "unlabeled": float((found.labels == constants.UNLABELED).mean()),
            "seconds": seconds,
            "stages_ms": {stage: float(ms) for stage, ms in found.stages_ms.items()},
        }
    )


def _summary(tally: _Tally, names: tuple[str, ...], prompts: tuple[str, ...]) -> dict[str, Any]:
    support = tally.counts["model"].sum(1)
    tally.counts[CHANCE] = chance_confusion(support)
    if tally.provided < len(tally.clouds):
        tally.counts.pop(PROVIDED, None)  # the oracles of other clouds cannot be compared
    order = [m for m in ("model", SYNONYMS, RULES, CHANCE, ORACLE, PROVIDED) if m in tally.counts]
    total = max(int(support.sum()), 1)
    return {
        "classes": list(names),
        "prompts": list(prompts),
        "methods": {method: figures(tally.counts[method], names) for method in order},
        "share": {name: float(n / total) for name, n in zip(names, support, strict=True)},
        "clouds": tally.clouds,
        "points": sum(c["points"] for c in tally.clouds),
        "annotated_points": int(support.sum()),
        "superpoints_per_cloud": float(np.mean([c["superpoints"] for c in tally.clouds])),
        "seconds_per_cloud": float(np.mean([c["seconds"] for c in tally.clouds])),
        "confusion": tally.counts["model"].astype(int).tolist(),
    }


def figures(counts: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """JSON-ready scores of a confusion matrix; classes absent from the ground truth have IoU and accuracy None."""
    s = metrics.scores(counts)
    rounded = [None if np.isnan(v) else float(v) for v in s.iou]
    recall = [None if np.isnan(v) else float(v) for v in s.recall]
    return {
        "miou": s.miou,
        "macc": s.macc,
        "accuracy": s.accuracy,
        "iou": dict(zip(names, rounded, strict=True)),
        "class_accuracy": dict(zip(names, recall, strict=True)),
    }


def _picture(out: Path, cloud: LabeledCloud, found: Segmentation, names: tuple[str, ...]) -> None:
    from s4token_model.pictures.colors import palette
    from s4token_model.pictures.figures import label_colors, save_comparison

    colors = palette(len(names))
    ignored = cloud.label == constants.UNLABELED
    shown = np.where(ignored, constants.UNLABELED, found.labels)
    columns = [
        (f"{cloud.name}: prediction", label_colors(found.labels, colors)),
        ("truth (gray: not annotated)", label_colors(cloud.label, colors)),
    ]
    both = np.concatenate([cloud.label, shown])
    save_comparison(out / f"{cloud.name.replace('/', '_')}.png", cloud.xyz, columns, legend=(both, names, colors))
