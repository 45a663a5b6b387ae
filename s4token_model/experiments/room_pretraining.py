"""Tokenizers trained without labels on procedural rooms, as the paper's on ScanNet (Table 4)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from s4token_model.config import Config
from s4token_model.experiments import object_pretraining, procedural_objects
from s4token_model.experiments.runs import Budget, Workspace
from s4token_model.pipeline.patched_cloud import build_patches
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural import scenes
from s4token_model.sensors import scans
from s4token_model.training.token_samples import Targets, TokenSample, make_sample

FIRST_TRAIN = 1_700_000_000  # seeds of the rooms
BATCH, LOSS_POINTS = 2, 2048  # rooms of a step, and points of each that the losses look at


def pipeline(variant: str, budget: Budget) -> Config:
    """The pipeline for rooms: that for objects with the default partition and more tokens."""
    changes = {"sampling.tokens": budget.room_tokens, "superpoints.regularization": 0.3}
    return procedural_objects.pipeline(variant, changes)


def tokenizer_of(variant: str, seed: int, workspace: Workspace) -> Tokenizer:
    """A tokenizer that learned from rooms, with the partition and the number of tokens that it is tested with."""
    config, changes = pipeline(variant, workspace.budget), {"batch": BATCH, "points": LOSS_POINTS}
    return object_pretraining.trained(f"{variant}-rooms", config, seed, workspace, changes, _training_samples)


@lru_cache(maxsize=1)
def _training_samples(config: Config, workspace: Workspace) -> list[TokenSample]:
    found = []
    for xyz, of_superpoints in _training_rooms(workspace):
        patched = build_patches(xyz, None, config)
        sample = make_sample(patched, config, np.arange(len(patched.superpoints)), np.zeros(len(xyz), np.int16))
        found.append(replace(sample, targets=of_superpoints))
    return found


@lru_cache(maxsize=1)
def _training_rooms(workspace: Workspace) -> list[tuple[np.ndarray, Targets]]:
    """Rooms (H, 3) [m] with their 2D targets; the partition, and so the targets, is the same for all variants."""
    return [_with_targets(FIRST_TRAIN + k, workspace) for k in range(workspace.budget.pretrain_rooms)]


def _with_targets(seed: int, workspace: Workspace) -> tuple[np.ndarray, Targets]:
    scene, budget = scenes.make_room(seed), workspace.budget
    xyz = scans.scan_depth(scene, np.random.default_rng(seed), budget.room_points).xyz
    patched = build_patches(xyz, None, pipeline("s4token", budget))
    return xyz, object_pretraining.view_targets(scene, seed, patched, xyz, workspace)
