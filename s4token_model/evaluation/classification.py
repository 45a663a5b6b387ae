"""Zero-shot classification: the class name nearest to an object's global feature (the paper's Table 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import metrics, prompts
from s4token_model.datasets import modelnet40, scanobjectnn
from s4token_model.evaluation.loading import METHODS, UPRIGHT, Result, SampleLoader, Setup, skipped_lines
from s4token_model.evaluation.tables import table
from s4token_model.prompts import Prompts


def modelnet40_objects(setup: Setup, root: str | Path, split: str = "test", method: str = METHODS[0]) -> Result:
    """ModelNet40 with the names of all 40 categories; returns the result and its table."""
    objects = SampleLoader(modelnet40.list_objects(root, split), modelnet40.load_object, "objects")
    frozen = setup.prompts("modelnet40", modelnet40.NAMES)
    figures = classify(objects, modelnet40.NAMES, frozen, setup.labeler(method, UPRIGHT), setup.out)
    result = {"task": "modelnet40", "model": str(setup.model), "method": method, "split": split}
    result |= setup.projection.named() | figures
    return result, classification_table(result, setup.title(method))


def scanobjectnn_objects(
    setup: Setup,
    root: str | Path,
    split: str = "test",
    method: str = METHODS[0],
    variants: str | Sequence[str] | None = None,
) -> Result:
    """ScanObjectNN's variants, e.g. "obj_only,pb_t50_rs" or a list, default all; pictures are in OUT/VARIANT."""
    wanted = [v.strip() for v in variants.split(",")] if isinstance(variants, str) else variants
    names = list(wanted) if wanted else scanobjectnn.available(root, split)
    for name in names:
        scanobjectnn.find(root, name, split)  # a missing file is an error before the model is loaded
    labeler, frozen = setup.labeler(method, UPRIGHT), setup.prompts("scanobjectnn", scanobjectnn.NAMES)
    figures, tables = {}, []
    for name in dict.fromkeys(names):
        objects = SampleLoader(scanobjectnn.load(root, name, split), checked_object, "objects")
        figures[name] = classify(objects, scanobjectnn.NAMES, frozen, labeler, setup.out and setup.out / name)
        tables.append(classification_table(figures[name], f"{name.upper()}: {setup.title(method)}"))
    result = {"task": "scanobjectnn", "model": str(setup.model), "method": method, "split": split}
    result |= setup.projection.named() | {"variants": figures}
    return result, "\n".join(tables)


def checked_object(item: tuple[str, Any]) -> scanobjectnn.Object:
    """Return an object of `scanobjectnn.load`; raise the ValueError that stands for a damaged one."""
    if isinstance(item[1], ValueError):
        raise item[1]
    return item[1]


def classify(
    objects: Iterable[Any], names: Sequence[str], frozen: Prompts, labeler: Any, out: str | Path | None = None
) -> dict[str, Any]:
    """Classify objects, each with name, xyz and category (an index into `names`), by a Segmenter or DepthProjection.

    Returns JSON-ready figures: accuracy, top-1 over objects; macc, its mean over the categories that occur; chance, of
    a uniform guess; ... `out` is a folder for the confusion matrix and a gallery of objects.
    """
    text = prompts.build_vocabulary(labeler, frozen).text
    truth, predicted, examples = [], [], {}
    for item in objects:
        truth.append(item.category)
        predicted.append(int((text @ labeler.encode(item.xyz).cls).argmax()))
        examples.setdefault(item.category, (item.xyz, predicted[-1]))
    if not truth:
        raise ValueError("no objects to evaluate; check the root and the split")
    counts = metrics.confusion(np.array(truth), np.array(predicted), len(names))
    if out is not None:
        _save_pictures(Path(out), counts, names, frozen.names, examples)
    scores = metrics.scores(counts)
    return {
        "objects": len(truth),
        "accuracy": scores.accuracy,
        "macc": scores.macc,
        "chance": 1 / len(names),
        "class_accuracy": {n: float(v) for n, v in zip(names, scores.recall, strict=True) if not np.isnan(v)},
        "class_objects": {n: int(v) for n, v in zip(names, scores.support, strict=True) if v},
        "confusion": counts.tolist(),
        "prompts": list(frozen.names),
        **frozen.metadata(),
        "skipped": objects.skipped if isinstance(objects, SampleLoader) else [],
    }


def classification_table(result: dict[str, Any], title: str) -> str:
    """The result of `classify` as a table."""
    rows: list[list[Any]] = [
        ["top-1 accuracy", result["accuracy"], str(result["objects"])],
        ["mean over categories", result["macc"], None],
        ["chance", result["chance"], None],
    ]
    rows += [[name, value, str(result["class_objects"][name])] for name, value in result["class_accuracy"].items()]
    return "\n".join([table(rows, ["percent", title, "objects"]), *skipped_lines(result["skipped"])])


def _save_pictures(
    out: Path, counts: np.ndarray, names: Sequence[str], prompted: Sequence[str], examples: dict
) -> None:
    """Draw the confusion matrix and the first object (xyz, prediction) of every category with its prediction."""
    from s4token_model.pictures.figures import Tile, save_gallery
    from s4token_model.pictures.plots import save_confusion_picture

    save_confusion_picture(out / "confusion.png", counts, prompted)
    tiles = [Tile(xyz, names[true], prompted[found], found == true) for true, (xyz, found) in examples.items()]
    save_gallery(out / "objects.png", tiles)
