"""Zero-shot classification: the word nearest to the global feature of an object (method: Tab. 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import metrics
from s4token_model.evaluation.loading import Readable, skipped_line
from s4token_model.evaluation.prompts import Prompts
from s4token_model.evaluation.tables import save_confusion_picture, table
from s4token_model.pictures.gallery import Tile, save_gallery


def evaluate(
    things: Iterable[Any], names: Sequence[str], prompts: Prompts, labeller: Any, out: str | Path | None = None
) -> dict[str, Any]:
    """Classify objects (each with name, xyz and category, an index into `names`) and return JSON-ready figures.

    accuracy is top-1 over objects, macc its mean over the categories that occur, chance that of a uniform guess.
    labeller: a Segmenter, or a Projection. out: folder for the confusion matrix and a gallery of objects.
    """
    text = labeller.make_vocabulary(prompts.words, prompts.templates).text
    truth, found, tiles = [], [], []
    for thing in things:
        truth.append(thing.category)
        found.append(int((text @ labeller.encode(thing.xyz).cls).argmax()))
        if out is not None and truth.count(thing.category) == 1:
            tiles.append(Tile(thing.xyz, names[thing.category], prompts.words[found[-1]], found[-1] == thing.category))
    if not truth:
        raise ValueError("no objects to evaluate; check the root and the split")
    counts = metrics.confusion(np.array(truth), np.array(found), len(names))
    if out is not None:
        save_confusion_picture(Path(out) / "confusion.png", counts, prompts.words)
        save_gallery(Path(out) / "objects.png", tiles)
    scores = metrics.scores(counts)
    return {
        "objects": len(truth),
        "accuracy": scores.accuracy,
        "macc": scores.macc,
        "chance": 1 / len(names),
        "class_accuracy": {n: float(v) for n, v in zip(names, scores.recall, strict=True) if not np.isnan(v)},
        "class_objects": {n: int(v) for n, v in zip(names, scores.support, strict=True) if v},
        "confusion": counts.tolist(),
        "prompts": list(prompts.words),
        **prompts.said(),
        "skipped": things.skipped if isinstance(things, Readable) else [],
    }


def text_of(result: dict[str, Any], title: str) -> str:
    """The result as a table."""
    rows: list[list[Any]] = [
        ["top-1 accuracy", result["accuracy"], str(result["objects"])],
        ["mean over categories", result["macc"], None],
        ["chance", result["chance"], None],
    ]
    rows += [[name, value, str(result["class_objects"][name])] for name, value in result["class_accuracy"].items()]
    return "\n".join([table(rows, ["percent", title, "objects"]), *skipped_line(result["skipped"])])
