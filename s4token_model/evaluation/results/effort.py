"""How large the runs of `make results` are: in full, or just large enough to show that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Sizes of all runs; figures of different efforts are never mixed.

    Part segmentation (Table 1, sweeps): train_shapes and test_shapes objects, steps optimizer steps (sweep_steps in the
    sweeps) of batch objects, layers transformer layers of `width` channels. Self-supervised training (Tables 2, 6, 7):
    pretrain_shapes objects seen in `views` pictures, held_out others, pretrain_steps steps. Rooms: procedural ones and
    ScanNet's scans, of at most room_points points. robust_shapes objects at each of the scales. clip, a digest of the
    weights of the mini model's CLIP, for what is trained in front of it.
    """

    name: str
    seeds: int = 3
    points: int = 2048
    train_shapes: int = 600
    test_shapes: int = 180
    steps: int = 400
    sweep_steps: int = 200
    batch: int = 16
    layers: int = 3
    width: int = 96
    rate: float = 1e-3
    pretrain_shapes: int = 880
    held_out: int = 220
    pretrain_steps: int = 400
    views: int = 6
    rooms: int = 4
    room_points: int = 30000
    room_tokens: int = 512
    scannet_rooms: int = 5
    robust_shapes: int = 60
    clip: str = ""


FULL = Effort("full")
QUICK = Effort(
    "quick", seeds=1, points=512, train_shapes=24, test_shapes=12, steps=6, sweep_steps=3, batch=4, layers=1, width=48,
    pretrain_shapes=12, held_out=12, pretrain_steps=3, views=2, rooms=1, room_points=4000, room_tokens=64,
    scannet_rooms=1, robust_shapes=12,
)  # fmt: skip
