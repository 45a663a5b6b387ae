"""Procedural labelled scenes: furnished rooms and single objects, the same for the same seed.

`make_room` draws a floor plan, cuts doors and windows, furnishes it by its kind and puts the triangles of everything together;
`make_object` is one thing alone. Labels index `classes.PROCEDURAL`, parts index `classes.PARTS`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from s4token_model.datasets import furniture_walls as walls
from s4token_model.datasets import layouts, objects, rooms
from s4token_model.datasets.classes import PARTS, PROCEDURAL
from s4token_model.datasets.furniture_devices import fan
from s4token_model.datasets.meshes import Shape, box, doubled_areas, turn
from s4token_model.datasets.paints import paint, wood
from s4token_model.datasets.placement import Placed, Site, bounds
from s4token_model.datasets.scene import Instance, Scene, Thing
from s4token_model.datasets.shapes import THINGS, make_thing

_LABEL = {name: k for k, name in enumerate(PROCEDURAL)}
_PART = {name: k for k, name in enumerate(PARTS)}


class _Assembly:
    """Triangles of a scene while it is put together."""

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        self._pieces: list[tuple[np.ndarray, np.ndarray, int, np.ndarray, np.ndarray]] = []

    def add(self, name: str, attributes: tuple[str, ...], shape: Shape, part: np.ndarray, color: np.ndarray) -> None:
        vertices, triangles = shape
        self._pieces.append((vertices.astype(np.float32), triangles, _LABEL[name], part, color))
        low, high = vertices.min(0).astype(np.float64), vertices.max(0).astype(np.float64)
        self.instances.append(Instance(name, attributes, low, high))

    def surface(self, name: str, shape: Shape | None, color, attributes: tuple[str, ...] = ()) -> None:
        """Add a structural surface, dropping triangles without area."""
        if shape is None:
            return
        vertices, triangles = shape
        triangles = triangles[doubled_areas(vertices, triangles) > 1e-6]
        if len(triangles):
            count = len(triangles)
            self.add(
                name,
                attributes,
                (vertices, triangles),
                np.zeros(count, np.int16),
                np.broadcast_to(np.asarray(color, np.float32), (count, 3)),
            )

    def thing(self, thing: Thing, angle: float = 0.0, offset=(0.0, 0.0, 0.0)) -> None:
        """Add a thing turned by `angle` rad about z and moved."""
        vertices, _ = turn((thing.vertices.astype(np.float64), thing.triangles), angle)
        ids = np.array([_PART[p] for p in thing.parts], dtype=np.int16)
        self.add(
            thing.name, thing.attributes, (vertices + np.asarray(offset), thing.triangles), ids[thing.part], thing.color
        )

    def scene(self, kind: str, seed: int) -> Scene:
        """Everything as one Scene."""
        pieces = self._pieces
        start = np.cumsum([0] + [len(p[0]) for p in pieces])
        count = [len(p[1]) for p in pieces]
        return Scene(
            kind, seed, PROCEDURAL, PARTS, tuple(self.instances),
            np.concatenate([p[0] for p in pieces]),
            np.concatenate([p[1] + s for p, s in zip(pieces, start, strict=False)]).astype(np.int32),
            np.repeat(np.array([p[2] for p in pieces], dtype=np.int16), count),
            np.repeat(np.arange(len(pieces), dtype=np.int32), count),
            np.concatenate([p[3] for p in pieces]).astype(np.int16),
            np.concatenate([p[4] for p in pieces]).astype(np.float32),
        )  # fmt: skip


def make_object(seed: int, name: str | None = None) -> Scene:
    """A scene of kind "object": one thing, of class `name` or of a random class; base at z = 0, front facing -y.

    Raises ValueError when `name` is not one of shapes.THINGS.
    """
    rng = np.random.default_rng(seed)
    assembly = _Assembly()
    assembly.thing(make_thing(name or THINGS[int(rng.integers(len(THINGS)))], rng))
    return assembly.scene("object", seed)


def make_room(seed: int) -> Scene:
    """A scene of kind "room": a furnished room, often with a second one or a hall behind an open door. Deterministic per seed."""
    rng = np.random.default_rng(seed)
    weights = np.array([w for _, _, w, _ in layouts.LAYOUTS])
    _, furnish, _, area = layouts.LAYOUTS[int(rng.choice(len(weights), p=weights / weights.sum()))]
    density = float(rng.choice([0.25, 0.7, 1.0, 1.7], p=(0.15, 0.3, 0.35, 0.2)))
    site = Site(rooms.make_plan(rng, area), rng)
    assembly = _Assembly()
    style = _style(rng)
    _openings(assembly, site, style)
    if rng.random() < 0.2 and site.plan.area > 12:
        _partition(assembly, site, style)
    furnish(site, density)
    _finish(site, density)
    for placed in site.placed:
        assembly.thing(placed.thing, placed.angle, placed.offset)
    plans = [site.plan] + _neighbours(assembly, site, style, density)
    head = _Assembly()
    with_ceiling = rng.random() < 0.3
    for plan in plans:
        _shell(head, plan, style, with_ceiling, rng)
    return (
        merge([head.scene("room", seed), assembly.scene("room", seed)])
        if assembly.instances
        else head.scene("room", seed)
    )


def merge(scenes: list[Scene]) -> Scene:
    """Several scenes in one, with the kind and seed of the first; class and part names must agree (ValueError otherwise)."""
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


def transformed(scene: Scene, angle: float = 0.0, offset=(0.0, 0.0, 0.0)) -> Scene:
    """The scene turned by `angle` rad about z, then moved by `offset` (3,) m; instance bounds are recomputed."""
    vertices = (turn((scene.vertices.astype(np.float64), scene.triangles), angle)[0] + np.asarray(offset)).astype(
        np.float32
    )
    corners = vertices[scene.triangles]
    low, high = np.full((len(scene.instances), 3), np.inf), np.full((len(scene.instances), 3), -np.inf)
    np.minimum.at(low, scene.instance, corners.min(1))
    np.maximum.at(high, scene.instance, corners.max(1))
    items = tuple(Instance(i.name, i.attributes, low[k], high[k]) for k, i in enumerate(scene.instances))
    return replace(scene, vertices=vertices, instances=items)


def _style(rng: np.random.Generator) -> dict[str, object]:
    return {
        "wall": paint(rng, "white white white beige beige grey blue green yellow"),
        "floor": wood(rng) if rng.random() < 0.5 else paint(rng, "grey beige brown grey blue"),
        "leaf": wood(rng) if rng.random() < 0.6 else paint(rng, "white white grey blue brown"),
        "cloth": paint(rng, "white beige grey blue red green brown", "fabric"),
        "board": (rng.uniform(0.05, 0.14), rng.uniform(0.008, 0.018)) if rng.random() < 0.6 else None,
    }


def _openings(assembly: _Assembly, site: Site, style: dict) -> None:
    """Doors, passages and windows with what belongs to them."""
    rng, plan = site.rng, site.plan
    for k in range(int(rng.choice([1, 2, 3], p=(0.5, 0.38, 0.12)))):
        passage = k > 0 and rng.random() < 0.25
        width, height = (
            (rng.uniform(0.9, 2.0), rng.uniform(2.0, 2.25))
            if passage
            else (rng.uniform(0.72, 0.98), rng.uniform(1.95, 2.1))
        )
        cut = site.open_wall(width, 0.0, height, "passage" if passage else "door")
        if cut and not passage:
            wall, o = cut
            angle = 0.0 if rng.random() < 0.55 else rng.uniform(0.4, 1.75)
            recess = rng.uniform(-0.015, 0.08) if not angle else 0.0
            thing = walls.door_of(
                rng, width, height, min(recess, plan.thickness - 0.04), angle, int(rng.choice([-1, 1])), style["leaf"]
            )
            assembly.thing(thing, wall.angle, (*wall.point((o.s0 + o.s1) / 2), 0.0))
    for _ in range(int(rng.poisson(1.4))):
        height = rng.uniform(0.7, 1.6)
        sill = rng.uniform(0.55, 1.15) if rng.random() < 0.85 else 0.08
        cut = site.open_wall(rng.uniform(0.6, 2.2), sill, min(sill + height, plan.height - 0.15), "window")
        if cut:
            _window(assembly, site, *cut, style)


def _window(assembly: _Assembly, site: Site, wall: rooms.Wall, o: rooms.Opening, style: dict) -> None:
    """A window in its opening, with curtains, blinds or nothing before it and perhaps a radiator below."""
    rng = site.rng
    middle, w, h = (o.s0 + o.s1) / 2, o.s1 - o.s0, o.z1 - o.z0
    thing = walls.window_of(rng, w, h, site.plan.thickness, rng.random() < 0.7)
    assembly.thing(thing, wall.angle, (*wall.point(middle), o.z0))
    cover = rng.random()
    if cover < 0.5:
        bottom = rng.uniform(0.02, 0.15) if rng.random() < 0.65 else max(o.z0 - 0.2, 0.05)
        top = min(o.z1 + rng.uniform(0.05, 0.3), site.plan.height - 0.04)
        drawn = rng.random() < 0.25
        width = (w / 2 + 0.15) if drawn else rng.uniform(0.2, 0.45)
        for s in (-1, 1):
            if rng.random() < 0.9:
                cloth = walls.curtain_of(rng, width, top - bottom - 0.02, style["cloth"])
                at = middle + s * (w / 2 + 0.18 - width / 2)
                site.at_wall(cloth, wall, at, rng.uniform(0.02, 0.08), bottom, force=True)
    elif cover < 0.7:
        drop = rng.uniform(0.25, 1.0) * h
        thing = walls.blinds_of(rng, w + 0.06, drop)
        site.at_wall(thing, wall, middle, 0.02, max(o.z1 - drop, 0.0), force=True)
    if o.z0 > 0.6 and rng.random() < 0.35:
        thing = make_thing("radiator", rng)
        if bounds(thing)[1][2] < o.z0:
            site.at_wall(thing, wall, middle, 0.03)


def _partition(assembly: _Assembly, site: Site, style: dict) -> None:
    """A stub of wall into the room, or a half-height one."""
    rng, plan = site.rng, site.plan
    wall = site.pick_wall(2.0)
    if wall is None:
        return
    long_, thick = rng.uniform(0.6, 2.0), rng.uniform(0.08, 0.15)
    high = plan.height if rng.random() < 0.6 else rng.uniform(1.0, 1.6)
    s = wall.length * rng.uniform(0.3, 0.7)
    a, b = wall.point(s - thick / 2), wall.point(s + thick / 2, long_)
    low, top = np.array([*np.minimum(a, b), 0.0]), np.array([*np.maximum(a, b), high])
    if site.is_free(low - [0.5, 0.5, 0], np.maximum(top + [0.5, 0.5, 0], 0)) or site.is_free(low + 1e-3, top - 1e-3):
        site.block(low, top)
        assembly.surface("wall", box(low, top), style["wall"].rgb, style["wall"].words)


def _finish(site: Site, density: float) -> None:
    """What any room may hold: pictures, shelves, plants, bins, people, loose things, lamps and fans on the ceiling."""
    rng, plan = site.rng, site.plan
    for _ in range(int(rng.poisson(1.8))):
        site.hang("picture")
    for name, chance in (("mirror", 0.12), ("shelf", 0.15), ("column", 0.05), ("radiator", 0.12), ("whiteboard", 0.04)):
        if rng.random() < chance:
            thing = objects.column(rng, plan.height - 0.002) if name == "column" else make_thing(name, rng)
            site.hang(thing) if name in ("mirror", "shelf", "whiteboard") else site.against(thing)
    for name, chance in (
        ("trash can", 0.4),
        ("plant", 0.25),
        ("person", 0.08),
        ("rug", 0.2),
        ("fan", 0.05),
        ("ottoman", 0.06),
        ("cabinet", 0.15),
        ("suitcase", 0.05),
    ):
        if rng.random() < chance:
            site.middle(name, 0.05) if name in ("person", "rug") else site.against(name)
    if rng.random() < 0.25:
        thing = objects.lamp(rng, "ceiling") if rng.random() < 0.75 else fan(rng, True)
        site.middle(thing, 0.0, 1) if False else _hang_from_ceiling(site, thing)
    layouts.clutter_floor(site, 2.2 * density)


def _hang_from_ceiling(site: Site, thing: Thing) -> Placed | None:
    rng, plan = site.rng, site.plan
    z = plan.height - bounds(thing)[1][2] - 0.002
    for _ in range(4):
        xy = rng.uniform([plan.xs[0], plan.ys[0]], [plan.xs[-1], plan.ys[-1]])
        placed = site.put(thing, xy, 0.0, z)
        if placed:
            return placed
    return None


def _neighbours(assembly: _Assembly, site: Site, style: dict, density: float) -> list[rooms.Plan]:
    """Rooms and halls behind doors and passages, some of them furnished."""
    rng, plans, taken = site.rng, [], []
    for wall in list(site.plan.walls):
        for o in [o for o in wall.openings if o.kind in ("door", "passage")]:
            if rng.random() > (0.95 if o.kind == "passage" else 0.6):
                continue
            plan = rooms.beyond(rng, site.plan, wall, o, taken)
            if plan is None:
                continue
            plans.append(plan)
            other = Site(plan, rng)
            for w in plan.walls:
                for shared in w.openings:
                    other._clear_before(w, shared)
            fill = (
                layouts.corridor
                if rng.random() < 0.6 or plan.area < 3
                else (layouts.bathroom if plan.area < 6 else layouts.lounge)
            )
            fill(other, density)
            for placed in other.placed:
                assembly.thing(placed.thing, placed.angle, placed.offset)
    return plans


def _shell(assembly: _Assembly, plan: rooms.Plan, style: dict, ceiling: bool, rng: np.random.Generator) -> None:
    """Floor, walls around their openings, reveals, skirting boards and the ceiling of one room."""
    wall, floor = style["wall"], style["floor"]
    assembly.surface("floor", rooms.slab_shape(plan, 0.0), floor.rgb, floor.words)
    for w in plan.walls:
        pieces = [rooms.wall_shape(w, plan.height)]
        pieces += [rooms.reveal_shape(w, o, plan.thickness) for o in w.openings if o.kind != "shared"]
        if style["board"]:
            pieces.append(rooms.baseboard_shape(w, *style["board"]))
        pieces = [p for p in pieces if p is not None]
        if pieces:
            assembly.surface("wall", rooms.join(pieces), wall.shade(rng.uniform(0.93, 1.0)), wall.words)
    if ceiling:
        assembly.surface("ceiling", rooms.slab_shape(plan, plan.height), (0.92, 0.92, 0.9), ("white",))
