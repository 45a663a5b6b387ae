"""ROS 2 bags (.mcap, .db3) without ROS: read the clouds of a topic, write a copy with labeled clouds added."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.io import pointcloud2
from s4token_model.io.errors import error, looks_like
from s4token_model.io.files import Cloud, native_colors

SUFFIXES = (".mcap", ".db3")
CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
LABELED_TOPIC = "/s4token/labeled"


def is_bag(path: str | Path) -> bool:
    """Return whether `path` means a bag: a .mcap or .db3 file, or a folder."""
    path = Path(path)
    return path.is_dir() or path.suffix.lower() in SUFFIXES


def read_clouds(path: str | Path, topic: str | None = None) -> Iterator[tuple[str, int, Any]]:
    """Yield (topic, bag time in ns, PointCloud2 of rosbags) of one cloud topic; it may be omitted if there is one."""
    path, store = Path(path), _typestore()
    with _open(path) as reader:
        chosen = _choose_topic(path, reader.connections, topic)
        for connection, stamp, raw in _messages(path, reader, [c for c in reader.connections if c.topic == chosen]):
            yield chosen, stamp, _deserialize(path, store, raw, connection)


def cloud_of(message: Any) -> tuple[np.ndarray, Cloud]:
    """Return a PointCloud2 as its structured points (H,) and as a Cloud; ValueError when it is malformed."""
    m = message
    points = pointcloud2.decode(m.fields, m.data, m.width, m.height, m.point_step, m.row_step, m.is_bigendian)
    stamp = m.header.stamp.sec * 10**9 + m.header.stamp.nanosec
    fields = {name: points[name] for name in pointcloud2.names(points)}
    xyz, rgb = pointcloud2.xyz(points), pointcloud2.rgb(points)
    notes = pointcloud2.notes(m.fields, m.point_step)
    return points, Cloud(xyz, rgb, fields, m.width, m.height, m.header.frame_id, stamp, notes)


def add_labels(
    source: str | Path,
    target: str | Path,
    label: Callable[[Cloud], Mapping[str, np.ndarray]],
    topic: str | None = None,
    on_skip: Callable[[str], None] = lambda reason: None,
) -> int:
    """Copy a bag byte for byte and add the topic `/s4token/labeled`; return the number of labeled clouds.

    `target` is a new folder (same storage as the source), or a .mcap or .db3 file; it is removed again on failure.
    `label` returns the columns to add to a cloud, each (H,), red, green, blue (uint8) among them; `on_skip` is called
    with the reason for every malformed cloud, which gets no labeled one.
    """
    source, target = Path(source), Path(target)
    check_target(target)
    with _open(source) as reader:
        chosen = _choose_topic(source, reader.connections, topic)
        if any(c.topic == LABELED_TOPIC for c in reader.connections):
            raise error(source, f"already has the topic {LABELED_TOPIC}", "label the original bag instead")
        with _new_bag(source, target) as writer:
            return _copy(source, reader, writer, chosen, label, on_skip)


def check_source(path: str | Path, topic: str | None = None) -> str:
    """Return the cloud topic that read_clouds would read, or raise its ValueError; call it before long work."""
    path = Path(path)
    with _open(path) as reader:
        return _choose_topic(path, reader.connections, topic)


def check_target(target: str | Path) -> None:
    """Raise ValueError when no bag can be written to `target`; call it before long work."""
    target = Path(target)
    if target.suffix and target.suffix.lower() not in SUFFIXES:
        raise error(target, "a bag in gives a bag out", "name a folder, or a file ending in .mcap or .db3")
    if target.is_dir():
        raise error(target, "this folder exists", "remove it or name another")
    if not target.absolute().parent.is_dir():
        raise error(target, "its folder does not exist", f"mkdir -p {target.parent}")


def _copy(source: Path, reader: Any, writer: Any, topic: str, label: Callable, on_skip: Callable) -> int:
    from tqdm import tqdm

    # Declare all topics, and the labeled one with the QoS of its source
    store, count, copies = _typestore(), 0, _copy_connections(reader, writer)
    total = sum(c.msgcount for c in reader.connections)
    qos = next(c.ext.offered_qos_profiles for c in reader.connections if c.topic == topic)
    labeled = writer.add_connection(LABELED_TOPIC, CLOUD_TYPE, typestore=store, offered_qos_profiles=qos)
    # Copy every message as it is, and after each cloud write the labeled one
    for connection, stamp, raw in tqdm(_messages(source, reader), "messages", total, disable=None, leave=False):
        writer.write(copies[connection.id], stamp, raw)
        if connection.topic != topic:
            continue
        message = _deserialize(source, store, raw, connection)
        try:
            points, cloud = cloud_of(message)
        except ValueError as reason:
            on_skip(f"cloud at {stamp} ns: {reason}")
            continue
        out = pointcloud2.append(points, native_colors(dict(label(cloud)), packed=True))
        writer.write(labeled, stamp, store.serialize_cdr(_message(store, out, message), CLOUD_TYPE))
        count += 1
    return count


def _message(store: Any, points: np.ndarray, like: Any) -> Any:
    """Build a PointCloud2 of structured `points` with the header and shape of another."""
    fields, step, is_bigendian = pointcloud2.layout(points)
    fields = [store.types["sensor_msgs/msg/PointField"](**f._asdict()) for f in fields]
    data = points.view(np.uint8) if len(points) else np.zeros(0, np.uint8)
    layout = {"is_bigendian": is_bigendian, "point_step": step, "row_step": step * like.width}
    return dataclasses.replace(like, fields=fields, data=data, **layout)


def _copy_connections(reader: Any, writer: Any) -> dict[int, Any]:
    """Declare every topic of the reader in the writer; return {id in the reader: connection of the writer}."""
    store, copies, known = _typestore(), {}, {}
    for c in reader.connections:
        key = (c.topic, c.msgtype, repr(c.ext))
        if key not in known:
            options = {name: getattr(c.ext, name) for name in ("serialization_format", "offered_qos_profiles")}
            if c.msgtype not in store.fielddefs:  # unknown types are copied, too
                options |= {"msgdef": c.msgdef.data, "rihs01": c.digest or "RIHS01_" + "0" * 64}
            elif c.msgdef.data:
                options |= {"msgdef": c.msgdef.data, "rihs01": c.digest or store.hash_rihs01(c.msgtype)}
            else:
                options |= {"typestore": store}
            known[key] = writer.add_connection(c.topic, c.msgtype, **options)
        copies[c.id] = known[key]
    return copies


def _choose_topic(path: Path, connections: list[Any], topic: str | None) -> str:
    """Return the cloud topic to read. ValueError lists the topics of the bag."""
    clouds = sorted({c.topic for c in connections if c.msgtype == CLOUD_TYPE})
    if topic is not None:
        if topic in clouds:
            return topic
        raise error(path, f"no PointCloud2 topic {topic!r}", f"choose one of: {', '.join(clouds) or 'none there'}")
    if not clouds:
        present = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in connections)) or "none"
        raise error(path, f"no PointCloud2 topic; topics are: {present}", "record one, e.g. ros2 bag record /points")
    if len(clouds) > 1:
        raise error(path, f"{len(clouds)} PointCloud2 topics: {', '.join(clouds)}", f"add --topic {clouds[0]}")
    return clouds[0]


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    from rosbags.rosbag2 import Reader

    from s4token_model.io import bag_limits  # rosbags is loaded for bags only

    path = _storage_path(path)
    bag_limits.check_before(path)
    try:
        reader = Reader(bag_limits.SizedPath(path))
        reader.open()
    except Exception as reason:  # rosbags, SQLite, MCAP and YAML raise dozens of types on broken files
        raise _broken(path, reason) from None
    try:
        bag_limits.check_open(path, reader)
        yield reader
    finally:
        reader.close()


def _storage_path(path: Path) -> Path:
    """Return the path that rosbags can open: the single file of a folder if its metadata.yaml was never written."""
    if not path.exists():
        raise error(path, "no such file", "check the path")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = [p for p in sorted(path.iterdir()) if p.suffix in SUFFIXES]
        if len(files) != 1:
            fix = "give the bag's folder or one of its files; ros2 bag reindex restores metadata.yaml"
            raise error(path, f"a folder without metadata.yaml and with {len(files)} bag files", fix)
        return files[0]
    if path.is_file() and path.stat().st_size == 0:
        raise error(path, "found an empty file", "copy it again")
    return path


def _broken(path: Path, reason: Exception) -> ValueError:
    found = f"found {looks_like(path)}, " if path.is_file() else ""
    words = " ".join(str(reason).split()) or type(reason).__name__
    return error(path, f"{found}not readable as a ROS 2 bag ({words})", "it may be truncated or of another type")


def _messages(path: Path, reader: Any, connections: list[Any] | tuple = ()) -> Iterator[tuple[Any, int, bytes]]:
    """Yield (connection, time, raw message); damage in the middle of a bag becomes a ValueError."""
    try:
        if reader.connections:
            yield from reader.messages(connections or reader.connections)
    except Exception as reason:
        raise _broken(_storage_path(path), reason) from None


def _deserialize(path: Path, store: Any, raw: bytes, connection: Any) -> Any:
    try:
        return store.deserialize_cdr(raw, connection.msgtype)
    except Exception as reason:  # rosbags' own types, struct.error, IndexError, ...
        raise error(path, f"a message of {connection.topic} is damaged ({reason})", "copy the bag again") from None


def _typestore() -> Any:
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_KILTED)


@contextmanager
def _new_bag(source: Path, target: Path) -> Iterator[Any]:
    """Open a bag writer in a temporary folder; the bag moves to `target` when the block succeeds."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    # The storage is what the suffix of the target says, else that of the source
    single = target.suffix.lower() in SUFFIXES
    files = [p for p in source.iterdir() if p.suffix in SUFFIXES] if source.is_dir() else [source]
    suffix = (target if single else files[0] if files else Path("bag.mcap")).suffix.lower()
    plugin = StoragePlugin.MCAP if suffix == ".mcap" else StoragePlugin.SQLITE3
    scratch = Path(tempfile.mkdtemp(dir=target.absolute().parent, prefix=f".{target.name}."))
    try:
        folder = scratch / target.stem
        with Writer(folder, version=9, storage_plugin=plugin) as writer:
            yield writer
        written = next(folder.glob(f"*{suffix}")) if single else folder
        os.replace(written, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
