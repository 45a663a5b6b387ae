"""Labeled bags: what is added, what is kept, and bags that hold nothing to label or are cut or no bags at all."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import bag_files
import lz4.frame
import numpy as np
import pytest
from bag_files import LABELING, PLUGINS, POINT, STORE, contents, label_columns, make_bag, message
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import zstd
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from s4token_model.io import bags, label_messages
from s4token_model.io.bags import LABELED_TOPIC, is_bag, read_clouds
from s4token_model.io.labeled_bags import Labeling, add_labels
from s4token_model.vocabulary import Vocabulary


@pytest.mark.parametrize("suffix", PLUGINS)
@pytest.mark.parametrize("content", ["malformed", "not finite", "no points", "no message"])
def test_a_bag_in_which_nothing_can_be_labeled_is_an_error_and_writes_nothing(tmp_path, suffix, content):
    points = np.zeros(0 if content == "no points" else 4, POINT)
    points["x"] = np.nan
    cloud = message(points)
    if content == "malformed":
        cloud.data = cloud.data[:-1]
    with Writer(tmp_path / "in", version=9, storage_plugin=PLUGINS[suffix]) as writer:
        clouds = writer.add_connection("/points", bags.CLOUD_TYPE, typestore=STORE)
        for stamp in range(0 if content == "no message" else 3):
            writer.write(clouds, stamp, STORE.serialize_cdr(cloud, bags.CLOUD_TYPE))
    reason = {"malformed": "3 malformed clouds, e.g. cloud at 0 ns", "no message": "no message on /points"}
    with pytest.raises(ValueError, match=reason.get(content, "no point of 3 clouds is finite")) as caught:
        add_labels(tmp_path / "in", tmp_path / "out", LABELING)
    assert "\n" not in str(caught.value) and os.listdir(tmp_path) == ["in"]


def test_several_topics_are_labeled_at_once(tmp_path):
    make_bag(tmp_path / "in", topics=("/front/points", "/rear/points", "/top"))
    topics = ["/front/points", "/rear/points", "/front/points"]
    assert add_labels(tmp_path / "in", tmp_path / "out", LABELING, topics) == 6
    assert contents(tmp_path / "out") == contents(tmp_path / "in")
    for topic in topics:
        got = list(read_clouds(tmp_path / "out", f"/s4token/labeled{topic}"))
        assert [stamp for _, stamp, _ in got] == [stamp for _, stamp, _ in read_clouds(tmp_path / "in", topic)]
    assert [topic for topic, _, _ in read_clouds(tmp_path / "in", topics)] == topics[:2] * 3
    assert bags.cloud_topics(tmp_path / "out") == ["/front/points", "/rear/points", "/top"]


def words_of_a_bag(path):
    """{topic: (type, QoS, its messages)} of everything that labeling added but clouds."""
    found = {}
    with Reader(path) as reader:
        for connection in (c for c in reader.connections if c.topic.startswith("/s4token/")):
            if connection.msgtype != bags.CLOUD_TYPE:
                store = get_typestore(Stores.EMPTY)  # nothing is installed
                store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
                raw = [(stamp, raw) for _, stamp, raw in reader.messages([connection])]
                said = [(stamp, store.deserialize_cdr(data, connection.msgtype)) for stamp, data in raw]
                found[connection.topic] = connection.msgtype, connection.ext.offered_qos_profiles, said
    return found


@pytest.mark.parametrize("target", ["out", "out.mcap", "out.db3"])
def test_a_labeled_bag_says_what_its_labels_mean_to_a_reader_that_knows_no_types(tmp_path, target):
    make_bag(tmp_path / "in", PLUGINS and (".db3" if target.endswith(".db3") else ".mcap"))
    colors = np.array([[255, 0, 51], [0, 255, 0]], np.uint8)
    known, thresholds = np.array([1, np.nan], np.float32), np.array([0.25, 0.5], np.float32)
    names = ("sofa", "fen\u00eatre")
    words = Vocabulary(names, ("a {}.",), thresholds, colors, np.zeros((2, 4)), 3, known, (), ("!",))
    add_labels(tmp_path / "in", tmp_path / target, Labeling(label_columns, words))
    found = words_of_a_bag(tmp_path / target)
    assert set(found) == {"/s4token/vocabulary", "/s4token/label_info"}
    kind, (qos,), ((stamp, said),) = found["/s4token/vocabulary"]
    assert kind == "s4token_interfaces/msg/Vocabulary" and stamp == 0  # as the first message of the bag
    assert (qos.durability.name, qos.reliability.name, qos.depth) == ("TRANSIENT_LOCAL", "RELIABLE", 1)
    assert (said.version, said.names, said.templates, said.warnings) == (3, list(names), ["a {}."], ["!"])
    assert np.array_equal(said.thresholds, thresholds) and np.array_equal(said.known, known, equal_nan=True)
    assert np.allclose([(c.r, c.g, c.b, c.a) for c in said.colors], [[1, 0, 0.2, 1], [0, 1, 0, 1]])
    kind, (qos,), ((_, said),) = found["/s4token/label_info"]
    assert kind == "vision_msgs/msg/LabelInfo" and said.threshold == 0.25
    assert [(c.class_id, c.class_name) for c in said.class_map] == list(enumerate(names))
    # A second labeling keeps its words beside its labels
    add_labels(tmp_path / target, tmp_path / "again", Labeling(label_columns, words))
    assert set(words_of_a_bag(tmp_path / "again")) == {*found, *(f"{topic}/points" for topic in found)}


def test_the_types_have_the_hashes_of_the_compiled_packages():
    """So that ros2 bag play takes them for the installed types."""
    store = get_typestore(Stores.ROS2_KILTED)
    label_messages.register(store)
    vision_msgs = "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783"  # of its 4.1.1
    assert store.hash_rihs01(label_messages.LABEL_INFO_TYPE) == vision_msgs
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    paths = [Path(prefix, "share", "s4token_interfaces", "msg", "Vocabulary.json") for prefix in prefixes]
    (path, *_) = [path for path in paths if path.is_file()] or pytest.skip("s4token_interfaces is not installed")
    hashes = {one["type_name"]: one["hash_string"] for one in json.loads(path.read_text())["type_hashes"]}
    assert store.hash_rihs01(label_messages.VOCABULARY_TYPE) == hashes[label_messages.VOCABULARY_TYPE]


def test_a_bag_whose_writer_was_killed_leaves_nothing_that_the_next_one_does_not_remove(tmp_path):
    make_bag(tmp_path / "in", clouds=1)
    code = (
        "import os, sys; from bag_files import *\n"
        "labeling = labeled_bags.Labeling(lambda cloud: os._exit(9))\n"
        "labeled_bags.add_labels(sys.argv[1], sys.argv[2], labeling)"
    )
    paths = os.pathsep.join([str(Path(bag_files.__file__).parent), *sys.path])
    command = [sys.executable, "-c", code, tmp_path / "in", tmp_path / "out"]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}).returncode == 9
    assert len(os.listdir(tmp_path)) == 2 and not (tmp_path / "out").exists()
    add_labels(tmp_path / "in", tmp_path / "out", LABELING)
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]
    # A bag that is there is replaced in one step, if that is asked for
    for path in (tmp_path / "out", tmp_path / "out.mcap"):
        add_labels(tmp_path / "in", path, LABELING, replace=True)
        first = path.stat().st_ino
        add_labels(tmp_path / "in", path, LABELING, replace=True)
        assert path.stat().st_ino != first and contents(path) == contents(tmp_path / "in")
    assert sorted(os.listdir(tmp_path)) == ["in", "out", "out.mcap"]


def test_the_definition_of_the_vocabulary_is_that_of_the_interfaces():
    path = Path(__file__).resolve().parents[2] / "s4token_interfaces" / "msg" / "Vocabulary.msg"
    lines = [line.split("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines()]
    known = [line.split() for line in label_messages.DEFINITIONS[label_messages.VOCABULARY_TYPE].splitlines()]
    assert [line for line in lines if line] == known


def compressed_bag(folder, suffix, mode):
    """A bag of one cloud, compressed."""
    writer = Writer(folder, version=9, storage_plugin=PLUGINS[suffix])
    writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    writer.set_custom_data("robot", "7")
    with writer:
        clouds = writer.add_connection("/points", bags.CLOUD_TYPE, typestore=STORE)
        points = np.zeros(500, POINT)
        points["x"] = np.arange(500)
        writer.write(clouds, 5, STORE.serialize_cdr(message(points), bags.CLOUD_TYPE))
    return folder


@pytest.mark.parametrize(
    "suffix, mode, kept",
    [
        (".mcap", "none", ("none", "")),
        (".mcap", "storage", ("none", "zstd")),
        (".mcap", "message", ("message", "")),
        (".mcap", "file", ("none", "zstd")),  # by chunk, so that it can be read without unpacking the whole
        (".db3", "none", ("none", None)),
        (".db3", "message", ("message", None)),
        (".db3", "file", ("message", None)),
    ],
)
def test_the_storage_of_a_bag_is_kept_and_it_stays_compressed(tmp_path, suffix, mode, kept):
    source, notes = compressed_bag(tmp_path / "in", suffix, mode), []
    assert add_labels(source, tmp_path / "out", Labeling(label_columns, on_note=notes.append)) == 1
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"metadata.yaml", f"out{suffix}"}
    with Reader(tmp_path / "out") as reader:
        assert reader.storage.metadata.custom == {"robot": "7"}
        chunks = getattr(reader.storage.storages[0], "chunks", None)
        assert (reader.compression_mode or "none", chunks and chunks[0].compression) == kept
    assert contents(tmp_path / "out") == contents(source)
    assert len(notes) == (mode == "file") and all("out is compressed by" in note for note in notes)


@pytest.mark.parametrize("mode", ["file", "message"])
def test_a_single_file_is_compressed_as_it_can_be_or_says_that_it_is_not(tmp_path, mode):
    source, notes = compressed_bag(tmp_path / "in", ".db3", mode), []
    for name in ("out.mcap", "out.db3"):
        add_labels(source, tmp_path / name, Labeling(label_columns, on_note=notes.append))
        assert contents(tmp_path / name) == contents(source)
    assert f"out.mcap is compressed by chunk, the source by {mode}" in notes[0]
    assert f"out.db3 is not compressed, the source by {mode}" in notes[1] and len(notes) == 2
    with Reader(tmp_path / "out.mcap") as reader:
        assert reader.storage.chunks[0].compression == "zstd"


def test_frames_stamps_and_transforms_with_their_qos_are_kept(tmp_path):
    latched = Qos(
        QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, QosTime(0, 0), QosTime(0, 0),
        QosLiveliness.AUTOMATIC, QosTime(0, 0), False,
    )  # fmt: skip
    tf, points = "tf2_msgs/msg/TFMessage", np.zeros(4, POINT)
    with Writer(tmp_path / "in", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        static = writer.add_connection("/tf_static", tf, typestore=STORE, offered_qos_profiles=[latched])
        moving = writer.add_connection("/tf", tf, typestore=STORE)
        clouds = writer.add_connection("/points", bags.CLOUD_TYPE, typestore=STORE, offered_qos_profiles=[latched])
        for connection in (static, moving):
            writer.write(connection, 1, STORE.serialize_cdr(STORE.types[tf]([]), tf))
        writer.write(clouds, 2, STORE.serialize_cdr(message(points, frame="lidar", sec=9), bags.CLOUD_TYPE))
    add_labels(tmp_path / "in", tmp_path / "out", LABELING)
    assert contents(tmp_path / "out") == contents(tmp_path / "in")
    ((_, _, out),) = read_clouds(tmp_path / "out", LABELED_TOPIC)
    assert (out.header.frame_id, out.header.stamp.sec, out.header.stamp.nanosec) == ("lidar", 9, 7)
    with Reader(tmp_path / "out") as reader:
        qos = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    assert qos["/tf_static"] == qos[LABELED_TOPIC] == qos["/points"] == [latched] and qos["/tf"] == []


def chunked_mcap(path, compression, clouds=12, seed=0):
    """An MCAP with a chunk for every three clouds, as recorders write them; returns the clouds' bytes."""
    make_bag(path.parent / "one", clouds=clouds, seed=seed)
    blob = (path.parent / "one" / "one.mcap").read_bytes()
    start = 17 + int.from_bytes(blob[9:17], "little")
    chunk = start + 9 + 40  # without compression
    inside = blob[chunk : chunk + int.from_bytes(blob[start + 9 + 32 : start + 9 + 40], "little")]
    records, position = [], 0
    while position < len(inside):
        end = position + 9 + int.from_bytes(inside[position + 1 : position + 9], "little")
        records.append(inside[position:end])
        position = end
    out = blob[:start]
    for first in range(0, len(records), 6):
        raw = b"".join(records[first : first + 6])
        packed = {"": bytes, "zstd": zstd.compress, "lz4": lz4.frame.compress}[compression](raw)
        body = struct.pack("<QQQII", 0, 2**40, len(raw), zlib.crc32(raw), len(compression)) + compression.encode()
        body += struct.pack("<Q", len(packed)) + packed
        out += struct.pack("<BQ", 6, len(body)) + body
    path.write_bytes(out)  # no index, no footer
    return [bytes(m.data) for _, _, m in read_clouds(path.parent / "one")]


