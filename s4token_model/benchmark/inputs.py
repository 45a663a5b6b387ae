"""Clouds and models for the speed benchmark."""

from __future__ import annotations

import numpy as np
import open_clip
import torch

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.io import files
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import Segmenter

RANDOM = "random:"  # model "random:ViT-B-16": an open_clip architecture with random weights, for the time alone
MIN_POINTS = 100


def load_points(path: str | None, count: int | None, bin_columns: int | None = None) -> np.ndarray:
    """Finite points (H, 3) float32 of a file, or of a procedural room; at most `count`, drawn at random."""
    xyz = _scan(0, count or 80000) if path is None else files.read_cloud(path, bin_columns=bin_columns).xyz
    xyz = np.ascontiguousarray(xyz[np.isfinite(xyz).all(axis=1)], np.float32)
    if count is not None:
        xyz = subsample(xyz, count)
    if len(xyz) < MIN_POINTS:
        raise ValueError(f"{path} has {len(xyz)} finite points; a benchmark needs at least {MIN_POINTS}")
    return xyz


def _scan(room: int, points: int) -> np.ndarray:
    from s4token_model.procedural import scenes
    from s4token_model.sensors import scans

    return scans.scan_depth(scenes.make_room(room), np.random.default_rng(0), points).xyz


def row_of_rooms(count: int) -> np.ndarray:
    """A row of procedural rooms, (count, 3) float32, as many rooms as it takes."""
    rooms: list[np.ndarray] = []
    while sum(map(len, rooms)) < count:
        rooms.append(_scan(len(rooms), 200_000) + np.float32([15 * len(rooms), 0, 0]))
    return np.ascontiguousarray(subsample(np.concatenate(rooms), count), np.float32)


def subsample(xyz: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the points, drawn at random with a fixed seed, in their order."""
    if len(xyz) <= count:
        return xyz
    return xyz[np.sort(np.random.default_rng(0).choice(len(xyz), count, replace=False))]


def load_model(model: str, tokens: int | None = None, precision: str | None = None) -> Segmenter:
    """Load a checkpoint, or build an open_clip architecture with random weights; None keeps the model's setting.

    Every cloud gets one window of tokens, as in the reference.
    """
    settings = {"sampling.tokens": tokens, "clip.precision": precision, "windows.maximum": 1}
    changes = {key: value for key, value in settings.items() if value is not None}
    if not model.startswith(RANDOM):
        return Segmenter.load(model, configs.replace(checkpoint.read_config(model), changes))
    name = model.removeprefix(RANDOM)
    config = configs.replace(configs.Config(), {"clip.name": name, "clip.pretrained": ""} | changes)
    torch.manual_seed(0)  # the same weights in every precision
    network, tokenize = open_clip.create_model(name, pretrained=None), open_clip.get_tokenizer(name)
    frozen = FrozenClip(network, tokenize, (0.5,) * 3, (0.25,) * 3, config.clip.precision)
    return Segmenter(Tokenizer(config.tokenizer, frozen.width), frozen, config)
