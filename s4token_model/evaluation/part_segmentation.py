"""Open-vocabulary part segmentation on ShapeNetPart: the parts of a shape's category are the words (method: Tab. 3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import metrics
from s4token_model.datasets import shapenetpart
from s4token_model.evaluation import methods, prompts
from s4token_model.evaluation.loading import Readable, skipped_line
from s4token_model.evaluation.tables import save_confusion_picture, table
from s4token_model.pictures.colors import palette
from s4token_model.pictures.figures import label_colors, save_comparison

PARTS = sum(len(parts) for _, parts in shapenetpart.CATEGORIES.values())
# The categories that PointCLIPv2's table, and the paper's, shows one by one.
POINTCLIP = ("airplane", "bag", "cap", "chair", "earphone", "guitar", "knife", "laptop", "mug", "table")
PICTURES = 2  # shapes drawn per category


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
    """Score a model on the shapes of a split and print a table, or one JSON object.

    miou_i averages the IoU over shapes, miou_c over categories, miou_pointclipv2 over the categories that PointCLIPv2
    lists; averaged_over says how many of them the data hold. The IoU of a shape is the mean over its category's parts,
    a part neither there nor predicted counting 1. Beside them stand `whole_`, the score of giving every point the part
    that is most frequent in its category, and `chance_`, that of uniform guesses. macc and accuracy are over all
    points, the former the mean over parts. ValueError on a folder without shapes; shapes that cannot be read are
    counted and left out.
    """
    shapes = Readable(shapenetpart.list_shapes(root, split), shapenetpart.load_shape, "shapes")
    labeller = segmenter or methods.load(method, model, device)
    counts_of = {name: len(parts) for name, (_, parts) in shapenetpart.CATEGORIES.items()}
    words = prompts.load_parts("shapenetpart", counts_of)
    rows, counts = _score(shapes, labeller, words, out)
    result = {"task": "shapenetpart", "model": str(model), "method": method, "split": split, **_summary(rows)}
    scores = metrics.scores(counts)
    result |= {"macc": scores.macc, "accuracy": scores.accuracy, **prompts.said_of_parts(words)}
    result["skipped"] = shapes.skipped
    if out is not None:
        names = [f"{name}: {part}" for name in words for part in shapenetpart.parts(name)]
        save_confusion_picture(Path(out) / "confusion.png", counts, names)
    print(json.dumps(result) if as_json else _text(result, methods.title(method, model)))
    return result


def _score(
    shapes: Readable, labeller: Any, words: dict[str, prompts.Prompts], out: str | Path | None
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """One row per shape (category, truth, IoU of its parts), and the confusion (50, 51) of all points."""
    vocabularies: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    total = np.zeros((PARTS, PARTS + 1), np.int64)
    for shape in shapes:
        own = words[shape.category]
        if shape.category not in vocabularies:
            vocabularies[shape.category] = labeller.make_vocabulary(own.words, own.templates)
        found = labeller.label(labeller.encode(shape.xyz), vocabularies[shape.category]).labels
        parts, first = len(own.words), shapenetpart.first_label(shape.category)
        rows.append(
            {"category": shape.category, "truth": shape.label, "iou": metrics.part_ious(shape.label, found, parts)}
        )
        guess = np.where(found < parts, found + first, PARTS)
        total += metrics.confusion(shape.label.astype(np.int64) + first, guess, PARTS)
        if out is not None and sum(row["category"] == shape.category for row in rows) <= PICTURES:
            _save_shape(Path(out), shape, found)
    return rows, total


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    categories = {}
    for name in shapenetpart.CATEGORIES:
        own = [row for row in rows if row["category"] == name]
        if own:
            categories[name] = _category(name, own)
    shapes = np.array([c["shapes"] for c in categories.values()])
    out: dict[str, Any] = {"shapes": int(shapes.sum()), "categories": categories}
    lists = {"c": list(categories), "pointclipv2": [name for name in POINTCLIP if name in categories]}
    out["averaged_over"] = {key: len(names) for key, names in lists.items()}
    for kind in ("", "whole_", "chance_"):
        values = {name: c[f"{kind}miou"] for name, c in categories.items()}
        for key, names in lists.items():
            out[f"{kind}miou_{key}"] = float(np.mean([values[name] for name in names])) if names else None
        out[f"{kind}miou_i"] = float((np.array(list(values.values())) * shapes).sum() / shapes.sum())
    return out


def _category(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    parts = len(shapenetpart.parts(name))
    common = int(np.bincount(np.concatenate([row["truth"] for row in rows])).argmax())
    whole = [metrics.part_ious(row["truth"], np.full_like(row["truth"], common), parts).mean() for row in rows]
    ious = np.array([row["iou"] for row in rows])
    return {
        "shapes": len(rows),
        "miou": float(ious.mean()),
        "whole_miou": float(np.mean(whole)),
        "chance_miou": float(np.mean([metrics.chance_part_ious(row["truth"], parts).mean() for row in rows])),
        "parts": dict(zip(shapenetpart.parts(name), map(float, ious.mean(axis=0)), strict=True)),
    }


def _text(result: dict[str, Any], title: str) -> str:
    kinds, held = ("", "whole_", "chance_"), result["averaged_over"]
    names = {
        "miou_c": f"mIoU over {held['c']} of 16 categories",
        "miou_pointclipv2": f"mIoU over {held['pointclipv2']} of PointCLIPv2's 10",
        "miou_i": "mIoU over shapes",
    }
    rows: list[list[Any]] = [[text, *(result[f"{k}{key}"] for k in kinds), None] for key, text in names.items()]
    rows[-1][-1] = str(result["shapes"])
    rows += [
        [text, result[key], None, None, None] for text, key in (("mAcc of parts", "macc"), ("accuracy", "accuracy"))
    ]
    rows += [[name, *(c[f"{k}miou"] for k in kinds), str(c["shapes"])] for name, c in result["categories"].items()]
    absent = [name for name in shapenetpart.CATEGORIES if name not in result["categories"]]
    lines = [table(rows, ["percent", title, "one part for all", "chance", "shapes"])]
    lines += [f"not in the data: {', '.join(absent)}"] if absent else []
    return "\n".join(lines + skipped_line(result["skipped"]))


def _save_shape(folder: Path, shape: shapenetpart.Shape, found: np.ndarray) -> None:
    """Draw the predicted parts of a shape beside the true ones, into folder/CATEGORY_NAME.png."""
    names = shapenetpart.parts(shape.category)
    colors = palette(len(names))
    columns = [("prediction", label_colors(found, colors)), ("truth", label_colors(shape.label, colors))]
    path = folder / f"{shape.category}_{shape.name}.png"
    save_comparison(path, shape.xyz, columns, size=(560, 460), legend=(shape.label, names, colors))
