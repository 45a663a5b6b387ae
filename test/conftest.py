"""Fixtures: a tiny random model in the layout of a real checkpoint, so that tests need no weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import shared_memory
import torch
from tiny_model import write_tiny_clip

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.pipeline.tokenizer import Tokenizer

ROS_FILES = ("test_real_data.py",)  # beside the folder ros: they start a node


def starts_nodes(path: Path) -> bool:
    """Whether a file of tests starts nodes."""
    return path.parent.name == "ros" or path.name in ROS_FILES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked `cuda` on a machine without a GPU; where processes run the tests, each file stays in one.

    The files that start nodes stay in one together: they mostly wait, and look at the shared memory that nodes leave.
    """
    if addressed := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"{addressed[0]}: give ids= to parametrize; every process must collect the same tests")
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group("ros" if starts_nodes(item.path) else str(item.path)))
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device"))


@pytest.fixture(autouse=True, scope="module")
def shared_memory_of_ended_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove what killed nodes leave in /dev/shm."""
    yield
    if starts_nodes(request.path):
        shared_memory.remove_abandoned()


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
