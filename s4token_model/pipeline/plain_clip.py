"""A CLIP of a plain ViT and a plain text tower, with the parameters' names of open_clip.

Most published CLIPs are such: OpenAI's, LAION's, DataComp's, MetaCLIP, DFN. open_clip itself, which builds every
kind, imports torchvision, timm and the compiler of torch, which take seconds and memory at every start.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

BLOCKS = {"mlp_ratio": 4.0, "ls_init_value": None}
VISION = BLOCKS | {
    "width": 768, "layers": 12, "head_width": 64, "image_size": 224, "patch_size": 16, "pool_type": "tok",
    "final_ln_after_pool": False,
}  # fmt: skip
TEXT = BLOCKS | {"width": 512, "layers": 12, "heads": 8, "context_length": 77, "vocab_size": 49408}
MODEL = {"embed_dim", "quick_gelu", "init_logit_scale", "vision_cfg", "text_cfg"}
LOGIT_SCALE = 2.6592  # log(1 / 0.07), before training
# What other options may say: nothing, what is so anyway, or what has no effect on a tower as it is here
PLAIN = (None, False, "default", "learnable", "argmax", "linear")
NO_EFFECT = {"patch_dropout", "output_tokens", "attn_pooler_queries", "attn_pooler_heads", "pad_id", "eos_id"}


def fits(model: dict[str, Any]) -> bool:
    """Return whether a model_cfg of open_clip describes a PlainClip."""
    parts = ((model, MODEL), (model["vision_cfg"], VISION), (model["text_cfg"], TEXT))
    others = (value for values, known in parts for name, value in values.items() if name not in {*known, *NO_EFFECT})
    return all(value in PLAIN for value in others)


class QuickGELU(nn.Module):
    """The activation of OpenAI's weights."""

    def forward(self, x: Tensor) -> Tensor:
        """x sigmoid(1.702 x), of any shape."""
        return x * torch.sigmoid(1.702 * x)


class Scale(nn.Module):
    """A factor per channel (LayerScale)."""

    def __init__(self, width: int, value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), value))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply (..., width)."""
        return x * self.gamma


class Attention(nn.Module):
    """Self-attention with the parameters of nn.MultiheadAttention.

    That module transposes its input, and torch multiplies a transposed input by a weight without gradient through a
    copy of the weight per token, which dominates a training step in front of a frozen ViT.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width).normal_(std=width**-0.5))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D); `mask` is added to the scores."""
        qkv = linear(hidden, self.in_proj_weight, self.in_proj_bias)
        heads = qkv.unflatten(-1, (3, self.num_heads, -1)).transpose(1, 3).unbind(2)
        return self.out_proj(scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A pre-norm block of a transformer."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, scale: float | None, activation: nn.Module) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        layers = {"c_fc": nn.Linear(width, hidden), "gelu": activation, "c_proj": nn.Linear(hidden, width)}
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(width), Attention(width, heads), nn.LayerNorm(width)
        self.mlp = nn.Sequential(OrderedDict(layers))
        self.ls_1, self.ls_2 = (nn.Identity() if scale is None else Scale(width, scale) for _ in range(2))

    def forward(self, hidden: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        hidden = hidden + self.ls_1(self.attn(self.ln_1(hidden), attn_mask))
        return hidden + self.ls_2(self.mlp(self.ln_2(hidden)))


class Transformer(nn.Module):
    """Blocks of one size."""

    def __init__(self, tower: dict[str, Any], heads: int, quick_gelu: bool) -> None:
        super().__init__()
        activation = QuickGELU if quick_gelu else nn.GELU
        settings = tower["width"], heads, tower["mlp_ratio"], tower["ls_init_value"]
        self.resblocks = nn.ModuleList(Block(*settings, activation()) for _ in range(tower["layers"]))

    def forward(self, hidden: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        for block in self.resblocks:
            hidden = block(hidden, attn_mask)
        return hidden


class VisionTransformer(nn.Module):
    """The image tower; `FrozenClip` runs it."""

    attn_pool = None

    def __init__(self, embed_dim: int, tower: dict[str, Any], quick_gelu: bool) -> None:
        super().__init__()
        width, size, patch = tower["width"], tower["image_size"], tower["patch_size"]
        self.image_size, self.patch_size = (size, size), (patch, patch)
        self.pool_type, self.final_ln_after_pool = tower["pool_type"], tower["final_ln_after_pool"]
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = _normal(width, std=width**-0.5)
        self.positional_embedding = _normal((size // patch) ** 2 + 1, width, std=width**-0.5)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(tower, width // tower["head_width"], quick_gelu)
        self.proj = _normal(width, embed_dim, std=width**-0.5)


class PlainClip(nn.Module):
    """Both towers, of a model_cfg of open_clip that `fits`."""

    def __init__(
        self, embed_dim: int, vision_cfg: dict[str, Any], text_cfg: dict[str, Any], quick_gelu: bool = False,
        init_logit_scale: float = LOGIT_SCALE, **off: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        tower = TEXT | text_cfg
        width, self.context_length = tower["width"], tower["context_length"]
        self.visual = VisionTransformer(embed_dim, VISION | vision_cfg, quick_gelu)
        self.transformer = Transformer(tower, tower["heads"], quick_gelu)
        self.token_embedding = nn.Embedding(tower["vocab_size"], width)
        self.positional_embedding = _normal(self.context_length, width, std=0.01)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = _normal(width, embed_dim, std=width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(float(init_logit_scale)))

    @property
    def attn_mask(self) -> Tensor:
        """What is added to the scores of texts (L, L): a token sees itself and those before it."""
        shape = self.context_length, self.context_length
        return torch.full(shape, float("-inf"), device=self.positional_embedding.device).triu_(1)

    def encode_text(self, ids: Tensor) -> Tensor:
        """Ids (T, context length), of which the end of a text is the largest -> features (T, E), not normalized."""
        hidden = self.transformer(self.token_embedding(ids) + self.positional_embedding, self.attn_mask)
        return self.ln_final(hidden[torch.arange(len(ids)), ids.argmax(dim=1)]) @ self.text_projection


def _normal(*shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).normal_(std=std))


def build(model: dict[str, Any]) -> nn.Module:
    """Return the network of a model_cfg of open_clip, whose own it is unless it is plain."""
    if fits(model):
        return PlainClip(**model)
    import open_clip  # late: it takes seconds and 200 MB

    return open_clip.CLIP(**model)
