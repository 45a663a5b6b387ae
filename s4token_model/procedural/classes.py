"""Class names of the procedural scenes and of public data sets, in the fixed order of their ids."""

from __future__ import annotations

from s4token_model.constants import SCANNET20

# The classes of rooms. The first 19 are ScanNet's; "other furniture" cannot be modeled.
INDOOR = SCANNET20[:19] + (
    "ceiling", "lamp", "nightstand", "box", "plant", "television", "monitor", "trash can", "pillow", "person",
    "backpack", "bag", "stool", "bench", "column", "radiator", "whiteboard", "dresser", "mirror", "books", "clothes",
    "keyboard", "laptop", "shelf", "microwave", "oven", "washing machine", "bottle", "cup", "shoes", "towel",
    "ottoman", "piano", "printer", "fan", "stairs", "blinds", "suitcase", "rug",
)  # fmt: skip

# The classes of streets, beside persons, trash cans and other things of INDOOR.
STREET = (
    "road", "parking", "sidewalk", "terrain", "traffic island", "building", "fence", "car", "truck", "bus", "trailer",
    "bicycle", "motorcycle", "bicyclist", "motorcyclist", "vegetation", "tree trunk", "pole", "traffic sign",
    "traffic light",
)  # fmt: skip

# What lies underfoot there.
GROUND = frozenset({"road", "parking", "sidewalk", "terrain", "traffic island"})

# All classes of the procedural scenes, which their labels index. New ones are appended: ids never change.
PROCEDURAL = INDOOR + STREET

# SemanticKITTI's classes (datasets/semantickitti.NAMES) as classes of PROCEDURAL; what is left is unlabeled there.
SEMANTICKITTI_PROCEDURAL = {
    "car": ("car",), "bicycle": ("bicycle",), "motorcycle": ("motorcycle",), "truck": ("truck",),
    "other vehicle": ("bus", "trailer"), "person": ("person",), "bicyclist": ("bicyclist",),
    "motorcyclist": ("motorcyclist",), "road": ("road",), "parking": ("parking",), "sidewalk": ("sidewalk",),
    "other ground": ("traffic island",), "building": ("building",), "fence": ("fence",),
    "vegetation": ("vegetation",), "trunk": ("tree trunk",), "terrain": ("terrain",), "pole": ("pole",),
    "traffic sign": ("traffic sign",),
}  # fmt: skip

# Furniture of PROCEDURAL that ScanNet's benchmark calls "other furniture".
OTHER_FURNITURE = ("nightstand", "dresser", "shelf", "stool", "bench", "ottoman", "piano")

# What a room is made of; the rest of INDOOR are things that `catalog.make_thing` builds.
STRUCTURE = ("wall", "floor", "ceiling")

# Part names of every Thing, in the fixed order of their ids in a Scene.
PARTS = (
    "whole", "seat", "back", "arm", "leg", "base", "top", "frame", "drawer", "door", "shelf", "handle", "mattress",
    "headboard", "blanket", "pillow", "shade", "pole", "bowl", "tank", "lid", "basin", "tap", "panel", "glass", "sill",
    "fabric", "screen", "stand", "body", "head", "foot", "strap", "pot", "leaf", "stem", "books", "keys", "step",
    "wheel", "blade", "pedal", "cap", "rail", "content", "side", "ladder",
)  # fmt: skip


def scannet20_ids(missing: int) -> list[int]:
    """The id in SCANNET20 of each class of PROCEDURAL, which begins as it does; `missing` for what it does not name."""
    other = len(SCANNET20) - 1
    return [k if k < other else other if name in OTHER_FURNITURE else missing for k, name in enumerate(PROCEDURAL)]
