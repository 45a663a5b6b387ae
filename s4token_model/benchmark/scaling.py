"""Time and memory against the number of points: one process per size, so that no peak hides another."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from tqdm import tqdm

from s4token_model import checkpoint
from s4token_model.benchmark import inputs
from s4token_model.evaluation.memory import PeakMemory
from s4token_model.segmenter import Segmenter

SIZES = (20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000)


def measure(sizes: tuple[int, ...] = SIZES, model: str = checkpoint.MINI, repeats: int = 3) -> list[dict[str, Any]]:
    """Label a row of procedural rooms of each number of points; returns one row of `measure_one` per size."""
    rows = []
    for size in tqdm(sizes, "scaling", unit="size"):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            try:
                rows.append(pool.submit(measure_one, size, model, repeats).result())
            except Exception as reason:
                raise RuntimeError(f"measuring {size} points failed: {reason}") from reason
    return rows


def measure_one(size: int, model: str, repeats: int) -> dict[str, Any]:
    """Median milliseconds per stage, and the peak of resident memory above the loaded input, in bytes per point."""
    segmenter, xyz = Segmenter.load(model), inputs.row_of_rooms(size)
    for _ in range(3):
        segmenter.segment(inputs.subsample(xyz, 20_000))
    memory = PeakMemory()
    memory.start()
    stages, times = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        stages.append(segmenter.segment(xyz).stages_ms)
        times.append(1000 * (time.perf_counter() - begin))
    return {
        "points": len(xyz),
        "total_ms": round(float(np.median(times)), 1),
        "stages_ms": {stage: round(float(np.median([one[stage] for one in stages])), 1) for stage in stages[0]},
        "peak_bytes_per_point": round(memory.stop()[1] / len(xyz), 1),
    }
