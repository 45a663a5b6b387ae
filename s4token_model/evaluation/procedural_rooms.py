"""Held-out procedural rooms and streets: scenes as the model was trained on, under seeds that training never draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from s4token_model.constants import UNLABELED
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.procedural import scenes
from s4token_model.procedural.classes import INDOOR, PROCEDURAL, STREET, scannet20_ids
from s4token_model.procedural.types import Scan
from s4token_model.sensors import scans
from s4token_model.training.captions import HELD_OUT

FIRST_SEED = 1_900_000_000  # far above every seed that training counts up from
NAMES = INDOOR
STREET_NAMES = ("person", *STREET)
# The first synonym of every class that training never saw, e.g. couch for sofa; the name itself if it has none
SYNONYMS = tuple(HELD_OUT[name][0] if HELD_OUT.get(name) else name for name in NAMES)
SCANNET20_IDS = tuple(scannet20_ids(missing=-1)[: len(NAMES)])  # of each name among ScanNet's 20


def held_out_scans(rooms: int, kind: str = "depth", seed: int = FIRST_SEED) -> Iterator[tuple[int, Scan]]:
    """Yield seed and scan, with instances, of `rooms` procedural rooms; `kind` as in `sensors.scans.scan`."""
    for number in range(seed, seed + rooms):
        yield number, scans.scan(scenes.make_room(number), np.random.default_rng(number), kind)


def held_out_clouds(rooms: int, kind: str = "depth", seed: int = FIRST_SEED) -> Iterator[LabeledCloud]:
    """Yield the clouds of `held_out_scans`, the same for the same seed."""
    for number, scan in held_out_scans(rooms, kind, seed):
        yield LabeledCloud(f"room{number}", scan.xyz, scan.rgb, scan.label)


def held_out_streets(streets: int, seed: int = FIRST_SEED) -> Iterator[LabeledCloud]:
    """Yield `streets` procedural streets as LiDARs see them, labeled by STREET_NAMES; the same for the same seed."""
    index = np.array(
        [STREET_NAMES.index(name) if name in STREET_NAMES else UNLABELED for name in PROCEDURAL], np.uint32
    )
    for number in range(seed, seed + streets):
        scan = scans.scan(scenes.make_street(number), np.random.default_rng(number), "lidar")
        yield LabeledCloud(f"street{number}", scan.xyz, None, np.where(scan.label < 0, UNLABELED, index[scan.label]))
