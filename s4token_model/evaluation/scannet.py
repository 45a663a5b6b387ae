"""The ScanNet20 benchmark: annotation-free semantic segmentation of real rooms (the paper's Table 4)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s4token_model.datasets import scannet
from s4token_model.evaluation import prompts
from s4token_model.evaluation.loading import Readable
from s4token_model.evaluation.segmentation import LabeledCloud, evaluate
from s4token_model.evaluation.tables import segmentation_table

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter


def run(
    root: str | Path,
    rooms: str | Sequence[str] | None = None,
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    split: str | None = None,
    segmenter: Segmenter | None = None,
) -> dict[str, Any]:
    """Score a model on ScanNet rooms and print a table (or one JSON object).

    root: any layout of `datasets.scannet`; rooms: e.g. "0003,0004" or a list, default all; model: s4token-mini or a
    checkpoint; out: folder for pictures; split: train or val, default all; segmenter: a loaded model, instead of
    `model`. The vocabulary is ScanNet20, the confusion pooled over rooms; where ScanNet's superpoints are there their
    oracle is shown, too. Returns the printed figures; raises ValueError on a wrong root or room. Rooms that cannot be
    read are counted and left out.
    """
    wanted = [r.strip() for r in rooms.split(",") if r.strip()] if isinstance(rooms, str) else rooms
    names = scannet.list_rooms(root, wanted, split)
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    clouds = Readable(names, lambda name: _cloud(root, name), "rooms")
    result = evaluate(clouds, scannet.NAMES, segmenter, prompts.load("scannet20", scannet.NAMES), out=out)
    result = {"task": "scannet20", "model": str(model), "rooms": names, **result}
    print(json.dumps(result) if as_json else segmentation_table(result, str(model)))
    return result


def _cloud(root: str | Path, name: str) -> LabeledCloud:
    room = scannet.load_room(root, name)
    return LabeledCloud(room.name, room.xyz, room.rgb, room.label, room.superpoint)
