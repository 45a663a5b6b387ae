"""The memory layout of sensor_msgs/PointCloud2: bytes to structured NumPy arrays and back.

Needs no ROS installation; both the node and the bag reader use it. A cloud of H = height * width points is a structured
array of shape (H,) whose itemsize is the point_step, so that every field and every padding byte is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
CODES = {code: number for number, code in DATATYPES.items()}
COLOR_NAMES = (("red", "green", "blue"), ("r", "g", "b"), ("R", "G", "B"))


class Field(NamedTuple):
    """One sensor_msgs/PointField: `offset` in bytes, `datatype` 1 (int8) to 8 (float64), `count` values per point."""

    name: str
    offset: int
    datatype: int
    count: int = 1  # type: ignore[assignment]  # the name PointField gives it


def decode(
    fields: Iterable[Any], data: Any, width: int, height: int, point_step: int, row_step: int, is_bigendian: bool
) -> np.ndarray:
    """Return the points (height * width,) of a PointCloud2: a view of `data`, or a copy if rows are padded."""
    count = height * width
    layout_ = tuple((f.name, int(f.offset), int(f.datatype), int(f.count) or 1) for f in fields)
    dtype = _dtype(layout_, int(point_step), bool(is_bigendian))
    packed = width * point_step
    if height == 1 or row_step == 0:  # row_step is of no use then, and some drivers leave it 0
        row_step = packed
    if count and row_step < packed:
        raise ValueError(f"row_step is {row_step} bytes, but a row of {width} points needs {packed}; fix the publisher")
    needed = (height - 1) * row_step + packed if count else 0
    raw = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
    if len(raw) < needed:
        found = f"data holds {len(raw)} bytes, but {height} x {width} points need {needed}"
        raise ValueError(f"{found}; the cloud is cut short")
    if row_step == packed:
        return raw[:needed].view(dtype)
    rows = np.lib.stride_tricks.as_strided(raw, (height, packed), (row_step, 1))
    return np.ascontiguousarray(rows).reshape(-1).view(dtype)


@lru_cache(maxsize=64)
def _dtype(fields: tuple[tuple[str, int, int, int], ...], point_step: int, is_bigendian: bool) -> np.dtype:
    spec: list[tuple[str, Any, int]] = []
    for name, offset, datatype, count in fields:
        if datatype not in DATATYPES:
            raise ValueError(f"field {name!r} has datatype {datatype}; PointField knows 1 (int8) to 8 (float64)")
        base = np.dtype((">" if is_bigendian else "<") + DATATYPES[datatype])
        end = offset + base.itemsize * count
        if offset < 0 or end > point_step:
            raise ValueError(f"field {name!r} ends at byte {end}, beyond point_step {point_step}")
        if any(name == there[0] for there in spec):
            raise ValueError(f"field {name!r} is there twice; fields must have distinct names")
        if name:  # nameless fields are padding
            spec.append((name, base if count == 1 else (base, (count,)), offset))
    if point_step <= 0:
        raise ValueError(f"point_step is {point_step}; it must be the number of bytes of one point")
    return _dtype_of(spec, point_step)


def names(points: np.ndarray | Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the field names of a structured array, or of a dict of columns."""
    return tuple(points) if isinstance(points, Mapping) else points.dtype.names or ()


