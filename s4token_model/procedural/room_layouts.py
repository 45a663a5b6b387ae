"""What stands where in a bedroom, a lounge, a studio, a hall ...: functions that furnish a Site, and the table of
all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.procedural import furniture_seating as seats
from s4token_model.procedural import furniture_stools as stools
from s4token_model.procedural import furniture_storage as storage
from s4token_model.procedural import furniture_tables as tables
from s4token_model.procedural import objects_household
from s4token_model.procedural.room_clutter import (
    TABLE_CLUTTER,
    TOP_CLUTTER,
    clutter_floor,
    clutter_on,
    dining,
    workplace,
)
from s4token_model.procedural.room_kitchen_bath import bathroom, kitchen
from s4token_model.procedural.room_layouts_work import conference, lobby, office, storage_room, study_hall
from s4token_model.procedural.room_placement import Site, bounds

__all__ = [
    "LAYOUTS", "TOP_CLUTTER", "bathroom", "clutter_floor", "clutter_on", "corridor", "dining", "eat_in_kitchen",
    "lounge",
    "office", "sleeping", "storage_room",
]  # fmt: skip


def sleeping(site: Site, density: float) -> None:
    """A bed with nightstands and lamps, a dresser, wardrobe or cabinet, perhaps a bench and a rug."""
    rng = site.rng
    for _ in range(1 if rng.random() < 0.82 else 2):
        bed = site.against("bed", tries=16)
        if bed is None:
            continue
        half = bounds(bed.thing)[1]
        for side in (-1, 1):
            if rng.random() < 0.6:
                stand = storage.nightstand(rng) if rng.random() < 0.85 else tables.table(rng, "side")
                sh = bounds(stand)[1]
                placed = site.near(bed, stand, side * (half[0] + sh[0] + rng.uniform(0.02, 0.15)), half[1] - sh[1])
                if placed and rng.random() < 0.6:
                    site.on(placed, objects_household.lamp(rng, "table"))
                clutter_on(site, placed, ("books", "cup", "bottle", "box"), 0.8 * density)
        for _ in range(int(rng.poisson(0.8 * density))):
            site.on(
                bed,
                ("clothes", "pillow", "bag", "backpack", "books", "laptop")[int(rng.integers(6))],
                "mattress",
                tries=2,
            )
        if rng.random() < 0.12:
            site.near(bed, "bench" if rng.random() < 0.5 else "ottoman", 0.0, -half[1] - 0.3)
    if rng.random() < 0.65:
        placed = site.against("dresser")
        clutter_on(site, placed, TOP_CLUTTER, 2.0 * density, "body")
        if placed and rng.random() < 0.5:
            site.on(placed, "television", "body", back=True, turned=0.0)
    if rng.random() < 0.65:
        site.against(storage.wardrobe(rng), gap=0.005)


def lounge(site: Site, density: float) -> None:
    """Sofas and armchairs around a coffee table, side tables with lamps, a television on a low cabinet, bookshelves."""
    rng = site.rng
    if rng.random() < 0.1:
        site.against("piano")
    sofa = site.against("sofa", tries=10) if rng.random() < 0.75 else site.middle("sofa", 0.3)
    sofa = sofa or site.against(seats.small_sofa(rng), tries=10) or site.middle("sofa", 0.1)
    if sofa:
        low, high = bounds(sofa.thing)
        for _ in range(int(rng.poisson(1.5))):
            site.on(sofa, "pillow", "seat", back=True, tries=2, turned=rng.normal(0, 0.4))
        clutter_on(site, sofa, ("clothes", "bag", "books", "backpack"), 0.5 * density, "seat")
        if rng.random() < 0.8:
            coffee = tables.table(rng, "coffee") if rng.random() < 0.85 else stools.ottoman(rng)
            table = site.near(
                sofa,
                coffee,
                rng.normal(0, 0.15),
                low[1] - bounds(coffee)[1][1] - rng.uniform(0.25, 0.6),
                rng.choice([0, 0, np.pi / 2]) + rng.normal(0, 0.05),
            )
            clutter_on(site, table, TABLE_CLUTTER, 2.0 * density)
            if table and rng.random() < 0.7:
                for _ in range(int(rng.integers(1, 4))):
                    seat = seats.armchair(rng) if rng.random() < 0.7 else seats.sofa(rng)
                    side = rng.choice([-1, 1])
                    reach = bounds(coffee)[1][0] + bounds(seat)[1][1] + rng.uniform(0.2, 0.6)
                    if rng.random() < 0.6:
                        site.near(table, seat, side * reach, rng.normal(0, 0.2), -side * np.pi / 2 + rng.normal(0, 0.2))
                    else:
                        site.near(table, seat, rng.normal(0, 0.3), -reach, np.pi + rng.normal(0, 0.2))
        for side in (-1, 1):
            if rng.random() < 0.35:
                small = tables.table(rng, "side")
                placed = site.near(
                    sofa, small, side * (high[0] + bounds(small)[1][0] + 0.05), high[1] - bounds(small)[1][1]
                )
                if placed and rng.random() < 0.7:
                    site.on(placed, objects_household.lamp(rng, "table"))
    if rng.random() < 0.55:
        stand = storage.cabinet_of(
            rng, rng.uniform(0.9, 1.9), rng.uniform(0.35, 0.5), rng.uniform(0.38, 0.6), 0.5, 0.4, 0.06
        )
        placed = site.against(stand)
        if placed:
            site.on(placed, "television", "body", back=True, turned=0.0)
            clutter_on(site, placed, TOP_CLUTTER, 1.0 * density, "body")
    for _ in range(int(rng.poisson(0.35))):
        site.against("bookshelf", gap=0.01)
    if rng.random() < 0.4:
        site.against(objects_household.lamp(rng, "floor"))
    if rng.random() < 0.5:
        site.against(seats.armchair(rng))


def studio(site: Site, density: float) -> None:
    """One room to live in: a kitchen run, a bed, a desk, a sofa and a table."""
    rng = site.rng
    if rng.random() < 0.6:
        kitchen(site, density)
    sleeping(site, density)
    if rng.random() < 0.7:
        workplace(site, density)
    if rng.random() < 0.6:
        lounge(site, density)
    if rng.random() < 0.5:
        dining(site, density)


def bedroom(site: Site, density: float) -> None:
    """A bedroom or dormitory room, often with a workplace."""
    sleeping(site, density)
    if site.rng.random() < 0.65:
        workplace(site, density)
    if site.rng.random() < 0.45:
        site.against("bookshelf" if site.rng.random() < 0.6 else "cabinet", gap=0.01)
    if site.rng.random() < 0.3:
        site.against("chair")


def living_room(site: Site, density: float) -> None:
    """A lounge, often with a dining place or a desk."""
    lounge(site, density)
    if site.rng.random() < 0.45:
        dining(site, density)
    if site.rng.random() < 0.3:
        workplace(site, density)


def eat_in_kitchen(site: Site, density: float) -> None:
    """A kitchen, with a table and chairs where there is space."""
    kitchen(site, density)
    if site.rng.random() < 0.65 and site.plan.area > 6:
        dining(site, density)


def corridor(site: Site, density: float) -> None:
    """A hall with little in it."""
    for name in ("bench", "cabinet", "table", "shoes", "plant", "radiator", "bookshelf"):
        if site.rng.random() < 0.25 * density:
            site.against(name)
    if site.rng.random() < 0.25:
        site.against("stairs")


# furnishing, weight, floor area m2
LAYOUTS: tuple[tuple[str, Callable[[Site, float], None], float, tuple[float, float]], ...] = (
    ("bedroom", bedroom, 0.2, (8, 24)), ("living room", living_room, 0.2, (11, 42)),
    ("kitchen", eat_in_kitchen, 0.2, (5, 20)),
    ("bathroom", bathroom, 0.15, (3.6, 10)), ("office", office, 0.12, (8, 40)),
    ("conference room", conference, 0.05, (14, 42)),
    ("study hall", study_hall, 0.03, (18, 55)), ("lobby", lobby, 0.07, (14, 60)),
    ("store", storage_room, 0.04, (6, 26)), ("studio", studio, 0.12, (16, 45)),
)  # fmt: skip
