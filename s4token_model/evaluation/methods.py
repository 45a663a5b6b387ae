"""What can be evaluated: a trained tokenizer in front of its CLIP, or that CLIP on projected depth pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

METHODS = ("s4token", "projection")


def load(method: str, model: str | Path, device: str = "cpu") -> Any:
    """A Segmenter of the model, or a Projection with the model's CLIP. ValueError on an unknown method."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; there are {', '.join(METHODS)}")
    if method == "projection":
        from s4token_model.evaluation.projection import Projection

        return Projection.load(model, device=device)
    from s4token_model.segmenter import Segmenter

    return Segmenter.load(model, device=device)


def title(method: str, model: str | Path) -> str:
    """The heading of a method's column."""
    return str(model) if method == METHODS[0] else f"{method} with the CLIP of {model}"
