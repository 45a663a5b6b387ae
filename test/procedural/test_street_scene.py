"""Properties of the procedural streets and of their scans: the same per seed, labels and sizes as the real world has
them, kerbs where they belong, things in front of others.
"""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.datasets import semantickitti
from s4token_model.procedural import scenes as synthetic
from s4token_model.procedural import street_buildings, street_scene, street_vegetation
from s4token_model.procedural.catalog import make_outdoors
from s4token_model.procedural.classes import GROUND, INDOOR, PARTS, PROCEDURAL, SEMANTICKITTI_PROCEDURAL, STREET
from s4token_model.procedural.mesh import doubled_areas
from s4token_model.procedural.street_ground import relief
from s4token_model.procedural.street_plan import REACH
from s4token_model.sensors import rgbd_views
from s4token_model.sensors import scans as sensors
from s4token_model.sensors.camera_poses import street_positions
from s4token_model.sensors.raycast import Caster
from s4token_model.sensors.spinning_lidar import HDL64
from s4token_model.training import captions
from s4token_model.training.settings import MiniConfig

SEEDS = (0, 1, 7, 11, 12)
EYE = np.array([0.0, 0.0, 1.73])


@pytest.fixture(scope="module")
def scenes():
    return [synthetic.make_street(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def casters(scenes):
    return [Caster(scene) for scene in scenes[:3]]


@pytest.fixture(scope="module")
def scans(scenes, casters):
    return [sensors.scan_lidar(c.scene, np.random.default_rng(k), HDL64, EYE, c) for k, c in enumerate(casters)]


def test_same_seed_gives_the_same_street_and_the_same_scan(scenes, scans):
    again = synthetic.make_street(1)
    for name in ("vertices", "triangles", "label", "instance", "part", "color"):
        assert np.array_equal(getattr(again, name), getattr(scenes[1], name)), name
    assert not np.array_equal(again.vertices[:99], scenes[2].vertices[:99])
    scan = sensors.scan_lidar(again, np.random.default_rng(1), HDL64, EYE)
    assert np.array_equal(scan.xyz, scans[1].xyz) and np.array_equal(scan.label, scans[1].label)


def test_arrays_of_a_street_are_consistent(scenes):
    for scene in scenes:
        assert scene.kind == "street" and scene.names == PROCEDURAL and scene.part_names == PARTS
        for name in ("label", "instance", "part", "color"):
            assert len(getattr(scene, name)) == len(scene.triangles) < 450_000
        assert 0 <= scene.triangles.min() and scene.triangles.max() < len(scene.vertices)
        of_instance = np.array([scene.names.index(i.name) for i in scene.instances])
        assert np.array_equal(of_instance[scene.instance], scene.label)
        assert np.isfinite(scene.vertices).all() and 0 <= scene.color.min() and scene.color.max() <= 1
        assert doubled_areas(scene.vertices.astype(np.float64), scene.triangles).min() > 1e-9
        assert scene.vertices[:, 2].max() < 32 and np.abs(scene.vertices[:, :2]).max() < REACH[0] + REACH[1]


def test_every_class_of_streets_appears(scenes):
    seen = {item.name for scene in scenes for item in scene.instances}
    for seed in range(20, 40):
        if set(STREET) <= seen:
            break
        seen |= {item.name for item in synthetic.make_street(seed).instances}
    assert set(STREET) - seen == set()
    assert {"person", "trash can"} <= seen


# height, and the smaller and larger horizontal extent, m: least and most
SIZES = {
    "car": ((1.3, 2.7), (1.6, 2.5), (3.3, 6.0)),
    "truck": ((2.1, 4.2), (2.0, 3.1), (5.5, 12)),
    "bus": ((2.8, 3.8), (2.3, 2.8), (8.9, 14.2)),
    "trailer": ((0.8, 2.8), (1.2, 2.5), (2.6, 7.5)),
    "bicycle": ((0.9, 1.25), (0.5, 0.7), (1.5, 2.0)),
    "motorcycle": ((0.95, 1.2), (0.6, 0.9), (1.6, 2.4)),
    "bicyclist": ((1.5, 2.1), (0.5, 0.8), (1.5, 2.0)),
    "motorcyclist": ((1.4, 2.0), (0.6, 0.9), (1.6, 2.4)),
    "pole:lamp": ((3.5, 10.5), (0.1, 0.7), (0.1, 5.5)),
    "pole:bollard": ((0.6, 1.4), (0.05, 0.25), (0.05, 0.25)),
    "traffic sign": ((1.8, 4.6), (0.02, 0.4), (0.05, 3.3)),
    "traffic light": ((2.7, 6.0), (0.2, 0.6), (0.2, 5.4)),
    "trash can:wheelie": ((0.9, 1.4), (0.45, 1.3), (0.5, 1.6)),
    street_vegetation.tree: ((3.0, 17), (0.6, 14), (0.8, 14)),
    street_vegetation.bush: ((0.25, 3.2), (0.3, 3.5), (0.4, 3.5)),
}  # fmt: skip


@pytest.mark.parametrize("maker", SIZES, ids=lambda maker: getattr(maker, "__name__", maker))
def test_things_of_streets_have_real_sizes_and_stand_on_the_ground(maker):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        name, _, kind = maker.partition(":") if isinstance(maker, str) else ("", "", "")
        things = make_outdoors(name, rng, None, kind) if name else maker(rng)
        vertices = np.concatenate([t.vertices for t in things])
        low, high = vertices.min(0), vertices.max(0)
        assert -0.6 <= low[2] < 0.1, (seed, low)
        tall, size = SIZES[maker][0], np.sort((high - low)[:2])
        assert tall[0] <= high[2] <= tall[1], (seed, high)
        for extent, (least, most) in zip(size, SIZES[maker][1:], strict=True):
            assert least <= extent <= most, (seed, size)
        for thing in things:
            assert thing.name in PROCEDURAL and set(thing.parts) <= set(PARTS) and len(thing.triangles) > 0


def test_fences_hedges_and_buildings_are_as_long_as_asked():
    rng = np.random.default_rng(0)
    for kind in ("wire", "picket", "plank", "bars", "wall", "rail"):
        (fence,) = make_outdoors("fence", rng, None, kind, (6.0, None, None))
        assert abs(np.ptp(fence.vertices[:, 0]) - 6.0) < 0.2 and 0.5 < fence.vertices[:, 2].max() < 2.0
    (hedge,) = street_vegetation.hedge(rng, 6.0, 1.5)
    assert abs(np.ptp(hedge.vertices[:, 0]) - 6.0) < 0.8 and 1.3 < hedge.vertices[:, 2].max() < 2.2
    for kind in ("house", "block", "shed"):
        (house,) = street_buildings.building(rng, 12.0, 9.0, kind)
        body = house.vertices[house.triangles[house.part == house.parts.index("body")].ravel()]
        assert np.allclose([np.ptp(body[:, 0]), np.ptp(body[:, 1])], [12.0, 9.0], atol=0.4)
        assert body[:, 1].min() > -0.2 and house.vertices[:, 2].max() > 2


def test_relief_has_upright_sides_between_levels():
    level = np.array([[0.0, 0.0], [0.1, 0.0]])
    place = lambda a, b, z: np.stack([a, b, z], axis=-1)  # noqa: E731
    tops, top_cell, (corners, triangles), owner = relief(np.arange(3.0), np.arange(3.0), level, place)
    assert len(tops[1]) == 8 and np.array_equal(top_cell, np.repeat(np.arange(4), 2))
    assert len(triangles) == 4 and (owner == 2).all()  # two sides of the raised cell
    assert doubled_areas(corners, triangles).sum() / 2 == pytest.approx(2 * 0.1)


def test_kerbs_are_as_high_as_planned_and_sidewalks_lie_beside_the_road(scenes):
    for seed, scene in zip(SEEDS, scenes, strict=True):
        plan = street_scene.draw_plan(np.random.default_rng(seed))
        assert 0.05 <= plan.kerb <= 0.15 and 2.4 < plan.lane < 3.8 and -plan.half < plan.ego < 0
        kind, level = plan.cover(np.array([0.0]), np.array([plan.ego]))
        assert kind[0] == 0 and level[0] == 0
        assert abs(plan.ground(0.0, plan.ego)) < 1e-9 and np.allclose(plan.course.flat(0.0, plan.ego), 0, atol=1e-9)
        for side in (1, -1):
            edges = [strip.edge for strip in plan.strips(side)]
            assert edges == sorted(edges) and plan.front[side] >= edges[-2] - 1e-9
            walk = plan.strip(side, "sidewalk")
            if walk:
                assert 1.2 < walk[1] - walk[0] < 5.2 and walk[0] >= plan.half
        ground = scene.triangles[scene.label == PROCEDURAL.index("road")]
        near = scene.vertices[ground[np.linalg.norm(scene.vertices[ground].mean(1)[:, :2], axis=1) < 1.5]]
        assert len(near) and np.abs(near[..., 2]).max() < 0.1  # the road under the sensor is at z = 0


def test_nothing_stands_where_the_scanning_car_is(scenes):
    for scene in scenes:
        things = [
            i for i in scene.instances if i.name not in (*GROUND, "vegetation", "tree trunk", "pole", "traffic light")
        ]
        low, high = np.array([i.low for i in things]), np.array([i.high for i in things])
        assert not ((low[:, :2] < [1.8, 0.6]).all(1) & (high[:, :2] > [-1.8, -0.6]).all(1) & (low[:, 2] < 1.5)).any()


def test_scans_are_like_those_of_a_64_beam_sensor(scans):
    for scan in scans:
        away = np.linalg.norm(scan.xyz - EYE, axis=1)
        assert 85_000 < len(scan.xyz) < 140_000
        assert 2.5 < away.min() and away.max() < 80.1
        assert scan.xyz.dtype == np.float32 and np.isfinite(scan.xyz).all()
        road = scan.label == PROCEDURAL.index("road")
        assert road.mean() > 0.05 and abs(np.median(scan.xyz[road & (away < 8), 2])) < 0.15


def test_things_hide_what_lies_behind_them(scenes, casters, scans):
    for caster, scan in zip(casters, scans, strict=True):
        assert caster.sees(EYE, scan.xyz[::50].astype(np.float64), 0.6).mean() > 0.97
        seen = np.isin(np.arange(len(caster.scene.instances)), scan.instance)
        assert 0.05 < seen.mean() < 0.95  # many are out of sight


def test_pictures_are_taken_from_the_pavement_and_show_things(scenes, casters):
    eyes = street_positions(casters[0], np.random.default_rng(0), 20)
    assert len(eyes) > 5 and np.abs(eyes[:, :2]).max() < 25
    pictures = rgbd_views.render_views(scenes[0], np.random.default_rng(0), 6, (48, 64), caster=casters[0])
    seen = {PROCEDURAL[k] for view in pictures for k in np.unique(view.label) if k >= 0}
    assert len(pictures) == 6 and len(seen - GROUND) >= 3
    again = rgbd_views.render_views(scenes[0], np.random.default_rng(0), 6, (48, 64), caster=casters[0])
    assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(pictures, again, strict=True))


def test_class_tables_agree():
    assert PROCEDURAL[: len(INDOOR)] == INDOOR and len(set(PROCEDURAL)) == len(PROCEDURAL) and set(STREET) >= GROUND
    assert tuple(SEMANTICKITTI_PROCEDURAL) == semantickitti.NAMES
    mapped = [name for group in SEMANTICKITTI_PROCEDURAL.values() for name in group]
    assert len(mapped) == len(set(mapped)) and set(mapped) <= set(PROCEDURAL)
    assert set(STREET) - set(mapped) == {"traffic light"}


def test_captions_of_streets_say_nothing_of_rooms():
    rng = np.random.default_rng(0)
    for _ in range(300):
        text = captions.caption("car", ("red",), rng) + captions.scene_caption(["road", "car", "car", "building"], rng)
        assert "room" not in text and "indoor" not in text and "furnished" not in text, text


def test_samples_without_streets_stay_as_they_are():
    from s4token_model.training.procedural_samples import is_street

    assert not any(is_street(k, MiniConfig(street_share=0)) for k in range(50))
    assert 60 < sum(is_street(k, MiniConfig(street_share=0.4)) for k in range(200)) < 100
