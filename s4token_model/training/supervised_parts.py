"""Supervised part segmentation on ShapeNetPart (the paper's Tables 1 and A): `s4token train` with task=parts.

Tokens, and before them one learned task token per category, go through CLIP (after EPCL); the features come to the
points by Eq. 4, and a head tells the part:

logits_i = MLP([ f_i, (p_i - mean of centroids) / r, max over tokens of f, category ]),   loss = cross-entropy over the
parts of the category
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot
from tqdm import tqdm

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets import shapenetpart
from s4token_model.io.files import atomic
from s4token_model.metrics import part_ious
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.training import part_samples, settings
from s4token_model.training.loop import Progress, ahead, cosine_rate, stop_on_nan
from s4token_model.training.part_samples import NAMES
from s4token_model.training.procedural_samples import load_sample
from s4token_model.training.settings import TrainConfig
from s4token_model.training.token_samples import Batch

COUNTS = tuple(len(shapenetpart.parts(name)) for name in NAMES)


class PartModel(nn.Module):
    """Tokenizer, CLIP and head. CLIP stays frozen, and out of the state, unless `tune_clip`."""

    def __init__(self, tokenizer: Tokenizer, encoder: FrozenClip, tune_clip: bool):
        super().__init__()
        self.tokenizer = tokenizer
        self.task = nn.Parameter(torch.randn(len(NAMES), 1, encoder.width) * 0.02)
        size = encoder.dim
        self.head = nn.Sequential(
            nn.Linear(2 * size + 3 + len(NAMES), 256), nn.LayerNorm(256), nn.ReLU(),
            nn.Linear(256, 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, max(COUNTS)),
        )  # fmt: skip
        self.tuned = encoder.model.visual.requires_grad_(True) if tune_clip else None
        self._encoder = [encoder]  # in a list: frozen, it is no part of the state

    def forward(self, batch: Batch, at: Tensor, category: Tensor) -> Tensor:
        """batch; at (B, P, 3), where the points are; category (B,) -> logits (B, P, most parts), -inf beyond the
        category's."""
        tokens = torch.cat([self.task[category], self.tokenizer(batch.inputs)], dim=1)
        features = normalize(self._encoder[0].encode_tokens(tokens)[0].float(), dim=-1)
        features = features[:, 1:] * features.shape[-1] ** 0.5
        whole = torch.cat([features.amax(dim=1), one_hot(category, len(NAMES)).float()], dim=1)
        whole = whole.unsqueeze(1).expand(-1, at.shape[1], -1)
        logits = self.head(torch.cat([batch.weights @ features, at, whole], dim=2))
        beyond = torch.arange(max(COUNTS), device=at.device) >= torch.tensor(COUNTS, device=at.device)[category, None]
        return logits.masked_fill(beyond.unsqueeze(1), -torch.inf)


def run(how: TrainConfig, config: Config, processes: int, command: str) -> dict[str, Any]:
    """Train on ShapeNetPart's train and val splits below how.data, test on its test split; writes model/, parts.pt and
    results.json into how.run, and goes on from the state there."""
    if processes > 1:
        raise ValueError("task=parts trains in one process; start it without torchrun")
    folder = Path(how.run)
    settings.keep(folder, how, config)
    root = checkpoint.resolve(how.init) if how.init else None
    encoder = clip.load(configs.replace(config.clip, {"precision": "fp32"}), root).to(how.device)
    torch.manual_seed(how.seed)
    tokenizer = checkpoint.load(how.init, config)[0].train() if how.init else Tokenizer(config.tokenizer, encoder.width)
    paths = {
        split: part_samples.prepare(how.data, split, folder / "samples" / split, config, how.workers)
        for split in ("train", "test")
    }
    model = PartModel(tokenizer, encoder, how.tune_clip).to(how.device)
    train(model, paths["train"], how)
    result = {"task": "parts", "steps": how.steps, "tune_clip": how.tune_clip, **test(model, paths["test"], how)}
    result |= {"train_shapes": len(paths["train"]), "command": command}
    _save(folder, model, config, root, result)
    print(json.dumps({key: value for key, value in result.items() if key != "categories"}))
    return result


def train(model: PartModel, paths: list[Path], how: TrainConfig) -> None:
    """AdamW with a cosine rate; a run goes on from its last saved state with the same draws."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, how.rate, weight_decay=how.weight_decay)
    progress = Progress(Path(how.run) / "state.pt", model, optimizer)
    steps = range(progress.step, how.steps)

    def draw(step: int) -> tuple[Batch, Tensor, Tensor]:
        rngs = [np.random.default_rng([how.seed, step, k]) for k in range(how.batch)]
        items = [load_sample(paths[int(rng.integers(len(paths)))]) for rng in rngs]
        return part_samples.draw(items, how, rngs)

    bar = tqdm(steps, "training", how.steps, initial=progress.step)
    for step, drawn in zip(bar, ahead(draw, steps), strict=True):
        batch, at, category = (part.to(how.device) for part in drawn)
        cosine_rate(optimizer, how.rate, step, how.steps)
        logits = model(batch, at, category)
        losses = {"parts": cross_entropy(logits.flatten(0, 1), batch.label.flatten())}
        stop_on_nan(losses, Path(how.run), {"step": step, "batch": batch})
        optimizer.zero_grad(set_to_none=True)
        losses["parts"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        values = {"parts": losses["parts"].item(), "accuracy": (logits.argmax(2) == batch.label).float().mean().item()}
        bar.set_postfix(loss=round(values["parts"], 3))
        progress.after_step(step + 1, values, how.save_every, how.steps)


@torch.no_grad()
def test(model: PartModel, paths: list[Path], how: TrainConfig) -> dict[str, Any]:
    """mIoU_C and mIoU_I on the points of the samples, as `s4token evaluate shapenetpart` defines them."""
    model.eval()
    found: dict[str, list[float]] = {}
    for path in tqdm(paths, "testing"):
        item = load_sample(path)
        batch, at, category = (part.to(how.device) for part in part_samples.whole(item, how))
        guess = model(batch, at, category)[0].argmax(dim=1).cpu().numpy()
        name = NAMES[int(item["category"])]
        ious = part_ious(item["point_label"].astype(np.int64), guess, len(shapenetpart.parts(name)))
        found.setdefault(name, []).append(float(ious.mean()))
    model.train()
    categories = {name: {"shapes": len(v), "miou": float(np.mean(v))} for name, v in found.items()}
    return {
        "miou_c": float(np.mean([c["miou"] for c in categories.values()])),
        "miou_i": float(np.mean([value for values in found.values() for value in values])),
        "test_shapes": len(paths),
        "categories": categories,
    }


def _save(folder: Path, model: PartModel, config: Config, root: Path | None, result: dict[str, Any]) -> None:
    """The tokenizer as a checkpoint (its CLIP unchanged), everything that was trained in parts.pt, the figures."""
    saved = checkpoint.bundle_clip(folder / "model", config, root)
    provenance = {key: result[key] for key in ("command", "steps", "tune_clip", "miou_c", "miou_i")}
    checkpoint.save(folder / "model", model.tokenizer, saved, provenance)
    with atomic(folder / "parts.pt") as file:
        torch.save(model.state_dict(), file)
    with atomic(folder / "results.json") as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())
