"""Held-out procedural rooms: the model on scenes of its own kind, under the classes' names and under words new to
it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s4token_model.evaluation.segmentation import LabeledCloud, evaluate
from s4token_model.evaluation.tables import segmentation_table
from s4token_model.procedural import scenes
from s4token_model.procedural.captions import HELD_OUT
from s4token_model.procedural.classes import INDOOR
from s4token_model.procedural.types import Scan
from s4token_model.sensors import scans as sensors

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter

FIRST_SEED = 1_900_000_000  # far above every seed that training counts up from


def run(
    rooms: int = 20,
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    kind: str = "depth",
    seed: int = FIRST_SEED,
    segmenter: Segmenter | None = None,
) -> dict[str, Any]:
    """Score a model on `rooms` procedural rooms that training never draws, and print a table, or one JSON object.

    kind: how the rooms are scanned, see `sensors.scan`; the vocabulary is every procedural class of rooms, the means
    run over those that occur. The column "synonyms" has each class asked for by its first held-out synonym (e.g. couch
    for sofa), where it has one; `renamed` in the result compares the two over the renamed classes alone.
    """
    if rooms < 1:
        raise ValueError(f"rooms={rooms}; evaluate at least one")
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    synonyms = tuple(HELD_OUT[name][0] if HELD_OUT.get(name) else name for name in INDOOR)
    result = evaluate(held_out(rooms, kind, seed), INDOOR, segmenter, synonyms=synonyms, out=out)
    result = {"task": "procedural rooms", "model": str(model), "kind": kind, "seed": seed, **result}
    result["renamed"] = _renamed(result)
    print(json.dumps(result) if as_json else _text(result, str(model)))
    return result


def held_out(rooms: int, kind: str = "depth", seed: int = FIRST_SEED) -> Iterator[LabeledCloud]:
    """Yield `rooms` scanned procedural rooms, the same for the same seed."""
    for number, scan in scans(rooms, kind, seed):
        yield LabeledCloud(f"room{number}", scan.xyz, scan.rgb, scan.label)


def scans(rooms: int, kind: str = "depth", seed: int = FIRST_SEED) -> Iterator[tuple[int, Scan]]:
    """Yield the seeds and scans of `held_out`, with their instances."""
    for number in range(seed, seed + rooms):
        yield number, sensors.scan(scenes.make_room(number), np.random.default_rng(number), kind)


def _renamed(result: dict[str, Any]) -> dict[str, Any]:
    """Mean IoU over the classes that occur and have a synonym, under their names and under the synonyms."""
    pairs = zip(result["classes"], result["prompts"], strict=True)
    names = [name for name, word in pairs if name != word and result["share"][name] > 0]
    ious = {m: [result["methods"][m]["iou"][name] for name in names] for m in ("model", "synonyms")}
    return {"classes": names, **{m: float(np.mean(v)) if v else None for m, v in ious.items()}}


def _text(result: dict[str, Any], model: str) -> str:
    renamed = result["renamed"]
    table = segmentation_table(result, model)
    if not renamed["classes"]:
        return table
    means = f"{100 * renamed['model']:.1f} % under their names, {100 * renamed['synonyms']:.1f} % under the synonyms"
    return f"{table}\nmIoU over the {len(renamed['classes'])} renamed classes: {means}"
