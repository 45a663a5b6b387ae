"""Semantic segmentation of labeled clouds: a model beside baselines and the oracle of its superpoints."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s4token_model import constants, metrics
from s4token_model.evaluation.baselines import chance_confusion, height_and_normal
from s4token_model.evaluation.loading import SampleLoader
from s4token_model.prompts import Prompts, build_vocabulary, digest

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter
    from s4token_model.vocabulary import Vocabulary

# What is scored beside the model, in the order of the table
MODEL, SYNONYMS, RULES, CHANCE, ORACLE, PROVIDED = "model", "synonyms", "rules", "chance", "oracle", "provided"
SEEN = "seen"  # the model's labels, of the points that some frame shows
INDOOR_RULES = ("floor", "wall", "cabinet")


@dataclass(frozen=True)
class LabeledCloud:
    """A cloud with its ground truth."""

    name: str
    xyz: np.ndarray  # (H, 3) m, z up
    rgb: np.ndarray | None  # (H, 3) in [0, 1]
    label: np.ndarray  # (H,) index into the benchmark's classes, 65535 = not scored
    superpoint: np.ndarray | None = None  # (H,) superpoints that the data set provides
    views: Any = None  # what a ViewLabeler reads: posed frames, or OpenScene's features


@dataclass
class _Tally:
    """Sums over clouds: a confusion (C, C + 1) per method, and one row of figures per cloud."""

    names: tuple[str, ...]
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    clouds: list[dict[str, Any]] = field(default_factory=list)
    provided: int = 0  # clouds with superpoints of the data set

    def add(self, method: str, cloud: LabeledCloud, labels: np.ndarray) -> metrics.Scores:
        """Add the confusion of one cloud's labels (H,); returns its scores."""
        counts = metrics.confusion(cloud.label, labels, len(self.names))
        self.counts[method] = self.counts.get(method, 0) + counts
        return metrics.scores(counts)

    def add_model(self, cloud: LabeledCloud, segmenter: Segmenter, vocabularies: dict[str, Vocabulary]) -> np.ndarray:
        """Label one cloud under each vocabulary, add it and the oracles, and return the labels under MODEL's."""
        started = time.perf_counter()
        given = {} if cloud.superpoint is None else {"superpoints": cloud.superpoint}
        given |= {} if cloud.views is None else {"views": cloud.views}
        encoded = segmenter.encode(cloud.xyz, cloud.rgb, **given)
        predicted = segmenter.label(encoded, vocabularies[MODEL])
        seconds = time.perf_counter() - started
        scores = self.add(MODEL, cloud, predicted.labels)
        row = {"name": cloud.name, "points": len(cloud.xyz), "miou": scores.miou, "accuracy": scores.accuracy}
        if predicted.superpoints is not None:
            oracle = self.add(ORACLE, cloud, metrics.oracle_labels(predicted.superpoints, cloud.label))
            row["oracle_miou"] = oracle.miou
        if cloud.views is not None:
            seen = np.where(predicted.seen, cloud.label, constants.UNLABELED)
            self.add(SEEN, replace(cloud, label=seen), predicted.labels)
            row["seen"] = float(predicted.seen.mean())
        if cloud.superpoint is not None:
            self.add(PROVIDED, cloud, metrics.oracle_labels(cloud.superpoint, cloud.label))
            self.provided += 1
        if SYNONYMS in vocabularies:
            self.add(SYNONYMS, cloud, segmenter.label(encoded, vocabularies[SYNONYMS]).labels)
        row |= {"superpoints": int(predicted.superpoint_count), "tokens": int(predicted.tokens)}
        row |= {"unlabeled": float((predicted.labels == constants.UNLABELED).mean())}
        stages_ms = {stage: float(ms) for stage, ms in predicted.stages_ms.items()}
        self.clouds.append(row | {"seconds": seconds, "stages_ms": stages_ms})
        return predicted.labels


