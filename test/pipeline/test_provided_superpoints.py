"""Superpoints of the data set in place of the partition, and fewer points after the partition."""

from __future__ import annotations

import numpy as np
import pytest
from box_room import room

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.pipeline.patched_cloud import build_patches, cut_again, network_input
from s4token_model.pipeline.upright import build_upright
from s4token_model.stage_timer import StageTimer

PROVIDED = {"superpoints.source": "provided", "sampling.tokens": 32, "patches.points": 8}


def cloud() -> tuple[np.ndarray, np.ndarray]:
    """The room in a random order, and its parts, numbered with gaps."""
    xyz, part = room(0.1)
    order = np.random.default_rng(0).permutation(len(xyz))
    return xyz[order].astype(np.float32), 100 + 7 * part[order]


def config_of(**changes) -> Config:
    return configs.replace(Config(), PROVIDED | changes)


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("limit", [200000, 1000])
def test_provided_superpoints_are_used_for_every_position(limit):
    xyz, part = cloud()
    patched = build_patches(xyz, None, config_of(**{"input.max_points": limit}), provided=part)
    assert same_partition(patched.superpoints, part[patched.working.original_index])
    index = patched.patches.index
    for superpoint, members in zip(patched.patches.superpoint, index, strict=True):
        assert set(patched.superpoints[patched.working.kept[members[members >= 0]]]) == {superpoint}
    again = cut_again(patched, 1, config_of(**{"input.max_points": limit}), StageTimer())
    assert np.array_equal(again.superpoints, patched.superpoints)


def test_a_cloud_turned_upright_keeps_them():
    xyz, part = cloud()
    lying = xyz[:, [0, 2, 1]] * np.float32([1, -1, 1])
    patched = build_upright(lying, None, config_of(), provided=part)
    assert same_partition(patched.superpoints, part[patched.working.original_index])


def test_what_is_wrong_with_them_is_said():
    xyz, part = cloud()
    with pytest.raises(ValueError, match="comes without superpoints; set superpoints.source to partition"):
        build_patches(xyz, None, config_of())
    with pytest.raises(ValueError, match=r"shape \(7,\).*one integer per point"):
        build_patches(xyz, None, config_of(), provided=part[:7])
    plain = {"superpoints.source": "partition"}
    ignored = build_patches(xyz, None, config_of(**plain), provided=part)  # the config decides
    assert np.array_equal(ignored.superpoints, build_patches(xyz, None, config_of(**plain)).superpoints)


@pytest.mark.parametrize("points", [40, 300])
def test_the_partition_is_of_all_points_and_patches_of_those_drawn(points):
    xyz, _ = cloud()
    changes = {"superpoints.source": "partition", "superpoints.regularization": 0.05}
    full = build_patches(xyz, None, config_of(**changes))
    few = build_patches(xyz, None, config_of(**changes, **{"sampling.points": points}))
    assert np.array_equal(full.superpoints, few.superpoints) and len(few.working.kept) == points
    kept = few.working.xyz[few.working.kept]
    assert np.array_equal(few.patches.superpoint, few.superpoints[few.working.kept][_rows(kept, few.patches.centers)])
    valid = few.patches.index >= 0
    offsets = (kept[few.patches.index] - few.patches.centers[:, None]) / few.patches.radius
    np.testing.assert_allclose(few.patches.offsets[valid], offsets[valid], atol=1e-5)
    inputs = network_input(few, config_of(**changes))
    assert all(value.isfinite().all() for value in (inputs.patch, inputs.context, inputs.shape))
    seeded = {"sampling.seed": 1, "sampling.points": points}
    assert not np.array_equal(few.working.kept, build_patches(xyz, None, config_of(**changes, **seeded)).working.kept)


def _rows(points: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.array([int(np.abs(points - one).sum(axis=1).argmin()) for one in wanted])
