"""Procedural labeled scenes: furnished rooms, streets and single objects, the same for the same seed.

`make_room` draws a floor plan, cuts doors and windows, furnishes it by its kind and puts the triangles of everything
together; `make_street` does so with a road and what lies along it; `make_object` is one thing alone. Labels
index `classes.PROCEDURAL`, parts index `classes.PARTS`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from s4token_model.procedural import objects_household, room_layouts, room_plan, room_shell, street_scene
from s4token_model.procedural.catalog import THINGS, make_thing
from s4token_model.procedural.furniture_appliances import fan
from s4token_model.procedural.room_clutter import WALL_CLUTTER
from s4token_model.procedural.room_placement import Site, bounds
from s4token_model.procedural.scene_builder import Assembly
from s4token_model.procedural.street_ground import add_ground
from s4token_model.procedural.street_placement import StreetSite
from s4token_model.procedural.types import Scene

_CLUTTERED = ("cabinet", "bookshelf", "dresser", "refrigerator", "nightstand", "piano", "bench", "printer")
# What stands along the walls of a room that has space left.
_FILLERS = (
    "cabinet",
    "cabinet",
    "bookshelf",
    "chair",
    "chair",
    "table",
    "desk",
    "sofa",
    "printer",
    "bench",
    "stool",
    "box",
    "dresser",
    "fan",
)
# What stands about in the middle of a room.
_STANDING = (
    "chair",
    "chair",
    "chair",
    "chair",
    "table",
    "table",
    "sofa",
    "desk",
    "stool",
    "cabinet",
    "ottoman",
    "box",
    "bag",
)
# Class and probability of what is put into any kind of room.
_EXTRAS = (
    ("radiator", 0.12), ("trash can", 0.4), ("plant", 0.25), ("person", 0.1), ("rug", 0.25),
    ("fan", 0.06),
    ("ottoman", 0.06), ("cabinet", 0.2), ("suitcase", 0.05), ("chair", 0.3), ("bookshelf", 0.05), ("table", 0.12),
    ("piano", 0.04), ("stairs", 0.03),
    ("washing machine", 0.02),
)  # fmt: skip


def make_object(seed: int, name: str | None = None) -> Scene:
    """A scene of kind "object": one thing, of class `name` or of a random class; base at z = 0, front facing -y.

    Raises ValueError when `name` is not one of shapes.THINGS.
    """
    rng = np.random.default_rng(seed)
    assembly = Assembly()
    assembly.thing(make_thing(name or THINGS[int(rng.integers(len(THINGS)))], rng))
    return assembly.scene("object", seed)


def make_room(seed: int) -> Scene:
    """A scene of kind "room": a furnished room, often with others or a hall behind its doors. Deterministic per
    seed.
    """
    rng = np.random.default_rng(seed)
    weights = np.array([w for _, _, w, _ in room_layouts.LAYOUTS])
    _, furnish, _, area = room_layouts.LAYOUTS[int(rng.choice(len(weights), p=weights / weights.sum()))]
    density = float(rng.choice([0.3, 0.9, 1.6, 2.6], p=(0.05, 0.17, 0.36, 0.42)))
    site = Site(room_plan.make_plan(rng, area), rng)
    style = room_shell.make_style(rng)
    things, shell = Assembly(), Assembly()
    room_shell.cut_openings(things, site, style)
    room_shell.build_in(things, site, style)
    if rng.random() < 0.12 and site.plan.area > 9:
        site.middle(objects_household.column(rng, site.plan.height - 0.002), 0.05, angle=0.0)
    furnish(site, density)
    _finish(site, density)
    for placed in site.placed:
        things.thing(placed.thing, placed.angle, placed.offset)
    plans = [site.plan, *room_shell.rooms_next_door(things, site, density)]
    with_ceiling = rng.random() < 0.3
    for plan in plans:
        room_shell.add_shell(shell, plan, style, with_ceiling, rng)
    return merge([shell.scene("room", seed), *([things.scene("room", seed)] if things.instances else [])])


def make_street(seed: int) -> Scene:
    """A scene of kind "street": 150 x 92 m of a road and what lies along it. Deterministic per seed.

    Its origin lies on the right-hand lane, x along the road and z up: who scans stands there.
    """
    rng = np.random.default_rng(seed)
    site = StreetSite(street_scene.draw_plan(rng), rng)
    street_scene.furnish(site)
    ground = Assembly()
    add_ground(ground, site.plan, rng)
    return merge([ground.scene("street", seed), site.things.scene("street", seed)])


def merge(scenes: list[Scene]) -> Scene:
    """Several scenes in one, with the kind and seed of the first; class and part names must agree (ValueError
    otherwise).
    """
    if not scenes:
        raise ValueError("nothing to merge: pass at least one scene")
    first = scenes[0]
    if any(s.names != first.names or s.part_names != first.part_names for s in scenes):
        raise ValueError("scenes with different class or part names cannot be merged; remap their labels first")
    at = np.cumsum([0] + [len(s.vertices) for s in scenes])
    item = np.cumsum([0] + [len(s.instances) for s in scenes])
    return replace(
        first,
        instances=tuple(i for s in scenes for i in s.instances),
        vertices=np.concatenate([s.vertices for s in scenes]),
        triangles=np.concatenate([s.triangles + k for s, k in zip(scenes, at, strict=False)]).astype(np.int32),
        label=np.concatenate([s.label for s in scenes]),
        instance=np.concatenate([s.instance + k for s, k in zip(scenes, item, strict=False)]).astype(np.int32),
        part=np.concatenate([s.part for s in scenes]),
        color=np.concatenate([s.color for s in scenes]),
    )


def _finish(site: Site, density: float) -> None:
    """What any room may hold: pictures, shelves, plants, bins, people, loose things, lamps and fans on the ceiling."""
    rng, plan = site.rng, site.plan
    for _ in range(int(rng.poisson(1.8))):
        site.hang("picture")
    for name, chance in (("mirror", 0.12), ("shelf", 0.4), ("whiteboard", 0.04)):
        if rng.random() < chance:
            placed = site.hang(name)
            if name == "shelf":
                room_layouts.clutter_on(site, placed, room_layouts.TOP_CLUTTER, 2.0 * density, "shelf")
    for name, chance in _EXTRAS:
        if rng.random() < chance:
            if name == "rug":
                site.lay(objects_household.rug(rng))
            elif name == "person":
                site.middle(name, 0.05)
            else:
                site.against(name)
    for _ in range(int(rng.poisson(plan.area / 4 * density))):
        host = site.against(str(rng.choice(_FILLERS)), tries=16)
        if host:
            room_layouts.clutter_on(
                site, host, room_layouts.TOP_CLUTTER, 1.0 * density, "top" if "top" in host.thing.parts else "seat"
            )
    for _ in range(int(rng.poisson(plan.area / 6 * density))):
        host = site.middle(str(rng.choice(_STANDING)), 0.05, tries=16)
        if host and "top" in host.thing.parts:
            room_layouts.clutter_on(site, host, room_layouts.TOP_CLUTTER, 1.0 * density)
    if rng.random() < 0.25:
        thing = objects_household.lamp(rng, "ceiling") if rng.random() < 0.75 else fan(rng, True)
        xy = rng.uniform([plan.xs[0], plan.ys[0]], [plan.xs[-1], plan.ys[-1]])
        site.put(thing, xy, 0.0, plan.height - bounds(thing)[1][2] - 0.002)
    for host in [p for p in site.placed if p.thing.name in _CLUTTERED][:8]:
        part = "body" if "body" in host.thing.parts else "top" if "top" in host.thing.parts else "shelf"
        room_layouts.clutter_on(site, host, room_layouts.TOP_CLUTTER, 0.7 * density, part)
    for _ in range(int(rng.poisson(1.5 * density))):
        site.hang(WALL_CLUTTER[int(rng.integers(len(WALL_CLUTTER)))], float(rng.uniform(0.7, 1.7)))
    room_layouts.clutter_floor(site, 3.0 * density)
