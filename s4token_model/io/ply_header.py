"""The header of PLY files."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from s4token_model.io import text_table
from s4token_model.io.errors import error, looks_like, truncated

TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8", "float16": "f2", "half": "f2"},
    **{"byte": "i1", "ubyte": "u1", "bool": "u1", "single": "f4", "real": "f4"},
}
BYTE_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
KEYWORDS = ("format", "element", "property")  # without which the values are not understood
_LINE_OF_MAC = re.compile(rb"[^\r]*(?:\r|$)")  # ends in \r, so that a \n behind it is a value


class Property(NamedTuple):
    """A line `property`."""

    name: str
    type: str  # numpy code of the value
    length_type: str  # numpy code of a list's length; empty for a plain value


class Element(NamedTuple):
    """A line `element` with its properties."""

    name: str  # in lower case
    rows: int
    properties: list[Property]

    def truncated(self, path: Path, held: int) -> ValueError:
        """Return the error about a file that holds only `held` rows."""
        return truncated(path, self.rows, held, f"rows of {self.name}")


class Header(NamedTuple):
    """What a header says."""

    order: str  # numpy's mark of the byte order, empty for ascii
    elements: list[Element]
    comments: list[str]
    notes: list[str]  # lines that are not understood


def parse(path: Path, blob: bytes) -> tuple[Header, int]:
    """Return what the header says, and the offset of the first byte behind it; ValueError if it is none."""
    first = text_table.LINE.match(blob)
    if first is None or first[0].strip().lower() != b"ply":
        raise error(path, f"found {looks_like(blob[:32])}", "a .ply file must begin with the line `ply`")
    pattern, at = (_LINE_OF_MAC if first[0].endswith(b"\r") else text_table.LINE), first.end()
    order, elements, comments, notes = None, [], [], []
    while at < len(blob):
        match = pattern.match(blob, at)
        at, line = match.end(), text_table.text_of(match[0][:100_000]).strip()
        if line.lower() in ("end_header", "end header"):
            break
        try:
            order = _parse_line(line, elements, comments) or order
        except (KeyError, IndexError, ValueError):
            if get_close_matches(line.split()[0].lower(), KEYWORDS):
                raise error(path, f"PLY header line {line[:80]!r} is not understood", "write the file again") from None
            notes.append(f"header line {line[:80]!r} is not understood and left out")
    else:
        raise error(path, "the PLY header has no end_header line", "the file is truncated, copy it again")
    if order is None:
        raise error(path, "the PLY header has no format line", "write the file again")
    return Header(BYTE_ORDERS[order], elements, comments, notes), at


def _parse_line(line: str, elements: list[Element], comments: list[str]) -> str:
    """Add what a line of the header says to `elements` or `comments`; return the format if the line names it."""
    words = line.split()
    key = words[0].lower() if words else "comment"
    if key == "format" and words[1].lower() in BYTE_ORDERS:
        return words[1].lower()
    if key == "element":
        elements.append(Element(words[1].lower(), text_table.count(words[2]), []))
    elif key == "property" and words[1].lower() == "list" and len(words) > 4:
        length_type = _type(words[2])
        if length_type[0] == "f":
            raise ValueError(length_type)
        elements[-1].properties.append(Property(" ".join(words[4:]), _type(words[3]), length_type))
    elif key == "property":
        end = next((i for i, word in enumerate(words) if i > 2 and word.startswith(("#", "//"))), None)  # a comment
        elements[-1].properties.append(Property(" ".join([words[2], *words[3:end]]), _type(words[1]), ""))
    elif key.startswith("obj"):
        comments.append(" ".join(["obj_info", *words[1:]]))
    elif key.startswith(("comment", "#", "//")):
        comments.extend([line[len(key) :].strip()] if len(words) > 1 else [])
    else:
        raise ValueError(key)
    return ""


def _type(word: str) -> str:
    return TYPES[word.lower().removesuffix("_t")]
