"""Everything before the network: a cloud becomes tokens, superpoints and what surrounds them (Fig. 1, left)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from s4token_model.config import Config
from s4token_model.kernels import spatial_index
from s4token_model.pipeline import coordinates, patches, preprocess, sampling, superpoints, token_context, windows
from s4token_model.pipeline.floor import floor_off_z
from s4token_model.pipeline.geometry import LocalGeometry
from s4token_model.pipeline.storeys import storey_bounds
from s4token_model.pipeline.tokenizer import TokenInput, token_input
from s4token_model.stage_timer import StageTimer

REGULARIZATIONS = (1.0, 0.75, 1.3, 0.6, 1.6, 0.85, 1.15, 0.5)  # of the passes, times the configured one
LARGE_SPACING = 0.7  # of the tokens, above which a cloud counts as large: see `windows.relative_spacing`
MORE = 4  # times the points for a second look at a large cloud
MAX_POINTS = 4_000_000  # that go through the network in all windows together: bounds the memory


class Partition(NamedTuple):
    """A cloud with its superpoints, before it is cut into patches; P points go through the network."""

    working: preprocess.WorkingCloud  # the distinct positions in canonical order and unit scale, F of them
    superpoints: np.ndarray  # (P,) int32, superpoint of every point
    local: LocalGeometry  # of every point
    chosen: np.ndarray  # (N,) int32, the centers of the tokens of one window
    windows: int  # how many windows of tokens the cloud needs by its superpoints
    spacing: float  # of these centers, see `windows.relative_spacing`
    floor_up: np.ndarray | None  # (3,) what is up by the floor, if that is clearly not z; before leveling
    warnings: tuple[str, ...] = ()  # on its coordinates and its frame
    provided: np.ndarray | None = None  # (F,) int32, superpoint of every position, if the data set says it
    storeys: np.ndarray = np.zeros(0)  # (B,) heights between the storeys of a building


@dataclass(frozen=True)
class PatchedCloud:
    """A cloud cut into patches, before the network."""

    working: preprocess.WorkingCloud  # the distinct positions in canonical order and unit scale, F of them
    superpoints: np.ndarray  # (F,) int32, superpoint of every position
    patches: patches.Patches  # the points of each of the N patches
    windows: list[windows.Window]  # what the network reads at once; one window unless the cloud is large
    contexts: Sequence[token_context.Context]  # what surrounds the patches of each window
    stages_ms: dict[str, float]  # milliseconds of each stage
    config: Config  # that it was cut with
    warnings: tuple[str, ...] = ()  # what makes labels worse, and the fix
    partition: Partition | None = None  # to cut it into other patches; None without points

    @property
    def context(self) -> token_context.Context:
        """What surrounds each patch of a cloud of one window."""
        (only,) = self.contexts
        return only


def build_patches(
    xyz: np.ndarray, rgb: np.ndarray | None, config: Config, rng: np.random.Generator | None = None,
    max_windows: int = 1, provided: np.ndarray | None = None,
) -> PatchedCloud:  # fmt: skip
    """Cut a cloud into tokens: everything before the network. `rng` draws patch points at random (training).

    A cloud that is too large for sampling.tokens gets up to `max_windows` windows of them. With input.up auto z is up;
    `upright.build_upright` finds out. `provided` (H,) are the data set's superpoints, used if superpoints.source says.
    """
    timer = StageTimer()
    # The points on surfaces, in canonical order and unit scale
    up, xyz = config.input.up.replace("auto", "z"), preprocess.checked_positions(xyz, rgb)
    given = superpoints.checked_ids(provided, len(xyz), config.superpoints)
    working = preprocess.prepare(preprocess.rotate_up(xyz, up), rgb, config.input.clean)
    if len(working.xyz) == 0:
        return PatchedCloud(working, np.zeros(0, np.int32), _no_patches(), [], [], timer.stages_ms, config)
    # Superpoints, and how many tokens and points a cloud of this extent needs
    if given is not None:
        given = np.unique(given[working.original_index], return_inverse=True)[1].reshape(-1).astype(np.int32)
    partition = _partition(working, given, config, max_windows, timer)
    partition = partition._replace(warnings=coordinates.warnings(xyz, partition.working, partition.local))
    return cut(partition, min(partition.windows, max_windows), config, timer, rng)


def cut(
    partition: Partition, count: int, config: Config, timer: StageTimer, rng: np.random.Generator | None = None
) -> PatchedCloud:
    """Cut a partitioned cloud into `count` windows of tokens and their patches."""
    # The superpoint of every position, and the points that patches are made of
    all_ids, full = partition.provided, partition
    if all_ids is None:
        all_ids = partition.superpoints[partition.working.kept_of_point]
    partition = _with_points_drawn(partition, count, config)
    working, ids, local, chosen = partition[:4]
    # Token centers (Eq. 2), on the same spatial index
    if count > 1:
        more = dataclasses.replace(config.sampling, tokens=windows.tokens_of(count, config.sampling.tokens))
        chosen = sampling.sample(local.index, ids, more)
    timer("sampling")
    # Patches: points of the center's superpoint within the radius (Eq. 3); what surrounds them waits to be asked for
    groups = patches.group(working.points, ids, chosen, config.patches, rng, working.extent)
    parts = windows.split(groups.centers, working.xyz, config.sampling.tokens, partition.storeys)
    contexts = token_context.Contexts(partial(_context, partition, groups, parts, config), len(parts))
    timer("patches")
    warnings = partition.warnings + _too_large(partition.windows, count, config)
    return PatchedCloud(working, all_ids, groups, parts, contexts, timer.stages_ms, config, warnings, full)


def cut_again(first: PatchedCloud, number: int, config: Config, timer: StageTimer) -> PatchedCloud:
    """Partition and sample the cloud of `first` another time, `number` 1, 2, ...: pass `number` of sampling.passes."""
    partition = first.partition
    assert partition is not None
    ids, local = _superpoints(partition.working, config, partition.provided, REGULARIZATIONS[number])
    timer("superpoints")
    seeded = dataclasses.replace(config.sampling, seed=config.sampling.seed + number)
    changed = dataclasses.replace(config, sampling=seeded)
    chosen = sampling.sample(local.index, ids, seeded)
    partition = partition._replace(superpoints=ids, local=local, chosen=chosen)
    return cut(partition, len(first.windows), changed, timer)


def one_window(geometry: PatchedCloud, number: int) -> tuple[PatchedCloud, np.ndarray]:
    """Return a window of a cloud as a cloud of one window, for training, and the points (h,) that lie in it."""
    window = geometry.windows[number]
    seen = _in_window(geometry.patches, window.tokens)
    alone = window._replace(tokens=np.arange(len(window.tokens), dtype=np.int32))
    contexts = [geometry.contexts[number]]
    return dataclasses.replace(geometry, patches=seen, windows=[alone], contexts=contexts), window.points


def network_input(geometry: PatchedCloud, config: Config, window: int = 0) -> TokenInput:
    """Return the tokenizer's input for one window of a cloud, a batch of one."""
    seen = _in_window(geometry.patches, geometry.windows[window].tokens)
    return token_input(seen, geometry.contexts[window], geometry.working.colors, config.tokenizer)


