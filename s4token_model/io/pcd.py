"""PCD (Point Cloud Library): ascii, binary and binary_compressed; every field keeps its type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from s4token_model.io import field_names, text_table
from s4token_model.io.contents import VIEWPOINT, Contents
from s4token_model.io.errors import error, looks_like, truncated
from s4token_model.io.pointcloud2 import structured

MAX_LINE = 2**20  # bytes of a line of the header
LZF_RATIO = 88  # at most: 3 bytes stand for 264
TYPES = {"I": "i", "U": "u", "F": "f"}
TYPES = {"i": "i", "u": "u", "f": "f", "d": "f", "b": "u", "c": "i"}
SIZES = {"i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}
KEYS = ("VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", VIEWPOINT, "POINTS", "DATA")
NO_VIEWPOINT = "0 0 0 1 0 0 0"


class _Layout(NamedTuple):
    """The fields of a point, padding included; `names` are distinct, and empty for padding."""

    names: list[str]
    dtype: np.dtype  # of fields "0", "1", ...
    notes: tuple[str, ...]


def read(path: Path) -> Contents:
    """Return the points of a PCD file; comments hold its comments and its viewpoint. ValueError on a broken file."""
    blob = text_table.plain_bytes(path.read_bytes())
    head, comments, start = _parse_header(path, blob)
    layout = _layout(path, head)
    try:
        width, height = (text_table.count(head[key][0]) if key in head else 1 for key in ("WIDTH", "HEIGHT"))
        count = text_table.count(head["POINTS"][0]) if head.get("POINTS") else width * height
        if not {"WIDTH", "POINTS"} & set(head):
            raise KeyError
    except (ValueError, KeyError, IndexError):
        raise error(path, "WIDTH, HEIGHT or POINTS is missing or wrong", "write the file again") from None
    mode = head["DATA"][0].lower() if head["DATA"] else ""
    if mode not in _READERS:
        raise error(path, f"PCD data format {mode!r} is unknown", f"use one of {', '.join(_READERS)}")
    columns, notes = _READERS[mode](path, blob[start:], layout, count)
    if width * height != count:
        if height > 1:
            notes = (*notes, f"{width} x {height} are not {count} points; they are read as one row")
        width, height = count, 1
    comments, seen_from = _viewpoint(head, comments)
    return Contents(columns, width, height, notes=(*layout.notes, *notes, *seen_from), comments=comments)


def _parse_header(path: Path, blob: bytes) -> tuple[dict[str, list[str]], tuple[str, ...], int]:
    """Return the lines of the header by their first word, the comments, and the offset of the first byte behind it."""
    head: dict[str, list[str]] = {}
    comments, at = [], 0
    while "DATA" not in head:
        match = text_table.LINE.match(blob, at)
        line = text_table.text_of(match[0][:MAX_LINE]).strip()
        words = line.split()
        key = words[0].upper().rstrip(":") if words else ""
        key = "FIELDS" if key == "COLUMNS" else key  # of version 0.5
        known = not words or line.startswith("#") or key in KEYS or (words[0].isupper() and words[0].isascii())
        if not known or len(match[0]) > MAX_LINE or (match.end() == len(blob) and key != "DATA"):
            found = f"found {looks_like(blob[:32])}" if not head else "the PCD header has no DATA line"
            raise error(path, found, "a .pcd file has a header that ends in DATA; it may be truncated, copy it again")
        if line.startswith("#"):
            comments.append(line.lstrip("# \t"))
        elif words and key in KEYS:
            head[key] = words[1:]
        elif words:
            comments.append(line)
        at = match.end()
    return head, tuple(c for c in comments if c and not c.startswith(".PCD")), at


def _layout(path: Path, head: Mapping[str, Sequence[str]]) -> _Layout:
    """Return the fields of a point; SIZE, TYPE and COUNT that are left out are 4, F and 1, as in version 0.5."""
    try:
        fields = head["FIELDS"]
        sizes, types, counts = (
            head.get(k) or [d] * len(fields) for k, d in (("SIZE", "4"), ("TYPE", "f"), ("COUNT", "1"))
        )
        spec, raw = [], []
        for i, (name, size, kind, count) in enumerate(zip(fields, sizes, types, counts, strict=True)):
            code, size, count = TYPES.get(kind[:1].lower(), ""), text_table.count(size), text_table.count(count)
            if size not in SIZES.get(code, ()):  # a type that NumPy has not: its bytes are kept
                raw += [] if name in field_names.PADDING else [name]
                code, size, count = "u", 1, size * count
            spec.append((str(i), f"<{code}{size}", () if count == 1 else (count,)))
        dtype = np.dtype(spec)
    except (KeyError, ValueError, TypeError):
        raise error(path, "FIELDS, SIZE, TYPE and COUNT do not agree", "write the file again") from None
    empty = [name in field_names.PADDING or not dtype[i].itemsize for i, name in enumerate(fields)]
    old = [name for name, is_empty in zip(fields, empty, strict=True) if not is_empty]
    unique = field_names.standard(old)
    notes = field_names.rename_notes(old, unique)
    notes += (f"fields of unknown types are kept as bytes: {', '.join(raw)}",) if raw else ()
    rest = iter(unique)
    return _Layout(["" if is_empty else next(rest) for is_empty in empty], dtype, notes)


def _viewpoint(head: Mapping[str, Sequence[str]], comments: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the comments with the viewpoint, unless it is the origin, and the note about it."""
    words = head.get(VIEWPOINT, [])
    if not words or words == NO_VIEWPOINT.split():
        return comments, ()
    try:
        if [text_table.number(w) for w in words] == [float(w) for w in NO_VIEWPOINT.split()]:
            return comments, ()
    except ValueError:
        pass
    line = f"{VIEWPOINT} {' '.join(words)}"
    note = f"{line}, the pose of the sensor, is kept for .pcd and .ply; the coordinates are used as the file has them"
    return (*comments, line), (note,)


