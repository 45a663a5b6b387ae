"""Limits on what the parts of a ROS 2 bag may claim to hold; rosbags itself unpacks and allocates whatever they say."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import lz4.frame
import yaml
from rosbags.rosbag2 import reader as rosbags_reader
from rosbags.rosbag2 import storage_mcap

from s4token_model.io.errors import error
from s4token_model.io.limits import check_unpacked, open_sized, unpacked_limit

zstd: Any = storage_mcap.zstd  # the standard library's or its backport
MAX_METADATA = 4 * 2**20  # bytes of metadata.yaml
MAX_METADATA_VALUES = 10**6  # in it, with those that its aliases repeat
MAX_CHUNK = 2**29  # bytes of an unpacked chunk or message; recorders write a few million


class SizedPath(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A path whose binary file allocates no more for a read than the file still holds."""

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:
        """Open like Path.open."""
        return open_sized(self) if mode == "rb" else super().open(mode, *arguments, **options)


def check_before(path: Path) -> None:
    """Raise ValueError on a folder's metadata.yaml and on databases that no recorder of ROS 2 writes."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        if file.name == "metadata.yaml":
            _check_metadata(file)
        elif file.suffix == ".db3":
            _check_database(file)


def check_open(path: Path, reader: Any) -> None:
    """Raise ValueError when an open bag has topics without a name, or a chunk index of more than its files can hold."""
    for connection in reader.connections:
        if not isinstance(connection.topic, str) or not isinstance(connection.msgtype, str):
            found = f"its topic {connection.topic!r} of type {connection.msgtype!r} has no name that is a text"
            raise error(path, found, "copy the bag again")
    files = path.iterdir() if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)  # before rosbags unpacked a file of the folder
    for storage in (reader.storage, *getattr(reader.storage, "storages", ())):
        if chunks := getattr(storage, "chunks", ()):
            if sum(chunk.compressed_size for chunk in chunks) > os.path.getsize(storage.path):
                raise error(path, "its index lists more chunks than the file can hold", "copy the bag again")
            check_unpacked(path, sum(chunk.uncompressed_size for chunk in chunks), size)


def _check_metadata(path: Path) -> None:
    """Raise ValueError on too large a file, and on aliases that multiply; YAML errors are left to rosbags."""
    if path.stat().st_size > MAX_METADATA:
        raise error(path, f"larger than {MAX_METADATA:,} bytes", "ros2 bag reindex writes it again")
    try:
        values = _count(yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)), {})
    except (yaml.YAMLError, RecursionError, ValueError):
        return
    if values > MAX_METADATA_VALUES:
        raise error(path, f"repeats its values {values:,} times", "ros2 bag reindex writes it again")


def _count(node: Any, known: dict[int, int]) -> int:
    """Return the number of values in nested lists and dicts, each time that they are repeated."""
    if not isinstance(node, (list, dict)):
        return 1
    if id(node) not in known:
        known[id(node)] = MAX_METADATA_VALUES + 1  # of a list that contains itself
        parts = node.values() if isinstance(node, dict) else node
        known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]


def _check_database(path: Path) -> None:
    """Raise ValueError unless an SQLite file holds plain tables: views and computed columns can grow without end."""
    found = ""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            for kind, name, words in database.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
                if kind not in ("table", "index") or str(words).upper().startswith("CREATE VIRTUAL"):
                    found = f"a {kind} {name!r} that no recorder writes"
                elif kind == "table" and any(
                    row[-1] for row in database.execute("SELECT * FROM pragma_table_xinfo(?)", (name,))
                ):
                    found = f"computed columns in {name!r}, which no recorder writes"
    except sqlite3.Error:  # rosbags says what is wrong with it
        return
    if found:
        raise error(path, found, "record the bag again")


def _inflate(kind: Any, data: bytes, limit: int) -> bytes:
    """Return what the frames of compressed `data` hold; ValueError when it is more than `limit` bytes or cut."""
    packed, parts, left = len(data), [], limit
    while data:
        stream = kind()
        parts.append(stream.decompress(data, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise ValueError(f"{packed:,} compressed bytes hold more than {limit:,}")
        if not stream.eof:
            raise ValueError("the compressed data is cut")
        data = stream.unused_data or b""
    return b"".join(parts)


def _inflate_chunk(kind: Any, data: bytes, size: int) -> bytes:
    """Return the content of an MCAP chunk that claims to hold `size` bytes."""
    if size > min(unpacked_limit(len(data)), MAX_CHUNK):
        raise ValueError(f"a chunk of {len(data):,} bytes claims to hold {size:,}")
    return _inflate(kind, data, size)


class _ZstdFile(zstd.ZstdFile):
    """A compressed file that stops with ValueError at its limit."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > (limit := unpacked_limit(os.fstat(self.fileno()).st_size)):
            raise ValueError(f"the compressed file holds more than {limit:,} bytes")
        return data


# rosbags has no option for this; these are the places where it unpacks, and where it opens what it has unpacked
rosbags_reader.Path = SizedPath
storage_mcap.DECOMPRESSORS["lz4"] = lambda data, size: _inflate_chunk(lz4.frame.LZ4FrameDecompressor, data, size)
storage_mcap.DECOMPRESSORS["zstd"] = lambda data, size: _inflate_chunk(zstd.ZstdDecompressor, data, size)
rosbags_reader.zstd = SimpleNamespace(
    open=_ZstdFile,
    decompress=lambda data: _inflate(zstd.ZstdDecompressor, data, min(unpacked_limit(len(data)), MAX_CHUNK)),
)
