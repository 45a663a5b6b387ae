"""Train the tokenizer of s4token-mini in front of its frozen CLIP: the text target, and distillation (Eq. 8, 9)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from s4token_model import checkpoint, metrics
from s4token_model.config import Config
from s4token_model.pipeline.clip import FrozenClip, resolve_precision
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.classes import INDOOR, OTHER_FURNITURE, PROCEDURAL, STREET
from s4token_model.training.batches import Batch, DrawConfig
from s4token_model.training.loop import Progress, cosine_rate, descend
from s4token_model.training.losses import balanced_weights, global_distillation, local_distillation, text_loss
from s4token_model.training.procedural_samples import TrainingScenes
from s4token_model.training.scene_batches import SceneBatches, merge_pairs
from s4token_model.training.settings import MiniConfig
from s4token_model.training.step_vocabulary import (
    STREET_NAMES,
    StepVocabulary,
    draw_synonyms,
    draw_vocabulary,
    synonym_features,
)

VALIDATION_BATCH = 8  # clouds
TEACHER_WEIGHT = 10.0  # at the first step, of 1 - cosine; the text target divides cosines by 0.05
SCHEDULE = 1_000_000  # steps of the learning rate from the first to the last step of the training


class MiniTrainer:
    """The tokenizer, the running mean of its weights, which is the result, and what all steps share; on one device."""

    def __init__(self, clip: FrozenClip, pipeline: Config, config: MiniConfig, class_weight: Tensor):
        torch.manual_seed(config.seed)
        self.clip, self.pipeline, self.config = clip, pipeline, config
        self.device, self.class_weight = clip.device, class_weight.to(clip.device)
        self.classes = class_names(config)
        self.tokenizer = Tokenizer(pipeline.tokenizer, clip.width)
        if config.start:
            load_fitting(self.tokenizer, checkpoint.load(config.start)[0].state_dict())
        self.tokenizer.to(self.device)
        self.teacher = checkpoint.load(config.teacher, device=clip.device)[:2] if config.teacher else None
        self.mean = AveragedModel(self.tokenizer, multi_avg_fn=get_ema_multi_avg_fn(0.999))
        self.text = synonym_features(clip, pipeline, self.classes)
        self.bf16 = resolve_precision(config.precision, self.device.type) == "bf16"

    def make_optimizer(self) -> torch.optim.Optimizer:
        """AdamW over the tokenizer's weights."""
        weights, config = list(self.tokenizer.parameters()), self.config
        return torch.optim.AdamW(weights, config.rate, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True)

    def step(
        self, optimizer: torch.optim.Optimizer, batch: Batch, step: int, outdoors: bool, done: float
    ) -> dict[str, Tensor]:
        """Take one step on a batch of rooms or of streets, after the part `done` of all, and return its losses."""
        names, text = self.draw_names(np.random.default_rng([self.config.seed, 17, step]), outdoors)
        # Frozen blocks slow the first learning down
        losses = self.compute_losses(batch, names, text, done < self.config.skip_share, self.taught(done, outdoors))
        descend(optimizer, losses)
        self.mean.update_parameters(self.tokenizer)
        return losses

    def taught(self, done: float, outdoors: bool) -> float:
        """The weight of the teacher after the part `done` of all steps: less and less, or all the time in rooms."""
        if self.teacher and self.config.teacher_rooms:
            return 0.0 if outdoors else TEACHER_WEIGHT
        part = self.config.teacher_part
        return TEACHER_WEIGHT * max(0.0, 1 - done / part) if self.teacher and part else 0.0

    def draw_names(self, rng: np.random.Generator, outdoors: bool) -> tuple[StepVocabulary, Tensor]:
        """Draw the class names of a step, and the text features (C + 1, E) of the classes and "other furniture"."""
        names, text = draw_vocabulary(rng, self.classes, outdoors), draw_synonyms(self.text, rng)
        names = StepVocabulary(*(value.to(self.device, non_blocking=True) for value in names))
        return names, text.to(self.device, non_blocking=True)

    def compute_losses(
        self, batch: Batch, names: StepVocabulary, text: Tensor, skip_blocks: bool = False, taught: float = 0.0
    ) -> dict[str, Tensor]:
        """Return the named, weighted losses of a batch; with `skip_blocks`, without CLIP's blocks.

        `taught` is the weight of the teacher's features of the same tokens. The text loss is over `names` and the
        points they stand for. text (C + 1, E): classes and "other furniture".
        """
        config = self.config
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            features, cls = self.clip.encode_tokens(self.tokenizer(batch.inputs), skip_blocks)
            if taught and self.teacher:
                tokenizer, clip = self.teacher
                with torch.no_grad():
                    wanted, _ = clip.encode_tokens(tokenizer(batch.inputs))
        points = (batch.weights @ normalize(features.float(), dim=-1)).flatten(0, 1)
        label = batch.label.flatten()
        row = names.row[label].masked_fill(label < 0, -1)
        weight, temperature = self.class_weight[names.names], self.pipeline.vocabulary.temperature
        found = {"text": config.text_weight * text_loss(points, text[names.names], row, weight, temperature)}
        if taught and self.teacher:
            found["teacher"] = taught * (1 - cosine_similarity(features.float(), wanted.float(), dim=-1)).mean()
        if config.distill_weight:
            local = local_distillation(points, batch.superpoint.flatten(), batch.target, batch.has_target)
            found["local"] = config.distill_weight * local
            found["global"] = config.distill_weight * global_distillation(cls.float(), batch.global_target)
        return found

    @torch.no_grad()
    def validate(self, held_out: TrainingScenes, skip_blocks: bool = False) -> dict[str, float]:
        """mIoU of the mean weights on held-out rooms, with all tokens, and on streets among their own names."""
        found = {}
        if held_out.rooms is not None:
            rooms = torch.arange(len(self.classes)) < len(INDOOR)
            found["held_out_miou"] = self._miou(held_out.rooms, rooms, skip_blocks)
        if held_out.streets is not None and len(self.classes) > len(INDOOR):
            streets = torch.tensor([name in STREET_NAMES for name in self.classes])
            found["held_out_streets"] = self._miou(held_out.streets, streets, skip_blocks)
        return found

    def _miou(self, samples: SceneBatches, allowed: Tensor, skip_blocks: bool) -> float:
        """mIoU over the classes present; only points of `allowed` (C,) classes count, and only these are predicted."""
        text = torch.stack([rows[0] for rows in self.text[:-1]])
        counts = np.zeros((len(text), len(text) + 1), np.int64)
        everything = DrawConfig(self.pipeline.sampling.tokens, training=False)
        for start in range(0, samples.size, VALIDATION_BATCH):
            batch = samples.draw(np.arange(start, min(start + VALIDATION_BATCH, samples.size)), everything)
            features, _ = self.clip.encode_tokens(self.mean.module(batch.inputs), skip_blocks)
            points, label = (batch.weights @ normalize(features, dim=-1)).cpu(), batch.label.cpu()
            counted = (label >= 0) & allowed[label]
            scores = (points[counted] @ text.T).masked_fill(~allowed, -torch.inf)
            counts += metrics.confusion(label[counted].numpy(), scores.argmax(dim=-1).numpy(), len(text))
        return metrics.scores(counts).miou


