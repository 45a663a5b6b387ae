"""Self-supervised training: masked modeling with a query decoder, clustering, two-level distillation (Sec. 3.4).

L = L_assign + 0.5 L_local + 0.5 L_global,   all weights in TrainConfig
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from s4token_model.config import Config
from s4token_model.pipeline.clip import FrozenClip, resolve_precision
from s4token_model.pipeline.tokenizer import TokenInput, Tokenizer
from s4token_model.training.assignment import assignment_loss
from s4token_model.training.clustering import spatial_clusters
from s4token_model.training.distillation import global_distances, local_distances
from s4token_model.training.distributed import reduced, shared_mean
from s4token_model.training.loop import Progress, ahead, cosine_rate, stop_on_nan, timed
from s4token_model.training.masking import pick, visible_tokens
from s4token_model.training.prepared import Prepared
from s4token_model.training.query_decoder import QueryDecoder
from s4token_model.training.settings import TrainConfig
from s4token_model.training.teacher import Teacher, momentum_at
from s4token_model.training.token_samples import Batch

VALIDATION_STEPS = 4


class Student(nn.Module):
    """What is trained: the tokenizer in front of the frozen CLIP, and the query decoder behind it."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, layers: int):
        super().__init__()
        self.tokenizer, self.decoder = tokenizer, QueryDecoder(clip.dim, layers)
        self._frozen = [clip]  # in a list: not a part of the state, nor of what DDP sends

    def forward(self, inputs: TokenInput, visible: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """visible (B, V), masked (B, M) long -> features of all tokens (B, N, E), masked ones reconstructed, and [cls]
        (B, E)."""
        seen = TokenInput(*(pick(getattr(inputs, f.name), visible) for f in dataclasses.fields(inputs)))
        features, cls = self._frozen[0].encode_tokens(self.tokenizer(seen))
        features = normalize(features.float(), dim=-1)
        scaled = features * features.shape[-1] ** 0.5
        guessed = self.decoder(scaled, seen.position, pick(inputs.position, masked))
        whole = features.new_empty(*inputs.position.shape[:2], features.shape[-1])
        rows = torch.arange(len(whole), device=whole.device).unsqueeze(1)
        whole = whole.index_put((rows, visible), features)
        return whole.index_put((rows, masked), normalize(guessed.float(), dim=-1)), cls.float()


def losses_of(
    student: nn.Module, teacher: Teacher, clip: FrozenClip, batch: Batch, visible: Tensor, masked: Tensor, how,
    half: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Return the named, weighted losses of a batch; `how` is the TrainConfig. A loss with weight 0 is not computed.

    `half` runs the networks in bf16; the losses are computed in float32.
    """

    def arithmetic():
        return torch.autocast(batch.weights.device.type, torch.bfloat16, enabled=half)

    with arithmetic():
        features, cls = student(batch.inputs, visible, masked)
    losses = {}
    if how.assign_weight and masked.shape[1]:
        with torch.no_grad(), arithmetic():
            seen, _ = clip.encode_tokens(teacher(batch.inputs))
        found = spatial_clusters(seen.float(), batch.inputs.position, how.clusters, how.rounds)
        given = pick(found.assignment, masked)
        losses["assign"] = how.assign_weight * assignment_loss(
            pick(features, masked), given, found.features, how.temperature
        )
    if how.local_weight:
        points = batch.weights @ features
        reached = batch.weights.sum(dim=-1) > 0
        away = local_distances(points[reached], batch.superpoint[reached], batch.target, batch.has_target)
        losses["local"] = how.local_weight * shared_mean(away)
    if how.global_weight:
        losses["global"] = how.global_weight * shared_mean(global_distances(cls, batch.whole))
    return losses


def train(
    samples: Prepared, held_out: Prepared | None, tokenizer: Tokenizer, clip: FrozenClip, how: TrainConfig, rank: int,
    processes: int,
) -> Tokenizer:  # fmt: skip
    """Train `tokenizer` in place and return it. The state in how.run is resumed from when present: a killed run gives
    the same losses as one that was not. Rank 0 alone writes; beside the losses the seconds of a step, and those waited
    for its data."""
    run = Path(how.run)
    trainer = Trainer(tokenizer, clip, how, rank, processes)
    writer = _writer(run, trainer.progress.step) if rank == 0 else None
    steps = range(trainer.progress.step, how.steps)
    bar = tqdm(steps, "training", how.steps, initial=trainer.progress.step, disable=rank > 0)
    batches = timed(ahead(lambda s: trainer.draw(samples, s), steps))
    for step, (micro, waited) in zip(bar, batches, strict=True):
        begin, values = time.perf_counter(), {}
        if held_out is not None and (step % how.validate_every == 0):
            values = trainer.validate(held_out)
        values = trainer.step(step, micro) | values
        values |= {"seconds/data": waited, "seconds/step": waited + time.perf_counter() - begin}
        bar.set_postfix({k: round(v, 3) for k, v in values.items() if "/" not in k})
        if writer is not None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        trainer.progress.after_step(step + 1, values, how.save_every, how.steps, write=rank == 0)
    if writer is not None:
        writer.close()
    return tokenizer


class Trainer:
    """Student, teacher, optimizer and saved state of one process."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, how: TrainConfig, rank: int, processes: int):
        if how.batch % (processes * how.accumulate):
            raise ValueError(
                f"batch={how.batch} cannot be split over {processes} processes x accumulate={how.accumulate}"
            )
        self.how, self.clip = how, clip
        self.device = torch.device(how.device if how.device != "cuda" else f"cuda:{torch.cuda.current_device()}")
        torch.manual_seed(how.seed)
        self.student = Student(tokenizer, clip.to(self.device), how.decoder_layers).to(self.device)
        self.teacher = Teacher(tokenizer)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), how.rate, weight_decay=how.weight_decay)
        both = nn.ModuleDict({"student": self.student, "teacher": self.teacher})
        self.progress = Progress(Path(how.run) / "state.pt", both, self.optimizer)
        share = how.batch // processes
        self.positions = range(rank * share, (rank + 1) * share)
        self.parallel = DistributedDataParallel(self.student) if processes > 1 else self.student
        self.half = resolve_precision(how.precision, self.device.type) == "bf16"

    def draw(self, samples: Prepared, step: int) -> list[tuple[Batch, Tensor, Tensor]]:
        """Draw the micro-batches of this process for a step, with their masks."""
        size = len(self.positions) // self.how.accumulate
        drawn = []
        for start in range(self.positions.start, self.positions.stop, size):
            batch, rngs = samples.draw(self.how, step, range(start, start + size))
            drawn.append((batch, *visible_tokens(size, self.how.tokens, self.how.mask_ratio, rngs)))
        return drawn

    def step(self, step: int, micro: list[tuple[Batch, Tensor, Tensor]]) -> dict[str, float]:
        """Take one optimizer step; returns the losses, means over micro-batches and processes."""
        cosine_rate(self.optimizer, self.how.rate, step, self.how.steps)
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        for number, drawn in enumerate(micro):
            losses = self._losses(self.parallel, drawn)
            stop_on_nan(losses, Path(self.how.run), {"step": step, "batch": drawn[0]})
            last = number == len(micro) - 1
            hold = nullcontext() if last or self.parallel is self.student else self.parallel.no_sync()
            with hold:
                (torch.stack(list(losses.values())).sum() / len(micro)).backward()
            for name, value in reduced(losses).items():
                totals[name] = totals.get(name, 0.0) + value / len(micro)
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.teacher.update(self.student.tokenizer, momentum_at(step, self.how.steps, self.how.momentum))
        return totals | {"loss": sum(totals.values())}

    @torch.no_grad()
    def validate(self, held_out: Prepared) -> dict[str, float]:
        """Losses on held-out samples, the same ones with the same masks each time."""
        totals: dict[str, float] = {}
        for number in range(VALIDATION_STEPS):
            for drawn in self.draw(held_out, number):
                for name, value in reduced(self._losses(self.student, drawn)).items():
                    totals[name] = totals.get(name, 0.0) + value / (VALIDATION_STEPS * self.how.accumulate)
        return {f"held_out/{name}": value for name, value in totals.items()}

    def _losses(self, student: nn.Module, drawn: tuple[Batch, Tensor, Tensor]) -> dict[str, Tensor]:
        batch, visible, masked = (part.to(self.device) for part in drawn)
        return losses_of(student, self.teacher, self.clip, batch, visible, masked, self.how, self.half)


def new_tokenizer(config: Config, clip: FrozenClip, seed: int) -> Tokenizer:
    """An untrained tokenizer, the same for a seed."""
    torch.manual_seed(seed)
    return Tokenizer(config.tokenizer, clip.width)


def _writer(run: Path, step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None  # the log in state.jsonl holds the same figures
    return SummaryWriter(str(run / "tensorboard"), purge_step=step)
