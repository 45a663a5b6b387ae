"""Things by class: from a bank of CAD models where there is one, else from the tables of pieces."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from s4token_model.procedural.classes import INDOOR, PARTS, STRUCTURE
from s4token_model.procedural.mesh import centered, join
from s4token_model.procedural.pieces import Maker
from s4token_model.procedural.shape_bank import ShapeBank
from s4token_model.procedural.types import Size, Thing

THINGS = tuple(name for name in INDOOR if name not in STRUCTURE)
OWN_KINDS = frozenset({"hollow", "worktop", "opened", "basin", "tray", "closet"})  # made to fit, never of a bank
CYCLES = {"bicyclist": "bicycle", "motorcyclist": "motorcycle"}
# Parts that are of another class than the thing that they stand with.
PARTS_OF_OTHERS = {
    "traffic sign": {"pole": "pole"}, "traffic light": {"pole": "pole"}, "vegetation": {"stem": "tree trunk"},
}  # fmt: skip


@cache
def tables() -> Maker:
    """The tables of rooms and streets, parsed once."""
    return Maker(*(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("rooms.txt", "streets.txt")))


def make_thing(name: str, rng: np.random.Generator, shapes: ShapeBank | None = None, kind="", size=None) -> Thing:
    """A random thing of class `name`, base at z = 0, centered in x and y, its front facing -y.

    It is of a `kind` and a size (width, depth, height) m, where these are given. Most are of the bank `shapes`, if
    there is one that has such a shape. Raises ValueError when `name` is not one of THINGS.
    """
    if name not in THINGS:
        raise ValueError(f"no procedural shape for {name!r}; choose one of {', '.join(THINGS)}")
    return centered(_draw(name, rng, shapes, kind, size))


def make_outdoors(
    name: str, rng: np.random.Generator, shapes: ShapeBank | None = None, kind="", size: Size | None = None
) -> list[Thing]:
    """What stands on a street as one: a car, a sign and its pole, somebody on a bicycle; the base at z = 0."""
    if name in CYCLES:
        cycle = _draw(CYCLES[name], rng, shapes, "", None)
        width, depth, height = np.ptp(cycle.vertices, axis=0).tolist()
        pair = tables().draw(name, rng, "", (width, depth, height)), cycle
        parts = [np.array([PARTS.index(part) for part in t.parts], np.int16)[t.part] for t in pair]
        vertices, triangles = join([(t.vertices, t.triangles) for t in pair])
        color = np.concatenate([t.color for t in pair])
        return [Thing(name, pair[0].attributes, PARTS, vertices, triangles, np.concatenate(parts), color)]
    return split(_draw(name, rng, shapes, kind, size))


def split(thing: Thing) -> list[Thing]:
    """A thing and, before it, those of its parts that are of another class: the pole of a sign, the trunk of a tree."""
    others = PARTS_OF_OTHERS.get(thing.name, {})
    owner = np.array([others.get(part, thing.name) for part in thing.parts])[thing.part]
    return [_some(thing, owner == name, name) for name in (*others.values(), thing.name) if (owner == name).any()]


def _draw(name: str, rng: np.random.Generator, shapes: ShapeBank | None, kind: str, size: Size | None) -> Thing:
    thing = None
    if shapes and kind not in OWN_KINDS:
        thing = shapes.draw(name, rng, kind, size, tables().limits(name, kind) if size is None else None)
    return thing or tables().draw(name, rng, kind, size)


def _some(thing: Thing, keep: np.ndarray, name: str) -> Thing:
    """The triangles `keep` (T,) of a thing, as one of class `name`."""
    used, index = np.unique(thing.triangles[keep], return_inverse=True)
    words = thing.attributes if name == thing.name else ()
    triangles = index.reshape(-1, 3).astype(np.int32)
    return Thing(name, words, thing.parts, thing.vertices[used], triangles, thing.part[keep], thing.color[keep])
