"""Groups of things in rooms: clutter on furniture and floor, tables with chairs, workplaces, beds, sofas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s4token_model.procedural.materials import pick
from s4token_model.procedural.room_placement import Placed, Site, bounds, part_bounds

DESK_CLUTTER = ("books", "cup", "bottle", "box", "lamp:desk", "laptop", "plant", "printer", "bag", "books")
TABLE_CLUTTER = ("books", "cup", "bottle", "box", "plant", "laptop", "bag", "cup", "bottle", "clothes")
TOP_CLUTTER = ("books", "box", "plant", "lamp:table", "bottle", "bag", "clothes", "books")
SEAT_CLUTTER = ("clothes", "bag", "backpack", "pillow", "books")
BED_CLUTTER = ("clothes", "pillow", "bag", "backpack", "books", "laptop")
FLOOR_CLUTTER = "box bag backpack shoes clothes books suitcase bottle plant pillow stool box bag chair box".split()
MESS = 3.0  # a quarter of the points of ScanNet's rooms are of things that its classes do not name


def clutter_on(site: Site, host: Placed | None, names: Sequence[str], count: float) -> None:
    """Scatter about `count` * MESS small things over a placed thing."""
    for _ in range(int(site.rng.poisson(MESS * count)) if host else 0):
        site.on(host, pick(site.rng, names))


def clutter_floor(site: Site, count: float, names: Sequence[str] = FLOOR_CLUTTER) -> None:
    """Leave about `count` * MESS things on the floor, half of them along the walls."""
    for _ in range(int(site.rng.poisson(MESS * count))):
        name = pick(site.rng, names)
        if site.rng.random() < 0.55:
            site.against(name, tries=3, corner=0.2)
        else:
            site.middle(name, pad=0.02, tries=3, angle=float(site.rng.uniform(-3, 3)))


def chairs_around(site: Site, host: Placed, chance: float, kind: str = "") -> None:
    """Chairs along the sides of a table, tucked in or pulled out, mostly of one kind, some with clothes over them."""
    rng = site.rng
    name = "chair:" + (kind or pick(rng, ("dining", "dining", "shell", "folding", "cantilever")))
    same, half = site.make(name), bounds(host.thing)[1]
    spots = []
    for s in (-1, 1):
        count = max(1, int(half[0] * 2 / 0.62))
        along = ((np.arange(count) + 0.5) / count * 2 - 1) * half[0]
        spots += [(x, s * half[1], 0.0, s, 0.0 if s > 0 else np.pi) for x in along]
        if half[1] > 0.33:
            spots.append((s * half[0], 0.0, s, 0.0, -s * np.pi / 2))
    for x, y, dx, dy, turned in spots:
        if rng.random() > chance:
            continue
        chair = same if rng.random() < 0.8 else site.make(name)
        for _ in range(2):
            out = rng.uniform(-0.2, 0.2) + bounds(chair)[1][1] + (rng.uniform(0, 0.4) if rng.random() < 0.15 else 0)
            turn = turned + rng.normal(0, 0.15 if rng.random() < 0.8 else 0.6)
            at = x + dx * out + rng.normal(0, 0.04), y + dy * out
            if placed := site.near(host, chair, *at, turn, overlap=True):
                if rng.random() < 0.08:
                    site.on(placed, pick(rng, SEAT_CLUTTER), tries=1)
                break


def dining(site: Site, density: float) -> None:
    """A table with chairs and things on it."""
    rng, table = site.rng, site.make("table:dining")
    placed = site.middle(table, 0.45, 14) if rng.random() < 0.8 else None
    if placed := placed or site.against(table):
        chairs_around(site, placed, rng.uniform(0.5, 1.0))
        clutter_on(site, placed, TABLE_CLUTTER, 3.0 * density)
        if rng.random() < 0.3:
            ceiling_thing(site, "lamp:ceiling", placed.offset[:2])


def ceiling_thing(site: Site, name: str, xy) -> None:
    """Hang a lamp or a fan from the ceiling."""
    thing = site.make(name)
    z = site.plan.height - bounds(thing)[1][2] - 0.002
    if z > 1.3:
        site.put(thing, xy, 0.0, z)


def workplace(site: Site, density: float, in_room: bool = False) -> None:
    """A desk with monitor, keyboard, clutter, a chair before it and perhaps a bin or file cabinet beside it."""
    rng, desk = site.rng, site.make("desk")
    placed = site.middle(desk, 0.3) if in_room else site.against(desk)
    if placed is None:
        return
    low, high = part_bounds(desk, "top")
    if rng.random() < 0.88:
        chair = site.make("chair:office" if rng.random() < 0.65 else "chair")
        y = low[1] - bounds(chair)[1][1] + rng.uniform(-0.1, 0.28)
        for k in range(3):
            turn = np.pi + rng.normal(0, 0.5)
            if seat := site.near(placed, chair, rng.normal(0, 0.15), y - 0.1 * k, turn, overlap=True):
                if rng.random() < 0.12:
                    site.on(seat, pick(rng, SEAT_CLUTTER), tries=1)
                break
    for k in range(int(rng.choice([0, 1, 2], p=(0.25, 0.5, 0.25)))):
        site.on(placed, "monitor", back=True, turned=rng.normal(0, 0.2), x=(low[0] + high[0]) / 2 + (k - 0.4) * 0.6)
    if rng.random() < 0.55:
        site.on(placed, "keyboard", turned=rng.normal(0, 0.1), x=rng.normal(0, 0.1))
    clutter_on(site, placed, DESK_CLUTTER, 4.5 * density)
    if rng.random() < 0.4:
        thing = site.make("cabinet:file" if rng.random() < 0.5 else "trash can")
        side = rng.choice([-1, 1]) * (bounds(desk)[1][0] + bounds(thing)[1][0] + 0.04)
        site.near(placed, thing, side, 0.05)


def bedside(site: Site, density: float) -> None:
    """A bed with nightstands and lamps, clothes and cushions on it, perhaps a bench at its foot."""
    rng, bed = site.rng, site.against("bed", tries=16)
    if bed is None:
        return
    half = bounds(bed.thing)[1]
    for side in (-1, 1):
        if rng.random() < 0.6:
            stand = site.make("nightstand" if rng.random() < 0.85 else "table:side")
            sh = bounds(stand)[1]
            placed = site.near(bed, stand, side * (half[0] + sh[0] + rng.uniform(0.02, 0.15)), half[1] - sh[1])
            if placed and rng.random() < 0.6:
                site.on(placed, "lamp:table")
            clutter_on(site, placed, ("books", "cup", "bottle", "box"), 0.8 * density)
    for _ in range(int(rng.poisson(0.8 * density))):
        site.on(bed, pick(rng, BED_CLUTTER), tries=2)
    if rng.random() < 0.12:
        site.near(bed, "bench" if rng.random() < 0.5 else "ottoman", 0.0, -half[1] - 0.3)


def sofa_group(site: Site, density: float) -> None:
    """A sofa with cushions, a coffee table with armchairs around it, side tables with lamps."""
    rng = site.rng
    sofa = site.against("sofa", tries=10) if rng.random() < 0.75 else site.middle("sofa", 0.3)
    sofa = sofa or site.against("sofa:small", tries=10) or site.middle("sofa", 0.1)
    if sofa is None:
        return
    low, high = bounds(sofa.thing)
    for _ in range(int(rng.poisson(1.5))):
        site.on(sofa, "pillow", back=True, tries=2, turned=rng.normal(0, 0.4))
    clutter_on(site, sofa, ("clothes", "bag", "books", "backpack"), 0.5 * density)
    if rng.random() < 0.8:
        coffee = site.make("table:coffee" if rng.random() < 0.85 else "ottoman")
        y = low[1] - bounds(coffee)[1][1] - rng.uniform(0.25, 0.6)
        turned = rng.choice([0, 0, np.pi / 2]) + rng.normal(0, 0.05)
        table = site.near(sofa, coffee, rng.normal(0, 0.15), y, turned)
        clutter_on(site, table, TABLE_CLUTTER, 2.0 * density)
        for _ in range(int(rng.integers(1, 4)) if table and rng.random() < 0.7 else 0):
            seat, side = site.make("chair:armchair" if rng.random() < 0.7 else "sofa"), rng.choice([-1, 1])
            reach = bounds(coffee)[1][0] + bounds(seat)[1][1] + rng.uniform(0.2, 0.6)
            if rng.random() < 0.6:
                site.near(table, seat, side * reach, rng.normal(0, 0.2), -side * np.pi / 2 + rng.normal(0, 0.2))
            else:
                site.near(table, seat, rng.normal(0, 0.3), -reach, np.pi + rng.normal(0, 0.2))
    for side in (-1, 1):
        if rng.random() < 0.35:
            small = site.make("table:side")
            half = bounds(small)[1]
            placed = site.near(sofa, small, side * (high[0] + half[0] + 0.05), high[1] - half[1])
            if placed and rng.random() < 0.7:
                site.on(placed, "lamp:table")


def lobby_group(site: Site, density: float, couch, seat) -> None:
    """Small sofas and armchairs of one make around a low table, in the open."""
    rng, low = site.rng, site.make("table:coffee" if site.rng.random() < 0.75 else "table:side")
    angle = float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.1 if rng.random() < 0.7 else 0.5))
    table = site.middle(low, 0.6, 10, angle)
    half = bounds(low)[1]
    for dx, dy, turned in ((0, 1, 0.0), (0, -1, np.pi), (1, 0, -np.pi / 2), (-1, 0, np.pi / 2)) if table else ():
        if rng.random() < 0.7:
            thing = couch if rng.random() < 0.5 else seat
            reach = bounds(thing)[1][1] + rng.uniform(0.1, 0.5)
            at = (dx * (half[0] + reach) + rng.normal(0, 0.06), dy * (half[1] + reach) + rng.normal(0, 0.06))
            placed = site.near(table, thing, *at, turned + rng.normal(0, 0.08))
            if placed and rng.random() < 0.25:
                site.on(placed, "pillow", back=True, tries=2)
    clutter_on(site, table, TABLE_CLUTTER, 1.0 * density)
