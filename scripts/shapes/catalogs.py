"""Where the models of a source lie: libraries of Sweet Home 3D with a catalogue, and checkouts of repositories."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

CATALOGUE = "PluginFurnitureCatalog.properties"
CENTIMETER = 0.01  # the catalogue's unit, in m


class Entry(NamedTuple):
    """One model file with what its source says of it: `rotation` (3, 3) and `size` m are in the bank's axes or None."""

    path: Path
    creator: str = ""
    tags: tuple[str, ...] = ()
    size: tuple[float, ...] = ()
    elevation: float = 0.0  # m, at which it hangs or stands
    rotation: np.ndarray | None = None  # of the file's axes, before they are turned z up


def unpack_package(package: Path, folder: Path) -> Path:
    """Unpack a Debian package of Sweet Home 3D libraries below `folder` and return the folder of its .sh3f files."""
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    libraries = sorted(folder.rglob("*.sh3f"))
    if not libraries:
        raise ValueError(f"{package} holds no .sh3f library; give the package sweethome3d-furniture")
    return libraries[0].parent


def library_entries(library: Path, folder: Path) -> dict[str, Entry]:
    """Unpack a Sweet Home 3D library (.sh3f) into `folder` and return its models by catalogue id without the prefix.

    ValueError if the file is no such library.
    """
    try:
        with zipfile.ZipFile(library) as archive:
            archive.extractall(folder)
        text = (folder / CATALOGUE).read_text(encoding="latin-1")
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{library} is no furniture library of Sweet Home 3D: {error}") from error
    fields: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*?)\s*$", text, re.MULTILINE):
        fields.setdefault(number, {})[key] = value
    return {one["id"].rpartition("#")[2]: _entry(one, folder) for one in fields.values()}


def _entry(fields: dict[str, str], folder: Path) -> Entry:
    tags = [fields["name"], *fields.get("tags", "").split(","), fields["category"]]
    rotation = fields.get("modelRotation", "").split()
    return Entry(
        path=folder / fields["model"].lstrip("/"),
        creator=fields.get("creator", ""),
        tags=tuple(dict.fromkeys(tag.strip().lower() for tag in tags if tag.strip())),
        size=tuple(float(fields[key]) * CENTIMETER for key in ("width", "depth", "height")),
        elevation=float(fields.get("elevation", 0)) * CENTIMETER,
        rotation=np.array(rotation, float).reshape(3, 3) if rotation else None,
    )


def checkout_entries(folder: Path, models: Iterable[str]) -> dict[str, Entry]:
    """The model files of a checkout that are there, by path; their tags are the words of their names."""
    return {name: Entry(folder / name, tags=_words(name)) for name in models if (folder / name).is_file()}


def _words(name: str) -> tuple[str, ...]:
    words = re.findall(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z])", Path(name).stem)
    return tuple(dict.fromkeys(word.lower() for word in words))
