"""Procedural streets: roads with kerbs, sidewalks, fronts, traffic and everything that stands along them.

The scene's origin lies on the road under whoever scans, x ahead, z up; a sensor on a car's roof is at (0, 0, 1.73).
"""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.materials import pick
from s4token_model.procedural.street_lots import BIN, add_background, add_fronts
from s4token_model.procedural.street_placement import AHEAD, BACK, StreetSite
from s4token_model.procedural.street_plan import Course, Crossing, Patch, Plan, Strip
from s4token_model.procedural.street_vegetation import hedge, plant

KINDS = ("town", "village", "park", "country")
# Per kind: chance of a parking lane, of a green strip, of a sidewalk; width of the sidewalk and of the front garden, m.
_SIDES = {
    "town": (0.5, 0.15, 1.0, (2.2, 5.0), (0.0, 7.0)),
    "village": (0.35, 0.2, 0.97, (1.4, 3.0), (1.5, 12.0)),
    "park": (0.3, 0.4, 0.94, (1.6, 4.5), (6.0, 22.0)),
    "country": (0.1, 0.9, 0.35, (1.4, 2.5), (14.0, 30.0)),
}


def draw_plan(rng: np.random.Generator) -> Plan:
    """A random street: its kind, lanes, strips, side streets and traffic islands."""
    kind = str(rng.choice(KINDS, p=(0.3, 0.35, 0.22, 0.13)))
    lane = rng.uniform(3.1, 3.7) if kind == "country" else rng.uniform(2.5, 3.4)
    lanes = 2 if rng.random() < {"town": 0.2, "country": 0.25, "park": 0.1}.get(kind, 0.0) else 1
    ego = -lane * (rng.integers(lanes) + 0.5) + rng.normal(0, 0.15)
    kerb = rng.uniform(0.05, 0.15)
    sides = {side: _draw_side(kind, lane * lanes, kerb, rng) for side in (1, -1)}
    course = Course(rng, ego, lane * lanes)
    plan = Plan(course, kind, ego, lane, lanes, kerb, sides[1][0], sides[-1][0], {k: v[1] for k, v in sides.items()})
    places = [float(rng.uniform(-50, 50)) for _ in range(int(rng.choice([0, 1, 2], p=(0.35, 0.4, 0.25))))]
    for s in places if len(places) < 2 or abs(places[0] - places[1]) > 28 else places[:1]:
        both = pick(rng, ((1, -1), (1, -1), (1,), (-1,)))
        plan.crossings.append(Crossing(s, rng.uniform(2.2, 4.5), rng.uniform(1.2, 3.0), both))
    if lane > 2.9 and rng.random() < 0.3:
        s, half = rng.choice([-1, 1]) * rng.uniform(9, 40), rng.uniform(0.4, 0.6)
        length = rng.uniform(3, 14)
        if all(abs(s + length / 2 - c.s) > c.half + length / 2 for c in plan.crossings):
            plan.patches.append(Patch((s, s + length, -half, half), "traffic island", kerb))
    return plan


def _draw_side(kind: str, half: float, kerb: float, rng: np.random.Generator) -> tuple[list[Strip], float]:
    """The strips of one side and where its houses stand."""
    parking, green, walk, walk_width, garden = _SIDES[kind]
    strips = [Strip("road", half, 0.0)]
    if rng.random() < parking:
        wide = rng.uniform(4.6, 5.2) if rng.random() < 0.3 else rng.uniform(1.9, 2.4)
        strips.append(Strip("parking", strips[-1].edge + wide, 0.0 if rng.random() < 0.7 else kerb))
    if rng.random() < green:
        strips.append(Strip("terrain", strips[-1].edge + rng.uniform(0.8, 3.0), kerb * rng.uniform(0.5, 1.1)))
    if rng.random() < walk:
        strips.append(Strip("sidewalk", strips[-1].edge + rng.uniform(*walk_width), kerb))
    front = strips[-1].edge + (rng.uniform(*garden) if kind != "town" or rng.random() < 0.5 else 0.0)
    beyond = "terrain" if kind != "town" else str(rng.choice(["terrain", "sidewalk", "parking"], p=(0.4, 0.35, 0.25)))
    strips.append(Strip(beyond, 999.0, kerb + (rng.uniform(-0.02, 0.06) if beyond == "terrain" else 0.0)))
    return strips, front


