"""Batches for training a tokenizer on prepared samples: drawn tokens and points, turned and mirrored."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from s4token_model.config import MiniConfig
from s4token_model.pipeline.token_context import LENGTH_DIMS
from s4token_model.pipeline.tokenizer import TokenInput
from s4token_model.procedural.classes import INDOOR, SCANNET20, scannet20_ids
from s4token_model.training.procedural_samples import load_sample
from s4token_model.training.targets import target_path

SEEN_POINTS = 8  # of a class, from which on a scene counts as one that has it


@dataclass(frozen=True)
class Batch:
    """B clouds drawn for one step.

    inputs; weights (B, P, N), the propagation of Eq. 4 to P points, rows of zeros where no token shares the superpoint;
    label (B, P); superpoint (B, P), ids distinct across clouds; target (S, E), has_target (S,), whole (B, E).
    """

    inputs: TokenInput
    weights: Tensor
    label: Tensor
    superpoint: Tensor
    target: Tensor
    has_target: Tensor
    whole: Tensor

    def to(self, device: str | torch.device) -> Batch:
        """Return a copy on `device`."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


class Samples:
    """Prepared samples and their targets in memory; the pictures stay on disk. `streets` holds those of streets."""

    def __init__(self, paths: list[Path], targets: Path):
        self.items: list[dict[str, np.ndarray]] = []
        self.streets: list[dict[str, np.ndarray]] = []
        for path in paths:
            item = without_pictures(load_sample(path)) | load_target(target_path(path, targets))
            (self.streets if is_outdoors(item) else self.items).append(item)
        self.shares: dict[float, np.ndarray] = {}

    def draw(
        self, mini: MiniConfig, rng: np.random.Generator, tokens: int, train: bool = True, outdoors: bool = False
    ) -> Batch:
        """Draw a batch with `tokens` tokens per cloud, of rooms and objects, or of streets alone."""
        source = self.streets if outdoors else self.items
        if train and mini.scene_balance and not outdoors:
            chosen = rng.choice(len(source), mini.batch, p=self.share(mini.scene_balance))
        else:
            chosen = rng.integers(len(source), size=mini.batch)
        items = [subsample_points(source[k], mini.step_points, rng) if train else source[k] for k in chosen]
        clouds = [sample_tokens(item, mini, rng, tokens, train) for item in items]
        return collate([jitter(cloud, rng, mini.blur) for cloud in clouds] if train and mini.blur else clouds)

    def share(self, balance: float) -> np.ndarray:
        """Chance (n,) float64 of each room or object to be drawn; see `scene_shares`."""
        if balance not in self.shares:
            self.shares[balance] = scene_shares([item["point_label"] for item in self.items], balance)
        return self.shares[balance]


def scene_shares(labels: list[np.ndarray], balance: float) -> np.ndarray:
    """Chance (n,) float64 to draw each scene, from the classes (P,) of its points: sum_c n_c^-balance over the everyday
    classes c that it holds, n_c the number of scenes that hold c. At 0 by their number, at 1 every class alike.

    A refrigerator stands in one scene of sixteen, a door in nearly all: drawn alike, the first is hardly learned.
    """
    everyday = np.array(scannet20_ids(-1))
    held = np.zeros((len(labels), len(SCANNET20)))
    for row, label in zip(held, labels, strict=True):
        named = everyday[label[label >= 0]]
        row[:] = np.bincount(named[named >= 0], minlength=len(SCANNET20)) >= SEEN_POINTS
    share = held @ np.maximum(held.sum(axis=0), 1.0) ** -balance
    share += share.max() / len(share) if share.any() else 1.0  # a scene of other things is drawn now and then
    return share / share.sum()


def is_outdoors(item: dict[str, np.ndarray]) -> bool:
    """Whether most labeled points of a sample are of the words of streets."""
    labels = item["point_label"][item["point_label"] >= 0]
    return bool(len(labels)) and bool((labels >= len(INDOOR)).mean() > 0.5)


def load_target(path: Path) -> dict[str, np.ndarray]:
    """Read the 2D targets of a sample."""
    with np.load(path, allow_pickle=False) as content:
        return {f"target_{name}": content[name] for name in content.files}


def collate(clouds: list[dict[str, np.ndarray]]) -> Batch:
    """Stack drawn clouds of equal sizes."""
    names = ("patch", "mask", "context", "context_mask", "shape", "position")
    scaled = [
        c | {"position": c["position"] * c.get("unit", np.float32(1))} for c in clouds
    ]  # as the tokenizer reads them
    inputs = TokenInput(*(torch.from_numpy(np.stack([c[name] for c in scaled])) for name in names))
    starts = np.cumsum([0] + [int(c["point_superpoint"].max()) + 1 for c in clouds])
    superpoint = np.stack([c["point_superpoint"] + start for c, start in zip(clouds, starts, strict=False)])
    target = np.zeros((starts[-1], clouds[0]["target_feature"].shape[1]), np.float32)
    has_target = np.zeros(starts[-1], bool)
    for cloud, start, stop in zip(clouds, starts[:-1], starts[1:], strict=True):
        rows = cloud["target_superpoint"] + start
        target[rows[rows < stop]] = cloud["target_feature"][rows < stop]
        has_target[rows[rows < stop]] = True
    return Batch(
        inputs,
        torch.from_numpy(np.stack([_propagation(c) for c in clouds])),
        torch.from_numpy(np.stack([c["point_label"] for c in clouds])).long(),
        torch.from_numpy(superpoint).long(),
        torch.from_numpy(target),
        torch.from_numpy(has_target),
        torch.from_numpy(np.stack([c["target_whole"] for c in clouds])).float(),
    )


