"""Supervised part segmentation on ShapeNetPart (Tables 1 and A of the paper): `s4token train` with task=parts.

The loss is the cross-entropy over the parts of the shape's category.
"""

from __future__ import annotations

import dataclasses
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets import shapenetpart
from s4token_model.metrics import part_ious
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import build_patches
from s4token_model.training import settings, supervised, token_samples
from s4token_model.training.batches import Batch
from s4token_model.training.supervised import SegmentationModel

CATEGORIES = tuple(shapenetpart.CATEGORIES)
PART_COUNTS = tuple(len(shapenetpart.parts(name)) for name in CATEGORIES)
POINTS = 2048  # kept of each shape
MIN_TOKENS = 4


class PartModel(SegmentationModel):
    """A model whose classes are the parts of the shape's category."""

    def __init__(self, tokenizer: Tokenizer, encoder: FrozenClip, config: settings.TrainConfig):
        super().__init__(tokenizer, encoder, len(CATEGORIES), max(PART_COUNTS), config)
        self.register_buffer("part_counts", torch.tensor(PART_COUNTS), persistent=False)

    def forward(self, batch: Batch, bf16: bool = False) -> Tensor:
        """Return logits (B, P, max(PART_COUNTS)), -inf for parts that the category does not have."""
        logits, count = super().forward(batch, bf16), self.part_counts[batch.category, None, None]
        return logits.masked_fill(torch.arange(logits.shape[2], device=count.device) >= count, -torch.inf)


def score(model: SegmentationModel, paths: list[Path], device: str) -> dict[str, Any]:
    """mIoU_C and mIoU_I on the points of the samples, as `s4token evaluate shapenetpart` defines them."""
    found: dict[str, list[float]] = {}
    for path in tqdm(paths, "testing"):
        sample = token_samples.load_sample(path)
        prediction, name = supervised.predict(model, sample, device), CATEGORIES[int(sample.category)]
        ious = part_ious(sample.point_label.astype(np.int64), prediction, len(shapenetpart.parts(name)))
        found.setdefault(name, []).append(float(ious.mean()))
    categories = {name: {"shapes": len(v), "miou": float(np.mean(v))} for name, v in found.items()}
    return {
        "miou_c": float(np.mean([c["miou"] for c in categories.values()])),
        "miou_i": float(np.mean([value for values in found.values() for value in values])),
        "test_shapes": len(paths),
        "categories": categories,
    }


def prepare_shapes(
    config: settings.TrainConfig, split: str, folder: Path, pipeline: Config, rank: int, processes: int
) -> list[Path]:
    """Write the missing samples of a split and return all. Shapes that fail are left out; ValueError if all do."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = shapenetpart.list_shapes(config.data, split)
    if split == "train":
        with suppress(ValueError):  # the usual protocol trains on both, but val may be absent
            paths = paths + shapenetpart.list_shapes(config.data, "val")
    metadata = supervised.metadata_of("parts", split, config, pipeline)
    names = [f"{path.parent.name}_{path.stem}{token_samples.SUFFIX}" for path in paths]
    found = [(folder / name, path, pipeline, metadata) for name, path in zip(names, paths, strict=True)]
    written = supervised.write_samples(prepare_shape, found, f"{split} samples", config, rank, processes)
    if not written:
        raise ValueError(f"no shape of the split {split} of {config.data} can be used; see the messages above")
    return written


def prepare_shape(out: Path, source: Path, config: Config, metadata: dict[str, str]) -> list[str]:
    """Write the sample of one shape; there is nothing to note. ValueError, e.g. if it gives too few tokens."""
    shape = shapenetpart.load_shape(source)
    patched = build_patches(shape.xyz, None, configs.replace(config, {"input.clean": False}))
    rng, count = np.random.default_rng(zlib.crc32(shape.name.encode())), len(patched.superpoints)
    chosen = np.sort(rng.choice(count, min(count, POINTS), replace=False))
    sample = token_samples.make_sample(patched, config, chosen, shape.label, MIN_TOKENS)
    category = np.int32(CATEGORIES.index(shape.category))
    token_samples.save_sample(out, dataclasses.replace(sample, category=category), metadata)
    return []


TASK = supervised.Task("parts", prepare_shapes, PartModel, score, ("miou_c", "miou_i"))
