"""The tokenizer: patches and their context to tokens for the frozen ViT (Sec. 3.2, Eq. 3 and 12 of the paper)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from s4token_model.config import TokenizerConfig
from s4token_model.pipeline.padding import key_mask, pad
from s4token_model.pipeline.token_context import CHANNELS, DESCRIPTOR_DIM

PATCH_BLOCK = 128  # patches per pass of a PointNet on a CPU; their features fit into its cache


@dataclass(frozen=True)
class TokenInput:
    """What the tokenizer reads, for a batch of B clouds with N tokens each."""

    patch: Tensor  # (B, N, M, 3 + F), offsets of the patch points in units of the radius, and F point features
    mask: Tensor  # (B, N, M) bool, False on padding
    context: Tensor  # (B, N, C, 5), points of the wide patch, see token_context
    context_mask: Tensor  # (B, N, C) bool, False on padding
    shape: Tensor  # (B, N, 24), descriptor of the token's superpoint
    position: Tensor  # (B, N, 3), (p_t - mean of all p_t) / r

    def to(self, device: str | torch.device) -> TokenInput:
        """Return a copy on `device`."""
        return TokenInput(*(getattr(self, f.name).to(device) for f in fields(self)))

    def padded(self, count: int) -> TokenInput:
        """Return a copy of `count` tokens; those added have no points."""
        return TokenInput(*(pad(getattr(self, f.name), count) for f in fields(self)))


class PointNet(nn.Module):
    """Point-BERT's mini-PointNet with LayerNorm: (w, 2w), max-pool, concatenate the pooled vector, (4w, D), max-pool.

    LayerNorm in place of BatchNorm keeps a patch independent of its batch and of padding.
    """

    def __init__(self, channels: int, width: int, out: int):
        super().__init__()
        self.local = nn.Sequential(
            nn.Linear(channels, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, 2 * width)
        )
        self.own = nn.Linear(2 * width, 4 * width)
        self.pooled = nn.Linear(2 * width, 4 * width, bias=False)
        self.out = nn.Sequential(nn.LayerNorm(4 * width), nn.ReLU(), nn.Linear(4 * width, out))

    def forward(self, points: Tensor, mask: Tensor) -> Tensor:
        """Points (..., M, channels), mask (..., M) bool -> (..., out); zero for a patch without a point."""
        return _pooled_in_blocks(self._pooled, points, mask)

    def _pooled(self, points: Tensor) -> Tensor:
        points = self.local(points)
        pooled = points.amax(dim=-2)
        # [pooled, own] W = pooled W1 + own W2, and the first product is the same for all points of a patch
        return self.out(self.own(points) + self.pooled(pooled).unsqueeze(-2)).amax(dim=-2)


class PlainPointNet(nn.Module):
    """A PointNet with one maximum: (w, 2w, 4w) of every point, max-pool, LayerNorm, D of the patch.

    A point costs 10 w^2 products in place of 10 w^2 + 4 w D, and no normalization: a third of the time.
    """

    def __init__(self, channels: int, width: int, out: int):
        super().__init__()
        layers = nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, 2 * width), nn.ReLU()
        self.local = nn.Sequential(*layers, nn.Linear(2 * width, 4 * width))
        self.out = nn.Sequential(nn.LayerNorm(4 * width), nn.ReLU(), nn.Linear(4 * width, out))

    def forward(self, points: Tensor, mask: Tensor) -> Tensor:
        """Points (..., M, channels), mask (..., M) bool -> (..., out); zero for a patch without a point."""
        return _pooled_in_blocks(lambda patches: self.out(self.local(patches).amax(dim=-2)), points, mask)


def _pooled_in_blocks(pool: Callable[[Tensor], Tensor], points: Tensor, mask: Tensor) -> Tensor:
    """Pool the valid points of each patch, (..., M, channels) and (..., M) -> (..., out)."""

    def pooled(points: Tensor, mask: Tensor) -> Tensor:
        return pool(_padded(points, mask)).masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)

    if torch.is_grad_enabled() or points.device.type != "cpu":
        return pooled(points, mask)
    # On a CPU, block by block: the features of all patches at once would go to memory and back.
    blocks = zip(points.flatten(0, -3).split(PATCH_BLOCK), mask.flatten(0, -2).split(PATCH_BLOCK), strict=True)
    return torch.cat([pooled(*block) for block in blocks]).unflatten(0, points.shape[:-2])


def _padded(points: Tensor, mask: Tensor) -> Tensor:
    """Replace padding by a copy of the patch's first point: it changes no maximum, and the wide layers need no mask."""
    first = mask.byte().argmax(dim=-1)[..., None, None].expand(*mask.shape[:-1], 1, points.shape[-1])
    return torch.where(mask.unsqueeze(-1), points, points.gather(-2, first))


