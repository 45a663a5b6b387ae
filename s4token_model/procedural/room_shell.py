"""The shell of a room: doors, windows and what covers them, partitions, walls, floors, ceilings, rooms next door."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from s4token_model.procedural import room_layouts, room_plan
from s4token_model.procedural.materials import Paint, material
from s4token_model.procedural.mesh import box, join, quads, turn
from s4token_model.procedural.room_placement import Site, bounds
from s4token_model.procedural.room_plan import Opening, Plan, Wall
from s4token_model.procedural.scene_builder import Assembly
from s4token_model.procedural.types import Thing


class Style(NamedTuple):
    """Colors of a whole scene; board: height and depth (m) of the skirting boards or None."""

    wall: Paint
    floor: Paint
    board: tuple[float, float] | None


def make_style(rng: np.random.Generator) -> Style:
    """Random colors of walls and floor."""
    wall = material(rng, "white+white+white+beige+beige+grey+blue+green+yellow")
    board = (rng.uniform(0.05, 0.14), rng.uniform(0.008, 0.018)) if rng.random() < 0.6 else None
    return Style(wall, material(rng, "wood|grey+beige+brown+grey+blue"), board)


def cut_openings(assembly: Assembly, site: Site) -> None:
    """Doors, passages and windows with what belongs to them."""
    rng, plan = site.rng, site.plan
    for k in range(int(rng.choice([1, 2, 3], p=(0.45, 0.4, 0.15)))):
        if k > 0 and rng.random() < 0.25:
            site.open_wall(rng.uniform(0.9, 2.4), 0.0, rng.uniform(2.0, 2.3), "passage")
            continue
        width, height = rng.uniform(0.72, 0.98), rng.uniform(1.95, 2.1)
        if cut := site.open_wall(width, 0.0, height, "door"):
            _door(assembly, site, *cut)
    broad, longest = rng.random() < 0.25, max(wall.length for wall in plan.walls) - 0.4
    for _ in range(int(rng.poisson(1.5))):
        sill = rng.uniform(0.55, 1.15) if rng.random() < (0.5 if broad else 0.8) else rng.choice([0.06, 1.5])
        top = min(sill + rng.uniform(0.5 if sill > 1.4 else 0.7, 1.6), plan.height - 0.12)
        width = min(rng.uniform(2.0, 7.0), longest) if broad else rng.uniform(0.6, 2.2)
        if cut := site.open_wall(width, sill, top, "window"):
            _window(assembly, site, *cut)
    if rng.random() < 0.22:
        _closet(site)


def _set_into(assembly: Assembly, thing: Thing, wall: Wall, o: Opening, out: float) -> None:
    """Put a thing into an opening, its front `out` m before the wall (negative: behind its surface)."""
    offset = wall.point((o.s0 + o.s1) / 2, out + bounds(thing)[0][1])
    assembly.thing(thing, wall.angle, (*offset, o.z0))


def _door(assembly: Assembly, site: Site, wall: Wall, o: Opening) -> None:
    """A door that fills its opening, closed or swung into the room."""
    rng = site.rng
    thing = site.make("door", size=(o.s1 - o.s0, min(rng.uniform(0.05, 0.12), site.plan.thickness), o.z1))
    if rng.random() < 0.4 and "door" in thing.parts:
        thing = swung(thing, rng.uniform(0.3, 1.75) * rng.choice([-1, 1]))
        assembly.thing(thing, wall.angle, (*wall.point((o.s0 + o.s1) / 2, -0.03), 0.0))
    else:
        _set_into(assembly, thing, wall, o, rng.uniform(-0.05, 0.03))


def swung(thing: Thing, angle: float) -> Thing:
    """A door with its leaf turned by `angle` rad into the room, about its left edge or, below 0, its right one."""
    moving = [k for k, part in enumerate(thing.parts) if part in ("door", "handle", "glass")]
    ids = np.unique(thing.triangles[np.isin(thing.part, moving)])
    vertices, leaf = thing.vertices.copy(), thing.vertices[ids].astype(np.float64)
    hinge = leaf[:, 0].min() if angle > 0 else leaf[:, 0].max()
    vertices[ids] = turn((leaf, thing.triangles[:0]), -angle, (hinge, 0.0))[0]
    words = tuple(word for word in thing.attributes if word != "closed")
    return replace(thing, vertices=vertices, attributes=(*words, "open"))


def _closet(site: Site) -> None:
    """Sliding or folding doors of a built-in closet, flush with the wall: no opening, only leaves before it."""
    rng = site.rng
    width, height = rng.uniform(1.1, 2.4), min(rng.uniform(2.0, 2.25), site.plan.height - 0.1)
    wall = site.pick_wall(width + 0.2)
    if wall is None:
        return
    s = rng.uniform(0.1, wall.length - width - 0.1)
    if not any(o.s0 < s + width + 0.1 and o.s1 > s - 0.1 for o in wall.openings):
        closet = site.make("door:closet", size=(width, rng.uniform(0.03, 0.07), height))
        site.at_wall(closet, wall, s + width / 2)
        a, b = wall.point(s), wall.point(s + width, 0.55)
        site.block((*np.minimum(a, b), 0.0), (*np.maximum(a, b), 2.0))


def _window(assembly: Assembly, site: Site, wall: Wall, o: Opening) -> None:
    """A window in its opening, with curtains, blinds or nothing before it and perhaps a radiator below."""
    rng = site.rng
    middle, w, h = (o.s0 + o.s1) / 2, o.s1 - o.s0, o.z1 - o.z0
    thing = site.make("window", size=(w, rng.uniform(0.07, site.plan.thickness), h))
    behind = max(site.plan.thickness - 2 * bounds(thing)[1][1], 0.0)
    _set_into(assembly, thing, wall, o, rng.uniform(-behind, 0.03))
    cover = rng.random()
    if cover < 0.55:
        _curtains(site, wall, o, broad=cover < 0.22)
    elif cover < 0.75:
        drop = rng.uniform(0.25, 1.0) * h
        blinds = site.make("blinds", size=(w + 0.06, None, drop))
        site.at_wall(blinds, wall, middle, 0.02, max(o.z1 - drop, 0.0), force=True)
    if o.z0 > 0.6 and rng.random() < 0.35:
        thing = site.make("radiator")
        if bounds(thing)[1][2] < o.z0:
            site.at_wall(thing, wall, middle, 0.03)


def _curtains(site: Site, wall: Wall, o: Opening, broad: bool) -> None:
    """A pair of curtains, open or nearly drawn, or one `broad` one that covers the window and wall beside it."""
    rng = site.rng
    middle, w = (o.s0 + o.s1) / 2, o.s1 - o.s0
    bottom = rng.uniform(0.02, 0.15) if rng.random() < 0.65 or broad else max(o.z0 - 0.2, 0.05)
    height = min(o.z1 + rng.uniform(0.05, 0.3), site.plan.height - 0.04) - bottom - 0.02
    width = (w / 2 + 0.15) if rng.random() < 0.3 else rng.uniform(0.2, 0.5)
    spots = [middle + side * (w / 2 + 0.18 - width / 2) for side in (-1, 1) if rng.random() < 0.9]
    if broad:
        width, spots = min(w + rng.uniform(0.3, 2.5), wall.length - 0.1), [middle]
    gap = rng.uniform(0.02, 0.1)
    for s in spots:
        cloth = site.make("curtain", size=(width, rng.uniform(0.04, 0.11), height))
        s = float(np.clip(s, width / 2 + 0.02, wall.length - width / 2 - 0.02))
        site.at_wall(cloth, wall, s, gap, bottom, force=True)


def build_in(assembly: Assembly, site: Site, style: Style) -> None:
    """Stubs of wall, half-height partitions, a cut-off corner, a beam or a lowered part of the ceiling."""
    rng, plan = site.rng, site.plan

    def add(shape) -> None:
        site.block(shape[0].min(axis=0), shape[0].max(axis=0))
        assembly.surface("wall", shape, style.wall.rgb, style.wall.words)

    if rng.random() < 0.22 and plan.area > 12 and (wall := site.pick_wall(2.0)):
        thick, s = rng.uniform(0.08, 0.15), wall.length * rng.uniform(0.3, 0.7)
        a, b = wall.point(s - thick / 2, 0.002), wall.point(s + thick / 2, rng.uniform(0.6, 2.2))
        high = plan.height if rng.random() < 0.6 else rng.uniform(1.0, 1.6)
        low, top = np.array([*np.minimum(a, b), 0.0]), np.array([*np.maximum(a, b), high])
        if site.is_free(low, top):
            add(box(low, top))
    if rng.random() < 0.15 and plan.area > 7:
        x, y = plan.xs[[0, -1]][int(rng.integers(2))], plan.ys[[0, -1]][int(rng.integers(2))]
        a = (1 if x == plan.xs[0] else -1) * rng.uniform(0.3, 1.1)
        b = (1 if y == plan.ys[0] else -1) * rng.uniform(0.3, 1.1)
        corner = quads([[x + a, y, 0.0], [x, y + b, 0.0], [x, y + b, plan.height], [x + a, y, plan.height]])
        if site.is_free(corner[0].min(axis=0), corner[0].max(axis=0)):
            add(corner)
    if rng.random() < 0.2 and (wall := site.pick_wall(1.0)):
        depth, drop = rng.uniform(0.15, 0.7), rng.uniform(0.12, 0.4)
        a, b = wall.point(0.0), wall.point(wall.length, depth)
        low, high = (*np.minimum(a, b), plan.height - drop), (*np.maximum(a, b), plan.height)
        if plan.height > 2.35 + drop * 0.3 and plan.inside(np.array(low[:2]) + 1e-3, np.array(high[:2]) - 1e-3):
            add(box(low, high))


def rooms_next_door(assembly: Assembly, site: Site, density: float) -> list[Plan]:
    """Rooms and halls behind doors and passages, most of them furnished; returns their plans."""
    rng, plans, taken = site.rng, [], []
    for wall in list(site.plan.walls):
        for o in [o for o in wall.openings if o.kind in ("door", "passage")]:
            if rng.random() > (0.95 if o.kind == "passage" else 0.6):
                continue
            if (plan := room_plan.beyond(rng, site.plan, wall, o, taken)) is None:
                continue
            plans.append(plan)
            other = Site(plan, rng, site.shapes)
            for w in plan.walls:
                for shared in w.openings:
                    other.clear_before(w, shared)
            room_layouts.next_door(rng, plan.area)(other, density)
            for placed in other.placed:
                assembly.thing(placed.thing, placed.angle, placed.offset)
    return plans


def add_shell(assembly: Assembly, plan: Plan, style: Style, ceiling: bool, rng: np.random.Generator) -> None:
    """Floor, walls around their openings, reveals, skirting boards and the ceiling of one room."""
    floors = [room_plan.slab_shape(plan, 0.0)]
    ways = [(w, o) for w in plan.walls for o in w.openings if o.kind in ("door", "passage")]
    floors += [room_plan.threshold_shape(w, o, plan.thickness) for w, o in ways]
    assembly.surface("floor", join(floors), style.floor.rgb, style.floor.words)
    for w in plan.walls:
        pieces = [room_plan.wall_shape(w, plan.height)]
        pieces += [room_plan.reveal_shape(w, o, plan.thickness) for o in w.openings if o.kind != "shared"]
        pieces += [room_plan.baseboard_shape(w, *style.board)] if style.board else []
        pieces = [p for p in pieces if p is not None]
        if pieces:
            assembly.surface("wall", join(pieces), style.wall.shade(rng.uniform(0.93, 1.0)), style.wall.words)
    if ceiling:
        assembly.surface("ceiling", room_plan.slab_shape(plan, plan.height), (0.92, 0.92, 0.9), ("white",))
