"""Supervised semantic segmentation of S3DIS's rooms (Table A of the paper): `s4token train` with task=semantic.

After PointNet's protocol: rooms are cut into square columns of `block` meters, 4,096 points of each are labeled. Those
of Areas 1, 2, 3, 4 and 6 overlap by half and are trained on, those of Area 5 are tested on, each point once.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from s4token_model import atomic, metrics
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets import s3dis
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import build_patches
from s4token_model.training import settings, supervised, token_samples
from s4token_model.training.supervised import SegmentationModel

POINTS = 4096  # kept of each block
MIN_POINTS, MIN_TOKENS = 100, 4  # of a block; smaller ones at the edges of a room are left out
LISTED = ".blocks.txt"  # of each room, the samples of its blocks


def new_model(tokenizer: Tokenizer, encoder: FrozenClip, config: settings.TrainConfig) -> SegmentationModel:
    """A model whose classes are those of S3DIS, without categories of clouds."""
    return SegmentationModel(tokenizer, encoder, 1, len(s3dis.NAMES), config)


def score(model: SegmentationModel, paths: list[Path], device: str) -> dict[str, Any]:
    """mIoU, mean accuracy of the classes and accuracy over the points of all blocks."""
    total = np.zeros((len(s3dis.NAMES), len(s3dis.NAMES) + 1), np.int64)
    for path in tqdm(paths, "testing"):
        sample = token_samples.load_sample(path)
        truth = sample.point_label.astype(np.int64)
        total += metrics.confusion(truth, supervised.predict(model, sample, device), len(s3dis.NAMES))
    found = metrics.scores(total)
    iou = {name: None if np.isnan(v) else float(v) for name, v in zip(s3dis.NAMES, found.iou, strict=True)}
    figures = {"miou": found.miou, "macc": found.macc, "accuracy": found.accuracy}
    return figures | {"test_blocks": len(paths), "points": int(total.sum()), "iou": iou}


def prepare_rooms(
    config: settings.TrainConfig, split: str, folder: Path, pipeline: Config, rank: int, processes: int
) -> list[Path]:
    """Write the missing samples of a split and return all. Rooms that fail are left out; ValueError if all do."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list[str]()
    for area in [area for area in s3dis.AREAS if (area == s3dis.TEST_AREA) == (split == "test")]:
        with suppress(ValueError):  # an area that is absent
            names += s3dis.list_rooms(config.data, area)
    if not names:
        s3dis.list_rooms(config.data, s3dis.TEST_AREA if split == "test" else s3dis.AREAS[0])  # says what is missing
    metadata = supervised.metadata_of("semantic", split, config, pipeline)
    stride = config.block if split == "test" else config.block / 2
    items = [
        (folder / f"{name.replace('/', '_')}{LISTED}", config.data, name, (config.block, stride), pipeline, metadata)
        for name in names
    ]
    written = supervised.write_samples(prepare_room, items, f"{split} rooms", config, rank, processes)
    found = [folder / line for path in written for line in path.read_text(encoding="utf-8").split()]
    if not found:
        raise ValueError(f"no room of the split {split} of {config.data} can be used; see the messages above")
    return found


def prepare_room(
    out: Path, root: str, name: str, edges: tuple[float, float], config: Config, metadata: dict[str, str]
) -> list[str]:
    """Write the samples of a room's blocks, of `edges` = (edge, stride) m, and their list; notes what is left out."""
    room, written, notes = s3dis.load_room(root, name), list[str](), list[str]()
    for number, points in enumerate(blocks(room.xyz, *edges)):
        path = out.with_name(f"{out.name.removesuffix(LISTED)}_{number:04d}{token_samples.SUFFIX}")
        try:
            sample = block_sample(room, points, config, zlib.crc32(path.stem.encode()))
        except ValueError as reason:
            notes.append(f"block {number}: {reason}")
            continue
        token_samples.save_sample(path, sample, metadata)
        written.append(path.name)
    with atomic.file(out) as file:
        file.write("\n".join(written).encode())
    return [f"{len(notes)} blocks left out, e.g. {notes[0]}"] if notes else []


def blocks(xyz: np.ndarray, edge: float, stride: float) -> Iterator[np.ndarray]:
    """Yield the indices (h,) of the points in each square column that holds at least MIN_POINTS."""
    low = xyz[:, :2].min(axis=0)
    steps = np.maximum(np.ceil((xyz[:, :2].max(axis=0) - low - edge) / stride), 0).astype(int) + 1
    for step in np.ndindex(*steps):
        start = low + stride * np.array(step)
        inside = ((xyz[:, :2] >= start) & (xyz[:, :2] < start + edge)).all(axis=1)
        if inside.sum() >= MIN_POINTS:
            yield np.flatnonzero(inside)


def block_sample(room: s3dis.Room, points: np.ndarray, config: Config, seed: int) -> token_samples.TokenSample:
    """The sample of some points of a room. ValueError if they give too few tokens."""
    changed = configs.replace(config, {"input.clean": False, "input.up": "z"})
    patched = build_patches(room.xyz[points], room.rgb[points], changed)
    rng, kept = np.random.default_rng(seed), len(patched.superpoints)
    chosen = np.sort(rng.choice(kept, min(kept, POINTS), replace=False))
    sample = token_samples.make_sample(patched, config, chosen, room.label[points], MIN_TOKENS)
    return dataclasses.replace(sample, category=np.int32(0))


TASK = supervised.Task("semantic", prepare_rooms, new_model, score, ("macc", "miou"))
