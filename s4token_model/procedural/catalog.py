"""The catalog: which function makes which class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s4token_model.procedural import furniture_appliances as devices
from s4token_model.procedural import furniture_bathroom as bath
from s4token_model.procedural import furniture_beds as beds
from s4token_model.procedural import furniture_seating as seats
from s4token_model.procedural import furniture_shelves as shelves
from s4token_model.procedural import furniture_stools as stools
from s4token_model.procedural import furniture_storage as storage
from s4token_model.procedural import furniture_tables as tables
from s4token_model.procedural import furniture_wall_mounted as walls
from s4token_model.procedural import objects_household, objects_personal
from s4token_model.procedural.classes import INDOOR, STRUCTURE
from s4token_model.procedural.types import Thing

_MAKERS: dict[str, Callable[[np.random.Generator], Thing]] = {
    "cabinet": storage.cabinet,
    "bed": beds.bed,
    "chair": seats.chair,
    "sofa": seats.sofa,
    "table": tables.table,
    "door": walls.door,
    "window": walls.window,
    "bookshelf": shelves.bookshelf,
    "picture": walls.picture,
    "counter": tables.counter,
    "desk": tables.desk,
    "curtain": walls.curtain,
    "refrigerator": devices.refrigerator,
    "shower curtain": bath.shower_curtain,
    "toilet": bath.toilet,
    "sink": bath.sink,
    "bathtub": bath.bathtub,
    "lamp": objects_household.lamp,
    "nightstand": storage.nightstand,
    "box": objects_household.carton,
    "plant": objects_household.plant,
    "television": devices.television,
    "monitor": devices.monitor,
    "trash can": objects_household.trash_can,
    "pillow": beds.pillow,
    "person": objects_household.person,
    "backpack": objects_personal.backpack,
    "bag": objects_personal.bag,
    "stool": stools.stool,
    "bench": stools.bench,
    "column": objects_household.column,
    "radiator": bath.radiator,
    "whiteboard": walls.whiteboard,
    "dresser": storage.dresser,
    "mirror": walls.mirror,
    "books": shelves.books,
    "clothes": objects_personal.clothes,
    "keyboard": devices.keyboard,
    "laptop": devices.laptop,
    "shelf": shelves.shelf,
    "microwave": devices.microwave,
    "oven": devices.oven,
    "washing machine": bath.washing_machine,
    "bottle": objects_household.bottle,
    "cup": objects_household.cup,
    "shoes": objects_personal.shoes,
    "towel": bath.towel,
    "ottoman": stools.ottoman,
    "piano": devices.piano,
    "printer": devices.printer,
    "fan": devices.fan,
    "stairs": objects_household.stairs,
    "blinds": walls.blinds,
    "suitcase": objects_personal.suitcase,
    "rug": objects_household.rug,
}

THINGS = tuple(name for name in INDOOR if name not in STRUCTURE)


def make_thing(name: str, rng: np.random.Generator) -> Thing:
    """A random thing of class `name`, base at z = 0, centered in x and y, its front facing -y.

    Raises ValueError when `name` is not one of THINGS.
    """
    if name not in _MAKERS:
        raise ValueError(f"no procedural shape for {name!r}; choose one of {', '.join(THINGS)}")
    return _MAKERS[name](rng)
