"""Tokenizers of objects on whole rooms, without tuning: procedural ones, and ScanNet's and S3DIS's if present."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from s4token_model import constants, metrics, prompts, vocabulary
from s4token_model.config import Config
from s4token_model.constants import SCANNET20
from s4token_model.datasets import s3dis, scannet
from s4token_model.evaluation.procedural_rooms import held_out_clouds
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.experiments import teacher_clip
from s4token_model.experiments.runs import Budget, Workspace
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.classes import scannet20_ids
from s4token_model.segmenter import EncodedCloud, Segmenter
from s4token_model.vocabulary import Vocabulary

Encoded = tuple[LabeledCloud, EncodedCloud]
FIGURES = {
    "rooms_miou": "rooms mIoU", "rooms_furniture": "rooms furniture", "scannet_miou": "ScanNet mIoU",
    "scannet_furniture": "ScanNet furniture", "s3dis_miou": "S3DIS mIoU",
}  # fmt: skip


def segmenter_of(tokenizer: Tokenizer, config: Config, workspace: Workspace) -> Segmenter:
    """The pipeline of `config` with a trained tokenizer and ScanNet's 20 class names."""
    return Segmenter(tokenizer, teacher_clip.load(workspace), config)


def score_all(segmenter: Segmenter, workspace: Workspace) -> dict[str, float | None]:
    """FIGURES of complete rooms: of all classes, and of furniture; None where there are no rooms."""
    budget, found = workspace.budget, dict.fromkeys(FIGURES, None)
    places = {"rooms": procedural(budget)}
    if workspace.scannet is not None:
        places["scannet"] = of_scannet(workspace.scannet, budget)
    for name, clouds in places.items():
        encoded = encode(segmenter, clouds)
        found[f"{name}_miou"], found[f"{name}_furniture"] = (
            score(segmenter, encoded),
            score_furniture(segmenter, encoded),
        )
    if workspace.s3dis is not None:
        encoded = encode(segmenter, of_s3dis(workspace.s3dis, budget))
        found["s3dis_miou"] = score(segmenter, encoded, s3dis_classes(segmenter))
    return found


def encode(segmenter: Segmenter, clouds: list[LabeledCloud]) -> list[Encoded]:
    """Encode the clouds once for all vocabularies."""
    return [(cloud, segmenter.encode(cloud.xyz)) for cloud in clouds]


def score(segmenter: Segmenter, encoded: list[Encoded], classes: Vocabulary | None = None) -> float:
    """mIoU over the classes that occur, pooled over the clouds; `classes` defaults to the segmenter's vocabulary."""
    classes = classes or segmenter.vocabulary
    labels = ((cloud.label, segmenter.label(encoding, classes).labels) for cloud, encoding in encoded)
    return metrics.scores(sum(metrics.confusion(*pair, len(classes.names)) for pair in labels)).miou


def score_furniture(segmenter: Segmenter, encoded: list[Encoded]) -> float:
    """mIoU over the points of the classes that objects were trained on and over these names: no walls, no floors."""
    names, templates = list(teacher_clip.TAUGHT), vocabulary.read_templates("default")
    table = np.full(constants.UNLABELED + 1, constants.UNLABELED, np.uint32)
    table[[SCANNET20.index(name) for name in names]] = np.arange(len(names))
    taught = [(LabeledCloud(c.name, c.xyz, None, table[c.label]), encoding) for c, encoding in encoded]
    return score(segmenter, taught, segmenter.make_vocabulary(names, templates, 0.0))


def s3dis_classes(segmenter: Segmenter) -> Vocabulary:
    """S3DIS's 13 classes in the prompts of `s4token evaluate s3dis`."""
    prompt = prompts.load("s3dis", s3dis.NAMES)
    return segmenter.make_vocabulary(prompt.names, prompt.templates, 0.0)


@lru_cache(maxsize=1)
def procedural(budget: Budget) -> list[LabeledCloud]:
    """Procedural rooms with ScanNet's classes; points of other classes are not annotated."""
    table = np.array(scannet20_ids(constants.UNLABELED), np.uint32)
    rooms = held_out_clouds(budget.rooms)
    return [subsample(replace(room, label=table[room.label]), budget.room_points) for room in rooms]


@lru_cache(maxsize=1)
def of_scannet(root: Path, budget: Budget) -> list[LabeledCloud]:
    """The first scan of each of ScanNet's rooms below `root`."""
    return [subsample(scannet.load_room(root, name), budget.room_points) for name in first_scans(root, budget)]


@lru_cache(maxsize=1)
def of_s3dis(root: Path, budget: Budget) -> list[LabeledCloud]:
    """The first rooms of S3DIS's Area 5 below `root`, or its crops; as many as of ScanNet."""
    names = s3dis.list_rooms(root)[: budget.scannet_rooms]
    return [subsample(s3dis.load_room(root, name), budget.room_points) for name in names]


def first_scans(root: Path, budget: Budget) -> list[str]:
    """Names of the first scans of ScanNet's rooms below `root`, as many as the budget allows."""
    return [name for name in scannet.list_rooms(root) if name.endswith("_00")][: budget.scannet_rooms]


def subsample(room: scannet.Room | s3dis.Room | LabeledCloud, max_points: int) -> LabeledCloud:
    """At most `max_points` random points of a room, in their order, without colors."""
    kept: slice | np.ndarray = slice(None)
    if len(room.xyz) > max_points:
        kept = np.sort(np.random.default_rng(0).choice(len(room.xyz), max_points, replace=False))
    return LabeledCloud(room.name, room.xyz[kept], None, room.label[kept])
