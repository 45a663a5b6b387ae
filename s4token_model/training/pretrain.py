"""The paper's self-supervised training: masked modeling, clustering and two-level distillation (Sec. 3.4).

    L = L_assign + 0.5 L_local + 0.5 L_global,   all weights in TrainConfig

This is what `s4token train` runs by default. The shipped s4token-mini was not trained by it, but with the labels of
procedural scenes, see train_mini.py.
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.pipeline import clip as clips
from s4token_model.pipeline.clip import FrozenClip, resolve_precision
from s4token_model.pipeline.tokenizer import TokenInput, Tokenizer
from s4token_model.training import losses
from s4token_model.training.batches import Batch, DrawConfig, Sampler
from s4token_model.training.clustering import spatial_clusters
from s4token_model.training.loop import Progress, cosine_rate, optimizer_step, prefetch, reduce_losses
from s4token_model.training.masked_modeling import QueryDecoder, Teacher, draw_masks, gather, momentum_at
from s4token_model.training.settings import STATE, TrainConfig

VALIDATION_STEPS = 4


class MaskedBatch(NamedTuple):
    """Clouds of a micro-batch, and the indices of the tokens that the student sees and of those that it does not."""

    batch: Batch
    visible: Tensor  # (B, V) long
    masked: Tensor  # (B, M) long


class Student(nn.Module):
    """What is trained: the tokenizer in front of the frozen CLIP, and the query decoder behind it."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, layers: int):
        super().__init__()
        self.tokenizer, self.decoder = tokenizer, QueryDecoder(clip.dim, layers)
        self._frozen = [clip]  # in a list, so that neither the state nor DDP includes it

    def forward(self, inputs: TokenInput, visible: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the visible and reconstruct the masked tokens: unit features of all (B, N, E), and [cls] (B, E)."""
        seen = TokenInput(*(gather(getattr(inputs, f.name), visible) for f in dataclasses.fields(inputs)))
        features, cls = self._frozen[0].encode_tokens(self.tokenizer(seen))
        features = normalize(features.float(), dim=-1)
        scaled = features * features.shape[-1] ** 0.5
        reconstructed = self.decoder(scaled, seen.position, gather(inputs.position, masked))
        all_features = features.new_empty(*inputs.position.shape[:2], features.shape[-1])
        rows = torch.arange(len(all_features), device=features.device).unsqueeze(1)
        all_features = all_features.index_put((rows, visible), features)
        return all_features.index_put((rows, masked), normalize(reconstructed.float(), dim=-1)), cls.float()


def compute_losses(
    student: nn.Module, teacher: Teacher, clip: FrozenClip, drawn: MaskedBatch, config: TrainConfig, bf16: bool = False
) -> dict[str, Tensor]:
    """Return the named, weighted losses of a micro-batch; a loss with weight 0 is not computed.

    With `bf16` the networks run in bfloat16; the losses are computed in float32 all the same.
    """
    batch, visible, masked = drawn
    precision = partial(torch.autocast, batch.weights.device.type, torch.bfloat16, enabled=bf16)
    with precision():
        features, cls = student(batch.inputs, visible, masked)
    found = {}
    if config.assign_weight and masked.shape[1]:
        # The teacher sees all tokens; its clusters tell where the masked ones belong
        with torch.no_grad(), precision():
            taught, _ = clip.encode_tokens(teacher(batch.inputs))
        clusters = spatial_clusters(taught.float(), batch.inputs.position, config.clusters, config.rounds)
        assignment = gather(clusters.assignment, masked)
        loss = losses.assignment_loss(gather(features, masked), assignment, clusters.features, config.temperature)
        found["assign"] = config.assign_weight * loss
    if config.local_weight:
        points = (batch.weights @ features).flatten(0, 1)
        loss = losses.local_distillation(points, batch.superpoint.flatten(), batch.target, batch.has_target)
        found["local"] = config.local_weight * loss
    if config.global_weight:
        found["global"] = config.global_weight * losses.global_distillation(cls, batch.global_target)
    return found


def train(samples: Sampler, held_out: Sampler | None, trainer: Trainer) -> None:
    """Train the tokenizer of `trainer` in place; a killed run gives the same losses as one that was not.

    Only rank 0 writes; the log also has the seconds of each step, and those spent waiting for its data.
    """
    config, rank = trainer.config, trainer.rank
    writer = _tensorboard(Path(config.run), trainer.progress.step) if rank == 0 else None
    batches = prefetch(lambda step: trainer.draw(samples, step), range(trainer.progress.step, config.steps))
    bar = tqdm(batches, "training", config.steps, initial=trainer.progress.step, disable=rank > 0)
    for step, micro_batches, waited in bar:
        begin = time.perf_counter()
        validated = trainer.validate(held_out) if held_out is not None and step % config.validate_every == 0 else {}
        values = trainer.step(step, micro_batches) | validated
        values |= {"seconds/data": waited, "seconds/step": waited + time.perf_counter() - begin}
        bar.set_postfix({name: round(value, 3) for name, value in values.items() if "/" not in name})
        if writer is not None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        trainer.progress.after_step(step + 1, values, config.save_every, config.steps, write=rank == 0)
    if writer is not None:
        writer.close()


class Trainer:
    """Student, teacher, optimizer and saved state of one process; a state in the folder config.run is resumed."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, config: TrainConfig, rank: int, processes: int):
        if config.batch % (processes * config.accumulate):
            raise ValueError(
                f"batch={config.batch} cannot be split over {processes} processes x accumulate={config.accumulate}"
            )
        self.config, self.clip, self.rank = config, clip, rank
        self.device = torch.device(config.device if config.device != "cuda" else f"cuda:{torch.cuda.current_device()}")
        torch.manual_seed(config.seed)
        self.student = Student(tokenizer, clip.to(self.device), config.decoder_layers).to(self.device)
        self.teacher = Teacher(tokenizer)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), config.rate, weight_decay=config.weight_decay)
        state = nn.ModuleDict({"student": self.student, "teacher": self.teacher})
        self.progress = Progress(Path(config.run) / STATE, state, self.optimizer)
        count = config.batch // processes
        self.positions = range(rank * count, (rank + 1) * count)  # of the clouds of this process in a batch
        self.parallel = DistributedDataParallel(self.student) if processes > 1 else self.student
        self.bf16 = resolve_precision(config.precision, self.device.type) == "bf16"

    def draw(self, samples: Sampler, step: int) -> list[MaskedBatch]:
        """Draw the micro-batches of this process for a step: the same batch, however many processes split it."""
        config, size = self.config, len(self.positions) // self.config.accumulate
        draw_config = DrawConfig(config.tokens, config.points, config.patch_points, config.context_points)
        drawn = []
        for start in range(self.positions.start, self.positions.stop, size):
            rngs = [np.random.default_rng([config.seed, step, start + k]) for k in range(size)]
            batch = samples.draw(draw_config, rngs)
            drawn.append(MaskedBatch(batch, *draw_masks(config.tokens, config.mask_ratio, rngs)))
        return drawn

    def step(self, step: int, micro_batches: list[MaskedBatch]) -> dict[str, float]:
        """Take one optimizer step; returns the losses, means over micro-batches and processes."""
        config = self.config
        cosine_rate(self.optimizer, config.rate, step, config.steps)
        no_sync = nullcontext if self.parallel is self.student else self.parallel.no_sync
        losses_of = partial(self._losses, self.parallel)
        means = optimizer_step(self.optimizer, losses_of, micro_batches, Path(config.run), step, no_sync)
        self.teacher.update(self.student.tokenizer, momentum_at(step, config.steps, config.momentum))
        return means | {"loss": sum(means.values())}

    @torch.no_grad()
    def validate(self, held_out: Sampler) -> dict[str, float]:
        """Losses on held-out samples, the same ones with the same masks each time."""
        totals: dict[str, float] = {}
        for number in range(VALIDATION_STEPS):
            for drawn in self.draw(held_out, number):
                for name, value in reduce_losses(self._losses(self.student, drawn)).items():
                    totals[name] = totals.get(name, 0.0) + value / (VALIDATION_STEPS * self.config.accumulate)
        return {f"held_out/{name}": value for name, value in totals.items()}

    def _losses(self, student: nn.Module, drawn: MaskedBatch) -> dict[str, Tensor]:
        drawn = MaskedBatch(*(part.to(self.device) for part in drawn))
        return compute_losses(student, self.teacher, self.clip, drawn, self.config, self.bf16)


def start(config: TrainConfig, pipeline: Config) -> tuple[Path | None, FrozenClip, Tokenizer]:
    """Return the folder of the checkpoint config.init, if one is given, the CLIP, and the tokenizer to train."""
    root = checkpoint.resolve(config.init) if config.init else None
    fp32 = configs.replace(pipeline.clip, {"precision": "fp32"})
    frozen = checkpoint.load_clip(root, fp32) if root else clips.load(fp32)
    if not config.init:
        return root, frozen, new_tokenizer(pipeline, frozen, config.seed)
    torch.manual_seed(config.seed)
    return root, frozen, checkpoint.load(config.init, pipeline)[0].train()


def new_tokenizer(config: Config, clip: FrozenClip, seed: int) -> Tokenizer:
    """An untrained tokenizer, the same for a seed."""
    torch.manual_seed(seed)
    return Tokenizer(config.tokenizer, clip.width)


def _tensorboard(run: Path, step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None  # the log in state.jsonl holds the same figures
    return SummaryWriter(str(run / "tensorboard"), purge_step=step)
