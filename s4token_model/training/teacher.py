"""The teacher: a running mean of the tokenizer (method: Sec. 6)."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


class Teacher(nn.Module):
    """teacher <- m * teacher + (1 - m) * student after each step, parameters and buffers alike; no gradient."""

    def __init__(self, student: nn.Module):
        super().__init__()
        self.module = copy.deepcopy(student).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode whatever `mode` is."""
        return super().train(False)

    def forward(self, *inputs):
        with torch.no_grad():
            return self.module(*inputs)

    @torch.no_grad()
    def update(self, student: nn.Module, momentum: float) -> None:
        """Move towards `student`; buffers of whole numbers are copied."""
        mine, theirs = self.module.state_dict(), student.state_dict()
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name].to(value), 1 - momentum)
            else:
                value.copy_(theirs[name])


def momentum_at(step: int, total: int, first: float = 0.996) -> float:
    """m from `first` to 1 along half a cosine."""
    return 1 - (1 - first) * 0.5 * (1 + math.cos(math.pi * step / max(1, total)))
