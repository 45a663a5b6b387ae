"""ROS 2 bags (.mcap, .db3) without ROS: recognize them, and read the clouds of their topics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.io import cut_mcap, pointcloud2
from s4token_model.io.errors import error, looks_like
from s4token_model.io.files import Cloud

SUFFIXES = (".mcap", ".db3")
RELATED = (".bag", *(f"{suffix}{packed}" for suffix in SUFFIXES for packed in (".zstd", ".zst", ".lz4", ".gz")))
CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
LABELED_TOPIC = "/s4token/labeled"  # and topics below it


def is_bag(path: str | Path) -> bool:
    """Return whether `path` means a bag: a .mcap or .db3 file, a ROS 1 or compressed one, or a folder."""
    path = Path(path)
    return path.is_dir() or path.name.lower().endswith((*SUFFIXES, *RELATED))


def read_clouds(path: str | Path, topic: str | Sequence[str] | None = None) -> Iterator[tuple[str, int, Any]]:
    """Yield (topic, bag time in ns, PointCloud2 of rosbags) of one or several topics; omit `topic` if there is one."""
    path, store = Path(path), typestore()
    with open_bag(path) as reader:
        chosen = choose_topics(path, reader.connections, topic)
        connections = [c for c in reader.connections if c.topic in chosen and c.msgtype == CLOUD_TYPE]
        for connection, stamp, raw in messages(path, reader, connections):
            yield connection.topic, stamp, deserialize(path, store, raw, connection)


def cloud_of(message: Any) -> tuple[np.ndarray, Cloud]:
    """Return a PointCloud2 as its structured points (H,) and as a Cloud; ValueError when it is malformed."""
    m = message
    points = pointcloud2.decode(m.fields, m.data, m.width, m.height, m.point_step, m.row_step, m.is_bigendian)
    stamp = m.header.stamp.sec * 10**9 + m.header.stamp.nanosec
    fields = {name: points[name] for name in pointcloud2.names(points)}
    xyz, rgb = pointcloud2.xyz(points), pointcloud2.rgb(points)
    notes = pointcloud2.notes(m.fields, m.point_step)
    return points, Cloud(xyz, rgb, fields, m.width, m.height, m.header.frame_id, stamp, notes)


def cloud_topics(path: str | Path) -> list[str]:
    """Return every PointCloud2 topic of a bag but labeled ones; ValueError says what the bag holds if there is none."""
    path = Path(path)
    with open_bag(path, lambda note: None) as reader:
        return _cloud_topics(path, reader.connections)


def check_source(path: str | Path, topic: str | Sequence[str] | None = None) -> list[str]:
    """Return the cloud topics that read_clouds would read, or raise its ValueError; call it before long work."""
    path = Path(path)
    with open_bag(path, lambda note: None) as reader:
        return choose_topics(path, reader.connections, topic)


def choose_topics(path: Path, connections: list[Any], topic: str | Sequence[str] | None) -> list[str]:
    """Return the cloud topics to read, each once. ValueError lists the topics of the bag."""
    if topic:
        clouds = sorted({c.topic for c in connections if c.msgtype == CLOUD_TYPE})
        wanted = [topic] if isinstance(topic, str) else list(dict.fromkeys(topic))
        if missing := [name for name in wanted if name not in clouds]:
            fix = f"choose one of: {', '.join(clouds) or 'none there'}"
            raise error(path, f"no PointCloud2 topic {missing[0]!r}", fix)
        return wanted
    clouds = _cloud_topics(path, connections)
    if len(clouds) > 1:
        raise error(path, f"{len(clouds)} PointCloud2 topics: {', '.join(clouds)}", f"add --topic {clouds[0]}")
    return clouds


def _cloud_topics(path: Path, connections: list[Any]) -> list[str]:
    clouds = {c.topic for c in connections if c.msgtype == CLOUD_TYPE}
    if not clouds:
        present = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in connections)) or "none"
        raise error(path, f"no PointCloud2 topic; topics are: {present}", "record one, e.g. ros2 bag record /points")
    inputs = {topic for topic in clouds if topic != LABELED_TOPIC and not topic.startswith(f"{LABELED_TOPIC}/")}
    return sorted(inputs or clouds)


def print_note(note: str) -> None:
    """Tell the user a note on stderr."""
    print(f"s4token: warning: {note}", file=sys.stderr)


@contextmanager
def open_bag(path: Path, on_note: Callable[[str], None] = print_note) -> Iterator[Any]:
    """Open a bag with rosbags' Reader. ValueError says in one line what is wrong with it, and the fix.

    `on_note` is called with what is to be known of a bag that can only be read in part.
    """
    from rosbags.rosbag2 import Reader

    from s4token_model.io import bag_limits  # rosbags is loaded for bags only

    path = _storage_path(path)
    bag_limits.check_before(path)
    readable = cut_mcap.with_end(path)
    try:
        reader = Reader(readable if isinstance(readable, cut_mcap.CutMcap) else bag_limits.SizedPath(path))
        reader.open()
    except Exception as reason:  # rosbags, SQLite, MCAP and YAML raise dozens of types on broken files
        raise _broken(path, reason) from None
    try:
        bag_limits.check_open(path, reader)
        if isinstance(readable, cut_mcap.CutMcap):
            if not reader.message_count:
                raise _broken(path, ValueError("cut off before its first whole message"))
            on_note(readable.note)
        yield reader
    finally:
        reader.close()


def messages(path: Path, reader: Any, connections: Sequence[Any] = ()) -> Iterator[tuple[Any, int, bytes]]:
    """Yield (connection, time, raw message); damage in the middle of a bag becomes a ValueError."""
    try:
        if reader.connections:
            yield from reader.messages(connections or reader.connections)
    except Exception as reason:
        raise _broken(_storage_path(path), reason) from None


def deserialize(path: Path, store: Any, raw: bytes, connection: Any) -> Any:
    """Return a message of rosbags' types."""
    try:
        return store.deserialize_cdr(raw, connection.msgtype)
    except Exception as reason:  # rosbags' own types, struct.error, IndexError, ...
        raise error(path, f"a message of {connection.topic} is damaged ({reason})", "copy the bag again") from None


