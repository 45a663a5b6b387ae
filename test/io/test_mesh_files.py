"""Meshes: points drawn by area on CAD models, and the vertices of scans with all their fields."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_text import CUBE, QUADS, mesh_text

from s4token_model.io import files, mesh_files
from s4token_model.io.files import read_cloud

FACES = mesh_files.fan(np.array(QUADS))  # of CUBE


@pytest.mark.parametrize("kind", ["off", "obj", "ply"])
def test_meshes_are_sampled_by_area_and_always_alike(tmp_path, kind):
    path = tmp_path / f"cube.{kind}"
    path.write_text(mesh_text(kind))
    xyz = read_cloud(path, mesh_points=22000).xyz
    assert xyz.shape == (22000, 3) and np.array_equal(xyz, read_cloud(path, mesh_points=22000).xyz)
    size = np.array([1, 2, 3])
    for axis, area in enumerate((6, 3, 2)):  # one face of the box 1 x 2 x 3 at either end of each axis, 22 in all
        for at in (0, size[axis]):
            share = np.isclose(xyz[:, axis], at, atol=1e-6).mean()
            assert abs(share - area / 22) < 0.02
    assert (xyz >= -1e-6).all() and (xyz <= size + 1e-6).all()


def test_a_binary_ply_mesh_of_polygons_equals_the_ascii_one(tmp_path):
    (tmp_path / "a.ply").write_text(mesh_text("ply"))
    head, body = mesh_text("ply").split("end_header\n")
    rows = [line.split() for line in body.splitlines()]
    blob = np.array(rows[:8], "<f4").tobytes()
    for row in rows[8:]:
        blob += np.uint8(row[0]).tobytes() + np.array(row[1:], "<i4").tobytes()
    (tmp_path / "b.ply").write_bytes((head.replace("ascii", "binary_little_endian") + "end_header\n").encode() + blob)
    assert np.array_equal(read_cloud(tmp_path / "a.ply", 500).xyz, read_cloud(tmp_path / "b.ply", 500).xyz)
    (tmp_path / "b.ply").write_bytes((tmp_path / "b.ply").read_bytes()[:-3])
    with pytest.raises(ValueError, match="truncated.*face"):
        read_cloud(tmp_path / "b.ply")


@pytest.mark.parametrize("kind", ["off", "obj", "ply"])
def test_points_are_drawn_on_cad_meshes_and_that_is_said(tmp_path, kind):
    path = tmp_path / f"cube.{kind}"
    path.write_text(mesh_text(kind))
    drawn = read_cloud(path)
    assert len(drawn.xyz) == files.MESH_POINTS
    (note,) = drawn.notes
    assert note == (
        "30,000 points were drawn on the 12 faces of this mesh, which its vertices do not cover; --mesh-points 0 keeps "
        "its 8 vertices instead"
    )
    asked, kept = read_cloud(path, mesh_points=5), read_cloud(path, mesh_points=0)
    assert len(asked.xyz) == 5 and asked.notes[0].startswith("5 points were drawn on the 12 faces of this mesh; ")
    assert np.array_equal(kept.xyz, CUBE) and kept.notes == ()


def write_mesh(path, columns, polygons):
    """Write vertices {name: (V,)} and polygons (P, n) as an .off, .obj or .ply file."""
    rows = [" ".join(map(repr, row)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
    if path.suffix == ".obj":
        lines = [f"v {row}" for row in rows] + ["f " + " ".join(str(i + 1) for i in p) for p in polygons]
    else:
        faces = [" ".join(map(str, [len(p), *p])) for p in polygons]
        head = ["OFF", f"{len(rows)} {len(faces)} 0"]
        if path.suffix == ".ply":
            types = {"f": "double", "u": "uchar", "i": "int"}
            head = ["ply", "format ascii 1.0", f"element vertex {len(rows)}"]
            head += [f"property {types[c.dtype.kind]} {name}" for name, c in columns.items()]
            head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
        lines = [*head, *rows, *faces]
    path.write_text("\n".join([*lines, ""]))


def scanned_surface(step=0.08, scale=1.0):
    """A floor of 4 x 3 m with a step of 0.5 m, seen on an uneven grid: {x, y, z (V,)} and quads (Q, 4)."""
    rng = np.random.default_rng(11)
    x, y = np.meshgrid(np.arange(0, 4, step), np.arange(0, 3, step), indexing="ij")
    xyz = np.stack([x, y, 0.5 * (x > 2)], axis=-1) + 0.2 * step * rng.normal(size=(*x.shape, 3))
    index = np.arange(x.size).reshape(x.shape)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    return dict(zip("xyz", scale * xyz.reshape(-1, 3).T, strict=True)), quads


@pytest.mark.parametrize("suffix", [".off", ".obj", ".ply"])
@pytest.mark.parametrize("step", [0.04, 0.08, 0.2])
@pytest.mark.parametrize("polygons", ["triangles", "quads"])
def test_a_scan_with_faces_keeps_its_vertices(tmp_path, suffix, step, polygons):
    columns, quads = scanned_surface(step)
    path = tmp_path / f"scan{suffix}"
    write_mesh(path, columns, mesh_files.fan(quads) if polygons == "triangles" else quads)
    cloud = read_cloud(path)
    assert np.array_equal(cloud.xyz, np.stack(list(columns.values()), axis=1)) and cloud.notes == ()
    assert len(read_cloud(path, mesh_points=100).xyz) == 100


@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_what_is_cad_depends_neither_on_scale_nor_on_position(scale):
    columns, quads = scanned_surface(0.1, scale)
    vertices = np.stack(list(columns.values()), axis=1)
    assert not mesh_files.is_cad(vertices, mesh_files.fan(quads))
    assert not mesh_files.is_cad(vertices + 1000 * scale, mesh_files.fan(quads))
    cube = scale * np.array(CUBE, float)
    assert mesh_files.is_cad(cube, mesh_files.fan(np.array(QUADS))) and mesh_files.is_cad(cube + 1000 * scale, FACES)


def test_a_finely_tessellated_cad_mesh_keeps_its_vertices_and_a_coarse_tabletop_does_not():
    o3d = pytest.importorskip("open3d", exc_type=ImportError)
    box = o3d.geometry.TriangleMesh.create_box(1, 2, 3)
    fine = box.subdivide_midpoint(4)
    assert not mesh_files.is_cad(np.asarray(fine.vertices), np.asarray(fine.triangles))
    table = box.translate((0, 0, 1)) + o3d.geometry.TriangleMesh.create_sphere(0.1, 60)  # 7,000 of 7,050 vertices
    assert mesh_files.is_cad(np.asarray(table.vertices), np.asarray(table.triangles))


def test_decimated_scans_keep_their_vertices():
    o3d = pytest.importorskip("open3d", exc_type=ImportError)
    columns, quads = scanned_surface(0.02)
    vertices = o3d.utility.Vector3dVector(np.stack(list(columns.values()), axis=1))
    mesh = o3d.geometry.TriangleMesh(vertices, o3d.utility.Vector3iVector(mesh_files.fan(quads)))
    for faces in (20000, 5000, 1500):
        small = mesh.simplify_quadric_decimation(faces)
        assert len(small.triangles) <= faces
        assert not mesh_files.is_cad(np.asarray(small.vertices), np.asarray(small.triangles))


def test_vertices_without_faces_are_points_and_are_kept():
    rng = np.random.default_rng(12)
    points = rng.random((2000, 3)) * [4, 3, 2]
    assert not mesh_files.is_cad(points, np.array([[0, 1, 2], [3, 4, 5]]))
    assert not mesh_files.is_cad(points, rng.integers(0, 2000, (700, 3)))


def test_meshes_with_vertices_that_are_not_finite(tmp_path):
    columns, quads = scanned_surface(0.2)
    columns["z"][5] = np.nan
    write_mesh(tmp_path / "scan.ply", columns, quads)
    assert np.isnan(read_cloud(tmp_path / "scan.ply").xyz[5, 2])
    assert np.isfinite(read_cloud(tmp_path / "scan.ply", mesh_points=500).xyz).all()
    flat = np.zeros((4, 3))
    assert not mesh_files.is_cad(flat, FACES[:1] % 4) and not mesh_files.is_cad(flat * np.nan, FACES[:1] % 4)


def test_kept_vertices_keep_their_other_fields(tmp_path):
    columns, quads = scanned_surface(0.2)
    rng, count = np.random.default_rng(13), len(columns["x"])
    normals = {name: rng.normal(size=count) for name in ("nx", "ny", "nz")}
    colors = {name: rng.integers(0, 256, count, np.uint8) for name in ("red", "green", "blue")}
    write_mesh(tmp_path / "m.ply", columns | normals | colors | {"id": np.arange(count)}, quads)
    kept = read_cloud(tmp_path / "m.ply").fields
    assert all(np.array_equal(kept[n], c) for n, c in (columns | normals | colors).items())
    assert np.array_equal(kept["id"], np.arange(count))
    write_mesh(tmp_path / "m.off", columns | normals | colors, quads)
    (tmp_path / "m.off").write_text("CN" + (tmp_path / "m.off").read_text())
    write_mesh(tmp_path / "m.obj", columns | colors, quads)
    text = (tmp_path / "m.obj").read_text().splitlines()
    given = [f"vn {x!r} {y!r} {z!r}" for x, y, z in zip(*(c.tolist() for c in normals.values()), strict=True)]
    faces = [" ".join(["f", *(f"{i}//{i}" for i in line.split()[1:])]) for line in text if line[0] == "f"]
    (tmp_path / "m.obj").write_text("\n".join([*(line for line in text if line[0] == "v"), *given, *faces]))
    for name in ("m.off", "m.obj"):
        fields = read_cloud(tmp_path / name).fields
        assert all(np.array_equal(fields[n], c) for n, c in (columns | colors).items())
        assert all(np.allclose(fields[n], c, rtol=1e-6) for n, c in normals.items())
    (tmp_path / "m.obj").write_text(
        "\n".join([*(line for line in text if line[0] == "v"), *given, *faces, "f 1//2 2//3 3//1"])
    )
    assert "nx" not in read_cloud(tmp_path / "m.obj").fields  # a vertex with two normals has none


def test_colors_of_a_mesh_are_interpolated(tmp_path):
    (tmp_path / "m.obj").write_text("v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 1\nf 1 2 -1\n")
    cloud = read_cloud(tmp_path / "m.obj", 300)
    assert np.allclose(cloud.rgb[:, 1:], cloud.xyz[:, :2], atol=1 / 255)


def test_an_off_file_without_the_colors_that_it_announces_is_its_coordinates(tmp_path):
    (tmp_path / "cube.off").write_text("C" + mesh_text("off"))
    cloud = read_cloud(tmp_path / "cube.off", mesh_points=0)
    assert np.array_equal(cloud.xyz, CUBE) and cloud.rgb is None


def test_a_mesh_without_area_or_with_lost_vertices_is_refused():
    with pytest.raises(ValueError, match="surface area"):
        mesh_files.sample(mesh_files.Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])), 10)
    with pytest.raises(ValueError, match="vertex 3 of 3"):
        mesh_files.sample(mesh_files.Mesh(np.eye(3), np.array([[0, 1, 3]])), 10)


OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n"


@pytest.mark.parametrize(
    "text",
    [OBJ.replace("2 3", "2 \\\n 3"), OBJ.replace("2 3", "2 \\ \r\n3"), OBJ.replace("\n", "\r\n"), "\ufeff" + OBJ,
     OBJ.replace("\n", "\r"), OBJ.replace(" ", "\t"), OBJ.replace("\n", "  # here\n"), OBJ.replace("v ", "  v   "),
     OBJ.replace("1 1 0", "1,0 1,0 0,0"), OBJ.replace("1 1 0", "1.0, 1.0, 0"), OBJ.replace("1 1 0", "1 1 0 1.0"),
     OBJ.upper().replace("\n", "\nusemtl a b\n"), OBJ.replace("f 1 2 3 4", "f 1//1 2//1 3/1 4/1/1\nvn 0 0 1"),
     OBJ.replace("f", "vt 0 -nan(ind)\nvn 0 x 1\ng a\ns off\nl 1 2\nf"), OBJ.replace("f 1 2 3 4", "f -4 -3 -2 -1")],
)  # fmt: skip
def test_obj_files_are_read_as_programs_write_them(tmp_path, text):
    (tmp_path / "a.obj").write_bytes(text.encode())
    cloud = read_cloud(tmp_path / "a.obj", mesh_points=0)
    assert np.array_equal(cloud.xyz, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]) and cloud.notes == ()
    assert np.array_equal(cloud.triangles, [[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize(
    ("text", "words"),
    [(OBJ + "f 1 2 x\n", "1 faces are not understood"), (OBJ + "f 1 2 9\n", "1 faces name vertices that are not there"),
     (OBJ + "f 1 2 inf\n", "1 faces are not"), ("v 9 9 9 0.5 0 0\n" + OBJ, "only 1 vertices have colors")],
)  # fmt: skip
def test_obj_files_lose_only_what_is_damaged_and_that_is_noted(tmp_path, text, words):
    (tmp_path / "a.obj").write_text(text)
    cloud = read_cloud(tmp_path / "a.obj", mesh_points=0)
    assert words in " ".join(cloud.notes) and len(cloud.triangles) == 2 and len(cloud.xyz) == text.count("v ")


@pytest.mark.parametrize(
    "change",
    [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: t.lower(), lambda t: t.replace(" ", "\t"),
     lambda t: t.replace("OFF\n", "OFF # a comment\n\n"), lambda t: t.replace("OFF\n", "OFF "), lambda t: t + "\n\0\0",
     lambda t: t.replace("1.0", "1,0"), lambda t: t.replace(" ", ", "), lambda t: t.replace("8 12", "8.0 12.0")],
)  # fmt: skip
def test_off_files_are_read_as_programs_write_them(tmp_path, change):
    (tmp_path / "a.off").write_bytes(change(mesh_text("off")).encode())
    assert np.array_equal(read_cloud(tmp_path / "a.off", mesh_points=0).xyz, CUBE)


def test_binary_off_files_are_named(tmp_path):
    (tmp_path / "a.off").write_bytes(b"OFF BINARY\n\0\0\0\1")
    with pytest.raises(ValueError, match="found a binary OFF mesh"):
        read_cloud(tmp_path / "a.off")


@pytest.mark.parametrize("suffix", files.WRITERS)
def test_points_to_draw_on_a_cloud_without_faces_are_noted(tmp_path, suffix):
    files.write_cloud(tmp_path / f"a{suffix}", files.Cloud.from_fields({n: np.arange(5.0) for n in "xyz"}))
    (note,) = read_cloud(tmp_path / f"a{suffix}", mesh_points=100).notes
    assert "no faces are in this file; its 5 points are used" in note
    assert read_cloud(tmp_path / f"a{suffix}", mesh_points=0).notes == ()


def test_labels_on_the_vertices_of_a_cad_mesh_are_not_drawn_over(tmp_path):
    (tmp_path / "cube.off").write_text(mesh_text("off"))
    cube = read_cloud(tmp_path / "cube.off", mesh_points=0)
    files.write_cloud(tmp_path / "labeled.ply", cube, {"label": np.arange(8, dtype=np.uint32)})
    again = read_cloud(tmp_path / "labeled.ply")
    assert np.array_equal(again.fields["label"], np.arange(8)) and np.array_equal(again.triangles, cube.triangles)


def test_normals_of_too_few_numbers_are_left_out(tmp_path):
    (path := tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nvn 0 1\nvn 0 1\n")
    assert set(read_cloud(path).fields) == {"x", "y", "z"}
    path.write_text("v 0 0 0\nv 1 0 0\nvn 0 0 1\nvn 0 1 0\n")
    assert read_cloud(path).fields["nz"].tolist() == [1, 0]
