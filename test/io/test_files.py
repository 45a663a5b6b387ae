"""Files: every format read and written, Open3D and laspy as oracles, real scans, and files that are broken."""

from __future__ import annotations

import os

import numpy as np
import pytest
from mesh_text import mesh_text
from real_data import real

from s4token_model.io import files
from s4token_model.io.depth_image import unproject
from s4token_model.io.files import READERS, WRITERS, Cloud, read_cloud, write_cloud


def make_cloud(count=200, seed=0):
    rng = np.random.default_rng(seed)
    xyz = rng.normal(size=(count, 3)).astype(np.float32)
    xyz[3] = np.nan
    xyz[4, 1] = np.inf
    fields = {name: xyz[:, i] for i, name in enumerate("xyz")}
    for name in ("red", "green", "blue"):
        fields[name] = rng.integers(0, 256, count, np.uint8)
    fields |= {"label": rng.integers(0, 41, count).astype(np.uint16), "time": rng.random(count)}
    return Cloud.from_fields(fields)


@pytest.mark.parametrize("suffix", WRITERS)
def test_written_clouds_come_back_with_every_field_and_type(tmp_path, suffix):
    cloud = make_cloud()
    path = tmp_path / f"cloud{suffix}"
    write_cloud(path, cloud)
    again = read_cloud(path)
    assert np.array_equal(again.xyz, cloud.xyz, equal_nan=True) and again.xyz.dtype == cloud.xyz.dtype
    assert np.array_equal(again.rgb, cloud.rgb)
    for name in ("x", "label", "time"):
        assert again.fields[name].dtype == cloud.fields[name].dtype
        assert np.array_equal(again.fields[name], cloud.fields[name], equal_nan=True)
    assert sorted(os.listdir(tmp_path)) == [path.name]


@pytest.mark.parametrize("suffix", WRITERS)
def test_extra_fields_join_and_push_none_of_the_input_out(tmp_path, suffix):
    cloud, path = make_cloud(), tmp_path / f"cloud{suffix}"
    count = len(cloud.xyz)
    extra = {"label": np.full(count, 65535, np.uint32), "confidence": np.full(count, 0.5, np.float32)}
    extra |= {name: np.full(count, level, np.uint8) for name, level in (("red", 9), ("green", 8), ("blue", 7))}
    write_cloud(path, cloud, extra)
    again = read_cloud(path)
    assert np.array_equal(again.fields["label"], extra["label"])
    assert again.fields["label"].dtype == (np.int32 if suffix == ".ply" else np.uint32)
    assert np.array_equal(again.fields["input_label"], cloud.fields["label"])
    assert np.allclose(again.rgb * 255, [9, 8, 7])
    for _ in range(2):  # labeled again and again, it does not grow without end
        write_cloud(path, again, extra)
        names, again = set(again.fields), read_cloud(path)
    assert set(again.fields) == names
    assert np.array_equal(again.fields["input_label"], cloud.fields["label"])


def test_pcd_keeps_the_shape_of_an_organized_cloud(tmp_path):
    flat = make_cloud(24)
    write_cloud(tmp_path / "o.pcd", Cloud.from_fields(flat.fields, 6, 4))
    again = read_cloud(tmp_path / "o.pcd")
    assert (again.width, again.height) == (6, 4)


def test_fields_of_several_values_survive(tmp_path):
    fields = make_cloud(10).fields | {"normal": np.arange(30, dtype=np.float32).reshape(10, 3)}
    for suffix in (".pcd", ".npy"):
        write_cloud(tmp_path / f"c{suffix}", Cloud.from_fields(fields))
        assert np.array_equal(read_cloud(tmp_path / f"c{suffix}").fields["normal"], fields["normal"])
    write_cloud(tmp_path / "c.ply", Cloud.from_fields(fields))
    assert np.array_equal(read_cloud(tmp_path / "c.ply").fields["normal_2"], fields["normal"][:, 2])


