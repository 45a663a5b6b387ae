"""Tokenizers trained without labels on procedural objects in front of a small frozen CLIP (Sec. 3.4)."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from s4token_model import metrics, vocabulary
from s4token_model.config import Config
from s4token_model.experiments import experiment_shapes, teacher_clip
from s4token_model.experiments.effort import Effort
from s4token_model.experiments.experiment import Lab
from s4token_model.experiments.teacher_clip import TAUGHT
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural import scenes
from s4token_model.segmenter import build_patches
from s4token_model.sensors import rgbd_views, scans
from s4token_model.sensors.raycast import Caster
from s4token_model.training import pretrain, procedural_samples, targets
from s4token_model.training.batches import Sampler
from s4token_model.training.loop import Progress
from s4token_model.training.settings import TrainConfig
from s4token_model.training.token_samples import Targets, TokenSample

log = logging.getLogger(__name__)
FIRST_TRAIN, FIRST_TEST = 1_800_000_000, 1_850_000_000
POINTS = 512  # per object and step, that the losses look at


@lru_cache(maxsize=1)
def objects(lab: Lab) -> list[tuple[experiment_shapes.Shape, Targets]]:
    """Objects of all classes to train on, each with its 2D targets: CLIP's dense features of `views` pictures, meant
    over the pixels that show a superpoint. The partition, and with it the targets, is the same for all tokenizers."""
    return [_with_targets(FIRST_TRAIN + k, TAUGHT[k % len(TAUGHT)], lab) for k in range(lab.effort.pretrain_shapes)]


def _with_targets(seed: int, name: str, lab: Lab) -> tuple[experiment_shapes.Shape, Targets]:
    rng, scene = np.random.default_rng(seed), scenes.make_object(seed, name)
    scan = scans.scan_object(scene, np.random.default_rng(seed), lab.effort.points, partial=False)
    shape = experiment_shapes.Shape(experiment_shapes.unit_sphere(scan.xyz), scan.part, TAUGHT.index(name))
    geometry = build_patches(shape.xyz, None, experiment_shapes.config_of("s4token"))
    frozen, size = teacher_clip.load(lab), (teacher_clip.EDGE, teacher_clip.EDGE)
    pictures = rgbd_views.render_views(scene, rng, lab.effort.views, size, teacher_clip.STYLE, Caster(scene), 50.0)
    seen = procedural_samples.seen_pixels(geometry, scan.xyz, pictures)
    return shape, targets.superpoint_features(np.stack([view.rgb for view in pictures]), seen, frozen)


@lru_cache(maxsize=1)
def _items(config: Config, lab: Lab) -> list[TokenSample]:
    return [replace(experiment_shapes.tokenized(shape, config), targets=found) for shape, found in objects(lab)]


def trained(name: str, config: Config, losses: dict, seed: int, lab: Lab) -> Tokenizer:
    """The tokenizer kept under `name`, or one trained by the paper's recipe with `losses` changed in TrainConfig.

    A killed training goes on from its last saved state; weights are those of the student.
    """
    run, effort, frozen = lab.folder / "distilled" / f"{name}-seed{seed}", lab.effort, teacher_clip.load(lab)
    how = TrainConfig(
        run=str(run), steps=effort.pretrain_steps, batch=effort.pretrain_batch, tokens=config.sampling.tokens,
        patch_points=config.patches.points, context_points=1, points=POINTS, decoder_layers=2, rate=effort.rate,
        save_every=100, seed=seed, precision="fp32", **losses,
    )  # fmt: skip
    tokenizer = pretrain.new_tokenizer(config, frozen, seed)
    if _finished(run, tokenizer, frozen, how):
        return tokenizer.eval()
    return pretrain.train(Sampler(_items(config, lab), frozen.dim), None, tokenizer, frozen, how).eval()


def _finished(run: Path, tokenizer: Tokenizer, frozen: FrozenClip, how: TrainConfig) -> bool:
    """Load the last state of a run into `tokenizer` where it has all its steps."""
    if not (run / "state.pt").is_file():
        return False
    trainer = pretrain.Trainer(tokenizer, frozen, how, 0, 1)
    assert isinstance(trainer.progress, Progress)
    return trainer.progress.step >= how.steps


@lru_cache(maxsize=1)
def held_out(effort: Effort) -> list[experiment_shapes.Shape]:
    """Objects of all classes that no tokenizer was trained on."""
    return experiment_shapes.make(FIRST_TEST, effort.held_out, effort.points, TAUGHT)


@lru_cache(maxsize=1)
def _held_out_items(config: Config, effort: Effort) -> list[TokenSample]:
    return [experiment_shapes.tokenized(shape, config) for shape in held_out(effort)]


def on_objects(tokenizer: Tokenizer, config: Config, lab: Lab) -> dict[str, float]:
    """Zero-shot over the words of all classes: mIoU of the points, each of its object's class, and top-1 of [cls]."""
    return score_objects(tokenizer, _held_out_items(config, lab.effort), lab)


@torch.no_grad()
def score_objects(tokenizer: Tokenizer, items: list[TokenSample], lab: Lab) -> dict[str, float]:
    """As `on_objects`, for objects that are tokens already."""
    frozen, text, hits = teacher_clip.load(lab), _text(lab), 0
    counts = np.zeros((len(TAUGHT), len(TAUGHT) + 1), np.int64)
    batch = lab.effort.batch if len({len(item.point) for item in items}) == 1 else 1  # only equal clouds stack
    for start in range(0, len(items), batch):
        clouds = experiment_shapes.collate(items[start : start + batch])
        features, cls = frozen.encode_tokens(tokenizer(clouds.inputs))
        guess = (clouds.weights @ (normalize(features, dim=-1) @ text.T)).argmax(dim=2).numpy()
        truth = clouds.category.unsqueeze(1).expand(-1, guess.shape[1]).numpy()
        counts += metrics.confusion(truth.ravel(), guess.ravel(), len(TAUGHT))
        hits += int(((cls @ text.T).argmax(dim=1) == clouds.category).sum())
    return {"objects_miou": metrics.scores(counts).miou, "objects_top1": hits / len(items)}


@lru_cache(maxsize=1)
def from_pictures(lab: Lab) -> dict[str, float]:
    """What the CLIP's features of pictures say of the held-out objects: the targets that a tokenizer learns to give,
    nearest word per superpoint and object. Points of superpoints that no picture shows count as wrong."""
    text, hits = _text(lab).numpy(), 0
    counts = np.zeros((len(TAUGHT), len(TAUGHT) + 1), np.int64)
    for k in range(lab.effort.held_out):
        shape, found = _with_targets(FIRST_TEST + k, TAUGHT[k % len(TAUGHT)], lab)
        ids = build_patches(shape.xyz, None, experiment_shapes.config_of("s4token")).superpoints
        word = np.full(ids.max() + 1, len(TAUGHT))
        word[found.superpoint] = (found.feature @ text.T).argmax(axis=1)
        counts[shape.category] += np.bincount(word[ids], minlength=len(TAUGHT) + 1)
        hits += int((found.global_feature @ text.T).argmax() == shape.category)
    return {"objects_miou": metrics.scores(counts).miou, "objects_top1": hits / lab.effort.held_out}


@lru_cache(maxsize=1)
def _text(lab: Lab) -> Tensor:
    templates = vocabulary.read_templates("default")
    return torch.from_numpy(vocabulary.build(TAUGHT, templates, 0.0, teacher_clip.load(lab).encode_text).text)
