"""NumPy arrays, KITTI's .bin and LAS/LAZ, each read as {field: (H,) or (H, n)}."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.io import laz_unpacker, limits
from s4token_model.io.column_guess import likely_width, names_of_three
from s4token_model.io.contents import Contents
from s4token_model.io.errors import error, looks_like, truncated
from s4token_model.io.pointcloud2 import MAX_UNIT

MAX_COLUMNS = 64  # of an array with fewer points than that
EPSG_KEYS = (3072, 2048, 4096)  # GeoTIFF: projected, geographic and vertical coordinate system


def read_bin(path: Path, columns: int | None = None) -> Contents:
    """Read float32 rows of `columns` values: KITTI's 4 (x y z intensity) unless given, 5 (and ring) in a .pcd.bin.

    ValueError when the values look like rows of another length, which these files do not tell.
    """
    expected = columns or (5 if path.name.lower().endswith(".pcd.bin") else 4)
    size = path.stat().st_size
    values = np.fromfile(path, "<f4")
    width = expected if columns or size % 4 else likely_width(values, expected)
    if size % (4 * expected) or width != expected:
        found = f"{size} bytes are no whole number of points of {expected} float32"
        found = found if size % (4 * expected) else f"{expected} float32 per point make no sense here"
        if width != expected:
            found = f"{found}; the points look like {width} float32 each"
            raise error(path, found, f"`s4token label --bin-columns {width}` reads them, in Python bin_columns={width}")
        fix = "the file is truncated or of another type; `s4token label --bin-columns N` reads points of N float32"
        raise error(path, found, fix)
    values = values.reshape(-1, expected)
    finite = np.abs(values[np.isfinite(values[:, :3]).all(axis=1), :3])
    tiny = (finite > 0) & (finite < 1e-20)  # integers and 64-bit floats look like that
    if not len(finite) or not (finite < 1e6).all() or tiny.mean() > 0.01:
        raise error(path, "no coordinates within 1,000 km", f"these are not points of {expected} float32, x y z first")
    names = ["x", "y", "z", *names_of_bin(values[:, 3:], path.name.lower().endswith(".pcd.bin"))]
    return Contents({name: values[:, i] for i, name in enumerate(names)})


def names_of_bin(values: np.ndarray, is_nuscenes: bool) -> list[str]:
    """Name the columns of a .bin file behind x, y and z: colors if three can only be these, else intensity first."""
    width = values.shape[1]
    if width == 3 and names_of_three(values) == ["red", "green", "blue"] and np.nanmax(values) > MAX_UNIT:
        return ["red", "green", "blue"]
    return ["intensity", "ring" if is_nuscenes else "column_4", *(f"column_{i}" for i in range(5, 3 + width))][:width]


def read_npy(path: Path) -> Contents:
    """Read a structured array or a plain one, (N, 3) or (height, width, 3) or with more columns.

    The columns of a plain array are x y z, then intensity if it is one more, colors or normals if columns 3 to 5 can be
    these, the rest column_<i>.
    """
    try:
        values = limits.load_npy(path)
    except Exception as reason:  # NumPy parses the header as Python, which can fail in many ways
        found = f"found {looks_like(path)} that cannot be read ({reason})"
        raise error(path, found, "save a plain array of numbers") from None
    if not isinstance(values, np.ndarray):
        raise error(path, "found several arrays", "save one array of numbers with np.save")
    if values.dtype.names:
        flat, notes = values.reshape(-1), ()
        fields = _leaves(flat)
    else:
        _check_plain(path, values)
        flat = values.reshape(-1, values.shape[-1])
        names, notes = _column_names(flat)
        fields = {name: flat[:, i] for i, name in enumerate(names)}
    height = values.shape[0] if values.ndim == (2 if values.dtype.names else 3) else 1
    return Contents(fields, len(flat) // max(height, 1), height, notes=notes)


def _leaves(values: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the columns of a structured array; fields of fields are called <outer>_<inner>."""
    columns = {}
    for name in values.dtype.names or ():
        if values[name].dtype.names:
            columns |= _leaves(values[name], f"{prefix}{name}_")
        else:
            columns[f"{prefix}{name}"] = values[name]
    return columns


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


def _column_names(values: np.ndarray) -> tuple[list[str], tuple[str, ...]]:
    """Name the columns of a plain array (N, 3+), and say what the values of columns 3 to 5 do not tell."""
    width, names, notes = values.shape[1], ["x", "y", "z"], ()
    if width == 4:
        names += ["intensity"]
    elif width >= 6:
        names += names_of_three(values[:, 3:6])
    if width > len(names):
        first = len(names)
        notes = (f"columns {first} to {width - 1} have no names: kept as column_{first} and so on, and not used",)
        notes = notes if first == 3 else ()
    return names + [f"column_{i}" for i in range(len(names), width)], notes


def read_las(path: Path) -> Contents:
    """Read LAS or LAZ with every dimension; x, y, z are float64 with scale and offset applied. Needs laspy.

    Comments are what the header says about its coordinates, which other formats keep.
    """
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
    return Contents({name: np.asarray(las[name]) for name in ("x", "y", "z", *others)}, comments=_comments(header))


def _comments(header: Any) -> tuple[str, ...]:
    """Return lines with the version, scale, offset and coordinate system; () if laspy cannot read one of them."""
    try:
        scales, offsets = (" ".join(f"{value:.15g}" for value in v) for v in (header.scales, header.offsets))
        lines = [f"LAS {header.version} scale {scales} offset {offsets}"]
        for record in header.vlrs:
            if text := getattr(record, "string", ""):  # of a WKT record; GeoTIFF texts have `strings`
                lines.append(f"CRS {' '.join(text.rstrip(chr(0)).split())}")
            for key in getattr(record, "geo_keys", ()):
                if key.id in EPSG_KEYS and key.tiff_tag_location == 0 and 0 < key.value_offset < 32767:
                    lines.append(f"CRS EPSG:{key.value_offset}")
        return tuple(lines)
    except Exception:  # laspy raises many types, and the points are what matters
        return ()


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
