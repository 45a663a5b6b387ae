"""Global random masking of tokens (method: Sec. 3.4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def visible_tokens(clouds: int, tokens: int, ratio: float, rngs: list[np.random.Generator]) -> tuple[Tensor, Tensor]:
    """Draw which tokens the student sees.

    floor(ratio * N) tokens are masked, ceil((1 - ratio) * N) stay visible; one generator per cloud, so that the draw
    does not depend on how clouds are spread over processes. Returns visible (B, V) and masked (B, M) long, ascending.
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"mask ratio {ratio} must be in [0, 1); the paper uses 0.6")
    hidden = int(ratio * tokens + 1e-9)
    order = np.stack([rngs[cloud].permutation(tokens) for cloud in range(clouds)])
    masked, visible = np.sort(order[:, :hidden], axis=1), np.sort(order[:, hidden:], axis=1)
    return torch.from_numpy(visible), torch.from_numpy(masked)


def pick(values: Tensor, index: Tensor) -> Tensor:
    """values (B, N, ...), index (B, K) -> (B, K, ...)."""
    return values[torch.arange(len(values), device=values.device).unsqueeze(1), index]