def evaluate(
    clouds: Iterable[LabeledCloud],
    names: Sequence[str],
    segmenter: Segmenter,
    prompts: Prompts | Sequence[str] | None = None,
    synonyms: Sequence[str] | None = None,
    rules: tuple[str, str, str] | None = INDOOR_RULES,
    out: Path | None = None,
) -> dict[str, Any]:
    """Label clouds and score them by the confusion pooled over all clouds; returns JSON-ready figures.

    prompts: the prompted name of each of the benchmark's classes, default `names`; as Prompts also the templates;
    synonyms: other words for the same classes, scored as one more method from the same encodings;
    rules: classes of ground, upright surfaces and the rest for `height_and_normal`; None leaves it out;
    out: folder for one picture per cloud and the confusion matrix.
    """
    names, frozen = tuple(names), prompts if isinstance(prompts, Prompts) else None
    prompted = frozen.names if frozen else tuple(prompts or names)
    words = build_vocabulary(segmenter, frozen) if frozen else segmenter.make_vocabulary(prompted)
    vocabularies = {MODEL: words}
    if synonyms is not None:
        vocabularies[SYNONYMS] = segmenter.make_vocabulary(tuple(synonyms))
    tally = _Tally(names)
    for cloud in clouds:
        labels = tally.add_model(cloud, segmenter, vocabularies)
        if rules is not None:
            tally.add(RULES, cloud, height_and_normal(cloud.xyz, names, *rules))
        if out is not None:
            _save_picture(out, cloud, labels, names)
    result = _summary(tally, tuple(synonyms or prompted))
    result |= frozen.metadata() if frozen else {"prompts_sha256": digest(prompted, vocabularies[MODEL].templates)}
    result["skipped"] = clouds.skipped if isinstance(clouds, SampleLoader) else []
    if out is not None:
        from s4token_model.pictures.plots import save_confusion_picture

        save_confusion_picture(out / "confusion.png", tally.counts[MODEL], tally.names)
    return result


def figures(counts: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """JSON-ready scores of a confusion matrix; classes absent from the ground truth have IoU and accuracy None."""
    scores = metrics.scores(counts)
    per_class = {
        key: {name: None if np.isnan(v) else float(v) for name, v in zip(names, values, strict=True)}
        for key, values in (("iou", scores.iou), ("class_accuracy", scores.recall))
    }
    return {"miou": scores.miou, "macc": scores.macc, "accuracy": scores.accuracy, **per_class}


def _summary(tally: _Tally, prompted: tuple[str, ...]) -> dict[str, Any]:
    if not tally.clouds:
        raise ValueError("no clouds to evaluate; check the root and the names of the rooms")
    names, support = tally.names, tally.counts[MODEL].sum(1)
    counts = tally.counts | {CHANCE: chance_confusion(support)}
    if tally.provided < len(tally.clouds):
        counts.pop(PROVIDED, None)  # an oracle over other clouds cannot be compared
    order = [method for method in (MODEL, SEEN, SYNONYMS, RULES, CHANCE, ORACLE, PROVIDED) if method in counts]
    total = max(int(support.sum()), 1)
    return {
        "classes": list(names),
        "prompts": list(prompted),
        "methods": {method: figures(counts[method], names) for method in order},
        "share": {name: float(n / total) for name, n in zip(names, support, strict=True)},
        "clouds": tally.clouds,
        "points": sum(cloud["points"] for cloud in tally.clouds),
        "annotated_points": int(support.sum()),
        "superpoints_per_cloud": float(np.mean([cloud["superpoints"] for cloud in tally.clouds])),
        "seconds_per_cloud": float(np.mean([cloud["seconds"] for cloud in tally.clouds])),
        "confusion": counts[MODEL].astype(int).tolist(),
    }


def renamed(result: dict[str, Any]) -> dict[str, Any]:
    """Mean IoU over the classes that occur and have a synonym, under their names and under the synonyms."""
    pairs = zip(result["classes"], result["prompts"], strict=True)
    names = [name for name, synonym in pairs if name != synonym and result["share"][name] > 0]
    ious = {method: [result["methods"][method]["iou"][name] for name in names] for method in (MODEL, SYNONYMS)}
    return {"classes": names, **{method: float(np.mean(v)) if v else None for method, v in ious.items()}}


def _save_picture(out: Path, cloud: LabeledCloud, labels: np.ndarray, names: tuple[str, ...]) -> None:
    """Draw the predicted labels of a cloud beside the ground truth."""
    from s4token_model.palette import index_colors, label_colors
    from s4token_model.pictures.figures import Legend, save_comparison

    colors = index_colors(np.arange(len(names)))
    scored = np.where(cloud.label == constants.UNLABELED, constants.UNLABELED, labels)
    columns = [(f"{cloud.name}: prediction", label_colors(labels, colors))]
    columns.append(("truth (gray: not annotated)", label_colors(cloud.label, colors)))
    legend = Legend(np.concatenate([cloud.label, scored]), names, colors)
    save_comparison(out / f"{cloud.name.replace('/', '_')}.png", cloud.xyz, columns, legend=legend)
