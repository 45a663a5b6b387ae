"""The reviewed tables: the CAD sets with their licenses, and the models of each that the bank takes."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from s4token_model import bounded_files
from s4token_model.procedural.classes import PROCEDURAL
from scripts.shapes.frames import UP, parse_size

FOLDER = Path(__file__).resolve().parent
BESIDE = (".bin", ".mtl")  # of the same name: buffers of glTF, materials of OBJ
# Licenses that let derived weights be shipped. All of their texts were read; another one is a decision.
LICENSES = frozenset({"CC0-1.0", "CC-BY-3.0", "MIT-0", "Apache-2.0", "BSD-3-Clause"})


class Source(NamedTuple):
    """One line of sources.csv."""

    name: str  # as `--source` and models.csv name it; "set/library" for a library of a set
    version: str  # of the package, or the commit
    sha256: str  # of the library's file, or of all files that the models of a checkout consist of
    license: str  # SPDX
    creator: str  # where the models name none
    up: str  # axis of the files, "y" or "z"
    meters: float  # of one unit of the files, where models.csv names no size
    url: str
    attribution: str

    @property
    def set_name(self) -> str:
        return self.name.partition("/")[0]


class Model(NamedTuple):
    """One line of models.csv."""

    source: str
    model: str  # id in the catalogue of its library, or path in the checkout
    label: str  # class, of PROCEDURAL
    turn: float  # degrees about z, counterclockwise, that make its front face -y
    size: str  # see frames.parse_size; "" for the catalogue's, or for meters as they are
    up: str  # "" for that of the source
    license: str  # "" for that of the source


def read_sources(path: Path = FOLDER / "sources.csv") -> tuple[Source, ...]:
    """Read sources.csv; ValueError for a license that is not one of LICENSES."""
    sources = tuple(Source(**{**row, "meters": float(row["meters"])}) for row in _rows(path))
    for source in sources:
        _check(path, source.name, "license", source.license, LICENSES)
        _check(path, source.name, "up", source.up, UP)
    return sources


def read_models(sources: Iterable[Source], path: Path = FOLDER / "models.csv") -> tuple[Model, ...]:
    """Read models.csv; ValueError for an unknown source, class or license, a wrong size, or a model named twice."""
    models = tuple(
        Model(
            row["source"], row["model"], row["class"], float(row["turn"] or 0), row["size"], row["up"], row["license"]
        )
        for row in _rows(path)
    )
    names, seen = {source.name for source in sources}, set()
    for one in models:
        _check(path, one.model, "source", one.source, names)
        _check(path, one.model, "class", one.label, PROCEDURAL)
        _check(path, one.model, "license", one.license, {"", *LICENSES})
        _check(path, one.model, "up", one.up, {"", *UP})
        parse_size(one.size)
        if one[:2] in seen:
            raise ValueError(f"{path}: {one.source} {one.model} has two lines; leave one of them out")
        seen.add(one[:2])
    return models


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _check(path: Path, name: str, column: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"{path}: {name}: {column} {value!r} is none of {', '.join(sorted(map(repr, known)))}")


def files_sha256(root: Path, names: Iterable[str]) -> str:
    """SHA-256 over the sorted names and the contents of files below `root` and of their BESIDE; not of absent ones."""
    digest = hashlib.sha256()
    beside = {Path(name).with_suffix(suffix).as_posix() for name in names for suffix in BESIDE}
    for name in sorted({*names, *beside}):
        if (root / name).is_file():
            digest.update(f"{name}\0{bounded_files.sha256(root / name)}\n".encode())
    return digest.hexdigest()
