"""Files that claim to hold more than they do: refused in one line, before memory is taken."""

from __future__ import annotations

import io
import os
import resource
import shutil
import sqlite3
import struct
import time
import zlib
from pathlib import Path

import laspy
import lz4.frame
import numpy as np
import pytest
from bag_files import STORE, make_bag, message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from s4token_model.io import bag_limits, bags, depth_image, limits
from s4token_model.io.files import read_cloud

MEBIBYTE = 2**20
MAGIC = b"\x89MCAP0\r\n"


@pytest.fixture
def little_memory():
    """Let allocations fail that add half a gigabyte; a reader that meets that has believed a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + 512 * MEBIBYTE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(read, path, *words):
    """The reason of a refusal, which is one line that names the file and does not come from a failed allocation."""
    with pytest.raises(ValueError) as caught:
        read(path)
    reason, text = caught.value, str(caught.value)
    while reason is not None:
        assert not isinstance(reason, MemoryError)
        reason = reason.__cause__ or reason.__context__
    assert text.startswith(str(path)) and "\n" not in text and all(word in text for word in words), text


def las_file(path, kind=7, count=300):
    header = laspy.LasHeader(version="1.4" if kind > 5 else "1.2", point_format=kind)
    header.scales = [0.001] * 3
    header.add_extra_dim(laspy.ExtraBytesParams("reflectance", "u2"))
    las = laspy.LasData(header)
    las.x, las.y, las.z = np.random.default_rng(kind).normal(size=(3, count))
    las.reflectance = np.arange(count)
    las.write(path)
    return bytearray(path.read_bytes())


def test_the_limit_grows_with_the_file():
    assert limits.unpacked_limit(0) == limits.unpacked_limit(MEBIBYTE) == 256 * MEBIBYTE
    assert limits.unpacked_limit(100 * MEBIBYTE) == 25_600 * MEBIBYTE
    limits.check_unpacked("a", 256 * MEBIBYTE, 10)
    with pytest.raises(ValueError, match="a: 10 compressed bytes claim to hold 268,435,457; 268,435,456 are the limit"):
        limits.check_unpacked("a", 256 * MEBIBYTE + 1, 10)


@pytest.mark.parametrize("kind", [1, 3, 6, 7])
@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_and_laz_are_read_as_laspy_reads_them(tmp_path, kind, suffix):
    las_file(path := tmp_path / f"a{suffix}", kind)
    fields, expected = read_cloud(path).fields, laspy.read(path)
    assert {"x", "y", "z", "intensity", "reflectance"} < set(fields)
    assert all(np.array_equal(column, np.asarray(expected[name])) for name, column in fields.items())


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_without_points_is_an_empty_cloud(tmp_path, suffix):
    las_file(path := tmp_path / f"a{suffix}", count=0)
    assert read_cloud(path).xyz.shape == (0, 3)


@pytest.mark.parametrize("count", [301, 10**8, 2**40, 2**64 - 1])
@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_the_count_of_las_1_4_is_not_believed(tmp_path, little_memory, count, suffix):
    blob = las_file(path := tmp_path / f"a{suffix}")
    struct.pack_into("<Q", blob, 247, count)
    path.write_bytes(blob)
    refused(read_cloud, path)


def test_records_beyond_the_header_of_las_are_refused(tmp_path, little_memory):
    for name, at, code, value in (("few", 100, "<I", 2**31), ("long", 375 + 20, "<H", 65535), ("far", 96, "<I", 2**31)):
        blob = las_file(path := tmp_path / f"{name}.las")
        struct.pack_into(code, blob, at, value)
        path.write_bytes(blob)
        refused(read_cloud, path, "its LAS header is damaged")


def test_extended_records_of_las_are_not_read(tmp_path, little_memory):
    blob = las_file(path := tmp_path / "a.las")
    struct.pack_into("<QI", blob, 235, len(blob) - 60, 2**31)
    path.write_bytes(blob)
    assert len(read_cloud(path).xyz) == 300


def test_damaged_laz_cannot_end_the_process(tmp_path, little_memory, capfd):
    """The chunk table's count and position, the sizes of layers, and bytes of the compressed points."""
    blob = las_file(path := tmp_path / "a.laz")
    start = struct.unpack_from("<I", blob, 96)[0]
    table = struct.unpack_from("<q", blob, start)[0]
    for at, code, value in (
        (table + 4, "<I", 2**32 - 1),
        (table + 8, "<H", 2**16 - 1),
        (start, "<q", 2**62),
        (start, "<q", -1),
        (start + 8 + 38 + 4, "<I", 2**32 - 1),  # the first layer, behind a raw point and the number of points
        (start + 8 + 38, "<I", 2**32 - 1),
        (blob.find(b"laszip encoded") + 52 + 32, "<H", 65535),  # the number of items of a point
    ):
        damaged = bytearray(blob)
        struct.pack_into(code, damaged, at, value)
        path.write_bytes(damaged)
        try:
            assert len(read_cloud(path).xyz) == 300  # what is not used may be wrong
        except ValueError as reason:
            assert str(reason).startswith(f"{path}: ") and "\n" not in str(reason)
    assert capfd.readouterr().err == ""


