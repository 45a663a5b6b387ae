"""Streets: a cloud of one window that shows one is cut again, into tokens that are closer to each other.

What stands on a street is smaller, against the size of a typical superpoint, than what stands in a room.
"""

from __future__ import annotations

import numpy as np

from s4token_model.pipeline import windows
from s4token_model.pipeline.patched_cloud import PatchedCloud, cut
from s4token_model.stage_timer import StageTimer

POINTS_PER_TOKEN = 16  # at least: with fewer, all patches overlap and show the same


def needed_windows(geometry: PatchedCloud) -> int:
    """Return how many windows a cloud of one window needs if it is a street; 1 if it gets no more in any case."""
    config, partition = geometry.config, geometry.partition
    may_have_more = config.windows.street_spacing > 0 and config.windows.maximum > 1
    if partition is None or len(geometry.windows) > 1 or not may_have_more:
        return 1
    tokens = windows.tokens_at(config.windows.street_spacing, len(partition.chosen), partition.spacing)
    tokens = min(tokens, len(partition.superpoints) // POINTS_PER_TOKEN)
    return windows.count_of(tokens, config.sampling.tokens)


def cut_street(
    geometry: PatchedCloud, timer: StageTimer | None = None, rng: np.random.Generator | None = None
) -> PatchedCloud:
    """Cut a street again if it needs more windows than one and may have them; `rng` as in `build_patches`."""
    config, needed = geometry.config, needed_windows(geometry)
    if needed == 1 or geometry.partition is None:
        return geometry
    partition = geometry.partition._replace(windows=needed)
    return cut(partition, min(needed, config.windows.maximum), config, timer or StageTimer(), rng)
