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
