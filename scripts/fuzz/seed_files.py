"""Small well-formed files of every format and variant that is read, made by our writers and by the libraries."""

from __future__ import annotations

import io
import shutil
import struct
from pathlib import Path
from typing import NamedTuple

import lz4.frame
import numpy as np
from PIL import Image

from s4token_model.io import pcd, ply, pointcloud2

POINTS = 24
INTRINSICS = b"50 0 4\n0 50 3\n0 0 1\n"
POSE = b"1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


class Seed(NamedTuple):
    """A file to damage, and those that must lie beside it."""

    name: str  # unique; the damaged file's name ends in it
    data: bytes
    read: str  # the file or folder to read afterwards, relative to the scratch folder
    beside: dict[str, bytes] = {}


def make(folder: Path) -> dict[str, list[Seed]]:
    """Return seeds by group; `folder` is a scratch folder."""
    return {
        "ply": [*_plain("ply", {**_ply_texts(), "written": _written(ply.write)})],
        "pcd": [*_plain("pcd", _pcds())],
        "npy": [*_plain("npy", _npys())],
        "bin": [*_plain("bin", {"kitti": _xyz(4).tobytes()}), *_plain("pcd.bin", {"nuscenes": _xyz(5).tobytes()})],
        "mesh": [*_plain("off", _offs()), *_plain("obj", _objs())],
        "png": _pngs(),
        "las": _las_files(folder, "las"),
        "laz": _las_files(folder, "laz"),
        "mcap": _bags(folder, "MCAP", ".mcap"),
        "db3": _bags(folder, "SQLITE3", ".db3"),
    }


def _plain(suffix: str, contents: dict[str, bytes]) -> list[Seed]:
    return [Seed(f"{name}.{suffix}", data, f"{name}.{suffix}") for name, data in contents.items()]


def _xyz(columns: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(POINTS, columns)).astype("<f4")


def _columns() -> dict[str, np.ndarray]:
    columns = {name: _xyz()[:, i] for i, name in enumerate("xyz")}
    return columns | {"ring": np.arange(POINTS, dtype="<u2"), "red": np.arange(POINTS, dtype="u1")}