def typestore() -> Any:
    """Return the message types of ROS 2, as rosbags knows them."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_KILTED)


def _storage_path(path: Path) -> Path:
    """Return the path that rosbags can open: the single file of a folder if its metadata.yaml was never written."""
    if not path.exists():
        raise error(path, "no such file", "check the path")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = [p for p in sorted(path.iterdir()) if p.name.lower().endswith((*SUFFIXES, *RELATED))]
        if len(files) != 1:
            fix = "give the bag's folder or one of its files; ros2 bag reindex restores metadata.yaml"
            raise error(path, f"a folder without metadata.yaml and with {len(files)} bag files", fix)
        path = files[0]
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        _check_file(file, path)
    return path


def _check_file(file: Path, bag: Path) -> None:
    """Raise the ValueError about a file that is not what its name says, with the program that helps."""
    name = file.name.lower()
    if file.exists() and not file.is_file() and not file.is_dir():
        raise error(file, "found a pipe or a device", "a bag holds regular files")
    if not file.is_file() or not name.endswith((*SUFFIXES, *RELATED)):
        return
    found = looks_like(file)
    if file.stat().st_size == 0:
        raise error(file, "found an empty file", "copy it again")
    if "Git LFS" in found:
        raise error(file, f"found {found}", "git lfs pull fetches the file")
    if name.endswith(".bag"):
        fix = f"convert it: rosbags-convert --src {file} --dst {file.stem}, and give the folder {file.stem}"
        raise error(file, f"found {found}; ROS 1 bags are not read", fix)
    if file == bag and name.endswith(RELATED):
        folder = f"give its folder {file.absolute().parent}, or "
        fix = f"{folder if (file.parent / 'metadata.yaml').exists() else ''}unpack it, e.g. zstd -d {file}"
        raise error(file, "a compressed file of a bag is not read by itself", fix)
    if name.endswith(SUFFIXES) and file.suffix != file.suffix.lower():
        fix = f"mv {file} {file.with_suffix(file.suffix.lower())}"
        raise error(file, f"bags are known by {' and '.join(SUFFIXES)}, in lower case", fix)
    if file.suffix == ".db3" and (log := file.with_name(f"{file.name}-wal")).exists() and log.stat().st_size:
        fix = f"merge them: sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)'"
        raise error(file, f"the last messages are still in {log.name}", fix)


def _broken(path: Path, reason: Exception) -> ValueError:
    """Return the error about a bag that rosbags cannot read, with a program that may save what is left."""
    found = f"found {looks_like(path)}, " if path.is_file() else ""
    words = " ".join(str(reason).split()) or type(reason).__name__
    files = [path] if path.is_file() else [p for p in sorted(path.iterdir()) if p.suffix in SUFFIXES]
    kinds = {looks_like(file) for file in files if file.stat().st_size}
    if "an MCAP bag" in kinds:
        fix = "it may be cut or damaged, mcap recover IN -o OUT (github.com/foxglove/mcap) saves what is whole"
    elif any("SQLite" in kind for kind in kinds):
        fix = "it may be cut or damaged, sqlite3 IN .recover | sqlite3 OUT saves what is whole"
    else:
        fix = "it may be truncated or of another type"
    return error(path, f"{found}not readable as a ROS 2 bag ({words})", fix)
