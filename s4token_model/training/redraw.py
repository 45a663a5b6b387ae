"""Tokens drawn anew whenever a sample is: its points, the first center, and the points of each patch (Sec. 3.2)."""

from __future__ import annotations

import dataclasses

import numpy as np

from s4token_model.config import Config
from s4token_model.kernels import spatial_index
from s4token_model.pipeline import patches, sampling
from s4token_model.pipeline.patched_cloud import PatchedCloud
from s4token_model.pipeline.token_context import CHANNELS, DESCRIPTOR_DIM
from s4token_model.training.token_samples import Cloud, TokenSample, patch_arrays

MIN_TOKENS = 8


def cloud_of(patched: PatchedCloud) -> Cloud:
    """Return what tokens can be drawn from again: the points that go through the network, and their superpoints."""
    partition = patched.partition
    assert partition is not None
    points = np.ascontiguousarray(partition.working.points, np.float32)
    return Cloud(points, partition.superpoints.astype(np.int32), np.float32(partition.working.extent))


def check_redrawable(config: Config) -> None:
    """Raise ValueError if the tokens of this config cannot be drawn anew."""
    if config.tokenizer.context:
        raise ValueError("redraw=true draws no wide patches; set tokenizer.context=false, e.g. by variant=s4token")
    if config.tokenizer.features == "rgb":
        raise ValueError("redraw=true draws no colors; set tokenizer.features=none")


def redraw(sample: TokenSample, rng: np.random.Generator, config: Config, points: int) -> TokenSample:
    """Return the sample with sampling.points of its points, tokens, patches and `points` points of the losses anew.

    A cloud of too few points keeps its tokens. ValueError if the sample holds no cloud.
    """
    if sample.cloud is None:
        raise ValueError("the sample holds no cloud to draw from; prepare it with redraw=true")
    xyz, ids, unit = sample.cloud
    # Points, a first center and M points of each patch at random
    if 0 < config.sampling.points < len(xyz):
        rows = np.sort(rng.choice(len(xyz), config.sampling.points, replace=False))
        xyz, ids = xyz[rows], ids[rows]
    seeded = dataclasses.replace(config.sampling, seed=int(rng.integers(2**31 - 1)))
    chosen = sampling.sample(spatial_index.build(xyz), ids, seeded)
    groups = patches.group(xyz, ids, chosen, config.patches, rng, float(unit))
    if len(chosen) < MIN_TOKENS:
        return sample
    # The points of the losses, in the coordinates of the sample
    drawn = rng.choice(len(xyz), points, replace=len(xyz) < points)
    center, count = groups.centers.mean(axis=0), len(chosen)
    return dataclasses.replace(
        sample,
        **patch_arrays(groups, config),
        context=np.zeros((count, 0, CHANNELS), np.float16),
        context_count=np.zeros(count, np.uint16),
        descriptor=np.zeros((count, DESCRIPTOR_DIM), np.float32),
        point=((xyz[drawn] - center) / np.float32(groups.radius)).astype(np.float32),
        point_superpoint=ids[drawn],
    )
