"""PLY files, read and written: every property of a vertex keeps its type, faces are triangles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from s4token_model.io import ply_body, ply_header, text_table
from s4token_model.io.contents import Contents
from s4token_model.io.errors import error
from s4token_model.io.mesh_files import fan, triangulate
from s4token_model.io.ply_header import Element
from s4token_model.io.pointcloud2 import structured

NAMES = {code: name for name, code in list(ply_header.TYPES.items())[:8]}
VERTICES = ("vertex", "vertices", "point", "points")
FACES = ("face", "faces")
INDICES = re.compile(r"vert(?:ex|ices)_?ind(?:ex|ices|exes)|indices", re.IGNORECASE)


def read(path: Path) -> Contents:
    """Return the vertices of a PLY file as fields, its faces as triangles and its comments; ValueError if broken."""
    blob = text_table.plain_bytes(path.read_bytes())
    blob = blob.lstrip() if blob[:1].isspace() else blob
    header, start = ply_header.parse(path, blob)
    if header.order:
        body = ply_body.Binary(path, blob, start, header.order)
    else:
        body = ply_body.Ascii(path, blob[start:])
    vertex, face, fields, triangles, notes = None, None, {}, None, []
    has_faces = any(element.name in FACES for element in header.elements)
    # Elements stand one after the other; what follows the vertices and the faces is not read
    for element in header.elements:
        if element.name in VERTICES and vertex is None:
            vertex, (fields, notes) = element, body.columns(element)
        elif element.name in FACES and face is None:
            face, triangles = element, _triangles(body.read(element), element)
        else:
            body.read(element)
        if vertex and (face or not has_faces):
            break
    if vertex is None:
        raise error(path, "the PLY header names no element vertex", "a point cloud is stored as vertices")
    width, height, comments = _shape(header.comments, vertex.rows)
    notes = (*header.notes, *notes, *_left_out(header.elements, vertex, face))
    return Contents(fields, width, height, notes=notes, comments=comments, triangles=triangles)


def _shape(comments: Sequence[str], rows: int) -> tuple[int, int, tuple[str, ...]]:
    """Return the width and height of `obj_info num_cols` and `num_rows`, or 0 and 1, and the other comments."""
    sizes = {words[1]: int(words[2]) for words in map(str.split, comments) if _is_size(words)}
    width, height = sizes.get("num_cols", 0), sizes.get("num_rows", 1)
    if not rows or width * height != rows:  # of a range grid, which may have no points in some cells
        return 0, 1, tuple(comments)
    return width, height, tuple(c for c in comments if not _is_size(c.split()))


def _is_size(words: Sequence[str]) -> bool:
    return len(words) == 3 and words[0] == "obj_info" and words[1] in ("num_cols", "num_rows") and words[2].isdecimal()


def _left_out(elements: Sequence[Element], vertex: Element, face: Element | None) -> list[str]:
    """Return notes about what is not read: lists of the vertices, other elements, properties of the faces."""
    lists = [p.name for p in vertex.properties if p.length_type]
    others = [e.name for e in elements if e is not vertex and e is not face and e.rows]
    of_faces = [p.name for p in face.properties if not INDICES.fullmatch(p.name)] if face and face.rows else []
    kinds = (("lists of the vertices", lists), ("elements", others), ("properties of the faces", of_faces))
    return [f"{kind} are left out: {', '.join(names)}" for kind, names in kinds if names]


def _triangles(rows: np.ndarray | list, element: Element) -> np.ndarray | None:
    at = next((i for i, p in enumerate(element.properties) if p.length_type and INDICES.fullmatch(p.name)), None)
    if at is None or not len(rows):
        return None
    if isinstance(rows, np.ndarray):
        return fan(rows[str(at)])
    return triangulate([row[at] for row in rows])


def write(
    handle: IO[bytes],
    columns: Mapping[str, np.ndarray],
    rows: int,
    comments: Sequence[str] = (),
    triangles: np.ndarray | None = None,
) -> None:
    """Write vertices, columns (rows,) of PLY's types, and triangles (T, 3) as binary little-endian PLY."""
    flat = {name: values.astype(values.dtype.newbyteorder("<"), copy=False) for name, values in columns.items()}
    lines = [c if c.startswith("obj_info ") else f"comment {c}" for c in (" ".join(c.split()) for c in comments)]
    lines += [f"element vertex {rows}"]
    lines += [f"property {NAMES[values.dtype.str[1:]]} {name}" for name, values in flat.items()]
    if triangles is not None:
        lines += [f"element face {len(triangles)}", "property list uchar int vertex_indices"]
    handle.write("\n".join(["ply", "format binary_little_endian 1.0", *lines, "end_header", ""]).encode())
    handle.write(structured(flat).tobytes())
    if triangles is not None:
        sizes = np.full(len(triangles), 3, np.uint8)
        handle.write(structured({"size": sizes, "corners": triangles.astype("<i4")}).tobytes())
