"""Kitchens and bathrooms."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural import furniture_appliances as devices
from s4token_model.procedural import furniture_bathroom as bath
from s4token_model.procedural import furniture_storage as storage
from s4token_model.procedural import furniture_tables as tables
from s4token_model.procedural import objects_household
from s4token_model.procedural.materials import Paint, paint, wood
from s4token_model.procedural.room_clutter import KITCHEN_CLUTTER, clutter_floor, clutter_on
from s4token_model.procedural.room_placement import Site, bounds, part_bounds
from s4token_model.procedural.room_plan import Wall


def kitchen(site: Site, density: float) -> None:
    """A run of base units under a worktop with sink and cooker, wall units above, a refrigerator flush at one end."""
    rng = site.rng
    walls = sorted((w for w in site.plan.walls if w.length > 1.6), key=lambda w: -w.length * rng.uniform(0.7, 1.2))
    cover = wood(rng) if rng.random() < 0.6 else paint(rng, "white white grey beige blue green")
    stone = tables.worktop_paint(rng)
    top, depth = rng.uniform(0.86, 0.94), rng.uniform(0.56, 0.64)
    runs = 0
    for wall in walls[:4]:
        runs += _kitchen_run(site, wall, cover, stone, top, depth, density, runs == 0)
        if runs >= (2 if rng.random() < 0.5 else 1):
            break
    if rng.random() < 0.35:
        island = site.middle("counter", 0.6)
        clutter_on(site, island, KITCHEN_CLUTTER, 2 * density)
        if island:
            for x in (-0.5, 0.1, 0.6):
                site.near(island, "stool", x, -bounds(island.thing)[1][1] - 0.25, np.pi)
    if rng.random() < 0.4:
        site.against("trash can")


def _run_units(rng: np.random.Generator, length: float, main: bool) -> list[str]:
    """Kinds of units for a kitchen run of `length` m: what a kitchen needs first, base units in between."""
    if not main:
        return ["base"] * int(rng.integers(1, 4)) + (["tall"] if rng.random() < 0.3 else [])
    kinds = [k for k, chance in (("fridge", 0.85), ("sink", 0.95), ("oven", 0.75)) if rng.random() < chance]
    left = length - 0.75 * len(kinds)
    for _ in range(int(np.clip(left / 0.7, 0, 4))):
        kinds.insert(int(rng.integers(1, len(kinds) + 1)) if kinds else 0, "base")
    if left > 2.0 and rng.random() < 0.4:
        kinds.insert(0, "tall")
    if rng.random() < 0.5:
        kinds.reverse()
    return kinds


def _unit(site: Site, kind: str, cover: Paint, top: float, depth: float):
    rng = site.rng
    if kind == "fridge":
        return devices.refrigerator(rng, rng.uniform(1.5, 1.95))
    if kind == "oven":
        return devices.oven(rng)
    if kind == "tall":
        high = min(rng.uniform(1.95, 2.4), site.plan.height - 0.02)
        return storage.cabinet_of(rng, rng.uniform(0.4, 0.7), depth, high, 0.5, 0.0, 0.1, cover)
    width = rng.uniform(0.4, 0.95) if kind == "base" else rng.uniform(0.7, 0.95)
    return storage.kitchen_base(rng, width, top - 0.04, depth, cover, kind == "sink")


def _kitchen_run(
    site: Site, wall: Wall, cover: Paint, stone: Paint, top: float, depth: float, density: float, main: bool
) -> int:
    """Units side by side along one wall; returns 1 when anything fitted."""
    rng = site.rng
    s, done = float(rng.choice([0.01, rng.uniform(0.01, max(0.02, wall.length - 3.0))])), 0
    worktops: list[tuple[float, float]] = []
    for kind in _run_units(rng, wall.length - s, main):
        thing = _unit(site, kind, cover, top, depth)
        half = float(bounds(thing)[1][0])
        placed = None
        while placed is None and s + 2 * half < wall.length:
            placed = site.at_wall(thing, wall, s + half, 0.01)
            s += 0.0 if placed else 0.25
        if placed is None:
            continue
        done = 1
        if kind in ("base", "sink"):
            _worktop(site, wall, s, 2 * half, top, depth, kind == "sink", density, stone)
            worktops.append((s, 2 * half))
        elif kind == "fridge" and rng.random() < 0.6:
            z = float(placed.high[2]) + 0.03
            _wall_unit(site, wall, s, 2 * half, cover, z, rng.uniform(0.3, 0.5), rng.uniform(0.33, 0.6))
        elif kind == "oven" and rng.random() < 0.6:
            site.at_wall(devices.microwave(rng), wall, s + half, 0.01, 1.42)
        if kind in ("fridge", "tall"):
            clutter_on(site, placed, ("box", "box", "plant", "bag", "bottle"), 0.6 * density, "body")
        s += 2 * half + 0.004
    bottom, tall = rng.uniform(1.36, 1.52), rng.uniform(0.5, 0.95)
    share = rng.choice([0.0, 0.85, 1.0], p=(0.15, 0.45, 0.4))
    for start, width in worktops:
        if rng.random() < share:
            _wall_unit(site, wall, start, width, cover, bottom, tall)
    return done


def _wall_unit(
    site: Site, wall: Wall, s: float, width: float, cover: Paint, z: float, tall: float, depth: float | None = None
) -> None:
    tall = min(tall, site.plan.height - z - 0.02)
    if tall > 0.2:
        site.at_wall(storage.kitchen_wall(site.rng, width, tall, cover, depth), wall, s + width / 2, 0.005, z)


def _worktop(
    site: Site, wall: Wall, s: float, width: float, top: float, depth: float, sunk: bool, density: float, stone: Paint
) -> None:
    """A worktop over a base unit, with a basin let in when `sunk`, and clutter."""
    rng = site.rng
    hole = None
    if sunk:
        w, e = min(width * 0.8, rng.uniform(0.45, 0.8)), rng.uniform(0.36, 0.44)
        hole = (-w / 2 + 0.015, w / 2 - 0.015, -e / 2 - 0.02, e / 2 - 0.05)
    plate = tables.counter_top(rng, width, depth + 0.02, 0.04, hole, stone)
    placed = site.at_wall(plate, wall, s + width / 2, 0.0, top - 0.038, force=True)
    if placed is None:
        return
    if sunk:
        basin = bath.sink_basin(rng, w, e)
        rim = part_bounds(basin, "basin")[1][2]
        site.put(basin, placed.world(0.0, -0.02), placed.angle, top + 0.008 - rim, force=True)
    clutter_on(site, placed, KITCHEN_CLUTTER, (0.8 if sunk else 2.4) * density)
    if not sunk and width > 0.55 and rng.random() < 0.35:
        site.on(placed, "microwave", back=True, turned=0.0)


def bathroom(site: Site, density: float) -> None:
    """Bathtub with shower curtain, toilet, basin or vanity under a mirror, towels, perhaps a washing machine."""
    rng = site.rng
    if rng.random() < 0.75:
        _tub(site, density)
    elif rng.random() < 0.6:
        _shower(site)
    toilet = site.against("toilet", gap=0.01, tries=25, corner=0.1)
    if toilet and rng.random() < 0.4:
        site.near(toilet, "trash can", rng.choice([-1, 1]) * 0.38, 0.1)
    if rng.random() < 0.6:
        _vanity(site, density)
    else:
        sink = site.against("sink", gap=0.005, tries=20, corner=0.05)
        if sink:
            site.near(sink, "mirror", 0.0, bounds(sink.thing)[1][1] - 0.025, 0.0, 1.15)
    for _ in range(int(rng.poisson(1.2))):
        site.hang("towel", rng.uniform(0.7, 1.1))
    if rng.random() < 0.25:
        site.against("washing machine")
    if rng.random() < 0.35:
        site.lay(objects_household.rug(rng, 0.9))
    if rng.random() < 0.35:
        w, d, h = rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.35), rng.uniform(0.7, 1.8)
        site.against(storage.cabinet_of(rng, w, d, h, 0.5, 0.3, 0.0))
    clutter_floor(site, 0.8 * density, ("bottle", "trash can", "towel", "clothes", "shoes", "box"))


def _tub(site: Site, density: float) -> None:
    """A bathtub in a niche or corner with bottles on its edge and a shower curtain along it."""
    rng = site.rng
    for wall in sorted(site.plan.walls, key=lambda w: abs(w.length - 1.6) + rng.uniform(0, 0.6)):
        fits = 1.38 < wall.length < 1.95
        if wall.length < 1.42:
            continue
        tub = bath.bathtub(rng, wall.length - 0.01 if fits else None)
        half = bounds(tub)[1]
        ends = [wall.length / 2] if fits else [half[0] + 0.005, wall.length - half[0] - 0.005]
        placed = site.at_wall(tub, wall, ends[0]) or site.at_wall(tub, wall, ends[-1])
        if placed is None:
            continue
        if rng.random() < 0.8:
            drape = bath.shower_curtain(rng, half[0] * 2 - 0.02)
            z = min(rng.uniform(0.08, 0.35), site.plan.height - bounds(drape)[1][2] - 0.01)
            site.put(drape, placed.world(0.0, -half[1] + rng.uniform(-0.06, 0.08)), placed.angle, z, force=True)
        edge = part_bounds(tub, "body")[1][2]
        for _ in range(int(rng.poisson(1.0 * density))):
            site.near(placed, "bottle", rng.uniform(-0.6, 0.6), half[1] - 0.04, 0.0, edge, overlap=True)
        return


def _shower(site: Site) -> None:
    """A shower in a corner: a low tray behind a curtain."""
    rng = site.rng
    wall = site.pick_wall(1.0)
    if wall is None:
        return
    tray = objects_household.shower_tray(rng, rng.uniform(0.8, 1.0), rng.uniform(0.75, 0.95), 0.1)
    half = bounds(tray)[1]
    placed = site.at_wall(tray, wall, float(rng.choice([half[0] + 0.002, wall.length - half[0] - 0.002])))
    if placed:
        drape = bath.shower_curtain(rng, half[0] * 2 - 0.02)
        site.put(drape, placed.world(0.0, -half[1] + 0.06), placed.angle, 0.14, force=True)


def _vanity(site: Site, density: float) -> None:
    """A cabinet with a worktop and a basin let in, a mirror above it."""
    rng = site.rng
    w, d, top = (
        rng.uniform(0.55, float(np.clip(site.plan.area / 5, 0.6, 1.5))),
        rng.uniform(0.44, 0.56),
        rng.uniform(0.78, 0.88),
    )
    body = storage.cabinet_of(rng, w, d, top - 0.04, 0.45, 0.3, rng.choice([0.0, 0.08]), hollow=True)
    for _ in range(20):
        wall = site.pick_wall(w + 0.02)
        if wall is None:
            return
        s = rng.uniform(w / 2 + 0.01, wall.length - w / 2 - 0.01)
        if site.at_wall(body, wall, s, 0.01):
            _worktop(site, wall, s - w / 2, w, top, d, True, density, tables.worktop_paint(rng))
            site.hang("mirror", 1.1, wall, s, 1)
            return
