"""Results of single runs on disk, one JSON file per (experiment, setting, seed), so that a killed run goes on."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s4token_model.experiments.effort import Effort
from s4token_model.io.files import atomic

VERSION = 1  # raise it when figures of before no longer count


def path_of(folder: Path, experiment: str, setting: str, seed: int) -> Path:
    """File of one run; characters that a file name cannot hold become underscores."""
    return folder / experiment / f"{re.sub(r'[^A-Za-z0-9.+=-]', '_', setting)}-seed{seed}.json"


def load(folder: Path, experiment: str, setting: str, seed: int, effort: Effort) -> dict[str, Any] | None:
    """The stored run {"figures": {...}, "seconds": s, ...}; None when it is absent, damaged, or of another effort."""
    try:
        stored = json.loads(path_of(folder, experiment, setting, seed).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) and _wanted(stored, effort) and "figures" in stored else None


def run(
    folder: Path, experiment: str, setting: str, seed: int, effort: Effort, compute: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return the stored run, or compute its figures and store them in one atomic step."""
    stored = load(folder, experiment, setting, seed, effort)
    if stored is not None:
        return stored
    started = time.perf_counter()
    figures = compute()
    stored = {"version": VERSION, "effort": dataclasses.asdict(effort), "setting": setting, "seed": seed}
    stored |= {"seconds": round(time.perf_counter() - started, 1), "figures": figures}
    path = path_of(folder, experiment, setting, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        file.write(json.dumps(stored, indent=1).encode())
    return stored


def _wanted(stored: dict[str, Any], effort: Effort) -> bool:
    return stored.get("version") == VERSION and stored.get("effort") == dataclasses.asdict(effort)
