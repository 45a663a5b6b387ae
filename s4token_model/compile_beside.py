"""Compile kernels in a second process while the first one starts: numba compiles on one core only.

The first process labels a cloud stage by stage and compiles what each needs. This one begins in the middle, with the
solver of the superpoints, and goes back from the last stage to there. What one has compiled the other finds on disk.
What only some clouds and outputs need comes last, and the first process does not wait for it.

`python -m s4token_model.compile_beside` compiles the same in one go, while an image is built, say.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

import numpy as np

from s4token_model.kernels import kernel_cache

POINTS = 400
WATCH_S = 0.5  # between two looks at whether the first process still runs

_process: subprocess.Popen | None = None


def start() -> None:
    """Compile in a second process from now on, and say so, unless everything has been compiled on this machine."""
    global _process
    if not kernel_cache.is_complete():
        logging.getLogger(__name__).warning("compiling for this processor, once; it takes up to a minute")
        command = [sys.executable, "-m", "s4token_model.compile_beside", str(os.getpid())]
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        _process = subprocess.Popen(command, **quiet)


def is_running() -> bool:
    """Return whether the second process is at work."""
    return _process is not None and _process.poll() is None


def main() -> None:
    """Run the stages after the geometry, then summaries, objects, votes of voxels and what comes in doubles."""
    from s4token_model.config import Config
    from s4token_model.kernels import spatial_index
    from s4token_model.kernels.group_statistics import class_statistics
    from s4token_model.objects import find_objects
    from s4token_model.pipeline import labeling, patches, preprocess, propagation, sampling, superpoints
    from s4token_model.pipeline.voxel_map import VoxelMap

    config, xyz = Config(), np.random.default_rng(0).random((POINTS, 3), np.float32)
    # Superpoints of a graph: a ring
    ring = np.arange(POINTS, dtype=np.int32)
    edges = np.sort(np.stack([ring, np.roll(ring, 1)], axis=1))
    superpoints.solve(np.random.default_rng(0).random((POINTS, 7), np.float32), edges, config.superpoints)
    # Labels: one superpoint of many tokens, and many of few
    chosen = np.arange(0, POINTS, 4, dtype=np.int32)
    features = np.eye(len(chosen), 8, dtype=np.float32)
    for size in (POINTS, 16):
        ids = np.arange(POINTS, dtype=np.int32) // size
        groups = patches.group(xyz, ids, chosen, config.patches)
        tokens = propagation.TokenCenters(groups.centers, groups.superpoint, groups.radius)
        cosines = propagation.propagate(xyz, ids, tokens, features, features @ features.T)
    labeling.argmax_and_confidence(cosines, 0.01)
    # Tokens
    index = spatial_index.build(xyz)
    sampling.sample(index, ids, config.sampling)
    # What only some clouds and outputs need
    spatial_index.inside_box(index, xyz[0], xyz[1])
    ones, first = np.ones(POINTS, np.float32), np.zeros(POINTS, np.uint32)
    means = propagation.superpoint_features(xyz, ids, [(ring, tokens, features)])
    for points in (xyz, xyz.astype(np.float64)):
        preprocess.prepare(points, None, True)
        class_statistics(first, ones, points, 1)
        find_objects(points, first, ones, [True])
        votes = VoxelMap(1.0, 1.0, POINTS, 0.0)
        _, sweep = votes.sweep(points, ids.astype(np.uint32), means, (np.eye(3), np.zeros(3)), 0.0)
        votes.label(sweep, features, 1.0)
    kernel_cache.mark_complete()


def end_with(parent: int) -> None:
    """End this process when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        threading.Thread(target=end_with, args=[int(sys.argv[1])], daemon=True).start()
    main()
