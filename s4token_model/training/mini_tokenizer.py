"""Train the tokenizer of s4token-mini in front of its frozen CLIP: distillation (Eq. 8, 9) and the text target."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from s4token_model import checkpoint, metrics, vocabulary
from s4token_model.config import Config
from s4token_model.constants import SCANNET20
from s4token_model.pipeline.clip import FrozenClip, resolve_precision
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.captions import HELD_OUT, SYNONYMS
from s4token_model.procedural.classes import INDOOR, OTHER_FURNITURE, PROCEDURAL, STREET
from s4token_model.procedural.related_words import RELATED
from s4token_model.training.batches import Batch, DrawConfig, Sampler
from s4token_model.training.loop import Progress, cosine_rate, optimizer_step, prefetch
from s4token_model.training.losses import balanced_weights, global_distillation, local_distillation, text_loss
from s4token_model.training.procedural_samples import SceneSamplers
from s4token_model.training.settings import MiniConfig

VALIDATION_BATCHES = 12
NAME_CHANCE = 0.65  # that a class goes by its name in a step
STREET_NAMES = ("person", *STREET)


class StepVocabulary(NamedTuple):
    """The class names of a step: K of the C classes and "other furniture"."""

    names: Tensor  # (K,) long, indices into the classes and, as the last one, "other furniture"
    row: Tensor  # (C,) long, the row in `names` that stands for a class, or -1


class MiniTrainer:
    """The tokenizer, the running mean of its weights, which is the result, and what all steps share."""

    def __init__(self, clip: FrozenClip, pipeline: Config, config: MiniConfig, class_weight: Tensor):
        torch.manual_seed(config.seed)
        self.clip, self.pipeline, self.config, self.class_weight = clip, pipeline, config, class_weight
        self.classes = class_names(config)
        self.tokenizer = Tokenizer(pipeline.tokenizer, clip.width)
        if config.start:
            self.tokenizer.load_state_dict(checkpoint.load(config.start, pipeline)[0].state_dict())
        self.mean = AveragedModel(self.tokenizer, multi_avg_fn=get_ema_multi_avg_fn(0.999))
        self.text = synonym_features(clip, pipeline, self.classes)
        self.bf16 = resolve_precision(config.precision) == "bf16"

    def compute_losses(
        self, batch: Batch, names: StepVocabulary, text: Tensor, skip_blocks: bool = False
    ) -> dict[str, Tensor]:
        """Return the named, weighted losses of a batch; with `skip_blocks`, without CLIP's blocks.

        The text loss is over `names` and the points they stand for. text (C + 1, E): classes and "other furniture".
        """
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            features, cls = self.clip.encode_tokens(self.tokenizer(batch.inputs), skip_blocks)
        features, cls = features.float(), cls.float()
        points = batch.weights @ normalize(features, dim=-1)
        row = names.row[batch.label].masked_fill(batch.label < 0, -1)
        named, weight = row >= 0, self.class_weight[names.names]
        local = local_distillation(points.flatten(0, 1), batch.superpoint.flatten(), batch.target, batch.has_target)
        target = text_loss(points[named], text[names.names], row[named], weight, self.pipeline.vocabulary.temperature)
        return {
            "local": self.config.distill_weight * local,
            "global": self.config.distill_weight * global_distillation(cls, batch.global_target),
            "text": self.config.text_weight * target,
        }

    @torch.no_grad()
    def validate(self, held_out: SceneSamplers, skip_blocks: bool = False) -> dict[str, float]:
        """mIoU of the mean weights on held-out rooms, with all tokens, and on streets among their own names."""
        found = {}
        if held_out.rooms.samples:
            rooms = torch.arange(len(self.classes)) < len(INDOOR)
            found["held_out_miou"] = self._miou(held_out.rooms, rooms, VALIDATION_BATCHES, skip_blocks)
        if held_out.streets.samples and len(self.classes) > len(INDOOR):
            streets = torch.tensor([name in STREET_NAMES for name in self.classes])
            found["held_out_streets"] = self._miou(held_out.streets, streets, VALIDATION_BATCHES // 2, skip_blocks)
        return found

    def _miou(self, sampler: Sampler, allowed: Tensor, batches: int, skip_blocks: bool) -> float:
        """mIoU over the classes present; only points of `allowed` (C,) classes count, and only these are predicted."""
        text = torch.stack([rows[0] for rows in self.text[:-1]])
        counts = np.zeros((len(text), len(text) + 1), np.int64)
        draw_config = DrawConfig(self.pipeline.sampling.tokens, training=False)
        for seed in range(batches):
            batch = sampler.draw(draw_config, [np.random.default_rng([seed])] * self.config.batch)
            features, _ = self.clip.encode_tokens(self.mean.module(batch.inputs), skip_blocks)
            points = batch.weights @ normalize(features, dim=-1)
            counted = (batch.label >= 0) & allowed[batch.label]
            scores = (points[counted] @ text.T).masked_fill(~allowed, -torch.inf)
            counts += metrics.confusion(batch.label[counted].numpy(), scores.argmax(dim=-1).numpy(), len(text))
        return metrics.scores(counts).miou


def train(
    samples: SceneSamplers, held_out: SceneSamplers, clip: FrozenClip, pipeline: Config, config: MiniConfig, run: Path
) -> Tokenizer:
    """Train and return the tokenizer with the mean of its weights over the last steps; a state in `run` is resumed."""
    trainer = MiniTrainer(clip, pipeline, config, class_weights(samples, class_names(config)))
    weights = trainer.tokenizer.parameters()
    optimizer = torch.optim.AdamW(weights, config.rate, betas=(0.9, 0.98), weight_decay=config.weight_decay)
    state = nn.ModuleDict({"live": trainer.tokenizer, "mean": trainer.mean})
    progress = Progress(run / "tokenizer.pt", state, optimizer)
    batches = prefetch(lambda step: draw(samples, step, pipeline, config), range(progress.step, config.steps))
    bar = tqdm(batches, "tokenizer", config.steps, initial=progress.step)
    for step, batch, _ in bar:
        rng = np.random.default_rng([config.seed, 17, step])
        skip_blocks = step < round(config.skip_share * config.steps)  # frozen blocks slow the first learning down
        names = draw_vocabulary(rng, trainer.classes, is_street_step(step, samples, config))
        text = draw_synonyms(trainer.text, rng)
        cosine_rate(optimizer, config.rate, step, config.steps, config.last_rate)
        compute_losses = partial(trainer.compute_losses, names=names, text=text, skip_blocks=skip_blocks)
        values = optimizer_step(optimizer, compute_losses, [batch], run, step)
        trainer.mean.update_parameters(trainer.tokenizer)
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            values |= (found := trainer.validate(held_out, skip_blocks))
            bar.set_postfix({name: round(value, 3) for name, value in found.items()})
        progress.after_step(step + 1, values, config.save_every, config.steps)
    return trainer.mean.module


def draw(samples: SceneSamplers, step: int, pipeline: Config, config: MiniConfig) -> Batch:
    """Draw the batch of a step, the same for a step and seed."""
    rng = np.random.default_rng([config.seed, 13, step])
    sampler = samples.streets if is_street_step(step, samples, config) else samples.rooms
    return sampler.draw(draw_config(step, pipeline, config), [rng] * config.batch)


def draw_config(step: int, pipeline: Config, config: MiniConfig) -> DrawConfig:
    """How the batch of a step is drawn: few tokens for speed, as many as at inference in the last steps."""
    last_part = step >= (1 - config.full_share) * config.steps
    tokens = pipeline.sampling.tokens if last_part else config.tokens
    return DrawConfig(tokens, config.step_points, config.patch_points, config.context_points, jitter=config.blur)


def is_street_step(step: int, samples: SceneSamplers, config: MiniConfig) -> bool:
    """Whether a step sees only streets, and only their class names: nobody looks for a bathtub on a road."""
    if not samples.streets.samples or not config.street_share:
        return False
    return not samples.rooms.samples or np.random.default_rng([config.seed, 19, step]).random() < config.street_steps


def class_names(config: MiniConfig) -> tuple[str, ...]:
    """The classes that the vocabulary of a step is drawn from; "other furniture" always follows the last one."""
    return PROCEDURAL if config.street_share else INDOOR


def class_weights(samples: SceneSamplers, classes: tuple[str, ...] = INDOOR) -> Tensor:
    """Weights of the classes and "other furniture": classes of streets are weighed among streets, the rest in rooms."""
    rooms, streets = (label_counts(sampler, len(classes)) for sampler in (samples.rooms, samples.streets))
    other = sum(rooms[classes.index(name)] for name in OTHER_FURNITURE)
    indoors = balanced_weights(torch.from_numpy(np.append(rooms, other)))
    if not streets.any():
        return indoors
    outdoors = balanced_weights(torch.from_numpy(np.append(streets, 0)))
    return torch.where(torch.tensor([name in STREET for name in (*classes, "")]), outdoors, indoors)


def label_counts(sampler: Sampler, classes: int) -> np.ndarray:
    """How many points (C,) of each class the samples have."""
    labels = [sample.point_label[sample.point_label >= 0] for sample in sampler.samples]
    return sum((np.bincount(label, minlength=classes) for label in labels), np.zeros(classes, np.int64))


def synonym_features(clip: FrozenClip, pipeline: Config, classes: tuple[str, ...] = INDOOR) -> list[Tensor]:
    """Text features of each class and of "other furniture": its name, synonyms that are not held out, and kinds."""
    templates = vocabulary.read_templates(pipeline.vocabulary.templates)
    features = []
    for name in (*classes, SCANNET20[19]):
        names = [word for word in SYNONYMS.get(name, (name,)) if word not in HELD_OUT.get(name, ())] or [name]
        names += RELATED.get(name, ())
        rows = vocabulary.encode_phrases(names, templates, clip.encode_text)
        features.append(torch.from_numpy(vocabulary.average_templates(rows)))
    return features


def draw_synonyms(features: list[Tensor], rng: np.random.Generator) -> Tensor:
    """(C + 1, E): mostly the feature of the name itself, else of one of its synonyms and kinds."""
    return torch.stack([rows[0 if rng.random() < NAME_CHANCE else int(rng.integers(len(rows)))] for rows in features])


def draw_vocabulary(
    rng: np.random.Generator, classes: tuple[str, ...] = INDOOR, outdoors: bool = False
) -> StepVocabulary:
    """Draw the class names of a step: ScanNet's half of the time, else half of the classes, or all of them.

    Outdoors they are those of streets, and persons. Users ask for some 20 names, not for everything in the scenes.
    Among ScanNet's names, "other furniture" stands for the furniture that has no name of its own.
    """
    chance = 1.0 if outdoors else rng.random()
    if outdoors:
        names = torch.tensor([classes.index(name) for name in STREET_NAMES])
    elif chance < 0.5:
        names = torch.tensor([*range(len(SCANNET20) - 1), len(classes)])
    else:
        names = torch.from_numpy(rng.random(len(classes)) < (0.5 if chance < 0.75 else 1.0)).nonzero().flatten()
    row = torch.full((len(classes) + 1,), -1)
    row[names] = torch.arange(len(names))
    if chance < 0.5:
        row[[classes.index(name) for name in OTHER_FURNITURE]] = len(names) - 1
    return StepVocabulary(names, row[:-1])
