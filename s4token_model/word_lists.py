"""Lists of class names as people keep them: one per line, with ids or other columns, comma-separated, with a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

LIST_MARKS = ";|\n\r"  # what never stands inside of a class name
NAME_HEADERS = (
    "name names class_name label_name category_name label labels class classes category categories vocabulary".split()
)
OTHER_HEADERS = {"#"} | set(
    "id ids index label_id class_id category_id train_id color colour r g b red green blue count no".split()
)
_NUMBER = r"[\"']?-?\d+(?:\.\d+)?[\"']?"
_VALUE = re.compile(rf"{_NUMBER}|#[0-9a-fA-F]{{6}}")  # a number or a color
_LEADING = re.compile(rf"(?:{_NUMBER}(?:\s*[,;:|\t)]\s*|\.?\s+))+")  # "3 ", "3, ", "3: ", "3) ", "3. ", "3,255,0,0,"
_TRAILING = re.compile(rf"(?:(?:\s*[,;:|\t]\s*|\s+){_NUMBER})+[\s,;:|]*$")


def split_list(text: str) -> tuple[str, ...]:
    """Split class names that are separated by semicolons or lines, or else by commas; an empty one stays empty."""
    text = text.strip().strip(",;")
    separator = rf"[{LIST_MARKS}\t]" if any(mark in text for mark in LIST_MARKS + "\t") else ","
    return tuple(name.strip() for name in re.split(separator, text))


def hidden_list(name: str) -> tuple[str, ...]:
    """Return the class names of a text that holds several, as "chair; table" does; () if it is one name."""
    parts = [part for part in re.split(rf"[{LIST_MARKS}]", name.strip().strip(",;")) if part.strip()]
    return tuple(part.strip() for part in parts) if len(parts) > 1 else ()


def parse_lines(lines: Sequence[str], source: str) -> tuple[str, ...]:
    """Return the class names of the lines of a file, without ids, other columns and a header.

    The lines hold a name each, names separated by commas or semicolons, or a table: numbers before or after the name in
    every line, or a header that names the columns. ValueError names a line of `source` that has two texts or none.
    """
    lines = [re.sub(r"^[-*]\s+", "", line.strip()) for line in lines if line.strip()]
    lines[:1] = [re.sub(r"^\w+\s*[:=]\s*(?=\[)", "", line) for line in lines[:1]]  # names: [chair, table]
    if lines and lines[0][0] + lines[-1][-1] == "[]":  # a list of JSON or Python
        lines = [" ".join(lines)[1:-1]]
    table = _columns_by_header(lines)
    if table is None:
        lines = _without_header(lines)
        table = _text_column(lines, source) or _without_numbers(lines)
    names = [part for name in table for part in split_list(name)]
    for number, name in enumerate(names, start=1):
        if not name.strip("\"' ") or ":" in name or name.strip()[:1] in ("{", "["):
            # A file is not quoted: the reason may reach others than the one who can read the file
            raise ValueError(f"name {number} of {len(names)} in {source} is no class name; write one name per line")
    return tuple(names)


def _columns_by_header(lines: Sequence[str]) -> list[str] | None:
    """The column of names of a table whose first line names several columns; None if the lines are no such table."""
    for mark in "\t,;":
        rows = list(csv.reader(lines, delimiter=mark, skipinitialspace=True)) if lines and mark in lines[0] else []
        header = [field.strip().lower() for field in rows[0]] if rows else []
        if len(header) > 1 and len(rows) > 1 and set(header) & OTHER_HEADERS:
            column = next((header.index(name) for name in NAME_HEADERS if name in header), None)
            if column is not None:
                return [row[column] for row in rows[1:] if column < len(row)]
    return None


def _text_column(lines: Sequence[str], source: str) -> list[str] | None:
    """The only column of texts of a table with columns of numbers or colors; None if the lines are no such table.

    ValueError when there are several: which of them holds the names is not known.
    """
    for mark in "\t,;|":
        rows = list(csv.reader(lines, delimiter=mark, skipinitialspace=True)) if lines and mark in lines[0] else []
        if len(rows) < 2 or len({len(row) for row in rows}) > 1:
            continue
        columns = [[field.strip() for field in column] for column in zip(*rows, strict=True)]
        columns = [column for column in columns if any(column)]
        texts = [column for column in columns if not all(map(_VALUE.fullmatch, column))]
        if len(texts) == len(columns) or not texts:
            continue
        if len(texts) > 1:
            fix = f"keep that of the names, or name the columns in a first line, e.g. id{mark}name{mark}group"
            raise ValueError(f"{source} is a table with {len(texts)} columns of texts; {fix}")
        return texts[0]
    return None


def _without_header(lines: list[str]) -> list[str]:
    """Drop a first line that is only the name of the columns, such as "name", "names:" or "id name"."""
    fields = re.split(r"[\s,;:]+", lines[0].lower().strip(":")) if len(lines) > 1 else []
    known = {*NAME_HEADERS, *OTHER_HEADERS}
    is_header = bool(fields) and all(field in known for field in fields) and bool({*fields} & {*NAME_HEADERS})
    return lines[1:] if is_header else lines


def _without_numbers(lines: list[str]) -> list[str]:
    """Drop numbers in front of the names, or after them, if every line has as many: ids and colors.

    A single line "2 seater sofa" stays, and so do "3d printer" and "table 1" beside "floor".
    """
    if len(lines) < 2:
        return lines
    for pattern, take in ((_LEADING, lambda line, found: line[found.end() :]),
                          (_TRAILING, lambda line, found: line[: found.start()])):  # fmt: skip
        found = [pattern.match(line) if pattern is _LEADING else pattern.search(line) for line in lines]
        counts = {len(re.findall(_NUMBER, match.group())) for match in found if match}
        rest = [take(line, match) for line, match in zip(lines, found, strict=True) if match]
        if all(found) and len(counts) == 1 and all(rest) and len({*rest}) == len(rest):
            lines = rest
    return lines
