"""The SemanticKITTI benchmark: semantic segmentation of LiDAR sweeps, 19 classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s4token_model.datasets import semantickitti
from s4token_model.evaluation import prompts
from s4token_model.evaluation.loading import Readable
from s4token_model.evaluation.segmentation import LabeledCloud, evaluate
from s4token_model.evaluation.tables import segmentation_table

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter


def run(
    root: str | Path,
    sequences: Sequence[str] | None = None,
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    segmenter: Segmenter | None = None,
) -> dict[str, Any]:
    """Score a model on the labeled sweeps of `sequences` (default all) and print a table, or one JSON object.

    Arguments and result as in `evaluation.scannet.run`; the height rule labels level ground road, upright surfaces
    building and the rest vegetation.
    """
    names = semantickitti.list_sweeps(root, sequences)
    if segmenter is None:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(model, device=device)
    rules = ("road", "building", "vegetation")
    clouds = Readable(names, lambda name: _cloud(root, name), "sweeps")
    words = prompts.load("semantickitti", semantickitti.NAMES)
    result = evaluate(clouds, semantickitti.NAMES, segmenter, words, rules=rules, out=out)
    result = {"task": "semantickitti", "model": str(model), "sweeps": names, **result}
    print(json.dumps(result) if as_json else segmentation_table(result, str(model)))
    return result


def _cloud(root: str | Path, name: str) -> LabeledCloud:
    sweep = semantickitti.load_sweep(root, name)
    return LabeledCloud(name, sweep.xyz, None, sweep.label)
