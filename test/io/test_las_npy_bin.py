"""NumPy arrays: which layouts are read, and what is said about the others."""

from __future__ import annotations

import re

import numpy as np
import pytest

from s4token_model.io.files import read_cloud, write_cloud


def test_npy_layouts(tmp_path):
    rng = np.random.default_rng(4)
    votenet = np.hstack([rng.normal(size=(20, 3)), rng.integers(0, 256, (20, 3))]).astype(np.float32)
    unit = np.hstack([votenet[:, :3], votenet[:, 3:] / 255])
    normals = np.hstack([votenet[:, :3], rng.normal(size=(20, 3)), np.ones((20, 1))])
    for name, values in (("v", votenet), ("u", unit), ("n", normals), ("i", votenet[:, :4])):
        np.save(tmp_path / f"{name}.npy", values)
    assert np.allclose(read_cloud(tmp_path / "v.npy").rgb, votenet[:, 3:] / 255, atol=1e-6)
    assert np.allclose(read_cloud(tmp_path / "u.npy").rgb, votenet[:, 3:] / 255, atol=1e-6)
    assert read_cloud(tmp_path / "n.npy").rgb is None and "column_6" in read_cloud(tmp_path / "n.npy").fields
    assert "intensity" in read_cloud(tmp_path / "i.npy").fields


@pytest.mark.parametrize("shape", [(3, 2000), (4, 2000), (6, 2000), (3, 4), (5, 6), (2, 2000)])
def test_a_transposed_array_is_refused_with_the_fix(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32))
    message = f"a.npy: shape {re.escape(str(shape))} looks transposed; save array.T"
    with pytest.raises(ValueError, match=message):
        read_cloud(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(1, 3), (2, 6), (3, 3), (4, 4), (2000, 3), (2000, 100)])
def test_arrays_of_few_points_or_many_columns_are_read(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    assert np.array_equal(read_cloud(tmp_path / "a.npy").xyz, np.load(tmp_path / "a.npy")[:, :3])


@pytest.mark.parametrize("channels", [3, 4, 6])
def test_an_array_of_rows_and_columns_of_points_is_an_organized_cloud(tmp_path, channels):
    values = np.random.default_rng(9).normal(size=(12, 16, channels)).astype(np.float32)
    rows = np.rec.fromarrays([values[..., i] for i in range(3)], names="x,y,z")
    for name, array in (("plain", values), ("structured", rows)):
        np.save(tmp_path / f"{name}.npy", array)
        cloud = read_cloud(tmp_path / f"{name}.npy")
        assert (cloud.width, cloud.height) == (16, 12)
        assert np.array_equal(cloud.xyz, values[..., :3].reshape(-1, 3))
        write_cloud(tmp_path / "c.pcd", cloud)
        assert read_cloud(tmp_path / "c.pcd").height == 12


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2000, 2)), "found an array of shape \\(2000, 2\\).*a cloud is \\(N, 3\\) numbers"),
        (np.zeros(6000), "found an array of shape \\(6000,\\)"),
        (np.zeros(()), "found an array of shape \\(\\)"),
        (np.zeros((2, 2, 20, 3)), "found an array of shape \\(2, 2, 20, 3\\)"),
        (np.zeros((20, 3), np.complex64), "type complex64"),
        (np.zeros((20, 3), bool), "type bool"),
        (np.full((20, 3), "1.5"), "type <U3"),
        (np.zeros((48, 64, 3), np.uint8), "this is a picture"),
        (np.zeros((3, 480, 640), np.float32), "looks transposed; save np.moveaxis\\(array"),
        (np.zeros((1, 3, 2000), np.float32), "looks transposed; save np.moveaxis\\(array"),
        (np.zeros(20, [("x", "f4"), ("y", "f4")]), "no field 'z'; fields there are: x, y"),
        (np.zeros(20, [("xyz", "f4", 2)]), "no field 'x'; fields there are: xyz"),
        (np.zeros(1, [(n, "f4", 20) for n in "xyz"]), "must hold one number per point"),
        (np.zeros(20, [("x", "f4"), ("y", "c8"), ("z", "U3")]), "no real numbers: y \\(complex64\\), z \\(<U3\\)"),
    ],
)
def test_arrays_that_are_no_cloud_are_named(tmp_path, values, words):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=f"a.npy: .*{words}"):
        read_cloud(tmp_path / "a.npy")


