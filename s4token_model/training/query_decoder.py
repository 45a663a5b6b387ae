"""The query decoder: features of masked tokens from visible ones (method: Sec. 3.4, Eq. 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from s4token_model.pipeline.tokenizer import PositionEmbedding

HEAD_WIDTH = 64


class CrossLayer(nn.Module):
    """A pre-norm layer in which queries attend to `visible` alone: never to each other, so that the cost is M x V."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        self.of_queries, self.of_visible, self.before_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.joined = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, queries: Tensor, visible: Tensor) -> Tensor:
        """queries (B, M, E), visible (B, V, E) -> (B, M, E)."""
        q = self.query(self.of_queries(queries)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        kv = self.key_value(self.of_visible(visible)).unflatten(-1, (2, self.heads, -1)).transpose(1, 3)
        mixed = scaled_dot_product_attention(q, *kv.unbind(2)).transpose(1, 2).flatten(2)
        queries = queries + self.joined(mixed)
        return queries + self.mlp(self.before_mlp(queries))


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
        seen = visible + self.position(visible_position)
        queries = self.query + self.position(masked_position)
        for layer in self.layers:
            queries = layer(queries, seen)
        return self.out(queries)
