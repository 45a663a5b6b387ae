"""Malformed PointCloud2 messages against the decoder of the node and of bags, and the labels added to the result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from s4token_model.io import pointcloud2
from s4token_model.io.pointcloud2 import Field
from scripts.fuzz import sandbox
from scripts.fuzz.outcome import Outcome

SECONDS = 20.0
BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 8: 8}  # of the datatypes of a PointField
SIZES = (0, 1, 2, 3, 7, 8, 11, 12, 13, 16, 48, 64, 255, 4096, 65536, 2**31 - 1, 2**31, 2**32 - 1)
NAMES = (
    "x",
    "y",
    "z",
    "rgb",
    "rgba",
    "intensity",
    "label",
    "r",
    "g",
    "b",
    "red",
    "green",
    "blue",
    "",
    "_",
    "X",
    "é\0",
    "x y",
)


@dataclass
class Message:
    """What the decoder reads of a sensor_msgs/PointCloud2."""

    fields: list[Field]
    width: int
    height: int
    point_step: int
    row_step: int
    is_bigendian: bool = False
    is_dense: bool = True
    data: bytes = b""
    header: Any = field(default=None, repr=False)


def run(count: int, seed: int, out: Path) -> Outcome:
    """Try `count` messages."""
    return sandbox.run(
        sandbox.Trial(lambda number: make(Random(f"{seed}:{number}")), attempt, keep, SECONDS), count, seed, out
    )


def make(random: Random) -> Message:
    """Make a well-formed message, and damage none to four of its values."""
    fields, step = [], 0
    names = ["x", "y", "z", *random.choices(NAMES, k=random.choice((0, 0, 1, 1, 2, 5)))]
    random.random() < 0.2 and random.shuffle(names)
    for name in names:
        datatype, count = random.choice((7, 7, 7, 8, random.randint(1, 8))), random.choice((1, 1, 1, 1, 0, 3))
        fields.append(Field(name, step, datatype, count))
        step += BYTES[datatype] * max(count, 1) + random.choice((0, 0, 0, 1, 4))
    height, width = random.choice((1, 1, 1, 2, 5)), random.choice((0, 1, 4, 20))
    row = step * width + random.choice((0, 0, 0, 1, 12))
    data = random.randbytes(row * height) if random.random() < 0.7 else bytes(row * height)
    message = Message(fields, width, height, step, row, random.random() < 0.1, data=data)
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        random.choice(_DAMAGES)(message, random)
    return message


def _set_size(message: Message, random: Random) -> None:
    setattr(message, random.choice(("width", "height", "point_step", "row_step")), random.choice(SIZES))


def _set_field(message: Message, random: Random) -> None:
    if message.fields:
        at = random.randrange(len(message.fields))
        value: dict[str, Any] = {
            "name": random.choice(NAMES),
            "offset": random.choice(SIZES),
            "datatype": random.randrange(256) if random.random() < 0.3 else random.randint(1, 8),
            "count": random.choice(SIZES),
        }
        chosen = random.choice(list(value))
        message.fields[at] = message.fields[at]._replace(**{chosen: value[chosen]})


def _add_field(message: Message, random: Random) -> None:
    added = Field(random.choice(NAMES), random.choice(SIZES[:10]), random.randint(1, 8), random.choice((1, 1, 0, 3)))
    message.fields[random.randint(0, len(message.fields)) : 0] = [added] * random.choice((1, 1, 2, 40))


def _remove_field(message: Message, random: Random) -> None:
    if message.fields:
        del message.fields[random.randrange(len(message.fields))]


def _set_data(message: Message, random: Random) -> None:
    length = random.choice((0, 1, len(message.data) // 2, max(len(message.data) - 1, 0)))
    message.data = random.choice(
        (message.data[:length], message.data + b"\0" * random.choice(SIZES[:14]), b"\xff" * length)
    )


def _set_values(message: Message, random: Random) -> None:
    values = np.array([random.choice((np.nan, np.inf, -np.inf, 3.4e38, 1e-45, 0, -0.0)) for _ in range(16)], "<f4")
    message.data = (values.tobytes() * (len(message.data) // values.nbytes + 1))[: len(message.data)]


_DAMAGES = (_set_size, _set_size, _set_field, _set_field, _add_field, _remove_field, _set_data, _set_values)


def attempt(message: Message, scratch: Path) -> None:
    """Decode a message as the node does, and append what labeling adds; ValueError when it is refused."""
    m = message
    points = pointcloud2.decode(m.fields, m.data, m.width, m.height, m.point_step, m.row_step, m.is_bigendian)
    xyz = pointcloud2.xyz(points)
    pointcloud2.rgb(points)
    assert len(points) == m.width * m.height and xyz.shape == (len(points), 3)
    added = {name: np.zeros(len(points), code) for name, code in (("label", "u4"), ("confidence", "f4"), ("rgb", "f4"))}
    out = pointcloud2.append(points, added)
    assert len(out) == len(points)
    pointcloud2.layout(out)


def keep(message: Message, path: Path) -> None:
    """Write a failing message as JSON."""
    values = {k: v.hex() if isinstance(v, bytes) else v for k, v in vars(message).items()}
    path.with_name(f"{path.name}.json").write_text(json.dumps(values))
