"""Supervised part segmentation on ShapeNetPart (Tables 1 and A of the paper): `s4token train` with task=parts.

One learned task token per category and the tokens go through CLIP (after EPCL); Eq. 4 brings the features to the
points, and a head classifies them. The loss is the cross-entropy over the parts of the category.

logits_i = MLP([ f_i, p_i in units of r, max over tokens of f, category ])
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from tqdm import tqdm

from s4token_model import atomic, checkpoint, jobs
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets import shapenetpart
from s4token_model.metrics import part_ious
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import build_patches
from s4token_model.training import pretrain, provenance, settings, token_samples
from s4token_model.training.batches import Batch, DrawConfig, DrawnClouds, make_batch, to_device
from s4token_model.training.loop import Progress, cosine_rate, loader_processes, optimizer_step, prefetch
from s4token_model.training.sampler import Sampler, StepDraws, draw_clouds, report_damaged

CATEGORIES = tuple(shapenetpart.CATEGORIES)
PART_COUNTS = tuple(len(shapenetpart.parts(name)) for name in CATEGORIES)
POINTS = 2048  # kept of each shape
MIN_TOKENS = 4


class PartModel(nn.Module):
    """Tokenizer, CLIP and head. CLIP stays frozen, and out of the state, unless `tune_clip`."""

    def __init__(self, tokenizer: Tokenizer, encoder: FrozenClip, tune_clip: bool):
        super().__init__()
        self.tokenizer = tokenizer
        self.task = nn.Parameter(torch.randn(len(CATEGORIES), 1, encoder.width) * 0.02)
        self.head = nn.Sequential(
            nn.Linear(2 * encoder.dim + 3 + len(CATEGORIES), 256), nn.LayerNorm(256), nn.ReLU(),
            nn.Linear(256, 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, max(PART_COUNTS)),
        )  # fmt: skip
        self.tuned = encoder.model.visual.requires_grad_(True) if tune_clip else None
        self.register_buffer("part_counts", torch.tensor(PART_COUNTS), persistent=False)
        self._encoder = [encoder]  # in a list, so that the state does not include it

    def forward(self, batch: Batch) -> Tensor:
        """Return logits (B, P, max(PART_COUNTS)), -inf for parts that the category does not have."""
        category = batch.category
        tokens = torch.cat([self.task[category], self.tokenizer(batch.inputs)], dim=1)
        features = normalize(self._encoder[0].encode_tokens(tokens)[0].float(), dim=-1)
        features = features[:, 1:] * features.shape[-1] ** 0.5
        kind = category.unsqueeze(1) == torch.arange(len(CATEGORIES), device=category.device)
        shape = torch.cat([features.amax(dim=1), kind.float()], dim=1)
        shape = shape.unsqueeze(1).expand(-1, batch.point.shape[1], -1)
        logits = self.head(torch.cat([batch.weights @ features, batch.point, shape], dim=2))
        count = self.part_counts[category, None, None]
        return logits.masked_fill(torch.arange(max(PART_COUNTS), device=count.device) >= count, -torch.inf)


def run(config: settings.TrainConfig, pipeline: Config, processes: int, command: str) -> dict[str, Any]:
    """Train on ShapeNetPart's train and val splits in config.data, test on its test split.

    Writes model/, parts.pt and results.json into config.run; a state there is resumed.
    """
    if processes > 1:
        raise ValueError("task=parts trains in one process; start it without torchrun")
    folder = Path(config.run)
    checkpoint.check_folder(folder / "model")
    settings.save_config(folder, config, pipeline)
    root, encoder, tokenizer = pretrain.start(config, pipeline)
    train_paths, test_paths = (
        prepare_shapes(config.data, split, folder / "samples" / split, pipeline, config.workers)
        for split in ("train", "test")
    )
    model = PartModel(tokenizer, encoder.to(config.device), config.tune_clip).to(config.device)
    train(model, train_paths, config)
    result = {"task": "parts", "steps": config.steps, "tune_clip": config.tune_clip}
    result |= test(model, test_paths, config.device)
    result |= {"train_shapes": len(train_paths), "command": command}
    # The tokenizer as a checkpoint with its unchanged CLIP, all trained weights, and the figures
    provenance = {key: result[key] for key in ("command", "steps", "tune_clip", "miou_c", "miou_i")}
    checkpoint.save(folder / "model", tokenizer, pipeline, provenance, root)
    with atomic.file(folder / "parts.pt") as file:
        torch.save(model.state_dict(), file)
    with atomic.file(folder / "results.json") as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps({key: value for key, value in result.items() if key != "categories"}))
    return result


def train(model: PartModel, paths: list[Path], config: settings.TrainConfig) -> None:
    """Train with AdamW and a cosine rate; a run resumes from its last saved state with the same draws."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, config.rate, weight_decay=config.weight_decay)
    progress = Progress(Path(config.run) / settings.STATE, model, optimizer)
    draw = DrawConfig(config.tokens, config.points, config.patch_points, config.context_points, rotate=False)
    draw = draw._replace(context=model.tokenizer.config.context)
    draws = StepDraws(Sampler(paths), draw, config.seed, range(config.batch))
    accuracy, damaged = torch.zeros(()), dict[Path, str]()

    def compute_losses(drawn: DrawnClouds) -> dict[str, Tensor]:
        nonlocal accuracy
        batch = make_batch(to_device(drawn, config.device))
        logits = model(batch)
        accuracy = (logits.argmax(2) == batch.label).float().mean()
        return {"parts": cross_entropy(logits.flatten(0, 1), batch.label.flatten())}

    workers = loader_processes(config.workers, config.device)
    batches = prefetch(draws, range(progress.step, config.steps), workers, config.device.startswith("cuda"))
    bar = tqdm(batches, "training", config.steps, initial=progress.step)
    for step, (drawn, found), _ in bar:
        report_damaged(found, damaged)
        cosine_rate(optimizer, config.rate, step, config.steps)
        values = optimizer_step(optimizer, compute_losses, drawn, Path(config.run), step) | {"accuracy": accuracy}
        logged = progress.after_step(step + 1, values, config.save_every, config.steps, batch=lambda k: draws(k)[0])
        if logged:
            bar.set_postfix(loss=round(logged["parts"], 3))


