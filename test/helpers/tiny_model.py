"""A tiny random CLIP in the layout of a real one, so that tests need no weights."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import safetensors.torch
import torch

TINY_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 48, "head_width": 16, "patch_size": 8, "pool_type": "avg"},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def write_tiny_clip(directory: Path, settings: dict = TINY_CLIP) -> None:
    """Write a CLIP with random weights as an open_clip directory."""
    torch.manual_seed(0)
    model = open_clip.CLIP(**settings)
    directory.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(model.state_dict(), directory / "open_clip_model.safetensors")
    (directory / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings, "preprocess_cfg": {}}))
