"""The memory layout of sensor_msgs/PointCloud2: bytes to structured NumPy arrays and back.

Needs no ROS installation; both the node and the bag reader use it. A cloud of H = height * width points is a structured
array of shape (H,) whose itemsize is the point_step, so that every field and every padding byte is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from s4token_model.io import field_names, point_fields
from s4token_model.io.point_fields import CODES, Field

COLOR_NAMES = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))  # any case
MAX_UNIT = 1.01  # of float colors in [0, 1], which rounding and interpolation raise above 1
BLOCK = 8192  # points that are copied at once: some 0.4 MB, which stays in a processor's cache


def decode(
    fields: Iterable[Any], data: Any, width: int, height: int, point_step: int, row_step: int, is_bigendian: bool
) -> np.ndarray:
    """Return the points (height * width,) of a PointCloud2: a view of `data`, or a copy if rows are padded.

    Fields are renamed or left out as `notes` says. ValueError when coordinates or data are not what the message says.
    """
    count = height * width
    try:
        dtype, _ = point_fields.parse(point_fields.key(fields), int(point_step), bool(is_bigendian))
    except ValueError:
        if count:
            raise
        dtype = point_fields.NO_FIELDS
    if not count:
        return np.empty(0, dtype if field_names.axes(dtype.names or ()) else point_fields.NO_FIELDS)
    packed = width * point_step
    raw = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
    if len(raw) < height * packed:
        found = f"data holds {len(raw)} bytes, but {height} x {width} points need {height * packed}"
        raise ValueError(f"{found}; the cloud is cut short")
    step = _row_step(len(raw), packed, height, row_step)
    if step == packed:
        return raw[: height * packed].view(dtype)
    rows = np.lib.stride_tricks.as_strided(raw, (height, packed), (step, 1))
    return np.ascontiguousarray(rows).reshape(-1).view(dtype)


def _row_step(size: int, packed: int, height: int, row_step: int) -> int:
    """Return the bytes from one row to the next. Drivers leave row_step 0, or set it to that of another cloud.

    `size` bytes hold `height` rows of at least `packed` bytes. Without padding row_step says nothing.
    """
    if height == 1 or size == height * packed:
        return packed
    if row_step >= packed and (height - 1) * row_step + packed <= size:
        return row_step
    if row_step % height == 0 and height * packed <= row_step <= size:  # that of the whole cloud; bytes may follow
        return row_step // height
    if size % height == 0:
        return size // height
    raise ValueError(
        f"row_step is {row_step} bytes, but {height} rows of {packed} bytes are in {size}; fix the publisher"
    )


def notes(fields: Iterable[Any], point_step: int) -> tuple[str, ...]:
    """Return what the user should know about how `decode` reads fields: renamed, left out, kept as bytes."""
    try:
        return point_fields.parse(point_fields.key(fields), int(point_step), False)[1]
    except ValueError:  # of an empty cloud, as `decode` raises it for others
        return ()


def names(points: np.ndarray | Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the field names of a structured array, or of a dict of columns."""
    return tuple(points) if isinstance(points, Mapping) else points.dtype.names or ()


