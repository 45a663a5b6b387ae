"""One number for what a CLIP's image tower computes, whatever file its weights came from."""

from __future__ import annotations

import hashlib

import torch

from s4token_model.pipeline.clip import FrozenClip


def image_tower_digest(clip: FrozenClip) -> str:
    """Return the SHA-256, in hexadecimal, of a CLIP's image tower: its weights, activation and normalization of colors.

    The weights count as rounded to bfloat16, so that a tower is the same in fp32 and in bf16, on every device.
    """
    visual, found = clip.model.visual, hashlib.sha256()
    activations = sorted({repr(module) for module in visual.modules() if "GELU" in type(module).__name__})
    sizes = clip.image_size, clip.patch_size, visual.pool_type, [b.attn.num_heads for b in visual.transformer.resblocks]
    found.update(repr((activations, *sizes)).encode())
    tensors = visual.state_dict() | {"mean": clip.mean, "std": clip.std}
    for name, tensor in sorted(tensors.items()):
        rounded = tensor.detach().to("cpu", torch.bfloat16).contiguous()
        found.update(f"{name} {tuple(rounded.shape)}".encode())
        found.update(rounded.view(torch.int16).numpy().tobytes())
    return found.hexdigest()
