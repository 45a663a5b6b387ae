"""PCD (Point Cloud Library): ascii, binary and binary_compressed; every field keeps its type."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np

from s4token_model.io.errors import error, looks_like, truncated
from s4token_model.io.pointcloud2 import structured

LZF_RATIO = 88  # at most: 3 bytes stand for 264
TYPES = {"I": "i", "U": "u", "F": "f"}


def read(path: Path) -> tuple[dict[str, np.ndarray], int, int]:
    """Return ({field: (H,) or (H, count)}, width, height). ValueError on a broken file."""
    blob = path.read_bytes()
    head, start = _parse_header(path, blob)
    dtype, names = _layout(path, head)
    try:
        width, height = int(head["WIDTH"][0]), int(head.get("HEIGHT", ["1"])[0])
        count = int(head.get("POINTS", [str(width * height)])[0])
        if count < 0:
            raise ValueError(count)
    except (ValueError, KeyError, IndexError):
        raise error(path, "WIDTH, HEIGHT or POINTS is missing or wrong", "write the file again") from None
    mode = head["DATA"][0] if head["DATA"] else ""
    if mode not in _READERS:
        raise error(path, f"PCD data format {mode!r} is unknown", f"use one of {', '.join(_READERS)}")
    columns: Any = _READERS[mode](path, blob[start:], dtype, count)
    if width * height != count:
        width, height = count, 1
    return {new: columns[old] for old, new in names.items() if not new.startswith("_")}, width, height


def _parse_header(path: Path, blob: bytes) -> tuple[dict[str, list[str]], int]:
    head: dict[str, list[str]] = {}
    at = 0
    while "DATA" not in head:
        end = blob.find(b"\n", at)
        line = blob[at : end if end >= 0 else min(len(blob), at + 99)].decode("ascii", "replace").strip()
        words = line.split()
        known = not words or line.startswith("#") or words[0].isupper()
        if not known or end < 0:
            found = f"found {looks_like(blob[:32])}" if not head else "the PCD header has no DATA line"
            raise error(path, found, "a .pcd file has a header that ends in DATA; it may be truncated, copy it again")
        if words and not line.startswith("#"):
            head[words[0]] = words[1:]
        at = end + 1
    return head, at


def _layout(path: Path, head: dict[str, list[str]]) -> tuple[np.dtype, dict[str, str]]:
    """Return the dtype of a point, and {its unique name in the dtype: field name}; PCL names padding `_`."""
    try:
        fields = head["FIELDS"]
        counts = head.get("COUNT", ["1"] * len(fields))
        kinds = [f"<{TYPES[t]}{int(s)}" for t, s in zip(head["TYPE"], head["SIZE"], strict=True)]
        names = {f"{i}_{f}": f for i, f in enumerate(fields)}
        shapes = [() if int(c) == 1 else (int(c),) for c in counts]
        return np.dtype(list(zip(names, kinds, shapes, strict=True))), names
    except (KeyError, ValueError, TypeError):
        raise error(path, "FIELDS, SIZE, TYPE and COUNT do not agree", "write the file again") from None


def _binary(path: Path, body: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    if len(body) < dtype.itemsize * count:
        raise truncated(path, count, len(body) // dtype.itemsize)
    return np.frombuffer(body, dtype, count)


def _ascii(path: Path, body: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    lines = [line for line in body.decode("ascii", "replace").splitlines() if line.strip()]
    if len(lines) < count:
        raise truncated(path, count, len(lines))
    if dtype.itemsize > 8 * len(body):  # np.loadtxt allocates a row before it reads one
        raise error(path, "a point has more values than the file holds", "write the file again")
    try:
        return np.loadtxt(lines[:count], dtype, ndmin=1) if count else np.empty(0, dtype)
    except ValueError as reason:
        raise error(path, f"bad PCD values ({reason})", "write the file again") from None


def _compressed(path: Path, body: bytes, dtype: np.dtype, count: int) -> dict[str, np.ndarray]:
    """Read the compressed and the plain size, then all fields one after the other, compressed with LZF."""
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
    return columns


_READERS = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}


def write(handle: IO[bytes], columns: dict[str, np.ndarray], width: int, height: int) -> None:
    """Write a binary PCD 0.7 of height * width points."""
    plain = {"_".join(name.split()): _to_pcd_type(column) for name, column in columns.items()}
    per_field = {
        "FIELDS": list(plain),
        "SIZE": [c.dtype.itemsize for c in plain.values()],
        "TYPE": [c.dtype.kind.upper() for c in plain.values()],
        "COUNT": [np.prod(c.shape[1:], dtype=int) for c in plain.values()],
    }
    lines = ["# .PCD v0.7 - Point Cloud Data file format", "VERSION 0.7"]
    lines += [" ".join(map(str, [key, *values])) for key, values in per_field.items()]
    lines += [f"WIDTH {width}", f"HEIGHT {height}", "VIEWPOINT 0 0 0 1 0 0 0", f"POINTS {width * height}"]
    handle.write("\n".join([*lines, "DATA binary", ""]).encode("ascii", "replace"))
    handle.write(structured(plain).tobytes())


def _to_pcd_type(column: np.ndarray) -> np.ndarray:
    """Convert a column to a little-endian type of PCD, which has neither bool nor float16."""
    if column.dtype.kind == "b":
        return column.astype(np.uint8)
    return column.astype("<f4" if column.dtype.str[1:] == "f2" else column.dtype.newbyteorder("<"), copy=False)
