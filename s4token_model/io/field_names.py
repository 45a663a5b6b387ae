"""Names of fields: repeats told apart, and coordinates under another spelling found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PADDING = ("", "_")  # names of bytes without a meaning; PCL writes several `_`
VECTORS = ("xyz", "position", "positions", "point", "points", "coord", "coords", "coordinate", "coordinates", "pos")
_PREFIX = r"(?:p|pos|position|point|points|coord|coords|coordinate|coordinates)[\s_.:-]*"
_SUFFIX = r"[\s_.:-]*(?:pos|position|coord|coordinate)"
_AXIS = re.compile(rf"/*\s*(?:(?:{_PREFIX})?([xyz])|([xyz]){_SUFFIX})\s*(?:[(\[].*)?")  # X, pos_x, x_coord, x [m]


def axis(name: str) -> str:
    """Return "x", "y" or "z" for the name of a coordinate in any usual spelling, and "" for another name."""
    found = _AXIS.fullmatch(name.strip().lower())
    return (found[1] or found[2]) if found else ""


def axes(names: Iterable[str]) -> dict[str, str]:
    """Return {axis: name} of the coordinates x, y, z, exact names first; {} unless each axis has exactly one name."""
    names = tuple(names)
    found = {}
    for letter in "xyz":
        alike = [letter] if letter in names else [name for name in names if axis(name) == letter]
        if len(alike) != 1:
            return {}
        found[letter] = alike[0]
    return found


def distinct(names: Iterable[str]) -> list[str]:
    """Return the names with _2, _3, ... behind repeats; the first keeps its name, and so do names that occur once."""
    names = list(names)
    taken, out = set(names), []
    seen: dict[str, int] = {}
    for name in names:
        number = seen[name] = seen.get(name, 0) + 1
        if number == 1:
            out.append(name)
            continue
        while f"{name}_{number}" in taken:
            number += 1
        seen[name] = number
        taken.add(f"{name}_{number}")
        out.append(f"{name}_{number}")
    return out


def standard(names: Sequence[str]) -> list[str]:
    """Return distinct names in which the coordinates are called x, y and z."""
    names = distinct(names)
    known = {name: letter for letter, name in axes(names).items()}
    return [known.get(name, name) for name in names]


def rename_notes(old: Sequence[str], new: Sequence[str], reason: str = "") -> tuple[str, ...]:
    """Return the note about fields that were renamed, if any."""
    changed = [f"{a!r} -> {b!r}" for a, b in zip(old, new, strict=True) if a != b]
    return (f"fields are renamed{reason}: {', '.join(changed)}",) if changed else ()
