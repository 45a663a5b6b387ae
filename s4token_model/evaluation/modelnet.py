"""Zero-shot classification on ModelNet40: the word nearest to the global feature of an object (method: Tab. 5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from s4token_model.datasets import modelnet
from s4token_model.evaluation import metrics
from s4token_model.evaluation.charts import save_confusion_picture, table

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter


def run(
    root: str | Path,
    split: str = "test",
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    segmenter: Segmenter | None = None,
) -> dict[str, Any]:
    """Score a model on the objects of a split, all 40 categories as words, and print a table, or one JSON object.

    accuracy is top-1 over objects, macc its mean over the categories that occur. out: folder for the confusion matrix.
    ValueError on a folder without objects.
    """
    paths = modelnet.list_objects(root, split)
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    text = segmenter.make_vocabulary(modelnet.WORDS).text
    truth, found = [], []
    for path in tqdm(paths, "objects", disable=None):
        thing = modelnet.load_object(path)
        truth.append(thing.category)
        found.append(int((text @ segmenter.encode(thing.xyz).cls).argmax()))
    counts = metrics.confusion(np.array(truth), np.array(found), len(modelnet.NAMES))
    scores = metrics.scores(counts)
    recall = {name: float(v) for name, v in zip(modelnet.NAMES, scores.recall, strict=True) if not np.isnan(v)}
    result = {
        "task": "modelnet40",
        "model": str(model),
        "split": split,
        "objects": len(paths),
        "accuracy": scores.accuracy,
        "macc": scores.macc,
        "chance": 1 / len(modelnet.NAMES),
        "class_accuracy": recall,
        "confusion": counts.tolist(),
    }
    if out is not None:
        save_confusion_picture(Path(out) / "confusion.png", counts, modelnet.WORDS)
    print(json.dumps(result) if as_json else _text(result, scores.support))
    return result


def _text(result: dict[str, Any], support: np.ndarray) -> str:
    rows: list[list[Any]] = [
        ["top-1 accuracy", result["accuracy"], str(result["objects"])],
        ["mean over categories", result["macc"], None],
        ["chance", result["chance"], None],
    ]
    many = dict(zip(modelnet.NAMES, support, strict=True))
    rows += [[name, value, str(int(many[name]))] for name, value in result["class_accuracy"].items()]
    return table(rows, ["percent", result["model"], "objects"])
