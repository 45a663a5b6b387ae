"""The frozen CLIP behind an open_clip name or directory: tokens, images and text to one joint space (method: Sec. 4).

Our tokens enter where CLIP's patch embeddings would: the patch convolution and the position table of the patches are
replaced, the class embedding (with its own position), ln_pre, the blocks, ln_post and the projection stay as they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from s4token_model.config import ClipConfig
from s4token_model.kernels import int8
from s4token_model.kernels.attention import attend
from s4token_model.kernels.parallel import cpu_flags

TEXT_BATCH = 256


class FrozenClip(nn.Module):
    """A CLIP whose tensors never change: no gradient reaches its weights, and train() keeps it in evaluation mode.

    Attributes: width (D, of the tokens), dim (E, of the joint space), image_size (px), patch_size (px).
    """

    def __init__(self, model: nn.Module, tokenize, mean, std, precision: str = "fp32"):
        super().__init__()
        visual = model.visual
        if (
            not isinstance(visual, open_clip.transformer.VisionTransformer)
            or visual.attn_pool is not None
            or (visual.pool_type not in ("tok", "avg"))
        ):
            kind = type(visual).__name__
            raise ValueError(f"the image tower is a {kind}; choose a plain open_clip ViT, e.g. ViT-B-16")
        self.model = model.eval().requires_grad_(False)
        self.tokenize = tokenize
        plain = all(_is_plain(block) and int8.supported(block) for block in visual.transformer.resblocks)
        quick = plain and (precision == "int8" or (precision == "auto" and int8.is_quick()))
        self.precision = "int8" if quick else resolve_precision("auto" if precision == "int8" else precision)
        self._int8 = int8.Int8Blocks(visual.transformer.resblocks) if quick else None
        self.uses_bf16 = (
            resolve_precision("auto" if quick else self.precision) == "bf16"
        )  # wherever 8 bits do not serve
        visual.transformer.to(torch.bfloat16 if self.uses_bf16 else torch.float32)
        self.width, self.dim = visual.proj.shape
        self.image_size, self.patch_size = visual.image_size[0], visual.patch_size[0]
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenClip:
        """Stay in evaluation mode whatever `mode` is."""
        return super().train(False)

    def encode_tokens(self, tokens: Tensor, skip_blocks: bool = False) -> tuple[Tensor, Tensor]:
        """tokens (B, N, D) -> per-token features (B, N, E) and the global feature (B, E), not normalized.

        Gradients flow through to the tokens, never into CLIP. The global feature is the class token's, or the mean for
        towers that pool by averaging. `skip_blocks` leaves out the transformer blocks, a start for training.
        """
        visual = self.model.visual
        cls = (visual.class_embedding + visual.positional_embedding[0]).expand(len(tokens), 1, -1)
        hidden = visual.ln_pre(torch.cat([cls.to(tokens.dtype), tokens], dim=1))
        if skip_blocks:
            return self._project(hidden)
        if self._int8 is not None and hidden.device.type == "cpu" and not torch.is_grad_enabled():
            return self._project(self._int8(hidden))
        return self._project(self._blocks(hidden))

    @torch.no_grad()
    def encode_images(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """images (B, h, w, 3) uint8, any size -> dense features (B, g, g, E) of the patch grid and global (B, E)."""
        visual = self.model.visual
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self.mean.device).permute(0, 3, 1, 2).float() / 255
        size = (self.image_size, self.image_size)
        if pixels.shape[-2:] != size:
            pixels = nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
        features, pooled = self._project(self._blocks(visual._embeds((pixels - self.mean) / self.std)))
        grid = self.image_size // self.patch_size
        return features.reshape(len(images), grid, grid, -1), pooled

    def _blocks(self, hidden: Tensor) -> Tensor:
        """The transformer blocks, in bf16 or fp32; float32 in and out."""
        hidden = hidden.to(torch.bfloat16) if self.uses_bf16 else hidden
        for block in self.model.visual.transformer.resblocks:
            hidden = run_block(block, hidden) if _is_plain(block) else block(hidden)
        return hidden.float() if self.uses_bf16 else hidden

    def _project(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Last hidden states (B, 1 + N, D) -> features of the N tokens and the pooled one, in the joint space."""
        visual = self.model.visual
        projected = visual.ln_post(hidden) @ visual.proj
        if visual.pool_type == "tok":
            return projected[:, 1:], projected[:, 0]
        if visual.final_ln_after_pool:
            return projected[:, 1:], visual.ln_post(hidden[:, 1:].mean(dim=1)) @ visual.proj
        return projected[:, 1:], projected[:, 1:].mean(dim=1)

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> np.ndarray:
        """texts -> (T, E) float32 unit rows. Longer texts than the context are cut at it, as CLIP does."""
        rows = []
        for begin in range(0, len(texts), TEXT_BATCH):
            ids = self.tokenize(texts[begin : begin + TEXT_BATCH]).to(self.mean.device)
            rows.append(normalize(self.model.encode_text(ids).float(), dim=-1).cpu())
        return torch.cat(rows).numpy()


