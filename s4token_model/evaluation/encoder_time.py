"""How long the network of several models takes for one cloud of as many tokens, run in turn in one process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.io import samples
from s4token_model.pipeline.clip import resolve_precision
from s4token_model.segmenter import Segmenter

TOKENS, ROUNDS, WARM_UP = 512, 25, 3


def encoder_times(models: Sequence[str | Path], rounds: int = ROUNDS) -> dict[str, list[list[float]]]:
    """Return {precision: (models, rounds) milliseconds} of tokenizer and ViT on the sample room, on one thread.

    The time is that of the processor, which other programs hardly change. bf16 is left out where the processor has no
    instructions for it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {
            precision: encoders_in_turn([_load(model, precision) for model in models], rounds)
            for precision in precisions()
        }
    finally:
        torch.set_num_threads(threads)


def precisions() -> tuple[str, ...]:
    """The precisions that are timed: the default of this processor, and fp32."""
    return tuple(dict.fromkeys((resolve_precision("auto"), "fp32")))


def timed_options(precision: str) -> dict[str, Any]:
    """Options of the pipeline with which an encoder is timed: one window of TOKENS tokens."""
    return {"clip.precision": precision, "sampling.tokens": TOKENS, "windows.maximum": 1}


def encoders_in_turn(segmenters: Sequence[Segmenter], rounds: int) -> list[list[float]]:
    """Milliseconds (models, rounds); in every round each model runs once."""
    xyz = samples.load().xyz
    prepared = [(one.encoder, one.build_patches(xyz)) for one in segmenters]
    times: list[list[float]] = [[] for _ in prepared]
    for number in range(WARM_UP + rounds):
        for (encoder, geometry), found in zip(prepared, times, strict=True):
            begin = time.process_time()
            encoder.encode_all(geometry)
            if number >= WARM_UP:
                found.append(1000 * (time.process_time() - begin))
    return times


def ratio(times: Sequence[Sequence[float]], model: int, baseline: int) -> float:
    """Median over the rounds of the time of one model over that of another."""
    return float(np.median(np.divide(times[model], times[baseline])))


def _load(model: str | Path, precision: str) -> Segmenter:
    return Segmenter.load(model, configs.replace(checkpoint.read_config(model), timed_options(precision)))
