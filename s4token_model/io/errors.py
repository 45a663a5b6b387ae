"""One-line errors about files: the file, what was found in it, and the fix."""

from __future__ import annotations

import os
from pathlib import Path

_MAGIC = (
    (b"ply", "a PLY file"),
    (b"# .PCD", "a PCD file"),
    (b"LASF", "a LAS/LAZ file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"SQLite format 3", "an SQLite database (a .db3 bag?)"),
    (b"\x89MCAP", "an MCAP bag"),
    (b"#ROSBAG", "a ROS 1 bag"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"OFF", "an OFF mesh"),
)


def error(path: str | Path, found: str, fix: str) -> ValueError:
    """Return the ValueError "path: found; fix"."""
    return ValueError(f"{path}: {found}; {fix}")


def truncated(path: str | Path, promised: int, held: int, rows: str = "points") -> ValueError:
    """Return the error about a file that holds fewer `rows` than its header promises."""
    return error(path, f"truncated: the header promises {promised} {rows}, the file holds {held}", "copy it again")


def check_folder_of(path: Path) -> None:
    """Raise ValueError unless files can be made in the folder of `path`."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise error(path, "its folder does not exist", f"mkdir -p {path.parent}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise error(path, "its folder cannot be written to", "check its permissions, or name another")


def looks_like(head: bytes | Path) -> str:
    """Describe a file, or its first bytes, e.g. "a PLY file"."""
    if isinstance(head, Path):
        with head.open("rb") as handle:
            head = handle.read(32)
    for magic, words in _MAGIC:
        if head.startswith(magic):
            return words
    return "an empty file" if not head else f"a file that begins with {head[:12]!r}"
