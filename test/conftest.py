"""Fixtures: a tiny random model in the layout of a real checkpoint, so that tests need no weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import write_tiny_clip

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.pipeline.tokenizer import Tokenizer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `cuda` on a machine without a GPU."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """Directory of a random checkpoint (untrained: labels mean nothing, everything else is real)."""
    directory = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_clip(directory / "clip")
    config = configs.from_dict(
        {"clip.name": "clip", "clip.pretrained": "", "tokenizer.width": 16, "sampling.tokens": 64, "patches.points": 16}
    )
    torch.manual_seed(1)
    checkpoint.save(directory, Tokenizer(config.tokenizer, 48), config, {"note": "random weights for tests"})
    return directory