class PositionEmbedding(nn.Module):
    """Sines and cosines of omega * dp (Eq. 12) at wavelengths of 64, 32, ... radii, projected to the token width."""

    def __init__(self, octaves: int, out: int):
        super().__init__()
        omega = torch.tensor([2 * torch.pi / 64 * 2.0**octave for octave in range(octaves)])
        self.register_buffer("omega", omega, persistent=False)
        self.project = nn.Linear(6 * octaves, out, bias=False)

    def forward(self, position: Tensor) -> Tensor:
        """Positions (B, N, 3) -> (B, N, out)."""
        phase = (position.unsqueeze(-1) * self.omega).flatten(-2)
        return self.project(torch.cat([phase.sin(), phase.cos()], dim=-1))


class Layer(nn.Module):
    """A pre-norm transformer layer over the tokens of a cloud, near the identity at first (LayerScale 0.3)."""

    def __init__(self, width: int, head_width: int = 64):
        super().__init__()
        self.heads = max(1, width // head_width)
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.scale = nn.Parameter(torch.full((2, width), 0.3))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D) -> (B, N, D); mask (1, 1, 1, N) bool, False on tokens that no other may see."""
        qkv = self.qkv(self.before_attention(tokens)).unflatten(-1, (3, self.heads, -1)).transpose(1, 3)
        mixed = scaled_dot_product_attention(*qkv.unbind(2), attn_mask=mask).transpose(1, 2).flatten(2)
        tokens = tokens + self.scale[0] * self.joined(mixed)
        return tokens + self.scale[1] * self.mlp(self.before_mlp(tokens))


class Tokenizer(nn.Module):
    """PointNets of patch and context, the superpoint's descriptor and the position; `out` is the width D of the ViT."""

    def __init__(self, config: TokenizerConfig, out: int):
        super().__init__()
        self.config = config
        pointnet = PointNet if config.maxima == 2 else PlainPointNet
        self.patch = pointnet(3 + 3 * (config.features == "rgb"), config.width, out)
        self.position = PositionEmbedding(config.position_octaves, out) if config.position == "sincos" else None
        if config.context:
            self.context = pointnet(CHANNELS, config.width, out)
            wide = 2 * config.width
            first, last = nn.Linear(DESCRIPTOR_DIM, wide), nn.Linear(wide, out)
            self.shape = nn.Sequential(first, nn.LayerNorm(wide), nn.GELU(), last)
            self.mix = nn.Sequential(nn.LayerNorm(out), nn.Linear(out, 2 * out), nn.GELU(), nn.Linear(2 * out, out))
        self.layers = nn.ModuleList(Layer(out) for _ in range(config.layers))

    def forward(self, inputs: TokenInput, count: int | None = None) -> Tensor:
        """Return tokens (B, N, D); from `count` on they are padding, which changes no other."""
        tokens = self.patch(inputs.patch, inputs.mask)
        if self.config.context:
            tokens = tokens + self.context(inputs.context, inputs.context_mask) + self.shape(inputs.shape)
            tokens = tokens + self.mix(tokens)
        if self.position is not None:
            tokens = tokens + self.position(inputs.position)
        mask = None if count is None else key_mask(count, tokens.shape[1], tokens.device)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        return tokens


def token_input(patches, context, rgb: np.ndarray | None, config: TokenizerConfig) -> TokenInput:
    """Turn the `Patches` and the `Context` of one cloud into a batch of one.

    rgb (H, 3) in [0, 1] is read only if the tokenizer uses color, and gray if None.
    """
    mask, patch = patches.index >= 0, patches.offsets
    if config.features == "rgb":
        patch = np.concatenate([patch, patch_colors(patches.index, rgb)], axis=2)
    position = patches.centers - patches.centers.mean(axis=0)
    position = position / np.float32(patches.radius) if config.position_scaled else position * np.float32(patches.unit)
    arrays = (patch, mask, context.points, context.mask, context.descriptor, position.astype(np.float32))
    return TokenInput(*(torch.from_numpy(np.ascontiguousarray(a)).unsqueeze(0) for a in arrays))


def patch_colors(index: np.ndarray, rgb: np.ndarray | None) -> np.ndarray:
    """Return the colors (N, M, 3) float32 of patches, index (N, M), from rgb (H, 3); gray if None, 0 on padding."""
    color = np.full((*index.shape, 3), 0.5, np.float32) if rgb is None else rgb[index].astype(np.float32)
    return color * (index >= 0)[..., None]
