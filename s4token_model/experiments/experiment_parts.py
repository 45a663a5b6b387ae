"""Part segmentation, fully trained: a tokenizer, a small transformer and a head per point (the paper's Table 1)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.experiments import experiment_shapes
from s4token_model.experiments.effort import Effort
from s4token_model.io.files import atomic
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.procedural.classes import PARTS
from s4token_model.training.loop import cosine_rate

FIRST_TRAIN, FIRST_TEST = 1_700_000_000, 1_750_000_000  # seeds of objects that no model was trained on
TRAINED_POINTS = 512  # points per object and step that the loss looks at
CATEGORIES = len(experiment_shapes.WITH_PARTS)


class PartModel(nn.Module):
    """Tokens through self-attention, brought to the points by Eq. 4, then a head that knows the category."""

    def __init__(self, config: Config, width: int):
        super().__init__()
        self.tokenizer = Tokenizer(config.tokenizer, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(
            nn.Linear(2 * width + CATEGORIES, 2 * width), nn.LayerNorm(2 * width), nn.ReLU(),
            nn.Linear(2 * width, len(PARTS)),
        )  # fmt: skip

    def forward(self, clouds: experiment_shapes.Clouds) -> Tensor:
        """Logits of the parts, (B, P, len(PARTS))."""
        tokens = self.norm(self.tokenizer(clouds.inputs))
        points = clouds.weights @ tokens
        whole = torch.cat([tokens.amax(dim=1), one_hot(clouds.category, CATEGORIES).float()], dim=1)
        return self.head(torch.cat([points, whole.unsqueeze(1).expand(-1, points.shape[1], -1)], dim=2))


@lru_cache(maxsize=2)
def data(effort: Effort) -> tuple[list[experiment_shapes.Shape], list[experiment_shapes.Shape]]:
    """Objects to train on and to test with."""
    return (
        experiment_shapes.make(FIRST_TRAIN, effort.train_shapes, effort.points),
        experiment_shapes.make(FIRST_TEST, effort.test_shapes, effort.points),
    )


@lru_cache(maxsize=1)
def tokens(config: Config, effort: Effort) -> tuple[list[dict], list[dict]]:
    """The same as tokens; kept for the seeds of one setting."""
    train, test = data(effort)
    return [experiment_shapes.tokenized(s, config) for s in train], [
        experiment_shapes.tokenized(s, config) for s in test
    ]


def trained(config: Config, seed: int, steps: int, effort: Effort, path: Path) -> PartModel:
    """The model of `path`, or one trained and kept there: AdamW, cosine rate, cross-entropy over the points."""
    torch.manual_seed(seed)
    model = PartModel(with_layers(config, effort), effort.width)
    if path.is_file():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    train, _ = tokens(config, effort)
    optimizer = torch.optim.AdamW(model.parameters(), effort.rate, weight_decay=0.05)
    for step in range(steps):
        rng = np.random.default_rng([seed, step])
        cosine_rate(optimizer, effort.rate, step, steps)
        chosen = rng.choice(len(train), effort.batch, replace=False)
        clouds = experiment_shapes.collate([train[k] for k in chosen], TRAINED_POINTS, rng)
        loss = cross_entropy(model(clouds).flatten(0, 1), clouds.part.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        torch.save(model.state_dict(), file)
    return model.eval()


def with_layers(config: Config, effort: Effort) -> Config:
    """The tokenizer with the small transformer behind it."""
    return configs.replace(config, {"tokenizer.layers": effort.layers})


@torch.no_grad()
def evaluate(model: PartModel, items: list[dict], effort: Effort) -> dict[str, float]:
    """mIoU_C and mIoU_I as on ShapeNetPart: a shape's IoU averages over the parts its category has in the training
    objects, those absent from truth and prediction alike count 1; predictions are of these parts."""
    allowed = category_parts(data(effort)[0])
    found: list[list[float]] = [[] for _ in range(CATEGORIES)]
    for start in range(0, len(items), effort.batch):
        clouds = experiment_shapes.collate(items[start : start + effort.batch])
        for logits, part, category in zip(model(clouds), clouds.part, clouds.category.tolist(), strict=True):
            best = logits.masked_fill(~torch.from_numpy(allowed[category]), -torch.inf).argmax(dim=1)
            found[category].append(shape_iou(best.numpy(), part.numpy(), np.flatnonzero(allowed[category])))
    present = [values for values in found if values]
    return {
        "miou_c": float(np.mean([np.mean(values) for values in present])),
        "miou_i": float(np.mean([value for values in present for value in values])),
    }


def category_parts(train: list[experiment_shapes.Shape]) -> np.ndarray:
    """(categories, len(PARTS)) bool: the parts that occur in objects of each category."""
    parts = np.zeros((CATEGORIES, len(PARTS)), bool)
    for shape in train:
        parts[shape.category, shape.part] = True
    return parts


def shape_iou(prediction: np.ndarray, truth: np.ndarray, parts: np.ndarray) -> float:
    """Mean over `parts` of |prediction and truth| / |prediction or truth|; 1 for a part that neither has."""
    ious = []
    for part in parts:
        either = np.count_nonzero((prediction == part) | (truth == part))
        both = np.count_nonzero((prediction == part) & (truth == part))
        ious.append(both / either if either else 1.0)
    return float(np.mean(ious))
