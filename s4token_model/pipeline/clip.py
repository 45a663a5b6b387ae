"""The frozen CLIP: tokens, images and texts to features in one joint space (Sec. 4 of the paper).

Our tokens replace CLIP's patch embeddings: the patch convolution and the positions of the patches are left out, while
the class embedding with its own position, ln_pre, the blocks, ln_post and the projection stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from s4token_model import bounded_files
from s4token_model.config import ClipConfig
from s4token_model.kernels.parallel import cpu_flags
from s4token_model.pipeline import clip_config, known_words, plain_clip, stored_weights
from s4token_model.pipeline.clip_config import clip_directory, file_names
from s4token_model.pipeline.padding import key_mask, pad, padded_count
from s4token_model.pipeline.plain_clip import PlainClip

TEXT_BATCH = 256  # texts per run of the text tower
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # processors that multiply bf16 faster than fp32


class FrozenClip(nn.Module):
    """A CLIP whose tensors never change: no gradient reaches its weights, and train() keeps it in evaluation mode."""

    def __init__(
        self, model: nn.Module, tokenize: Callable[[list[str]], Tensor] | None,
        mean: tuple[float, ...], std: tuple[float, ...], precision: str = "fp32",
    ):  # fmt: skip
        """Freeze a CLIP of open_clip with a plain ViT, in fp32, on the device where it will compute.

        `tokenize` turns texts to (T, context length) ids; mean and std normalize the color channels; `precision: auto`
        of the ViT's blocks depends on the device.
        """
        super().__init__()
        visual = model.visual
        plain = type(visual).__name__ == "VisionTransformer" and visual.attn_pool is None  # open_clip's, or ours
        if not plain or visual.pool_type not in ("tok", "avg"):
            kind = type(visual).__name__
            raise ValueError(f"the image tower is a {kind}; choose a plain open_clip ViT, e.g. ViT-B-16-quickgelu")
        self.model = model.eval().requires_grad_(False)
        self.tokenize = tokenize
        self.known_words: known_words.KnownWords | None = None  # that it was trained with, if on record
        self.pictures = True  # whether `encode_images` is allowed
        self.precision = resolve_precision(precision, visual.proj.device.type)
        visual.transformer.to(torch.bfloat16 if self.uses_bf16 else torch.float32)
        self.width, self.dim = visual.proj.shape  # D of the tokens, E of the joint space
        self.image_size, self.patch_size = visual.image_size[0], visual.patch_size[0]  # edges in pixels
        self.register_buffer("mean", visual.proj.new_tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", visual.proj.new_tensor(std).view(3, 1, 1), persistent=False)
        self.eval()

    @property
    def uses_bf16(self) -> bool:
        """Whether the blocks compute in bf16."""
        return self.precision == "bf16"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.visual.proj.device

    def train(self, mode: bool = True) -> FrozenClip:
        """Stay in evaluation mode whatever `mode` is."""
        return super().train(False)

    def encode_tokens(self, tokens: Tensor, skip_blocks: bool = False) -> tuple[Tensor, Tensor]:
        """Run the ViT on tokens (B, N, D) float32; gradients flow to the tokens, never into CLIP.

        Returns features of the tokens (B, N, E) and of the cloud (B, E), not normalized. The latter is the class
        token's, or the tokens' mean if the tower pools by averaging. `skip_blocks` is for the start of a training.
        """
        visual = self.model.visual
        cls = (visual.class_embedding + visual.positional_embedding[0]).expand(len(tokens), 1, -1)
        hidden = visual.ln_pre(torch.cat([cls.to(tokens.dtype), tokens], dim=1))
        return self._project(hidden if skip_blocks else self._blocks(hidden)[-1])

    @torch.no_grad()
    def encode_images(self, images: np.ndarray, dense: bool = False) -> tuple[Tensor, Tensor]:
        """Images (B, h, w, 3) uint8 of any size -> features of the patch grid (B, g, g, E) and of the image (B, E).

        With `dense`, those of the patches are MaskCLIP's: in the last block, each patch takes its own value and not
        the attended ones, so that its feature says what is there and not what the image shows. ValueError if the tower
        was shortened.
        """
        self.check_pictures()
        visual = self.model.visual
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2).float() / 255
        size = (self.image_size, self.image_size)
        if pixels.shape[-2:] != size:
            pixels = nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)
        hidden = embedded(visual, (pixels - self.mean) / self.std)
        *own, hidden = self._blocks(hidden, dense)
        features, pooled = self._project(hidden)
        if dense:
            features, _ = self._project(own[0])
        grid = self.image_size // self.patch_size
        return features.reshape(len(images), grid, grid, -1), pooled

    def check_pictures(self) -> None:
        """Raise ValueError if this CLIP encodes no pictures."""
        if not self.pictures:
            raise ValueError(
                "the image tower of this CLIP was shortened and encodes no pictures; choose a model in front of a "
                "whole one, or where the CLIP alone counts, clip.name=ViT-B-16-quickgelu and clip.pretrained=openai"
            )

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> np.ndarray:
        """Texts -> (T, E) float32 unit rows; a text longer than the context is cut, as in CLIP."""
        rows = []
        for start in range(0, len(texts), TEXT_BATCH):
            ids = self.tokenize(texts[start : start + TEXT_BATCH]).to(self.device)
            rows.append(normalize(self.model.encode_text(ids).float(), dim=-1).cpu())
        return torch.cat(rows).numpy()

    def fits_context(self, texts: list[str]) -> np.ndarray:
        """Return (T,) bool, whether a text is read to its end; `encode_text` cuts those that are longer silently."""
        ids = self.tokenize(texts)
        longer = self.tokenize(texts, context_length=2 * ids.shape[1])
        return (ids == longer[:, : ids.shape[1]]).all(dim=1).numpy()

    def _blocks(self, hidden: Tensor, own_values: bool = False) -> list[Tensor]:
        """The transformer blocks, in bf16 or fp32; float32 in and out. `own_values`: before it, what the last block
        gives without attention.
        """
        *blocks, last = self.model.visual.transformer.resblocks
        hidden, length = hidden.to(torch.bfloat16) if self.uses_bf16 else hidden, hidden.shape[1]
        mask: tuple[Tensor, ...] = ()
        if self.uses_bf16 and hidden.device.type == "cpu" and isinstance(self.model, PlainClip):
            hidden = pad(hidden, 1 + padded_count(length - 1))  # the class token stands before the tokens
            mask = (key_mask(length, hidden.shape[1], hidden.device),)
        for block in blocks:
            hidden = block(hidden, *mask)
        ends = [take_own_values(last, hidden)] if own_values else []
        return [end[:, :length].float() for end in (*ends, last(hidden, *mask))]

    def _project(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Last hidden states (B, 1 + N, D) -> features of the N tokens and the pooled one, in the joint space."""
        visual = self.model.visual
        projected = visual.ln_post(hidden) @ visual.proj
        if visual.pool_type == "tok":
            return projected[:, 1:], projected[:, 0]
        if visual.final_ln_after_pool:
            return projected[:, 1:], visual.ln_post(hidden[:, 1:].mean(dim=1)) @ visual.proj
        return projected[:, 1:], projected[:, 1:].mean(dim=1)


