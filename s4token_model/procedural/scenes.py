"""Procedural labeled scenes: furnished rooms, streets and single objects, the same for the same seed and bank.

Labels index `classes.PROCEDURAL`, parts index `classes.PARTS`.
"""

from __future__ import annotations

import numpy as np

from s4token_model.procedural import room_layouts, room_plan, room_shell, street_scene
from s4token_model.procedural.catalog import THINGS, make_thing
from s4token_model.procedural.room_placement import Site
from s4token_model.procedural.scene_builder import Assembly
from s4token_model.procedural.shape_bank import ShapeBank
from s4token_model.procedural.street_ground import add_ground
from s4token_model.procedural.street_placement import StreetSite
from s4token_model.procedural.types import Scene


def make_object(seed: int, name: str | None = None, shapes: ShapeBank | None = None) -> Scene:
    """A scene of kind "object": one thing, of class `name` or of a random class; base at z = 0, front facing -y.

    Raises ValueError when `name` is not one of shapes.THINGS.
    """
    rng = np.random.default_rng(seed)
    assembly = Assembly()
    assembly.thing(make_thing(name or THINGS[int(rng.integers(len(THINGS)))], rng, shapes))
    return assembly.scene("object", seed)


def make_room(seed: int, shapes: ShapeBank | None = None) -> Scene:
    """A scene of kind "room": a furnished room, often with others or a hall behind its doors. Deterministic per seed.

    Most things come from the bank `shapes`, if there is one, else all from the tables of pieces.
    """
    rng = np.random.default_rng(seed)
    weights = np.array([weight for _, weight, _ in room_layouts.LAYOUTS])
    furnish, _, area = room_layouts.LAYOUTS[int(rng.choice(len(weights), p=weights / weights.sum()))]
    density = float(rng.choice([0.3, 0.9, 1.6, 2.6], p=(0.05, 0.17, 0.36, 0.42)))
    site = Site(room_plan.make_plan(rng, area), rng, shapes)
    style = room_shell.make_style(rng)
    things, shell = Assembly(), Assembly()
    # Openings and what is built in, then furniture, then whatever else there is
    room_shell.cut_openings(things, site)
    room_shell.build_in(things, site, style)
    if rng.random() < 0.12 and site.plan.area > 9:
        site.middle(site.make("column", size=(None, None, site.plan.height - 0.002)), 0.05, angle=0.0)
    furnish(site, density)
    room_layouts.finish(site, density)
    for placed in site.placed:
        things.thing(placed.thing, placed.angle, placed.offset)
    plans = [site.plan, *room_shell.rooms_next_door(things, site, density)]
    with_ceiling = rng.random() < 0.3
    for plan in plans:
        room_shell.add_shell(shell, plan, style, with_ceiling, rng)
    return shell.with_all(things).scene("room", seed)


def make_street(seed: int, shapes: ShapeBank | None = None) -> Scene:
    """A scene of kind "street": 150 x 92 m of a road and what lies along it. Deterministic per seed.

    Its origin lies on the right-hand lane, x along the road and z up: who scans stands there.
    """
    rng = np.random.default_rng(seed)
    site = StreetSite(street_scene.draw_plan(rng), rng, shapes)
    street_scene.furnish(site)
    ground = Assembly()
    add_ground(ground, site.plan, rng)
    return ground.with_all(site.things).scene("street", seed)
