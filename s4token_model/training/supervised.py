"""Supervised segmentation: a tokenizer in front of CLIP, a head behind it, labels of the points (Tables 1 and A).

What is shared by task=parts (ShapeNetPart) and task=semantic (S3DIS): the model, its training in one process or under
torchrun, in fp32 or bf16, and what a run writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from s4token_model import atomic, checkpoint, jobs
from s4token_model.config import Config
from s4token_model.pipeline.clip import FrozenClip, resolve_precision
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.training import pretrain, provenance, settings, supervised_heads, token_samples
from s4token_model.training.batches import Batch, DrawConfig, DrawnClouds, make_batch, to_device
from s4token_model.training.loop import (
    Progress,
    cosine_rate,
    distributed_mean,
    loader_processes,
    optimizer_step,
    positions_of,
    prefetch,
)
from s4token_model.training.sampler import Sampler, StepDraws, draw_clouds, report_damaged

Items = list[tuple]  # arguments of a function that writes samples, see jobs.write_missing


class Task(NamedTuple):
    """What a supervised training is about."""

    name: str
    prepare: Callable[..., list[Path]]  # (training config, split, folder, pipeline, rank, processes)
    model: Callable[[Tokenizer, FrozenClip, settings.TrainConfig], SegmentationModel]
    score: Callable[[SegmentationModel, list[Path], str], dict[str, Any]]
    headline: tuple[str, str]  # the figures that the paper gives


class SegmentationModel(nn.Module):
    """Tokenizer, CLIP and head. CLIP stays frozen, and out of the state, unless `tune_clip`.

    EPCL's head has a learned task token per category, which goes through CLIP with the tokens.
    """

    def __init__(
        self, tokenizer: Tokenizer, encoder: FrozenClip, categories: int, classes: int, config: settings.TrainConfig
    ):
        super().__init__()
        self.tokenizer, self.categories = tokenizer, categories
        blocks = encoder.model.visual.transformer.resblocks
        self._levels = [blocks[max(0, len(blocks) * k // 3 - 1)] for k in (1, 2, 3)]
        if config.head == supervised_heads.EPCL:
            self.task = nn.Parameter(torch.randn(categories, 1, encoder.width) * 0.02)
            self.head: nn.Module = supervised_heads.EpclHead(encoder.dim, categories, classes)
        else:
            self.task = None
            self.head = supervised_heads.PointBertHead(encoder.width, categories, classes, config.dropout)
        self.tuned = encoder.model.visual.requires_grad_(True) if config.tune_clip else None
        self._encoder = [encoder]  # in a list, so that the state does not include it

    def forward(self, batch: Batch, bf16: bool = False) -> Tensor:
        """Return logits (B, P, classes), float32; with `bf16` the networks run in bfloat16."""
        with torch.autocast(batch.weights.device.type, torch.bfloat16, enabled=bf16):
            tokens = self.tokenizer(batch.inputs)
            if self.task is not None:
                tokens = torch.cat([self.task[batch.category], tokens], dim=1)
            with supervised_heads.kept_outputs(self._levels) as levels:
                features = self._encoder[0].encode_tokens(tokens)[0]
            # Without the class token and the task token
            count = batch.inputs.position.shape[1]
            features, levels = features[:, -count:], [level[:, -count:] for level in levels]
            kind = batch.category.unsqueeze(1) == torch.arange(self.categories, device=batch.category.device)
            return self.head(features, levels, batch, kind.float()).float()


def run(
    task: Task, config: settings.TrainConfig, pipeline: Config, rank: int, processes: int, command: str
) -> dict[str, Any]:
    """Train on config.data and test on its test split; writes model/, parts.pt and results.json into config.run.

    parts.pt has all trained weights; a state in that folder is resumed. Returns the figures, {} on ranks other than 0.
    """
    folder = Path(config.run)
    if rank == 0:
        checkpoint.check_folder(folder / "model")
        settings.save_config(folder, config, pipeline)
    root, encoder, tokenizer = pretrain.start(config, pipeline)
    train_paths, test_paths = (
        task.prepare(config, split, folder / "samples" / split, pipeline, rank, processes)
        for split in ("train", "test")
    )
    device = config.device if config.device != "cuda" else f"cuda:{torch.cuda.current_device()}"
    model = task.model(tokenizer, encoder.to(device), config).to(device)
    train(model, train_paths, config, rank, processes)
    if rank > 0:
        return {}
    result = {"task": task.name, "steps": config.steps, "tune_clip": config.tune_clip, "head": config.head}
    result |= task.score(model.eval(), test_paths, device)
    result |= {"train_samples": len(train_paths), "command": command}
    with atomic.file(folder / "parts.pt") as file:
        torch.save(model.state_dict(), file)
    with atomic.file(folder / "results.json") as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())
    # The tokenizer with its unchanged CLIP; last, as a run with a model has finished
    record = {key: result[key] for key in ("command", "steps", "tune_clip", *task.headline)}
    checkpoint.save(folder / "model", tokenizer, pipeline, record, root)
    print(json.dumps({key: result[key] for key in ("task", "steps", *task.headline, "train_samples")}))
    return result


def train(
    model: SegmentationModel, paths: list[Path], config: settings.TrainConfig, rank: int = 0, processes: int = 1
) -> None:
    """Train with AdamW and a cosine rate; a run resumes from its last saved state with the same draws."""
    device = next(model.head.parameters()).device
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, config.rate, weight_decay=config.weight_decay)
    progress = Progress(Path(config.run) / settings.STATE, model, optimizer)
    draws, damaged = draws_of(config, paths, model.tokenizer.config.context, rank, processes), dict[Path, str]()
    # Not all of a tuned CLIP is used: neither its patch convolution nor, by Point-BERT's head, its last projection
    parallel = DistributedDataParallel(model, find_unused_parameters=config.tune_clip) if processes > 1 else model
    bf16 = resolve_precision(config.precision, device.type) == "bf16"
    accuracy: list[Tensor] = []

    def compute_losses(drawn: DrawnClouds) -> dict[str, Tensor]:
        batch = make_batch(to_device(drawn, device))
        logits, label = parallel(batch, bf16).flatten(0, 1), batch.label.flatten()
        labeled = label >= 0
        accuracy.append(((logits.argmax(1) == label) & labeled).sum() / labeled.sum().clamp(min=1))
        values = cross_entropy(logits, label.clamp(min=0), reduction="none")
        return {config.task: distributed_mean(values, labeled)}

    workers = loader_processes(config.workers, config.device)
    batches = prefetch(draws, range(progress.step, config.steps), workers, config.device.startswith("cuda"))
    bar = tqdm(batches, "training", config.steps, initial=progress.step, disable=rank > 0)
    no_sync = nullcontext if parallel is model else parallel.no_sync
    for step, (micro_batches, found), _ in bar:
        report_damaged(found, damaged)
        cosine_rate(optimizer, config.rate, step, config.steps)
        torch.manual_seed(config.seed + step * processes + rank)  # of dropout: a resumed run draws the same
        values = optimizer_step(optimizer, compute_losses, micro_batches, Path(config.run), step, no_sync)
        values |= {"accuracy": torch.stack(accuracy).mean()}
        accuracy.clear()
        logged = progress.after_step(
            step + 1, values, config.save_every, config.steps, rank == 0, lambda step: draws(step)[0]
        )
        if logged:
            bar.set_postfix(loss=round(logged[config.task], 3))


def draws_of(config: settings.TrainConfig, paths: list[Path], context: bool, rank: int, processes: int) -> StepDraws:
    """What draws, and augments, the micro-batches of this process for a step."""
    positions = positions_of(config.batch, config.accumulate, rank, processes)
    draw = DrawConfig(config.tokens, config.points, config.patch_points, config.context_points, config.rotate)
    draw = draw._replace(context=context, axis_scale=config.axis_scale, jitter=config.jitter)
    return StepDraws(Sampler(paths), draw, config.seed, positions, config.accumulate)


@torch.no_grad()
def predict(model: SegmentationModel, sample: token_samples.TokenSample, device: str) -> np.ndarray:
    """Classes (P,) int64 of all points of a sample by all of its tokens."""
    everything = DrawConfig(len(sample.position), training=False, context=model.tokenizer.config.context)
    drawn = draw_clouds([sample], everything, [np.random.default_rng(0)])
    return model(make_batch(to_device(drawn, device)))[0].argmax(dim=1).cpu().numpy()


def write_samples(
    write: Callable[..., list[str]], items: Items, title: str, config: settings.TrainConfig, rank: int, processes: int
) -> list[Path]:
    """Write what is missing of the files of `items`, each process a part; returns all that are there then."""
    if processes > 1:
        jobs.write_missing(write, items[rank::processes], title, config.workers)
        dist.barrier()
    return jobs.write_missing(write, items, title, config.workers)


def metadata_of(task: str, split: str, config: settings.TrainConfig, pipeline: Config) -> dict[str, str]:
    """The record in each sample of how it was made."""
    made = provenance.settings_of(settings.TrainConfig(task=task), pipeline)
    return provenance.to_metadata(provenance.Provenance(made, task, split, (config.data,)))
