"""A CLIP with fewer blocks: the first ones of the other, everything else alike."""

from __future__ import annotations

import numpy as np
import pytest
import shorten_clip
import torch
from tiny_model import write_tiny_clip

from s4token_model.pipeline import clip


def test_the_first_blocks_are_kept_and_the_texts_mean_the_same(tmp_path):
    write_tiny_clip(tmp_path / "old")
    assert shorten_clip.main([str(tmp_path / "old"), str(tmp_path / "new"), "--blocks", "1"]) == 0
    old, new = (clip.load_directory(tmp_path / name) for name in ("old", "new"))
    blocks = [one.model.visual.transformer.resblocks for one in (old, new)]
    assert [len(found) for found in blocks] == [2, 1]
    hidden = torch.randn(1, 5, old.width)
    torch.testing.assert_close(blocks[1][0](hidden), blocks[0][0](hidden))
    np.testing.assert_array_equal(new.encode_text(["a chair"]), old.encode_text(["a chair"]))
    tokens = torch.randn(1, 4, old.width)
    for found, expected in zip(new.encode_tokens(tokens, True), old.encode_tokens(tokens, True), strict=True):
        torch.testing.assert_close(found, expected)
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    assert old.encode_images(picture)[1].shape == (1, old.dim)
    with pytest.raises(ValueError, match="was shortened and encodes no pictures; choose a model"):
        new.encode_images(picture)


def test_more_blocks_than_there_are_is_an_error(tmp_path):
    write_tiny_clip(tmp_path / "old")
    with pytest.raises(ValueError, match="--blocks 3: .* has 2"):
        shorten_clip.shorten(tmp_path / "old", tmp_path / "new", 3)
