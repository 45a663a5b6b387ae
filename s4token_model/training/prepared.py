"""Prepared samples drawn from disk: the same batch for a step, however many processes share it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from s4token_model.training.procedural_samples import load_sample
from s4token_model.training.settings import TrainConfig
from s4token_model.training.targets import target_path
from s4token_model.training.token_samples import (
    Batch,
    collate,
    load_target,
    sample_tokens,
    subsample_points,
    without_pictures,
)

log = logging.getLogger(__name__)


class Prepared:
    """Samples of one or several folders, read when drawn.

    The 2D targets are in the sample itself or in a folder "targets" beside its own; samples without any train
    L_assign alone. A damaged file is reported once, counted in `skipped` and replaced by the next one.
    """

    def __init__(self, paths: list[Path], dim: int):
        self.paths, self.dim, self.skipped = paths, dim, 0
        self._bad: set[Path] = set()

    def draw(
        self, train: TrainConfig, step: int, positions: range, train_mode: bool = True
    ) -> tuple[Batch, list[np.random.Generator]]:
        """Return the clouds at `positions` of the batch of a step, and a generator for each."""
        rngs = [np.random.default_rng([train.seed, step, position]) for position in positions]
        items = [self._item(int(rng.integers(len(self.paths)))) for rng in rngs]
        clouds = [
            sample_tokens(subsample_points(item, train.points, rng), train, rng, train.tokens, train_mode)
            for item, rng in zip(items, rngs, strict=True)
        ]
        return collate(clouds), rngs

    def _item(self, number: int) -> dict[str, np.ndarray]:
        for offset in range(len(self.paths)):
            path = self.paths[(number + offset) % len(self.paths)]
            try:
                return self._load(path)
            except ValueError as error:
                if path not in self._bad:
                    self._bad.add(path)
                    self.skipped = len(self._bad)
                    log.warning("%s", error)
        raise ValueError(f"all {len(self.paths)} samples are damaged; run `s4token prepare` again")

    def _load(self, path: Path) -> dict[str, np.ndarray]:
        item = without_pictures(load_sample(path))
        beside = target_path(path, path.parent.parent / "targets")
        if "target_whole" not in item and beside.is_file():
            item |= load_target(beside)
        missing = [k for k in ("patch", "context", "shape", "position", "point", "point_superpoint") if k not in item]
        if missing:
            raise ValueError(f"{path} holds no {', '.join(missing)}: not a prepared sample; see s4token prepare")
        item.setdefault("point_label", np.full(len(item["point"]), -1, np.int16))
        item.setdefault("target_superpoint", np.zeros(0, np.int32))
        item.setdefault("target_feature", np.zeros((0, self.dim), np.float16))
        item.setdefault("target_whole", np.zeros(self.dim, np.float16))
        if item["target_whole"].shape != (self.dim,):
            found = item["target_whole"].shape[0]
            raise ValueError(f"{path} has targets of {found} numbers, this CLIP {self.dim}; prepare with the same CLIP")
        return item


def split(paths: list[Path], share: float) -> tuple[list[Path], list[Path]]:
    """Keep about `share` of the samples, evenly spread, for validation: (training, held out)."""
    if not paths:
        raise ValueError("no prepared samples (*.safetensors, *.npz) found; make some with `s4token prepare`")
    every = round(1 / share) if share > 0 else 0
    held = paths[every - 1 :: every] if every and len(paths) >= every else []
    return [p for p in paths if p not in set(held)] or paths, held
