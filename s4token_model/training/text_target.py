"""The text target: procedural scenes know their own words, so points can be drawn to the text features of their
class."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def text_loss(points: Tensor, text: Tensor, label: Tensor, class_weight: Tensor, temperature: float) -> Tensor:
    """L_text = weighted mean over points of -log softmax_c( cos(f_i, t_c) / temperature )[label_i].

    points (P, E); text (C, E) unit rows; label (P,) long; class_weight (C,) > 0.
    """
    logits = normalize(points, dim=-1) @ text.T / temperature
    return cross_entropy(logits, label, class_weight)


def balanced_weights(counts: Tensor, power: float = 0.5) -> Tensor:
    """Class weights ~ frequency^-power, mean 1 over the labeled points; absent classes get the weight of a single
    point."""
    weights = counts.clamp(min=1).double() ** -power
    return (weights * counts.sum() / (weights * counts).sum()).float()
