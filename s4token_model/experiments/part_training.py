"""Part segmentation of procedural objects, fully trained: tokenizer, a small transformer and a head (Table 1)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from s4token_model import atomic
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.experiments import procedural_objects
from s4token_model.experiments.procedural_objects import Shape
from s4token_model.experiments.runs import Budget, Workspace
from s4token_model.metrics import part_ious
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.classes import PARTS
from s4token_model.training.batches import Batch
from s4token_model.training.loop import cosine_rate, optimizer_step
from s4token_model.training.sampler import subsample_points
from s4token_model.training.token_samples import TokenSample

FIRST_TRAIN, FIRST_TEST = 1_700_000_000, 1_750_000_000  # seeds of objects that no model was trained on
LOSS_POINTS = 512  # per object and step
CATEGORIES = len(procedural_objects.WITH_PARTS)


class PartModel(nn.Module):
    """Tokens by self-attention, Eq. 4 to the points, a head that knows the category; no CLIP, to train in a minute."""

    def __init__(self, config: Config, width: int):
        super().__init__()
        self.tokenizer = Tokenizer(config.tokenizer, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(
            nn.Linear(2 * width + CATEGORIES, 2 * width), nn.LayerNorm(2 * width), nn.ReLU(),
            nn.Linear(2 * width, len(PARTS)),
        )  # fmt: skip

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits of the parts, (B, P, len(PARTS))."""
        tokens = self.norm(self.tokenizer(batch.inputs))
        points = batch.weights @ tokens
        shape = torch.cat([tokens.amax(dim=1), one_hot(batch.category, CATEGORIES).float()], dim=1)
        return self.head(torch.cat([points, shape.unsqueeze(1).expand(-1, points.shape[1], -1)], dim=2))


@lru_cache(maxsize=2)
def shapes(budget: Budget) -> tuple[list[Shape], list[Shape]]:
    """Objects to train on and to test with."""
    train = procedural_objects.make(FIRST_TRAIN, budget.train_shapes, budget.points)
    return train, procedural_objects.make(FIRST_TEST, budget.test_shapes, budget.points)


@lru_cache(maxsize=1)
def samples(config: Config, budget: Budget) -> tuple[list[TokenSample], list[TokenSample]]:
    """The same objects as tokens; kept for all seeds of one setting."""
    train, test = ([procedural_objects.tokenize(shape, config) for shape in made] for made in shapes(budget))
    return train, test


def trained(config: Config, seed: int, steps: int, workspace: Workspace, name: str) -> PartModel:
    """Train a model, or load it if the workspace has one of that name and seed: AdamW, cosine rate, cross-entropy."""
    budget, path = workspace.budget, workspace.folder / "weights" / f"{name}-seed{seed}.pt"
    torch.manual_seed(seed)
    model = PartModel(configs.replace(config, {"tokenizer.layers": budget.layers}), budget.width)
    if path.is_file():
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return model.eval()

    def compute_losses(batch: Batch) -> dict[str, Tensor]:
        return {"parts": cross_entropy(model(batch).flatten(0, 1), batch.label.flatten())}

    path.parent.mkdir(parents=True, exist_ok=True)
    train, _ = samples(config, budget)
    optimizer = torch.optim.AdamW(model.parameters(), budget.rate, weight_decay=0.05)
    for step in range(steps):
        rng = np.random.default_rng([seed, step])
        cosine_rate(optimizer, budget.rate, step, steps)
        chosen = rng.choice(len(train), budget.batch, replace=False)
        batch = procedural_objects.stack([subsample_points(train[k], LOSS_POINTS, rng) for k in chosen])
        optimizer_step(optimizer, compute_losses, [batch], path.parent, step)
    with atomic.file(path) as file:
        torch.save(model.state_dict(), file)
    return model.eval()


@torch.no_grad()
def evaluate(model: PartModel, test: list[TokenSample], budget: Budget) -> dict[str, float]:
    """mIoU_C and mIoU_I as on ShapeNetPart; only the parts that a category has in the training objects count."""
    allowed = np.zeros((CATEGORIES, len(PARTS)), bool)
    for shape in shapes(budget)[0]:
        allowed[shape.category, shape.part] = True
    found: list[list[float]] = [[] for _ in range(CATEGORIES)]
    for start in range(0, len(test), budget.batch):
        batch = procedural_objects.stack(test[start : start + budget.batch])
        for logits, part, category in zip(model(batch), batch.label, batch.category.tolist(), strict=True):
            best = logits.masked_fill(~torch.from_numpy(allowed[category]), -torch.inf).argmax(dim=1)
            ious = part_ious(part.numpy(), best.numpy(), len(PARTS))
            found[category].append(float(ious[allowed[category]].mean()))
    miou_c = np.mean([np.mean(values) for values in found if values])
    return {"miou_c": float(miou_c), "miou_i": float(np.mean(sum(found, [])))}
