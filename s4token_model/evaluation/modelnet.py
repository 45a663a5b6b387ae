"""Zero-shot classification on ModelNet40, all 40 categories as words (method: Tab. 5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s4token_model.datasets import modelnet40
from s4token_model.evaluation import classification, methods, prompts
from s4token_model.evaluation.loading import Readable


def run(
    root: str | Path,
    split: str = "test",
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    method: str = "s4token",
    segmenter: Any = None,
) -> dict[str, Any]:
    """Score a model on the objects of a split and print a table, or one JSON object; figures as in
    `classification.evaluate`.

    method: of `methods.METHODS`; out: folder for the confusion matrix and a gallery; segmenter: a loaded model, instead
    of `model`. ValueError on a folder without objects; objects that cannot be read are counted and left out.
    """
    things = Readable(modelnet40.list_objects(root, split), modelnet40.load_object, "objects")
    labeller = segmenter or methods.load(method, model, device)
    words = prompts.load("modelnet40", modelnet40.NAMES)
    figures = classification.evaluate(things, modelnet40.NAMES, words, labeller, out)
    result = {"task": "modelnet40", "model": str(model), "method": method, "split": split, **figures}
    print(json.dumps(result) if as_json else classification.text_of(result, methods.title(method, model)))
    return result
