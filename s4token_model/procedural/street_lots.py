"""What lies behind the sidewalks of a street: lots with houses, gardens, drives, fences and hedges, and open land."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import pick
from s4token_model.procedural.street_buildings import building
from s4token_model.procedural.street_placement import StreetSite
from s4token_model.procedural.street_plan import REACH, Patch
from s4token_model.procedural.street_vegetation import hedge, plant, thicket

BIN = "trash can:wheelie"
_WIDTHS = {"town": (10, 26), "village": (10, 20), "park": (14, 30), "country": (16, 30)}
# Chance that a lot is built on; the rest is open.
_BUILT = {"town": 0.93, "village": 0.85, "park": 0.35, "country": 0.15}
# Chance that open land ends in a belt of shrubs at the sidewalk.
_BELT = {"town": 0.6, "village": 0.6, "park": 0.55, "country": 0.45}
# How dense open land is with trees and shrubs, per 100 m2.
_WILD = {"town": (1.2, 3.0), "village": (1.5, 4.8), "park": (2.0, 5.4), "country": (1.2, 4.0)}


def add_fronts(site: StreetSite, side: int) -> None:
    """Fill one side, lot by lot, from the back of its strips to the edge of the scene."""
    plan, rng = site.plan, site.rng
    inner, line = plan.strips(side)[-2].edge, plan.front[side]
    s, terraced = -REACH[0] + 1, plan.kind == "town" and rng.random() < 0.6
    while s < REACH[0] - 6:
        width = rng.uniform(*_WIDTHS[plan.kind])
        spans = [
            (c.s - reach, c.s + reach) for c in plan.crossings if side in c.sides for reach in [c.half + c.walk + 0.3]
        ]
        if blocked := sorted(x for x in spans if s + width > x[0] and s < x[1]):
            if blocked[0][0] - s > 6:
                _add_lot(site, side, s, blocked[0][0], inner, line, terraced)
            s = max(blocked[0][1], s) + 0.01
            continue
        if s + width > REACH[0] - 1:
            break
        _add_lot(site, side, s, s + width, inner, line, terraced)
        s += width + (0.0 if terraced else rng.uniform(0, 1.5))


def add_background(site: StreetSite) -> None:
    """Close the view along the edges of the scene with trees and houses, as most places do."""
    rng, half = site.rng, site.plan.half
    edge = REACH[1] - 4
    for side in (1, -1):
        for s in np.arange(8 - REACH[0], REACH[0] - 6, 12.0):
            if rng.random() < 0.85 and not site.on_crossing(s, side, 7.0):
                things = thicket(rng, rng.uniform(10, 13))
                site.put(things, s, side * (edge + rng.uniform(0, 2)), rng.normal(0, 0.1), -0.5)
        for end in (1, -1):
            for d in np.arange(half + 6, edge - 3, 11.0):
                if rng.random() < 0.85:
                    site.put(thicket(rng, 11.0), end * (REACH[0] - 4), side * d, np.pi / 2 + rng.normal(0, 0.1), -0.5)
    for end in (1, -1):
        if rng.random() < 0.5:  # the road ends at a house or bends away behind trees
            s, turn = end * (REACH[0] - 4), -end * np.pi / 2
            things = building(rng, rng.uniform(12, 22), 1.5, "block") if rng.random() < 0.5 else thicket(rng, 14.0)
            site.put(things, s, 0.0, turn, -0.5)


def _add_lot(site: StreetSite, side: int, s0: float, s1: float, inner: float, line: float, terraced: bool) -> None:
    plan, rng = site.plan, site.rng
    depth = line - inner
    built = rng.random() < _BUILT[plan.kind]
    back = line
    if built:
        gap = 0.0 if terraced else rng.uniform(0.5, 3.5)
        wide = min(s1 - s0 - 2 * gap, 24.0)
        deep = rng.uniform(8, 13)
        kinds = (0.35, 0.6, 0.05) if plan.kind == "town" else (0.82, 0.1, 0.08)
        kind = str(rng.choice(["house", "block", "shed"], p=kinds))
        front = line + (rng.uniform(0, 0.6) if plan.kind == "town" else rng.uniform(0, 3.0))
        # A long straight front beside a bend must not reach onto the sidewalk
        s = (s0 + s1) / 2
        bend = abs(float(plan.course.heading(s + wide / 2) - plan.course.heading(s - wide / 2))) * wide / 8
        if wide > 4 and front + bend + deep <= REACH[1] - 1:
            if site.put(building(rng, wide, deep, kind), s, side * (front + bend), site.facing(side), 0.0):
                back = front + deep
    if depth > 2.0 and rng.random() < (0.55 if built else 0.2):
        _add_drive(site, side, s0, s1, inner, line)
    if depth > 0.8 or not built:
        _add_edge(site, side, s0, s1, inner + 0.25, 0.65 if plan.kind == "village" else 0.4)
    if not built and rng.random() < _BELT[plan.kind]:
        at = (s0 + s1) / 2, side * (inner + rng.uniform(1.2, 4.0))
        site.put(thicket(rng, s1 - s0, max(site.detail(*at), 0.4)), *at, rng.normal(0, 0.04), 0.0)
    _plant(site, side, (s0, s1, inner + 1.0, line - 0.5), 2.0 if built else 1.0)
    _plant(site, side, (s0, s1, back + 1.0, min(back + 22, REACH[1] - 2)), 0.6 if built else 1.0)
    if rng.random() < 0.4 and depth > 3:
        _add_edge(site, side, 0, 0, 0, 1.0, across=(s0 + 0.2, inner + 0.6, line))


def _add_drive(site: StreetSite, side: int, s0: float, s1: float, inner: float, line: float) -> None:
    """A paved drive or a yard, at times with a car in it."""
    plan, rng = site.plan, site.rng
    width = rng.uniform(2.6, 3.4) if rng.random() < 0.7 else rng.uniform(5, 12)
    start = rng.uniform(s0, max(s0 + 0.1, s1 - width))
    d = sorted((side * inner, side * line))
    name = str(rng.choice(["parking", "sidewalk", "road"], p=(0.6, 0.3, 0.1)))
    plan.patches.append(Patch((start, min(start + width, s1), d[0], d[1]), name, plan.kerb))
    if line - inner > 5.2:
        for k in range(int((min(start + width, s1) - start) / 2.5)):
            if rng.random() < 0.6:
                thing = site.make("car" if rng.random() < 0.93 else "trailer")
                middle = side * (inner + line) / 2 + rng.normal(0, 0.2)
                site.put(thing, start + 1.3 + 2.5 * k, middle, site.facing(int(rng.choice([-1, 1]))))


def _add_edge(site: StreetSite, side: int, s0: float, s1: float, d: float, chance: float, across=None) -> None:
    """A fence, a hedge or both along the front of a lot, or between two lots (across = s, inner, outer)."""
    rng = site.rng
    if rng.random() > chance:
        return
    kind = pick(rng, ("fence", "hedge", "hedge", "hedge", "both"))
    style = "fence:" + pick(rng, ("wire", "wire", "picket", "plank", "bars", "wall", "rail"))
    if across:
        s, inner, outer = across
        length, middle = outer - inner, side * (inner + outer) / 2
        made = site.make(style, (length, None, None)) if kind != "hedge" else None
        site.put(made or hedge(rng, length, None, site.detail(s, middle)), s, middle, np.pi / 2, 0.0)
        return
    gate = rng.uniform(s0 + 1, max(s0 + 1.1, s1 - 4))
    height = rng.uniform(0.7, 2.2)
    for a, b in ((s0 + 0.1, gate), (gate + rng.uniform(1.0, 3.2), s1 - 0.1)):
        pieces = max(1, round((b - a) / 8))
        for k in range(pieces if b - a > 0.8 else 0):
            start, end = a + (b - a) * k / pieces, a + (b - a) * (k + 1) / pieces
            middle, off = (start + end) / 2, side * (d + 0.3)
            if any(x[0] < end and x[1] > start and x[2] < off < x[3] for x in (p.box for p in site.plan.patches)):
                continue
            if kind != "hedge":
                site.put(site.make(style, (end - start, None, None)), middle, side * d, 0.0, 0.0)
            if kind != "fence":
                site.put(hedge(rng, end - start, height, site.detail(middle, d)), middle, side * (d + 0.75), 0.0, 0.0)
    if rng.random() < 0.2:
        site.put(site.make(BIN), gate + 0.6, side * (d + 0.8), site.facing(side))


def _plant(site: StreetSite, side: int, area: tuple[float, float, float, float], factor: float) -> None:
    """Trees and shrubs in (s0, s1, inner, outer), some of the shrubs in thickets."""
    s0, s1, inner, outer = area
    if outer - inner < 0.8 or s1 - s0 < 1:
        return
    rng, size = site.rng, (s1 - s0) * (outer - inner) / 100
    trees, shrubs = (rng.poisson(min(size * rate * factor, 9)) for rate in _WILD[site.plan.kind])
    for _ in range(int(trees)):
        s, d = rng.uniform(s0, s1), rng.uniform(inner, outer)
        site.put(plant("tree", rng, site.shapes, site.detail(s, d)), s, side * d, rng.uniform(0, 6.28), 1.0)
    for _ in range(int(shrubs)):
        s, d = rng.uniform(s0, s1), rng.uniform(inner, outer)
        for _ in range(int(rng.choice([1, 4, 9], p=(0.7, 0.2, 0.1)))):
            away = rng.normal(0, 0.8, 2)
            at = s + away[0] * 1.5, side * max(d + away[1], inner)
            site.put(plant("bush", rng, site.shapes, site.detail(*at)), *at, rng.uniform(0, 6.28), -0.3)
