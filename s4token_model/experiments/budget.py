"""Sizes of the runs of `make results`, and where they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Budget:
    """Sizes of all runs. Weights are cached under the budget's name: delete the cache folder after changing a size."""

    name: str
    seeds: int = 3
    points: int = 2048  # per object
    # Supervised parts (Table 1, sweeps)
    train_shapes: int = 600
    test_shapes: int = 180
    steps: int = 400
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
    pretrain_steps: int = 600
    pretrain_batch: int = 8
    views: int = 6
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
    views=2, rooms=1, room_points=4000, room_tokens=64, scannet_rooms=1, robust_shapes=12,
)  # fmt: skip


@dataclass(frozen=True)
class Workspace:
    """Folder of cached runs and weights, the budget, and the folders of ScanNet and S3DIS, or None."""

    folder: Path
    budget: Budget
    scannet: Path | None = None
    s3dis: Path | None = None
