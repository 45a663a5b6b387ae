"""Samples of random numbers in the layout of real ones."""

from __future__ import annotations

import numpy as np

from s4token_model.training.token_samples import Targets, TokenSample


def fake_sample(seed: int, dim: int) -> TokenSample:
    """12 tokens and 40 labeled points, with 2D targets of `dim` numbers."""
    rng = np.random.default_rng(seed)
    return TokenSample(
        patch=rng.normal(size=(12, 8, 3)).astype(np.float16),
        patch_count=rng.integers(1, 9, 12).astype(np.uint16),
        context=rng.normal(size=(12, 10, 5)).astype(np.float16),
        context_count=rng.integers(1, 11, 12).astype(np.uint16),
        descriptor=rng.normal(size=(12, 24)).astype(np.float32),
        position=rng.normal(size=(12, 3)).astype(np.float32),
        position_scale=np.float32(1.0),
        token_superpoint=rng.integers(0, 4, 12).astype(np.int32),
        point=rng.normal(size=(40, 3)).astype(np.float32),
        point_label=rng.integers(0, 6, 40).astype(np.int16),
        point_superpoint=rng.integers(0, 5, 40).astype(np.int32),
        targets=Targets(
            np.array([0, 2, 3], np.int32),
            rng.normal(size=(3, dim)).astype(np.float16),
            rng.normal(size=dim).astype(np.float16),
        ),
    )
