"""What stands where in a bedroom, a lounge, a kitchen, a bathroom, an office ... each a function that furnishes a Site."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.datasets import furniture_bath as bath
from s4token_model.datasets import furniture_devices as devices
from s4token_model.datasets import furniture_seats as seats
from s4token_model.datasets import furniture_storage as storage
from s4token_model.datasets import furniture_tables as tables
from s4token_model.datasets import objects
from s4token_model.datasets.paints import paint, wood
from s4token_model.datasets.placement import Placed, Site, bounds, part_bounds

_DESK_CLUTTER = ("books", "cup", "bottle", "box", "lamp", "laptop", "plant", "printer", "bag", "books")
_TABLE_CLUTTER = ("books", "cup", "bottle", "box", "plant", "laptop", "bag", "cup", "bottle", "clothes")
_TOP_CLUTTER = ("books", "box", "plant", "lamp", "bottle", "bag", "clothes", "books")
_KITCHEN_CLUTTER = ("bottle", "cup", "bottle", "cup", "box", "plant", "bag", "towel")
_FLOOR_CLUTTER = (
    "box",
    "bag",
    "backpack",
    "shoes",
    "clothes",
    "trash can",
    "books",
    "suitcase",
    "bottle",
    "plant",
    "pillow",
    "stool",
)


def clutter_on(site: Site, host: Placed | None, names: tuple[str, ...], count: float, part: str = "top") -> None:
    """Scatter about `count` small things over a part of a placed thing."""
    if host is None:
        return
    for _ in range(int(site.rng.poisson(count))):
        name = names[int(site.rng.integers(len(names)))]
        thing = objects.lamp(site.rng, "table" if site.rng.random() < 0.6 else "desk") if name == "lamp" else name
        site.on(host, thing, part, tries=2)


def clutter_floor(site: Site, count: float, names: tuple[str, ...] = _FLOOR_CLUTTER) -> None:
    """Leave about `count` things on the floor, half of them along the walls."""
    for _ in range(int(site.rng.poisson(count))):
        name = names[int(site.rng.integers(len(names)))]
        if site.rng.random() < 0.55:
            site.against(name, tries=3, corner=0.2)
        else:
            site.middle(name, pad=0.02, tries=3, angle=float(site.rng.uniform(-3, 3)))


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
        for _ in range(2):
            if site.near(placed, chair, rng.normal(0, 0.12), y, np.pi + rng.normal(0, 0.5), overlap=True):
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
    clutter_on(site, placed, _DESK_CLUTTER, 3.0 * density)
    if rng.random() < 0.4:
        side = rng.choice([-1, 1])
        thing = storage.file_cabinet(rng) if rng.random() < 0.5 else objects.trash_can(rng)
        site.near(placed, thing, side * (bounds(desk)[1][0] + bounds(thing)[1][0] + 0.04), 0.05)
    return placed


def chairs_around(site: Site, host: Placed, share: float, kind: Callable | None = None) -> None:
    """Chairs along the sides of a table, tucked in or pulled out, of one kind."""
    rng = site.rng
    kind = (
        kind
        or (seats.dining_chair, seats.dining_chair, seats.shell_chair, seats.folding_chair, seats.cantilever_chair)[
            int(rng.integers(5))
        ]
    )
    same = kind(rng)
    high = bounds(host.thing)[1]
    spots = []
    for s in (-1, 1):
        count = max(1, int(high[0] * 2 / 0.65))
        spots += [
            ((k + 0.5) / count * 2 * high[0] - high[0], s * high[1], 0.0 if s > 0 else np.pi) for k in range(count)
        ]
        if high[1] > 0.33:
            spots.append((s * high[0], 0.0, -s * np.pi / 2))
    for x, y, turned in spots:
        if rng.random() > share:
            continue
        out = rng.uniform(-0.18, 0.2) + bounds(same)[1][1]
        direction = (
            np.array([np.sin(turned) * -1.0, np.cos(turned)])
            if abs(x) < high[0] - 1e-6
            else np.array([np.sign(x), 0.0])
        )
        chair = same if rng.random() < 0.8 else kind(rng)
        site.near(
            host, chair, x + direction[0] * out, y + direction[1] * out, turned + rng.normal(0, 0.15), overlap=True
        )


def dining(site: Site, density: float) -> None:
    """A table with chairs and things on it."""
    rng = site.rng
    table = tables.table(rng, "dining")
    placed = site.middle(table, 0.55) if rng.random() < 0.75 else site.against(table)
    if placed:
        chairs_around(site, placed, rng.uniform(0.4, 1.0))
        clutter_on(site, placed, _TABLE_CLUTTER, 2.5 * density)
        if rng.random() < 0.3:
            lamp = objects.lamp(rng, "ceiling")
            z = site.plan.height - bounds(lamp)[1][2] - 0.002
            site.put(lamp, placed.offset[:2], 0.0, max(z, 1.3))


def sleeping(site: Site, density: float) -> None:
    """A bed with nightstands and lamps, a dresser, wardrobe or cabinet, perhaps a bench and a rug."""
    rng = site.rng
    for _ in range(1 if rng.random() < 0.82 else 2):
        bed = site.against("bed", tries=10)
        if bed is None:
            continue
        half = bounds(bed.thing)[1]
        for side in (-1, 1):
            if rng.random() < 0.6:
                stand = storage.nightstand(rng) if rng.random() < 0.85 else tables.table(rng, "side")
                sh = bounds(stand)[1]
                placed = site.near(bed, stand, side * (half[0] + sh[0] + rng.uniform(0.02, 0.15)), half[1] - sh[1])
                if placed and rng.random() < 0.6:
                    site.on(placed, objects.lamp(rng, "table"))
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
        clutter_on(site, placed, _TOP_CLUTTER, 2.0 * density, "body")
        if placed and rng.random() < 0.5:
            site.on(placed, "television", "body", back=True, turned=0.0)
    if rng.random() < 0.65:
        site.against(storage.wardrobe(rng), gap=0.005)


def lounge(site: Site, density: float) -> None:
    """Sofas and armchairs around a coffee table, side tables with lamps, a television on a low cabinet, bookshelves."""
    rng = site.rng
    sofa = site.against("sofa", tries=10) if rng.random() < 0.75 else site.middle("sofa", 0.3)
    if sofa:
        low, high = bounds(sofa.thing)
        for _ in range(int(rng.poisson(1.5))):
            site.on(sofa, "pillow", "seat", back=True, tries=2, turned=rng.normal(0, 0.4))
        clutter_on(site, sofa, ("clothes", "bag", "books", "backpack"), 0.5 * density, "seat")
        if rng.random() < 0.8:
            coffee = tables.table(rng, "coffee") if rng.random() < 0.85 else seats.ottoman(rng)
            table = site.near(
                sofa,
                coffee,
                rng.normal(0, 0.15),
                low[1] - bounds(coffee)[1][1] - rng.uniform(0.25, 0.6),
                rng.choice([0, 0, np.pi / 2]) + rng.normal(0, 0.05),
            )
            clutter_on(site, table, _TABLE_CLUTTER, 2.0 * density)
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
                    site.on(placed, objects.lamp(rng, "table"))
    if rng.random() < 0.55:
        stand = storage.cabinet_of(
            rng, rng.uniform(0.9, 1.9), rng.uniform(0.35, 0.5), rng.uniform(0.38, 0.6), 0.5, 0.4, 0.06
        )
        placed = site.against(stand)
        if placed:
            site.on(placed, "television", "body", back=True, turned=0.0)
            clutter_on(site, placed, _TOP_CLUTTER, 1.0 * density, "body")
    for _ in range(int(rng.poisson(0.8))):
        site.against("bookshelf", gap=0.01)
    if rng.random() < 0.4:
        site.against(objects.lamp(rng, "floor"))
    if rng.random() < 0.5:
        site.against(seats.armchair(rng))
    if rng.random() < 0.05:
        site.against("piano")


def kitchen(site: Site, density: float) -> None:
    """A run of base units under a worktop with sink and cooker, wall units above, a refrigerator flush at one end."""
    rng = site.rng
    walls = sorted((w for w in site.plan.walls if w.length > 1.6), key=lambda w: -w.length * rng.uniform(0.6, 1.2))
    cover = wood(rng) if rng.random() < 0.6 else paint(rng, "white white grey beige blue green")
    top, depth = rng.uniform(0.86, 0.94), rng.uniform(0.56, 0.64)
    runs = 0
    for wall in walls[:3]:
        runs += _kitchen_run(site, wall, cover, top, depth, density, main=runs == 0)
        if runs >= (2 if rng.random() < 0.45 else 1):
            break
    if rng.random() < 0.2:
        island = site.middle("counter", 0.6)
        clutter_on(site, island, _KITCHEN_CLUTTER, 2 * density)
        if island:
            for x in (-0.5, 0.1, 0.6):
                site.near(island, "stool", x, -bounds(island.thing)[1][1] - 0.25, np.pi)
    if rng.random() < 0.4:
        site.against("trash can")


def _kitchen_run(site: Site, wall, cover, top: float, depth: float, density: float, main: bool) -> int:
    """Units side by side along one wall; returns 1 when anything fitted."""
    rng = site.rng
    kinds = ["fridge", "base", "sink", "base", "oven", "base"] if main else ["base", "base"]
    if main and rng.random() < 0.3:
        kinds = ["base", "oven", "base", "sink", "base", "fridge"]
    if main and rng.random() < 0.2:
        kinds.remove("fridge")
    if rng.random() < 0.5:
        kinds.reverse()
    widths = {"base": (0.4, 1.1), "sink": (0.7, 1.0)}
    s, done = rng.choice([0.01, rng.uniform(0.01, max(0.02, wall.length - 3.2))]), 0
    worktops: list[list[float]] = []
    for kind in kinds:
        if kind == "fridge":
            thing = devices.refrigerator(rng, rng.uniform(1.55, 1.95))
        elif kind == "oven":
            thing = devices.oven(rng)
        else:
            thing = storage.kitchen_base(rng, rng.uniform(*widths[kind]), top - 0.04, depth, cover)
        half = bounds(thing)[1][0]
        if s + 2 * half > wall.length:
            continue
        placed = site.at_wall(thing, wall, s + half, 0.01)
        if placed is None:
            s += 0.3
            continue
        done = 1
        if kind in widths:
            _worktop(site, wall, s, 2 * half, top, depth, kind == "sink", density)
            worktops.append([s, 2 * half])
        if kind == "fridge" and rng.random() < 0.5:
            _wall_unit(site, wall, s, 2 * half, cover, 2.0, rng.uniform(0.3, 0.45))
        elif kind == "oven" and rng.random() < 0.6:
            box = devices.microwave(rng)
            site.at_wall(box, wall, s + half, 0.01, 1.42)
        s += 2 * half + 0.004
    bottom, tall = rng.uniform(1.36, 1.52), rng.uniform(0.5, 0.9)
    if rng.random() < 0.8:
        for start, width in worktops:
            if rng.random() < 0.85:
                _wall_unit(site, wall, start, width, cover, bottom, tall)
    return done


def _wall_unit(site: Site, wall, s: float, width: float, cover, z: float, tall: float) -> None:
    tall = min(tall, site.plan.height - z - 0.02)
    if tall > 0.2:
        site.at_wall(storage.kitchen_wall(site.rng, width, tall, cover), wall, s + width / 2, 0.005, z)


def _worktop(site: Site, wall, s: float, width: float, top: float, depth: float, sunk: bool, density: float) -> None:
    """A worktop over a base unit, with a basin let in, and clutter."""
    rng = site.rng
    d = depth + 0.02
    hole = None
    if sunk:
        w, e = min(width * 0.8, rng.uniform(0.45, 0.8)), rng.uniform(0.36, 0.44)
        hole = (-w / 2 + 0.015, w / 2 - 0.015, -e / 2 - 0.02, e / 2 - 0.05)
    plate = tables.counter_top(rng, width, d, 0.04 if not sunk else 0.04, hole)
    placed = site.at_wall(plate, wall, s + width / 2, 0.0, top - 0.038, force=True)
    if placed is None:
        return
    if sunk:
        basin = bath.sink_basin(rng, w, e)
        rim = part_bounds(basin, "basin")[1][2]
        site.put(basin, placed.world(0.0, -0.02), placed.angle, top + 0.008 - rim, force=True)
    clutter_on(site, placed, _KITCHEN_CLUTTER, (0.6 if sunk else 1.8) * density)
    if not sunk and width > 0.55 and rng.random() < 0.35:
        site.on(placed, "microwave", back=True, turned=0.0)


def bathroom(site: Site, density: float) -> None:
    """Bathtub with shower curtain, toilet, basin or vanity under a mirror, towels, perhaps a washing machine."""
    rng = site.rng
    if rng.random() < 0.75:
        _tub(site, density)
    toilet = site.against("toilet", gap=0.01, tries=12)
    if toilet and rng.random() < 0.4:
        site.near(toilet, "trash can", rng.choice([-1, 1]) * 0.38, 0.1)
    if rng.random() < 0.6:
        _vanity(site, density)
    else:
        sink = site.against("sink", gap=0.005, tries=10) if rng.random() < 0.95 else None
        if sink:
            site.near(sink, "mirror", 0.0, bounds(sink.thing)[1][1] - 0.025, 0.0, 1.15)
    for _ in range(int(rng.poisson(1.2))):
        site.hang("towel", rng.uniform(0.7, 1.1))
    if rng.random() < 0.25:
        site.against("washing machine")
    if rng.random() < 0.35:
        site.middle("rug", 0.0)
    if rng.random() < 0.35:
        site.against(
            storage.cabinet_of(
                rng, rng.uniform(0.3, 0.6), rng.uniform(0.25, 0.35), rng.uniform(0.7, 1.8), 0.5, 0.3, 0.0
            )
        )
    clutter_floor(site, 0.8 * density, ("bottle", "trash can", "towel", "clothes", "shoes", "box"))


def _tub(site: Site, density: float) -> None:
    """A bathtub in a niche or corner with bottles on its edge and a shower curtain along it."""
    rng = site.rng
    for wall in sorted(site.plan.walls, key=lambda w: abs(w.length - 1.6) + rng.uniform(0, 0.6))[:5]:
        fits = 1.38 < wall.length < 1.95
        length = wall.length - 0.01 if fits else None
        if wall.length < 1.42:
            continue
        tub = bath.bathtub(rng, length)
        half = bounds(tub)[1]
        s = wall.length / 2 if fits else rng.choice([half[0] + 0.005, wall.length - half[0] - 0.005])
        placed = site.at_wall(tub, wall, s, 0.0)
        if placed is None:
            continue
        if rng.random() < 0.75:
            site.near(
                placed, bath.shower_curtain(rng, half[0] * 2 - 0.02), 0.0, -half[1] - 0.05, 0.0, rng.uniform(0.12, 0.3)
            )
        for _ in range(int(rng.poisson(1.0 * density))):
            site.near(
                placed,
                "bottle",
                rng.uniform(-0.6, 0.6),
                half[1] - 0.04,
                0.0,
                part_bounds(tub, "body")[1][2],
                overlap=True,
            )
        return


def _vanity(site: Site, density: float) -> None:
    """A cabinet with a worktop and a basin let in, a mirror above it."""
    rng = site.rng
    w, d, top = rng.uniform(0.6, 1.5), rng.uniform(0.46, 0.56), rng.uniform(0.78, 0.88)
    body = storage.cabinet_of(rng, w, d, top - 0.04, 0.45, 0.3, rng.choice([0.0, 0.08]))
    for _ in range(10):
        wall = site.pick_wall(w + 0.02)
        if wall is None:
            return
        s = rng.uniform(w / 2 + 0.01, wall.length - w / 2 - 0.01)
        if site.at_wall(body, wall, s, 0.01):
            _worktop(site, wall, s - w / 2, w, top, d, True, density)
            site.hang("mirror", 1.1, wall, s, 1)
            return


def office(site: Site, density: float) -> None:
    """One to six workplaces, file cabinets, bookshelves, a whiteboard, a printer."""
    rng = site.rng
    for k in range(int(np.clip(site.plan.area / rng.uniform(5, 9), 1, 7))):
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
        site.against("printer")
    if rng.random() < 0.3:
        site.against("sofa")


def conference(site: Site, density: float) -> None:
    """A large table with many chairs, whiteboards, a screen on the wall."""
    rng = site.rng
    table = site.middle(tables.table(rng, "conference"), 0.6, tries=14)
    if table:
        kind = (seats.office_chair, seats.cantilever_chair, seats.dining_chair, seats.shell_chair)[int(rng.integers(4))]
        chairs_around(site, table, rng.uniform(0.6, 1.0), kind)
        clutter_on(site, table, _TABLE_CLUTTER, 2 * density)
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


def study_hall(site: Site, density: float) -> None:
    """Several tables with chairs, or rows of armchairs: a lounge, canteen or classroom."""
    rng = site.rng
    kind = (seats.dining_chair, seats.shell_chair, seats.office_chair, seats.cantilever_chair)[int(rng.integers(4))]
    for _ in range(int(np.clip(site.plan.area / rng.uniform(5, 10), 1, 6))):
        table = site.middle(tables.table(rng, str(rng.choice(["dining", "dining", "coffee"]))), 0.5)
        if table:
            chairs_around(site, table, rng.uniform(0.3, 0.9), kind)
            clutter_on(site, table, _TABLE_CLUTTER, 1.2 * density)
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
    if site.rng.random() < 0.55:
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
    ("bedroom", bedroom, 0.2, (8, 24)), ("living room", living_room, 0.2, (11, 42)), ("kitchen", eat_in_kitchen, 0.13, (5, 20)),
    ("bathroom", bathroom, 0.14, (3, 9)), ("office", office, 0.12, (8, 40)), ("conference room", conference, 0.05, (14, 42)),
    ("study hall", study_hall, 0.05, (18, 55)), ("store", storage_room, 0.05, (6, 26)), ("studio", studio, 0.06, (16, 45)),
)  # fmt: skip