def furnish(site: StreetSite) -> None:
    """Everything that stands and drives on a street, traffic first: what comes later stands where space is left."""
    drive(site)
    for side in (1, -1):
        park(site, side)
        line_up(site, side)
        add_fronts(site, side)
        people(site, side)
    add_background(site)


def drive(site: StreetSite) -> None:
    """Vehicles on the lanes, keeping right."""
    plan, rng = site.plan, site.rng
    busy = rng.choice([0.2, 0.8, 1.6])
    names = ("car", "truck", "bus", "trailer", "motorcyclist", "bicyclist")
    for side in (1, -1):
        for lane in range(plan.lanes):
            d = side * plan.lane * (lane + 0.5)
            for _ in range(int(rng.poisson(2.6 * busy))):
                name = str(rng.choice(names, p=(0.70, 0.07, 0.05, 0.02, 0.06, 0.1)))
                at = d + rng.normal(0, 0.2) + (side * 0.9 if name == "bicyclist" else 0)
                turn = (AHEAD if side < 0 else BACK) + rng.normal(0, 0.02)
                site.put(site.make(name), rng.uniform(-68, 68), at, turn, 1.0)
    for crossing in plan.crossings:
        for side in crossing.sides:
            if rng.random() < 0.4:
                d, turn = side * (plan.half + rng.uniform(6, 25)), site.facing(int(rng.choice([-1, 1])))
                toward = turn == site.facing(side)  # keeps right: seen from the main road, left of who leaves it
                site.put(site.make("car"), crossing.s + (side if toward else -side) * crossing.half / 2, d, turn, 0.3)


def park(site: StreetSite, side: int) -> None:
    """Vehicles in the parking lane, or at the kerb where there is none."""
    plan, rng = site.plan, site.rng
    lane, full = plan.strip(side, "parking"), rng.choice([0.15, 0.4, 0.8])
    turn = AHEAD if side < 0 else BACK
    if lane is None:
        if plan.kind == "country" or rng.random() < 0.45 or plan.lane < 2.6:
            return
        full, lane = rng.uniform(0.05, 0.45), (plan.half - 1.75, plan.half + (0.35 if rng.random() < 0.3 else 0.1))
    square = lane[1] - lane[0] > 4
    s = -70.0 + rng.uniform(0, 4)
    while s < 70:
        if rng.random() < full and not site.on_crossing(s, side * lane[1], 4.0):
            name = pick(rng, ("truck", "trailer", "bus")) if rng.random() < 0.04 and not square else "car"
            facing = site.facing(int(rng.choice([-1, 1]))) if square else turn + (np.pi if rng.random() < 0.12 else 0)
            things = site.make("motorcycle" if rng.random() < 0.05 else name)
            middle = side * ((lane[0] + lane[1]) / 2 + rng.normal(0, 0.08))
            site.put(things, s, middle, facing + rng.normal(0, 0.025), 0.1)
        s += 2.6 if square else rng.uniform(5.0, 6.6)


