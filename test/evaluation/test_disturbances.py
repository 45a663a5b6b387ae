"""Each disturbance does to a cloud what its name says, and tells where every point comes from."""

from __future__ import annotations

import numpy as np
import pytest
from box_room import room

from s4token_model.evaluation import disturbances
from s4token_model.evaluation.disturbance_catalog import CATALOG, FAMILIES


@pytest.fixture
def xyz() -> np.ndarray:
    return room(0.2)[0].astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("row", CATALOG, ids=lambda row: f"{row.family} {row.name} {'-'.join(row.kinds)}")
def test_every_row_of_the_catalog_keeps_the_type_and_is_the_same_for_the_same_seed(row, xyz):
    before = xyz.copy()
    first, second = (row.apply(xyz, rng()) for _ in range(2))
    assert row.family in FAMILIES and first.xyz.dtype == np.float32 and np.isfinite(first.xyz).all()
    assert first.xyz.shape == (len(first.source), 3) and first.source.min() >= -1 and first.source.max() < len(xyz)
    np.testing.assert_array_equal(first.xyz, second.xyz)
    np.testing.assert_array_equal(xyz, before)
    random = not np.array_equal(first.xyz, row.apply(xyz, np.random.default_rng(8)).xyz)
    assert random == bool(row.random or row.frames), "only what is random is drawn several times"


def test_rows_of_one_family_and_kind_have_names_of_their_own():
    names = [(row.family, row.name, kind) for row in CATALOG for kind in row.kinds]
    assert len(names) == len(set(names)) and {row.family for row in CATALOG} == set(FAMILIES)


def test_strays_are_added_around_the_center_and_clean_points_stay(xyz):
    found = disturbances.strays(xyz, rng(), 0.05, 20)
    added = found.xyz[found.source < 0] - np.median(xyz, axis=0)
    assert len(added) == round(0.05 * len(xyz)) and 15 < np.abs(added).max() <= 20
    np.testing.assert_array_equal(found.xyz[: len(xyz)], xyz)
    np.testing.assert_array_equal(found.source[: len(xyz)], np.arange(len(xyz)))
    assert (disturbances.strays(xyz, rng(), 50, 100).source < 0).sum() == 50


def test_paired_strays_have_a_neighbor_a_centimeter_off(xyz):
    found = disturbances.paired_strays(xyz, rng(), 0.02, 20)
    first, second = np.split(found.xyz[found.source < 0], 2)
    np.testing.assert_allclose(np.linalg.norm(first - second, axis=1), 0.01, rtol=1e-3)


def test_a_far_point_and_a_far_clump_are_as_far_as_told(xyz):
    center = np.median(xyz, axis=0)
    (point,) = disturbances.far_point(xyz, rng(), 1e6).xyz[len(xyz) :]
    assert np.linalg.norm(point - center) == pytest.approx(1e6, rel=1e-5)
    clump = disturbances.far_clump(xyz, rng(), 50, 1000).xyz[len(xyz) :]
    assert len(clump) == 50 and np.ptp(clump, axis=0).max() < 0.6
    np.testing.assert_allclose(np.linalg.norm(clump - center, axis=1), 1000, rtol=1e-3)


def test_tiles_are_copies_at_the_pitch_or_side_by_side(xyz):
    found = disturbances.tiled(xyz, rng(), (2, 3), 100, (5.4, 7.5))
    tiles = found.xyz.reshape(6, 100, 3)
    np.testing.assert_array_equal(tiles[0], xyz[found.source[:100]])
    np.testing.assert_allclose(tiles[5] - tiles[0], np.tile([5.4, 15, 0], (100, 1)), atol=1e-5)
    beside = disturbances.tiled(xyz, rng(), (2, 1), len(xyz), None).xyz.reshape(2, -1, 3)
    assert beside[1, :, 0].min() - beside[0, :, 0].max() == pytest.approx(disturbances.GAP, abs=1e-5)


def test_repeated_points_are_equal_to_their_source(xyz):
    found = disturbances.repeated(xyz, rng(), 3)
    np.testing.assert_array_equal(found.xyz, xyz[found.source])
    assert (np.bincount(found.source) == 3).all()


def test_missing_returns_are_the_fraction_at_the_origin_inside_the_cloud(xyz):
    found = disturbances.missing_returns(xyz, rng(), 0.4)
    assert (found.xyz[found.source < 0] == 0).all() and (found.source < 0).mean() == pytest.approx(0.4, abs=1e-3)
    np.testing.assert_allclose(found.xyz[found.source >= 0].mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize(
    "frame, up",
    [("optical, y down", (0, -1, 0)), ("y up", (0, 1, 0)), ("x up", (1, 0, 0)), ("upside down", (0, 0, -1))],
)
def test_a_frame_is_a_rotation_that_takes_z_to_its_up(frame, up):
    axes = disturbances.in_frame(np.eye(3), rng(), frame).xyz.T
    assert np.linalg.det(axes) == pytest.approx(1) and (axes @ axes.T == np.eye(3)).all()
    np.testing.assert_array_equal(axes[:, 2], up)


def test_a_tilt_turns_the_vertical_and_a_turn_keeps_it(xyz):
    tilted = disturbances.tilted(xyz.astype(float), rng(), 20).xyz
    turned = disturbances.turned(xyz.astype(float), rng(), 30).xyz
    np.testing.assert_allclose(turned[:, 2], xyz[:, 2], atol=1e-6)
    for moved, axis, angle in ((tilted, 2, 20), (turned, 0, 30)):
        # The rotation that takes the clean cloud to the moved one, by least squares
        matrix = np.linalg.lstsq(xyz - xyz.mean(0), moved - moved.mean(0), rcond=None)[0].T
        assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-4)
        assert np.degrees(np.arccos(matrix[axis, axis])) == pytest.approx(angle, abs=0.01)


@pytest.mark.parametrize("step", [0.0625, 0.5])
def test_coarse_coordinates_have_the_step_of_float32(xyz, step):
    y = disturbances.coarse(xyz, rng(), step).xyz[:, 1]
    assert np.spacing(y.min()) == np.spacing(y.max()) == step and len(np.unique(y)) <= np.ptp(xyz[:, 1]) / step + 2


def test_noise_has_the_standard_deviation(xyz):
    assert (disturbances.jittered(xyz, rng(), 0.03).xyz - xyz).std() == pytest.approx(0.03, rel=0.05)


def test_downsampled_and_cut_clouds_are_parts_of_the_clean_one(xyz):
    half, rest = disturbances.downsampled(xyz, rng(), 0.5), disturbances.cut_away(xyz, rng(), 1 / 3)
    for found, fraction in ((half, 1 / 2), (rest, 2 / 3)):
        np.testing.assert_array_equal(found.xyz, xyz[found.source])
        assert len(np.unique(found.source)) == len(found.source) == pytest.approx(fraction * len(xyz), rel=0.03)


def test_one_wall_is_missing_and_the_others_stay(xyz):
    found = disturbances.without_wall(xyz, rng(), 0.25).xyz
    moved = np.abs(np.r_[found.min(0) - xyz.min(0), found.max(0) - xyz.max(0)])
    assert (moved > 0.15).sum() == 1 and (moved == 0).sum() == 5
