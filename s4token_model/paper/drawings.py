"""What the paper's figures show: the points of patches, centers by gamma, and parts as labeled by two methods."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from s4token_model import config as configs
from s4token_model import prompts
from s4token_model.config import Config
from s4token_model.constants import UNLABELED_COLOR
from s4token_model.datasets import scannet, shapenetpart
from s4token_model.palette import index_colors, label_colors
from s4token_model.pictures.grid import Column
from s4token_model.segmenter import PatchedCloud, build_patches

GAMMAS = (0.0, 0.2, 0.4, 0.6, 1.0)
CATEGORIES = {
    "2": ("airplane", "chair", "motorbike", "rocket", "skateboard", "bag", "car", "table"),
    "C": ("chair", "lamp", "earphone", "mug", "motorbike", "cap", "car", "table"),
}
DOT = 0.22  # radius of the mark of a center, in patch radii
COVER = 3.0  # points of a patch over points per token, so that neighboring patches touch
PLAIN, MARK = (206, 209, 214), (178, 30, 45)


def patch_rows(root: Path, rooms: list[str] | None, config: Config, count: int) -> list[Column]:
    """Figure A: instances, or classes where there are none, patches of the nearest points, and those of S4Token."""
    columns = []
    for name in scannet.list_rooms(root, rooms)[:count]:
        room = scannet.load_room(root, name)
        try:
            truth = scannet.load_instances(root, name)
        except ValueError:
            truth = np.where(room.label < len(scannet.NAMES), room.label, -1)
        colors = [_numbered(truth)]
        for variant in ("knn", "s4token"):
            changed = configs.replace(config, {"variant": variant})
            colors.append(_patch_colors(_patched(room, changed), len(room.xyz)))
        columns.append(Column(name, room.xyz, colors))
    return columns


def gamma_columns(root: Path, rooms: list[str] | None, config: Config) -> list[Column]:
    """Figure B: the centers, and the patches around them, of one room for growing gamma."""
    room = scannet.load_room(root, scannet.list_rooms(root, rooms)[0])
    columns = []
    for gamma in GAMMAS:
        patched = _patched(room, configs.replace(config, {"variant": "s4token", "sampling.gamma": gamma}))
        marked = _scattered(_marks(patched), patched, len(room.xyz), PLAIN)
        columns.append(Column(f"γ = {gamma:g}", room.xyz, [marked, _patch_colors(patched, len(room.xyz))]))
    return columns


def part_columns(root: Path, categories: tuple[str, ...], labelers: list[Any]) -> list[Column]:
    """Figures 2 and C: true parts of the first test shape of each category that is there, and those of labelers."""
    counts = {name: len(parts) for name, (_, parts) in shapenetpart.CATEGORIES.items()}
    frozen, shapes = prompts.load_parts("shapenetpart", counts), dict[str, shapenetpart.Shape]()
    for path in shapenetpart.list_shapes(root, "test"):
        shape = shapenetpart.load_shape(path)
        shapes.setdefault(shape.category, shape)
    columns = []
    for name in (name for name in categories if name in shapes):
        shape, words = shapes[name], frozen[name]
        colors = index_colors(np.arange(counts[name]))
        found = [shape.label]
        for labeler in labelers:
            vocabulary = labeler.make_vocabulary(words.names, words.templates)
            found.append(labeler.label(labeler.encode(shape.xyz), vocabulary).labels)
        columns.append(Column(name, shape.xyz, [label_colors(labels, colors) for labels in found]))
    if not columns:
        raise ValueError(f"{root} has no test shape of {', '.join(categories)}")
    return columns


def _patched(room: scannet.Room, config: Config) -> PatchedCloud:
    """The patches of a room, with ScanNet's superpoints if it has them; of enough points to touch each other."""
    if room.superpoint is not None:
        config = configs.replace(config, {"superpoints.source": "provided"})
    points = max(1, round(COVER * len(room.xyz) / config.sampling.tokens))  # beyond the limit of patches.points
    config = dataclasses.replace(config, patches=dataclasses.replace(config.patches, points=points))
    return build_patches(room.xyz, None, config, provided=room.superpoint)


def _patch_colors(patched: PatchedCloud, count: int) -> np.ndarray:
    """Colors (count, 3) of points by their patch, of several that of the nearest center; gray in none."""
    groups, points = patched.patches, patched.working.points
    owner, distance = np.full(len(points), -1), np.full(len(points), np.inf)
    for number, members in enumerate(groups.index):
        members = members[members >= 0]
        found = np.linalg.norm(points[members] - groups.centers[number], axis=1)
        nearer = found < distance[members]
        owner[members[nearer]], distance[members[nearer]] = number, found[nearer]
    return _scattered(_numbered(owner), patched, count)


def _marks(patched: PatchedCloud) -> np.ndarray:
    """Colors of the points (W, 3): a mark around each center."""
    near, _ = cKDTree(patched.patches.centers).query(patched.working.points)
    return np.where((near < DOT * patched.patches.radius)[:, None], MARK, PLAIN).astype(np.uint8)


def _scattered(
    colors: np.ndarray, patched: PatchedCloud, count: int, rest: tuple[int, int, int] = UNLABELED_COLOR
) -> np.ndarray:
    """Colors (count, 3) of a cloud from those of the points that go through the network (W, 3)."""
    working, found = patched.working, np.tile(np.array(rest, np.uint8), (count, 1))
    every = colors[working.kept_of_point] if len(working.kept_of_point) else colors
    found[working.labeled_index] = every[working.position]
    return found


def _numbered(numbers: np.ndarray) -> np.ndarray:
    """Colors of numbers (H,), gray where they are negative."""
    colors = index_colors(np.maximum(numbers, 0))
    colors[numbers < 0] = UNLABELED_COLOR
    return colors
