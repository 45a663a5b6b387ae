"""Class names of the procedural scenes and of public data sets, in the fixed order of their ids."""

from __future__ import annotations

SCANNET20 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "desk", "curtain", "refrigerator", "shower curtain", "toilet", "sink", "bathtub", "other furniture",
)  # fmt: skip
# NYU40 ids of SCANNET20, in its order; every other NYU40 id is ignored by the benchmark.
SCANNET20_NYU40 = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)

# The classes that `rooms.py` builds. The first 19 are ScanNet's; "other furniture" is not a thing one can model.
PROCEDURAL = SCANNET20[:19] + (
    "ceiling", "lamp", "nightstand", "box", "plant", "television", "monitor", "trash can", "pillow", "person",
    "backpack", "bag", "stool", "bench", "column", "radiator", "whiteboard", "dresser", "mirror", "books", "clothes",
    "keyboard", "laptop", "shelf", "microwave", "oven", "washing machine", "bottle", "cup", "shoes", "towel",
    "ottoman", "piano", "printer", "fan", "stairs", "blinds", "suitcase", "rug",
)  # fmt: skip
