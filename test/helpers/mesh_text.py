"""A box with polygons of several sizes, as the text of a mesh file."""

from __future__ import annotations

CUBE = [[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 3)]
QUADS = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]


def mesh_text(kind):
    points = [" ".join(map(str, p)) for p in CUBE]
    mixed = [*QUADS[:5], QUADS[5][:3], [QUADS[5][0], *QUADS[5][2:]]]  # the last face as two triangles
    faces = [" ".join(map(str, [len(q), *q])) for q in mixed]
    if kind == "off":
        return "\n".join([f"OFF8 {len(mixed)} 0", *points, *faces, ""])  # glued, as in ModelNet
    if kind == "obj":
        return "\n".join([*(f"v {p}" for p in points), *("f " + " ".join(f"{i + 1}//1" for i in q) for q in mixed), ""])
    head = ["ply", "format ascii 1.0", "element vertex 8", *(f"property float {n}" for n in "xyz")]
    head += [f"element face {len(mixed)}", "property list uchar int vertex_indices", "end_header"]
    return "\n".join([*head, *points, *faces, ""])