def _columns(rows: Any, layout: _Layout) -> dict[str, np.ndarray]:
    return {name: rows[str(i)] for i, name in enumerate(layout.names) if name}


def _binary(path: Path, body: bytes, layout: _Layout, count: int) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    if len(body) < layout.dtype.itemsize * count:
        raise truncated(path, count, len(body) // layout.dtype.itemsize)
    return _columns(np.frombuffer(body, layout.dtype, count) if count else np.empty(0, layout.dtype), layout), ()


def _ascii(path: Path, body: bytes, layout: _Layout, count: int) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    lines = text_table.data_lines(body)
    if len(lines) < count:
        raise truncated(path, count, len(lines))
    names, kept = [name or f"{i} padding" for i, name in enumerate(layout.names)], set(layout.names)
    try:
        fields = [(name, layout.dtype[i]) for i, name in enumerate(names)]
        if count and len(lines[0].split()) == sum(math.prod(kind.shape) for name, kind in fields if name in kept):
            fields = [(name, kind) for name, kind in fields if name in kept]  # PCL writes no padding in ascii
        columns, notes = text_table.read_table(lines[:count], np.dtype(fields))
    except ValueError as reason:
        raise error(path, f"bad PCD values ({reason})", "write the file again") from None
    return {name: column for name, column in columns.items() if name in kept}, notes


def _compressed(path: Path, body: bytes, layout: _Layout, count: int) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Read the compressed and the plain size, then all fields one after the other, compressed with LZF."""
    dtype = layout.dtype
    small, large = (int(v) for v in np.frombuffer(body[:8], "<u4")) if len(body) >= 8 else (1, 0)
    if large > LZF_RATIO * small:
        raise error(path, f"{small} compressed bytes claim to hold {large}", "it is damaged, copy it again")
    if len(body) < 8 + small or large != dtype.itemsize * count:
        found = f"{len(body)} bytes hold {large} compressed ones; {8 + small} and {dtype.itemsize * count} expected"
        raise error(path, f"truncated: {found}", "copy it again")
    plain = np.zeros(large, np.uint8)
    from s4token_model.kernels.lzf import decompress  # compiled only for the files that need it

    if decompress(np.frombuffer(body, np.uint8, small, 8), plain) != large:
        raise error(path, "the compressed points do not unpack to their size", "it is damaged, copy it again")
    columns, at = {}, 0
    for name in dtype.names or ():
        base, shape = dtype[name].base, dtype[name].shape
        size = dtype[name].itemsize * count
        columns[name] = plain[at : at + size].view(base).reshape(count, *shape)
        at += size
    return _columns(columns, layout), ()


_READERS = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}


def write(
    handle: IO[bytes], columns: Mapping[str, np.ndarray], width: int, height: int, comments: Sequence[str] = ()
) -> None:
    """Write a binary PCD 0.7 of height * width points; columns are of PCD's types."""
    plain = {name: values.astype(values.dtype.newbyteorder("<"), copy=False) for name, values in columns.items()}
    per_field = {
        "FIELDS": list(plain),
        "SIZE": [c.dtype.itemsize for c in plain.values()],
        "TYPE": [c.dtype.kind.upper() for c in plain.values()],
        "COUNT": [math.prod(c.shape[1:]) for c in plain.values()],
    }
    viewpoint = [c for c in comments if c.startswith(f"{VIEWPOINT} ")][-1:] or [f"{VIEWPOINT} {NO_VIEWPOINT}"]
    lines = ["# .PCD v0.7 - Point Cloud Data file format"]
    lines += [f"# {' '.join(c.split())}" for c in comments if not c.startswith(f"{VIEWPOINT} ")]
    lines += ["VERSION 0.7", *(" ".join(map(str, [key, *values])) for key, values in per_field.items())]
    lines += [f"WIDTH {width}", f"HEIGHT {height}", *viewpoint, f"POINTS {width * height}", "DATA binary", ""]
    handle.write("\n".join(lines).encode())
    handle.write(structured(plain).tobytes())
