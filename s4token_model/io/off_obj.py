"""OFF and OBJ files: triangle meshes with colors and normals of their vertices."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from s4token_model.io.contents import Contents
from s4token_model.io.errors import error, looks_like
from s4token_model.io.mesh_files import triangulate, vertex_fields
from s4token_model.io.text_table import count, lines_of, number, text_of

_MAGIC = re.compile(r"\W*(?:ST)?(C?)(N?)(4?)n?OFF(.*)", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\s,;]+")


def read_off(path: Path) -> Contents:
    """Return the vertices (V,) of an OFF mesh as fields and its faces as triangles; ValueError on a broken file.

    Normals (NOFF) and colors (COFF) of the vertices are kept, polygons are split, colors of faces are skipped.
    """
    blob = path.read_bytes()
    lines = [line for raw in lines_of(text_of(blob)) if (line := raw.split("#")[0].strip())]
    magic = _MAGIC.match(lines[0]) if lines else None
    if not magic or "BINARY" in magic[4].upper():
        found = "a binary OFF mesh" if magic else looks_like(blob[:32])
        raise error(path, f"found {found}", "an .off file must begin with the word OFF and hold text")
    colored, oriented, homogeneous, rest = magic.groups()
    lines = ([rest] if rest.strip() else []) + lines[1:]  # ModelNet glues the counts to the magic word
    normal_at = 3 + len(homogeneous)
    color_at = normal_at + 3 * len(oriented)
    try:
        vertex_count, face_count = (count(w) for w in lines[0].split()[:2])
        if len(lines) < 1 + vertex_count + face_count:
            found = f"truncated: {vertex_count} vertices and {face_count} faces promised, {len(lines) - 1} lines found"
            raise error(path, found, "copy it again")
        rows = [_words(line) for line in lines[1 : 1 + vertex_count]]
        width = color_at + 3 * len(colored)
        if min(map(len, rows), default=width) < width:  # a header of more than the file holds
            colored, oriented, width = "", "", 3
        values = _array([row[:width] for row in rows]).reshape(vertex_count, width)
        faces = [_off_face(line) for line in lines[1 + vertex_count : 1 + vertex_count + face_count]]
    except (ValueError, IndexError) as reason:
        if str(path) in str(reason):
            raise
        raise error(path, f"bad OFF values ({reason})", "the file is damaged, copy it again") from None
    normals = values[:, normal_at:color_at] if oriented else None
    fields = vertex_fields(values[:, :3], values[:, color_at:] if colored else None, normals)
    return Contents(fields, triangles=triangulate(faces))


def _words(line: str) -> list[str]:
    """Split a line at blanks, or at commas if it has no blanks; 1,5 2 3 has decimal commas."""
    words = line.split()
    return words if len(words) >= 3 else _SEPARATOR.split(line)


def _array(rows: list[list[str]]) -> np.ndarray:
    try:
        return np.array(rows, np.float64)
    except ValueError:
        return np.array([[number(w) for w in row] for row in rows], np.float64)


def _off_face(line: str) -> list[int]:
    words = _words(line)
    size = count(words[0])
    corners = [count(w) for w in words[1 : 1 + size]]
    if len(corners) != size:
        raise ValueError(f"face {line!r}")
    return corners


def read_obj(path: Path) -> Contents:
    """Return the vertices (V,) of an OBJ mesh as fields and its faces as triangles; ValueError on a broken file.

    Colors behind the coordinates are kept if all vertices have them, and so are normals if every vertex has exactly
    one. Notes name what is left out: faces that are not understood, colors of some vertices.
    """
    text = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines_of(text_of(path.read_bytes()))))  # lines that go on
    vertices, normals, faces, bad_faces = [], [], [], 0
    normal_of = set()  # pairs (vertex, normal)
    for raw in text.split("\n"):
        line = raw.split("#")[0]
        words = line.split()
        key = words[0].lower() if words else ""
        try:
            if key == "v":
                vertices.append([number(w) for w in _words(line.strip()[1:])])
            elif key == "vn":
                normals.append([number(w) for w in words[1:4]])
            elif key in ("f", "fo"):
                corners = [w.split("/") for w in words[1:]]
                faces.append([_obj_index(c[0], len(vertices)) for c in corners])
                pairs = zip(faces[-1], corners, strict=True)
                normal_of.update((v, _obj_index(c[2], len(normals))) for v, c in pairs if len(c) > 2 and c[2])
        except ValueError:
            if key == "v":
                raise error(path, f"found the vertex {line!r}", "write the OBJ file again") from None
            bad_faces += key in ("f", "fo")
    widths = {len(v) for v in vertices}
    if not vertices or min(widths) < 3:
        raise error(path, "found no vertices", "an .obj file has lines `v x y z`")
    colors = np.array([v[3:6] for v in vertices]) if min(widths) >= 6 else None
    notes = _left_out(sum(len(v) >= 6 for v in vertices) if colors is None else 0, bad_faces)
    xyz = np.array([v[:3] for v in vertices])
    fields = vertex_fields(xyz, colors, _vertex_normals(len(xyz), normals, faces, normal_of))
    return Contents(fields, triangles=triangulate(faces), notes=notes)


def _left_out(colors: int, faces: int) -> tuple[str, ...]:
    notes = [f"only {colors:,} vertices have colors; they are left out"] if colors else []
    notes += [f"{faces:,} faces are not understood and left out"] if faces else []
    return tuple(notes)


def _obj_index(word: str, length: int) -> int:
    """Return the index from 0 of a 1-based number; a negative one counts back from the last of `length`."""
    value = number(word)
    if not abs(value) < 2**62:
        raise ValueError(word)
    return int(value) - 1 if value > 0 else length + int(value)


def _vertex_normals(count: int, normals: list, faces: list, normal_of: set) -> np.ndarray | None:
    """Return one normal per vertex (count, 3), or None if a vertex has none or several."""
    pairs = normal_of if faces else {(i, i) for i in range(len(normals))}
    index = dict(pairs)
    if not len(pairs) == len(index) == count or {len(n) for n in normals} != {3}:
        return None
    try:
        return np.array(normals)[[index[i] for i in range(count)]]
    except (KeyError, IndexError, ValueError):  # names of vertices or normals that the file lacks
        return None
