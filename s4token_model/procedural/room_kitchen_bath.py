"""Kitchens and bathrooms."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.room_groups import clutter_floor, clutter_on
from s4token_model.procedural.room_placement import Placed, Site, bounds, part_bounds
from s4token_model.procedural.room_plan import Wall

_CLUTTER = ("bottle", "cup", "bottle", "cup", "box", "plant", "bag", "towel")


def kitchen(site: Site, density: float) -> None:
    """A run of base units under a worktop with sink and cooker, wall units above, a refrigerator flush at one end."""
    rng = site.rng
    walls = sorted((w for w in site.plan.walls if w.length > 1.6), key=lambda w: -w.length * rng.uniform(0.7, 1.2))
    top, depth = rng.uniform(0.86, 0.94), rng.uniform(0.56, 0.64)
    runs = 0
    for wall in walls[:4]:
        runs += _run(site, wall, top, depth, density, runs == 0)
        if runs >= (2 if rng.random() < 0.5 else 1):
            break
    if rng.random() < 0.35 and (island := site.middle("counter", 0.6)):
        clutter_on(site, island, _CLUTTER, 2 * density)
        for x in (-0.5, 0.1, 0.6):
            site.near(island, "stool", x, -bounds(island.thing)[1][1] - 0.25, np.pi)
    if rng.random() < 0.4:
        site.against("trash can")


def _units(rng: np.random.Generator, length: float, main: bool) -> list[str]:
    """Kinds of units for a run of `length` m: what a kitchen needs first, base units in between."""
    if not main:
        return ["base"] * int(rng.integers(1, 4)) + (["tall"] if rng.random() < 0.3 else [])
    kinds = [k for k, chance in (("fridge", 0.85), ("sink", 0.95), ("oven", 0.75)) if rng.random() < chance]
    left = length - 0.75 * len(kinds)
    for _ in range(int(np.clip(left / 0.7, 0, 4))):
        kinds.insert(int(rng.integers(1, len(kinds) + 1)) if kinds else 0, "base")
    if left > 2.0 and rng.random() < 0.4:
        kinds.insert(0, "tall")
    return kinds[::-1] if rng.random() < 0.5 else kinds


def _unit(site: Site, kind: str, top: float, depth: float):
    rng = site.rng
    if kind in ("fridge", "oven"):
        name, high = ("oven", top) if kind == "oven" else ("refrigerator", rng.uniform(1.5, 1.95))
        return site.make(name, size=(None, None, high))
    if kind == "tall":
        high = min(rng.uniform(1.95, 2.4), site.plan.height - 0.02)
        return site.make("cabinet:unit", size=(rng.uniform(0.4, 0.7), depth, high))
    name, low = ("cabinet:unit", 0.4) if kind == "base" else ("cabinet:hollow", 0.7)
    return site.make(name, size=(rng.uniform(low, 0.95), depth, top - 0.04))


def _run(site: Site, wall: Wall, top: float, depth: float, density: float, main: bool) -> int:
    """Units side by side along one wall; returns 1 when anything fitted."""
    rng = site.rng
    s, worktops, done = float(rng.choice([0.01, rng.uniform(0.01, max(0.02, wall.length - 3.0))])), [], 0
    for kind in _units(rng, wall.length - s, main):
        thing = _unit(site, kind, top, depth)
        half, placed = float(bounds(thing)[1][0]), None
        while placed is None and s + 2 * half < wall.length:
            placed = site.at_wall(thing, wall, s + half, 0.01)
            s += 0.0 if placed else 0.25
        if placed is None:
            continue
        done = 1
        if kind in ("base", "sink"):
            _worktop(site, wall, s, 2 * half, top, depth, density if kind == "base" else -density)
            worktops.append((s, 2 * half))
        elif kind == "fridge" and rng.random() < 0.6:
            _hang_unit(site, wall, s, 2 * half, float(placed.high[2]) + 0.03, rng.uniform(0.3, 0.5))
        elif kind == "oven" and rng.random() < 0.6:
            site.at_wall(site.make("microwave"), wall, s + half, 0.01, 1.42)
        if kind in ("fridge", "tall"):
            clutter_on(site, placed, ("box", "box", "plant", "bag", "bottle"), 0.6 * density)
        s += 2 * half + 0.004
    bottom, tall = rng.uniform(1.36, 1.52), rng.uniform(0.5, 0.95)
    chance = rng.choice([0.0, 0.85, 1.0], p=(0.15, 0.45, 0.4))
    for start, width in worktops:
        if rng.random() < chance:
            _hang_unit(site, wall, start, width, bottom, tall)
    return done


def _hang_unit(site: Site, wall: Wall, s: float, width: float, z: float, tall: float) -> None:
    if (tall := min(tall, site.plan.height - z - 0.02)) > 0.2:
        unit = site.make("cabinet:hung", size=(width, site.rng.uniform(0.3, 0.38), tall))
        site.at_wall(unit, wall, s + width / 2, 0.005, z)


def _worktop(site: Site, wall: Wall, s: float, width: float, top: float, depth: float, density: float) -> None:
    """A worktop over a base unit with clutter; negative `density`: with a basin let in."""
    rng, sunk = site.rng, density < 0
    plate = site.make("counter:opened" if sunk else "counter:worktop", size=(width, depth + 0.02, 0.04))
    placed = site.at_wall(plate, wall, s + width / 2, 0.0, top - 0.04, force=True)
    if sunk and placed:
        basin = site.make("sink:basin", size=(0.87 * width, 0.74 * depth, 0.2))
        rim = part_bounds(basin, "basin")[1][2]
        site.put(basin, placed.world(0.0, -0.01), placed.angle, top + 0.008 - rim, force=True)
    clutter_on(site, placed, _CLUTTER, 0.8 * -density if sunk else 2.4 * density)
    if placed and not sunk and width > 0.55 and rng.random() < 0.35:
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
    elif sink := site.against("sink", gap=0.005, tries=20, corner=0.05):
        site.near(sink, "mirror", 0.0, bounds(sink.thing)[1][1] - 0.025, 0.0, 1.15)
    for _ in range(int(rng.poisson(1.2))):
        site.hang("towel", rng.uniform(0.7, 1.1))
    for name, chance in (("washing machine", 0.25), ("rug:bath", 0.35), ("cabinet:chest", 0.35)):
        if rng.random() < chance:
            (site.lay if name == "rug:bath" else site.against)(name)
    clutter_floor(site, 0.8 * density, ("bottle", "trash can", "towel", "clothes", "shoes", "box"))


def _curtain(site: Site, tub: Placed, out: float, z: float) -> None:
    """A shower curtain along the front of a tub."""
    half = bounds(tub.thing)[1]
    drape = site.make("shower curtain", size=(half[0] * 2 - 0.02, None, None))
    z = min(z, site.plan.height - bounds(drape)[1][2] - 0.01)
    site.put(drape, tub.world(0.0, -half[1] + out), tub.angle, z, force=True)


def _tub(site: Site, density: float) -> None:
    """A bathtub in a niche or corner with bottles on its edge and a shower curtain along it."""
    rng = site.rng
    for wall in sorted(site.plan.walls, key=lambda w: abs(w.length - 1.6) + rng.uniform(0, 0.6)):
        fits = 1.38 < wall.length < 1.95
        if wall.length < 1.42:
            continue
        tub = site.make("bathtub", size=(wall.length - 0.01 if fits else None, None, None))
        edge = bounds(tub)[1][0] + 0.005
        ends = [wall.length / 2] if fits else [edge, wall.length - edge]
        if placed := site.at_wall(tub, wall, ends[0]) or site.at_wall(tub, wall, ends[-1]):
            if rng.random() < 0.8:
                _curtain(site, placed, rng.uniform(-0.06, 0.08), rng.uniform(0.08, 0.35))
            for _ in range(int(rng.poisson(1.0 * density))):
                site.on(placed, "bottle", back=True, tries=2)
            return


def _shower(site: Site) -> None:
    """A shower in a corner: a low tray, of class "bathtub", the nearest that benchmarks have, behind a curtain."""
    rng, wall = site.rng, site.pick_wall(1.0)
    if wall is None:
        return
    tray = site.make("bathtub:tray", size=(rng.uniform(0.8, 1.0), rng.uniform(0.75, 0.95), 0.1))
    half = bounds(tray)[1][0] + 0.002
    if placed := site.at_wall(tray, wall, float(rng.choice([half, wall.length - half]))):
        _curtain(site, placed, 0.06, 0.14)


def _vanity(site: Site, density: float) -> None:
    """A cabinet with a worktop and a basin let in, a mirror above it."""
    rng = site.rng
    w = rng.uniform(0.55, float(np.clip(site.plan.area / 5, 0.6, 1.5)))
    d, top = rng.uniform(0.44, 0.56), rng.uniform(0.78, 0.88)
    body = site.make("cabinet:hollow", size=(w, d, top - 0.04))
    for _ in range(20):
        wall = site.pick_wall(w + 0.02)
        if wall is None:
            return
        s = rng.uniform(w / 2 + 0.01, wall.length - w / 2 - 0.01)
        if site.at_wall(body, wall, s, 0.01):
            _worktop(site, wall, s - w / 2, w, top, d, -density)
            site.hang("mirror", 1.1, wall, s)
            return
