"""PLY: ascii, binary little- and big-endian; every vertex property keeps its type, faces become triangles."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from s4token_model.io.errors import error, looks_like, truncated
from s4token_model.io.mesh_files import fan, triangulate
from s4token_model.io.pointcloud2 import structured

TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8"},
}
NAMES = {code: name for name, code in list(TYPES.items())[:8]}
BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


class _Property(NamedTuple):
    name: str
    type: str  # numpy code of the value
    length_type: str  # numpy code of a list's length; empty for a plain value


class _Element(NamedTuple):
    name: str
    rows: int
    properties: list[_Property]

    def truncated(self, path: Path, held: int) -> ValueError:
        return truncated(path, self.rows, held, f"rows of {self.name}")


def read(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return ({property: (H,)} of the vertices, triangles (T, 3) int64 or None). ValueError on a broken file."""
    blob = path.read_bytes()
    order, elements, start = _parse_header(path, blob)
    body = _Ascii(path, blob[start:]) if not order else _Binary(path, blob, start, order)
    vertices, triangles = None, None
    for element in elements:
        rows = body.read(element)
        if element.name == "vertex":
            vertices = {p.name: rows[p.name] for p in element.properties if not p.length_type}
        elif element.name == "face":
            triangles = _triangles(rows, element)
        if vertices is not None and (triangles is not None or not any(e.name == "face" for e in elements)):
            break
    if vertices is None:
        raise error(path, "the PLY header names no element vertex", "a point cloud is stored as vertices")
    return vertices, triangles


def _parse_header(path: Path, blob: bytes) -> tuple[str, list[_Element], int]:
    """Return the byte order, the elements, and the offset of the first byte behind the header."""
    if not blob.startswith((b"ply\n", b"ply\r")):
        raise error(path, f"found {looks_like(blob[:32])}", "a .ply file must begin with the line `ply`")
    end = blob.find(b"end_header")
    if end < 0:
        raise error(path, "the PLY header has no end_header line", "the file is truncated, copy it again")
    order, elements = None, []
    # One element per `element` line, followed by the lines of its properties
    for line in blob[:end].decode("ascii", "replace").splitlines():
        words = line.split()
        try:
            if words[:1] == ["format"]:
                order = BYTE_ORDERS[words[1]]
            elif words[:1] == ["element"] and int(words[2]) >= 0:
                elements.append(_Element(words[1], int(words[2]), []))
            elif words[:2] == ["property", "list"]:
                elements[-1].properties.append(_Property(words[4], TYPES[words[3]], TYPES[words[2]]))
            elif words[:1] == ["property"]:
                elements[-1].properties.append(_Property(words[2], TYPES[words[1]], ""))
            elif words and words[0] not in ("ply", "comment", "obj_info"):
                raise ValueError(words[0])
        except (KeyError, IndexError, ValueError):
            raise error(path, f"PLY header line {line!r} is not understood", "write the file again") from None
    if order is None:
        raise error(path, "the PLY header has no format line", "write the file again")
    return order, elements, blob.index(b"\n", end) + 1 if b"\n" in blob[end:] else len(blob)


