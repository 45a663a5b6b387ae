"""Weights of a CLIP in the files of OpenAI and Hugging Face, written from those of an open_clip model."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

SIZES = {"input_resolution": 224, "context_length": 77, "vocab_size": 49408}  # beside OpenAI's weights
HUGGING_FACE = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
HUGGING_FACE |= {"attn.out_proj": "self_attn.out_proj"}
TOWERS = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}


class Part(nn.Module):
    """A module whose program does nothing."""


def write_torchscript(tensors: dict[str, Tensor], path: Path) -> None:
    """Write an archive like OpenAI's: a compiled module with mixed precision and three sizes as buffers."""
    sizes = {name: torch.tensor(value) for name, value in SIZES.items()}
    whole = ("ln_", "embedding", "logit_scale")  # in float32; the rest is in half precision
    mixed = {name: t if any(part in name for part in whole) else t.half() for name, t in tensors.items()}
    with warnings.catch_warnings():  # torch.jit is deprecated; OpenAI's archives stay what they are
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.script(_module(mixed | sizes)).save(str(path))


def _module(tensors: dict[str, Tensor]) -> nn.Module:
    module, children = Part(), {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        if rest:
            children.setdefault(first, {})[rest] = tensor
        elif tensor.is_floating_point():
            module.register_parameter(first, nn.Parameter(tensor))
        else:
            module.register_buffer(first, tensor)
    for name, part in children.items():
        module.add_module(name, _module(part))
    return module


def to_hugging_face(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights by the names of `transformers.CLIPModel`, with the buffers of its older versions."""
    found = {theirs: tensors[ours] for ours, theirs in TOWERS.items()}
    found["visual_projection.weight"] = tensors["visual.proj"].T
    found["text_projection.weight"] = tensors["text_projection"].T
    for start, tower in (("visual.transformer.resblocks.", "vision_model"), ("transformer.resblocks.", "text_model")):
        for name in (name for name in tensors if name.startswith(start)):
            layer, _, rest = name.removeprefix(start).partition(".")
            prefix, (part, _, kind) = f"{tower}.encoder.layers.{layer}", rest.rpartition(".")
            if part in HUGGING_FACE:
                found[f"{prefix}.{HUGGING_FACE[part]}.{kind}"] = tensors[name]
                continue
            kind = kind.removeprefix("in_proj_")
            for letter, rows in zip("qkv", tensors[name].chunk(3), strict=True):
                found[f"{prefix}.self_attn.{letter}_proj.{kind}"] = rows
        found[f"{tower}.embeddings.position_ids"] = torch.arange(77)[None]
    return {name: tensor.contiguous().clone() for name, tensor in found.items()}
