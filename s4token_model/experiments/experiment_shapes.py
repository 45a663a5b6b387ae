"""Procedural objects with part labels as clouds in the unit sphere, and as tokens (the stand-in for ShapeNetPart)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.pipeline.tokenizer import TokenInput
from s4token_model.procedural import scenes
from s4token_model.segmenter import build_patches
from s4token_model.sensors import scans
from s4token_model.training.procedural_samples import local, tokens_of

WITH_PARTS = (
    "chair", "table", "sofa", "bed", "lamp", "toilet", "bookshelf", "desk", "person", "plant", "fan", "bathtub",
)  # fmt: skip
# Objects of 2,048 points: the paper's 128 tokens; a partition as fine as their parts; the narrow PointNet of the mini
# model. The wide patch is not part of the paper's token, so none of its points are kept.
PIPELINE = {"sampling.tokens": 128, "superpoints.regularization": 0.1, "tokenizer.width": 32}
PIPELINE |= {"tokenizer.context_points": 1, "sampling.gamma": 0.1}
FALLBACK = 3  # nearest tokens, for points whose superpoint holds none (Eq. 4)


@dataclass(frozen=True)
class Shape:
    """xyz (H, 3) float32 in the unit sphere, z up; part (H,) int16 index into classes.PARTS; category, an index."""

    xyz: np.ndarray
    part: np.ndarray
    category: int


@dataclass(frozen=True)
class Clouds:
    """B objects as the networks read them: inputs; weights (B, P, N) of Eq. 4; part (B, P); category (B,)."""

    inputs: TokenInput
    weights: Tensor
    part: Tensor
    category: Tensor


def make(first: int, count: int, points: int, names: Sequence[str] = WITH_PARTS) -> list[Shape]:
    """`count` objects of the categories `names` in turn, seeds from `first` on, `points` points each."""
    return [shape(first + k, points, names[k % len(names)], k % len(names)) for k in range(count)]


def shape(seed: int, points: int, name: str, category: int) -> Shape:
    """One object: points spread over its surfaces with a sensor's noise, moved and scaled into the unit sphere."""
    scan = scans.scan_object(scenes.make_object(seed, name), np.random.default_rng(seed), points, partial=False)
    return Shape(unit_sphere(scan.xyz), scan.part, category)


def unit_sphere(xyz: np.ndarray) -> np.ndarray:
    """xyz (H, 3) moved to its mean and divided by its largest norm, as ShapeNetPart's objects are."""
    centered = xyz - xyz.mean(axis=0)
    return (centered / np.linalg.norm(centered, axis=1).max()).astype(np.float32)


def config_of(variant: str, **more) -> Config:
    """The pipeline for objects with a tokenizer of variants.NAMES; dotted keys of `more` (with __ for the dot) win."""
    named = {key.replace("__", "."): value for key, value in more.items()}
    return configs.replace(configs.replace(Config(), PIPELINE), {"variant": variant} | named)


def tokenized(shape: Shape, config: Config) -> dict[str, np.ndarray]:
    """The tokens of one object, and all its points in the frame of the tokens: the arrays of a training sample."""
    geometry = build_patches(shape.xyz, None, config)
    return tokens_of(geometry, config.tokenizer.position_scaled) | {
        "point": local(geometry.working.xyz, geometry),
        "point_superpoint": geometry.superpoints.astype(np.int32),
        "part": shape.part[geometry.working.original_index].astype(np.int16),
        "category": np.int64(shape.category),
    }


def collate(items: list[dict[str, np.ndarray]], points: int = 0, rng: np.random.Generator | None = None) -> Clouds:
    """Stack objects with equally many tokens; with `rng`, `points` random points of each instead of all."""
    if rng is not None:
        items = [_drawn(item, points, rng) for item in items]

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([item[name] for item in items]))

    patch, context = stack("patch").float(), stack("context").float()
    masks = [
        torch.arange(points.shape[2]) < stack(f"{name}_count").long().unsqueeze(-1)
        for name, points in (("patch", patch), ("context", context))
    ]
    unit = stack("unit").view(-1, 1, 1)
    inputs = TokenInput(patch, masks[0], context, masks[1], stack("shape"), stack("position") * unit)
    weights = propagation_weights(
        stack("point"), stack("position"), stack("point_superpoint"), stack("token_superpoint")
    )
    return Clouds(inputs, weights, stack("part").long(), stack("category"))


def propagation_weights(point: Tensor, token: Tensor, point_superpoint: Tensor, token_superpoint: Tensor) -> Tensor:
    """Eq. 4 as a matrix: w_ik ~ [l_i = l_k] / (||p_i - p_k|| + 1e-4), rows sum to 1; (B, P, N).

    point (B, P, 3) and token (B, N, 3) in units of r; superpoint ids (B, P), (B, N). A point whose superpoint holds no
    token takes the 3 nearest.
    """
    away = torch.cdist(point, token, compute_mode="donot_use_mm_for_euclid_dist")
    same = point_superpoint.unsqueeze(2) == token_superpoint.unsqueeze(1)
    near = torch.zeros_like(same).scatter_(2, away.topk(min(FALLBACK, away.shape[2]), dim=2, largest=False)[1], True)
    weights = (same | (near & ~same.any(dim=2, keepdim=True))) / (away + 1e-4)
    return weights / weights.sum(dim=2, keepdim=True)


def _drawn(item: dict[str, np.ndarray], points: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    chosen = rng.choice(len(item["point"]), points, replace=len(item["point"]) < points)
    return item | {name: item[name][chosen] for name in ("point", "point_superpoint", "part")}
