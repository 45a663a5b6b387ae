"""Files that others wrote: regular, inside of their folder, of bounded size, and strictly parsed.

Errors name the file and the fault, and quote nothing of the content but the keys of JSON and YAML.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import IO, Any

import yaml

JSON_LIMIT = 4 << 20  # bytes
WEIGHTS_LIMIT = 16 << 30  # bytes
YAML_LIMIT = 256 << 10  # bytes; its parser is slow
DEPTH = 12  # of nested JSON or YAML
CHUNK = 1 << 20
SURROGATE = re.compile("[\ud800-\udfff]")


def inside(folder: Path, name: str) -> Path:
    """Return folder/name; ValueError if it lies elsewhere, by its name or by a link.

    Links of a Hugging Face cache, from snapshots/COMMIT/ and folders in there to blobs/ beside it, stay inside.
    """
    path, root = folder / name, folder.resolve()
    commits = [one for one in (root, root.parent) if one.parent.name == "snapshots"]
    roots = [root] + [one.parents[1] / "blobs" for one in commits]
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} leads nowhere: {error}") from error
    if not any(target.is_relative_to(allowed) for allowed in roots):
        raise ValueError(f"{path} lies outside of {folder}, whose files may be nowhere else; copy the file there")
    return path


def open_regular(path: Path, limit: int) -> IO[bytes]:
    """Open a file for reading; ValueError if it is a folder, a pipe or a device, or larger than `limit` bytes."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would block
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        os.close(handle)
        is_file = stat.S_ISREG(status.st_mode)
        fault = f"larger than {limit} bytes" if is_file else "not a regular file; copy its content into one"
        raise ValueError(f"{path} is {fault}")
    return open(handle, "rb")


def check_regular(path: Path, limit: int) -> None:
    """Raise ValueError or OSError where `open_regular` does."""
    open_regular(path, limit).close()


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a regular file; ValueError if it is larger than `limit` bytes."""
    with open_regular(path, limit) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # nothing of /proc, whose files claim to be empty


def sha256(path: Path, limit: int = WEIGHTS_LIMIT) -> str:
    """Return the SHA-256 of a regular file in hexadecimal; ValueError if it is larger than `limit` bytes."""
    digest = hashlib.sha256()
    with open_regular(path, limit) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_json(path: Path) -> Any:
    """Read a JSON file; ValueError on other files, repeated keys, numbers that are not finite, and deep nesting.

    Halves of letters (surrogates) are refused, and keys that cannot be printed: neither could be shown or sent.
    """
    return parse_json(read_bytes(path, JSON_LIMIT), str(path))


def parse_json(content: bytes | str, source: str) -> Any:
    """Parse JSON as `read_json` does; `source` stands in the error."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        parsed = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
        _check_values(parsed)
        return parsed
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is not JSON ({_cut(error)})") from error


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain values; ValueError on other files, repeated keys, aliases, tags and deep nesting."""
    content = read_bytes(path, YAML_LIMIT)
    try:
        parsed = _PlainLoader(content.decode("utf-8")).get_single_data()
        _check_values(parsed)
        return parsed
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not YAML ({_cut(error)})") from error


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without aliases, whose copies of copies grow exponentially, and without repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias; write the value itself")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise yaml.YAMLError(f"repeated key {min(repeated)!r}")
        return super().construct_mapping(node, deep)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"repeated key {next(name for name in found if names.count(name) > 1)!r}")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _check_values(value: Any, left: int = DEPTH) -> None:
    """Raise ValueError if a value is nested too deep, or its texts cannot be shown or sent."""
    if isinstance(value, str) and SURROGATE.search(value):
        raise ValueError(f"half a letter in {ascii(value[:40])}")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, (list, set)) else ()
    if left < 1 and children:
        raise ValueError(f"nested more than {DEPTH} deep")
    for key in value if isinstance(value, dict) else ():
        if not str(key).isprintable():
            raise ValueError(f"the key {ascii(key)[:80]} cannot be printed")
    for child in children:
        _check_values(child, left - 1)


def _cut(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]} ..."