def without_pictures(sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out what only the preparation of targets reads."""
    skipped = ("image", "region", "attributes", "instance_label")
    return {name: array for name, array in sample.items() if name not in skipped and not name.startswith("seen_")}


def subsample_points(item: dict[str, np.ndarray], count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw `count` of the points that the losses look at; repeated where there are fewer."""
    if len(item["point"]) == count:
        return item
    chosen = rng.choice(len(item["point"]), count, replace=len(item["point"]) < count)
    return item | {name: item[name][chosen] for name in ("point", "point_label", "point_superpoint")}


def sample_tokens(
    item: dict[str, np.ndarray], mini, rng: np.random.Generator, tokens: int, train: bool, turned: bool = True
) -> dict[str, np.ndarray]:
    """Draw tokens, then points of each patch, then turn the cloud unless not `turned`. A cloud with fewer tokens
    repeats some."""
    order = rng.permutation(len(item["position"])) if train else np.arange(len(item["position"]))
    keep = np.resize(order, tokens)
    patch, mask = _thin(item["patch"][keep], item["patch_count"][keep], mini.patch_points, rng, train)
    context, context_mask = _thin(item["context"][keep], item["context_count"][keep], mini.context_points, rng, train)
    turn = _turn(rng) if train and turned else np.eye(3, dtype=np.float32)
    patch[..., :3] = patch[..., :3] @ turn
    context[..., :3] = context[..., :3] @ turn
    return {
        "patch": patch,
        "mask": mask,
        "context": context,
        "context_mask": context_mask,
        "shape": item["shape"][keep],
        "position": item["position"][keep] @ turn,
        "unit": np.float32(item.get("unit", 1.0)),
        "token_superpoint": item["token_superpoint"][keep],
        "point": item["point"] @ turn,
        "point_label": item["point_label"],
        "point_superpoint": item["point_superpoint"],
        "target_superpoint": item["target_superpoint"],
        "target_feature": item["target_feature"].astype(np.float32),
        "target_whole": item["target_whole"],
    }


def jitter(cloud: dict[str, np.ndarray], rng: np.random.Generator, strength: float) -> dict[str, np.ndarray]:
    """Disturb a drawn cloud, so that nothing fits the procedural scenes exactly.

    At strength 1, patches and their surroundings are stretched by some 8 % per axis and given noise; the lengths are
    scaled together by some 12 %, each gets noise, and a tenth of them, and of the tokens', are zeroed.
    """
    stretch = np.exp(rng.normal(0, 0.08 * strength, 3)).astype(np.float32)
    changed = dict(cloud)
    for points, mask, noise in (("patch", "mask", 0.03), ("context", "context_mask", 0.01)):
        values = cloud[points].copy()
        moved = values[..., :3] * stretch + rng.normal(0, noise * strength, values[..., :3].shape)
        values[..., :3] = np.where(cloud[mask][..., None], moved, values[..., :3])
        changed[points] = values
    shape = cloud["shape"].copy()
    shape[:, :LENGTH_DIMS] = np.arcsinh(np.sinh(shape[:, :LENGTH_DIMS]) * np.exp(rng.normal(0, 0.12 * strength)))
    shape += rng.normal(0, 0.08 * strength, shape.shape)
    kept = (rng.random(shape.shape[1]) > 0.1 * strength) & (rng.random((len(shape), 1)) > 0.1 * strength)
    changed["shape"] = (shape * kept).astype(np.float32)
    return changed


def _thin(points: np.ndarray, count: np.ndarray, most: int, rng: np.random.Generator, train: bool):
    """Keep at most `most` of the valid points of each row, at random in training."""
    if train and points.shape[1] > most:
        keys = rng.random(points.shape[:2], np.float32)
        keys[np.arange(points.shape[1])[None] >= count[:, None]] = 2
        chosen = np.argpartition(keys, most - 1, axis=1)[:, :most]
        chosen = np.take_along_axis(chosen, np.argsort(np.take_along_axis(keys, chosen, 1), axis=1), 1)
        points = np.take_along_axis(points, chosen[..., None], 1)
        count = np.minimum(count, most)
    return points.astype(np.float32), np.arange(points.shape[1])[None] < count[:, None]


def _turn(rng: np.random.Generator) -> np.ndarray:
    """A rotation about z by any angle, mirrored half of the time."""
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine, flip = np.cos(angle), np.sin(angle), rng.choice([-1.0, 1.0])
    return np.array([[cosine * flip, sine, 0], [-sine * flip, cosine, 0], [0, 0, 1]], np.float32)


def _propagation(cloud: dict[str, np.ndarray]) -> np.ndarray:
    """(P, N) weights of Eq. 4 in units of r; zero rows where no token shares the superpoint."""
    squared = ((cloud["point"][:, None] - cloud["position"][None]) ** 2).sum(axis=2)
    weights = (cloud["point_superpoint"][:, None] == cloud["token_superpoint"][None]) / (np.sqrt(squared) + 1e-4)
    return (weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
