"""Numbers of tokens rounded up: on a CPU, torch and oneDNN compile bf16 code per shape, and keep all of it for ever."""

from __future__ import annotations

import torch
from torch import Tensor

STEP = 64  # tokens


def padded_count(count: int) -> int:
    """Return the next multiple of STEP."""
    return -(-count // STEP) * STEP


def pad(tensor: Tensor, count: int, dim: int = 1) -> Tensor:
    """Append zeros (False) along `dim` up to a length of `count`."""
    missing = count - tensor.shape[dim]
    if missing == 0:
        return tensor
    zeros = tensor.new_zeros(*tensor.shape[:dim], missing, *tensor.shape[dim + 1 :])
    return torch.cat([tensor, zeros], dim=dim)


def key_mask(count: int, length: int, device: torch.device) -> Tensor | None:
    """Return an attention mask (1, 1, 1, length) bool, False on keys from `count` on; None if there are none."""
    return None if count == length else (torch.arange(length, device=device) < count)[None, None, None]
