"""Small damages to bytes: flipped bits, cut and repeated pieces, and sizes set to extremes."""

from __future__ import annotations

import re
import struct
import zlib
from random import Random

EXTREMES = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1)
WORDS = (
    b"0",
    b"-1",
    b"1",
    b"3",
    b"255",
    b"65536",
    b"99999999",
    b"4294967295",
    b"9" * 19,
    b"9" * 40,
    b"1e308",
    b"nan",
    b"x",
    b"",
)
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
HEAD = 512  # bytes in which most formats have their sizes


def mutate(data: bytes, random: Random) -> bytes:
    """Return `data` with one to four damages, most of them in its first HEAD bytes."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        if not out:
            break
        random.choice(_DAMAGES)(out, random)
    return bytes(out)


def _position(out: bytearray, random: Random) -> int:
    end = len(out) if random.random() < 0.3 else min(len(out), HEAD)
    return random.randrange(end)


def _flip_bit(out: bytearray, random: Random) -> None:
    out[_position(out, random)] ^= 1 << random.randrange(8)


def _set_byte(out: bytearray, random: Random) -> None:
    out[_position(out, random)] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _set_integer(out: bytearray, random: Random) -> None:
    code = random.choice("HIIQQ")
    value = random.choice((*EXTREMES, len(out), len(out) - 1, 2 * len(out))) % 2 ** (8 * struct.calcsize(code))
    at = _position(out, random)
    out[at : at + struct.calcsize(code)] = struct.pack(random.choice("<<<>") + code, value)


def _set_number(out: bytearray, random: Random) -> None:
    if found := list(NUMBER.finditer(out, 0, HEAD if random.random() < 0.7 else len(out))):
        chosen = random.choice(found)
        out[chosen.start() : chosen.end()] = random.choice(WORDS)


def _cut(out: bytearray, random: Random) -> None:
    del out[random.randrange(len(out)) :]


def _remove(out: bytearray, random: Random) -> None:
    at = _position(out, random)
    del out[at : at + random.choice((1, 2, 4, 8, 40))]


def _repeat(out: bytearray, random: Random) -> None:
    at, length = _position(out, random), random.choice((1, 4, 16, 64, 200))
    out[at:at] = out[at : at + length] * random.choice((1, 1, 2, 50))


def _move(out: bytearray, random: Random) -> None:
    source, target, length = _position(out, random), _position(out, random), random.choice((1, 4, 16, 64))
    out[target : target + length] = out[source : source + length]


def _insert(out: bytearray, random: Random) -> None:
    at = _position(out, random)
    out[at:at] = random.choice((b"\0", b"\n", b" ", b"\xff\xff", random.randbytes(random.randrange(1, 9))))


_DAMAGES = (
    _flip_bit,
    _flip_bit,
    _set_byte,
    _set_integer,
    _set_integer,
    _set_number,
    _cut,
    _remove,
    _repeat,
    _move,
    _insert,
)


def with_png_checksums(data: bytes) -> bytes:
    """Return a damaged PNG with the checksums of its chunks made right, so that what they protect is read."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(out)
