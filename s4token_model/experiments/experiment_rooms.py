"""Tokenizers of objects on rooms, without tuning: procedural ones, and those of ScanNet and S3DIS where present."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from s4token_model import config as configs
from s4token_model import constants, metrics, vocabulary
from s4token_model.config import Config
from s4token_model.datasets import s3dis, scannet
from s4token_model.evaluation import prompts
from s4token_model.evaluation.procedural_rooms import held_out_clouds as held_out
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.experiments import teacher_clip
from s4token_model.experiments.effort import Effort
from s4token_model.experiments.experiment import Lab
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.classes import SCANNET20, scannet20_ids
from s4token_model.segmenter import EncodedCloud, Segmenter
from s4token_model.vocabulary import Vocabulary

Encoded = tuple[LabeledCloud, EncodedCloud]


def segmenter_of(tokenizer: Tokenizer, config: Config, lab: Lab) -> Segmenter:
    """The pipeline for rooms: the partition's default, more tokens, ScanNet's 20 words."""
    wanted = {"sampling.tokens": lab.effort.room_tokens, "superpoints.regularization": 0.3}
    return Segmenter(tokenizer, teacher_clip.load(lab), configs.replace(config, wanted))


def encoded(segmenter: Segmenter, clouds: list[LabeledCloud]) -> list[Encoded]:
    """The clouds with their encodings: the network runs once, whatever words are asked for."""
    return [(cloud, segmenter.encode(cloud.xyz)) for cloud in clouds]


def score(segmenter: Segmenter, seen: list[Encoded], words: Vocabulary | None = None) -> float:
    """mIoU over the classes that occur, pooled over the clouds; `words`, default the segmenter's, name the classes."""
    return metrics.scores(_counts(segmenter, seen, words or segmenter.vocabulary)).miou


def score_furniture(segmenter: Segmenter, seen: list[Encoded]) -> float:
    """mIoU over the points of classes that objects were trained on, told apart by the words of these alone: walls and
    floors, which no training object shows, are neither asked for nor counted."""
    names, templates = list(teacher_clip.TAUGHT), vocabulary.read_templates("default")
    table = np.full(constants.UNLABELED + 1, constants.UNLABELED, np.uint32)
    table[[SCANNET20.index(name) for name in names]] = np.arange(len(names))
    taught = [(LabeledCloud(c.name, c.xyz, None, table[c.label]), encoding) for c, encoding in seen]
    return metrics.scores(_counts(segmenter, taught, segmenter.make_vocabulary(names, templates, 0.0))).miou


def _counts(segmenter: Segmenter, seen: list[Encoded], words: Vocabulary) -> np.ndarray:
    classes = len(words.names)
    counts = np.zeros((classes, classes + 1), np.int64)
    for cloud, encoding in seen:
        found = segmenter.label(encoding, words)
        counts += metrics.confusion(cloud.label, found.labels, classes)
    return counts


def s3dis_words(segmenter: Segmenter) -> Vocabulary:
    """S3DIS's 13 classes in the prompts of `s4token evaluate s3dis`."""
    prompt = prompts.load("s3dis", s3dis.NAMES)
    return segmenter.make_vocabulary(prompt.names, prompt.templates, 0.0)


@lru_cache(maxsize=1)
def procedural(effort: Effort) -> list[LabeledCloud]:
    """Procedural rooms with ScanNet's classes; what is none of them is not annotated."""
    table = np.array(scannet20_ids(constants.UNLABELED), np.uint32)
    return [
        _thinned(LabeledCloud(room.name, room.xyz, None, table[room.label]), effort.room_points)
        for room in held_out(effort.rooms)
    ]


@lru_cache(maxsize=1)
def real(root: Path, effort: Effort) -> list[LabeledCloud]:
    """The first scan of each of ScanNet's rooms below `root`."""
    found = (scannet.load_room(root, name) for name in first_scans(root, effort))
    return [_thinned(LabeledCloud(r.name, r.xyz, None, r.label), effort.room_points) for r in found]


@lru_cache(maxsize=1)
def real_s3dis(root: Path, effort: Effort) -> list[LabeledCloud]:
    """The first rooms of S3DIS's Area 5 below `root`, or its crops; as many as of ScanNet."""
    found = (s3dis.load_room(root, name) for name in s3dis.list_rooms(root)[: effort.scannet_rooms])
    return [_thinned(LabeledCloud(r.name, r.xyz, None, r.label), effort.room_points) for r in found]


def first_scans(root: Path, effort: Effort) -> list[str]:
    """Names of the first scans of ScanNet's rooms below `root`, as many as an effort wants."""
    return [name for name in scannet.list_rooms(root) if name.endswith("_00")][: effort.scannet_rooms]


def _thinned(cloud: LabeledCloud, most: int) -> LabeledCloud:
    if len(cloud.xyz) <= most:
        return cloud
    keep = np.sort(np.random.default_rng(0).choice(len(cloud.xyz), most, replace=False))
    return LabeledCloud(cloud.name, cloud.xyz[keep], None, cloud.label[keep])
