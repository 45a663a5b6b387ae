"""Offices, conference rooms, lobbies, study halls and store rooms."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural import furniture_appliances as devices
from s4token_model.procedural import furniture_seating as seats
from s4token_model.procedural import furniture_storage as storage
from s4token_model.procedural import furniture_tables as tables
from s4token_model.procedural import objects_household
from s4token_model.procedural.room_clutter import (
    TABLE_CLUTTER,
    chairs_around,
    clutter_floor,
    clutter_on,
    dining,
    workplace,
)
from s4token_model.procedural.room_placement import Site, bounds


def office(site: Site, density: float) -> None:
    """One to six workplaces, file cabinets, bookshelves, a whiteboard, a printer."""
    rng = site.rng
    for k in range(int(np.clip(site.plan.area / rng.uniform(4, 7.5), 1, 8))):
        workplace(site, density, in_room=k > 1 and rng.random() < 0.4)
    for _ in range(int(rng.poisson(1.0))):
        site.against(storage.file_cabinet(rng), gap=0.02)
    for _ in range(int(rng.poisson(1.0))):
        site.against("bookshelf", gap=0.01)
    if rng.random() < 0.5:
        site.hang("whiteboard", rng.uniform(0.8, 1.0))
    if rng.random() < 0.3:
        site.against(tables.table(rng, "console"))
    if rng.random() < 0.3:
        placed = site.against(tables.table(rng, "side"))
        if placed:
            site.on(placed, "printer", turned=0.0)
    if rng.random() < 0.3:
        site.against("sofa")


def conference(site: Site, density: float) -> None:
    """A large table with many chairs, whiteboards, a screen on the wall."""
    rng = site.rng
    table = site.middle(tables.table(rng, "conference"), 0.6, tries=14)
    if table:
        kind = (seats.office_chair, seats.cantilever_chair, seats.dining_chair, seats.shell_chair)[int(rng.integers(4))]
        chairs_around(site, table, rng.uniform(0.6, 1.0), kind)
        clutter_on(site, table, TABLE_CLUTTER, 2 * density)
    else:
        dining(site, density)
    for _ in range(int(rng.integers(1, 3))):
        site.hang("whiteboard", rng.uniform(0.75, 1.0))
    if rng.random() < 0.5:
        site.hang(devices.television(rng, True), rng.uniform(0.9, 1.3))
    for _ in range(int(rng.poisson(1.0))):
        site.against("chair")
    if rng.random() < 0.4:
        site.against("cabinet")


def lobby(site: Site, density: float) -> None:
    """Groups of small sofas and armchairs of one make around low tables, in the open."""
    rng = site.rng
    couch, seat = seats.small_sofa(rng), seats.armchair(rng)
    for _ in range(int(np.clip(site.plan.area / rng.uniform(6, 11), 1, 6))):
        low = tables.table(rng, "coffee" if rng.random() < 0.75 else "side")
        angle = float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.1 if rng.random() < 0.7 else 0.5))
        table = site.middle(low, 0.6, 10, angle)
        if table is None:
            continue
        half = bounds(low)[1]
        for dx, dy, turned in ((0, 1, 0.0), (0, -1, np.pi), (1, 0, -np.pi / 2), (-1, 0, np.pi / 2)):
            if rng.random() < 0.3:
                continue
            thing = couch if rng.random() < 0.5 else seat
            reach = bounds(thing)[1][1] + rng.uniform(0.1, 0.5)
            at = (dx * (half[0] + reach) + rng.normal(0, 0.06), dy * (half[1] + reach) + rng.normal(0, 0.06))
            placed = site.near(table, thing, *at, turned + rng.normal(0, 0.08))
            if placed and rng.random() < 0.25:
                site.on(placed, "pillow", "seat", back=True, tries=2)
        clutter_on(site, table, TABLE_CLUTTER, 1.0 * density)
    extras = (("sofa", 0.4), ("plant", 0.5), ("column", 0.2), ("bench", 0.2), ("bookshelf", 0.25), ("cabinet", 0.25))
    for name, chance in extras:
        if rng.random() < chance:
            site.against(objects_household.column(rng, site.plan.height - 0.002) if name == "column" else name)
    if rng.random() < 0.3:
        dining(site, density)


def study_hall(site: Site, density: float) -> None:
    """Several tables with chairs, or rows of armchairs: a lounge, canteen or classroom."""
    rng = site.rng
    kind = (seats.dining_chair, seats.shell_chair, seats.office_chair, seats.cantilever_chair)[int(rng.integers(4))]
    for _ in range(int(np.clip(site.plan.area / rng.uniform(5, 10), 1, 6))):
        table = site.middle(tables.table(rng, str(rng.choice(["dining", "dining", "coffee"]))), 0.5)
        if table:
            chairs_around(site, table, rng.uniform(0.3, 0.9), kind)
            clutter_on(site, table, TABLE_CLUTTER, 1.2 * density)
    for _ in range(int(rng.poisson(1.5))):
        site.against("sofa" if rng.random() < 0.4 else seats.armchair(rng))
    if rng.random() < 0.6:
        site.hang("whiteboard", rng.uniform(0.8, 1.0))
    for name in ("bookshelf", "bench", "cabinet"):
        if rng.random() < 0.35:
            site.against(name)


def storage_room(site: Site, density: float) -> None:
    """Bookshelves in rows, cabinets, shelves and many boxes: a library, store or copy room."""
    rng = site.rng
    for _ in range(int(np.clip(site.plan.area / 3, 2, 9))):
        name = ("bookshelf", "bookshelf", "cabinet", "shelf")[int(rng.integers(4))]
        if name == "shelf":
            site.hang("shelf", rng.uniform(0.6, 1.3))
        elif rng.random() < 0.75:
            site.against(name, gap=0.01)
        else:
            site.middle(name, 0.5, angle=float(rng.choice([0, np.pi / 2])))
    for name in ("printer", "table", "washing machine", "washing machine", "piano"):
        if rng.random() < 0.25:
            site.against(name)
    clutter_floor(site, 5 * density, ("box", "box", "box", "suitcase", "bag", "chair", "stool", "fan"))
