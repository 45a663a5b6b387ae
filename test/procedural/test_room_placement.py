"""Placing things in rooms: on what is under them, at walls and in openings, with a bank of shapes and without."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.procedural import room_plan, room_shell
from s4token_model.procedural.mesh import Mesh, box
from s4token_model.procedural.room_placement import Site, bounds, surface
from s4token_model.procedural.scene_builder import Assembly


def step():
    """A thing with a low left half and a high right one."""
    m = Mesh()
    m.add(box((-1, -0.5, 0), (0, 0.5, 0.5)), "body", (0.5, 0.5, 0.5))
    m.add(box((0, -0.5, 0), (1, 0.5, 0.8)), "body", (0.5, 0.5, 0.5))
    return m.thing("cabinet")


@pytest.fixture
def site():
    return Site(room_plan.plan_of([(0, 5, 0, 4)], [], 2.5, 0.15), np.random.default_rng(0))


def test_the_surface_is_the_highest_one():
    z = surface(step(), np.array([[-0.5, 0.0], [0.5, 0.2], [3.0, 0.0]]))
    assert np.allclose(z[:2], [0.5, 0.8]) and z[2] == -np.inf


def test_things_stand_on_even_surfaces_only(site):
    host = site.put(step(), (2.5, 2.0), 0.3)
    placed = [site.on(host, "box") for _ in range(60)]
    heights = [p.offset[2] for p in placed if p]
    assert len(heights) > 3 and set(np.round(heights, 4)) <= {0.5, 0.8}
    for p in filter(None, placed):  # no corner hangs over the step
        c, s = np.cos(host.angle), np.sin(host.angle)
        x = (p.offset - host.offset)[:2] @ [c, s]
        assert (x > 0) == (p.offset[2] > 0.6)


def test_pictures_hang_flush_with_the_wall(site):
    for _ in range(10):
        placed = site.hang("picture")
        if placed:
            gaps = [abs(float((placed.offset[:2] - w.start) @ w.normal)) for w in site.plan.walls]
            assert min(gaps) == pytest.approx(bounds(placed.thing)[1][1] + 0.002)


def test_doors_and_windows_fill_their_openings():
    for seed in range(12):
        rng, things = np.random.default_rng(seed), Assembly()
        site = Site(room_plan.make_plan(rng, (10, 30)), rng)
        room_shell.cut_openings(things, site)
        openings = [(w, o) for w in site.plan.walls for o in w.openings if o.kind in ("door", "window")]
        assert len(openings) == len(things.instances)
        for wall, o in openings:
            item = min((i for i in things.instances if i.name == o.kind), key=lambda i: _distance(i, wall, o))
            assert _distance(item, wall, o) < 0.75 and -0.06 < item.low[2] - o.z0 < 0.01
            corners = (np.array([item.low, item.high])[:, :2] - wall.start) @ wall.normal
            assert corners.min() > -site.plan.thickness - 0.1 and (corners.max() < 0.1 or "open" in item.attributes)


def _distance(item, wall, o) -> float:
    return float(np.linalg.norm((item.low + item.high)[:2] / 2 - wall.point((o.s0 + o.s1) / 2)))


def test_a_swung_door_turns_about_its_hinge(site):
    door = site.make("door", size=(0.9, 0.08, 2.0))
    open_ = room_shell.swung(door, np.pi / 2)
    assert "open" in open_.attributes and np.isclose(
        np.ptp(open_.vertices[:, 1]), np.ptp(door.vertices[:, 0]), atol=0.15
    )
    assert open_.vertices[:, 1].min() < -0.7  # into the room
