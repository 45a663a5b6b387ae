"""Open-vocabulary part segmentation on ShapeNetPart: the parts of a shape's category are the words (method: Tab. 3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from s4token_model.datasets import shapenetpart
from s4token_model.evaluation.charts import table

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter

TEMPLATE = "the {} of a "  # + category


def run(
    root: str | Path,
    split: str = "test",
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    segmenter: Segmenter | None = None,
) -> dict[str, Any]:
    """Score a model on the shapes of a split and print a table, or one JSON object.

    miou_i averages the IoU over shapes, miou_c over categories; the IoU of a shape is the mean over its category's
    parts, a part neither there nor predicted counting 1. Beside them stands `whole`, the score of giving every point
    the part that is most frequent in its category. ValueError on a folder without shapes.
    """
    paths = shapenetpart.list_shapes(root, split)
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    vocabularies: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for path in tqdm(paths, "shapes", disable=None):
        shape = shapenetpart.load_shape(path)
        words = shapenetpart.parts(shape.category)
        if shape.category not in vocabularies:
            vocabularies[shape.category] = segmenter.make_vocabulary(words, [TEMPLATE + shape.category])
        found = segmenter.label(segmenter.encode(shape.xyz), vocabularies[shape.category]).labels
        counts = np.bincount(shape.label, minlength=len(words))
        rows.append(
            {
                "category": shape.category,
                "iou": part_ious(shape.label, found, len(words)),
                "counts": counts,
                "truth": shape.label,
            }
        )
    result = {
        "task": "shapenetpart",
        "model": str(model),
        "split": split,
        "template": TEMPLATE + "CATEGORY",
        **_summary(rows),
    }
    print(json.dumps(result) if as_json else _text(result))
    return result


def part_ious(truth: np.ndarray, found: np.ndarray, parts: int) -> np.ndarray:
    """IoU (parts,) of the labels of one shape; 1 for a part neither in the truth nor found."""
    hit = np.bincount(truth[truth == found], minlength=parts)[:parts]
    union = (
        np.bincount(truth, minlength=parts)[:parts] + np.bincount(found[found < parts], minlength=parts)[:parts] - hit
    )
    return np.where(union > 0, hit / np.maximum(union, 1), 1.0)


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    categories = {}
    for category in shapenetpart.CATEGORIES:
        own = [row for row in rows if row["category"] == category]
        if own:
            parts = len(own[0]["iou"])
            common = int(np.bincount(np.concatenate([row["truth"] for row in own])).argmax())
            whole = [part_ious(row["truth"], np.full_like(row["truth"], common), parts).mean() for row in own]
            ious = np.array([row["iou"] for row in own])
            categories[category] = {
                "shapes": len(own),
                "miou": float(ious.mean()),
                "whole": float(np.mean(whole)),
                "parts": dict(zip(shapenetpart.parts(category), map(float, ious.mean(axis=0)), strict=True)),
            }
    shapes = np.array([c["shapes"] for c in categories.values()])
    out: dict[str, Any] = {"shapes": int(shapes.sum()), "categories": categories}
    for key, name in (("miou", "miou"), ("whole", "whole_miou")):
        values = np.array([c[key] for c in categories.values()])
        out |= {f"{name}_c": float(values.mean()), f"{name}_i": float((values * shapes).sum() / shapes.sum())}
    return out


def _text(result: dict[str, Any]) -> str:
    rows: list[list[Any]] = [
        ["mIoU over categories", result["miou_c"], result["whole_miou_c"], None],
        ["mIoU over shapes", result["miou_i"], result["whole_miou_i"], str(result["shapes"])],
    ]
    rows += [[name, c["miou"], c["whole"], str(c["shapes"])] for name, c in result["categories"].items()]
    absent = [name for name in shapenetpart.CATEGORIES if name not in result["categories"]]
    lines = [table(rows, ["percent", result["model"], "one part for all", "shapes"])]
    return "\n".join(lines + ([f"not in the data: {', '.join(absent)}"] if absent else []))