def xyz(points: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
    """Return positions (H, 3), C-contiguous: float64 if x, y or z is float64 or a 32-bit integer, else float32.

    Coordinates are fields x, y and z in any usual spelling, or one field of three values, see field_names.VECTORS.
    """
    columns = _coordinates(points)
    if any(column.ndim != 1 for column in columns.values()):
        raise ValueError("fields x, y and z must hold one number per point (count 1)")
    if bad := [f"{name} ({column.dtype})" for name, column in columns.items() if column.dtype.kind not in "fiu"]:
        raise ValueError(f"coordinates that are no real numbers: {', '.join(bad)}; store x, y and z as float32")
    wide = any(np.result_type(column.dtype, np.float32).itemsize > 4 for column in columns.values())
    out = np.empty((len(next(iter(columns.values()))), 3), np.float64 if wide else np.float32)
    _assign(list(zip(out.T, columns.values(), strict=True)))
    return out


def with_xyz(points: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return a copy of a structured array (H,) at other positions (H, 3); ValueError if it stores integers."""
    out = points.copy()
    for name, column, values in zip(*zip(*_coordinates(out).items(), strict=True), positions.T, strict=True):
        if column.dtype.kind != "f":
            raise ValueError(f"coordinate {name} is {column.dtype}, and would be rounded; store it as float32")
        column[...] = values
    return out


def _coordinates(points: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns of x, y and z in this order by their names."""
    present = names(points)
    if found := field_names.axes(present):
        return {name: points[name] for name in found.values()}
    vectors = (name for name in present if name.lower() in field_names.VECTORS)
    for name in vectors:
        if points[name].ndim == 2 and points[name].shape[1] == 3:
            return {f"{name}[{i}]": points[name][:, i] for i in range(3)}
    missing = next(letter for letter in "xyz" if letter not in present)
    there = ", ".join(present[:20]) + (f" and {len(present) - 20} more" if len(present) > 20 else "") or "none"
    raise ValueError(f"no field {missing!r}; fields there are: {there}. A cloud needs x, y and z")


def standard_columns(columns: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return columns in which the coordinates are called x, y and z, and the note about it."""
    found = _coordinates(columns)
    if not field_names.axes(columns):  # one field of three values
        vector = next(iter(found)).removesuffix("[0]")
        rest = {name: column for name, column in columns.items() if name != vector}
        xyz_columns = dict(zip("xyz", found.values(), strict=True))
        return xyz_columns | rest, (f"field {vector!r} is split into x, y and z",)
    new = field_names.standard(tuple(columns))
    return dict(zip(new, columns.values(), strict=True)), field_names.rename_notes(tuple(columns), new)


def rgb(points: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return colors (H, 3) float32 in [0, 1], or None when there are none.

    Fields are `rgb` or `rgba`, packed as 0xAARRGGBB in 4 bytes or as three values; or COLOR_NAMES, see `unit_colors`.
    """
    present = {name.lower(): name for name in reversed(names(points))}
    for name in ("rgb", "rgba"):
        if name in present and (colors := _packed(points[present[name]])) is not None:
            return colors
    for triple in COLOR_NAMES:
        if all(n in present and _is_number(points[present[n]]) for n in triple):
            return unit_colors(np.stack([points[present[n]] for n in triple], axis=1))
    return None


def _is_number(column: np.ndarray) -> bool:
    return column.ndim == 1 and column.dtype.kind in "fiu"


def _packed(column: np.ndarray) -> np.ndarray | None:
    if column.ndim == 2 and column.shape[1] >= 3 and column.dtype.kind in "fiu":
        return unit_colors(column[:, :3])
    if not _is_number(column) or column.dtype.itemsize != 4:
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
        scale = 255.0 if top > MAX_UNIT else 1.0
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
    _assign([(out[name], column) for name, column in columns.items()])
    return out


def append(points: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a new structured array (H,) with `columns`, each (H,), appended to the fields of `points`.

    Old bytes, padding included, keep offsets and byte order; old fields with the name of a column are `renamed`.
    """
    step, fields = points.dtype.itemsize, dict(points.dtype.fields or ())
    spec = [(new, *fields[name][:2]) for name, new in renamed(names(points), columns).items()]
    big, end = is_bigendian(points), step
    for name, column in columns.items():
        if column.shape != points.shape:
            raise ValueError(f"column {name!r} has shape {column.shape}, the cloud {points.shape}")
        kind = column.dtype.newbyteorder(">" if big else "<")
        end = -(-end // kind.itemsize) * kind.itemsize  # natural alignment, as in PCL's structs
        spec.append((name, kind, end))
        end += kind.itemsize
    out: Any = np.zeros(len(points), point_fields.dtype_of(spec, -(-end // 4) * 4))
    old = out.view(point_fields.dtype_of([("old", f"V{step}", 0)], out.itemsize))["old"]
    _assign([(old, points.view(f"V{step}")), *((out[name], column) for name, column in columns.items())])
    return out


def _assign(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Copy the second array of each pair to the first, block by block: strided columns share cache lines."""
    for start in range(0, len(pairs[0][0]), BLOCK):
        for target, values in pairs:
            target[start : start + BLOCK] = values[start : start + BLOCK]


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
    dtypes = dict(points.dtype.fields or ())
    for name in points.dtype.names or ():
        dtype, offset = dtypes[name][:2]
        code = dtype.base.str[1:]
        if code not in CODES:
            raise ValueError(f"field {name!r} is {dtype.base}; PointField has integers, float32, float64 and bool")
        fields.append(Field(name, offset, CODES[code], math.prod(dtype.shape)))
    return fields, points.dtype.itemsize, is_bigendian(points)


def is_bigendian(points: np.ndarray) -> bool:
    """Return whether the fields of a structured array are big-endian. ValueError when both orders are mixed."""
    orders = {f[0].base.str[0] for f in (points.dtype.fields or {}).values()} - {"|"}
    if len(orders) > 1:
        raise ValueError("the fields mix big- and little-endian values; a PointCloud2 has one byte order")
    return orders == {">"}
