"""The S3DIS benchmark: annotation-free semantic segmentation of rooms, 13 classes, Area 5 (method: Tab. 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s4token_model.datasets import s3dis
from s4token_model.evaluation import prompts
from s4token_model.evaluation.loading import Readable
from s4token_model.evaluation.segmentation import LabeledCloud, evaluate
from s4token_model.evaluation.tables import segmentation_table

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter


def run(
    root: str | Path,
    split: str = s3dis.TEST_AREA,
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    segmenter: Segmenter | None = None,
) -> dict[str, Any]:
    """Score a model on the rooms of an area and print a table, or one JSON object.

    root: any layout of `datasets.s3dis`; split: an area, e.g. "Area_5"; the others as in `evaluation.scannet.run`. The
    height rule labels level ground floor, upright surfaces wall and the rest clutter.
    """
    names = s3dis.list_rooms(root, split)
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    clouds = Readable(names, lambda name: _cloud(root, name), "rooms")
    words = prompts.load("s3dis", s3dis.NAMES)
    result = evaluate(clouds, s3dis.NAMES, segmenter, words, rules=("floor", "wall", "clutter"), out=out)
    result = {"task": "s3dis", "model": str(model), "split": split, "rooms": names, **result}
    print(json.dumps(result) if as_json else segmentation_table(result, str(model)))
    return result


def _cloud(root: str | Path, name: str) -> LabeledCloud:
    room = s3dis.load_room(root, name)
    return LabeledCloud(room.name, room.xyz, room.rgb, room.label)