def _partition(
    working: preprocess.WorkingCloud, given: np.ndarray | None, config: Config, max_windows: int, timer: StageTimer
) -> Partition:
    """Partition a cloud, level it and choose the token centers of one window.

    A cloud that needs several windows keeps max_points points in each of them, so it is partitioned again if the first
    time it had less.
    """
    allowed, floor_up = 1, None
    while True:
        limit = min(allowed * config.input.max_points, max(MAX_POINTS, config.input.max_points))
        working = preprocess.downsample(working, limit)
        ids, local = _superpoints(working, config, given)
        if allowed == 1:  # later it has been leveled
            floor_up = floor_off_z(working.points, local.normals, int(ids.max()) + 1)
        # Rotate the floor level, which needs the normals; superpoints do not depend on it
        if config.input.level:
            working, local = preprocess.level(working, local, config.input.level)
        timer("superpoints")
        # Token centers (Eq. 2) for one window, and whether their spacing asks for more
        chosen = sampling.sample(local.index, ids, config.sampling)
        timer("sampling")
        spacing = windows.relative_spacing(patches.spacing(working.points[chosen]), working.points, ids)
        needed = windows.count_of(windows.needed_tokens(len(chosen), spacing), config.sampling.tokens)
        # With less than all points superpoints come out larger, and fewer windows seem to do
        wanted = max(needed, MORE * allowed) if spacing > LARGE_SPACING else needed
        if working.kept_fraction == 1 or min(wanted, max_windows) <= allowed or limit >= MAX_POINTS:
            break
        allowed = min(wanted, max_windows)
    found = Partition(working, ids, local, chosen, needed, spacing, floor_up, provided=given)
    if max_windows == 1:
        return found
    size = windows.typical_size(working.points, ids)
    return found._replace(storeys=storey_bounds(working.points, local.normals, size))


