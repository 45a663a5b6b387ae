"""Compile kernels in a second process while the first one starts: numba compiles on one core only.

The process labels its first cloud stage by stage and compiles what each needs; this one begins at the last stage. What
one has compiled the other finds on disk.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from s4token_model.kernels import kernel_cache

POINTS = 400


@contextmanager
def compiling() -> Iterator[None]:
    """Compile beside the work of a `with` statement, and say so, if nothing has been compiled on this machine yet."""
    if not kernel_cache.is_cold():
        yield
        return
    logging.getLogger(__name__).warning("compiling for this processor, once; it takes up to a minute")
    command = [sys.executable, "-m", "s4token_model.compile_beside"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Run the stages after the superpoints, the last one first."""
    from s4token_model.config import Config
    from s4token_model.kernels import spatial_index
    from s4token_model.objects import find_objects
    from s4token_model.pipeline import labeling, patches, preprocess, propagation, sampling

    config, xyz = Config(), np.random.default_rng(0).random((POINTS, 3), np.float32)
    ones, first = np.ones(POINTS, np.float32), np.zeros(POINTS, np.uint32)
    for points in (xyz, xyz.astype(np.float64)):
        find_objects(points, first, ones, [True])
    # Labels: one superpoint of many tokens, and many of few
    chosen = np.arange(0, POINTS, 4, dtype=np.int32)
    features = np.eye(len(chosen), 8, dtype=np.float32)
    for size in (POINTS, 16):
        ids = np.arange(POINTS, dtype=np.int32) // size
        groups = patches.group(xyz, ids, chosen, config.patches)
        tokens = propagation.TokenCenters(groups.centers, groups.superpoint, groups.radius)
        cosines = propagation.propagate(xyz, ids, tokens, features, features @ features.T)
    labeling.argmax_and_confidence(cosines, 0.01)
    # Tokens, and what is done to every cloud
    sampling.sample(spatial_index.build(xyz), ids, config.sampling)
    for points in (xyz, xyz.astype(np.float64)):
        preprocess.prepare(points, None, True)


if __name__ == "__main__":
    main()
