"""Small things scattered over furniture and floor, tables with their chairs, and workplaces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.procedural import furniture_seating as seats
from s4token_model.procedural import furniture_storage as storage
from s4token_model.procedural import furniture_tables as tables
from s4token_model.procedural import objects_household
from s4token_model.procedural.room_placement import Placed, Site, bounds, part_bounds

DESK_CLUTTER = ("books", "cup", "bottle", "box", "lamp", "laptop", "plant", "printer", "bag", "books")
TABLE_CLUTTER = ("books", "cup", "bottle", "box", "plant", "laptop", "bag", "cup", "bottle", "clothes")
TOP_CLUTTER = ("books", "box", "plant", "lamp", "bottle", "bag", "clothes", "books")
KITCHEN_CLUTTER = ("bottle", "cup", "bottle", "cup", "box", "plant", "bag", "towel")
WALL_CLUTTER = ("towel", "clothes", "bag", "backpack", "clothes")
MESS = 3.0  # a quarter of the points of ScanNet's rooms are of things that its classes do not name
FLOOR_CLUTTER = tuple(
    "box bag backpack shoes clothes books suitcase bottle plant pillow stool box bag chair box".split(" ")
)


def clutter_on(site: Site, host: Placed | None, names: tuple[str, ...], count: float, part: str = "top") -> None:
    """Scatter about `count` * MESS small things over a part of a placed thing."""
    if host is None:
        return
    for _ in range(int(site.rng.poisson(MESS * count))):
        name = names[int(site.rng.integers(len(names)))]
        thing = (
            objects_household.lamp(site.rng, "table" if site.rng.random() < 0.6 else "desk") if name == "lamp" else name
        )
        site.on(host, thing, part, tries=3)


def clutter_floor(site: Site, count: float, names: tuple[str, ...] = FLOOR_CLUTTER) -> None:
    """Leave about `count` * MESS things on the floor, half of them along the walls."""
    for _ in range(int(site.rng.poisson(MESS * count))):
        name = names[int(site.rng.integers(len(names)))]
        if site.rng.random() < 0.55:
            site.against(name, tries=3, corner=0.2)
        else:
            site.middle(name, pad=0.02, tries=3, angle=float(site.rng.uniform(-3, 3)))


def chairs_around(site: Site, host: Placed, share: float, kind: Callable | None = None) -> None:
    """Chairs along the sides of a table, tucked in or pulled out, mostly of one kind, some with clothes over them."""
    rng = site.rng
    kinds = (seats.dining_chair, seats.dining_chair, seats.shell_chair, seats.folding_chair, seats.cantilever_chair)
    kind = kind or kinds[int(rng.integers(5))]
    same = kind(rng)
    half = bounds(host.thing)[1]
    spots = []
    for s in (-1, 1):
        count = max(1, int(half[0] * 2 / 0.62))
        along = ((np.arange(count) + 0.5) / count * 2 - 1) * half[0]
        spots += [(x, s * half[1], 0.0, s, 0.0 if s > 0 else np.pi) for x in along]
        if half[1] > 0.33:
            spots.append((s * half[0], 0.0, s, 0.0, -s * np.pi / 2))
    for x, y, dx, dy, turned in spots:
        if rng.random() > share:
            continue
        chair = same if rng.random() < 0.8 else kind(rng)
        for _ in range(2):
            out = rng.uniform(-0.2, 0.2) + bounds(chair)[1][1] + (rng.uniform(0, 0.4) if rng.random() < 0.15 else 0)
            turn = turned + rng.normal(0, 0.15 if rng.random() < 0.8 else 0.6)
            placed = site.near(host, chair, x + dx * out + rng.normal(0, 0.04), y + dy * out, turn, overlap=True)
            if placed:
                drape_on(site, placed, 0.08)
                break


def drape_on(site: Site, chair: Placed, chance: float) -> None:
    """Clothes or a bag on a seat, with some probability."""
    if site.rng.random() < chance:
        site.on(chair, ("clothes", "bag", "backpack", "pillow", "books")[int(site.rng.integers(5))], "seat", tries=1)


def dining(site: Site, density: float) -> None:
    """A table with chairs and things on it."""
    rng = site.rng
    table = tables.table(rng, "dining")
    placed = site.middle(table, 0.45, 14) if rng.random() < 0.8 else None
    placed = placed or site.against(table)
    if placed:
        chairs_around(site, placed, rng.uniform(0.5, 1.0))
        clutter_on(site, placed, TABLE_CLUTTER, 3.0 * density)
        if rng.random() < 0.3:
            lamp = objects_household.lamp(rng, "ceiling")
            z = site.plan.height - bounds(lamp)[1][2] - 0.002
            site.put(lamp, placed.offset[:2], 0.0, max(z, 1.3))


def workplace(site: Site, density: float, in_room: bool = False) -> Placed | None:
    """A desk with monitor, keyboard, clutter, a chair before it and perhaps a bin or file cabinet beside it."""
    rng = site.rng
    desk = tables.desk(rng)
    placed = site.middle(desk, 0.3) if in_room else site.against(desk)
    if placed is None:
        return None
    low, high = part_bounds(desk, "top")
    if rng.random() < 0.88:
        chair = seats.office_chair(rng) if rng.random() < 0.65 else seats.chair(rng)
        depth = bounds(chair)[1][1]
        y = low[1] - depth + rng.uniform(-0.1, 0.28) if "large" not in desk.attributes else -0.35 - depth
        for k in range(3):
            turn = np.pi + rng.normal(0, 0.5)
            seat = site.near(placed, chair, rng.normal(0, 0.15), y - 0.1 * k, turn, overlap=True)
            if seat:
                drape_on(site, seat, 0.12)
                break
    for k in range(int(rng.choice([0, 1, 2], p=(0.25, 0.5, 0.25)))):
        site.on(placed, "monitor", back=True, turned=rng.normal(0, 0.2), x=(low[0] + high[0]) / 2 + (k - 0.4) * 0.6)
    if rng.random() < 0.55:
        site.near(
            placed,
            "keyboard",
            rng.normal(0, 0.1),
            (low[1] + high[1]) / 2 - 0.1,
            rng.normal(0, 0.1),
            high[2],
            overlap=True,
        )
    clutter_on(site, placed, DESK_CLUTTER, 4.5 * density)
    if "shelf" in desk.parts:
        clutter_on(site, placed, DESK_CLUTTER, 2.0 * density, "shelf")
    if rng.random() < 0.4:
        side = rng.choice([-1, 1])
        thing = storage.file_cabinet(rng) if rng.random() < 0.5 else objects_household.trash_can(rng)
        site.near(placed, thing, side * (bounds(desk)[1][0] + bounds(thing)[1][0] + 0.04), 0.05)
    return placed
