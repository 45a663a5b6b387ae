"""Files of class names and prompt templates: where they are looked for, and what is read of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from s4token_model import bounded_files

MAX_BYTES = 1 << 22  # of one file; 65,535 names are shorter
SHOWN_FILES, SHOWN_LETTERS = 20, 80  # in an error


def find(name: str, kind: str, folder: str = "") -> Path:
    """Return the file of a path, of a name in `folder`, or of a name in config/<kind>; ValueError if there is none.

    `kind` is "labels" or "templates". For values of the person who started the program; see `find_inside`.
    """
    for path in [Path(name), *_inside(name, kind, folder)]:
        if is_file(path):
            return path
    raise ValueError(f"no {kind} file {name!r}; give a path or one of: {_listed(kind, folder)}")


def find_inside(name: str, kind: str, folder: str = "") -> Path:
    """Return the file as `find` does, but only inside of `folder` and config/<kind>, with symlinks resolved.

    For values from the network. The error is the same whether a file elsewhere exists or not, and no path outside is
    looked at before it is refused.
    """
    for path in _inside(name, kind, folder):
        if is_file(path):
            return path.resolve()
    shown = name if len(name) <= SHOWN_LETTERS else f"{name[:SHOWN_LETTERS]}..."
    raise ValueError(f"{kind} {shown!r} cannot be chosen while the node runs; one of: {_listed(kind, folder)}")


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file or a symlink to one; False where it cannot be looked at."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def read_text(path: Path) -> str:
    """Return the text of a regular file; ValueError, which quotes nothing of it, if it is too large or not UTF-8.

    Other files, such as pipes and devices, are never waited for.
    """
    try:
        return bounded_files.read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text, from byte {error.start}; save it as UTF-8") from None


def config_roots() -> list[Path]:
    """Return the folders that may hold labels/ and templates/: the source checkout's, then those of installations."""
    shares = [Path(sys.prefix), *map(Path, filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)))]
    roots = [Path(__file__).parents[1] / "config", *(p / "share" / "s4token_ros" / "config" for p in shares)]
    return [root for root in roots if root.is_dir()]


def _inside(name: str, kind: str, folder: str) -> list[Path]:
    """The paths below `folder` and config/<kind> that a name may mean, of those whose target is below, too."""
    relative = Path(name)
    if "\0" in name or ".." in relative.parts or not relative.parts:
        return []
    found = []
    for root in _folders(kind, folder):
        inner = relative
        if relative.is_absolute():
            if not relative.is_relative_to(root):
                continue
            inner = relative.relative_to(root)
        for path in (root / inner, root / f"{inner}.txt"):
            if is_file(path) and path.resolve().is_relative_to(root.resolve()):
                found.append(path)
    return found


def _folders(kind: str, folder: str) -> list[Path]:
    return [*([Path(folder)] if folder else []), *(root / kind for root in config_roots())]


def _listed(kind: str, folder: str) -> str:
    names = sorted({p.stem for root in _folders(kind, folder) for p in root.glob("*.txt")})
    more = [f"{len(names) - SHOWN_FILES} more"] if len(names) > SHOWN_FILES else []
    return ", ".join([*names[:SHOWN_FILES], *more]) or "none installed"