class _Binary:
    """Reads elements one after the other from the bytes of a file."""

    def __init__(self, path: Path, blob: bytes, start: int, order: str):
        self.path, self.blob, self.at, self.order = path, blob, start, order

    def read(self, element: _Element) -> Any:
        """Return a structured array, or a list of rows (dicts) when the lengths of a list differ between rows."""
        dtype = self._dtype(element)
        end = self.at + dtype.itemsize * element.rows
        fits = end <= len(self.blob)
        rows = np.frombuffer(self.blob, dtype, element.rows if fits else 0, self.at)
        lists = [p for p in element.properties if p.length_type]
        if fits and all((rows[f"#{p.name}"] == rows.dtype[p.name].shape[0]).all() for p in lists):
            self.at = end
            return rows
        if not lists:
            raise element.truncated(self.path, (len(self.blob) - self.at) // dtype.itemsize)
        return [self._row(element, i) for i in range(element.rows)]

    def _dtype(self, element: _Element) -> np.dtype:
        """Return the layout of a row if every list were as long as in the first row."""
        spec, at = [], self.at
        for p in element.properties:
            if p.length_type:
                length_type = np.dtype(self.order + p.length_type)
                inside = element.rows and at + length_type.itemsize <= len(self.blob)
                length = int(np.frombuffer(self.blob, length_type, 1, at)[0]) if inside else 0
                spec += [(f"#{p.name}", length_type), (p.name, self.order + p.type, (length,))]
            else:
                spec.append((p.name, self.order + p.type))
            try:
                at = self.at + np.dtype(spec).itemsize
            except ValueError:
                raise error(self.path, f"PLY property {p.name!r} is repeated or huge", "write it again") from None
        return np.dtype(spec)

    def _row(self, element: _Element, index: int) -> dict[str, np.ndarray]:
        def length(p: _Property) -> int:
            return int(self._take(p.length_type, 1)[0]) if p.length_type else 1

        try:
            return {p.name: self._take(p.type, length(p)) for p in element.properties}
        except ValueError:
            raise element.truncated(self.path, index) from None

    def _take(self, code: str, count: int) -> np.ndarray:
        values = np.frombuffer(self.blob, self.order + code, count, self.at)
        self.at += values.nbytes
        return values


class _Ascii:
    """Reads elements one after the other from the lines of a file."""

    def __init__(self, path: Path, body: bytes):
        self.path, self.at = path, 0
        self.lines = [line for line in body.decode("ascii", "replace").splitlines() if line.strip()]

    def read(self, element: _Element) -> Any:
        """Return a structured array, or a list of rows (dicts) when the element has lists."""
        lines = self.lines[self.at : self.at + element.rows]
        self.at += element.rows
        if len(lines) < element.rows:
            raise element.truncated(self.path, len(lines))
        try:
            if not any(p.length_type for p in element.properties):
                dtype = np.dtype([(p.name, p.type) for p in element.properties])
                return np.loadtxt(lines, dtype, ndmin=1) if lines else np.empty(0, dtype)
            return [self._row(element, line.split()) for line in lines]
        except (ValueError, IndexError) as reason:
            raise error(self.path, f"bad PLY values of {element.name} ({reason})", "write the file again") from None

    def _row(self, element: _Element, words: list[str]) -> dict[str, np.ndarray]:
        row, at = {}, 0
        for p in element.properties:
            length = int(words[at]) if p.length_type else 1
            at += bool(p.length_type)
            row[p.name] = np.array([float(w) for w in words[at : at + length]]).astype(p.type)
            at += length
        return row


def _triangles(rows: np.ndarray | list, element: _Element) -> np.ndarray | None:
    name = next((p.name for p in element.properties if p.name in ("vertex_indices", "vertex_index")), None)
    if name is None or not len(rows):
        return None
    return fan(rows[name].astype(np.int64)) if isinstance(rows, np.ndarray) else triangulate([r[name] for r in rows])


def write(handle: IO[bytes], columns: dict[str, np.ndarray], rows: int) -> None:
    """Write vertices as binary little-endian PLY; 64-bit integers, which PLY lacks, must fit 32 bits."""
    flat = {}
    for name, column in columns.items():
        parts = {name: column}
        if column.ndim > 1:
            parts = {f"{name}_{i}": part for i, part in enumerate(column.reshape(rows, -1).T)}
        flat.update({"_".join(part.split()): _to_ply_type(part, values) for part, values in parts.items()})
    flat = {name: values.astype(values.dtype.newbyteorder("<"), copy=False) for name, values in flat.items()}
    properties = [f"property {NAMES[values.dtype.str[1:]]} {name}" for name, values in flat.items()]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {rows}", *properties, "end_header", ""]
    handle.write("\n".join(header).encode("ascii", "replace"))
    handle.write(structured(flat).tobytes())


def _to_ply_type(name: str, values: np.ndarray) -> np.ndarray:
    """Convert a column to a type of PLY without changing its values. ValueError when none fits."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.str[1:] == "f2":
        return values.astype(np.float32)
    if values.dtype.str[1:] in ("i8", "u8"):
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        for kind in (np.int32, np.uint32):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return values.astype(kind)
    if values.dtype.str[1:] not in NAMES:
        raise ValueError(f"field {name!r} of type {values.dtype} does not fit PLY; write a .npy file instead")
    return values