def test_integers_of_64_bits_fit_or_become_two_columns_in_ply(tmp_path):
    fields = {name: np.zeros(3, np.float32) for name in "xyz"}
    write_cloud(tmp_path / "c.ply", Cloud.from_fields(fields | {"id": np.array([0, 5, 4_000_000_000])}))
    assert list(read_cloud(tmp_path / "c.ply").fields["id"]) == [0, 5, 4_000_000_000]
    ids = np.array([0, -5, 2**40 + 3])
    (note,) = write_cloud(tmp_path / "c.ply", Cloud.from_fields(fields | {"id": ids}))
    assert "'id'" in note and ".npy" in note
    halves = read_cloud(tmp_path / "c.ply").fields
    assert list((halves["id_high"].astype(np.int64) << 32) + halves["id_low"]) == list(ids)


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
@pytest.mark.parametrize("ascii_", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_open3d_are_read_as_open3d_reads_them(tmp_path, suffix, ascii_, compressed):
    o3d = pytest.importorskip("open3d", exc_type=ImportError)
    rng = np.random.default_rng(3)
    cloud = o3d.t.geometry.PointCloud()
    cloud.point.positions = o3d.core.Tensor(np.repeat(rng.normal(size=(250, 3)), 4, axis=0).astype(np.float32))
    cloud.point.colors = o3d.core.Tensor(rng.integers(0, 256, (1000, 3)).astype(np.uint8))
    cloud.point["intensity"] = o3d.core.Tensor(rng.random((1000, 1)).astype(np.float32))
    path = str(tmp_path / f"o{suffix}")
    assert o3d.t.io.write_point_cloud(path, cloud, write_ascii=ascii_, compressed=compressed)
    got, oracle = read_cloud(path), o3d.t.io.read_point_cloud(path)
    assert np.array_equal(got.xyz, oracle.point.positions.numpy())
    assert np.array_equal(np.rint(got.rgb * 255), oracle.point.colors.numpy())
    assert np.array_equal(got.fields["intensity"], oracle.point["intensity"].numpy()[:, 0])


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_open3d_reads_what_is_written(tmp_path, suffix):
    o3d = pytest.importorskip("open3d", exc_type=ImportError)
    cloud = make_cloud()
    extra = {"confidence": np.linspace(0, 1, len(cloud.xyz), dtype=np.float32)}
    extra |= {"label": np.where(extra["confidence"] > 0.5, 65535, 3).astype(np.uint32)}
    write_cloud(tmp_path / f"c{suffix}", cloud, extra)
    oracle = o3d.t.io.read_point_cloud(str(tmp_path / f"c{suffix}"))
    assert np.array_equal(oracle.point.positions.numpy(), cloud.xyz, equal_nan=True)
    assert np.array_equal(oracle.point.colors.numpy(), np.rint(cloud.rgb * 255))
    for name, values in extra.items():
        assert np.array_equal(oracle.point[name].numpy()[:, 0], values)


def test_big_endian_and_ascii_ply(tmp_path):
    values = np.array([(1.5, -2, 3, 200), (4, 5, np.nan, 7)], [(n, ">f4") for n in "xyz"] + [("q", ">u2")])
    header = "ply\nformat {} 1.0\ncomment made by hand\nelement vertex 2\nproperty float x\nproperty float y\n"
    header += "property float32 z\nproperty ushort q\nend_header\n"
    (tmp_path / "b.ply").write_bytes(header.format("binary_big_endian").encode() + values.tobytes())
    (tmp_path / "a.ply").write_text((header.format("ascii") + "1.5 -2 3 200\n4 5 nan 7\n").replace("\n", "\r\n"))
    for name in ("a.ply", "b.ply"):
        got = read_cloud(tmp_path / name)
        assert np.array_equal(got.xyz, [[1.5, -2, 3], [4, 5, np.nan]], equal_nan=True)
        assert list(got.fields["q"]) == [200, 7]


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_as_laspy_writes_it(tmp_path, suffix):
    laspy = pytest.importorskip("laspy")
    if suffix == ".laz":
        pytest.importorskip("lazrs")
    rng = np.random.default_rng(5)
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = [0.001] * 3, [500000.0, 4000000.0, 0]
    las = laspy.LasData(header)
    xyz = rng.normal(size=(100, 3)) + header.offsets
    las.x, las.y, las.z = xyz.T
    las.red, las.green, las.blue = (rng.integers(0, 65536, (3, 100))).astype(np.uint16)
    las.classification = rng.integers(0, 20, 100).astype(np.uint8)
    las.write(tmp_path / f"c{suffix}")
    cloud = read_cloud(tmp_path / f"c{suffix}")
    assert cloud.xyz.dtype == np.float64 and np.allclose(cloud.xyz, xyz, atol=0.0006)
    assert np.allclose(cloud.rgb[:, 0], np.asarray(las.red) / 65535, atol=1e-6)
    assert np.array_equal(cloud.fields["classification"], np.asarray(las.classification))
    write_cloud(tmp_path / "c.ply", cloud)
    assert np.allclose(read_cloud(tmp_path / "c.ply").xyz, xyz, atol=0.0006)
    blob = (tmp_path / f"c{suffix}").read_bytes()
    (tmp_path / f"c{suffix}").write_bytes(blob[: len(blob) // 2])
    with pytest.raises(ValueError, match=f"c\\{suffix}: (truncated|cannot be read)"):
        read_cloud(tmp_path / f"c{suffix}")


def test_kitti_and_nuscenes_bin(tmp_path):
    values = np.random.default_rng(6).normal(size=(30, 5)).astype("<f4")
    values[:, :4].tofile(tmp_path / "k.bin")
    values.tofile(tmp_path / "n.pcd.bin")
    assert np.array_equal(read_cloud(tmp_path / "k.bin").fields["intensity"], values[:, 3])
    assert np.array_equal(read_cloud(tmp_path / "n.pcd.bin").fields["ring"], values[:, 4])


def test_unprojected_points_project_back_to_their_pixels():
    rng = np.random.default_rng(7)
    depth = rng.uniform(0.5, 4, (12, 16))
    depth[2, 3] = 0
    camera = np.array([[20.0, 0, 7.5], [0, 21.0, 5.5], [0, 0, 1]])
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, [1, 2, 3]
    points = unproject(depth, camera, pose)
    assert np.isnan(points[2, 3]).all()
    seen = (points.reshape(-1, 3) - pose[:3, 3]) @ rotation @ camera.T
    rows, columns = np.indices(depth.shape)
    good = depth.ravel() > 0
    assert np.allclose(seen[good, 2], depth.ravel()[good], atol=1e-4)
    assert np.allclose(seen[good, 0] / seen[good, 2], columns.ravel()[good], atol=1e-2)
    assert np.allclose(seen[good, 1] / seen[good, 2], rows.ravel()[good], atol=1e-2)


def test_a_depth_image_is_in_the_optical_frame_unless_it_has_a_pose(tmp_path):
    from PIL import Image

    path = tmp_path / "a.depth.png"
    Image.fromarray(np.full((4, 5), 1500, np.uint16)).save(path)
    np.savetxt(tmp_path / "camera-intrinsics.txt", [[5, 0, 2], [0, 5, 2], [0, 0, 1]])
    assert read_cloud(path).frame_id == "camera_optical_frame"
    np.savetxt(tmp_path / "a.pose.txt", np.eye(4))
    assert read_cloud(path).frame_id == ""


def whole_files(folder):
    """One small valid file of every readable format."""
    image = pytest.importorskip("PIL.Image")
    laspy = pytest.importorskip("laspy")
    cloud = make_cloud(50)
    for suffix in WRITERS:
        write_cloud(folder / f"c{suffix}", cloud)
    for kind in ("off", "obj"):
        (folder / f"c.{kind}").write_text(mesh_text(kind))
    np.ones((50, 4), "<f4").tofile(folder / "c.bin")
    las = laspy.LasData(laspy.LasHeader(point_format=3, version="1.2"))
    las.x = las.y = las.z = np.arange(50.0)
    las.write(folder / "c.las")
    las.write(folder / "c.laz")
    image.fromarray(np.full((24, 32), 1500, np.uint16)).save(folder / "c.png")
    np.savetxt(folder / "camera-intrinsics.txt", [[30, 0, 16], [0, 30, 12], [0, 0, 1]])


@pytest.mark.parametrize("suffix", READERS)
def test_broken_files_are_named_with_the_fix(tmp_path, suffix):
    whole_files(tmp_path)
    path = tmp_path / f"c{suffix}"
    blob = path.read_bytes()
    assert len(read_cloud(path).xyz)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"c\\{suffix}: found an empty file; "):
        read_cloud(path)
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(1, 98)))
    with pytest.raises(ValueError, match=f"c\\{suffix}: .*; ") as caught:
        read_cloud(path)
    assert "\n" not in str(caught.value)
    for cut in (5, len(blob) // 3, len(blob) - 3):
        path.write_bytes(blob[:cut])
        if (suffix == ".obj" and cut > 5) or (suffix == ".png" and cut == len(blob) - 3):
            continue  # a shorter OBJ file can be a whole one; PNG ends in bytes that say nothing
        with pytest.raises(ValueError, match=f"c\\{suffix}: .*; ") as caught:
            read_cloud(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [s for s in READERS if s != ".laz"])  # lazrs aborts the process on some damage
def test_damaged_bytes_never_raise_anything_but_a_named_error(tmp_path, suffix):
    whole_files(tmp_path)
    path, rng = tmp_path / f"c{suffix}", np.random.default_rng(8)
    blob = path.read_bytes()
    for turn in range(30):
        damaged = bytearray(blob)
        for _ in range(3):
            damaged[rng.integers(0, min(len(blob), 400) if turn % 2 else len(blob))] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_cloud(path)
        except ValueError as reason:
            assert str(reason).startswith(str(path.parent)) and "\n" not in str(reason)


def test_paths_that_are_no_cloud(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "c.ply").mkdir()
    for path, words in (
        (tmp_path / "none.ply", "no such file"),
        (tmp_path / "notes.txt", "suffix '.txt' is not known"),
        (tmp_path / "c.ply", "found a folder"),
    ):
        with pytest.raises(ValueError, match=words):
            read_cloud(path)
    for path, words in (
        (tmp_path / "c.xyz", "name the output .ply, .pcd, .npy"),
        (tmp_path / "no" / "c.pcd", "mkdir"),
        (tmp_path / "c.ply", "is a folder"),
    ):
        with pytest.raises(ValueError, match=words):
            write_cloud(path, make_cloud(5))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_cloud(tmp_path / "c.npy", make_cloud(5))
    before = (tmp_path / "c.npy").read_bytes()
    bad = Cloud.from_fields(make_cloud(5).fields | {"what": np.array([object()] * 5)})
    with pytest.raises(ValueError):
        write_cloud(tmp_path / "c.npy", bad)
    assert (tmp_path / "c.npy").read_bytes() == before and os.listdir(tmp_path) == ["c.npy"]


def test_a_cloud_without_coordinates_is_named(tmp_path):
    np.save(tmp_path / "c.npy", np.zeros(3, [("lat", "f8"), ("lon", "f8")]))
    with pytest.raises(ValueError, match="c.npy: no field 'x'; fields there are: lat, lon"):
        read_cloud(tmp_path / "c.npy")


def test_real_scans():
    scan = read_cloud(real("scannet_full", "scene0000_00_vert_all.npy"))
    assert scan.xyz.shape == (81369, 3) and scan.rgb.min() >= 0 and 0.3 < scan.rgb.max() <= 1
    lidar = read_cloud(real("semantickitti", "sequences", "00", "velodyne", "000000.bin"))
    assert lidar.xyz.shape == (124668, 3) and "intensity" in lidar.fields
    for path in sorted(real("modelnet").glob("*/*.off")):
        drawn = read_cloud(path)
        assert drawn.xyz.shape == (files.MESH_POINTS, 3) and np.isfinite(drawn.xyz).all() and drawn.notes


def test_real_frames_of_one_room_agree():
    folder = real("rgbd_7scenes")
    first, second = (read_cloud(folder / f"frame-{n:06d}.depth.png") for n in (0, 25))
    assert (first.width, first.height) == (640, 480) and first.rgb is not None
    nearest = pytest.importorskip("scipy.spatial").cKDTree(first.xyz[np.isfinite(first.xyz[:, 0])])
    good = second.xyz[np.isfinite(second.xyz[:, 0])][::50]
    distance = nearest.query(good)[0]
    assert np.median(distance) < 0.05  # the same surfaces, seen again a second later
