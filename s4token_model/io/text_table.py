"""Numbers in text files as programs write them: C and Fortran spellings, decimal commas, commas between columns."""

from __future__ import annotations

import codecs
import math
import re
import warnings
from collections.abc import Sequence

import numpy as np

from s4token_model.io.field_names import axis

LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|$)")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# nan, -nan(ind), NaN(0x1), 1.#QNAN, -1.#IND, 1.#J, null, N/A, and words that stand for no value
_NOT_A_NUMBER = re.compile(r"[+-]?(?:[qs]?nan\w*(?:\(.*\))?|1\.?#(?!inf)\w*|ind|null|none|n/?a)", re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?(?:1\.?#inf\w*|inf(?:inity)?)", re.IGNORECASE)
_TRUTH = {"true": 1.0, "false": 0.0}
_SEPARATORS = (re.compile(r"\s+"), re.compile(r"\s*;\s*"), re.compile(r"\s*[,;]\s*|\s+"))


def plain_bytes(blob: bytes) -> bytes:
    """Return the bytes of a file without a byte order mark; UTF-16 text becomes UTF-8."""
    if blob.startswith(_UTF16):
        return blob.decode("utf-16", "replace").encode()
    return blob.removeprefix(codecs.BOM_UTF8)


def text_of(blob: bytes) -> str:
    """Decode a text file: UTF-16 with its mark, UTF-8, or Latin-1 if it is neither."""
    blob = plain_bytes(blob)
    try:
        return blob.decode()
    except UnicodeDecodeError:
        return blob.decode("latin-1")


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with any line ends, without trailing NUL and end-of-file characters."""
    return text.rstrip("\0\x1a").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def data_lines(blob: bytes) -> list[str]:
    """Return the lines that hold values, i.e. neither blank ones nor comments (#)."""
    return [line for line in lines_of(text_of(blob)) if line.strip() and not line.lstrip().startswith("#")]


def number(word: str) -> float:
    """Return the number that a word means: 1.5, 1,5, 1.5D0, 1.5f, 0x1F, true, -nan(ind), 1.#INF, ... or ValueError."""
    try:
        return float(word)
    except ValueError:
        pass
    low = word.strip().strip("\"'").lower()
    if _NOT_A_NUMBER.fullmatch(low):
        return float("nan")
    if _INFINITE.fullmatch(low):
        return float("-inf" if low[0] == "-" else "inf")
    if low in _TRUTH:
        return _TRUTH[low]
    if re.fullmatch(r"[+-]?0x[0-9a-f]+", low):
        return float(int(low, 16))
    if "," in low:  # 1,234.5 has thousands, 1,5 a decimal comma
        low = low.replace(",", "") if "." in low else low.replace(",", ".")
    try:
        return float(re.sub(r"(?<=[\d.])d(?=[+-]?\d)", "e", low).removesuffix("f"))
    except ValueError:
        raise ValueError(f"{word[:40]!r} is no number") from None


def count(word: str) -> int:
    """Return the count of rows, points or corners that a word means: 12 or 12.0; ValueError below 0 or in between."""
    value = number(word) if not word.isdecimal() else int(word)
    if not 0 <= value < 2**62 or value != int(value):
        raise ValueError(f"{word!r} is no count")
    return int(value)


def read_table(lines: Sequence[str], dtype: np.dtype) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return ({field: (H,) or (H, n)}, notes) of lines with the values of one point each.

    Values that do not fit the type of their field stay float64. A field that holds words is left out, unless it is a
    coordinate: then ValueError, and so when a line has too few values.
    """
    if not lines:
        empty = np.empty(0, dtype)
        return {name: empty[name] for name in dtype.names or ()}, ()
    width = sum(math.prod(dtype[name].shape) for name in dtype.names or ())
    if width > len(lines[0]):  # np.loadtxt allocates a row before it reads one
        raise ValueError(f"row 0 holds {len(lines[0].split())} values instead of {width}")
    if (rows := _usual_rows(lines, dtype)) is not None:
        return {name: rows[name] for name in dtype.names or ()}, ()
    words, surplus = _split(lines, width)
    notes = [f"{surplus} values behind the fields of the header are left out in every row"] if surplus else []
    columns, at = {}, 0
    for name in dtype.names or ():
        shape, base = dtype[name].shape, dtype[name].base
        if not dtype[name].itemsize:  # no values in the file
            columns[name] = np.empty((len(lines), *shape), base)
            continue
        parts = words[at : at + math.prod(dtype[name].shape)]
        at += len(parts)
        try:
            values = [_typed(part, base) for part in parts]
        except ValueError as reason:
            if axis(name):
                raise ValueError(f"{name}: {reason}") from None
            notes.append(f"field {name!r} is left out ({reason})")
            continue
        kind = values[0].dtype if len({v.dtype for v in values}) == 1 else np.dtype(np.float64)
        if kind != base:
            notes.append(f"field {name!r} holds values that {base} cannot hold; they are kept as float64")
        columns[name] = np.stack(values, axis=1).astype(kind).reshape(len(lines), *shape) if shape else values[0]
    return columns, tuple(notes)


def _usual_rows(lines: Sequence[str], dtype: np.dtype) -> np.ndarray | None:
    """Rows (H,) of numbers in the usual spelling, read by compiled code; None if some are spelled otherwise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # of older numpy, which wraps 300 in a uint8
            return np.loadtxt(lines, dtype, comments=None, ndmin=1)  # `#` stands in 1.#IND, too
    except (ValueError, DeprecationWarning):
        return None


def _split(lines: Sequence[str], width: int) -> tuple[list[tuple[str, ...]], int]:
    """Return (`width` columns of words, surplus words per row) by the first separator that gives enough of them."""
    for separator in _SEPARATORS:
        rows = [[w for w in (word.strip(",;") for word in separator.split(line.strip())) if w] for line in lines]
        lengths = {len(row) for row in rows}
        if min(lengths) >= width and (len(lengths) == 1 or separator is _SEPARATORS[0]):
            return list(zip(*(row[:width] for row in rows), strict=True)), min(lengths) - width
    short = next(i for i, row in enumerate(rows) if len(row) < width) if min(lengths) < width else 0
    raise ValueError(f"row {short} holds {len(rows[short])} values instead of {width}")


def _typed(words: Sequence[str], kind: np.dtype) -> np.ndarray:
    """Return words as an array of a type, or as float64 if the type cannot hold them. ValueError at a word."""
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        try:  # exact above 2**53
            integers = [int(word) for word in words]
            if limits.min <= min(integers) and max(integers) <= limits.max:
                return np.array(integers, kind)
        except ValueError:
            pass
    try:
        values = np.array(words).astype(np.float64)
    except ValueError:
        values = np.array([number(word) for word in words], np.float64)
    if kind.kind not in "iu":
        with np.errstate(over="ignore"):
            return values.astype(kind)
    fits = np.isfinite(values).all() and (values == np.rint(values)).all()
    return values.astype(kind) if fits and limits.min <= values.min() and values.max() < limits.max + 1.0 else values
