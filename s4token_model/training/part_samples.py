"""Shapes of ShapeNetPart cut into tokens once, for supervised part segmentation; one safetensors file per shape.

A sample holds the tokens as in `samples.py`, and point (P, 3), point_superpoint (P,), point_label (P,) int16, the part
within the category, and category ().
"""

from __future__ import annotations

import json
import logging
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets import shapenetpart
from s4token_model.segmenter import build_patches
from s4token_model.training import jobs as spread
from s4token_model.training import procedural_samples
from s4token_model.training.settings import TrainConfig
from s4token_model.training.token_samples import Batch, collate, sample_tokens

log = logging.getLogger(__name__)
NAMES = tuple(shapenetpart.CATEGORIES)
POINTS = 2048  # kept of each shape
FEWEST = 4  # tokens


@dataclass(frozen=True)
class PartJob:
    """One shape to cut into tokens, in any process."""

    source: Path
    out: Path
    config: str  # JSON of the pipeline's


def prepare(root: str | Path, split: str, folder: Path, config: Config, workers: int = 1) -> list[Path]:
    """Write the samples of a split that have none yet and return all; a shape that cannot be used is reported and left
    out. ValueError when none is left."""
    folder.mkdir(parents=True, exist_ok=True)
    values = json.dumps(configs.to_dict(config))
    jobs = [PartJob(p, folder / f"{p.parent.name}_{p.stem}.safetensors", values) for p in _shapes(root, split)]
    for name, error in spread.run(make_one, [job for job in jobs if not job.out.is_file()], workers):
        if error:
            log.warning("%s left out: %s", name, error)
    found = [job.out for job in jobs if job.out.is_file()]
    if not found:
        raise ValueError(f"no shape of the split {split} of {root} can be used; see the messages above")
    return found


def make_one(job: PartJob) -> tuple[str, str]:
    """Write the sample of one shape; returns its name and "" or why there is none."""
    try:
        shape = shapenetpart.load_shape(job.source)
        procedural_samples.save_sample(job.out, make(shape, _config(job.config)))
    except (ValueError, OSError) as error:
        return job.source.name, str(error)
    return job.source.name, ""


def make(shape: shapenetpart.Shape, config: Config) -> dict[str, np.ndarray]:
    """Return the sample of a shape. ValueError when it gives too few tokens."""
    geometry = build_patches(shape.xyz, None, config)
    if len(geometry.patches.centers) < FEWEST:
        raise ValueError(f"{shape.name}: only {len(geometry.patches.centers)} tokens, {FEWEST} are needed")
    rng = np.random.default_rng(zlib.crc32(shape.name.encode()))
    size = len(geometry.superpoints)
    pick = np.sort(rng.choice(size, min(size, POINTS), replace=False))
    return procedural_samples.tokens_of(geometry, config.tokenizer.position_scaled) | {
        "point": procedural_samples.local(geometry.working.xyz[pick], geometry),
        "point_superpoint": geometry.superpoints[pick].astype(np.int32),
        "point_label": shape.label[geometry.working.original_index[pick]].astype(np.int16),
        "category": np.int32(NAMES.index(shape.category)),
    }


def draw(
    items: list[dict[str, np.ndarray]], how: TrainConfig, rngs: list[np.random.Generator]
) -> tuple[Batch, Tensor, Tensor]:
    """Draw tokens and how.points points of each shape: the batch, where the points are (B, P, 3), categories (B,)."""
    clouds = []
    for item, rng in zip(items, rngs, strict=True):
        count = len(item["point"])
        pick = rng.choice(count, how.points, replace=count < how.points)
        chosen = item | {name: item[name][pick] for name in ("point", "point_label", "point_superpoint")} | NO_TARGETS
        clouds.append(sample_tokens(chosen, how, rng, how.tokens, train=True, turned=False))
    return _stacked(clouds, items)


def whole(item: dict[str, np.ndarray], how: TrainConfig) -> tuple[Batch, Tensor, Tensor]:
    """All tokens and points of one shape, as `draw` gives them."""
    tokens = len(item["position"])
    return _stacked([sample_tokens(item | NO_TARGETS, how, np.random.default_rng(0), tokens, train=False)], [item])


NO_TARGETS = {
    "target_superpoint": np.zeros(0, np.int32),
    "target_feature": np.zeros((0, 1), np.float32),
    "target_whole": np.zeros(1, np.float32),
}


def _stacked(clouds: list[dict], items: list[dict]) -> tuple[Batch, Tensor, Tensor]:
    at = torch.from_numpy(np.stack([cloud["point"] for cloud in clouds])).float()
    return collate(clouds), at, torch.tensor([int(item["category"]) for item in items])


def _shapes(root: str | Path, split: str) -> list[Path]:
    if split == "train":  # the usual protocol trains on both
        return shapenetpart.list_shapes(root, "train") + _optional(root, "val")
    return shapenetpart.list_shapes(root, split)


def _optional(root: str | Path, split: str) -> list[Path]:
    try:
        return shapenetpart.list_shapes(root, split)
    except ValueError:
        return []


@lru_cache(maxsize=1)
def _config(values: str) -> Config:
    return configs.from_dict(json.loads(values))
