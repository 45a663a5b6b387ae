"""Trainings in two processes, as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ONE_BY_ONE = """
import os, sys
from s4token_model.training import train
for number, path in enumerate(sys.argv[2:]):
    os.environ["MASTER_PORT"] = str(int(sys.argv[1]) + number)
    train.main([path])
"""


def train(paths: Sequence[Path]) -> None:
    """Run `s4token train` on each YAML file, one after another, in two processes; an error of theirs is a failure."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", ONE_BY_ONE, str(port), *map(str, paths)]
    common = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            command, env=common | {"RANK": str(k), "LOCAL_RANK": str(k)}, stderr=subprocess.PIPE, text=True
        )
        for k in range(2)
    ]
    errors = [process.communicate(timeout=110)[1] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], errors
