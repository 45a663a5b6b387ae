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
from s4token_model.training.batches import Batch, DrawConfig, DrawnClouds, make_batch, to_device
from s4token_model.training.clustering import spatial_clusters
from s4token_model.training.loop import (
    Progress,
    cosine_rate,
    loader_processes,
    optimizer_step,
    positions_of,
    prefetch,
    read_values,
)
from s4token_model.training.masked_modeling import QueryDecoder, Teacher, first_momentum, gather, momentum_at
from s4token_model.training.sampler import Sampler, StepDraws, report_damaged
from s4token_model.training.settings import STATE, TrainConfig
from s4token_model.training.zero_shot import ZeroShot

VALIDATION_STEPS = 4


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
    student: nn.Module, teacher: Teacher, clip: FrozenClip, batch: Batch, config: TrainConfig, bf16: bool = False
) -> dict[str, Tensor]:
    """Return the named, weighted losses of a micro-batch; a loss with weight 0 is not computed.

    With `bf16` the networks run in bfloat16; the losses are computed in float32 all the same.
    """
    visible, masked = batch.masks
    precision = partial(torch.autocast, batch.weights.device.type, torch.bfloat16, enabled=bf16)
    with precision():
        features, cls = student(batch.inputs, visible, masked)
    found = {}
    asked = {"masked": masked, "visible": visible, "all": torch.cat((visible, masked), dim=1)}[config.assigned]
    if config.assign_weight and asked.shape[1]:
        # The teacher sees all tokens; its clusters tell where those of the student belong
        with torch.no_grad(), precision():
            taught, _ = clip.encode_tokens(teacher(batch.inputs))
        clusters = spatial_clusters(taught.float(), batch.inputs.position, config.clusters, config.rounds)
        assignment = gather(clusters.assignment, asked)
        reach = gather(clusters.reach, asked) if config.student_reach else None
        student_features = gather(features, asked)
        loss = losses.assignment_loss(student_features, assignment, clusters.features, config.temperature, reach)
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
    draws, steps = trainer.draws(samples), range(trainer.progress.step, config.steps)
    batches = prefetch(draws, steps, loader_processes(config.workers, config.device), trainer.device.type == "cuda")
    bar = tqdm(batches, "training", config.steps, initial=trainer.progress.step, disable=rank > 0)
    begin = time.perf_counter()
    for step, (micro_batches, damaged), waited in bar:
        report_damaged(damaged, trainer.damaged)
        validated = trainer.validate(held_out) if held_out is not None and step % config.validate_every == 0 else {}
        validated |= trainer.evaluate(step)
        values = trainer.step(step, micro_batches) | validated
        end = time.perf_counter()  # from step to step: on a GPU, a step is not over when its calls return
        values |= {"seconds/data": waited, "seconds/step": end - begin}
        begin = end
        logged = trainer.progress.after_step(
            step + 1, values, config.save_every, config.steps, rank == 0, lambda step: draws(step)[0]
        )
        if logged:
            bar.set_postfix({name: round(value, 3) for name, value in logged.items() if "/" not in name})
        for name, value in logged.items() if writer is not None else ():
            writer.add_scalar(name, value, step)
    if writer is not None:
        writer.close()


