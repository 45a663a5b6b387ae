"""Scans and views of a small room whose geometry is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("embreex", reason="embreex, which has wheels for x86_64, is needed to cast rays")

from s4token_model.io.depth_image import project, unproject
from s4token_model.kernels import voxel_fusion
from s4token_model.procedural.types import Instance, Scene
from s4token_model.sensors import camera_poses, depth_noise, rgbd_views, scans
from s4token_model.sensors.raycast import Caster, intrinsics, look_at

NAMES = ("wall", "floor", "ceiling", "table", "cabinet", "window")
SIZE = np.array([5.0, 4.0, 2.6])
_CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
_FACES = np.array([
    [0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7],  # bottom, top
    [0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7],
])  # fmt: skip


def box_scene(things, kind="room"):
    """A scene of boxes: things = (name, low, high, faces)."""
    vertices = [np.array(low) + _CORNERS * (np.array(high) - low) for _, low, high, _ in things]
    triangles = [_FACES[faces] + 8 * k for k, (_, _, _, faces) in enumerate(things)]
    label = np.concatenate([np.full(len(t), NAMES.index(things[k][0])) for k, t in enumerate(triangles)])
    owner = np.concatenate([np.full(len(t), k) for k, t in enumerate(triangles)])
    palette = np.array(
        [[0.8, 0.8, 0.7], [0.5, 0.4, 0.3], [0.9, 0.9, 0.9], [0.6, 0.2, 0.2], [0.2, 0.3, 0.7], [0.7, 0.8, 0.9]]
    )
    return Scene(
        kind, 0, NAMES, ("whole",),
        tuple(Instance(n, (), np.array(low, dtype=float), np.array(high, dtype=float)) for n, low, high, _ in things),
        np.concatenate(vertices).astype(np.float32), np.concatenate(triangles).astype(np.int32), label.astype(np.int16),
        owner.astype(np.int32), np.zeros(len(label), np.int16), palette[label].astype(np.float32),
    )  # fmt: skip


@pytest.fixture(scope="module")
def room():
    every = slice(None)
    return box_scene([
        ("wall", (0, 0, 0), SIZE, slice(4, None)), ("floor", (0, 0, 0), SIZE, slice(0, 2)),
        ("ceiling", (0, 0, 0), SIZE, slice(2, 4)),
        ("table", (1.0, 1.0, 0), (2.2, 1.8, 0.75), every), ("cabinet", (4.4, 1.0, 0), (5.0, 2.0, 1.8), every),
        ("cabinet", (6.0, 1.0, 0), (7.0, 2.0, 1.8), every),  # behind the wall: nobody may see it
    ])  # fmt: skip


@pytest.fixture(scope="module")
def caster(room):
    return Caster(room)


@pytest.fixture(scope="module")
def scan(room, caster):
    return scans.scan_depth(room, np.random.default_rng(1), 20000, caster)


def surface_distance(room, xyz):
    """Distance of points to the nearest box face of the scene's visible things, per thing (n, things)."""
    out = []
    for k, thing in enumerate(room.instances):
        inside = np.maximum(np.maximum(thing.low - xyz, xyz - thing.high), 0)
        outer = np.linalg.norm(inside, axis=1)
        faces = np.minimum(np.abs(xyz - thing.low), np.abs(xyz - thing.high))
        axes = {0: faces[:, :2].min(1), 1: np.abs(xyz[:, 2]), 2: np.abs(xyz[:, 2] - SIZE[2])}.get(k, faces.min(1))
        out.append(np.where(outer > 0, outer, axes) if k > 2 else axes)
    return np.stack(out, axis=1)


def test_depth_of_an_empty_room_is_analytic():
    scene = box_scene([("wall", (0, 0, 0), SIZE, slice(None))])
    eye, matrix, size = np.array([2.0, 1.5, 1.2]), intrinsics((48, 64), 70.0), (48, 64)
    view = rgbd_views.render(Caster(scene), look_at(eye, [4.0, 3.0, 1.0]), matrix, size, np.random.default_rng(0))
    rays = unproject(np.ones(size), matrix, view.pose) - eye
    with np.errstate(divide="ignore"):
        exits = np.where(rays > 0, (SIZE - eye) / rays, -eye / rays)
    np.testing.assert_allclose(view.depth, exits.min(-1), rtol=1e-4)


def test_clearance_is_the_distance_to_the_nearest_surface(room, caster):
    xyz = np.random.default_rng(0).uniform(0, SIZE, (400, 3))
    exact = surface_distance(room, xyz)[:, :5].min(axis=1)
    ratio = caster.clearance(xyz) / exact
    assert ratio.min() > 1 - 1e-4 and np.median(ratio) < 1.03 and (ratio < 1.05).mean() > 0.9


def test_rays_meet_the_nearest_triangle_or_nothing(room, caster):
    hits = caster.cast(np.array([2.5, 3.0, 1.0]), np.array([[0.0, 0, -2], [0, 0, 1], [-1, 0, 0]]))
    np.testing.assert_allclose(hits.distance, [0.5, 1.6, 2.5], rtol=1e-6)  # in lengths of the direction
    assert [NAMES[k] for k in room.label[hits.triangle]] == ["floor", "ceiling", "wall"]
    outside = caster.cast(np.array([0.0, 0.0, 9.0]), np.array([0.0, 0.0, 1.0]))
    assert np.isinf(outside.distance) and outside.triangle == -1


