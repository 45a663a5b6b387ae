"""Procedural objects with part labels, the stand-in for ShapeNetPart, and objects cut out of rooms, as samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.constants import SCANNET20
from s4token_model.datasets import scannet
from s4token_model.evaluation.procedural_rooms import held_out_scans
from s4token_model.experiments.rooms import first_scans
from s4token_model.experiments.runs import Budget
from s4token_model.experiments.teacher_clip import TAUGHT
from s4token_model.procedural import scenes
from s4token_model.procedural.classes import PROCEDURAL
from s4token_model.segmenter import build_patches
from s4token_model.sensors import scans
from s4token_model.training.batches import Batch, DrawConfig
from s4token_model.training.sampler import draw_batch
from s4token_model.training.token_samples import TokenSample, make_sample

WITH_PARTS = (
    "chair", "table", "sofa", "bed", "lamp", "toilet", "bookshelf", "desk", "person", "plant", "fan", "bathtub",
)  # fmt: skip
# Objects of 2,048 points: the paper's 128 tokens, a partition as fine as their parts, the narrow PointNet of the mini
# model. The wide patch is not part of the paper's token, so none of its points are kept.
PIPELINE = {"sampling.tokens": 128, "superpoints.regularization": 0.1, "tokenizer.width": 32}
PIPELINE |= {"tokenizer.context_points": 1, "sampling.gamma": 0.1, "input.clean": False}
MIN_POINTS = 256  # of an object cut out of a room


@dataclass(frozen=True)
class Shape:
    """xyz (H, 3) float32, z up; part (H,) int16 index into procedural.classes.PARTS; category, an index."""

    xyz: np.ndarray
    part: np.ndarray
    category: int


def make(first: int, count: int, points: int, names: Sequence[str] = WITH_PARTS) -> list[Shape]:
    """Scan `count` objects of the categories `names` in turn, with seeds from `first` on, each all around."""
    made = []
    for k, name in enumerate(names[k % len(names)] for k in range(count)):
        scene, rng = scenes.make_object(first + k, name), np.random.default_rng(first + k)
        scan = scans.scan_object(scene, rng, points, partial=False)
        made.append(Shape(unit_sphere(scan.xyz), scan.part, k % len(names)))
    return made


def unit_sphere(xyz: np.ndarray) -> np.ndarray:
    """Center xyz (H, 3) and divide it by its largest norm, as ShapeNetPart's objects are."""
    centered = xyz - xyz.mean(axis=0)
    return (centered / np.linalg.norm(centered, axis=1).max()).astype(np.float32)


def pipeline(variant: str, changes: dict[str, Any] | None = None) -> Config:
    """The pipeline for objects with a variant of tokenizer_variants.NAMES; {dotted key: value} of `changes` win."""
    return configs.replace(configs.replace(Config(), PIPELINE), {"variant": variant} | (changes or {}))


def tokenize(shape: Shape, config: Config) -> TokenSample:
    """Cut one object into tokens; the sample holds all its points with their parts."""
    patched = build_patches(shape.xyz, None, config)
    sample = make_sample(patched, config, np.arange(len(patched.superpoints)), shape.part, min_tokens=1)
    return replace(sample, category=np.int64(shape.category))


def stack(samples: Sequence[TokenSample]) -> Batch:
    """Stack objects with equally many tokens and points as they are."""
    config = DrawConfig(len(samples[0].position), training=False)
    return draw_batch(samples, config, [np.random.default_rng(0)] * len(samples))


@lru_cache(maxsize=1)
def from_procedural_rooms(budget: Budget) -> list[Shape]:
    """Objects of the procedural rooms that rooms.procedural holds whole, in meters, as seen from inside the room."""
    found: list[Shape] = []
    for _, scan in held_out_scans(budget.rooms):
        names = np.array([PROCEDURAL[label] for label in scan.label])
        found += cut(scan.xyz, scan.instance, names, budget.points)
    return found


@lru_cache(maxsize=1)
def from_scannet(root: Path, budget: Budget) -> list[Shape]:
    """Objects of the first scans of ScanNet's rooms that have VoteNet's instances (`scene0000_00_ins_label.npy`)."""
    found: list[Shape] = []
    for name in first_scans(root, budget):
        path = next(iter(root.rglob(f"{name}_ins_label.npy")), None)
        if path is not None:
            room = scannet.load_room(root, name)
            names = np.array([*SCANNET20, ""])[np.minimum(room.label, len(SCANNET20))]
            found += cut(room.xyz, np.load(path), names, budget.points)
    return found


def cut(xyz: np.ndarray, instance: np.ndarray, names: np.ndarray, max_points: int) -> Iterator[Shape]:
    """Yield the instances (H,) whose majority class of names (H,) is in TAUGHT, with up to `max_points` points each."""
    if not len(xyz) == len(instance) == len(names):
        raise ValueError(f"{len(xyz)} points, but {len(instance)} instance ids and {len(names)} classes")
    for number in np.unique(instance):
        inside = np.flatnonzero(instance == number)
        classes, counts = np.unique(names[inside], return_counts=True)
        name = str(classes[counts.argmax()])
        if name in TAUGHT and len(inside) >= MIN_POINTS:
            kept = np.random.default_rng(int(number) % 2**32).permutation(inside)[:max_points]
            yield Shape(xyz[kept].astype(np.float32), np.zeros(len(kept), np.int16), TAUGHT.index(name))
