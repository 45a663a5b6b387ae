"""Labeled bags: a copy of a bag with labeled clouds added, and with the vocabulary that explains the labels."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from s4token_model import atomic
from s4token_model.io import bags, label_messages, pointcloud2
from s4token_model.io.bags import CLOUD_TYPE, LABELED_TOPIC, SUFFIXES
from s4token_model.io.errors import check_folder_of, error
from s4token_model.io.files import Cloud, native_colors

NAMESPACE = LABELED_TOPIC.rpartition("/")[0]  # of all topics that are added


class Labeling(NamedTuple):
    """How to label the clouds of a bag."""

    label: Callable[[Cloud], Mapping[str, np.ndarray]]  # the columns to add, each (H,), with red, green, blue (uint8)
    vocabulary: Any = None  # what the labels mean: a Vocabulary, or None
    on_skip: Callable[[str], None] = lambda reason: None  # called with the reason for every malformed cloud
    on_note: Callable[[str], None] = lambda note: None  # called with what could not be read or kept
    progress: bool = True  # show a bar on a terminal


class Storage(NamedTuple):
    """How a bag is stored: "mcap" or "sqlite3", and compressed by file, message, storage (MCAP's chunks) or not."""

    plugin: str
    compression: str


def add_labels(
    source: str | Path, target: str | Path, labeling: Labeling, topic: str | Sequence[str] | None = None,
    replace: bool = False,
) -> int:  # fmt: skip
    """Copy a bag byte for byte and add a labeled topic for each cloud topic; return the number of labeled clouds.

    `target` is a new folder, stored like the source, or a .mcap or .db3 file; nothing is written on failure, or when
    nothing at all could be labeled, which is a ValueError. A bag that is there is an error, or replaced by `replace`.
    """
    source, target = Path(source), Path(target)
    check_target(target, replace)
    with bags.open_bag(source, labeling.on_note) as reader:
        chosen = bags.choose_topics(source, reader.connections, topic)
        topics = labeled_topics(source, {c.topic for c in reader.connections}, chosen)
        with _new_bag(reader, target, labeling.on_note) as writer:
            count = _copy(source, reader, writer, topics, labeling)
    return count


def labeled_topics(source: Path, present: set[str], chosen: Sequence[str]) -> dict[str, str]:
    """Return {cloud topic: its labeled topic}: /s4token/labeled, with the topic's name behind it if there are more."""
    alone = len(chosen) == 1 and LABELED_TOPIC not in present
    topics = {topic: LABELED_TOPIC if alone else f"{LABELED_TOPIC}/{topic.lstrip('/')}" for topic in chosen}
    if taken := [topic for topic in topics.values() if topic in present]:
        raise error(source, f"already has the topic {taken[0]}", "label the original bag instead")
    return topics


def check_target(target: str | Path, replace: bool = False) -> None:
    """Raise ValueError when no bag can be written to `target`; call it before long work."""
    target = Path(target)
    if target.suffix and target.suffix.lower() not in SUFFIXES:
        raise error(target, "a bag in gives a bag out", "name a folder, or a file ending in .mcap or .db3")
    if not replace and (target.is_dir() or (target.exists() and not target.suffix)):
        raise error(target, f"this {'folder' if target.is_dir() else 'file'} exists", "remove it or name another")
    check_folder_of(target)


def _copy(source: Path, reader: Any, writer: Any, topics: dict[str, str], labeling: Labeling) -> int:
    from tqdm import tqdm

    # Declare all topics, and the labeled ones with the QoS of their source
    store, copies, skipped = bags.typestore(), _copy_connections(reader, writer), []
    present, labeled = {c.topic: c for c in reader.connections if c.msgtype == CLOUD_TYPE}, {}
    for topic, name in topics.items():
        qos = present[topic].ext.offered_qos_profiles
        labeled[topic] = writer.add_connection(name, CLOUD_TYPE, typestore=store, offered_qos_profiles=qos)
    if labeling.vocabulary is not None and reader.message_count:
        _write_vocabulary(store, reader, writer, topics, labeling.vocabulary)
    # Copy every message as it is, and after each cloud write the labeled one
    count, points_found, quiet = 0, False, None if labeling.progress else True
    total = sum(c.msgcount for c in reader.connections)
    for connection, stamp, raw in tqdm(bags.messages(source, reader), "messages", total, disable=quiet, leave=False):
        writer.write(copies[connection.id], stamp, raw)
        if connection.topic not in topics or connection.msgtype != CLOUD_TYPE:
            continue
        message = bags.deserialize(source, store, raw, connection)
        try:
            points, cloud = bags.cloud_of(message)
        except ValueError as reason:
            skipped.append(f"cloud at {stamp} ns: {reason}")
            labeling.on_skip(skipped[-1])
            continue
        out = pointcloud2.append(points, native_colors(dict(labeling.label(cloud)), packed=True))
        writer.write(labeled[connection.topic], stamp, _serialized(store, out, message))
        count += 1
        points_found = points_found or bool(np.isfinite(cloud.xyz).all(axis=1).any())
    if not points_found:
        raise _nothing_labeled(source, topics, count, skipped)
    return count


def _nothing_labeled(source: Path, topics: dict[str, str], count: int, skipped: list[str]) -> ValueError:
    """Return the error about a bag none of whose points could be labeled."""
    listed = ", ".join(topics)
    if skipped:
        found, fix = f"nothing to label on {listed}: {len(skipped)} malformed clouds, e.g. {skipped[0]}", "record again"
    elif count:
        found, fix = f"nothing to label on {listed}: no point of {count} clouds is finite", "check the sensor"
    else:
        found, fix = f"nothing to label: no message on {listed}", "choose another --topic, or record again"
    return error(source, found, fix)


def _serialized(store: Any, points: np.ndarray, like: Any) -> memoryview:
    """Serialize a PointCloud2 of structured `points` with the header and shape of another."""
    return store.serialize_cdr(cloud_message(store, points, like), CLOUD_TYPE)


def cloud_message(store: Any, points: np.ndarray, like: Any) -> Any:
    """Build a PointCloud2 of structured `points` with the header and shape of another."""
    fields, step, is_bigendian = pointcloud2.layout(points)
    fields = [store.types["sensor_msgs/msg/PointField"](**f._asdict()) for f in fields]
    data = points.view(np.uint8) if len(points) else np.zeros(0, np.uint8)
    layout = {"is_bigendian": is_bigendian, "point_step": step, "row_step": step * like.width}
    return dataclasses.replace(like, fields=fields, data=data, **layout)


def _write_vocabulary(store: Any, reader: Any, writer: Any, topics: dict[str, str], vocabulary: Any) -> None:
    """Write what the labels mean at the start of the bag, on latched topics beside the labeled ones."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    latched = Qos(
        QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, QosTime(0, 0), QosTime(0, 0),
        QosLiveliness.SYSTEM_DEFAULT, QosTime(0, 0), False,
    )  # fmt: skip
    present = {c.topic for c in reader.connections}
    for name, msgtype, raw in label_messages.explanations(store, vocabulary, reader.start_time):
        topic = f"{NAMESPACE}/{name}"
        if topic in present:  # of labels that were there before
            topic += f"/{next(iter(topics)).lstrip('/')}"
        connection = writer.add_connection(topic, msgtype, typestore=store, offered_qos_profiles=[latched])
        writer.write(connection, reader.start_time, raw)


def _copy_connections(reader: Any, writer: Any) -> dict[int, Any]:
    """Declare every topic of the reader in the writer; return {id in the reader: connection of the writer}."""
    store, copies, known = bags.typestore(), {}, {}
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


def _storage_of(reader: Any) -> Storage:
    """How the bag of an open reader is stored."""
    from rosbags.rosbag2.storage_mcap import McapReader

    storages = getattr(reader.storage, "storages", None) or [reader.storage]
    is_mcap = isinstance(storages[0], McapReader)
    chunked = any(chunk.compression for chunk in getattr(storages[0], "chunks", ()))
    return Storage("mcap" if is_mcap else "sqlite3", reader.compression_mode or ("storage" if chunked else ""))


@contextmanager
def _new_bag(reader: Any, target: Path, on_note: Callable[[str], None]) -> Iterator[Any]:
    """Open a bag writer in a temporary folder; the bag moves to `target` when the block succeeds."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    # The storage is what the suffix of the target says, else that of the source
    like, single = _storage_of(reader), target.suffix.lower() in SUFFIXES
    plugin = {".mcap": "mcap", ".db3": "sqlite3"}.get(target.suffix.lower(), like.plugin)
    compression = like.compression
    if compression == "file" or single or plugin != like.plugin:
        # Chunks of MCAP, or messages, can be read without unpacking the whole; a lone .db3 cannot say what it is
        best = "storage" if plugin == "mcap" else "" if single else "message"
        compression = best if like.compression else ""
    if compression != like.compression:
        names = {"storage": "compressed by chunk", "message": "compressed by message", "": "not compressed"}
        on_note(f"{target} is {names[compression]}, the source by {like.compression.replace('storage', 'chunk')}")
    try:
        with atomic.scratch(target) as scratch:
            folder = scratch / target.stem
            writer = Writer(folder, version=9, storage_plugin=StoragePlugin[plugin.upper()])
            writer.set_compression(CompressionMode[compression.upper() or "NONE"], CompressionFormat.ZSTD)
            for key, value in (reader.storage.metadata.custom or {}).items():
                writer.set_custom_data(str(key), str(value))
            with writer:
                yield writer
            written = next(p for p in folder.iterdir() if p.suffix in SUFFIXES) if single else folder
            atomic.move(written, target)
    except sqlite3.Error as reason:  # no OSError even if the disk is full
        raise error(target, f"cannot be written ({reason})", "check the disk") from reason