def train(
    samples: TrainingScenes, held_out: TrainingScenes, clip: FrozenClip, pipeline: Config, config: MiniConfig,
    run: Path, renewed: Callable[[], TrainingScenes | None] = lambda: None,
) -> Tokenizer:  # fmt: skip
    """Train and return the tokenizer with the mean of its weights over the last steps; a state in `run` is resumed.

    With a limit of time, as many steps are taken as it allows, and only the last weights are tried on held-out scenes.
    renewed() are samples to go on with, or None.
    """
    trainer = MiniTrainer(clip, pipeline, config, class_weights(samples, class_names(config)))
    optimizer = trainer.make_optimizer()
    state = nn.ModuleDict({"live": trainer.tokenizer, "mean": trainer.mean})
    state.register_buffer("seconds", torch.zeros((), dtype=torch.float64))
    progress = Progress(run / "tokenizer.pt", state, optimizer)
    limit, begin = 60 * config.train_minutes, time.monotonic() - float(state.seconds)

    def finished() -> float:
        """The part of the training that is over, of its time or of its steps."""
        state.seconds.fill_(time.monotonic() - begin)
        return float(state.seconds) / limit if limit else progress.step / config.steps

    done, bar = finished(), tqdm(desc="tokenizer", total=None if limit else config.steps, initial=progress.step)
    while done < 1:
        if (more := renewed()) is not None:
            samples, trainer.class_weight = more, class_weights(more, trainer.classes).to(clip.device)
        step = progress.step
        cosine_rate(optimizer, config.rate, round(done * SCHEDULE), SCHEDULE, config.last_rate)
        batch = draw(samples, step, done, pipeline, config)
        losses = trainer.step(optimizer, batch, step, is_street_step(step, samples, config), done)
        # A loss is read only here: on a GPU, reading one would wait for all steps before
        values: dict[str, Any] = {name: loss.detach() for name, loss in losses.items()}
        progress.step = step + 1
        done = finished()
        bar.update()
        if progress.step % config.save_every == 0 or done >= 1:
            values |= (found := trainer.validate(held_out, done < config.skip_share) if done >= 1 or not limit else {})
            bar.set_postfix({name: round(value, 3) for name, value in found.items()})
        last = progress.step if done >= 1 else 0
        progress.after_step(progress.step, values, config.save_every, last, batch=lambda _, batch=batch: batch)
    return trainer.mean.module.cpu()


