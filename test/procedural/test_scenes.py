"""Properties of the procedural scenes: the same per seed, labels and sizes as the real world has them, nothing
degenerate.
"""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.procedural import catalog, room_plan
from s4token_model.procedural import scenes as synthetic
from s4token_model.procedural.classes import INDOOR, PARTS, PROCEDURAL, SCANNET20, STRUCTURE
from s4token_model.procedural.mesh import box, doubled_areas, loft, soft_box, tube
from s4token_model.procedural.room_placement import Site
from s4token_model.procedural.scene_builder import Assembly

SEEDS = range(25)


@pytest.fixture(scope="module")
def scenes():
    return [synthetic.make_room(seed) for seed in SEEDS]


def test_same_seed_gives_the_same_scene():
    for make in (synthetic.make_room, synthetic.make_object):
        a, b = make(7), make(7)
        for name in ("vertices", "triangles", "label", "instance", "part", "color"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
        assert [i.name for i in a.instances] == [i.name for i in b.instances]
        assert not np.array_equal(a.vertices, make(8).vertices)


def test_arrays_of_a_scene_are_consistent(scenes):
    for scene in scenes:
        count = len(scene.triangles)
        assert scene.kind == "room" and scene.names == PROCEDURAL and scene.part_names == PARTS
        assert scene.vertices.dtype == np.float32 and scene.triangles.dtype == np.int32
        assert scene.label.dtype == np.int16 and scene.instance.dtype == np.int32 and scene.part.dtype == np.int16
        for name in ("label", "instance", "part", "color"):
            assert len(getattr(scene, name)) == count
        assert 0 <= scene.triangles.min() and scene.triangles.max() < len(scene.vertices)
        assert 0 <= scene.label.min() and scene.label.max() < len(scene.names)
        assert 0 <= scene.part.min() and scene.part.max() < len(scene.part_names)
        assert set(np.unique(scene.instance)) <= set(range(len(scene.instances)))
        of_instance = np.array([scene.names.index(i.name) for i in scene.instances])
        assert np.array_equal(of_instance[scene.instance], scene.label)
        assert np.isfinite(scene.vertices).all() and 0 <= scene.color.min() and scene.color.max() <= 1
        assert count < 150_000


def test_triangles_have_area(scenes):
    for scene in scenes:
        assert doubled_areas(scene.vertices.astype(np.float64), scene.triangles).min() > 1e-9


def test_instance_bounds_hold_their_triangles(scenes):
    for scene in scenes[:10]:
        corners = scene.vertices[scene.triangles]
        for k, item in enumerate(scene.instances):
            own = corners[scene.instance == k].reshape(-1, 3)
            assert len(own) and (own >= item.low - 1e-4).all() and (own <= item.high + 1e-4).all()


@pytest.mark.timeout(400)
def test_every_class_appears(scenes):
    seen = {i.name for scene in scenes for i in scene.instances}
    for seed in range(len(SEEDS), 200):
        if len(seen) == len(INDOOR):
            break
        seen |= {i.name for i in synthetic.make_room(seed).instances}
    assert set(INDOOR) - seen == set()
    assert set(SCANNET20[:19]) <= set(INDOOR)


# height (z extent) and largest horizontal extent, m
SIZES = {
    "chair": (0.6, 1.5, 0.35, 1.1), "sofa": (0.55, 1.1, 0.75, 3.6), "table": (0.3, 0.82, 0.3, 3.3),
    "desk": (0.68, 1.6, 0.9, 1.95),
    "bed": (0.3, 2.2, 1.9, 2.5), "toilet": (0.25, 1.0, 0.4, 0.85), "bathtub": (0.4, 0.9, 1.3, 1.95),
    "door": (1.9, 2.3, 0.7, 2.3),
    "cabinet": (0.25, 2.5, 0.28, 3.2), "bookshelf": (0.7, 2.4, 0.45, 1.9), "refrigerator": (0.8, 2.0, 0.45, 0.95),
    "picture": (0.15, 1.0, 0.15, 1.2), "window": (0.5, 2.0, 0.5, 2.8), "person": (1.5, 2.0, 0.3, 0.9),
    "cup": (0.05, 0.15, 0.05, 0.25),
    "monitor": (0.3, 0.75, 0.3, 0.8), "shoes": (0.05, 0.25, 0.15, 0.45), "sink": (0.2, 1.25, 0.35, 0.85),
}  # fmt: skip


@pytest.mark.parametrize("name", catalog.THINGS)
def test_things_are_centered_and_of_real_size(name):
    for seed in range(12):
        thing = catalog.make_thing(name, np.random.default_rng(seed))
        low, high = thing.vertices.min(0), thing.vertices.max(0)
        assert thing.name == name and abs(low[2]) < 1e-5
        assert np.allclose(low[:2] + high[:2], 0, atol=1e-4)
        assert set(thing.parts) <= set(PARTS) and thing.part.max() < len(thing.parts)
        assert len(thing.triangles) == len(thing.part) == len(thing.color)
        size = high - low
        z0, z1, w0, w1 = SIZES.get(name, (0.005, 3.3, 0.03, 3.0))
        assert z0 <= size[2] <= z1, (seed, size)
        assert w0 <= size[:2].max() <= w1, (seed, size)
        assert all(isinstance(word, str) and word for word in thing.attributes)


def test_unknown_names_are_refused():
    for name in (*STRUCTURE, "spaceship"):
        with pytest.raises(ValueError, match="choose one of"):
            catalog.make_thing(name, np.random.default_rng(0))
    assert synthetic.make_object(3, "chair").instances[0].name == "chair"


def test_nothing_leaves_the_rooms(scenes):
    for scene in scenes:
        items = [i for i in scene.instances if i.name in ("wall", "floor")]
        low, high = np.min([i.low for i in items], 0), np.max([i.high for i in items], 0)
        for item in scene.instances:
            slack = 0.3 if item.name in ("door", "window") else 1e-3
            assert (item.low >= low - slack).all() and (item.high <= high + slack).all(), (scene.seed, item)


def test_furniture_does_not_run_through_furniture(scenes):
    names = ("bed", "sofa", "bookshelf", "refrigerator", "bathtub", "piano", "dresser")
    for scene in scenes:
        items = [i for i in scene.instances if i.name in names]
        for k, a in enumerate(items):
            for b in items[k + 1 :]:
                overlap = np.minimum(a.high, b.high) - np.maximum(a.low, b.low)
                assert not (overlap > 0.01).all(), (scene.seed, a, b)


def test_walls_are_open_where_doors_and_passages_are():
    plan = room_plan.plan_of([(0, 4, 0, 3)], [], 2.5, 0.1)
    site = Site(plan, np.random.default_rng(0))
    wall, opening = site.open_wall(0.9, 0.0, 2.0, "door")
    vertices, triangles = room_plan.wall_shape(wall, plan.height)
    area = doubled_areas(vertices, triangles).sum() / 2
    assert np.isclose(area, wall.length * 2.5 - 0.9 * 2.0)
    assert not site.is_free(
        np.array([*wall.point(opening.s0 + 0.4, 0.1) - 0.05, 0.1]),
        np.array([*wall.point(opening.s0 + 0.4, 0.1) + 0.05, 0.5]),
    )


def test_plans_close_around_their_cells():
    rng = np.random.default_rng(0)
    for _ in range(40):
        plan = room_plan.make_plan(rng, (6, 40))
        outline = sum(w.length for w in plan.walls)
        assert 4 * np.sqrt(plan.area) - 1e-6 <= outline < 60
        for axis in (0, 1):
            assert np.isclose(sum(w.length * w.normal[axis] for w in plan.walls), 0)
        for w in plan.walls:
            p = w.point(w.length / 2, 0.01)
            assert plan.inside(p - 1e-4, p + 1e-4) and not plan.inside(p - 0.02 * w.normal, p - 0.02 * w.normal + 1e-4)


def test_putting_assemblies_together_keeps_labels_and_bounds():
    parts = []
    for name in ("chair", "table"):
        assembly = Assembly()
        assembly.thing(catalog.make_thing(name, np.random.default_rng(1)), 0.3, (1.0, 2.0, 0.0))
        parts.append(assembly)
    alone = [assembly.scene("room", 0) for assembly in parts]
    both = parts[0].with_all(parts[1]).scene("room", 0)
    assert [i.name for i in both.instances] == ["chair", "table"] and both.instance.max() == 1
    assert len(both.triangles) == sum(len(scene.triangles) for scene in alone)
    for joined, scene in zip(both.instances, alone, strict=True):
        assert np.allclose(joined.low, scene.instances[0].low) and np.allclose(joined.high, scene.instances[0].high)
    second = both.vertices[both.triangles[both.instance == 1]]
    assert np.array_equal(second, alone[1].vertices[alone[1].triangles])


def test_primitives_have_the_area_they_should():
    assert np.isclose(doubled_areas(*box((0, 0, 0), (1, 2, 3))).sum() / 2, 22)
    assert np.isclose(
        doubled_areas(*tube((0, 0, 0), (0, 3, 4), 0.1, 64)).sum() / 2, 2 * np.pi * 0.1 * 5 + 2 * np.pi * 0.01, rtol=0.01
    )
    sphere = loft([(np.sin(t), np.cos(t), np.cos(t), 0, 0) for t in np.linspace(-np.pi / 2, np.pi / 2, 40)], 2.0, 60)
    assert np.isclose(doubled_areas(*sphere).sum() / 2, 4 * np.pi, rtol=0.01)
    vertices, _ = soft_box(np.array([-1, -1, 0]), np.array([1, 1, 0.5]), 0.1)
    assert np.allclose(vertices.min(0), (-1, -1, 0)) and np.allclose(vertices.max(0), (1, 1, 0.5))
