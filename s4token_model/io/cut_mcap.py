"""MCAP recordings that were cut off, as by a loss of power: every message before the cut is read."""

from __future__ import annotations

import binascii
import io
import os
import struct
from pathlib import Path
from typing import IO, Any

from s4token_model.io.limits import unpacked_limit

MAGIC = b"\x89MCAP0\r\n"
HEADER, SCHEMA, CHANNEL, MESSAGE, CHUNK, LAST_OPCODE = 1, 3, 4, 5, 6, 13  # what stands before the end of the data
MAX_CHUNK = 2**29  # bytes of an unpacked chunk
_HEAD = struct.Struct("<BQ")  # opcode and length of a record
_END = _HEAD.pack(2, 20) + bytes(20) + MAGIC  # a footer that points to no index


class CutMcap(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A path whose binary file ends after the last whole message, with the footer that the recorder did not write."""

    note = ""  # what the user should know
    cut = 0  # where its own bytes end
    rest = b""  # what follows them

    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:
        """Open like Path.open, with the end added if for reading bytes."""
        if mode != "rb":
            return super().open(mode, *arguments, **options)
        return _WithEnd(_File(io.FileIO(self), self.cut, self.rest))


def with_end(path: Path) -> Path:
    """Return `path`, as a CutMcap if it is a recording that has no end."""
    if not path.is_file() or path.suffix != ".mcap":
        return path
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return path
        file.seek(max(size - len(MAGIC), 0))
        if file.read() == MAGIC:
            return path
        end, chunk = _scan(file, size)
        if end == len(MAGIC):  # not even a header
            return path
        cut = CutMcap(path)
        cut.cut, cut.rest = (end, _END) if chunk is None else (chunk, _salvage(file, chunk, size) + _END)
    cut.note = f"{path}: the recording was cut off at {size:,} bytes, as by a loss of power; what is whole is read"
    return cut


def _scan(file: IO[bytes], size: int) -> tuple[int, int | None]:
    """Where the last whole record ends, and where the last chunk begins if nothing but its index stands behind it."""
    position, chunk = len(MAGIC), None
    while True:
        file.seek(position)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return position, chunk
        opcode, length = _HEAD.unpack(head)
        if not HEADER <= opcode <= LAST_OPCODE or opcode == 2 or (position == len(MAGIC)) != (opcode == HEADER):
            return position, chunk
        if opcode in (SCHEMA, CHANNEL, MESSAGE, CHUNK):
            chunk = position if opcode == CHUNK else None
        if position + _HEAD.size + length > size:
            return position, chunk
        position += _HEAD.size + length


def _salvage(file: IO[bytes], start: int, size: int) -> bytes:
    """Return the whole records of the last chunk, which may be cut, or end in zeros that the disk never filled."""
    file.seek(start + _HEAD.size + 24)
    crc, name_length = struct.unpack("<II", file.read(8).ljust(8, b"\0"))
    name = file.read(min(name_length, 8))
    (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    data = _unpack(name.decode("ascii", "replace"), file.read(min(length, MAX_CHUNK, size)))
    records, is_cut = [0], False  # where each begins, and the last one ends
    while records[-1] + _HEAD.size <= len(data) and not is_cut:
        opcode, length = _HEAD.unpack_from(data, records[-1])
        end = records[-1] + _HEAD.size + length
        is_cut = opcode not in (SCHEMA, CHANNEL, MESSAGE) or end > len(data)
        if not is_cut:
            records.append(end)
    # Zeros may begin in the record before those that are none
    if data[records[-1] : records[-1] + 1] in (b"", b"\0") and crc and binascii.crc32(data) != crc:
        records = records[:-1]
    return data[: records[-1]] if records else b""


def _unpack(compression: str, data: bytes) -> bytes:
    """Unpack as much as there is of a chunk; b"" if that is not possible."""
    if not compression:
        return data
    from rosbags.rosbag2.storage_mcap import zstd  # the standard library's or its backport

    if compression == "zstd":
        stream = zstd.ZstdDecompressor()
    elif compression == "lz4":
        from lz4.frame import LZ4FrameDecompressor

        stream = LZ4FrameDecompressor()
    else:
        return b""
    out, limit = [], min(unpacked_limit(len(data)), MAX_CHUNK)
    try:  # piece by piece, so that an error in the end leaves the beginning
        for start in range(0, len(data), 4096):
            out.append(stream.decompress(data[start : start + 4096], limit))
            if stream.eof or sum(map(len, out)) > limit:
                break
    except Exception:
        pass
    return b"".join(out)


class _File(io.RawIOBase):
    """The first `cut` bytes of a file, and `rest`."""

    def __init__(self, file: io.FileIO, cut: int, rest: bytes) -> None:
        self._file, self._cut, self._rest, self._position = file, cut, rest, 0
        self.size = cut + len(rest)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position < self._cut:
            self._file.seek(self._position)
            data = self._file.read(min(len(buffer), self._cut - self._position)) or b""
        else:
            start = self._position - self._cut
            data = self._rest[start : start + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class _WithEnd(io.BufferedReader):
    def read(self, size: int | None = -1) -> bytes:
        """Read like io.BufferedReader, but allocate no more than the file holds."""
        if size is not None and size > 0:
            size = min(size, max(self.raw.size - self.tell(), 0))  # type: ignore[attr-defined]
        return super().read(size)