def test_arrays_of_objects_are_named(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 3), object), allow_pickle=True)
    with pytest.raises(ValueError, match="a.npy: .*cannot be read.*save a plain array of numbers"):
        read_cloud(tmp_path / "a.npy")


def test_arrays_of_integers_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(60, dtype=np.int32).reshape(20, 3))
    assert np.array_equal(read_cloud(tmp_path / "a.npy").xyz, np.arange(60).reshape(20, 3))


def scan(columns, count=3000, seed=3):
    """Points (count, columns) of a simulated LiDAR in the order of its beams: x y z intensity and more."""
    rng = np.random.default_rng(seed)
    elevation = np.tile(np.deg2rad([-15, 1, -13, 3, -11, 5, -9, 7, -7, 9, -5, 11, -3, 13, -1, 15]), count)[:count]
    azimuth = np.repeat(np.linspace(0, 2 * np.pi, count // 16 + 1), 16)[:count]
    distance = np.minimum(1.8 / np.maximum(np.sin(-elevation), 0.06), 30) * rng.uniform(0.9, 1, count)
    x, y = distance * np.cos(elevation) * np.cos(azimuth), distance * np.cos(elevation) * np.sin(azimuth)
    more = [rng.random(count), rng.integers(0, 32, count), np.linspace(0, 0.1, count), *rng.random((4, count))]
    return np.stack([x, y, distance * np.sin(elevation), *more], axis=1)[:, :columns].astype("<f4")


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("count", [720, 3000])
@pytest.mark.parametrize("columns", [3, 5, 6, 7, 10])
def test_bin_files_of_other_columns_are_refused_with_the_number(tmp_path, columns, count, shuffled):
    values = scan(columns, count * 4)
    values = np.random.default_rng(0).permutation(values) if shuffled else values
    values.tofile(tmp_path / "a.bin")
    with pytest.raises(ValueError, match=f"look like {columns} float32 each; `s4token label --bin-columns {columns}`"):
        read_cloud(tmp_path / "a.bin")
    cloud = read_cloud(tmp_path / "a.bin", bin_columns=columns)
    assert np.array_equal(cloud.xyz, values[:, :3]) and len(cloud.fields) == columns


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("count", [16, 30, 720, 4096, 30240])
def test_bin_files_of_four_columns_are_read_and_pcd_bin_files_have_five(tmp_path, count, shuffled):
    for name, columns in (("a.bin", 4), ("a.pcd.bin", 5)):
        values = scan(columns, count)
        values = np.random.default_rng(0).permutation(values) if shuffled else values
        values.tofile(tmp_path / name)
        cloud = read_cloud(tmp_path / name)
        assert np.array_equal(cloud.xyz, values[:, :3]) and np.array_equal(cloud.fields["intensity"], values[:, 3])
    scan(4, 4000).tofile(tmp_path / "a.pcd.bin")
    with pytest.raises(ValueError, match="--bin-columns 4"):
        read_cloud(tmp_path / "a.pcd.bin")


def test_bin_files_of_points_with_class_scores_are_told_from_pairs_of_points(tmp_path):
    rng = np.random.default_rng(1)
    np.hstack([scan(4), rng.dirichlet([0.3] * 4, 3000)]).astype("<f4").tofile(tmp_path / "a.bin")
    with pytest.raises(ValueError, match="--bin-columns 8"):
        read_cloud(tmp_path / "a.bin")


def test_colors_in_bin_files(tmp_path):
    values = np.hstack([scan(3), np.random.default_rng(2).integers(0, 256, (3000, 3))]).astype("<f4")
    values.tofile(tmp_path / "a.bin")
    assert np.allclose(read_cloud(tmp_path / "a.bin", bin_columns=6).rgb * 255, values[:, 3:])


@pytest.mark.parametrize("kind", ["<f8", "<i4", "<u2", "<i2"])
def test_bin_files_of_other_types_are_refused(tmp_path, kind):
    (scan(4) * 100).astype(kind).tofile(tmp_path / "a.bin")
    with pytest.raises(ValueError, match="a.bin: "):
        read_cloud(tmp_path / "a.bin")


@pytest.mark.parametrize(("name", "columns"), [("a.bin", 2), ("a.bin", 0), ("a.npy", 4), ("a.bin", -1)])
def test_a_number_of_columns_that_cannot_be_is_refused(tmp_path, name, columns):
    np.save(tmp_path / "a.npy", scan(4))
    scan(4).tofile(tmp_path / "a.bin")
    with pytest.raises(ValueError, match=f"--bin-columns {columns}; give it for .bin files only, and 3 columns"):
        read_cloud(tmp_path / name, bin_columns=columns)


def test_columns_without_names_are_colors_or_normals_only_if_they_can_be(tmp_path):
    rng = np.random.default_rng(5)
    xyz, normals = scan(3), rng.normal(size=(3000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    levels, other = rng.integers(0, 256, (3000, 3)), scan(6)[:, 3:]
    for values, names in (
        (levels, ["red", "green", "blue"]), (levels / 255, ["red", "green", "blue"]), (levels * 257, ["red"]),
        (levels / 254.9, ["red", "green", "blue"]),
        (normals, ["normal_x", "normal_y", "normal_z"]), (other, ["column_3", "column_4", "column_5"]),
        (100 * normals, ["column_3"]), (levels + 0.5, ["column_3"]),
    ):  # fmt: skip
        np.save(tmp_path / "a.npy", np.hstack([xyz, values]))
        cloud = read_cloud(tmp_path / "a.npy")
        assert list(cloud.fields)[3 : 3 + len(names)] == names
        assert (cloud.rgb is not None) == (names[0] == "red")
        assert bool(cloud.notes) == (names[0] == "column_3")


def test_structured_arrays_with_positions_in_one_field_and_fields_in_fields(tmp_path):
    values = np.zeros(9, [("position", "f4", 3), ("id", "i8")])
    values["position"] = scan(3, 9)
    np.save(tmp_path / "a.npy", values)
    cloud = read_cloud(tmp_path / "a.npy")
    assert np.array_equal(cloud.xyz, scan(3, 9)) and list(cloud.fields) == ["x", "y", "z", "id"]
    assert cloud.notes == ("field 'position' is split into x, y and z",)
    nested = np.zeros(9, [("pos", [(n, "f4") for n in "xyz"]), ("t", "f8")])
    for i, name in enumerate("xyz"):
        nested["pos"][name] = scan(3, 9)[:, i]
    np.save(tmp_path / "b.npy", nested)
    cloud = read_cloud(tmp_path / "b.npy")
    assert np.array_equal(cloud.xyz, scan(3, 9)) and list(cloud.fields) == ["x", "y", "z", "t"]


def test_points_without_a_color_and_averaged_colors_leave_columns_their_names(tmp_path):
    rng = np.random.default_rng(12)
    xyz, levels = rng.normal(size=(900, 3)), rng.integers(0, 256, (900, 3)).astype(float)
    normals = rng.normal(size=(900, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for values, first in ((levels, "red"), ((levels + levels[::-1]) / 2, "red"), (normals, "normal_x")):
        image = np.hstack([xyz, values]).reshape(30, 30, 6)
        image[3:5] = np.nan
        np.save(tmp_path / "a.npy", image)
        cloud = read_cloud(tmp_path / "a.npy")
        assert list(cloud.fields)[3] == first and not cloud.notes
        if first == "red":
            assert np.allclose(cloud.rgb, np.nan_to_num(image[..., 3:].reshape(-1, 3)) / 255, atol=1e-6)
    sizes = rng.uniform(0.1, 9, (900, 3))  # of boxes
    np.save(tmp_path / "a.npy", np.hstack([xyz, sizes]))
    assert read_cloud(tmp_path / "a.npy").rgb is None


@pytest.mark.filterwarnings("error")
def test_half_precision_columns_are_read_without_a_warning(tmp_path):
    np.save(tmp_path / "a.npy", np.full((20, 6), 100, np.float16))
    assert np.allclose(read_cloud(tmp_path / "a.npy").rgb, 100 / 255)
