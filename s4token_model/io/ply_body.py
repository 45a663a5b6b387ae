"""The elements of PLY files, behind the header: one reader of ascii, one of binary ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.io import field_names, text_table
from s4token_model.io.errors import error
from s4token_model.io.ply_header import Element, Property


class Binary:
    """Reads elements one after the other from the bytes of a file."""

    def __init__(self, path: Path, blob: bytes, start: int, order: str):
        self.path, self.blob, self.at, self.order = path, blob, start, order

    def columns(self, element: Element) -> tuple[dict[str, np.ndarray], list[str]]:
        """Return ({property: (H,)} without lists, notes about names)."""
        rows = self.read(element)
        plain = [i for i, p in enumerate(element.properties) if not p.length_type]
        names = [element.properties[i].name for i in plain]
        unique = field_names.standard(names)
        if isinstance(rows, np.ndarray):
            values = [rows[str(i)] for i in plain]
        else:
            values = [np.concatenate([row[i] for row in rows]) for i in plain]
        return dict(zip(unique, values, strict=True)), [*field_names.rename_notes(names, unique)]

    def read(self, element: Element) -> Any:
        """Return a structured array with the properties by number, or rows of arrays when lists differ in length."""
        dtype = self._dtype(element)
        end = self.at + dtype.itemsize * element.rows
        fits = end <= len(self.blob) and dtype.itemsize > 0
        rows = np.frombuffer(self.blob, dtype, element.rows, self.at) if fits else np.empty(0, dtype)
        lists = [i for i, p in enumerate(element.properties) if p.length_type]
        if fits and all((rows[f"#{i}"] == rows.dtype[str(i)].shape[0]).all() for i in lists):
            self.at = end
            return rows
        if not element.properties or not element.rows:
            return rows
        if not lists:
            raise element.truncated(self.path, (len(self.blob) - self.at) // dtype.itemsize)
        return [self._row(element, i) for i in range(element.rows)]

    def _dtype(self, element: Element) -> np.dtype:
        """Return the layout of a row if every list were as long as in the first row."""
        spec, at = [], self.at
        for i, p in enumerate(element.properties):
            if p.length_type:
                length_type = np.dtype(self.order + p.length_type)
                inside = element.rows and at + length_type.itemsize <= len(self.blob)
                length = int(np.frombuffer(self.blob, length_type, 1, at)[0]) if inside else 0
                try:
                    kind = np.dtype((self.order + p.type, (length,)))
                    parts = [(f"#{i}", length_type), (str(i), kind)]
                    at += np.dtype(parts).itemsize
                except ValueError:
                    found = f"PLY list {p.name!r} is of length {length}"
                    raise error(self.path, found, "the file is damaged") from None
                spec += parts
            else:
                spec.append((str(i), self.order + p.type))
                at += np.dtype(p.type).itemsize
        try:
            return np.dtype(spec)
        except ValueError:
            raise error(self.path, f"PLY lists of {element.name} are too long", "the file is damaged") from None

    def _row(self, element: Element, index: int) -> list[np.ndarray]:
        def length(p: Property) -> int:
            return int(self._take(p.length_type, 1)[0]) if p.length_type else 1

        try:
            return [self._take(p.type, length(p)) for p in element.properties]
        except ValueError:
            raise element.truncated(self.path, index) from None

    def _take(self, code: str, count: int) -> np.ndarray:
        if count < 0:
            raise ValueError(count)
        values = np.frombuffer(self.blob, self.order + code, count, self.at) if count else np.empty(0, code)
        self.at += values.nbytes
        return values


class Ascii:
    """Reads elements one after the other from the lines of a file."""

    def __init__(self, path: Path, body: bytes):
        self.path, self.lines = path, text_table.data_lines(body)

    def columns(self, element: Element) -> tuple[dict[str, np.ndarray], list[str]]:
        """Return ({property: (H,)} without lists, notes about names and values)."""
        plain = [i for i, p in enumerate(element.properties) if not p.length_type]
        names = [element.properties[i].name for i in plain]
        unique = field_names.standard(names)
        dtype = np.dtype([(name, element.properties[i].type) for i, name in zip(plain, unique, strict=True)])

        def parse(lines: list[str]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
            if len(plain) < len(element.properties):
                rows = [_split_row(element, line.split()) for line in lines]
                lines = [" ".join(row[i][0] for i in plain) for row in rows]
            return text_table.read_table(lines, dtype)

        columns, notes = self._parsed(element, parse)
        return columns, [*field_names.rename_notes(names, unique), *notes]

    def read(self, element: Element) -> list[list[np.ndarray]]:
        """Return the rows of an element, each a list of one array per property."""

        def parse(lines: list[str]) -> list[list[np.ndarray]]:
            rows = [_split_row(element, line.split()) for line in lines]
            return [[_numbers(words) for words in row] for row in rows]

        return self._parsed(element, parse)

    def _parsed(self, element: Element, parse: Callable[[list[str]], Any]) -> Any:
        """Return what `parse` makes of the next lines, one per row, or of as many words if lines do not end rows."""
        lines, rest = self.lines[: element.rows], self.lines[element.rows :]
        try:
            if len(lines) < element.rows:
                raise element.truncated(self.path, len(lines))
            out = parse(lines)
        except (ValueError, IndexError) as reason:
            try:
                lines, rest = self._lines_of_words(element)
                out = parse(lines)
            except (ValueError, IndexError):
                if str(self.path) in str(reason):
                    raise reason from None
                found = f"bad PLY values of {element.name} ({reason})"
                raise error(self.path, found, "write the file again") from None
        self.lines = rest
        return out

    def _lines_of_words(self, element: Element) -> tuple[list[str], list[str]]:
        """Return (one line per row, the remaining lines). IndexError when there are too few words."""
        words, lines, at = " ".join(self.lines).split(), [], 0
        for _ in range(element.rows):
            end = _row_spans(element, words, at)[-1][1]
            lines.append(" ".join(words[at:end]))
            at = end
        return lines, [" ".join(words[at:])] if at < len(words) else []


def _numbers(words: list[str]) -> np.ndarray:
    try:
        return np.array([float(word) for word in words])
    except ValueError:
        return np.array([text_table.number(word) for word in words])


def _split_row(element: Element, words: list[str]) -> list[list[str]]:
    """Return the words of each property of a row. IndexError when there are too few."""
    return [words[start:end] for start, end in _row_spans(element, words, 0)]


def _row_spans(element: Element, words: list[str], at: int) -> list[tuple[int, int]]:
    """Return where in `words`, from `at` on, the values of each property begin and end."""
    spans = []
    for p in element.properties:
        length = text_table.count(words[at]) if p.length_type else 1
        at += bool(p.length_type)
        spans.append((at, at + length))
        at += length
    if at > len(words):
        raise IndexError(f"{len(words)} values instead of {at}")
    return spans