@torch.no_grad()
def test(model: PartModel, paths: list[Path], device: str) -> dict[str, Any]:
    """mIoU_C and mIoU_I on the points of the samples, as `s4token evaluate shapenetpart` defines them."""
    model.eval()
    found: dict[str, list[float]] = {}
    for path in tqdm(paths, "testing"):
        sample = token_samples.load_sample(path)
        everything = DrawConfig(len(sample.position), training=False)
        batch = make_batch(to_device(draw_clouds([sample], everything, [np.random.default_rng(0)]), device))
        prediction = model(batch)[0].argmax(dim=1).cpu().numpy()
        name = CATEGORIES[int(sample.category)]
        ious = part_ious(sample.point_label.astype(np.int64), prediction, len(shapenetpart.parts(name)))
        found.setdefault(name, []).append(float(ious.mean()))
    model.train()
    categories = {name: {"shapes": len(v), "miou": float(np.mean(v))} for name, v in found.items()}
    return {
        "miou_c": float(np.mean([c["miou"] for c in categories.values()])),
        "miou_i": float(np.mean([value for values in found.values() for value in values])),
        "test_shapes": len(paths),
        "categories": categories,
    }


def prepare_shapes(root: str | Path, split: str, folder: Path, config: Config, workers: int = 1) -> list[Path]:
    """Write the missing samples of a split and return all. Shapes that fail are left out; ValueError if all do."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = shapenetpart.list_shapes(root, split)
    if split == "train":
        with suppress(ValueError):  # the usual protocol trains on both, but val may be absent
            paths = paths + shapenetpart.list_shapes(root, "val")
    made = provenance.settings_of(settings.TrainConfig(task="parts"), config)
    metadata = provenance.to_metadata(provenance.Provenance(made, "parts", split, (str(root),)))
    names = [f"{path.parent.name}_{path.stem}{token_samples.SUFFIX}" for path in paths]
    found = [(folder / name, path, config, metadata) for name, path in zip(names, paths, strict=True)]
    written = jobs.write_missing(prepare_shape, found, f"{split} samples", workers)
    if not written:
        raise ValueError(f"no shape of the split {split} of {root} can be used; see the messages above")
    return written


def prepare_shape(out: Path, source: Path, config: Config, metadata: dict[str, str]) -> list[str]:
    """Write the sample of one shape; there is nothing to note. ValueError, e.g. if it gives too few tokens."""
    shape = shapenetpart.load_shape(source)
    patched = build_patches(shape.xyz, None, configs.replace(config, {"input.clean": False}))
    rng, count = np.random.default_rng(zlib.crc32(shape.name.encode())), len(patched.superpoints)
    chosen = np.sort(rng.choice(count, min(count, POINTS), replace=False))
    sample = token_samples.make_sample(patched, config, chosen, shape.label, MIN_TOKENS)
    category = np.int32(CATEGORIES.index(shape.category))
    token_samples.save_sample(out, dataclasses.replace(sample, category=category), metadata)
    return []
