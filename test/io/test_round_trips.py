"""Whatever a cloud holds comes back from the files that are written, or a note says that it does not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from s4token_model.config import Config
from s4token_model.io import column_types, errors, files, label_files
from s4token_model.io.files import WRITERS, Cloud, read_cloud, write_cloud

COUNT = 6
TYPES = ["i1", "u1", "<i2", ">u2", "<i4", "<u4", ">i4", "<i8", ">u8", "<f4", ">f4", "<f8", "<f2", "?"]
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=8)
COORDINATES = {name: np.arange(COUNT, dtype=np.float32) + i for i, name in enumerate("xyz")}


def columns(types=TYPES):
    shapes = st.sampled_from([(COUNT,), (COUNT, 2)])
    one = st.sampled_from(types).flatmap(lambda code: arrays.arrays(np.dtype(code), shapes))
    return st.dictionaries(NAMES.filter(lambda name: name.lower() not in (*"xyz", "rgb", "rgba")), one, max_size=4)


@pytest.mark.parametrize("suffix", WRITERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra=columns())
def test_every_name_and_type_comes_back_with_equal_values(tmp_path, suffix, extra):
    cloud, path = Cloud.from_fields(COORDINATES | extra), tmp_path / f"c{suffix}"
    notes = write_cloud(path, cloud)
    assert notes == files.check_writable(path, cloud)
    again = read_cloud(path)
    assert np.array_equal(again.xyz, cloud.xyz)
    # What became of each column: other names are noted, and so are integers of 64 bits in PLY
    renamed = dict(re.findall(r"'((?:[^'\\]|\\.)*)' -> '((?:[^'\\]|\\.)*)'", " ".join(notes)))
    fitted, _ = column_types.fit(COORDINATES | extra, suffix)
    assert list(again.fields) == list(fitted)
    for name, column in extra.items():
        if name in fitted and column.ndim == 1 and name not in renamed.values():
            assert np.array_equal(again.fields[name], column, equal_nan=column.dtype.kind == "f")
        elif suffix == ".ply" and column.ndim == 1:
            assert name in " ".join(notes) or repr(name)[1:-1] in " ".join(notes)
    assert len(fitted) >= len(COORDINATES | extra)


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("suffix", WRITERS)
def test_the_types_that_a_format_has_are_kept(tmp_path, suffix, code):
    values = np.array([0, 1, 100, 7, 5, 1]).astype(code)
    write_cloud(tmp_path / f"c{suffix}", Cloud.from_fields(COORDINATES | {"v": values}))
    again = read_cloud(tmp_path / f"c{suffix}").fields["v"]
    assert np.array_equal(again, values)
    native = np.dtype(code).newbyteorder("=")
    other = {"float16": "float32", "bool": "uint8"}
    other |= {"int64": "int32", "uint64": "int32"} if suffix == ".ply" else {}
    wanted = native if suffix == ".npy" else np.dtype(other.get(native.name, native.name))
    assert again.dtype.newbyteorder("=") == wanted


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    "names",
    [["Höhe"], ["高さ"], ["высота", "ارتفاع"], ["a b", "a_b"], ["", "field"], ["_", "__"], ["#id"], ["x [m]"],
     ["scalar_Scalar_field_#2"], ["property", "element", "list"], ["DATA", "VIEWPOINT"], ["a\nb"], ["ring\0"]],
)  # fmt: skip
def test_fields_keep_their_names_or_a_note_names_both(tmp_path, suffix, names):
    cloud = Cloud.from_fields(COORDINATES | {name: np.full(COUNT, i, np.uint8) for i, name in enumerate(names)})
    notes = write_cloud(tmp_path / f"c{suffix}", cloud)
    again = read_cloud(tmp_path / f"c{suffix}").fields
    assert len(again) == 3 + len(names)
    for i, (old, new) in enumerate(zip(names, list(again)[3:], strict=True)):
        assert (again[new] == i).all()
        assert old == new or f"{old!r} -> {new!r}" in notes[0]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("kind", ["U5", "S3", "c8", "M8[ns]", "m8[s]", "V3", "f16"])
def test_what_is_no_number_is_left_out_with_a_note_or_kept(tmp_path, suffix, kind):
    values = np.zeros(COUNT, kind) if kind[0] in "VMm" else np.arange(COUNT).astype(kind)
    cloud = Cloud.from_fields(COORDINATES | {"odd": values})
    notes = write_cloud(tmp_path / f"c{suffix}", cloud)
    again = read_cloud(tmp_path / f"c{suffix}")
    if "odd" in again.fields:
        wanted = values.view("i8") if kind[0] in "Mm" and suffix != ".npy" else values  # times are counts
        assert notes == () and again.fields["odd"].tolist() == wanted.tolist()
    else:
        assert "field 'odd'" in notes[0] and "left out" in notes[0] and suffix != ".npy"


@pytest.mark.parametrize("suffix", WRITERS)
def test_organized_clouds_stay_organized(tmp_path, suffix):
    write_cloud(tmp_path / f"c{suffix}", Cloud.from_fields(COORDINATES, 3, 2))
    again = read_cloud(tmp_path / f"c{suffix}")
    assert (again.width, again.height) == (3, 2) and again.comments == ()
    if suffix == ".npy":
        assert np.load(tmp_path / "c.npy").shape == (2, 3)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("count", [0, COUNT])
def test_fields_of_several_values_or_none(tmp_path, suffix, count):
    fields = {name: column[:count] for name, column in COORDINATES.items()}
    fields |= {
        "pair": np.ones((count, 2), "f4"),
        "none": np.ones((count, 0), "f4"),
        "grid": np.ones((count, 2, 2), "u1"),
    }
    notes = write_cloud(tmp_path / f"c{suffix}", Cloud.from_fields(fields))
    again = read_cloud(tmp_path / f"c{suffix}").fields
    assert ("none" in again) == (suffix == ".npy") and bool(notes) == (suffix != ".npy")
    assert sum(int(np.prod(c.shape[1:], dtype=int)) for c in again.values()) == 3 + 2 + 4


def test_the_command_reports_what_a_file_cannot_hold(tmp_path):
    fields = {name: np.random.default_rng(i).random(300) for i, name in enumerate("xyz")}
    cloud = dataclasses.replace(Cloud.from_fields(fields | {"t": np.full(300, 2**40)}), notes=("read with care",))
    result = label_files.write_superpoints(cloud, tmp_path / "c.ply", Config())
    assert result["warnings"][0] == "read with care" and "field 't' (int64) is written as" in result["warnings"][1]


def test_faces_of_a_mesh_are_kept_in_ply_and_noted_elsewhere(tmp_path):
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    cloud = dataclasses.replace(Cloud.from_fields(COORDINATES), triangles=faces)
    assert write_cloud(tmp_path / "c.ply", cloud, {"label": np.arange(COUNT, dtype=np.uint32)}) == ()
    again = read_cloud(tmp_path / "c.ply")
    assert np.array_equal(again.triangles, faces) and np.array_equal(again.fields["label"], np.arange(COUNT))
    for suffix in (".pcd", ".npy"):
        assert write_cloud(tmp_path / f"c{suffix}", cloud) == (
            f"the 2 faces are not in a {suffix} file; .ply keeps them",
        )


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_comments_are_kept(tmp_path, suffix):
    comments = (
        "made by hand",
        "obj_info a range grid",
        "CRS EPSG:25832",
        "Höhe über NN",
        "two\nlines",
        "VIEWPOINT 1 2 3 1 0 0 0",
    )
    cloud = dataclasses.replace(Cloud.from_fields(COORDINATES), comments=comments)
    assert write_cloud(tmp_path / f"c{suffix}", cloud) == ()
    again = read_cloud(tmp_path / f"c{suffix}").comments
    assert again == tuple(" ".join(c.split()) for c in comments)
    (note,) = write_cloud(tmp_path / "c.npy", cloud)
    assert "made by hand" in note


def test_what_a_file_says_about_its_coordinates_goes_along(tmp_path):
    laspy = pytest.importorskip("laspy")
    from laspy.vlrs.known import WktCoordinateSystemVlr

    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales, header.offsets = [0.001] * 3, [500000, 4000000, 0]
    header.vlrs.append(WktCoordinateSystemVlr('PROJCS["ETRS89 / UTM zone 32N"]'))
    las = laspy.LasData(header)
    las.x, las.y, las.z = np.arange(5.0) + 500000, np.arange(5.0) + 4000000, np.arange(5.0)
    las.write(tmp_path / "c.las")
    cloud = read_cloud(tmp_path / "c.las")
    write_cloud(tmp_path / "c.ply", cloud)
    write_cloud(tmp_path / "c.pcd", read_cloud(tmp_path / "c.ply"))
    again = read_cloud(tmp_path / "c.pcd")
    assert np.array_equal(again.xyz, cloud.xyz) and again.comments == (
        "LAS 1.4 scale 0.001 0.001 0.001 offset 500000 4000000 0",
        'CRS PROJCS["ETRS89 / UTM zone 32N"]',
    )


def test_a_folder_without_permission_is_named_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(errors.os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
    with pytest.raises(ValueError, match="c.ply: its folder cannot be written to; check its permissions"):
        files.check_writable(tmp_path / "c.ply")
