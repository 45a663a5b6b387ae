"""Sizes of the runs of `make results`, and their cache: one JSON file per experiment, setting and seed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s4token_model import atomic

VERSION = 2  # increase it to discard figures and weights of earlier code


@dataclass(frozen=True)
class Budget:
    """Sizes of all runs. Weights are cached under the budget's name and VERSION: increase it when a size changes."""

    name: str
    seeds: int = 8
    sweep_seeds: int = 3
    points: int = 2048  # per object
    # Supervised parts (Table 1, sweeps)
    train_shapes: int = 600
    test_shapes: int = 180
    steps: int = 300
    sweep_steps: int = 100
    batch: int = 16
    layers: int = 3  # transformer layers behind the tokens
    width: int = 96
    rate: float = 1e-3
    # The small CLIP: pictures of so many scenes, steps on captions only, then on pictures and captions
    clip_scenes: int = 1200
    text_steps: int = 300
    clip_steps: int = 1500
    # Self-supervised training in front of it (Tables 2, 6, 7): objects, each seen in so many views
    pretrain_shapes: int = 884
    held_out: int = 221
    pretrain_steps: int = 400
    pretrain_batch: int = 8
    views: int = 6
    pretrain_rooms: int = 64
    # Rooms to test on
    rooms: int = 4
    room_points: int = 30000
    room_tokens: int = 512
    scannet_rooms: int = 5
    robust_shapes: int = 60  # objects at each scale


FULL = Budget("full")
QUICK = Budget(
    "quick", seeds=1, points=512, train_shapes=24, test_shapes=12, steps=6, sweep_steps=3, batch=4, layers=1, width=48,
    clip_scenes=34, text_steps=3, clip_steps=3, pretrain_shapes=12, held_out=12, pretrain_steps=3, pretrain_batch=4,
    views=2, pretrain_rooms=3, rooms=1, room_points=4000, room_tokens=64, scannet_rooms=1, robust_shapes=12,
)  # fmt: skip


@dataclass(frozen=True)
class Workspace:
    """Folder of cached runs and weights, the budget, and the folders of ScanNet and S3DIS, or None."""

    folder: Path
    budget: Budget
    scannet: Path | None = None
    s3dis: Path | None = None


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
    return stored if _sizes(stored.get("budget")) == _sizes(asdict(workspace.budget)) else None


def _sizes(budget: Any) -> Any:
    """Return what a run depends on in a budget; more seeds change no run."""
    return {k: v for k, v in budget.items() if not k.endswith("seeds")} if isinstance(budget, dict) else None


def run(
    workspace: Workspace, experiment: str, setting: str, seed: int, compute: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return the stored run, or compute its figures and store them in one atomic step."""
    stored = load(workspace, experiment, setting, seed)
    if stored is not None:
        return stored
    started = time.perf_counter()
    figures = compute()
    stored = {"version": VERSION, "budget": asdict(workspace.budget), "setting": setting, "seed": seed}
    stored |= {"seconds": round(time.perf_counter() - started, 1), "figures": figures}
    path = path_of(workspace.folder, experiment, setting, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as file:
        file.write(json.dumps(stored, indent=1).encode())
    return stored
