"""Cached runs: one JSON file per experiment, setting and seed, so that a killed sitting resumes."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s4token_model.experiments.budget import Workspace
from s4token_model.io.files import atomic

VERSION = 1  # increase it to discard figures of earlier code


def path_of(folder: Path, experiment: str, setting: str, seed: int) -> Path:
    """File of one run; characters that a file name cannot hold become underscores."""
    return folder / experiment / f"{re.sub(r'[^A-Za-z0-9.+=-]', '_', setting)}-seed{seed}.json"


def load(workspace: Workspace, experiment: str, setting: str, seed: int) -> dict[str, Any] | None:
    """Return a stored run {"figures": {...}, "seconds": s, ...}, or None if absent, damaged or of another budget."""
    try:
        stored = json.loads(path_of(workspace.folder, experiment, setting, seed).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(stored, dict) or "figures" not in stored or stored.get("version") != VERSION:
        return None
    return stored if stored.get("budget") == dataclasses.asdict(workspace.budget) else None


def run(
    workspace: Workspace, experiment: str, setting: str, seed: int, compute: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return the stored run, or compute its figures and store them in one atomic step."""
    stored = load(workspace, experiment, setting, seed)
    if stored is not None:
        return stored
    started = time.perf_counter()
    figures = compute()
    stored = {"version": VERSION, "budget": dataclasses.asdict(workspace.budget), "setting": setting, "seed": seed}
    stored |= {"seconds": round(time.perf_counter() - started, 1), "figures": figures}
    path = path_of(workspace.folder, experiment, setting, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        file.write(json.dumps(stored, indent=1).encode())
    return stored
