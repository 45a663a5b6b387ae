"""Single things cut out of rooms, in meters, as seen from inside the room: what a tokenizer of objects meets in use."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from s4token_model.datasets import scannet
from s4token_model.evaluation.procedural_rooms import held_out_scans as scans
from s4token_model.experiments.effort import Effort
from s4token_model.experiments.experiment_rooms import first_scans
from s4token_model.experiments.experiment_shapes import Shape
from s4token_model.experiments.teacher_clip import TAUGHT
from s4token_model.procedural.classes import PROCEDURAL, SCANNET20

LEAST = 256  # points; of fewer little can be told


@lru_cache(maxsize=1)
def procedural(effort: Effort) -> list[Shape]:
    """Things of the procedural rooms that `rooms.procedural` holds whole."""
    found: list[Shape] = []
    for _, scan in scans(effort.rooms):
        names = np.array([PROCEDURAL[label] for label in scan.label])
        found += cut(scan.xyz, scan.instance, names, effort.points)
    return found


@lru_cache(maxsize=1)
def real(root: Path, effort: Effort) -> list[Shape]:
    """Things of the first scans of ScanNet's rooms, where instances are given as VoteNet's preparation does
    (`scene0000_00_ins_label.npy`); else none."""
    found: list[Shape] = []
    for name in first_scans(root, effort):
        path = next(iter(root.rglob(f"{name}_ins_label.npy")), None)
        if path is not None:
            room = scannet.load_room(root, name)
            names = np.array([*SCANNET20, ""])[np.minimum(room.label, len(SCANNET20))]
            found += cut(room.xyz, np.load(path), names, effort.points)
    return found


def cut(xyz: np.ndarray, instance: np.ndarray, names: np.ndarray, most: int) -> Iterator[Shape]:
    """Yield the instances whose class, that of most of their points, is one of TAUGHT; at most `most` points of each.

    xyz (H, 3), instance (H,) ids, names (H,) classes. ValueError where their lengths differ.
    """
    if not len(xyz) == len(instance) == len(names):
        raise ValueError(f"{len(xyz)} points, but {len(instance)} instance ids and {len(names)} classes")
    for number in np.unique(instance):
        inside = np.flatnonzero(instance == number)
        words, counts = np.unique(names[inside], return_counts=True)
        name = str(words[counts.argmax()])
        if name in TAUGHT and len(inside) >= LEAST:
            keep = np.random.default_rng(int(number) % 2**32).permutation(inside)[:most]
            yield Shape(xyz[keep].astype(np.float32), np.zeros(len(keep), np.int16), TAUGHT.index(name))
