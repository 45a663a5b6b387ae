"""The ScanNet20 benchmark: annotation-free semantic segmentation of real rooms (the paper's Table 4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s4token_model.datasets import scannet
from s4token_model.evaluation.charts import segmentation_table
from s4token_model.evaluation.segmentation import LabelledCloud, evaluate

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter


def run(
    root: str | Path,
    rooms: str | Sequence[str] | None = None,
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    segmenter: Segmenter | None = None,
) -> dict[str, Any]:
    """Score a model on ScanNet rooms and print a table (or one JSON object).

    root: either layout of `datasets.scannet`; rooms: e.g. "0003,0004" or a list, default all; model: s4token-mini or a
    checkpoint; out: folder for pictures; segmenter: a loaded model, instead of `model`. The vocabulary is ScanNet20,
    the confusion pooled over rooms. Returns the printed figures; raises ValueError on a wrong root or room.
    """
    wanted = [r.strip() for r in rooms.split(",") if r.strip()] if isinstance(rooms, str) else rooms
    names = scannet.list_rooms(root, wanted)
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    result = evaluate(_clouds(root, names), scannet.NAMES, segmenter, out=out)
    result = {"task": "scannet20", "model": str(model), "rooms": names, **result}
    print(json.dumps(result) if as_json else segmentation_table(result, str(model)))
    return result


def _clouds(root: str | Path, names: Sequence[str]) -> Iterator[LabelledCloud]:
    for name in names:
        room = scannet.load_room(root, name)
        yield LabelledCloud(room.name, room.xyz, room.rgb, room.label)
