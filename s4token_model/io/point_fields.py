"""The fields of sensor_msgs/PointCloud2 as a NumPy dtype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from s4token_model.io import field_names

DATATYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"} | {
    **{9: "i8", 10: "u8", 11: "b1"}  # of PCL; PointField itself ends at 8
}
CODES = {code: number for number, code in DATATYPES.items()}
NO_FIELDS = np.dtype([(name, "<f4") for name in "xyz"])  # of an empty cloud that names none


class Field(NamedTuple):
    """One sensor_msgs/PointField: `offset` in bytes, `datatype` a key of DATATYPES, `count` values per point."""

    name: str
    offset: int
    datatype: int
    count: int = 1  # type: ignore[assignment]  # the name PointField gives it


def key(fields: Iterable[Any]) -> tuple[tuple[str, int, int, int], ...]:
    """Return (name, offset, datatype, count) of PointFields; drivers that leave count 0 mean 1."""
    return tuple((f.name, int(f.offset), int(f.datatype), int(f.count) or 1) for f in fields)


@lru_cache(maxsize=64)
def parse(
    fields: tuple[tuple[str, int, int, int], ...], point_step: int, is_bigendian: bool
) -> tuple[np.dtype, tuple[str, ...]]:
    """Return the dtype of a point and the notes. ValueError when a coordinate is not inside of the point."""
    if point_step <= 0:
        raise ValueError(f"point_step is {point_step}; it must be the number of bytes of one point")
    fields = tuple(f for f in fields if f[0] not in field_names.PADDING)
    old = [name for name, *_ in fields]
    new = field_names.standard(old)
    needed = {*"xyz"}
    if not field_names.axes(new):
        needed |= {name for name in new if name.lower() in field_names.VECTORS}
    ends = sorted({offset for _, offset, *_ in fields} | {point_step})
    following = dict(zip(ends, ends[1:], strict=False))  # where the next field begins
    spec, lost = [], []
    for name, (_, offset, datatype, count) in zip(new, fields, strict=True):
        base = np.dtype((">" if is_bigendian else "<") + DATATYPES.get(datatype, "u1"))
        if datatype not in DATATYPES:
            reason = f"has datatype {datatype}; PointField knows 1 (int8) to 8 (float64), and PCL 9 to 11"
            count = following.get(offset, offset) - offset
        else:
            end = offset + base.itemsize * count
            reason = f"ends at byte {end}, beyond point_step {point_step}" if offset < 0 or end > point_step else ""
        if reason and name in needed:
            raise ValueError(f"field {name!r} {reason}")
        if reason:
            lost.append(f"field {name!r} {reason}: it is not used")
        if count > 0 and 0 <= offset <= point_step - base.itemsize * count:
            spec.append((name, base if count == 1 else (base, (count,)), offset))
    return dtype_of(spec, point_step), (*field_names.rename_notes(old, new), *lost)


def dtype_of(spec: Sequence[tuple[str, Any, int]], itemsize: int) -> np.dtype:
    """Return the structured dtype of fields (name, type, offset in bytes)."""
    keys = ("names", "formats", "offsets")
    layout_: Any = {key: [field[i] for field in spec] for i, key in enumerate(keys)} | {"itemsize": itemsize}
    return np.dtype(layout_)