def test_projecting_unprojected_depth_gives_the_pixels_back():
    matrix, rng = intrinsics((20, 30), 60.0), np.random.default_rng(0)
    pose, depth = look_at(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 0.0]), 0.2), rng.uniform(0.5, 4, (20, 30))
    pixels, back = project(unproject(depth, matrix, pose).reshape(-1, 3), pose, matrix)
    np.testing.assert_allclose(back.reshape(20, 30), depth, atol=1e-6)
    v, u = np.mgrid[:20, :30]
    np.testing.assert_allclose(pixels, np.stack([u.ravel(), v.ravel()], 1), atol=1e-4)


def test_poses_are_rigid_right_handed_and_upright():
    pose = look_at(np.zeros(3), np.array([1.0, 0.0, -0.2]))
    np.testing.assert_allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    assert pose[2, 1] < 0 and abs(pose[2, 0]) < 1e-12  # y points down, x is level
    np.testing.assert_allclose(pose[:3, 0], [0, -1, 0], atol=1e-12)  # facing +x, the right hand is at -y


def test_looking_at_oneself_is_refused():
    with pytest.raises(ValueError, match="own position"):
        look_at(np.ones(3), np.ones(3))


def test_a_depth_scan_lies_on_its_surfaces_with_their_labels(room, scan):
    assert 15000 <= len(scan.xyz) <= 20000
    distance = surface_distance(room, scan.xyz)
    assert np.percentile(distance.min(1), 90) < 0.08
    nearest = np.array([0, 1, 2, 3, 4, 4])[distance.argmin(1)]
    clear = np.sort(distance, axis=1)[:, 1] > 0.15  # not in a corner
    assert (nearest == scan.label)[clear].mean() > 0.99
    assert (np.array([thing.name for thing in room.instances])[scan.instance] == np.array(NAMES)[scan.label]).all()


def test_nothing_behind_a_wall_is_seen(scan):
    assert not (scan.instance == 5).any()
    assert (scan.xyz[:, 0] < SIZE[0] + 0.15).all()


def test_the_underside_of_a_table_box_and_the_floor_below_it_are_missing(scan):
    below = (scan.xyz[:, :2] > [1.1, 1.1]).all(1) & (scan.xyz[:, :2] < [2.1, 1.7]).all(1) & (scan.xyz[:, 2] < 0.6)
    assert below.sum() < 20


def test_scans_are_deterministic_and_differ_between_seeds(room, caster):
    first, again, other = (scans.scan_depth(room, np.random.default_rng(s), 5000, caster) for s in (4, 4, 5))
    np.testing.assert_array_equal(first.xyz, again.xyz)
    np.testing.assert_array_equal(first.label, again.label)
    assert len(first.xyz) != len(other.xyz) or not np.array_equal(first.xyz, other.xyz)


def test_a_flawless_sensor_measures_exactly():
    flawless = depth_noise.DepthSensor(9, 0, 0, 0, 1e-6, 0, 0, 0, 0, 0, 0, 0)
    depth = np.linspace(1, 2, 300, dtype=np.float32).reshape(1, 15, 20)
    same = np.ones_like(depth)
    np.testing.assert_allclose(
        depth_noise.measure(depth, same, same, 0 * same, flawless, np.random.default_rng(0)), depth
    )
    poses = np.stack([look_at(np.ones(3) * k, np.zeros(3)) for k in (1, 2)])
    np.testing.assert_allclose(depth_noise.misplace(poses, flawless, np.random.default_rng(0)), poses)


def test_depth_edges_are_found_and_removed():
    depth = np.full((1, 10, 10), 1.0, dtype=np.float32)
    depth[:, :, 5:] = 2.0
    edge = depth_noise.depth_edges(depth)
    assert edge[0, :, 4:6].all() and edge.sum() == 20
    assert not depth_noise.depth_edges(np.where(depth > 1, 0, depth)).any()


def test_glass_swallows_measurements(room):
    glass = box_scene([("window", (0, 0, 0), SIZE, slice(None))])
    wall = box_scene([("wall", (0, 0, 0), SIZE, slice(None))])
    many, few = (len(scans.scan_frame(s, np.random.default_rng(0)).xyz) for s in (wall, glass))
    assert few < 0.9 * many


def test_fusion_averages_and_takes_the_majority():
    xyz = np.array([[0.01, 0, 0], [0.03, 0, 0], [0.02, 0, 0], [1.0, 0, 0]])
    fused, _, code, weight = voxel_fusion.voxel_fuse(xyz, np.zeros((4, 3)), np.array([7, 9, 9, 3]), 0.1)
    np.testing.assert_allclose(fused[:, 0], [0.02, 1.0])
    assert code.tolist() == [9, 3] and weight.tolist() == [3, 1]