class Trainer:
    """Student, teacher, optimizer and saved state of one process; a state in the folder config.run is resumed."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, config: TrainConfig, rank: int, processes: int):
        self.positions = positions_of(config.batch, config.accumulate, rank, processes)  # of its clouds in a batch
        self.config, self.clip, self.rank = config, clip, rank
        self.device = torch.device(config.device if config.device != "cuda" else f"cuda:{torch.cuda.current_device()}")
        self.zero_shot: ZeroShot | None = None  # what is evaluated while training
        self.damaged: dict[Path, str] = {}  # files that could not be drawn from, with their errors
        torch.manual_seed(config.seed)
        self.student = Student(tokenizer, clip.to(self.device), config.decoder_layers).to(self.device)
        # DDP waits for the gradients of all that is trained; losses of visible tokens alone have none of the decoder
        decodes = bool((config.assign_weight and config.assigned != "visible") or config.local_weight)
        self.student.decoder.requires_grad_(decodes)
        if config.decoder_steps and not (decodes and config.mask_ratio and config.decoder_steps < config.steps):
            raise ValueError(
                f"decoder_steps={config.decoder_steps} must be fewer than steps={config.steps}, and needs a loss of"
                " masked tokens: assigned=masked or all, or local_weight, and mask_ratio, above 0"
            )
        self.teacher = Teacher(tokenizer)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), config.rate, weight_decay=config.weight_decay)
        state = nn.ModuleDict({"student": self.student, "teacher": self.teacher})
        self.progress = Progress(Path(config.run) / STATE, state, self.optimizer)
        self.processes, self.parallel, self._tokenizer_trained = processes, self.student, None
        self._select_trained(self.progress.step)
        self.bf16 = resolve_precision(config.precision, self.device.type) == "bf16"

    def draws(self, samples: Sampler) -> StepDraws:
        """What draws the micro-batches of this process for a step."""
        config, context = self.config, self.student.tokenizer.config.context
        draw = DrawConfig(config.tokens, config.points, config.patch_points, config.context_points)
        draw = draw._replace(context=context, mask_ratio=config.mask_ratio)
        return StepDraws(samples, draw, config.seed, self.positions, config.accumulate)

    def step(self, step: int, micro_batches: list[DrawnClouds]) -> dict[str, Tensor]:
        """Take one optimizer step; returns the losses of this process, means over micro-batches."""
        config, later = self.config, step - self.config.decoder_steps
        self._select_trained(step)
        if later < 0:
            cosine_rate(self.optimizer, config.decoder_rate, step, config.decoder_steps)
        else:
            cosine_rate(self.optimizer, config.rate, later, config.steps - config.decoder_steps)
        no_sync = nullcontext if self.parallel is self.student else self.parallel.no_sync
        losses_of = partial(self._losses, self.parallel)
        means = optimizer_step(self.optimizer, losses_of, micro_batches, Path(config.run), step, no_sync)
        if later >= 0:
            total = config.steps - config.decoder_steps
            first = first_momentum(config.momentum, config.momentum_steps, total)
            self.teacher.update(self.student.tokenizer, momentum_at(later, total, first))
        return means | {"loss": sum(means.values())}

    def _select_trained(self, step: int) -> None:
        """Freeze the tokenizer in the first decoder_steps; DDP is made anew, as it waits for what is not frozen."""
        trained = step >= self.config.decoder_steps
        if trained == self._tokenizer_trained:
            return
        self.student.tokenizer.requires_grad_(trained)
        self.parallel = DistributedDataParallel(self.student) if self.processes > 1 else self.student
        self._tokenizer_trained = trained

    @torch.no_grad()
    def validate(self, held_out: Sampler) -> dict[str, float]:
        """Losses on held-out samples, the same ones with the same masks each time."""
        values: dict[str, list[Tensor]] = {}
        for micro_batches, damaged in map(self.draws(held_out), range(VALIDATION_STEPS)):
            report_damaged(damaged, self.damaged)
            for drawn in micro_batches:
                for name, value in self._losses(self.student, drawn).items():
                    values.setdefault(f"held_out/{name}", []).append(value)
        return {name: sum(row) / len(row) for name, row in read_values(values).items()}

    def evaluate(self, step: int) -> dict[str, float]:
        """Zero-shot scores of the tokenizer, if they are due before `step`; the state keeps them."""
        if self.zero_shot is None or step % self.config.evaluate_every:
            return {}
        self.progress.evaluations[str(step)] = self.zero_shot.scores()
        return self.progress.evaluations[str(step)]

    def _losses(self, student: nn.Module, drawn: DrawnClouds) -> dict[str, Tensor]:
        batch = make_batch(to_device(drawn, self.device))
        return compute_losses(student, self.teacher, self.clip, batch, self.config, self.bf16)


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
