"""The digest of an image tower: the same whatever the precision, another with other weights or another activation."""

from __future__ import annotations

import copy

from tiny_model import TINY_CLIP, write_tiny_clip

from s4token_model.config import ClipConfig
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip_digest import image_tower_digest


def test_weights_and_activation_count_and_precision_does_not(tmp_path):
    write_tiny_clip(tmp_path / "gelu")
    write_tiny_clip(tmp_path / "quick", TINY_CLIP | {"quick_gelu": True})
    load = {name: clip.load_directory(tmp_path / name) for name in ("gelu", "quick")}
    digest = image_tower_digest(load["gelu"])
    assert len(digest) == 64 and digest == image_tower_digest(copy.deepcopy(load["gelu"]))
    assert digest == image_tower_digest(clip.load(ClipConfig(str(tmp_path / "gelu"), "", "bf16")))
    assert digest != image_tower_digest(load["quick"])  # the weights are the same
    load["gelu"].model.visual.proj.mul_(1.1)
    assert digest != image_tower_digest(load["gelu"])
    load["quick"].model.token_embedding.weight.mul_(2)  # the text tower makes no targets
    assert image_tower_digest(load["quick"]) == image_tower_digest(clip.load_directory(tmp_path / "quick"))
