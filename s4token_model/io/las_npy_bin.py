"""NumPy arrays, KITTI's .bin and LAS/LAZ, each read as {field: (H,) or (H, n)}."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.io import laz_unpacker, limits
from s4token_model.io.errors import error, looks_like, truncated

MAX_COLUMNS = 64  # of an array with fewer points than that


def read_bin(path: Path) -> dict[str, np.ndarray]:
    """Read KITTI's float32 x y z intensity; nuScenes' .pcd.bin has a fifth column, the ring."""
    names = ["x", "y", "z", "intensity"] + (["ring"] if path.name.endswith(".pcd.bin") else [])
    size = path.stat().st_size
    if size % (4 * len(names)):
        found = f"{size} bytes are no whole number of points of {len(names)} float32 ({', '.join(names)})"
        raise error(path, found, "the file is truncated or of another type")
    values = np.fromfile(path, "<f4").reshape(-1, len(names))
    finite = values[np.isfinite(values[:, :3]).all(axis=1), :3]
    if not len(finite) or not (np.abs(finite) < 1e6).all():
        raise error(path, "no coordinates within 1,000 km", f"this is not KITTI's {', '.join(names)} in float32")
    return {name: values[:, i] for i, name in enumerate(names)}


def read_npy(path: Path) -> tuple[dict[str, np.ndarray], int, int]:
    """Return ({field: (H,)}, width, height) of a structured array or a plain one (N, 3+) or (height, width, 3+).

    The columns of a plain array are x y z, then colors or normals in columns 3 to 5, the rest column_<i>.
    """
    try:
        values = limits.load_npy(path)
    except Exception as reason:  # NumPy parses the header as Python, which can fail in many ways
        found = f"found {looks_like(path)} that cannot be read ({reason})"
        raise error(path, found, "save a plain array of numbers") from None
    if not isinstance(values, np.ndarray):
        raise error(path, "found several arrays", "save one array of numbers with np.save")
    if values.dtype.names:
        flat = values.reshape(-1)
        fields = {name: flat[name] for name in values.dtype.names}
    else:
        _check_plain(path, values)
        flat = values.reshape(-1, values.shape[-1])
        fields = {name: flat[:, i] for i, name in enumerate(_column_names(flat))}
    height = values.shape[0] if values.ndim == (2 if values.dtype.names else 3) else 1
    return fields, len(flat) // max(height, 1), height


def _check_plain(path: Path, values: np.ndarray) -> None:
    """Raise ValueError unless the last axis of a plain array holds x, y, z and maybe more, the others points."""
    *points, columns = values.shape or (0,)
    found = f"found an array of shape {values.shape} and type {values.dtype}"
    if len(points) not in (1, 2) or columns < 3 or values.dtype.kind not in "fiu":
        raise error(path, found, "a cloud is (N, 3) numbers or more columns, or a structured array with x, y and z")
    if len(points) == 2 and values.dtype == np.uint8:
        raise error(path, found, "this is a picture; save coordinates (height, width, 3) as floats")
    if 3 <= max(points) < columns or (columns > MAX_COLUMNS and min(points) <= MAX_COLUMNS):
        advice = "array.T" if len(points) == 1 else "np.moveaxis(array, AXIS, -1), AXIS being that of x, y and z"
        raise error(path, f"shape {values.shape} looks transposed", f"save {advice}")


def _column_names(values: np.ndarray) -> list[str]:
    """Name the columns of a plain array: columns 3 to 5 are normals if any is negative, else colors."""
    width, names = values.shape[1], ["x", "y", "z"]
    if width == 4:
        names += ["intensity"]
    elif width >= 6:
        names += ["normal_x", "normal_y", "normal_z"] if (values[:, 3:6] < 0).any() else ["red", "green", "blue"]
    return names + [f"column_{i}" for i in range(len(names), width)]


def read_las(path: Path) -> dict[str, np.ndarray]:
    """Read LAS or LAZ with every dimension; x, y, z are float64 with scale and offset applied. Needs laspy."""
    _check_las(path)
    try:
        import laspy
    except ImportError:
        raise error(path, "reading LAS needs the package laspy", "pip install 'laspy[lazrs]'") from None
    try:
        with limits.open_sized(path) as handle:
            header = laspy.LasHeader.read_from(handle, read_evlrs=False)
        step, kind = header.point_format.size, header.point_format.dtype()
    except Exception as reason:  # laspy raises many types on broken files
        raise error(path, f"cannot be read ({reason})", "copy it again") from None
    count, body = header.point_count, path.stat().st_size - header.offset_to_point_data
    if header.are_points_compressed:
        values = np.frombuffer(_unpack_laz(path, header), kind, count)
    elif step * count > body:
        raise truncated(path, count, body // step)
    else:
        values = np.fromfile(path, kind, count, offset=header.offset_to_point_data)
    points = laspy.ScaleAwarePointRecord(values, header.point_format, header.scales, header.offsets)
    las = laspy.LasData(header, points)
    others = [name for name in las.point_format.dimension_names if name not in "XYZ"]  # X, Y, Z are the raw integers
    return {name: np.asarray(las[name]) for name in ("x", "y", "z", *others)}


def _check_las(path: Path) -> None:
    """Raise ValueError on a header or records that do not fit the file; laspy loops or allocates on some."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(375)
        if not head.startswith(b"LASF"):
            raise error(path, f"found {looks_like(head)}", "a LAS file begins with LASF")
        if len(head) < 227:
            raise error(path, f"truncated: {len(head)} bytes are no LAS header", "copy it again")
        header, offset, records = struct.unpack_from("<HII", head, 94)
        damaged = error(path, "truncated, or its LAS header is damaged", "copy it again")
        if not 227 <= header <= offset <= size or header + 54 * records > offset:
            raise damaged
        at = header
        for _ in range(records):  # a record: 2 reserved bytes, user 16, id 2, length 2, description 32
            handle.seek(at + 20)
            at += 54 + struct.unpack("<H", handle.read(2))[0]
            if at > offset:
                raise damaged


def _unpack_laz(path: Path, header: Any) -> Any:
    """Return a buffer of the points of a LAZ file, of which laspy has read the header."""
    records = header.vlrs.get("LasZipVlr")
    if not records:
        raise error(path, "LAZ without its LASzip record", "the file is damaged, copy it again")
    record, step, count = records[0].record_data, header.point_format.size, header.point_count
    if record[:2] == b"\x01\x00":  # compressor: point by point, without chunks
        fix = "convert it with LAStools (laszip -i old.laz -o new.laz) or PDAL"
        raise error(path, "LAZ of LASzip 1, an old compression that is not supported", fix)
    limits.check_unpacked(path, step * count, path.stat().st_size - header.offset_to_point_data)
    try:
        return laz_unpacker.unpack(path, header.offset_to_point_data, record, step, count)
    except ValueError as reason:
        raise error(path, f"cannot be read ({reason})", "copy it again") from None