def test_laz_of_laszip_1_is_named_with_the_tool_that_converts_it(tmp_path, capfd):
    blob = las_file(path := tmp_path / "a.laz", 1)
    struct.pack_into("<H", blob, blob.find(b"laszip encoded") + 52, 1)
    path.write_bytes(blob)
    refused(read_cloud, path, "LASzip 1, an old compression", "laszip -i old.laz -o new.laz")
    assert capfd.readouterr().err == ""


def png(width, height, data=b"", depth=16, extra=b""):
    """A gray PNG of zeros, or of other compressed `data`."""

    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    body = data or zlib.compress(bytes((width * depth // 8 + 1) * height), 9)
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.fixture
def depth(tmp_path):
    (tmp_path / "camera-intrinsics.txt").write_text("50 0 4\n0 50 3\n0 0 1\n")
    return tmp_path / "a.depth.png"


def test_a_small_picture_of_many_pixels_is_refused_before_it_is_unpacked(depth, little_memory):
    depth.write_bytes(png(8192, 4096))
    assert depth.stat().st_size < 100_000
    refused(read_cloud, depth, "an image of 8192 x 4096 pixels", "16,777,216 pixels are the limit")
    depth.write_bytes(png(60000, 60000, b"x"))
    refused(read_cloud, depth)


def test_chunks_of_a_picture_are_no_longer_than_the_file(depth, little_memory):
    blob = png(8, 6)
    for at in (8, blob.find(b"IDAT") - 4, blob.find(b"IEND") - 4):
        damaged = bytearray(blob)
        struct.pack_into(">I", damaged, at, 2**31 - 1)
        depth.write_bytes(damaged)
        try:
            assert read_cloud(depth).xyz.shape == (48, 3)
        except ValueError as reason:
            assert str(reason).startswith(str(depth))


def test_only_png_and_jpeg_are_decoded_as_pictures(depth):
    from PIL import Image

    Image.fromarray(np.full((6, 8), 900, np.uint16)).save(depth, "TIFF")
    refused(read_cloud, depth, "cannot be read")


def test_npy_claims_are_compared_with_the_file(tmp_path, little_memory):
    path = tmp_path / "a.npy"
    for shape in ((10**9, 3), (2**62, 3), (2**63, 3), (301, 3)):
        head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(3600))
        refused(read_cloud, path, "cannot be read")


def test_npy_headers_are_no_longer_than_the_file(tmp_path, little_memory):
    for version in (2, 3):
        (path := tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + bytes([version, 0]) + b"\xff" * 4 + bytes(100))
        refused(read_cloud, path, "cannot be read")


def test_npy_of_every_version_is_loaded(tmp_path):
    values = np.ones(5, [("x", "<f4"), ("ß", "<f4")])
    for version in ((1, 0), (2, 0), (3, 0)):
        with (path := tmp_path / "a.npy").open("wb") as handle:
            np.lib.format.write_array(handle, values, version)
        assert np.array_equal(limits.load_npy(path), values)


def pcd(data, body, count=10, width=1, head=""):
    lines = ["FIELDS x y z", "SIZE 4 4 4", "TYPE F F F", f"COUNT 1 1 {width}", f"WIDTH {count}", "HEIGHT 1"]
    return "\n".join([*lines, f"POINTS {count}", f"DATA {data}", ""]).encode() + body


def test_pcd_claims_are_compared_with_the_file(tmp_path, little_memory):
    path, count = tmp_path / "a.pcd", 250_000_000
    path.write_bytes(pcd("binary_compressed", struct.pack("<II", 30, 12 * count) + bytes(30), count))
    refused(read_cloud, path, "30 compressed bytes claim to hold 3000000000")
    path.write_bytes(pcd("binary", bytes(120), 2**60))
    refused(read_cloud, path, "truncated")
    path.write_bytes(pcd("ascii", b"1 2 3\n" * 10, width=400_000_000))
    refused(read_cloud, path)


def mcap(records, packed=b"", size=0, kind=b"zstd", summary=True):
    """An MCAP file of one chunk, which claims to hold `size` bytes, listed `records` times in the index."""

    def record(code, body):
        return struct.pack("<BQ", code, len(body)) + body

    head = MAGIC + record(1, struct.pack("<I", 4) + b"ros2" + bytes(4))
    name = struct.pack("<I", len(kind)) + kind
    chunk = record(6, struct.pack("<QQQI", 0, 9, size, 0) + name + struct.pack("<Q", len(packed)) + packed)
    entry = struct.pack("<QQQQ", 0, 9, len(head), len(chunk)) + struct.pack("<IHQ", 10, 1, len(head) + len(chunk))
    entry += struct.pack("<Q", 31) + name + struct.pack("<QQ", len(packed), size)
    schema = record(3, struct.pack("<HI", 1, len(bags.CLOUD_TYPE)) + bags.CLOUD_TYPE.encode() + bytes(8))
    channel = record(4, struct.pack("<HHI", 1, 1, 7) + b"/points" + struct.pack("<I", 3) + b"cdr" + bytes(4))
    body = head + chunk
    ending = schema + channel + record(8, entry) * records if summary else b""
    start = len(body) if summary else 0
    return body + ending + record(2, struct.pack("<QQI", start, 0, 0)) + MAGIC


def read_bag(path):
    return sum(1 for _ in bags.read_clouds(path))


@pytest.mark.parametrize("kind", [b"zstd", b"lz4"])
@pytest.mark.parametrize("summary", [True, False])
def test_chunks_of_mcap_hold_no_more_than_they_say(tmp_path, little_memory, kind, summary):
    path, count = tmp_path / "a.mcap", 300
    stream = bag_limits.zstd.ZstdCompressor() if kind == b"zstd" else lz4.frame.LZ4FrameCompressor()
    packed = b"" if kind == b"zstd" else stream.begin(count * MEBIBYTE)
    packed += b"".join(stream.compress(bytes(MEBIBYTE)) for _ in range(count)) + stream.flush()
    for size in (1000, 2**40, *([count * MEBIBYTE] if kind == b"zstd" else [])):  # LZ4 cannot exceed the ratio
        path.write_bytes(mcap(1, packed, size, kind, summary))
        assert path.stat().st_size < 2 * MEBIBYTE
        refused(read_bag, path)


def test_an_index_of_mcap_lists_every_chunk_once(tmp_path, little_memory):
    packed = bag_limits.zstd.compress(bytes(16 * MEBIBYTE))
    (path := tmp_path / "a.mcap").write_bytes(mcap(500, packed, 16 * MEBIBYTE))
    refused(read_bag, path)


def test_a_record_of_mcap_is_not_longer_than_the_file(tmp_path, little_memory):
    make_bag(tmp_path / "bag")
    blob = bytearray((tmp_path / "bag" / "bag.mcap").read_bytes())
    for at in (9, len(blob) - 200, struct.unpack_from("<Q", blob, len(blob) - 28)[0] + 1):
        damaged = bytearray(blob)
        struct.pack_into("<Q", damaged, at, 2**33)
        (path := tmp_path / "a.mcap").write_bytes(damaged)
        try:
            read_bag(path)
        except ValueError as reason:
            assert "Unable" not in str(reason) and "emory" not in str(reason)


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_compressed_bags_are_read_up_to_the_limit(tmp_path, monkeypatch, mode, plugin):
    monkeypatch.setattr(limits, "MIN_UNPACKED", 100_000)
    point = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    for name, count in (("small", 1000), ("large", 4 * MEBIBYTE)):
        writer = Writer(tmp_path / name, version=9, storage_plugin=plugin)
        writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            connection = writer.add_connection("/points", bags.CLOUD_TYPE, typestore=STORE)
            raw = STORE.serialize_cdr(message(np.zeros(count, point)), bags.CLOUD_TYPE)
            writer.write(connection, 5, raw)
    assert read_bag(tmp_path / "small") == 1
    refused(read_bag, tmp_path / "large", "more than")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW schema AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "ALTER TABLE messages ADD COLUMN more BLOB GENERATED ALWAYS AS (zeroblob(900000000))",
        "CREATE TRIGGER t AFTER INSERT ON messages BEGIN DELETE FROM messages; END",
    ],
)
def test_databases_of_bags_hold_plain_tables(tmp_path, statement):
    make_bag(tmp_path / "bag", ".db3")
    shutil.copy(tmp_path / "bag" / "bag.db3", path := tmp_path / "a.db3")
    assert read_bag(path) == 3
    database = sqlite3.connect(path)
    if "VIEW" in statement:
        database.execute("DROP TABLE schema")
    database.execute(statement)
    database.commit()
    database.close()
    refused(read_bag, path, "no recorder writes")


