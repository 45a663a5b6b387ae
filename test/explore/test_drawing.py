"""What is drawn: one point per voxel of large clouds, rooms without ceiling, and which point a click means."""

from __future__ import annotations

import numpy as np
from box_room import room

from s4token_model.explore import drawing
from s4token_model.explore.picking import pick


def test_large_clouds_are_thinned_evenly_and_small_ones_are_kept():
    xyz = np.random.default_rng(0).random((20_000, 3)).astype(np.float32) * [4, 4, 0.01]
    xyz[:15_000] *= 0.25  # dense in a corner
    rows = drawing.thin(xyz, 2000)
    assert 1000 < len(rows) < 3000 and (np.diff(rows) > 0).all()
    corner = (xyz[rows, :2] < 1).all(axis=1).mean()
    assert corner < 0.2 and drawing.thin(xyz, 20_000).tolist() == list(range(20_000))


def test_a_room_is_drawn_around_the_origin_and_seen_from_outside_through_its_open_top():
    xyz, part = room(0.05)
    drawn = drawing.draw(xyz + [500_000.0, 4_000_000.0, 30.0], np.arange(len(xyz)), len(xyz))
    np.testing.assert_allclose(np.diff(drawn.points[:500], axis=0), np.diff(xyz[:500], axis=0), atol=1e-5)
    assert np.abs(drawn.points).max() < 3 and drawn.eye[2] > 1.5 and np.abs(drawn.look_at).max() < 1
    assert not drawn.open[part == 2].any() and drawn.open[part == 3].all() and drawn.open[part == 0].mean() > 0.9
    assert 0.04 < drawn.spacing < 0.08 and ((drawn.shade > 0.6) & (drawn.shade <= 1)).all()
    assert np.ptp(drawn.shade[part == 3]) < 0.05 < abs(drawn.shade[part == 3].mean() - drawn.shade[part == 1].min())


def test_few_or_no_points_can_be_drawn():
    for count in (0, 1, 3, 6):
        xyz = np.random.default_rng(1).random((count, 3))
        drawn = drawing.draw(xyz, np.arange(count), 7)
        assert len(drawn.points) == len(drawn.open) == len(drawn.shade) == count and drawn.spacing > 0


def test_a_click_means_the_first_point_near_its_ray():
    near, behind, beside = [0.0, 5.0, 0.01], [0.0, 9.0, 0.0], [0.5, 3.0, 0.0]
    points = np.array([behind, beside, near, [0.0, -2.0, 0.0]], np.float32)
    assert pick(points, np.zeros(3), np.array([0.0, 2.0, 0.0]), 0.02) == 2
    assert pick(points, np.zeros(3), np.array([0.5, 3.0, 0.0]), 0.02) == 1
    assert pick(points, np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.02) is None
    assert pick(points[:0], np.zeros(3), np.array([0.0, 0.0, 1.0]), 0.02) is None
