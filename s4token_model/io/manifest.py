"""The manifest of a folder of labeled files: one small record per output that tells what it was made of, and how.

OUT/.s4token/files/NAME.json      {"source", "settings", "output", "summary"}; output is null while it is being made
OUT/.s4token/settings-DIGEST.json the settings that records name: model, words, pipeline, options

Both are written in one step. A file or bag is told by the size and time of its files or, if only the time differs, by
their SHA-256.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from s4token_model import atomic, bounded_files

FOLDER = ".s4token"


class Record(NamedTuple):
    """What is known of one output."""

    source: list[list[Any]]  # fingerprint of the input
    settings: str  # digest of the settings
    output: list[list[Any]] | None = None  # fingerprint of the output; None while it is being made
    summary: dict[str, Any] | None = None  # what was counted in it


def fingerprint(path: Path) -> list[list[Any]]:
    """Return [name, bytes, time in ns, SHA-256] of a file, or of every file in the folder of a bag."""
    return [[name, *_stamp(file), bounded_files.sha256(file, sys.maxsize)] for name, file in _files(path)]


def matches(path: Path, known: list[list[Any]]) -> bool:
    """Return whether a file, or the folder of a bag, is that of a fingerprint."""
    files = _files(path)
    if [name for name, _ in files] != [row[0] for row in known]:
        return False
    for (_, file), (_, size, time, digest) in zip(files, known, strict=True):
        if (stamp := _stamp(file)) == [size, time]:
            continue
        if stamp[0] != size or bounded_files.sha256(file, sys.maxsize) != digest:
            return False
    return True


def read(out: Path, name: str) -> Record | None:
    """Return the record of the output `name` in the folder `out`; None if there is none, or it is damaged."""
    try:
        content = bounded_files.read_json(_record_path(out, name))
        return Record(**{key: content[key] for key in Record._fields})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(out: Path, name: str, record: Record) -> None:
    """Write the record of an output in one step."""
    _write(_record_path(out, name), record._asdict())


@contextmanager
def being_made(out: Path, name: str, record: Record) -> Iterator[None]:
    """Record that an output is being made while the block runs; if that fails, the record is what it was before.

    An output whose record says so belongs to a run that was killed, and may be replaced.
    """
    before = read(out, name)
    write(out, name, record)
    try:
        yield
    except BaseException:
        if before is None:
            _record_path(out, name).unlink(missing_ok=True)
        else:
            write(out, name, before)
        raise


def save_settings(out: Path, settings: dict[str, Any]) -> str:
    """Write down settings, {dotted key: value}, in the manifest of `out`, and return their digest."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    if not _settings_path(out, digest).is_file():
        _write(_settings_path(out, digest), settings)
    return digest


def differing_settings(out: Path, one: str, other: str) -> list[str]:
    """Return the keys in which two settings of the manifest of `out` differ; empty if one cannot be read."""
    try:
        first, second = (bounded_files.read_json(_settings_path(out, digest)) for digest in (one, other))
        return sorted(key for key in {*first, *second} if first.get(key) != second.get(key))
    except (OSError, ValueError, TypeError):
        return []


@contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Keep other runs from the folder `out` while the block runs. ValueError if there is one."""
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    lock = os.open(out / FOLDER, os.O_RDONLY)
    try:
        with suppress(OSError):  # of a file system without locks
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{out}: another run writes to it; wait for it, or name another folder") from None
        yield
    finally:
        os.close(lock)


def _settings_path(out: Path, digest: str) -> Path:
    return out / FOLDER / f"settings-{digest}.json"


def _record_path(out: Path, name: str) -> Path:
    return out / FOLDER / "files" / f"{name}.json"


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as file:
        file.write(json.dumps(content, indent=1).encode())


def _files(path: Path) -> list[tuple[str, Path]]:
    """The files of a file or folder, each with a name that any JSON holds."""
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [(os.fsencode(p.relative_to(path)).decode("utf-8", "backslashreplace"), p) for p in found]


def _stamp(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]
