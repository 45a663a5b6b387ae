"""The shape bank: CAD files in the sources' layouts become labeled meshes in meters, z up, their front facing -y."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trimesh", reason="needs requirements-shapes.txt")
pytest.importorskip("fast_simplification", reason="needs requirements-shapes.txt")

from s4token_model.procedural.classes import PARTS, PROCEDURAL
from scripts.shapes import __main__ as command
from scripts.shapes import attribution, bank, catalogs, foliage, frames, meshes, parts, repair, sources

# The corners of a unit box, and its sides, whose windings point outward.
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
SIDES = np.array([t for a, b, c, d in QUADS for t in ((a, b, c), (a, c, d))])
SOURCE = sources.Source("sweethome3d/Test", "1", "", "CC0-1.0", "Nobody", "y", 0.01, "https://example.org", "Nobody")


def box(low, high, color=(200, 10, 10)) -> meshes.Mesh:
    vertices = np.array(low) + CORNERS * (np.array(high) - low)
    return meshes.Mesh(vertices, SIDES.copy(), np.tile(np.uint8(color), (12, 1)), np.zeros(12, bool))


def together(*boxes: meshes.Mesh) -> meshes.Mesh:
    joined = boxes[0]
    for other in boxes[1:]:
        joined = repair.joined(joined, other)
    return joined


def obj_text(mesh: meshes.Mesh, material: str = "red") -> str:
    lines = ["mtllib m.mtl", *(f"v {x} {y} {z}" for x, y, z in mesh.vertices), f"usemtl {material}"]
    return "\n".join([*lines, *(f"f {a} {b} {c}" for a, b, c in mesh.triangles + 1)]) + "\n"


def sphere(rings: int, radius: float = 1.0) -> meshes.Mesh:
    """A sphere of some 4 * rings² triangles."""
    theta, phi = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, False), indexing="ij"
    )
    xyz = radius * np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    a = np.arange(rings)[:, None] * 2 * rings + np.arange(2 * rings)
    b = np.arange(rings)[:, None] * 2 * rings + (np.arange(2 * rings) + 1) % (2 * rings)
    triangles = np.concatenate([np.stack([a, a + 2 * rings, b], -1), np.stack([b, a + 2 * rings, b + 2 * rings], -1)])
    triangles = triangles.reshape(-1, 3)
    color = np.where(
        xyz.reshape(-1, 3)[triangles].mean(axis=1)[:, 2:] > 0, np.uint8([[255, 0, 0]]), np.uint8([[0, 0, 255]])
    )
    return meshes.Mesh(xyz.reshape(-1, 3), triangles, color, np.zeros(len(triangles), bool))


@pytest.fixture
def library(tmp_path) -> Path:
    """A library of Sweet Home 3D: a chair (y up, its back at low z) that is half as large as its catalogue says."""
    chair = together(box([0, 0, 0], [20, 20, 20]), box([0, 20, 0], [20, 45, 2]))
    fields = {
        "id": "Test#chair", "name": "Chair", "category": "Office", "tags": "Seat, Wood", "creator": "Ann",
        "model": "/models/chair/chair.obj", "width": "40", "depth": "44", "height": "90", "elevation": "12.5",
    }  # fmt: skip
    turned = {**fields, "id": "Test#turned", "modelRotation": "0 0 -1 0 1 0 1 0 0"}
    lines = [f"{k}#{n}={v}" for n, entry in enumerate((fields, turned), 1) for k, v in entry.items()]
    path = tmp_path / "Test.sh3f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(catalogs.CATALOGUE, "\n".join(["id=SweetHome3D#Test", *lines]))
        archive.writestr("models/chair/chair.obj", obj_text(chair))
        archive.writestr("models/chair/m.mtl", "newmtl red\nKd 0.8 0.04 0.04\n")
    return path


def shape_of(library, tmp_path, name="chair", **fields) -> bank.Shape:
    model = sources.Model(SOURCE.name, name, "chair", **{"turn": 0, "size": "", "up": "", "license": "", **fields})
    return bank.build_shape(SOURCE, model, catalogs.library_entries(library, tmp_path / "out")[name], 1500)


def back_of(shape: bank.Shape) -> np.ndarray:
    """Mean of the vertices in the upper half: those of the back."""
    return shape.vertices[shape.vertices[:, 2] > 0.5].mean(axis=0)


def test_a_model_of_sweet_home_has_the_size_of_its_catalogue_and_faces_minus_y(library, tmp_path):
    shape = shape_of(library, tmp_path)
    low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
    assert np.allclose(high - low, [0.40, 0.44, 0.90], atol=2e-3)
    assert np.allclose(low, [-0.20, -0.22, 0], atol=2e-3) and back_of(shape)[1] > 0.15
    assert shape.entry.creator == "Ann" and shape.entry.elevation == 0.125 and shape.entry.tags[:2] == ("chair", "seat")
    assert np.allclose(shape.color, [204, 10, 10], atol=2) and shape.license == "CC0-1.0"


def test_the_rotation_of_the_catalogue_and_that_of_the_table_are_applied(library, tmp_path):
    # The catalogue's matrix maps z to -x: the back, at low z, goes to high x.
    turned = shape_of(library, tmp_path, "turned")
    assert back_of(turned)[0] > 0.12 and np.allclose(np.ptp(turned.vertices, axis=0), [0.40, 0.44, 0.90], atol=2e-3)
    # A quarter turn counterclockwise takes the back from +y to -x, and exchanges width and depth.
    quarter = shape_of(library, tmp_path, turn=90.0)
    assert back_of(quarter)[0] < -0.12 and np.allclose(np.ptp(quarter.vertices, axis=0), [0.44, 0.40, 0.90], atol=2e-3)


def test_processes_build_the_same_shapes_and_say_why_there_is_none(library, tmp_path):
    entry = catalogs.library_entries(library, tmp_path / "out")["chair"]
    model = sources.Model(SOURCE.name, "chair", "chair", 0.0, "", "", "")
    jobs = [(SOURCE, model, entry, 1500), (SOURCE, model, entry._replace(path=tmp_path / "gone.obj"), 1500)]
    for workers in (1, 2):
        shape, reason = bank.build_shapes(jobs, workers)
        assert np.array_equal(shape.vertices, shape_of(library, tmp_path).vertices) and "gone.obj" in reason


def test_the_upward_side_of_the_seat_is_named(library, tmp_path):
    shape = shape_of(library, tmp_path)
    seat = shape.triangles[shape.part == PARTS.index("seat")]
    assert len(seat) and np.allclose(shape.vertices[seat][..., 2], 0.40, atol=2e-3)


def test_the_top_of_a_table_is_named_and_not_its_lower_shelf():
    table = together(box([-0.8, -0.4, 0.70], [0.8, 0.4, 0.74]), box([-0.8, -0.4, 0.1], [0.8, 0.4, 0.12]))
    part = parts.part_ids(table, "table")
    heights = table.vertices[table.triangles[part == PARTS.index("top")]][..., 2]
    assert heights.min() >= 0.69 and np.isclose(heights.max(), 0.74)
    assert set(parts.part_ids(table, "car")) == {PARTS.index("whole")}


@pytest.mark.parametrize(
    "size, wanted",
    [((), [2, 4, 1]), ((8.0,), [4, 8, 2]), ((1.0, 2.0, 3.0), [1, 2, 3])],
    ids=["meters as they are", "largest extent", "width x depth x height"],
)
def test_sizes_scale_as_they_say(size, wanted):
    vertices = frames.placed(box([5, 5, 5], [7, 9, 6]).vertices, np.eye(3), size)
    assert np.allclose(np.ptp(vertices, axis=0), wanted)
    assert np.allclose(vertices.min(axis=0), [-wanted[0] / 2, -wanted[1] / 2, 0])


def test_a_size_that_is_none_is_refused():
    assert frames.parse_size("") == () and frames.parse_size("1.8x4.4x1.5") == (1.8, 4.4, 1.5)
    for text in ("big", "1x2", "0", "200"):
        with pytest.raises(ValueError, match="write meters"):
            frames.parse_size(text)


def test_double_faces_outliers_and_empty_triangles_go():
    mesh = box([0, 0, 0], [1, 1, 1])
    double = mesh._replace(triangles=np.concatenate([mesh.triangles, mesh.triangles[:, ::-1]]))
    double = double._replace(color=np.tile(mesh.color, (2, 1)), glass=np.tile(mesh.glass, 2))
    far = box([500, 0, 0], [500.01, 0.01, 0.01])
    flat = meshes.Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]), mesh.color[:1], mesh.glass[:1])
    repaired = repair.repaired(together(double, far, flat))
    assert len(repaired.triangles) == 12 and len(repaired.vertices) == 8 and repaired.vertices.max() == 1
    with pytest.raises(ValueError, match="zero area"):
        repair.repaired(flat)


def test_decimation_keeps_the_hull_and_the_colors_and_drops_what_is_inside():
    inside = sphere(40, 0.5)._replace(color=np.full((3200 * 2, 3), 7, np.uint8))
    small = repair.decimated(repair.repaired(together(sphere(40), inside)), 500)
    assert 300 < len(small.triangles) <= 550
    radius = np.linalg.norm(small.vertices, axis=1)
    assert radius.min() > 0.95 and radius.max() < 1.05
    top = small.vertices[small.triangles].mean(axis=1)[:, 2] > 0.1
    assert np.all(small.color[top] == [255, 0, 0]) and not (small.color == 7).all(axis=1).any()


def test_loose_pieces_are_merged_where_no_edge_collapses():
    rng = np.random.default_rng(0)
    pieces = together(*(box(c, c + 0.02) for c in rng.uniform(0, 1, (300, 3))))
    small = repair.decimated(pieces, 400)
    assert 50 < len(small.triangles) <= 440 and np.allclose(np.ptp(small.vertices, axis=0), 1, atol=0.1)


def test_what_stands_behind_glass_stays():
    pane = sphere(12)
    seen = repair.visible(together(pane._replace(glass=np.ones(len(pane.triangles), bool)), sphere(12, 0.5)))
    assert seen.all() and not repair.visible(together(pane, sphere(12, 0.5)))[len(pane.triangles) :].any()


def test_fewer_leaves_have_the_area_of_all():
    rng = np.random.default_rng(0)
    leaves = [box(c, c + [0.1, 0.1, 0.001]) for c in rng.uniform(0, 5, (400, 3))]
    stem, crown = foliage.split(together(box([2, 2, 0], [2.4, 2.4, 5]), *leaves))
    assert len(stem.triangles) == 12 and len(crown.triangles) == 400 * 12
    few = foliage.thinned(crown, 200)
    assert len(few.triangles) == 200 and np.isclose(repair.areas(few).sum(), repair.areas(crown).sum(), rtol=0.02)
    assert foliage.split(sphere(12)) is None


def test_files_of_all_formats_are_read_alike(tmp_path):
    import trimesh

    wanted = box([0, 0, 0], [1, 2, 3])
    (tmp_path / "box.obj").write_text(obj_text(wanted))
    (tmp_path / "m.mtl").write_text("newmtl red\nKd 1 0 0\nd 0.2\n")
    trimesh.Trimesh(wanted.vertices, wanted.triangles).export(tmp_path / "box.glb")
    trimesh.Trimesh(wanted.vertices, wanted.triangles).export(tmp_path / "box.stl")
    for name in ("box.obj", "box.glb", "box.stl"):
        mesh = meshes.read(tmp_path / name)
        assert len(mesh.triangles) == 12 and np.allclose(np.ptp(mesh.vertices, axis=0), [1, 2, 3])
    for content in ("", "nothing\n"):
        (tmp_path / "bad.obj").write_text(content)
        with pytest.raises(ValueError, match=r"bad\.obj .*models\.csv"):
            meshes.read(tmp_path / "bad.obj")


def test_the_reviewed_tables_are_sound():
    known = sources.read_sources()
    models = sources.read_models(known)
    assert {source.license for source in known} <= sources.LICENSES
    assert {model.source for model in models} == {source.name for source in known}
    assert all(len(source.sha256) == 64 for source in known)
    counts = Counter(model.label for model in models)
    assert set(counts) <= set(PROCEDURAL) and counts["chair"] >= 50 and counts["car"] >= 15 and counts["person"] >= 10
    # The two files of the CC0 library whose own license pages say CC-BY.
    assert {m.model for m in models if m.license} == {"winchesterArmchair", "winchesterSofa"}
    assert {m.license for m in models if m.license} == {"CC-BY-3.0"}


@pytest.mark.parametrize(
    "line, message",
    [
        ("nowhere,chair,chair,,,,", "source 'nowhere'"),
        ("kenney,chair.glb,throne,,,,", "class 'throne'"),
        ("kenney,chair.glb,chair,,,,GPL-3.0", "license 'GPL-3.0'"),
        ("kenney,chair.glb,chair,,huge,,", "size 'huge'"),
        ("kenney,chair.glb,chair,,,,\nkenney,chair.glb,sofa,,,,", "has two lines"),
    ],
)
def test_a_wrong_line_of_the_table_is_refused(tmp_path, line, message):
    (tmp_path / "models.csv").write_text(f"source,model,class,turn,size,up,license\n{line}\n")
    with pytest.raises(ValueError, match=message):
        sources.read_models(sources.read_sources(), tmp_path / "models.csv")


def test_a_license_that_was_not_read_is_refused(tmp_path):
    text = (sources.FOLDER / "sources.csv").read_text(encoding="utf-8")
    (tmp_path / "sources.csv").write_text(text.replace("MIT-0", "CC-BY-NC-4.0"))
    with pytest.raises(ValueError, match="CC-BY-NC-4.0"):
        sources.read_sources(tmp_path / "sources.csv")


def test_a_bank_names_rows_sources_licenses_and_creators(library, tmp_path):
    shapes = [shape_of(library, tmp_path), shape_of(library, tmp_path, "turned", license="CC-BY-3.0")]
    bank.write_bank(tmp_path / "bank", [SOURCE], shapes)
    manifest = json.loads((tmp_path / "bank" / "manifest.json").read_text(encoding="utf-8"))
    with np.load(tmp_path / "bank" / "shapes.npz", allow_pickle=False) as arrays:
        assert (arrays["vertices"].dtype, arrays["triangles"].dtype) == (np.float32, np.int32)
        assert (arrays["color"].dtype, arrays["part"].dtype) == (np.uint8, np.int16)
        for entry, shape in zip(manifest["shapes"], shapes, strict=True):
            assert np.array_equal(arrays["vertices"][slice(*entry["vertices"])], shape.vertices)
            assert np.array_equal(arrays["triangles"][slice(*entry["triangles"])], shape.triangles)
            assert np.allclose(entry["size"], np.ptp(shape.vertices, axis=0), atol=1e-3)
    assert [entry["license"] for entry in manifest["shapes"]] == ["CC0-1.0", "CC-BY-3.0"]
    assert manifest["shapes"][0]["class"] == "chair" and manifest["sources"][0]["name"] == SOURCE.name
    page = (tmp_path / "bank" / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert page == attribution.page(manifest) and page.count("Ann") == 2 and "CC-BY-3.0" in page


def test_absent_sources_are_skipped_with_a_count(tmp_path, capsys):
    folder = tmp_path / "kenney" / "static" / "models"
    folder.mkdir(parents=True)
    (tmp_path / "nowhere").mkdir()
    import trimesh

    trimesh.Trimesh(CORNERS, SIDES).export(folder / "chair.glb")
    out = tmp_path / "bank"
    arguments = ["--out", str(out), "--source", f"sweethome3d={tmp_path / 'nowhere'}", "--workers", "1"]
    assert command.main(arguments) == 1 and not out.exists()
    assert command.main([*arguments, "--source", f"kenney={tmp_path / 'kenney'}"]) == 0
    printed = capsys.readouterr().out
    assert "gazebo: absent, " in printed and " models skipped" in printed and "kenney: 1 of " in printed
    (only,) = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["shapes"]
    assert only["id"] == "kenney/static/models/chair.glb" and only["size"] == [0.42, 0.44, 0.92]