def test_smoothing_flattens_a_noisy_plane_without_moving_it():
    rng = np.random.default_rng(0)
    plane = np.stack([*rng.uniform(0, 2, (2, 40000)), rng.normal(0, 0.01, 40000)], axis=1)
    soft, density = voxel_fusion.smooth(plane, 0.08)
    inner = (plane[:, :2] > 0.2).all(1) & (plane[:, :2] < 1.8).all(1)
    assert soft[inner, 2].std() < 0.004
    assert np.abs((soft - plane)[inner, :2].mean(0)).max() < 1e-3
    assert np.percentile(np.abs((soft - plane)[inner, :2]), 90) < 0.02
    assert 0.5 < np.median(density[inner]) / (40000 * 0.08**2 / 4) < 2


def test_an_object_is_sampled_evenly_or_from_outside_only():
    inner = ("table", (0.4, 0.4, 0.4), (0.6, 0.6, 0.6), slice(None))
    scene = box_scene([("cabinet", (0, 0, 0), (1, 1, 1), slice(None)), inner], "object")
    seen = scans.scan_object(scene, np.random.default_rng(0), 1000)
    full = scans.scan_object(scene, np.random.default_rng(0), 4000, partial=False)
    assert len(seen.xyz) == 1000 and not (seen.instance == 1).any()
    assert (full.instance == 1).mean() == pytest.approx(0.04 / 1.04, abs=0.015)


def test_augment_turns_but_keeps_shape_and_labels(scan):
    turned = scans.augment(scan, np.random.default_rng(0))
    assert np.ptp(turned.xyz[scan.label == 1, 2]) < np.ptp(scan.xyz[scan.label == 1, 2]) + 2 * 6 * np.sin(
        np.radians(1.5)
    )
    pick = np.arange(0, len(scan.xyz), 997)
    lengths = [np.linalg.norm(c.xyz[pick][:, None] - c.xyz[pick][None], axis=-1) for c in (scan, turned)]
    np.testing.assert_allclose(*lengths, atol=1e-4)
    np.testing.assert_array_equal(scan.label, turned.label)


@pytest.mark.parametrize("kind", scans.KINDS)
def test_every_kind_of_scan_has_the_declared_types(room, kind):
    scan = scans.scan(room, np.random.default_rng(0), kind)
    count = len(scan.xyz)
    assert count > 500 and np.isfinite(scan.xyz).all()
    assert scan.xyz.dtype == np.float32 and scan.rgb.dtype == np.float32 and scan.rgb.shape == (count, 3)
    assert scan.label.dtype == np.int16 and scan.instance.dtype == np.int32 and scan.part.dtype == np.int16
    assert scan.rgb.min() >= 0 and scan.rgb.max() <= 1


def test_an_unknown_kind_is_refused(room):
    with pytest.raises(ValueError, match=r"'sonar'.*lidar"):
        scans.scan(room, np.random.default_rng(0), "sonar")


def test_cameras_stand_in_free_space(room, caster):
    spots = camera_poses.free_positions(caster, np.random.default_rng(0), 50)
    assert len(spots) > 20 and caster.clearance(spots).min() > 0.25
    assert (spots > 0).all() and (spots < SIZE).all()


@pytest.mark.parametrize("style", rgbd_views.STYLES)
def test_views_agree_with_the_scene(room, caster, style):
    for view in rgbd_views.render_views(room, np.random.default_rng(0), 3, (60, 80), style, caster):
        assert view.rgb.shape == (60, 80, 3) and view.rgb.dtype == np.uint8 and view.depth.dtype == np.float32
        xyz = unproject(view.depth, view.intrinsics, view.pose)
        hit = view.depth > 0
        assert hit.all()
        assert surface_distance(room, xyz[hit]).min(1).max() < 1e-3
        np.testing.assert_array_equal(
            np.array([NAMES.index(t.name) for t in room.instances])[view.instance], view.label
        )


def test_looking_at_an_instance_shows_it(room, caster):
    pose = rgbd_views.look_at_instance(room, 3, np.random.default_rng(0), caster)
    view = rgbd_views.render(caster, pose, intrinsics((60, 80), 60), (60, 80), np.random.default_rng(0))
    assert (view.instance == 3).mean() > 0.05
    assert rgbd_views.look_at_instance(room, 5, np.random.default_rng(0), caster) is None  # it is behind the wall


def test_geometry_style_ignores_color_and_color_style_does_not(room):
    import dataclasses

    pose, matrix = look_at(np.array([3.5, 3.2, 1.4]), np.array([1.5, 1.4, 0.4])), intrinsics((40, 40), 60)
    black = Caster(dataclasses.replace(room, color=room.color * 0.2))
    for style, same in (("geometry", True), ("color", False)):
        pair = [
            rgbd_views.render(c, pose, matrix, (40, 40), np.random.default_rng(0), style).rgb
            for c in (Caster(room), black)
        ]
        assert np.array_equal(*pair) == same


def test_an_empty_scene_is_refused(room):
    import dataclasses

    with pytest.raises(ValueError, match="0 triangles"):
        Caster(dataclasses.replace(room, triangles=np.zeros((0, 3), np.int32)))
