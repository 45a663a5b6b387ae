"""Load the model of the node, and run it before the first cloud arrives."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np

from s4token_model import compile_beside
from s4token_model.config import Config
from s4token_model.kernels import spatial_index
from s4token_model.kernels.group_statistics import class_statistics
from s4token_model.objects import find_objects
from s4token_model.pipeline.voxel_map import VoxelMap
from s4token_ros import parameter_changes
from s4token_ros.parameters import Settings
from s4token_ros.worker import Model

MANY, FEW = 8_000, 600  # points of a cloud that every kernel works on, and of one that is only tried

SegmenterFactory = Callable[[str, Config, str], Any]


def load_segmenter(model: str, config: Config, device: str) -> Any:
    """Load a Segmenter; imports torch."""
    from s4token_model.segmenter import Segmenter

    return Segmenter.load(model, config, device)


def saved_config(model: str) -> Config:
    """Return the config that a checkpoint was saved with."""
    from s4token_model.checkpoint import read_config

    return read_config(model)


def warm_up_cloud(points: int = MANY) -> np.ndarray:
    """Return a floor, a wall, boxes and strays, (points, 3) float32 [m]: work for every stage."""
    rng = np.random.default_rng(0)
    xyz = rng.random((points, 3), np.float32) * np.float32([8, 8, 2.5])
    floor, wall, strays = points // 2, 3 * points // 4, points - points // 100
    xyz[:floor, 2] = 0  # with so many tokens that the products of large superpoints are compiled
    xyz[floor:wall, 1] = 0
    boxes = xyz[wall:strays]
    corner = np.floor(boxes)
    boxes[:] = corner + 0.5 * (boxes - corner) * (rng.random(boxes.shape) < 0.7)
    return xyz


def warm_up(segmenter: Any, with_objects: bool, with_votes: bool) -> None:
    """Label clouds, summarize them, find objects, let voxels vote: what a cloud may need is compiled or read from disk.

    What only some clouds need is left to a second process that compiles, if there is one.
    """
    segmenter.segment(warm_up_cloud())
    if compile_beside.is_running():
        return
    few = warm_up_cloud(FEW)
    spatial_index.inside_box(spatial_index.build(few), few[0], few[1])  # for clouds of several windows
    for xyz in (few, few.astype(np.float64)):
        found = segmenter.segment(xyz)
        classes = len(found.vocabulary.names)
        class_statistics(found.labels, found.confidence, xyz, classes)
        if with_objects:
            find_objects(xyz, found.labels, found.confidence, [True] * classes)
        if with_votes:
            votes, features = VoxelMap(1.0, 1.0, len(xyz), 0.0), found.encoding.superpoint_features()
            _, sweep = votes.sweep(xyz, found.superpoints, features, (np.eye(3), np.zeros(3)), 0.0)
            votes.label(sweep, found.vocabulary.text, 1.0)


def load(factory: SegmenterFactory, settings: Settings, trial: bool = False, weights: Model | None = None) -> Model:
    """Return the model of the settings, with the `weights` of another if given, which need not be read then.

    A `trial`, of a change while the node runs, labels one cloud with it. So a start is warm, and a change that does not
    work is refused.
    """
    config, node = parameter_changes.config_with_paths(settings), settings.node
    segmenter = weights.segmenter.with_config(config) if weights else factory(node.model, config, node.device)
    if trial:
        segmenter.segment(warm_up_cloud(MANY if node.warm_up else FEW))
    elif node.warm_up:
        warm_up(segmenter, node.output.objects or node.output.markers, node.temporal.enabled)
    gc.unfreeze()  # also what an earlier call froze and nobody uses any more
    gc.collect()
    gc.freeze()  # garbage collection need not traverse the model while a cloud waits
    return Model(segmenter, segmenter.vocabulary)