def line_up(site: StreetSite, side: int) -> None:
    """Lamps, trees, signs, bollards and bins between road and sidewalk."""
    plan, rng = site.plan, site.rng
    strips = plan.strips(side)
    kerb = max(plan.half, (plan.strip(side, "parking") or (0, 0))[1])
    green = next((x for k, x in enumerate(strips[:-1]) if x.name == "terrain" and k), None)
    planted = (kerb + green.edge) / 2 if green else kerb + 0.7
    lamp = pick(rng, ("pole:lamp", "pole:lamp", "pole:lamp", "pole:utility"))
    chance = {"town": 0.5, "village": 0.3, "park": 0.65, "country": 0.35}[plan.kind]
    if rng.random() < chance and (green or strips[-2].edge - kerb > 2.2):
        _row(site, side, "tree", planted, rng.uniform(6, 16), 0.9)
    if rng.random() < 0.75:
        _row(site, side, lamp, kerb + 0.5, rng.uniform(16, 34), 0.95)
    if rng.random() < 0.15 and plan.kind == "town":
        _row(site, side, "pole:bollard", kerb + 0.35, rng.uniform(1.5, 3.5), 0.9, (-25, 25))
    if green and rng.random() < 0.25:
        _row(site, side, "hedge", planted, 6.0, 0.8, turn=0.0)
    for _ in range(int(rng.poisson(3.2))):
        _beside(site, side, site.make("traffic sign"), kerb + 0.45, AHEAD if side > 0 else BACK)
    for crossing in plan.crossings:
        if rng.random() < (0.35 if plan.kind == "town" else 0.12) and side in crossing.sides:
            at = crossing.s + side * (crossing.half + 0.8)
            site.put(site.make("traffic light"), at, side * (plan.half + 0.6), BACK if side < 0 else AHEAD)
    for patch in plan.patches:
        if patch.name == "traffic island" and side > 0:
            site.put(site.make("traffic sign"), patch.box[0] + 0.8, 0.0, BACK)
    for _ in range(int(rng.poisson(0.5))):
        _beside(site, side, site.make(BIN), strips[-2].edge - 0.5, 0.0)


def _row(site: StreetSite, side: int, name: str, d: float, step: float, full: float, span=(-70, 70), turn=None) -> None:
    """The same kind of thing every `step` m."""
    rng = site.rng
    for s in np.arange(span[0] + rng.uniform(0, step), span[1], step):
        if rng.random() < full and not site.on_crossing(s, side * d, 1.0):
            angle = site.facing(side) if turn is None else turn
            if name == "tree":
                things = plant("tree", rng, site.shapes, site.detail(s, d))
            else:
                things = hedge(rng, 5.5, None, 0.6) if name == "hedge" else site.make(name)
            site.put(things, s + rng.normal(0, 0.05 * step), side * d, angle, 0.3)


def _beside(site: StreetSite, side: int, things, d: float, turn: float) -> None:
    s = site.rng.uniform(-45, 45)
    if not site.on_crossing(s, side * d, 0.6):
        site.put(things, s, side * d, turn + site.rng.normal(0, 0.15))


def people(site: StreetSite, side: int) -> None:
    """Who walks on the sidewalk and what is left there."""
    plan, rng = site.plan, site.rng
    walk = plan.strip(side, "sidewalk") or (plan.half + 0.5, plan.half + 2.0)
    rate = {"town": 3.0, "village": 0.8, "park": 1.2}.get(plan.kind, 0.3)
    for _ in range(int(rng.poisson(rate))):
        s, d = rng.uniform(-40, 40), rng.uniform(walk[0] + 0.4, max(walk[1] - 0.4, walk[0] + 0.5))
        for _ in range(int(rng.choice([1, 2]))):
            site.put(site.make("person"), s, side * d, rng.uniform(0, 6.28), 0.05)
            s += rng.uniform(0.6, 0.9)
    for _ in range(int(rng.poisson({"town": 1.6, "village": 0.6}.get(plan.kind, 0.3)))):
        s, many = rng.uniform(-40, 40), int(rng.choice([1, 1, 4]))
        for k in range(many):
            turn = site.facing(side) + rng.normal(0, 0.15) if many > 1 else rng.choice([AHEAD, BACK])
            d = side * (walk[1] - (0.9 if many > 1 else 0.4))
            site.put(site.make("bicycle"), s + 0.65 * k, d, float(turn), -0.1)
    if rng.random() < 0.2:
        site.put(site.make("motorcycle"), rng.uniform(-40, 40), side * (walk[0] + 0.6), AHEAD, 0.05)
    if rng.random() < 0.3:
        rider = site.make("bicyclist" if rng.random() < 0.8 else "motorcyclist")
        site.put(rider, rng.uniform(-35, 35), side * (plan.half - 0.7), AHEAD if side < 0 else BACK, 0.2)