def embedded(visual: nn.Module, pixels: Tensor) -> Tensor:
    """Return what the blocks of a plain ViT see of pictures (B, 3, h, w): class token and patches, (B, N, D)."""
    patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
    cls = visual.class_embedding.expand(len(pixels), 1, -1)
    return visual.ln_pre(torch.cat([cls, patches], dim=1) + visual.positional_embedding)


def take_own_values(block: nn.Module, hidden: Tensor) -> Tensor:
    """Run a block of a plain ViT, ours or open_clip's, with the identity for its attention; (B, N, D) in and out.

    MaskCLIP's value path: y = x + W_out (W_v LN(x) + b_v) + b_out, then the MLP as ever.
    """
    attention, width = block.attn, hidden.shape[-1]
    value = linear(block.ln_1(hidden), attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :])
    hidden = hidden + block.ls_1(attention.out_proj(value))
    return hidden + block.ls_2(block.mlp(block.ln_2(hidden)))


def resolve_precision(precision: str, device_type: str = "cpu") -> str:
    """Return fp32 or bf16; `auto` is bf16 if the CPU or GPU that computes has instructions for it, else fp32."""
    if precision != "auto":
        return precision
    if device_type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device_type == "cpu" and cpu_flags() & BF16_FLAGS else "fp32"


def load(config: ClipConfig, root: Path | None = None, device: str | torch.device = "cpu") -> FrozenClip:
    """Load a CLIP from the directory `config.name`, below a checkpoint `root` if one is given, or as an open_clip pair.

    ValueError if the name is unknown, computes another activation than the weights were trained with, or the weights
    are neither on disk nor can be downloaded. Nothing of a directory is run, and no file outside of it is opened.
    """
    directory = clip_directory(config.name, root)
    if directory is None:
        from s4token_model.pipeline import clip_pair  # late: open_clip takes seconds and 200 MB

        model, tokenize, mean, std = clip_pair.load(config)
        return FrozenClip(model.to(device), tokenize, mean, std, config.precision)
    try:
        return load_directory(directory, config.precision, device)
    except Exception as error:  # open_clip asserts, torch raises whatever a size leads to
        raise ValueError(f"cannot load CLIP {config.name}: {error or type(error).__name__}") from error


def load_directory(directory: Path, precision: str = "fp32", device: str | torch.device = "cpu") -> FrozenClip:
    """Load a CLIP from open_clip_config.json and .safetensors weights, with CLIP's own tokenizer."""
    architecture = clip_config.read(directory)
    path = bounded_files.inside(directory, file_names(directory)[1])
    model = stored_weights.load(lambda: plain_clip.build(architecture.model), path)
    tokenize = partial(tokenizer(), context_length=model.context_length)
    clip = FrozenClip(model.to(device), tokenize, architecture.mean, architecture.std, precision)
    clip.known_words, clip.pictures = known_words.load(directory, clip.dim), architecture.pictures
    # A text and a token: towers that do not go together fail now
    token = torch.zeros(1, 1, clip.width, device=clip.device)
    with torch.no_grad():
        found = clip.encode_text(["a"]).shape, tuple(clip.encode_tokens(token)[1].shape)
    if set(found) != {(1, clip.dim)}:
        raise ValueError(f"its towers have outputs of shapes {found[0]} and {found[1]}")
    return clip


@cache
def tokenizer() -> Any:
    """CLIP's own tokenizer, from a module of open_clip that stands alone: the package need not be imported."""
    package: Any = find_spec("open_clip")
    spec: Any = spec_from_file_location("open_clip_tokenizer", Path(package.origin).with_name("tokenizer.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "_tokenizer", None) or module.SimpleTokenizer()  # the module makes one when it is imported