@pytest.mark.parametrize("compression", ["", "zstd", "lz4"])
@pytest.mark.parametrize("tail", [b"", bytes(5000), b"\x06\xff\xff"], ids=["cut", "zeros", "head of a record"])
def test_an_mcap_of_a_robot_that_lost_power_is_read_to_the_cut(tmp_path, capsys, compression, tail):
    whole = chunked_mcap(tmp_path / "whole.mcap", compression)
    blob = (tmp_path / "whole.mcap").read_bytes()
    (tmp_path / "cut").mkdir()
    path, counts = tmp_path / "cut" / "cut.mcap", []
    for size in (*range(60, len(blob), len(blob) // 23), len(blob)):
        path.write_bytes(blob[:size] + tail)
        try:
            got = [bytes(m.data) for _, _, m in read_clouds(path.parent)]  # a folder without metadata.yaml
        except ValueError as reason:
            assert "mcap recover" in str(reason) and counts == []
            continue
        assert got == whole[: len(got)] and "cut off" in capsys.readouterr().err
        counts.append(len(got))
    assert counts == sorted(counts) and counts[-1] >= 11 and counts[len(counts) // 2] >= 4
    assert len(set(counts)) >= 4
    path.write_bytes(blob[: len(blob) * 2 // 3] + tail)
    notes = []
    assert add_labels(path, tmp_path / "out", Labeling(label_columns, on_note=notes.append)) >= 6
    assert len(notes) == 1 and "cut off" in notes[0]


def test_what_is_no_ros_2_bag_is_told_with_the_program_that_helps(tmp_path):
    make_bag(tmp_path / "in", ".db3")
    (tmp_path / "a.bag").write_bytes(b"#ROSBAG V2.0\n" + bytes(4096))
    for name in ("a.mcap.zstd", "a.db3.zst"):
        (tmp_path / name).write_bytes(b"\x28\xb5\x2f\xfd" + bytes(64))
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    for name in ("lfs.mcap", "lfs.db3", "lfs.bag"):
        (tmp_path / name).write_bytes(pointer)
    shutil.copytree(tmp_path / "in", tmp_path / "lfs")
    (tmp_path / "lfs" / "in.db3").write_bytes(pointer)
    (tmp_path / "wal").mkdir()
    shutil.copy(tmp_path / "in" / "in.db3", tmp_path / "wal" / "in.db3")
    (tmp_path / "wal" / "in.db3-wal").write_bytes(b"1234")
    (tmp_path / "cut.db3").write_bytes((tmp_path / "in" / "in.db3").read_bytes()[:5000])
    (tmp_path / "bad.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(90))
    for name, words in (
        ("a.bag", "ROS 1 bags are not read; convert it: rosbags-convert --src"),
        ("a.mcap.zstd", "a compressed file of a bag is not read by itself; unpack it, e.g. zstd -d"),
        ("a.db3.zst", "unpack it, e.g. zstd -d"),
        *((name, "git lfs pull") for name in ("lfs.mcap", "lfs.db3", "lfs.bag", "lfs")),
        ("wal", "the last messages are still in in.db3-wal; merge them: sqlite3"),
        ("cut.db3", "sqlite3 IN .recover"),
        ("bad.mcap", "mcap recover IN -o OUT"),
    ):
        assert is_bag(tmp_path / name)
        with pytest.raises(ValueError, match=words) as caught:
            bags.check_source(tmp_path / name)
        assert "\n" not in str(caught.value), name
