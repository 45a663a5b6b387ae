"""Kills of a process that overwrites a checkpoint, at random moments: what loads is the old one or the new one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path
from random import Random

import torch
from tqdm import tqdm

from s4token_model import atomic, checkpoint, stored_config
from s4token_model.pipeline.tokenizer import Tokenizer
from scripts.fuzz import checkpoints
from scripts.fuzz.outcome import Outcome

SAVES = 2.5  # that a writer has time for at most, until it is killed


def run(count: int, seed: int, out: Path) -> Outcome:
    """Kill `count` writers; a mixture, a checkpoint that does not load and a leftover count as tracebacks."""
    torch.set_num_threads(1)  # threads do not survive a fork
    found, random = Outcome(), Random(seed)
    with tempfile.TemporaryDirectory(dir=out.resolve(), prefix="kills-") as folder:
        target = Path(folder, "model")
        _write_first(target)
        begin = time.monotonic()
        _save(target, 0.0)
        longest = SAVES * (time.monotonic() - begin)
        for number in tqdm(range(count), "kills", disable=None):
            # Every other writer is one for whose file system two folders cannot be exchanged
            problem = _kill_one(target, random.uniform(0, longest), exchange=number % 2 == 0)
            found.tried += 1
            if problem:
                found.tracebacks += 1
                found.note(f"kill {number}: {problem}")
        _save(target, 0.0)
        if leftovers := [path.name for path in Path(folder).iterdir() if path != target]:
            found.tracebacks += 1
            found.note(f"leftovers: {leftovers[:3]}")
    return found


def _write_first(target: Path) -> None:
    for name, content in checkpoints.good_files().items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (target / "README.md").write_text("stays")
    _save(target, 0.0)


def _save(target: Path, version: float) -> None:
    """Overwrite the checkpoint by one whose weights all are `version`, which its provenance says, too."""
    config = stored_config.read(target).config
    tokenizer = Tokenizer(config.tokenizer, checkpoints.ARCHITECTURE["vision_cfg"]["width"])
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.fill_(version)
    checkpoint.save(target, tokenizer, config, {"version": version})


def _kill_one(target: Path, seconds: float, exchange: bool) -> str:
    """Kill a writer after some seconds of work; returns what is wrong afterwards, or ""."""
    context = multiprocessing.get_context("fork")
    started = context.Event()
    writer = context.Process(target=_overwrite, args=(target, exchange, started))
    writer.start()
    started.wait()
    time.sleep(seconds)
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join()
    return _problem(target)


def _overwrite(target: Path, exchange: bool, started) -> None:
    if not exchange:
        atomic._exchange = lambda *_: False
    started.set()
    for version in range(1, 1000):
        _save(target, float(version))


def _problem(target: Path) -> str:
    """What is wrong with the checkpoint, or ""."""
    try:
        tokenizer, _, _ = checkpoint.load(target)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    tensors = tokenizer.state_dict().values()
    values = {float(value) for tensor in tensors for value in (tensor.min(), tensor.max())}
    if len(values) != 1:
        return f"a mixture of {sorted(values)[:3]}"
    version = json.loads((target / stored_config.FILE).read_text())["provenance"]["version"]
    if values != {version}:
        return f"weights of {values} with the config of {version}"
    return "" if (target / "README.md").exists() else "README.md is gone"
