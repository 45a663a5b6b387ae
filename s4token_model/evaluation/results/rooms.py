"""Tokenizers of objects on rooms, without tuning: procedural ones, and ScanNet's where its scans are present."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from s4token_model import config as configs
from s4token_model import marks
from s4token_model.config import Config
from s4token_model.datasets import scannet
from s4token_model.datasets.classes import OTHER_FURNITURE, PROCEDURAL, SCANNET20
from s4token_model.evaluation import metrics
from s4token_model.evaluation.results import distilled
from s4token_model.evaluation.results.effort import Effort
from s4token_model.evaluation.segmentation import LabelledCloud
from s4token_model.evaluation.synthetic import held_out
from s4token_model.segmenter import Segmenter
from s4token_model.tokenizer import Tokenizer


def segmenter_of(tokenizer: Tokenizer, config: Config, effort: Effort) -> Segmenter:
    """The pipeline for rooms: the partition's default, more tokens, ScanNet's 20 words."""
    wanted = {"sampling.tokens": effort.room_tokens, "superpoints.regularization": 0.3}
    return Segmenter(tokenizer, distilled.frozen(), configs.replace(config, wanted))


def score(segmenter: Segmenter, clouds: list[LabelledCloud]) -> tuple[float, float]:
    """mIoU and mAcc over the classes that occur, pooled over the clouds."""
    counts = np.zeros((len(SCANNET20), len(SCANNET20) + 1), np.int64)
    for cloud in clouds:
        counts += metrics.confusion(cloud.label, segmenter.segment(cloud.xyz).labels, len(SCANNET20))
    found = metrics.scores(counts)
    return found.miou, found.macc


@lru_cache(maxsize=1)
def procedural(effort: Effort) -> list[LabelledCloud]:
    """Procedural rooms with ScanNet's classes; what is none of them is not annotated."""
    table = np.full(len(PROCEDURAL), marks.UNLABELLED, np.uint32)
    table[: len(SCANNET20) - 1] = np.arange(len(SCANNET20) - 1)
    table[[PROCEDURAL.index(name) for name in OTHER_FURNITURE]] = len(SCANNET20) - 1
    return [
        _thinned(LabelledCloud(room.name, room.xyz, None, table[room.label]), effort.room_points)
        for room in held_out(effort.rooms)
    ]


@lru_cache(maxsize=1)
def real(root: Path, effort: Effort) -> list[LabelledCloud]:
    """The first scan of each of ScanNet's rooms below `root`."""
    return [_thinned(cloud, effort.room_points) for cloud in _first_scans(root, effort.scannet_rooms)]


def _first_scans(root: Path, most: int) -> Iterator[LabelledCloud]:
    names = [name for name in scannet.list_rooms(root) if name.endswith("_00")]
    for name in names[:most]:
        room = scannet.load_room(root, name)
        yield LabelledCloud(room.name, room.xyz, None, room.label)


def _thinned(cloud: LabelledCloud, most: int) -> LabelledCloud:
    if len(cloud.xyz) <= most:
        return cloud
    keep = np.sort(np.random.default_rng(0).choice(len(cloud.xyz), most, replace=False))
    return LabelledCloud(cloud.name, cloud.xyz[keep], None, cloud.label[keep])
