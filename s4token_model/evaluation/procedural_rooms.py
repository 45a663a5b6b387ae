"""Held-out procedural rooms and streets: scenes as the model was trained on, under seeds that training never draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from s4token_model.constants import UNLABELED
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.procedural import scenes
from s4token_model.procedural.classes import INDOOR, PROCEDURAL, STREET, scannet20_ids
from s4token_model.procedural.shape_bank import open_bank
from s4token_model.procedural.types import Scan, View
from s4token_model.sensors import lidar_scans, rgbd_views, scans
from s4token_model.sensors.raycast import Caster
from s4token_model.training.captions import HELD_OUT

FRAMES, FRAME_SIZE = 24, (240, 320)  # of a room; height and width in pixels
FIRST_SEED = 1_900_000_000  # far above every seed that training counts up from
NAMES = INDOOR
STREET_NAMES = ("person", *STREET)
# The first synonym of every class that training never saw, e.g. couch for sofa; the name itself if it has none
SYNONYMS = tuple(HELD_OUT[name][0] if HELD_OUT.get(name) else name for name in NAMES)
SCANNET20_IDS = tuple(scannet20_ids(missing=-1)[: len(NAMES)])  # of each name among ScanNet's 20


def held_out_scans(
    rooms: int, kind: str = "depth", seed: int = FIRST_SEED, shapes: str = ""
) -> Iterator[tuple[int, Scan]]:
    """Yield seed and scan, with instances, of `rooms` procedural rooms.

    `kind` is as in `sensors.scans.scan`; most things come from the bank of CAD models in the folder `shapes`, if given.
    """
    for number in range(seed, seed + rooms):
        scene = scenes.make_room(number, open_bank(shapes))
        yield number, scans.scan(scene, np.random.default_rng(number), kind)


def held_out_clouds(
    rooms: int, kind: str = "depth", seed: int = FIRST_SEED, shapes: str = ""
) -> Iterator[LabeledCloud]:
    """Yield the clouds of `held_out_scans`, the same for the same seed."""
    for number, scan in held_out_scans(rooms, kind, seed, shapes):
        yield LabeledCloud(f"room{number}", scan.xyz, scan.rgb, scan.label)


class RenderedFrame(NamedTuple):
    """A rendered picture in place of a `posed_rgbd.Frame`."""

    view: View

    @property
    def pose(self) -> np.ndarray:
        """(4, 4), camera to world."""
        return self.view.pose

    @property
    def color_matrix(self) -> np.ndarray:
        """(3, 3), intrinsics in pixels."""
        return self.view.intrinsics

    depth_matrix = color_matrix

    def color(self) -> np.ndarray:
        """Return the colors (h, w, 3) uint8."""
        return self.view.rgb

    def depth(self) -> np.ndarray:
        """Return the depth (h, w) float32 m, NaN = none."""
        return np.where(self.view.depth > 0, self.view.depth, np.float32(np.nan))


def viewed_rooms(rooms: int, every: int = 1, seed: int = FIRST_SEED) -> Iterator[LabeledCloud]:
    """Yield held-out rooms as a fused depth camera sees them, not rotated, with each `every`-th of FRAMES frames."""
    for number in range(seed, seed + rooms):
        scene, rng = scenes.make_room(number), np.random.default_rng(number)
        caster = Caster(scene)
        scan = scans.scan_depth(scene, rng, caster=caster)
        views = rgbd_views.render_views(scene, rng, FRAMES, FRAME_SIZE, caster=caster)[::every]
        yield LabeledCloud(f"room{number}", scan.xyz, scan.rgb, scan.label, views=list(map(RenderedFrame, views)))


def held_out_streets(streets: int, seed: int = FIRST_SEED, shapes: str = "") -> Iterator[LabeledCloud]:
    """Yield `streets` procedural streets as LiDARs see them, labeled by STREET_NAMES; the same for the same seed."""
    known = {name: index for index, name in enumerate(STREET_NAMES)}
    index = np.array([known.get(name, UNLABELED) for name in PROCEDURAL], np.uint32)
    for number in range(seed, seed + streets):
        rng = np.random.default_rng(number)
        scan = scans.augment(lidar_scans.scan_street(scenes.make_street(number, open_bank(shapes)), rng), rng)
        yield LabeledCloud(f"street{number}", scan.xyz, None, np.where(scan.label < 0, UNLABELED, index[scan.label]))


def in_scannet20(clouds: Iterable[LabeledCloud]) -> Iterator[LabeledCloud]:
    """Yield rooms with labels that index ScanNet's 20 names; what these do not name is unlabeled."""
    ids = np.array([k if k >= 0 else UNLABELED for k in SCANNET20_IDS], np.uint32)
    for cloud in clouds:
        known = (cloud.label >= 0) & (cloud.label < len(ids))
        yield replace(cloud, label=np.where(known, ids[np.where(known, cloud.label, 0)], UNLABELED))
