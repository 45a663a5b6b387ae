"""The shell of a room: doors, windows and what covers them, partitions, closets, walls, floors, ceilings, rooms
next door.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s4token_model.procedural import furniture_wall_mounted as walls
from s4token_model.procedural import room_layouts, room_plan
from s4token_model.procedural.catalog import make_thing
from s4token_model.procedural.materials import Paint, paint, wood
from s4token_model.procedural.mesh import box, prism
from s4token_model.procedural.room_placement import Site, bounds
from s4token_model.procedural.scene_builder import Assembly


@dataclass(frozen=True)
class Style:
    """Colors that a whole scene shares; board: height and depth (m) of the skirting boards or None."""

    wall: Paint
    floor: Paint
    leaf: Paint
    cloth: Paint
    board: tuple[float, float] | None


def make_style(rng: np.random.Generator) -> Style:
    """Random colors of walls, floor, doors and curtains."""
    return Style(
        paint(rng, "white white white beige beige grey blue green yellow"),
        wood(rng) if rng.random() < 0.5 else paint(rng, "grey beige brown grey blue"),
        wood(rng) if rng.random() < 0.6 else paint(rng, "white white grey blue brown"),
        paint(rng, "white beige grey blue red green brown", "fabric"),
        (rng.uniform(0.05, 0.14), rng.uniform(0.008, 0.018)) if rng.random() < 0.6 else None,
    )


def cut_openings(assembly: Assembly, site: Site, style: Style) -> None:
    """Doors, passages and windows with what belongs to them."""
    rng, plan = site.rng, site.plan
    for k in range(int(rng.choice([1, 2, 3], p=(0.45, 0.4, 0.15)))):
        passage = k > 0 and rng.random() < 0.25
        width, height = rng.uniform(0.72, 0.98), rng.uniform(1.95, 2.1)
        if passage:
            width, height = rng.uniform(0.9, 2.4), rng.uniform(2.0, 2.3)
        cut = site.open_wall(width, 0.0, height, "passage" if passage else "door")
        if cut and not passage:
            wall, o = cut
            angle = 0.0 if rng.random() < 0.6 else rng.uniform(0.3, 1.75)
            recess = min(rng.uniform(-0.015, 0.08), plan.thickness - 0.04) if not angle else 0.0
            hinge = int(rng.choice([-1, 1]))
            thing = walls.door_of(rng, width, height, recess, angle, hinge, style.leaf)
            assembly.thing(thing, wall.angle, (*wall.point((o.s0 + o.s1) / 2), 0.0))
    glazed = rng.random() < 0.7
    broad = rng.random() < 0.25
    longest = max(wall.length for wall in plan.walls) - 0.4
    for _ in range(int(rng.poisson(1.5))):
        sill = rng.uniform(0.55, 1.15) if rng.random() < (0.5 if broad else 0.8) else rng.choice([0.06, 1.5])
        top = min(sill + rng.uniform(0.5 if sill > 1.4 else 0.7, 1.6), plan.height - 0.12)
        width = min(rng.uniform(2.0, 7.0), longest) if broad else rng.uniform(0.6, 2.2)
        cut = site.open_wall(width, sill, top, "window")
        if cut:
            _window(assembly, site, *cut, style, glazed)
    if rng.random() < 0.22:
        _closet(assembly, site, style)


def _closet(assembly: Assembly, site: Site, style: Style) -> None:
    """Sliding or folding doors of a built-in closet, flush with the wall: no opening, only leaves 1 to 5 cm before
    it.
    """
    rng = site.rng
    width, height = rng.uniform(1.1, 2.4), min(rng.uniform(2.0, 2.25), site.plan.height - 0.1)
    wall = site.pick_wall(width + 0.2)
    if wall is None:
        return
    s = rng.uniform(0.1, wall.length - width - 0.1)
    if any(o.s0 < s + width + 0.1 and o.s1 > s - 0.1 for o in wall.openings):
        return
    thing = walls.closet_of(rng, width, height, style.leaf)
    site.at_wall(thing, wall, s + width / 2)
    a, b = wall.point(s), wall.point(s + width, 0.55)
    site.block((*np.minimum(a, b), 0.0), (*np.maximum(a, b), 2.0))


def _window(
    assembly: Assembly, site: Site, wall: room_plan.Wall, o: room_plan.Opening, style: Style, glazed: bool
) -> None:
    """A window in its opening, with curtains, blinds or nothing before it and perhaps a radiator below."""
    rng = site.rng
    middle, w, h = (o.s0 + o.s1) / 2, o.s1 - o.s0, o.z1 - o.z0
    thing = walls.window_of(rng, w, h, site.plan.thickness, glazed)
    assembly.thing(thing, wall.angle, (*wall.point(middle), o.z0))
    cover = rng.random()
    if cover < 0.55:
        _curtains(site, wall, o, style, whole=cover < 0.22)
    elif cover < 0.75:
        drop = rng.uniform(0.25, 1.0) * h
        site.at_wall(walls.blinds_of(rng, w + 0.06, drop), wall, middle, 0.02, max(o.z1 - drop, 0.0), force=True)
    if o.z0 > 0.6 and rng.random() < 0.35:
        thing = make_thing("radiator", rng)
        if bounds(thing)[1][2] < o.z0:
            site.at_wall(thing, wall, middle, 0.03)


def _curtains(site: Site, wall: room_plan.Wall, o: room_plan.Opening, style: Style, whole: bool) -> None:
    """A pair of curtains, open or nearly drawn, or one that covers the `whole` window and wall beside it."""
    rng = site.rng
    middle, w = (o.s0 + o.s1) / 2, o.s1 - o.s0
    bottom = rng.uniform(0.02, 0.15) if rng.random() < 0.65 or whole else max(o.z0 - 0.2, 0.05)
    top = min(o.z1 + rng.uniform(0.05, 0.3), site.plan.height - 0.04)
    gap = rng.uniform(0.02, 0.1)
    if whole:
        width = min(w + rng.uniform(0.3, 2.5), wall.length - 0.1)
        s = float(np.clip(middle, width / 2 + 0.02, wall.length - width / 2 - 0.02))
        site.at_wall(walls.curtain_of(rng, width, top - bottom - 0.02, style.cloth), wall, s, gap, bottom, force=True)
        return
    width = (w / 2 + 0.15) if rng.random() < 0.3 else rng.uniform(0.2, 0.5)
    for side in (-1, 1):
        if rng.random() < 0.9:
            cloth = walls.curtain_of(rng, width, top - bottom - 0.02, style.cloth)
            s = float(
                np.clip(middle + side * (w / 2 + 0.18 - width / 2), width / 2 + 0.02, wall.length - width / 2 - 0.02)
            )
            site.at_wall(cloth, wall, s, gap, bottom, force=True)


def build_in(assembly: Assembly, site: Site, style: Style) -> None:
    """Stubs of wall, half-height partitions, a cut-off corner, a beam or a lowered part of the ceiling."""
    rng, plan = site.rng, site.plan
    if rng.random() < 0.22 and plan.area > 12:
        _partition(assembly, site, style)
    if rng.random() < 0.15 and plan.area > 7:
        _cut_corner(assembly, site, style)
    if rng.random() < 0.2:
        wall = site.pick_wall(1.0)
        depth, drop = rng.uniform(0.15, 0.7), rng.uniform(0.12, 0.4)
        if wall is not None and plan.height > 2.35 + drop * 0.3:
            a, b = wall.point(0.0), wall.point(wall.length, depth)
            low, high = (*np.minimum(a, b), plan.height - drop), (*np.maximum(a, b), plan.height)
            if plan.inside(np.array(low[:2]) + 1e-3, np.array(high[:2]) - 1e-3):
                site.block(low, high)
                assembly.surface("wall", box(low, high), style.wall.rgb, style.wall.words)


def _partition(assembly: Assembly, site: Site, style: Style) -> None:
    rng = site.rng
    wall = site.pick_wall(2.0)
    if wall is None:
        return
    reach, thick = rng.uniform(0.6, 2.2), rng.uniform(0.08, 0.15)
    high = site.plan.height if rng.random() < 0.6 else rng.uniform(1.0, 1.6)
    s = wall.length * rng.uniform(0.3, 0.7)
    a, b = wall.point(s - thick / 2, 0.002), wall.point(s + thick / 2, reach)
    low, top = np.array([*np.minimum(a, b), 0.0]), np.array([*np.maximum(a, b), high])
    if site.is_free(low, top):
        site.block(low, top)
        assembly.surface("wall", box(low, top), style.wall.rgb, style.wall.words)


def _cut_corner(assembly: Assembly, site: Site, style: Style) -> None:
    """A slanting wall across a convex corner."""
    rng, plan = site.rng, site.plan
    x, y = plan.xs[[0, -1]][int(rng.integers(2))], plan.ys[[0, -1]][int(rng.integers(2))]
    sx, sy = (1 if x == plan.xs[0] else -1), (1 if y == plan.ys[0] else -1)
    a, b = rng.uniform(0.3, 1.1), rng.uniform(0.3, 1.1)
    low, high = (
        np.array([min(x, x + sx * a), min(y, y + sy * b), 0]),
        np.array([max(x, x + sx * a), max(y, y + sy * b), plan.height]),
    )
    if site.is_free(low, high):
        site.block(low, high)
        assembly.surface(
            "wall",
            prism([(x, y), (x + sx * a, y), (x, y + sy * b)], 0.0, plan.height),
            style.wall.rgb,
            style.wall.words,
        )


def rooms_next_door(assembly: Assembly, site: Site, density: float) -> list[room_plan.Plan]:
    """Rooms and halls behind doors and passages, most of them furnished; returns their plans."""
    rng, plans, taken = site.rng, [], []
    for wall in list(site.plan.walls):
        for o in [o for o in wall.openings if o.kind in ("door", "passage")]:
            if rng.random() > (0.95 if o.kind == "passage" else 0.6):
                continue
            plan = room_plan.beyond(rng, site.plan, wall, o, taken)
            if plan is None:
                continue
            plans.append(plan)
            other = Site(plan, rng)
            for w in plan.walls:
                for shared in w.openings:
                    other.clear_before(w, shared)
            _next_door_layout(rng, plan.area)(other, density)
            for placed in other.placed:
                assembly.thing(placed.thing, placed.angle, placed.offset)
    return plans


def _next_door_layout(rng: np.random.Generator, area: float):
    if rng.random() < 0.4 or area < 2.5:
        return room_layouts.corridor
    if area < 6:
        return room_layouts.bathroom if rng.random() < 0.6 else room_layouts.storage_room
    choices = (
        room_layouts.lounge,
        room_layouts.sleeping,
        room_layouts.dining,
        room_layouts.office,
        room_layouts.eat_in_kitchen,
    )
    return choices[int(rng.integers(len(choices)))]


def add_shell(assembly: Assembly, plan: room_plan.Plan, style: Style, ceiling: bool, rng: np.random.Generator) -> None:
    """Floor, walls around their openings, reveals, skirting boards and the ceiling of one room."""
    floors = [room_plan.slab_shape(plan, 0.0)]
    floors += [
        room_plan.threshold_shape(w, o, plan.thickness)
        for w in plan.walls
        for o in w.openings
        if o.kind in ("door", "passage")
    ]
    assembly.surface("floor", room_plan.join(floors), style.floor.rgb, style.floor.words)
    for w in plan.walls:
        pieces = [room_plan.wall_shape(w, plan.height)]
        pieces += [room_plan.reveal_shape(w, o, plan.thickness) for o in w.openings if o.kind != "shared"]
        if style.board:
            pieces.append(room_plan.baseboard_shape(w, *style.board))
        pieces = [p for p in pieces if p is not None]
        if pieces:
            assembly.surface("wall", room_plan.join(pieces), style.wall.shade(rng.uniform(0.93, 1.0)), style.wall.words)
    if ceiling:
        assembly.surface("ceiling", room_plan.slab_shape(plan, plan.height), (0.92, 0.92, 0.9), ("white",))
