"""Tokenizers trained without labels in front of a small frozen CLIP (Sec. 3.4), and procedural objects to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from s4token_model import metrics, vocabulary
from s4token_model.config import Config
from s4token_model.experiments import procedural_objects, teacher_clip
from s4token_model.experiments.procedural_objects import Shape
from s4token_model.experiments.runs import Budget, Workspace
from s4token_model.experiments.teacher_clip import TAUGHT
from s4token_model.pipeline.patched_cloud import PatchedCloud
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural import scenes
from s4token_model.procedural.types import Scene
from s4token_model.segmenter import build_patches
from s4token_model.sensors import rgbd_views, scans
from s4token_model.sensors.raycast import Caster
from s4token_model.training import pretrain, scene_pictures, targets
from s4token_model.training.sampler import Sampler
from s4token_model.training.settings import TrainConfig
from s4token_model.training.token_samples import Targets, TokenSample

FIRST_TRAIN, FIRST_TEST = 1_800_000_000, 1_850_000_000
LOSS_POINTS = 512  # per object and step
PAPER_STEPS = 98_325  # that its momentum of the teacher is for


def tokenizer_of(variant: str, seed: int, workspace: Workspace, changes: dict[str, Any] | None = None) -> Tokenizer:
    """A tokenizer that learned from objects; `changes` are keys of TrainConfig."""
    config = procedural_objects.pipeline(variant)
    name = "-".join([variant, *(f"{key}={value:g}" for key, value in (changes or {}).items())])
    given = {"batch": workspace.budget.pretrain_batch, "points": LOSS_POINTS} | (changes or {})
    return trained(name, config, seed, workspace, given, _training_samples)


def trained(
    name: str, config: Config, seed: int, workspace: Workspace, changes: dict[str, Any],
    samples: Callable[[Config, Workspace], list[TokenSample]],
) -> Tokenizer:  # fmt: skip
    """Train a tokenizer by the self-supervised recipe, resume or load it; `changes` are keys of TrainConfig."""
    budget, frozen = workspace.budget, teacher_clip.load(workspace)
    # L_assign as it is printed, except in the rows that say otherwise
    given = {"student_reach": False, "momentum_steps": PAPER_STEPS, "steps": budget.pretrain_steps} | changes
    train_config = TrainConfig(
        run=str(workspace.folder / "pretrained" / f"{name}-seed{seed}"), tokens=config.sampling.tokens,
        patch_points=config.patches.points, context_points=1, decoder_layers=2, save_every=100, precision="fp32",
        rate=budget.rate, seed=seed, **given,
    )  # fmt: skip
    tokenizer = pretrain.new_tokenizer(config, frozen, seed)
    trainer = pretrain.Trainer(tokenizer, frozen, train_config, 0, 1)  # loads a saved state
    if trainer.progress.step < train_config.steps:
        pretrain.train(Sampler(samples(config, workspace), frozen.dim), None, trainer)
    return tokenizer.eval()


@lru_cache(maxsize=1)
def _training_samples(config: Config, workspace: Workspace) -> list[TokenSample]:
    return [
        replace(procedural_objects.tokenize(shape, config), targets=found)
        for shape, found in _training_objects(workspace)
    ]


@lru_cache(maxsize=1)
def _training_objects(workspace: Workspace) -> list[tuple[Shape, Targets]]:
    """Objects of all classes with their 2D targets; the partition, and so the targets, is the same for all variants."""
    count = workspace.budget.pretrain_shapes
    return [_with_targets(FIRST_TRAIN + k, TAUGHT[k % len(TAUGHT)], workspace) for k in range(count)]


def _with_targets(seed: int, name: str, workspace: Workspace) -> tuple[Shape, Targets]:
    """An object and its 2D targets."""
    scene = scenes.make_object(seed, name)
    scan = scans.scan_object(scene, np.random.default_rng(seed), workspace.budget.points, partial=False)
    shape = Shape(procedural_objects.unit_sphere(scan.xyz), scan.part, TAUGHT.index(name))
    patched = build_patches(shape.xyz, None, procedural_objects.pipeline("s4token"))
    return shape, view_targets(scene, seed, patched, scan.xyz, workspace)


def view_targets(scene: Scene, seed: int, patched: PatchedCloud, xyz: np.ndarray, workspace: Workspace) -> Targets:
    """CLIP's dense features of rendered pictures of a scene, averaged over the pixels that show a superpoint.

    xyz (H, 3) are the points that were cut into patches, in the frame of the scene.
    """
    rng, size = np.random.default_rng(seed), (teacher_clip.EDGE, teacher_clip.EDGE)
    pictures = rgbd_views.render_views(
        scene, rng, workspace.budget.views, size, teacher_clip.STYLE, Caster(scene), 50.0
    )
    seen, images = scene_pictures.seen_pixels(patched, xyz, pictures), np.stack([v.rgb for v in pictures])
    return targets.superpoint_features(images, seen, teacher_clip.load(workspace))


@lru_cache(maxsize=1)
def held_out(budget: Budget) -> list[Shape]:
    """Objects of all classes that no tokenizer was trained on."""
    return procedural_objects.make(FIRST_TEST, budget.held_out, budget.points, TAUGHT)


@lru_cache(maxsize=1)
def held_out_samples(config: Config, budget: Budget) -> list[TokenSample]:
    """The held-out objects as tokens."""
    return [procedural_objects.tokenize(shape, config) for shape in held_out(budget)]


@torch.no_grad()
def score(tokenizer: Tokenizer, samples: Sequence[TokenSample], workspace: Workspace) -> dict[str, float]:
    """Zero-shot over all class names: mIoU of the points, each labeled as its object, and top-1 of [cls]."""
    frozen, text, hits = teacher_clip.load(workspace), _text(workspace), 0
    counts = np.zeros((len(TAUGHT), len(TAUGHT) + 1), np.int64)
    size = workspace.budget.batch if len({len(sample.point) for sample in samples}) == 1 else 1
    for start in range(0, len(samples), size):
        batch = procedural_objects.stack(samples[start : start + size])
        features, cls = frozen.encode_tokens(tokenizer(batch.inputs))
        prediction = (batch.weights @ (normalize(features, dim=-1) @ text.T)).argmax(dim=2).numpy()
        truth = batch.category.unsqueeze(1).expand(-1, prediction.shape[1]).numpy()
        counts += metrics.confusion(truth.ravel(), prediction.ravel(), len(TAUGHT))
        hits += int(((cls @ text.T).argmax(dim=1) == batch.category).sum())
    return {"objects_miou": metrics.scores(counts).miou, "objects_top1": hits / len(samples)}


@lru_cache(maxsize=1)
def score_targets(workspace: Workspace) -> dict[str, float]:
    """Score the 2D targets of the held-out objects themselves; superpoints that no picture shows count as wrong."""
    text, hits, budget = _text(workspace).numpy(), 0, workspace.budget
    counts = np.zeros((len(TAUGHT), len(TAUGHT) + 1), np.int64)
    for k in range(budget.held_out):
        shape, found = _with_targets(FIRST_TEST + k, TAUGHT[k % len(TAUGHT)], workspace)
        ids = build_patches(shape.xyz, None, procedural_objects.pipeline("s4token")).superpoints
        label = np.full(ids.max() + 1, len(TAUGHT))
        label[found.superpoint] = (found.feature @ text.T).argmax(axis=1)
        counts[shape.category] += np.bincount(label[ids], minlength=len(TAUGHT) + 1)
        hits += int((found.global_feature @ text.T).argmax() == shape.category)
    return {"objects_miou": metrics.scores(counts).miou, "objects_top1": hits / budget.held_out}


@lru_cache(maxsize=1)
def _text(workspace: Workspace) -> Tensor:
    templates = vocabulary.read_templates("default")
    return torch.from_numpy(vocabulary.build(TAUGHT, templates, 0.0, teacher_clip.load(workspace).encode_text).text)
