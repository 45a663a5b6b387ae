"""Spinning LiDARs: their angles, what they lose, and range images against a loop over the points."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.procedural import scenes
from s4token_model.procedural.classes import PARTS, PROCEDURAL
from s4token_model.sensors import lidar_scans, spinning_lidar
from s4token_model.sensors.raycast import Caster

EYE = np.array([0.0, 0.0, 1.8])


@pytest.fixture(scope="module")
def caster():
    return Caster(scenes.make_street(1))


def elevations(xyz):
    return np.degrees(np.arcsin(xyz[:, 2] / np.linalg.norm(xyz, axis=1)))


def test_rays_have_the_angles_of_their_beams():
    rays, beam = spinning_lidar.rays(spinning_lidar.ROBOT_16, np.random.default_rng(0))
    assert 16 * 900 <= len(rays) <= 16 * 1800 and np.allclose(np.linalg.norm(rays, axis=1), 1, atol=1e-5)
    assert np.abs(elevations(rays) - np.linspace(-15, 15, 16)[beam]).max() < 0.3


def test_a_car_hides_the_road_behind_it_and_a_robot_does_not():
    for lidar, hidden in ((spinning_lidar.HDL64, True), (spinning_lidar.ROBOT_32, False)):
        rays, _ = spinning_lidar.rays(lidar, np.random.default_rng(0))
        behind = (np.abs(np.arctan2(rays[:, 1], -rays[:, 0])) < np.radians(20)) & (elevations(rays) < -20)
        assert behind.any() != hidden


def test_points_of_a_turn_lie_on_their_triangles(caster):
    scan = lidar_scans.scan_lidar(caster.scene, np.random.default_rng(0), spinning_lidar.HDL32, EYE, caster)
    solid = scan.part != PARTS.index("glass")
    rays = (scan.xyz[solid] - EYE).astype(np.float64)
    hits = caster.cast(EYE, rays)  # 1 = at the surface
    off = np.abs(hits.distance - 1) * np.linalg.norm(rays, axis=1)
    assert np.median(off) < 0.03 and np.percentile(off, 99) < 0.5
    same = caster.scene.label[hits.triangle] == scan.label[solid]
    assert same.mean() > 0.99


def test_windows_are_mostly_lost(caster):
    glass = PARTS.index("glass")
    rays, _ = spinning_lidar.rays(spinning_lidar.HDL64, np.random.default_rng(0))
    hits = caster.cast(EYE, rays)
    through = (caster.scene.part[hits.triangle[hits.triangle >= 0]] == glass).sum()
    scan = lidar_scans.scan_lidar(caster.scene, np.random.default_rng(0), spinning_lidar.HDL64, EYE, caster)
    assert 0 < (scan.part == glass).sum() < 0.4 * through


def test_a_range_image_keeps_the_nearest_point_of_each_pixel():
    rng = np.random.default_rng(0)
    xyz = rng.normal(0, 10, (3000, 3)) * [1, 1, 0.2]
    size, fov = (8, 36), (-15.0, 5.0)
    nearest: dict[tuple[int, int], tuple[float, int]] = {}
    for k, (x, y, z) in enumerate(xyz):
        away = np.sqrt(x * x + y * y + z * z)
        row = min(max(int(np.floor((5 - np.degrees(np.arcsin(z / away))) / 20 * 8)), 0), 7)
        column = int(np.floor((np.pi - np.arctan2(y, x)) / (2 * np.pi) * 36)) % 36
        nearest[row, column] = min(nearest.get((row, column), (np.inf, -1)), (away, k))
    kept = spinning_lidar.range_image(xyz, size, fov)
    assert sorted(kept) == sorted(k for _, k in nearest.values())


@pytest.mark.parametrize(("size", "fov"), [((0, 10), (-1, 1)), ((4, 10), (1, 1))])
def test_an_empty_range_image_is_refused(size, fov):
    with pytest.raises(ValueError, match="no range image"):
        spinning_lidar.range_image(np.ones((3, 3)), size, fov)


def test_scans_of_streets_are_the_same_per_seed_and_of_many_kinds(caster):
    clouds = [lidar_scans.scan_street(caster.scene, np.random.default_rng(seed), caster) for seed in range(12)]
    again = lidar_scans.scan_street(caster.scene, np.random.default_rng(3), caster)
    np.testing.assert_array_equal(again.xyz, clouds[3].xyz)
    sizes = sorted(len(cloud.xyz) for cloud in clouds)
    assert sizes[0] < 30_000 and sizes[-1] > 80_000
    for cloud in clouds:
        assert cloud.label.min() >= -1 and cloud.label.max() < len(PROCEDURAL)
        assert len(cloud.xyz) == len(cloud.label) == len(cloud.part) == len(cloud.instance) == len(cloud.rgb)
        assert (cloud.label == -1).mean() < 0.01


def test_a_map_has_one_point_per_voxel_of_what_several_turns_see(caster):
    single = lidar_scans.scan_lidar(caster.scene, np.random.default_rng(0), spinning_lidar.HDL32, EYE, caster)
    merged = lidar_scans.scan_map(caster.scene, np.random.default_rng(0), spinning_lidar.HDL32, caster)
    # The map sees things that are hidden from one position
    assert len(np.unique(merged.instance)) > len(np.unique(single.instance))
