"""The figures of a model card in one run: real and held-out rooms and streets, the samples, words, the encoder's time.

Several models are measured on the same clouds, so that two checkpoints can be compared, and their encoders run in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from s4token_model import prompts
from s4token_model.datasets import scannet, semantickitti
from s4token_model.evaluation import everyday_words, model_card_report, procedural_rooms
from s4token_model.evaluation.calibration import finite
from s4token_model.evaluation.encoder_time import encoder_times, ratio
from s4token_model.evaluation.loading import Result, Setup
from s4token_model.evaluation.scored_sets import real_folders, scannet_clouds, semantickitti_sweeps
from s4token_model.evaluation.segmentation import ORACLE, LabeledCloud, evaluate
from s4token_model.evaluation.sweep_views import labeled_view
from s4token_model.io import samples
from s4token_model.prompts import Prompts

ROOMS, STREETS = "procedural rooms", "procedural streets"
VIEWS = {"sweep": "SemanticKITTI", "image64": "SemanticKITTI, range images", "image32": "SemanticKITTI, 32 beams"}
SAMPLES = {"sample room": samples.ROOM, "sample street": samples.STREET}


@dataclass(frozen=True)
class CloudSet:
    """Clouds that are scored together, and the names of their classes."""

    name: str
    names: tuple[str, ...]
    clouds: list[LabeledCloud]
    prompts: Prompts | None = None


def model_card(
    setup: Setup, root: str | Path | None = None, baseline: str | None = None, rooms: int = 24,
    streets: int = 12, shapes: str = "", report: str | Path | None = None,
) -> Result:  # fmt: skip
    """Measure a model, and a `baseline` beside it, on the data below `root`, held-out scenes and the samples.

    `report`: a Markdown file to write.
    """
    models = [str(setup.model), *([str(baseline)] if baseline else [])]
    segmenters = [replace(setup, model=model).labeler() for model in models]
    found = [*(real_sets(Path(root)) if root else []), *held_out_sets(rooms, streets, shapes), *sample_sets()]
    sets = {
        one.name: [summary(evaluate(one.clouds, one.names, s, one.prompts, rules=None)) for s in segmenters]
        for one in tqdm(found, "sets", disable=None)
    }
    heard = next((one.clouds for one in found if one.name == ROOMS), [])
    words = [everyday_words.figures(s, procedural_rooms.in_scannet20(heard)) if heard else None for s in segmenters]
    times = encoder_times(models)
    result = {"task": "model card", "models": models, "sets": sets, "words": words, "encoder_ms": medians(times)}
    result["encoder_ratio"] = {p: ratio(t, 0, 1) for p, t in times.items()} if baseline else None
    if report is not None:
        model_card_report.write(Path(report), result)
    return result, model_card_report.text(result)


def real_sets(root: Path) -> list[CloudSet]:
    """ScanNet rooms and SemanticKITTI sweeps, and what other LiDARs would have seen of them, as far as they exist."""
    rooms, drives = real_folders(root)
    found = []
    if rooms.is_dir():
        words = prompts.load("scannet20", scannet.NAMES)
        found.append(CloudSet("ScanNet", scannet.NAMES, list(scannet_clouds(rooms)), words))
    if drives.is_dir():
        words = prompts.load("semantickitti", semantickitti.NAMES)
        sweeps = list(semantickitti_sweeps(drives))
        for view, title in VIEWS.items():
            clouds = [labeled_view(sweep, view) for sweep in sweeps]
            found.append(CloudSet(title, semantickitti.NAMES, clouds, words))
    return found


def held_out_sets(rooms: int, streets: int, shapes: str = "") -> list[CloudSet]:
    """Procedural rooms and streets that training never draws; most things of a bank of CAD models, if given."""
    sources: dict[str, tuple[Callable, Sequence[str], int]] = {
        ROOMS: (procedural_rooms.held_out_clouds, procedural_rooms.NAMES, rooms),
        STREETS: (procedural_rooms.held_out_streets, procedural_rooms.STREET_NAMES, streets),
    }
    return [
        CloudSet(title, tuple(names), list(tqdm(draw(count, shapes=shapes), title, count, disable=None)))
        for title, (draw, names, count) in sources.items()
        if count
    ]


def sample_sets() -> list[CloudSet]:
    """The samples of the demo, by their true names."""
    found = [(title, samples.load(path)) for title, path in SAMPLES.items()]
    return [CloudSet(name, s.names, [LabeledCloud(name, s.xyz, s.rgb, s.label.astype(np.uint32))]) for name, s in found]


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Scores of `segmentation.evaluate` for the card, JSON-ready, and the walls that are called door."""
    model, oracle = result["methods"]["model"], result["methods"][ORACLE]
    found = {key: finite(model[key]) for key in ("miou", "accuracy")}
    found |= {f"oracle_{key}": finite(oracle[key]) for key in ("miou", "accuracy")}
    found |= {"iou": model["iou"], "class_accuracy": model["class_accuracy"], "share": result["share"]}
    classes, confusion = result["classes"], np.array(result["confusion"])
    if {"wall", "door"} <= set(classes):
        wall = confusion[classes.index("wall")]
        found["wall_as_door"] = float(wall[classes.index("door")] / max(wall.sum(), 1))
    return found


def medians(times: dict[str, list[list[float]]]) -> dict[str, list[float]]:
    """Median milliseconds {precision: (models,)}."""
    return {precision: [float(np.median(t)) for t in runs] for precision, runs in times.items()}
