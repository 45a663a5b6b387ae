"""Rough surfaces of procedural scans: how strong, how smooth, and what stays even."""

import numpy as np
import pytest

from s4token_model.sensors import surface_roughness


def plane(count: int = 20000) -> np.ndarray:
    xy = np.random.default_rng(0).uniform(0, 3, (count, 2))
    return np.column_stack([xy, np.zeros(count)])


@pytest.mark.parametrize("roughness", [0.002, 0.02])
def test_points_move_by_the_roughness_asked_for(roughness):
    moved = (
        surface_roughness.roughen(plane(), np.zeros(20000, int), np.array([roughness]), np.random.default_rng(1))
        - plane()
    )
    rms = np.sqrt((moved**2).sum(axis=1).mean())
    assert 0.7 * roughness < rms < 1.4 * roughness and np.abs(moved).max() < 8 * roughness


def test_near_points_move_together_far_ones_do_not():
    points = plane()
    near = points + [0.002, 0, 0]
    fields = [surface_roughness.roughen(p, np.zeros(len(p), int), np.array([0.01]), np.random.default_rng(2)) - p
              for p in (points, near)]  # fmt: skip
    assert np.sqrt(((fields[0] - fields[1]) ** 2).sum(axis=1).mean()) < 0.004
    assert abs(np.corrcoef(fields[0][:10000, 2], fields[0][10000:, 2])[0, 1]) < 0.1


def test_every_instance_has_a_field_of_its_own_and_zero_leaves_points_alone():
    points = np.repeat(plane(500), 2, axis=0)
    instance = np.tile([0, 1], 500)
    moved = surface_roughness.roughen(points, instance, np.array([0.0, 0.01]), np.random.default_rng(3)) - points
    assert np.array_equal(moved[0::2], np.zeros((500, 3))) and np.abs(moved[1::2]).max() > 0.005


def test_floors_are_drawn_more_even_than_furniture():
    rng = np.random.default_rng(4)
    drawn = surface_roughness.amplitudes(["floor"] * 300 + ["sofa"] * 300, rng)
    assert drawn[:300].max() < drawn[300:].min() and drawn.dtype == np.float32
    assert np.allclose(
        surface_roughness.amplitudes(["wall"], np.random.default_rng(5), 2.0),
        2 * surface_roughness.amplitudes(["wall"], np.random.default_rng(5)),
    )


def test_bulges_cover_a_share_of_the_surface_and_leave_the_rest():
    points = plane()
    moved = (
        surface_roughness.bulge(points, np.zeros(len(points), int), np.array([0.02]), np.random.default_rng(6)) - points
    )
    bent = np.abs(moved).max(axis=1) > 0
    assert 0.8 * surface_roughness.LUMP_SHARE < bent.mean() < 1.2 * surface_roughness.LUMP_SHARE
    assert 0.004 < np.sqrt((moved[bent] ** 2).sum(axis=1).mean()) < 0.06
    still = surface_roughness.bulge(points, np.zeros(len(points), int), np.array([0.0]), np.random.default_rng(6))
    assert np.array_equal(still, points)
    assert len(surface_roughness.bulge(points[:0], np.zeros(0, int), np.array([0.02]), np.random.default_rng(6))) == 0


def test_lumps_have_a_table_of_their_own():
    names = ["floor"] * 200 + ["wall"] * 200
    fine, lumps = (
        surface_roughness.amplitudes(names, np.random.default_rng(7), lumps=choice) for choice in (False, True)
    )
    assert np.median(lumps[:200]) > 3 * np.median(fine[:200]) and np.median(lumps[200:]) > np.median(lumps[:200])