def draw(samples: TrainingScenes, step: int, done: float, pipeline: Config, config: MiniConfig) -> Batch:
    """Draw the batch of a step, the same for a step and seed; `done` is the part of the training before it."""
    rng = np.random.default_rng([config.seed, 13, step])
    chosen = samples.streets if is_street_step(step, samples, config) else samples.rooms
    # The last steps see clouds as they are
    unmixed = done >= 1 - config.full_share or np.random.default_rng([config.seed, 23, step]).random() >= config.mix
    count = config.batch if unmixed else config.batch + config.batch % 2
    batch = chosen.draw(chosen.choose(count, rng), draw_config(done, pipeline, config), rng, config.blur)
    return batch if unmixed else merge_pairs(batch)


def draw_config(done: float, pipeline: Config, config: MiniConfig) -> DrawConfig:
    """How a batch is drawn: few tokens for speed, as many as at inference in the last part of the training."""
    tokens = pipeline.sampling.tokens if done >= 1 - config.full_share else config.tokens
    return DrawConfig(tokens, config.step_points, config.patch_points, config.context_points)


def is_street_step(step: int, samples: TrainingScenes, config: MiniConfig) -> bool:
    """Whether a step sees only streets, and only their class names: nobody looks for a bathtub on a road."""
    if samples.streets is None or not config.street_share:
        return False
    return samples.rooms is None or np.random.default_rng([config.seed, 19, step]).random() < config.street_steps


def class_names(config: MiniConfig) -> tuple[str, ...]:
    """The classes that the vocabulary of a step is drawn from; "other furniture" always follows the last one."""
    return PROCEDURAL if config.street_share else INDOOR


def load_fitting(tokenizer: Tokenizer, weights: dict[str, Tensor]) -> None:
    """Load the weights that a tokenizer of another size has, too, and say which stay random; ValueError if all do."""
    own = tokenizer.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if "patch.out.2.bias" not in fitting:  # it has the width of the tokens
        raise ValueError("start: no weights fit this tokenizer; give a checkpoint in front of a CLIP of the same width")
    tokenizer.load_state_dict(fitting, strict=False)
    if missing := sorted(own.keys() - fitting.keys()):
        print(f"start: {len(missing)} of {len(own)} tensors begin at random: {', '.join(missing)}", flush=True)


def class_weights(samples: TrainingScenes, classes: tuple[str, ...] = INDOOR) -> Tensor:
    """Weights of the classes and "other furniture": classes of streets are weighed among streets, the rest in rooms."""
    rooms, streets = (label_counts(scenes, len(classes)) for scenes in (samples.rooms, samples.streets))
    other = rooms[[classes.index(name) for name in OTHER_FURNITURE]].sum()
    indoors = balanced_weights(torch.cat([rooms, other[None]]))
    if not streets.any():
        return indoors
    outdoors = balanced_weights(torch.cat([streets, torch.zeros_like(other[None])]))
    return torch.where(torch.tensor([name in STREET for name in (*classes, "")]), outdoors, indoors)


def label_counts(scenes: SceneBatches | None, classes: int) -> Tensor:
    """How many points (C,) of each class the samples have."""
    if scenes is None:
        return torch.zeros(classes, dtype=torch.long)
    return torch.bincount(scenes.points.point_label.cpu().flatten().long() + 1, minlength=classes + 1)[1:]