def test_aliases_in_metadata_do_not_multiply(tmp_path, little_memory):
    make_bag(tmp_path / "bag")
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30))]
    metadata = tmp_path / "bag" / "metadata.yaml"
    metadata.write_text("\n".join([*lines, metadata.read_text()]))
    start = time.monotonic()
    with pytest.raises(ValueError, match="metadata.yaml: repeats its values"):
        read_bag(tmp_path / "bag")
    assert time.monotonic() - start < 5


def test_a_sized_file_reads_like_any_other(tmp_path):
    (path := tmp_path / "a").write_bytes(bytes(range(200)))
    with limits.open_sized(path) as handle:
        assert handle.read(3) == b"\0\1\2" and len(handle.read(2**62)) == 197 and handle.read(2**62) == b""
        assert handle.seek(100) == 100 and len(handle.read()) == 100
    with io.BytesIO() as empty:
        assert empty.read(1) == b""


def test_pipes_are_named_and_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.ply")
    with pytest.raises(ValueError, match="a.ply: found a pipe or a device"):
        read_cloud(tmp_path / "a.ply")
    os.mkfifo(tmp_path / "camera-intrinsics.txt")
    with pytest.raises(ValueError, match="camera-intrinsics.txt: no such file"):
        depth_image.read_matrix(tmp_path / "camera-intrinsics.txt", (3, 3))
