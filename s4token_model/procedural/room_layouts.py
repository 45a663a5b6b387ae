"""What stands where in a bedroom, a lounge, an office, a hall: functions that furnish a Site, and their table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.procedural import room_groups as groups
from s4token_model.procedural.materials import pick
from s4token_model.procedural.room_kitchen_bath import bathroom, kitchen
from s4token_model.procedural.room_placement import Site

# What stands along the walls of a room that has space left, and about in its middle.
_FILLERS = tuple("cabinet cabinet bookshelf chair chair table desk sofa printer bench stool box dresser fan".split())
_STANDING = tuple("chair chair chair chair table table sofa desk stool cabinet ottoman box bag".split())
_CLUTTERED = ("cabinet", "bookshelf", "dresser", "refrigerator", "nightstand", "piano", "bench", "printer")
_WALL_CLUTTER = ("towel", "clothes", "bag", "backpack", "clothes")
# Class and probability of what is put into any kind of room.
_EXTRAS = (
    ("radiator", 0.12), ("trash can", 0.4), ("plant", 0.25), ("fan", 0.06), ("ottoman", 0.06), ("cabinet", 0.2),
    ("suitcase", 0.05), ("chair", 0.3), ("bookshelf", 0.05), ("table", 0.12), ("piano", 0.04), ("stairs", 0.03),
    ("washing machine", 0.02),
)  # fmt: skip


def _some(site: Site, *choices: tuple[str, float], gap: float | None = None) -> None:
    """Put each of (thing, probability) against a wall."""
    for name, chance in choices:
        if site.rng.random() < chance:
            site.against(name, gap=gap)


def _also(site: Site, density: float, *choices: tuple[Callable[[Site, float], None], float]) -> None:
    """Furnish a room with each of (what furnishes it, probability)."""
    for furnish, chance in choices:
        if site.rng.random() < chance:
            furnish(site, density)


def sleeping(site: Site, density: float) -> None:
    """One or two beds, a dresser, a wardrobe."""
    rng = site.rng
    for _ in range(1 if rng.random() < 0.82 else 2):
        groups.bedside(site, density)
    if rng.random() < 0.65:
        placed = site.against("dresser")
        groups.clutter_on(site, placed, groups.TOP_CLUTTER, 2.0 * density)
        if rng.random() < 0.5:
            site.on(placed, "television", back=True, turned=0.0)
    _some(site, ("cabinet:wardrobe", 0.65), gap=0.005)


def lounge(site: Site, density: float) -> None:
    """Sofas and armchairs around a coffee table, a television on a low cabinet, bookshelves."""
    rng = site.rng
    _some(site, ("piano", 0.1))
    groups.sofa_group(site, density)
    if rng.random() < 0.55:
        placed = site.against("cabinet:low")
        site.on(placed, "television", back=True, turned=0.0)
        groups.clutter_on(site, placed, groups.TOP_CLUTTER, 1.0 * density)
    _some(site, ("bookshelf", 0.3), ("lamp:floor", 0.4), ("chair:armchair", 0.5))


def studio(site: Site, density: float) -> None:
    """One room to live in: a kitchen run, a bed, a desk, a sofa and a table."""
    _also(site, density, (kitchen, 0.6), (sleeping, 1), (groups.workplace, 0.7), (lounge, 0.6), (groups.dining, 0.5))


def bedroom(site: Site, density: float) -> None:
    """A bedroom or dormitory room, often with a groups.workplace."""
    sleeping(site, density)
    _also(site, density, (groups.workplace, 0.65))
    _some(site, ("bookshelf", 0.27), ("cabinet", 0.18), gap=0.01)
    _some(site, ("chair", 0.3))


def living_room(site: Site, density: float) -> None:
    """A lounge, often with a groups.dining place or a desk."""
    lounge(site, density)
    _also(site, density, (groups.dining, 0.45), (groups.workplace, 0.3))


def eat_in_kitchen(site: Site, density: float) -> None:
    """A kitchen, with a table and chairs where there is space."""
    kitchen(site, density)
    if site.rng.random() < 0.65 and site.plan.area > 6:
        groups.dining(site, density)


def corridor(site: Site, density: float) -> None:
    """A hall with little in it."""
    names = ("bench", "cabinet", "table:console", "shoes", "plant", "radiator", "bookshelf")
    _some(site, *((name, 0.25 * density) for name in names), ("stairs", 0.25))


def office(site: Site, density: float) -> None:
    """One to six workplaces, file cabinets, bookshelves, a whiteboard, a printer."""
    rng = site.rng
    for k in range(int(np.clip(site.plan.area / rng.uniform(4, 7.5), 1, 8))):
        groups.workplace(site, density, in_room=k > 1 and rng.random() < 0.4)
    for name in ("cabinet:file", "bookshelf"):
        for _ in range(int(rng.poisson(1.0))):
            site.against(name, gap=0.02)
    if rng.random() < 0.5:
        site.hang("whiteboard", rng.uniform(0.8, 1.0))
    _some(site, ("table:console", 0.3), ("sofa", 0.3))
    if rng.random() < 0.3:
        site.on(site.against("table:side"), "printer", turned=0.0)


def conference(site: Site, density: float) -> None:
    """A large table with many chairs, whiteboards, a screen on the wall."""
    rng = site.rng
    table = site.middle("table:conference", 0.6, tries=14)
    if table:
        kind = pick(rng, ("office", "cantilever", "dining", "shell"))
        groups.chairs_around(site, table, rng.uniform(0.6, 1.0), kind)
        groups.clutter_on(site, table, groups.TABLE_CLUTTER, 2 * density)
    else:
        groups.dining(site, density)
    for _ in range(int(rng.integers(1, 3))):
        site.hang("whiteboard", rng.uniform(0.75, 1.0))
    if rng.random() < 0.5:
        site.hang("television:wall", rng.uniform(0.9, 1.3))
    _some(site, ("chair", 0.7), ("chair", 0.3), ("cabinet", 0.4))


def lobby(site: Site, density: float) -> None:
    """Groups of small sofas and armchairs of one make around low tables."""
    rng = site.rng
    couch, seat = site.make("sofa:small"), site.make("chair:armchair")
    for _ in range(int(np.clip(site.plan.area / rng.uniform(6, 11), 1, 6))):
        groups.lobby_group(site, density, couch, seat)
    _some(site, ("sofa", 0.4), ("plant", 0.5), ("bench", 0.2), ("bookshelf", 0.25), ("cabinet", 0.25))
    if rng.random() < 0.2:
        site.against(site.make("column", size=(None, None, site.plan.height - 0.002)))
    _also(site, density, (groups.dining, 0.3))


def study_hall(site: Site, density: float) -> None:
    """Several tables with chairs, or rows of armchairs: a lounge, canteen or classroom."""
    rng = site.rng
    kind = pick(rng, ("dining", "shell", "office", "cantilever"))
    for _ in range(int(np.clip(site.plan.area / rng.uniform(5, 10), 1, 6))):
        table = site.middle(pick(rng, ("table:dining", "table:dining", "table:coffee")), 0.5)
        if table:
            groups.chairs_around(site, table, rng.uniform(0.3, 0.9), kind)
            groups.clutter_on(site, table, groups.TABLE_CLUTTER, 1.2 * density)
    for _ in range(int(rng.poisson(1.5))):
        site.against("sofa" if rng.random() < 0.4 else "chair:armchair")
    if rng.random() < 0.6:
        site.hang("whiteboard", rng.uniform(0.8, 1.0))
    _some(site, ("bookshelf", 0.35), ("bench", 0.35), ("cabinet", 0.35))


def storage_room(site: Site, density: float) -> None:
    """Bookshelves in rows, cabinets, shelves and many boxes: a library, store or copy room."""
    rng = site.rng
    for _ in range(int(np.clip(site.plan.area / 3, 2, 9))):
        name = pick(rng, ("bookshelf", "bookshelf", "cabinet", "shelf"))
        if name == "shelf":
            site.hang("shelf", rng.uniform(0.6, 1.3))
        elif rng.random() < 0.75:
            site.against(name, gap=0.01)
        else:
            site.middle(name, 0.5, angle=float(rng.choice([0, np.pi / 2])))
    _some(
        site, ("printer", 0.25), ("table", 0.25), ("washing machine", 0.25), ("washing machine", 0.25), ("piano", 0.25)
    )
    groups.clutter_floor(site, 5 * density, ("box", "box", "box", "suitcase", "bag", "chair", "stool", "fan"))


def finish(site: Site, density: float) -> None:
    """What any room may hold: pictures, shelves, plants, bins, people, loose things, lamps and fans on the ceiling."""
    rng, plan = site.rng, site.plan
    for _ in range(int(rng.poisson(1.8))):
        site.hang("picture")
    for name, chance in (("mirror", 0.12), ("shelf", 0.4), ("whiteboard", 0.04)):
        if rng.random() < chance:
            placed = site.hang(name)
            groups.clutter_on(site, placed if name == "shelf" else None, groups.TOP_CLUTTER, 2.0 * density)
    _some(site, *_EXTRAS)
    if rng.random() < 0.25:
        site.lay("rug")
    if rng.random() < 0.1:
        site.middle("person", 0.05)
    # Furniture wherever there is space, with things on it
    for _ in range(int(rng.poisson(plan.area / 4 * density))):
        groups.clutter_on(site, site.against(pick(rng, _FILLERS), tries=16), groups.TOP_CLUTTER, 1.0 * density)
    for _ in range(int(rng.poisson(plan.area / 6 * density))):
        host = site.middle(pick(rng, _STANDING), 0.05, tries=16)
        groups.clutter_on(site, host if host and "top" in host.thing.parts else None, groups.TOP_CLUTTER, 1.0 * density)
    if rng.random() < 0.25:
        xy = rng.uniform([plan.xs[0], plan.ys[0]], [plan.xs[-1], plan.ys[-1]])
        groups.ceiling_thing(site, "lamp:ceiling" if rng.random() < 0.75 else "fan:ceiling", xy)
    # Clutter
    for host in [p for p in site.placed if p.thing.name in _CLUTTERED][:8]:
        groups.clutter_on(site, host, groups.TOP_CLUTTER, 0.7 * density)
    for _ in range(int(rng.poisson(1.5 * density))):
        site.hang(pick(rng, _WALL_CLUTTER), float(rng.uniform(0.7, 1.7)))
    groups.clutter_floor(site, 3.0 * density)


def next_door(rng: np.random.Generator, area: float) -> Callable[[Site, float], None]:
    """What furnishes a room behind a door."""
    if rng.random() < 0.4 or area < 2.5:
        return corridor
    if area < 6:
        return bathroom if rng.random() < 0.6 else storage_room
    return pick(rng, (lounge, sleeping, groups.dining, office, eat_in_kitchen))


# furnishing, weight, floor area m2
LAYOUTS: tuple[tuple[Callable[[Site, float], None], float, tuple[float, float]], ...] = (
    (bedroom, 0.2, (8, 24)), (living_room, 0.2, (11, 42)), (eat_in_kitchen, 0.2, (5, 20)), (bathroom, 0.15, (3.6, 10)),
    (office, 0.12, (8, 40)), (conference, 0.05, (14, 42)), (study_hall, 0.03, (18, 55)), (lobby, 0.07, (14, 60)),
    (storage_room, 0.04, (6, 26)), (studio, 0.12, (16, 45)),
)  # fmt: skip
