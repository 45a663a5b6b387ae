"""Heads of supervised segmentation: features of the tokens to logits of the points (Tables 1 and A of the paper).

Both normalize by LayerNorm where the originals do by BatchNorm, so that a cloud does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from s4token_model.training.batches import Batch

EPCL, POINT_BERT = "epcl", "point-bert"
HEADS = (EPCL, POINT_BERT)
FINE, COARSE = 512, 256  # points of Point-BERT's levels between tokens and points
EDGES, NEAREST = 4, 3  # neighbors of an edge convolution, and of an interpolation


class EpclHead(nn.Module):
    """A head after EPCL's task token and global feature; Eq. 4 takes the place of its upsampling.

    logits_i = MLP([ f_i, p_i in units of r, max over tokens of f, category ])
    """

    def __init__(self, dim: int, categories: int, classes: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * dim + 3 + categories, 256), nn.LayerNorm(256), nn.ReLU(),
            nn.Linear(256, 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, classes),
        )  # fmt: skip

    def forward(self, features: Tensor, levels: list[Tensor], batch: Batch, kind: Tensor) -> Tensor:
        """Features (B, N, E) in the joint space, kind (B, categories) -> logits (B, P, classes)."""
        features = normalize(features.float(), dim=-1) * features.shape[-1] ** 0.5
        shape = _repeated(torch.cat([features.amax(dim=1), kind], dim=1), batch.point)
        return self.layers(torch.cat([batch.weights @ features, batch.point, shape], dim=2))


class PointBertHead(nn.Module):
    """Point-BERT's decoder: a third, two thirds and all of the blocks feed two levels of points between tokens and all.

    Features of the 3 nearest are interpolated, and those of the tokens reach the levels by edge convolutions. The
    points of the levels are spread over the order of the points, which is that of the draw, in place of farthest ones.
    """

    def __init__(self, width: int, categories: int, classes: int, dropout: float = 0.5):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fine, self.coarse = (_two_layers(width + 3, 4 * width, width) for _ in range(2))
        self.to_fine, self.to_coarse = EdgeConvolutions(width), EdgeConvolutions(width)
        self.points = _two_layers(width + 3 + categories, 4 * width, width)
        self.classify = nn.Sequential(
            nn.Linear(width, 128), nn.LayerNorm(128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, classes)
        )

    def forward(self, features: Tensor, levels: list[Tensor], batch: Batch, kind: Tensor) -> Tensor:
        """Outputs `levels` of three blocks, (B, N, D) each, kind (B, categories) -> logits (B, P, classes)."""
        first, second, last = (self.norm(level.float()) for level in levels)
        point, center = batch.point, batch.center
        fine, coarse = (_spread(point, count) for count in (FINE, COARSE))
        # Each level by interpolation of its block, then from the level above by edge convolutions
        at_coarse = self.coarse(torch.cat([interpolated(coarse, center, second), coarse], dim=2))
        at_fine = self.fine(torch.cat([interpolated(fine, center, first), fine], dim=2))
        at_coarse = self.to_coarse((center, last), (coarse, at_coarse))
        at_fine = self.to_fine((coarse, at_coarse), (fine, at_fine))
        shape = torch.cat([point, _repeated(kind, point)], dim=2)
        return self.classify(self.points(torch.cat([interpolated(point, fine, at_fine), shape], dim=2)))


class EdgeConvolutions(nn.Module):
    """DGCNN's propagation: features of queries from the nearest keys, then from the nearest queries."""

    def __init__(self, width: int):
        super().__init__()
        hidden = 2 * width // 3
        self.keys = nn.Sequential(nn.Linear(2 * width, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.2))
        self.queries = nn.Sequential(nn.Linear(2 * hidden, width), nn.LayerNorm(width), nn.LeakyReLU(0.2))

    def forward(self, keys: tuple[Tensor, Tensor], queries: tuple[Tensor, Tensor]) -> Tensor:
        """Positions (B, K, 3) and features (B, K, D) of keys, the same of queries (B, Q, ...) -> (B, Q, D)."""
        position, features = queries
        found = _edges(position, features, *keys, self.keys)
        return _edges(position, found, position, found, self.queries)


def _edges(position: Tensor, features: Tensor, key_position: Tensor, keys: Tensor, layers: nn.Module) -> Tensor:
    """Maximum over the EDGES nearest keys of layers([key - query, query])."""
    count = min(EDGES, keys.shape[1])
    index = _distance(position, key_position).topk(count, largest=False).indices
    rows = torch.arange(len(keys), device=keys.device)[:, None, None]
    own = features.unsqueeze(2).expand(-1, -1, count, -1)
    return layers(torch.cat([keys[rows, index] - own, own], dim=3)).amax(dim=2)


def interpolated(point: Tensor, center: Tensor, features: Tensor) -> Tensor:
    """Mean (B, P, D) of the features (B, K, D) of the NEAREST centers (B, K, 3) of points (B, P, 3), by 1 / d^2."""
    near = _distance(point, center).topk(min(NEAREST, center.shape[1]), largest=False)
    weights = 1 / (near.values.square() + 1e-8)
    weights = weights / weights.sum(dim=2, keepdim=True)
    dense = weights.new_zeros(*point.shape[:2], center.shape[1]).scatter(2, near.indices, weights)
    return dense @ features


@contextmanager
def kept_outputs(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Yield a list that gets the output of each module whenever it runs."""
    found: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda _, inputs, output: found.append(output)) for module in modules]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _two_layers(channels: int, hidden: int, out: int) -> nn.Sequential:
    first = nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.ReLU()
    return nn.Sequential(*first, nn.Linear(hidden, out), nn.LayerNorm(out), nn.ReLU())


def _spread(point: Tensor, count: int) -> Tensor:
    """At most `count` of the points (B, P, 3), spread over their order."""
    size = point.shape[1]
    return point if size <= count else point[:, torch.arange(count, device=point.device) * size // count]


def _repeated(row: Tensor, point: Tensor) -> Tensor:
    """A row (B, C) per cloud for each of its points, (B, P, C)."""
    return row.unsqueeze(1).expand(-1, point.shape[1], -1)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