def _superpoints(
    working: preprocess.WorkingCloud, config: Config, given: np.ndarray | None, factor: float = 1.0
) -> tuple[np.ndarray, LocalGeometry]:
    """Superpoints (P,) and geometry of the points that go on, at `factor` times the regularization.

    The superpoints are those of the positions, `given` (F,), or the partition's.
    """
    # Fewer points weigh less in the energy, so that boundaries cost less
    regularization = config.superpoints.regularization * working.kept_fraction * factor
    settings = dataclasses.replace(config.superpoints, regularization=regularization)
    of_points = None if given is None else given[working.kept]
    return superpoints.partition_with_geometry(working.points, working.colors, settings, of_points)


def _with_points_drawn(partition: Partition, count: int, config: Config) -> Partition:
    """Keep sampling.points for each of `count` windows, drawn at random by the seed, and choose centers among them."""
    points, (working, ids, local) = count * config.sampling.points, partition[:3]
    if not 0 < points < len(ids):
        return partition
    rows = np.sort(np.random.default_rng(config.sampling.seed).choice(len(ids), points, replace=False))
    working = dataclasses.replace(working, kept=working.kept[rows], kept_of_point=np.zeros(0, np.int32))
    index, no_edges = spatial_index.build(np.ascontiguousarray(working.points)), np.zeros((0, 2), np.int32)
    local, ids = LocalGeometry(index, local.normals[rows], local.eigen[rows], no_edges), ids[rows]
    chosen = sampling.sample(index, ids, config.sampling)
    return partition._replace(working=working, superpoints=ids, local=local, chosen=chosen)


def _too_large(needed: int, count: int, config: Config) -> tuple[str, ...]:
    if needed <= count:
        return ()
    tokens = windows.tokens_of(count, config.sampling.tokens)
    return (
        f"the cloud is too large for {tokens} tokens, small things are not seen: it needs {needed} windows of tokens,"
        f" and windows.maximum is {count}",
    )


def _context(
    partition: Partition, groups: patches.Patches, parts: list[windows.Window], config: Config, number: int
) -> token_context.Context:
    """The context of the patches of one window of `parts`, from the points around its tokens."""
    points, ids, local, window = partition.working.points, partition.superpoints, partition.local, parts[number]
    if len(window.tokens) == len(groups.centers):
        if not np.bincount(ids).all():  # points were drawn, and some superpoints have none
            present, ids = np.unique(ids, return_inverse=True)
            renumbered = np.searchsorted(present, groups.superpoint).astype(np.int32)
            groups = dataclasses.replace(groups, superpoint=renumbered)
        return token_context.context_features(points, local.normals, local.eigen, ids, groups, config.tokenizer)
    seen = _in_window(groups, window.tokens)
    # The points in the box of the tokens, and those of their patches, by the numbers that they have among them
    low, high = seen.centers.min(axis=0) - seen.radius, seen.centers.max(axis=0) + seen.radius
    low[2], high[2] = max(low[2], window.storey[0]), min(high[2], window.storey[1])
    inside = spatial_index.inside_box(local.index, low, high)
    inside[seen.index[seen.index >= 0]] = True
    rows = np.flatnonzero(inside)
    new_row, those = np.empty(len(points), np.int32), ids.take(rows)
    new_row[rows] = np.arange(len(rows))
    new_id = np.cumsum(np.bincount(those) > 0, dtype=np.int32) - 1
    seen = dataclasses.replace(
        seen, superpoint=new_id.take(seen.superpoint), index=np.where(seen.index >= 0, new_row.take(seen.index), -1)
    )
    around = (values.take(rows, axis=0) for values in (points, local.normals, local.eigen))
    return token_context.context_features(*around, new_id.take(those), seen, config.tokenizer)


def _in_window(groups: patches.Patches, tokens: np.ndarray) -> patches.Patches:
    if len(tokens) == len(groups.centers):
        return groups
    columns = ("centers", "superpoint", "index", "offsets")
    return dataclasses.replace(groups, **{name: getattr(groups, name)[tokens] for name in columns})


def _no_patches() -> patches.Patches:
    none, no_index = np.zeros((0, 3), np.float32), np.zeros((0, 1), np.int32)
    return patches.Patches(none, 1.0, no_index[:, 0], no_index, none[:, None])
