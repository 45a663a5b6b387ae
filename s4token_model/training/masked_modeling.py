"""Masked modeling: random masks, the query decoder that reconstructs masked tokens, and the averaged teacher."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from s4token_model.pipeline.tokenizer import PositionEmbedding


class Masks(NamedTuple):
    """Which tokens the student sees: visible (B, V) and masked (B, M) long indices, each ascending."""

    visible: Tensor
    masked: Tensor


def draw_masks(tokens: int, ratio: float, rngs: Sequence[np.random.Generator]) -> Masks:
    """Mask floor(ratio * N) random tokens of each cloud, by its own generator; the others stay visible (Sec. 3.4)."""
    if not 0 <= ratio < 1:
        raise ValueError(f"mask ratio {ratio} must be in [0, 1); the paper uses 0.6")
    hidden = int(ratio * tokens + 1e-9)
    order = np.stack([rng.permutation(tokens) for rng in rngs])
    masked, visible = np.sort(order[:, :hidden], axis=1), np.sort(order[:, hidden:], axis=1)
    return Masks(torch.from_numpy(visible), torch.from_numpy(masked))


def gather(values: Tensor, index: Tensor) -> Tensor:
    """values (B, N, ...), index (B, K) -> (B, K, ...)."""
    return values[torch.arange(len(values), device=values.device).unsqueeze(1), index]


class CrossLayer(nn.Module):
    """A pre-norm layer in which queries attend only to visible tokens, never to each other: M x V instead of N x N."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = max(1, width // 64)
        self.norm_queries, self.norm_visible, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, queries: Tensor, visible: Tensor) -> Tensor:
        """queries (B, M, E), visible (B, V, E) -> (B, M, E)."""
        q = self.query(self.norm_queries(queries)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        kv = self.key_value(self.norm_visible(visible)).unflatten(-1, (2, self.heads, -1)).transpose(1, 3)
        attended = scaled_dot_product_attention(q, *kv.unbind(2)).transpose(1, 2).flatten(2)
        queries = queries + self.out(attended)
        return queries + self.mlp(self.norm_mlp(queries))


class QueryDecoder(nn.Module):
    """q_m = mask query + PE(dp_m); L layers of attention from q to the visible features; a linear map out (Eq. 5)."""

    def __init__(self, width: int, layers: int = 4, octaves: int = 6):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))
        nn.init.trunc_normal_(self.query, std=0.02)
        self.position = PositionEmbedding(octaves, width)
        self.layers = nn.ModuleList(CrossLayer(width) for _ in range(layers))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))

    def forward(self, visible: Tensor, visible_position: Tensor, masked_position: Tensor) -> Tensor:
        """visible (B, V, E) features, positions (B, V | M, 3) in units of r -> features of the masked (B, M, E)."""
        visible = visible + self.position(visible_position)
        queries = self.query + self.position(masked_position)
        for layer in self.layers:
            queries = layer(queries, visible)
        return self.out(queries)


class Teacher(nn.Module):
    """teacher <- m * teacher + (1 - m) * student after each step, parameters and buffers alike; no gradient.

    Not torch's AveragedModel, which copies the student at its first update and keeps m constant.
    """

    def __init__(self, student: nn.Module):
        super().__init__()
        self.module = copy.deepcopy(student).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode whatever `mode` is."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, *inputs):
        return self.module(*inputs)

    @torch.no_grad()
    def update(self, student: nn.Module, momentum: float) -> None:
        """Move towards `student`; integer buffers are copied."""
        averaged, current = self.module.state_dict(), student.state_dict()
        for name, value in averaged.items():
            if value.is_floating_point():
                value.lerp_(current[name].to(value), 1 - momentum)
            else:
                value.copy_(current[name])


def first_momentum(momentum: float, made_for: int, steps: int) -> float:
    """Return the first momentum of a training of `steps`, when `momentum` suits one of `made_for` steps (0: any).

    momentum^(made_for / steps) forgets as much in a step as a training of `made_for` steps does in the same fraction
    of its own. With 0.996 and 600 steps, 30 % of the teacher would be the initial random weights at the very end.
    """
    return momentum ** (made_for / steps) if made_for else momentum


def momentum_at(step: int, total: int, first: float = 0.996) -> float:
    """The teacher's momentum m: from `first` to 1 along half a cosine."""
    return 1 - (1 - first) * 0.5 * (1 + math.cos(math.pi * step / max(1, total)))
