"""Open-vocabulary part segmentation on ShapeNetPart: a shape's parts are the class names (the paper's Table 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import metrics, prompts
from s4token_model.datasets import shapenetpart
from s4token_model.evaluation.loading import METHODS, UPRIGHT, Result, SampleLoader, Setup, skipped_lines
from s4token_model.evaluation.tables import table

PARTS = sum(len(parts) for _, parts in shapenetpart.CATEGORIES.values())
# The categories that the tables of PointCLIPv2 and of the paper list
POINTCLIP = ("airplane", "bag", "cap", "chair", "earphone", "guitar", "knife", "laptop", "mug", "table")
# The model; every point labeled as the most frequent part of its category; uniform guesses
KINDS = ("", "whole_", "chance_")
PICTURES = 2  # shapes drawn per category


def shapenetpart_parts(setup: Setup, root: str | Path, split: str = "test", method: str = METHODS[0]) -> Result:
    """Score a model on the shapes of a split; returns the result and its table.

    The IoU of a shape is the mean over its category's parts; a part neither there nor predicted counts 1. The result
    has miou_i: mean IoU over shapes; miou_c: over categories; miou_pointclipv2: over the categories of POINTCLIP;
    averaged_over: how many categories of each list the data hold; whole_miou_*, chance_miou_*: the same for the
    baselines of KINDS; macc and accuracy over all points, macc as the mean over parts.
    """
    shapes = SampleLoader(shapenetpart.list_shapes(root, split), shapenetpart.load_shape, "shapes")
    labeler = setup.labeler(method, UPRIGHT)
    part_counts = {name: len(parts) for name, (_, parts) in shapenetpart.CATEGORIES.items()}
    frozen = prompts.load_parts("shapenetpart", part_counts)
    if setup.sentences is not None:
        names = {name: shapenetpart.parts(name) for name in frozen}
        frozen = prompts.parts_with_sentences(frozen, names, setup.sentences)
    rows, counts = _score(shapes, labeler, frozen, setup.out)
    scores = metrics.scores(counts)
    result = {"task": "shapenetpart", "model": str(setup.model), "method": method, "split": split, **_summary(rows)}
    result |= setup.projection.named()
    result |= {"macc": scores.macc, "accuracy": scores.accuracy, **prompts.parts_metadata(frozen)}
    result["skipped"] = shapes.skipped
    if setup.out is not None:
        from s4token_model.pictures.plots import save_confusion_picture

        names = [f"{name}: {part}" for name in frozen for part in shapenetpart.parts(name)]
        save_confusion_picture(setup.out / "confusion.png", counts, names)
    return result, _table(result, setup.title(method))


def _score(
    shapes: SampleLoader, labeler: Any, frozen: dict[str, prompts.Prompts], out: Path | None
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """One row per shape (category, truth, IoU of its parts), and the confusion (50, 51) of all points."""
    vocabularies: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    total = np.zeros((PARTS, PARTS + 1), np.int64)
    for shape in shapes:
        category, names = shape.category, frozen[shape.category].names
        if category not in vocabularies:
            vocabularies[category] = prompts.build_vocabulary(labeler, frozen[category])
        predicted = labeler.label(labeler.encode(shape.xyz), vocabularies[category]).labels
        iou = metrics.part_ious(shape.label, predicted, len(names))
        rows.append({"category": category, "truth": shape.label, "iou": iou})
        # In the confusion, parts are numbered through all categories
        first = shapenetpart.first_label(category)
        numbered = np.where(predicted < len(names), predicted + first, PARTS)
        total += metrics.confusion(shape.label.astype(np.int64) + first, numbered, PARTS)
        if out is not None and sum(row["category"] == category for row in rows) <= PICTURES:
            _save_shape(out, shape, predicted)
    return rows, total


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    rows_of = {name: [row for row in rows if row["category"] == name] for name in shapenetpart.CATEGORIES}
    categories = {name: _category(name, found) for name, found in rows_of.items() if found}
    shapes = np.array([category["shapes"] for category in categories.values()])
    summary: dict[str, Any] = {"shapes": int(shapes.sum()), "categories": categories}
    lists = {"c": list(categories), "pointclipv2": [name for name in POINTCLIP if name in categories]}
    summary["averaged_over"] = {key: len(names) for key, names in lists.items()}
    for kind in KINDS:
        values = {name: category[f"{kind}miou"] for name, category in categories.items()}
        for key, names in lists.items():
            summary[f"{kind}miou_{key}"] = float(np.mean([values[name] for name in names])) if names else None
        summary[f"{kind}miou_i"] = float((np.array(list(values.values())) * shapes).sum() / shapes.sum())
    return summary


def _category(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of one category."""
    parts, truths = shapenetpart.parts(name), [row["truth"] for row in rows]
    most_frequent = int(np.bincount(np.concatenate(truths)).argmax())
    one_part = [metrics.part_ious(t, np.full_like(t, most_frequent), len(parts)).mean() for t in truths]
    ious = np.array([row["iou"] for row in rows])
    return {
        "shapes": len(rows),
        "miou": float(ious.mean()),
        "whole_miou": float(np.mean(one_part)),
        "chance_miou": float(np.mean([metrics.chance_part_ious(t, len(parts)).mean() for t in truths])),
        "parts": dict(zip(parts, map(float, ious.mean(axis=0)), strict=True)),
    }


def _table(result: dict[str, Any], title: str) -> str:
    held = result["averaged_over"]
    titles = {
        "miou_c": f"mIoU over {held['c']} of 16 categories",
        "miou_pointclipv2": f"mIoU over {held['pointclipv2']} of PointCLIPv2's 10",
        "miou_i": "mIoU over shapes",
    }
    rows: list[list[Any]] = [[text, *(result[f"{kind}{key}"] for kind in KINDS), None] for key, text in titles.items()]
    rows[-1][-1] = str(result["shapes"])
    rows += [["mAcc of parts", result["macc"], *[None] * 3], ["accuracy", result["accuracy"], *[None] * 3]]
    for name, category in result["categories"].items():
        rows.append([name, *(category[f"{kind}miou"] for kind in KINDS), str(category["shapes"])])
    absent = [name for name in shapenetpart.CATEGORIES if name not in result["categories"]]
    lines = [table(rows, ["percent", title, "one part for all", "chance", "shapes"])]
    lines += [f"not in the data: {', '.join(absent)}"] if absent else []
    return "\n".join(lines + skipped_lines(result["skipped"]))


def _save_shape(out: Path, shape: shapenetpart.Shape, predicted: np.ndarray) -> None:
    """Draw the predicted parts of a shape beside the true ones, into OUT/CATEGORY_NAME.png."""
    from s4token_model.palette import index_colors, label_colors
    from s4token_model.pictures.figures import Legend, save_comparison

    names = shapenetpart.parts(shape.category)
    colors = index_colors(np.arange(len(names)))
    columns = [("prediction", label_colors(predicted, colors)), ("truth", label_colors(shape.label, colors))]
    path = out / f"{shape.category}_{shape.name}.png"
    save_comparison(path, shape.xyz, columns, size=(560, 460), legend=Legend(shape.label, names, colors))