def _written(write) -> bytes:
    out = io.BytesIO()
    write(out, _columns(), *((POINTS,) if write is ply.write else (POINTS // 4, 4)))
    return out.getvalue()


def _ply_texts() -> dict[str, bytes]:
    """Return meshes with faces of 3 and 4 corners, in text and in both byte orders."""
    vertices, faces = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 1), (0, 0, 2)], [(0, 1, 2), (0, 2, 3), (1, 2, 3, 4)]
    out = {}
    for order, mark in (("ascii", ""), ("binary_little_endian", "<"), ("binary_big_endian", ">")):
        head = (
            f"ply\nformat {order} 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty double z\n"
            "property uchar red\nelement face 3\nproperty list uchar int vertex_indices\nend_header\n"
        )
        if mark:
            body = b"".join(struct.pack(f"{mark}ffdB", *v, 7) for v in vertices)
            body += b"".join(struct.pack(f"{mark}B{len(f)}i", len(f), *f) for f in faces)
        else:
            lines = [" ".join(map(str, (*v, 7))) for v in vertices] + [" ".join(map(str, (len(f), *f))) for f in faces]
            body = "\n".join(lines).encode() + b"\n"
        out[order] = head.encode() + body
    return out


def _pcds() -> dict[str, bytes]:
    binary = _written(pcd.write)
    head, body = binary.split(b"DATA binary\n")
    columns = pointcloud2.structured(_columns())
    text = "\n".join(" ".join(map(str, row.tolist())) for row in columns)
    plain = b"".join(columns[name].tobytes() for name in columns.dtype.names)
    packed = b"".join(bytes([len(part) - 1]) + part for part in (plain[i : i + 32] for i in range(0, len(plain), 32)))
    left = len(plain) - 1 - 264  # of zeros: a literal one, then copies of the byte before, 264 and the others
    zeros = bytes([0, 0, 0b11100000, 255, 0, 0b11100000, left - 9, 0])
    compressed = head + b"DATA binary_compressed\n"
    return {
        "binary": binary,
        "ascii": head + b"DATA ascii\n" + text.encode(),
        "compressed": compressed + struct.pack("<II", len(packed), len(plain)) + packed,
        "repeated": compressed + struct.pack("<II", len(zeros), len(plain)) + zeros,
    }


def _npys() -> dict[str, bytes]:
    arrays = {"plain": _xyz(6), "organized": _xyz().reshape(4, -1, 3), "fields": pointcloud2.structured(_columns())}
    arrays["fortran"] = np.asfortranarray(_xyz().astype(np.float64))
    out = {}
    for name, values in arrays.items():
        np.save(handle := io.BytesIO(), values)
        out[name] = handle.getvalue()
    return out


def _offs() -> dict[str, bytes]:
    mesh = b"4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 1\n3 0 1 2\n4 0 1 2 3\n"
    colored = b"COFF\n3 1 0\n0 0 0 255 0 0 255\n1 0 0 0 255 0 255\n1 1 0 0 0 255 255\n3 0 1 2\n"
    return {"plain": b"OFF\n" + mesh, "glued": b"OFF" + mesh, "colored": colored}


def _objs() -> dict[str, bytes]:
    corners = b"v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nv 0 1 1 1 1 1\nvn 0 0 1\n"
    return {"plain": b"# a\n" + corners + b"f 1//1 2//1 3//1\nf -4 -3 -2 -1\n", "points": corners}


def _image(values: np.ndarray, kind: str = "PNG") -> bytes:
    Image.fromarray(values).save(handle := io.BytesIO(), kind)
    return handle.getvalue()


def _pngs() -> list[Seed]:
    depth = _image(np.random.default_rng(0).integers(500, 3000, (6, 8)).astype(np.uint16))
    photo = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    parts = {
        "a.depth.png": depth,
        "camera-intrinsics.txt": INTRINSICS,
        "a.pose.txt": POSE,
        "a.color.jpg": _image(photo, "JPEG"),
    }
    png_photo = {n: d for n, d in parts.items() if n != "a.color.jpg"}
    seeds = [
        Seed(name, data, "a.depth.png", {n: d for n, d in parts.items() if n != name}) for name, data in parts.items()
    ]
    return [seeds[0], *seeds, Seed("a.color.png", _image(photo), "a.depth.png", png_photo)]


def _las_files(folder: Path, suffix: str) -> list[Seed]:
    import laspy

    seeds = []
    for version, kind in (("1.2", 1), ("1.2", 3), ("1.4", 6), ("1.4", 7)):
        header = laspy.LasHeader(version=version, point_format=kind)
        header.scales = [0.001] * 3
        header.add_extra_dim(laspy.ExtraBytesParams("reflectance", "u2"))
        las = laspy.LasData(header)
        las.x, las.y, las.z = _xyz().T.astype(float)
        path = folder / f"{version}-{kind}.{suffix}"
        las.write(path)
        seeds.append(Seed(path.name, path.read_bytes(), path.name))
    return seeds


def _bags(folder: Path, plugin: str, suffix: str) -> list[Seed]:
    """Return the files of bags in every compression: one of the bag's files is damaged, the folder or the file read."""
    from rosbags.rosbag2 import CompressionMode

    seeds = []
    for mode in (CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE):
        if mode is CompressionMode.STORAGE and plugin == "SQLITE3":
            continue
        bag = folder / f"{plugin}-{mode.name}".lower()
        shutil.rmtree(bag, ignore_errors=True)
        _write_bag(bag, plugin, mode)
        parts = {f"{bag.name}/{path.name}": path.read_bytes() for path in sorted(bag.iterdir())}
        for name, data in parts.items():
            beside = {n: d for n, d in parts.items() if n != name}
            if name.endswith(suffix) and mode in (CompressionMode.NONE, CompressionMode.STORAGE):
                seeds.append(Seed(name, data, name))
                if mode is CompressionMode.STORAGE:
                    seeds.append(Seed(name, _as_lz4(data), name))
            seeds.append(Seed(name, data, bag.name, beside))
    return seeds


def _write_bag(bag: Path, plugin: str, mode) -> None:
    from rosbags.rosbag2 import CompressionFormat, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    types = store.types
    fields = [types["sensor_msgs/msg/PointField"](name, 4 * i, 7, 1) for i, name in enumerate("xyz")]
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 2), "lidar")
    data = _xyz().reshape(-1).view(np.uint8)
    cloud = types["sensor_msgs/msg/PointCloud2"](header, 1, POINTS, fields, False, 12, 12 * POINTS, data, True)
    writer = Writer(bag, version=9, storage_plugin=StoragePlugin[plugin])
    if mode.name != "NONE":
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/points", cloud.__msgtype__, typestore=store)
        for stamp in (5, 9):
            writer.write(connection, stamp, store.serialize_cdr(cloud, cloud.__msgtype__))


def _as_lz4(data: bytes) -> bytes:
    """Return an MCAP file of one zstd chunk with that chunk packed by LZ4 instead, and without a summary."""
    from s4token_model.io.bag_limits import zstd

    at, out = 8, data[:8]
    while at < len(data) - 8:
        kind, size = struct.unpack_from("<BQ", data, at)
        record = data[at + 9 : at + 9 + size]
        if kind == 6:
            length = struct.unpack_from("<Q", record, 28 + 4 + 4)[0]
            packed = lz4.frame.compress(zstd.decompress(record[44 : 44 + length]))
            record = record[:28] + struct.pack("<I", 3) + b"lz4" + struct.pack("<Q", len(packed)) + packed
        if kind in (1, 6):
            out += struct.pack("<BQ", kind, len(record)) + record
        at += 9 + size
    return out + struct.pack("<BQQQI", 2, 20, 0, 0, 0) + data[:8]