def _is_plain(block: nn.Module) -> bool:
    """Whether a block of open_clip is the usual pre-norm one, which `run_block` computes."""
    attention = getattr(block, "attn", None)
    return (
        type(block) is open_clip.transformer.ResidualAttentionBlock
        and type(attention) is nn.MultiheadAttention
        and attention.in_proj_weight is not None
        and attention.batch_first
        and isinstance(getattr(block, "ln_attn", nn.Identity()), nn.Identity)
    )


def run_block(block: nn.Module, hidden: Tensor) -> Tensor:
    """A pre-norm ViT block, (B, N, D) -> (B, N, D), without nn.MultiheadAttention.

    That module transposes its input, and torch multiplies a transposed input by a weight without gradient through a
    copy of the weight per token: two fifths of a training step in front of a frozen ViT.
    """
    attention = block.attn
    qkv = linear(block.ln_1(hidden), attention.in_proj_weight, attention.in_proj_bias)
    heads = qkv.unflatten(-1, (3, attention.num_heads, -1)).transpose(1, 3).unbind(2)
    mixed = attention.out_proj(attend(*heads).transpose(1, 2).flatten(2))
    hidden = hidden + block.ls_1(mixed)
    return hidden + block.ls_2(block.mlp(block.ln_2(hidden)))


def resolve_precision(precision: str) -> str:
    """Return fp32 or bf16; auto is bf16 where the processor computes in it, since elsewhere it would be slower."""
    if precision != "auto":
        return precision
    return "bf16" if cpu_flags() & {"avx512_bf16", "amx_bf16"} else "fp32"


def load(config: ClipConfig, root: Path | None = None) -> FrozenClip:
    """Load a CLIP: a directory `config.name` (also looked up below `root`, the checkpoint's), or an open_clip pair.

    Raises ValueError when the name is unknown, or the weights are neither on disk nor can be downloaded.
    """
    directory = clip_directory(config.name, root)
    name = f"local-dir:{directory}" if directory else config.name
    if directory is None and config.name not in open_clip.list_models():
        raise ValueError(f"clip.name={config.name!r} is neither a directory nor an open_clip model such as ViT-B-16")
    try:
        model, preprocess = open_clip.create_model_from_pretrained(
            name, pretrained=None if directory else config.pretrained, device="cpu", precision="fp32"
        )
    except Exception as error:  # open_clip passes on whatever its download, file or state-dict code raises
        raise ValueError(
            f"cannot load CLIP {config.name} / {config.pretrained or '-'}: {error}. With network, open_clip "
            "downloads it on first use; without, copy the weights here and set clip.pretrained to the file, or "
            "clip.name to a directory with open_clip_config.json and open_clip_model.safetensors"
        ) from error
    norm = next(t for t in preprocess.transforms if hasattr(t, "mean"))
    return FrozenClip(model, open_clip.get_tokenizer(name), norm.mean, norm.std, config.precision)


def clip_directory(name: str, root: Path | None = None) -> Path | None:
    """The directory of a CLIP in open_clip's layout, below `root` or as given; None for any other name."""
    for candidate in ([root / name] if root else []) + [Path(name)]:
        if (candidate / "open_clip_config.json").is_file():
            return candidate.resolve()
    return None