def xyz(points: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
    """Return positions (H, 3), C-contiguous: float64 if x, y or z is float64 or a 32-bit integer, else float32."""
    missing = [n for n in "xyz" if n not in names(points)]
    if missing:
        present = ", ".join(names(points)) or "none"
        raise ValueError(f"no field {missing[0]!r}; fields there are: {present}. A cloud needs x, y and z")
    columns = [points[n] for n in "xyz"]
    if any(c.ndim != 1 for c in columns):
        raise ValueError("fields x, y and z must hold one number per point (count 1)")
    if bad := [f"{n} ({points[n].dtype})" for n in "xyz" if points[n].dtype.kind not in "fiu"]:
        raise ValueError(f"coordinates that are no real numbers: {', '.join(bad)}; store x, y and z as float32")
    wide = any(np.result_type(c.dtype, np.float32).itemsize > 4 for c in columns)
    out = np.empty((len(columns[0]), 3), np.float64 if wide else np.float32)
    for i, column in enumerate(columns):
        out[:, i] = column
    return out


def rgb(points: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return colors (H, 3) float32 in [0, 1], or None when there are none.

    Fields are `rgb` or `rgba`, packed as 0xAARRGGBB in 4 bytes or as three values; or COLOR_NAMES, see `unit_colors`.
    """
    present = names(points)
    for name in ("rgb", "rgba"):
        if name in present and (colors := _packed(points[name])) is not None:
            return colors
    for triple in COLOR_NAMES:
        if all(n in present and points[n].ndim == 1 for n in triple):
            return unit_colors(np.stack([points[n] for n in triple], axis=1))
    return None


def _packed(column: np.ndarray) -> np.ndarray | None:
    if column.ndim == 2 and column.shape[1] >= 3:
        return unit_colors(column[:, :3])
    if column.ndim != 1 or column.dtype.itemsize != 4:
        return None
    bits = column.view(np.dtype("u4").newbyteorder(column.dtype.byteorder))
    out = np.empty((len(bits), 3), np.float32)
    for i, shift in enumerate((16, 8, 0)):
        out[:, i] = (bits >> shift) & 255
    out /= np.float32(255)
    return out


def unit_colors(colors: np.ndarray) -> np.ndarray:
    """Scale colors (H, 3) of any number type to float32 in [0, 1]; non-finite values become 0."""
    out = np.nan_to_num(colors.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(out.max(initial=0.0))
    if colors.dtype.kind == "f":
        scale = 255.0 if top > 1 else 1.0
    else:  # 16 bits, or 8 bits in a wider type, which is common in LAS files
        scale = 255.0 if colors.dtype.itemsize == 1 or top <= 255 else 65535.0
    return np.clip(out / np.float32(scale), 0, 1)


def pack_rgb(colors: np.ndarray) -> np.ndarray:
    """Pack colors (H, 3) uint8 into (H,) float32 whose bits are 0x00RRGGBB, the convention of PCL and RViz."""
    c = colors.astype(np.uint32)
    return (c[:, 0] << 16 | c[:, 1] << 8 | c[:, 2]).view(np.float32)


def structured(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pack columns, each (H,) or (H, n), into one structured array (H,)."""
    out = np.empty(len(next(iter(columns.values()))), [(name, c.dtype, c.shape[1:]) for name, c in columns.items()])
    for name, column in columns.items():
        out[name] = column
    return out


def append(points: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a new structured array (H,) with `columns`, each (H,), appended to the fields of `points`.

    Old bytes, padding included, keep offsets and byte order; old fields with the name of a column are `renamed`.
    """
    step, fields = points.dtype.itemsize, _fields(points)
    spec = [(new, *fields[name][:2]) for name, new in renamed(names(points), columns).items()]
    big, end = is_bigendian(points), step
    for name, column in columns.items():
        if column.shape != points.shape:
            raise ValueError(f"column {name!r} has shape {column.shape}, the cloud {points.shape}")
        kind = column.dtype.newbyteorder(">" if big else "<")
        end = -(-end // kind.itemsize) * kind.itemsize  # natural alignment, as in PCL's structs
        spec.append((name, kind, end))
        end += kind.itemsize
    out: Any = np.zeros(len(points), _dtype_of(spec, -(-end // 4) * 4))
    out.view(_dtype_of([("old", f"V{step}", 0)], out.itemsize))["old"] = points.view(f"V{step}")
    for name, column in columns.items():
        out[name] = column
    return out


def _dtype_of(spec: Sequence[tuple[str, Any, int]], itemsize: int) -> np.dtype:
    """Return the structured dtype of fields (name, type, offset in bytes)."""
    keys = ("names", "formats", "offsets")
    layout_: Any = {key: [field[i] for field in spec] for i, key in enumerate(keys)} | {"itemsize": itemsize}
    return np.dtype(layout_)


def _fields(points: np.ndarray) -> Mapping[str, tuple]:
    return points.dtype.fields or {}


def renamed(old: Iterable[str], new: Iterable[str]) -> dict[str, str]:
    """Return {old name: its name} after columns named `new` are added: `input_<name>` instead of an equal name.

    A field is left out if `input_<name>` exists already: the cloud was labeled before, and the first input is kept.
    """
    old, new = tuple(old), set(new)
    kept = {}
    for name in old:
        target = f"input_{name}" if name in new else name
        if target == name or target not in old:
            kept[name] = target
    return kept


def layout(points: np.ndarray) -> tuple[list[Field], int, bool]:
    """Return (fields, point_step, is_bigendian) that describe a structured array as a PointCloud2."""
    fields = []
    for name in points.dtype.names or ():
        dtype, offset = _fields(points)[name][:2]
        code = dtype.base.str[1:]
        if code not in CODES:
            raise ValueError(f"field {name!r} is {dtype.base}; PointField has 8-32 bit integers, float32, float64")
        fields.append(Field(name, offset, CODES[code], int(np.prod(dtype.shape, dtype=int))))
    return fields, points.dtype.itemsize, is_bigendian(points)


def is_bigendian(points: np.ndarray) -> bool:
    """Return whether the fields of a structured array are big-endian. ValueError when both orders are mixed."""
    orders = {f[0].base.str[0] for f in _fields(points).values()} - {"|"}
    if len(orders) > 1:
        raise ValueError("the fields mix big- and little-endian values; a PointCloud2 has one byte order")
    return orders == {">"}
