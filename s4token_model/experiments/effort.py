"""How large the runs of `make results` are: in full, or just large enough to show that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Sizes of all runs; figures of different efforts are never mixed. Trained weights are kept by the effort's name:
    who changes its sizes deletes its folder.

    Part segmentation (Table 1, sweeps): train_shapes and test_shapes objects, steps optimizer steps (sweep_steps in the
    sweeps) of batch objects, layers transformer layers of `width` channels. The small CLIP: pictures of clip_scenes
    scenes, text_steps of captions alone, then clip_steps. Self-supervised training in front of it (Tables 2, 6, 7):
    pretrain_shapes objects seen in `views` pictures, held_out others, pretrain_steps steps of pretrain_batch objects.
    Rooms: procedural ones and ScanNet's scans, of at most room_points points. robust_shapes objects at each scale.
    """

    name: str
    seeds: int = 3
    points: int = 2048
    train_shapes: int = 600
    test_shapes: int = 180
    steps: int = 400
    sweep_steps: int = 100
    batch: int = 16
    layers: int = 3
    width: int = 96
    rate: float = 1e-3
    clip_scenes: int = 1200
    text_steps: int = 300
    clip_steps: int = 1500
    pretrain_shapes: int = 884
    held_out: int = 221
    pretrain_steps: int = 600
    pretrain_batch: int = 8
    views: int = 6
    rooms: int = 4
    room_points: int = 30000
    room_tokens: int = 512
    scannet_rooms: int = 5
    robust_shapes: int = 60


FULL = Effort("full")
QUICK = Effort(
    "quick", seeds=1, points=512, train_shapes=24, test_shapes=12, steps=6, sweep_steps=3, batch=4, layers=1, width=48,
    clip_scenes=34, text_steps=3, clip_steps=3, pretrain_shapes=12, held_out=12, pretrain_steps=3, pretrain_batch=4,
    views=2, rooms=1, room_points=4000, room_tokens=64, scannet_rooms=1, robust_shapes=12,
)  # fmt: skip
