"""Bags: clouds read from mcap and sqlite3, labeled copies whose original messages are untouched, broken bags."""

from __future__ import annotations

import os
import shutil
import sqlite3

import numpy as np
import pytest
from bag_files import LABELING, PLUGINS, POINT, STORE, contents, label_columns, make_bag, message
from real_data import real
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from s4token_model.io import bags, pointcloud2
from s4token_model.io.bags import LABELED_TOPIC, cloud_of, is_bag, read_clouds
from s4token_model.io.labeled_bags import Labeling, add_labels


def digests(path):
    with Reader(path) as reader:
        return {c.topic: c.digest for c in reader.connections if c.topic != LABELED_TOPIC}


@pytest.mark.parametrize("suffix", PLUGINS)
@pytest.mark.parametrize("as_file", [False, True])
def test_clouds_are_read_from_folders_and_from_files(tmp_path, suffix, as_file):
    made = make_bag(tmp_path / "in", suffix)
    path = tmp_path / "in" / f"in{suffix}" if as_file else tmp_path / "in"
    assert is_bag(path) and not is_bag(tmp_path / "cloud.ply")
    got = list(read_clouds(path))
    assert [(topic, stamp) for topic, stamp, _ in got] == [("/points", 5), ("/points", 15), ("/points", 25)]
    for (_, _, raw), points in zip(got, made, strict=True):
        decoded, cloud = cloud_of(raw)
        assert np.array_equal(decoded, points) and np.array_equal(cloud.xyz, pointcloud2.xyz(points))
        assert (cloud.width, cloud.height, cloud.frame_id) == (10, 6, "lidar")
    assert cloud.stamp == 2_000_000_007


@pytest.mark.parametrize("suffix", PLUGINS)
@pytest.mark.parametrize("target", ["out", "out.mcap", "out.db3"])
def test_a_labeled_copy_has_every_original_message_and_one_topic_more(tmp_path, suffix, target):
    made = make_bag(tmp_path / "in", suffix)
    assert add_labels(tmp_path / "in", tmp_path / target, LABELING) == 3
    assert contents(tmp_path / target) == contents(tmp_path / "in")
    if target != "out.mcap":  # rosbags does not read the hashes of a lone .mcap
        assert digests(tmp_path / target) == digests(tmp_path / "in")
    assert sorted(os.listdir(tmp_path)) == sorted(["in", target])
    for (_, stamp, raw), points in zip(read_clouds(tmp_path / target, LABELED_TOPIC), made, strict=True):
        out, cloud = cloud_of(raw)
        assert (cloud.width, cloud.height, cloud.frame_id, stamp % 10) == (10, 6, "lidar", 5)
        names = ["x", "y", "z", "ring", "input_rgb", "label", "confidence", "superpoint", "rgb"]
        assert [f.name for f in raw.fields] == names
        assert np.array_equal(out["label"], np.arange(60)) and np.array_equal(out["ring"], points["ring"])
        assert np.allclose(cloud.rgb * 255, 40)


def test_the_topic_is_chosen_or_asked_for(tmp_path):
    make_bag(tmp_path / "two", topics=("/front", "/rear"), clouds=1)
    make_bag(tmp_path / "none", topics=(), clouds=1)
    assert [t for t, _, _ in read_clouds(tmp_path / "two", "/rear")] == ["/rear"]
    for folder, topic, words in (
        ("two", None, "2 PointCloud2 topics: /front, /rear; add --topic /front"),
        ("two", "/top", "no PointCloud2 topic '/top'; choose one of: /front, /rear"),
        ("none", None, r"topics are: /chatter \(std_msgs/msg/String\)"),
    ):
        with pytest.raises(ValueError, match=words):
            list(read_clouds(tmp_path / folder, topic))


def test_topics_of_unknown_types_are_copied(tmp_path):
    make_bag(tmp_path / "in", clouds=1)
    with Writer(tmp_path / "odd", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        odd = writer.add_connection("/odd", "my_msgs/msg/Odd", msgdef="", rihs01="RIHS01_" + "1" * 64)
        clouds = writer.add_connection("/points", bags.CLOUD_TYPE, typestore=STORE)
        writer.write(odd, 1, b"\0\1\0\0anything")
        writer.write(clouds, 2, STORE.serialize_cdr(message(np.zeros(2, POINT)), bags.CLOUD_TYPE))
    assert add_labels(tmp_path / "odd", tmp_path / "out.mcap", LABELING) == 1
    assert [m[4] for m in contents(tmp_path / "out.mcap")] == [m[4] for m in contents(tmp_path / "odd")]


def test_malformed_and_empty_clouds_stop_nothing(tmp_path):
    short = message(np.zeros(4, POINT))
    short.data = short.data[:-1]
    with Writer(tmp_path / "in", version=9) as writer:
        clouds = writer.add_connection("/points", bags.CLOUD_TYPE, typestore=STORE)
        for i, cloud in enumerate((short, message(np.zeros(0, POINT)), message(np.zeros(4, POINT)))):
            writer.write(clouds, i, STORE.serialize_cdr(cloud, bags.CLOUD_TYPE))
    skipped = []
    assert add_labels(tmp_path / "in", tmp_path / "out", Labeling(label_columns, on_skip=skipped.append)) == 2
    assert len(skipped) == 1 and "cut short" in skipped[0]
    assert [t for _, t, _ in read_clouds(tmp_path / "out", LABELED_TOPIC)] == [1, 2]


def test_a_failure_leaves_nothing_behind(tmp_path):
    make_bag(tmp_path / "in")

    def fail(cloud):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        add_labels(tmp_path / "in", tmp_path / "out", Labeling(fail))
    assert os.listdir(tmp_path) == ["in"]


def test_targets_that_cannot_be_written_are_refused_at_once(tmp_path):
    make_bag(tmp_path / "in", clouds=1)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    for target, words in (
        ("out.ply", "a bag in gives a bag out"),
        ("there", "this folder exists"),
        ("file", "this file exists"),
        ("no/out", "mkdir -p"),
    ):
        with pytest.raises(ValueError, match=words):
            add_labels(tmp_path / "in", tmp_path / target, LABELING)
    add_labels(tmp_path / "in", tmp_path / "once", LABELING)
    add_labels(tmp_path / "once", tmp_path / "twice", LABELING)
    with pytest.raises(ValueError, match="already has the topic /s4token/labeled/points; label the original"):
        add_labels(tmp_path / "twice", tmp_path / "thrice", LABELING)


def test_a_recording_without_metadata_is_read(tmp_path):
    make_bag(tmp_path / "in")
    (tmp_path / "in" / "metadata.yaml").unlink()
    assert len(list(read_clouds(tmp_path / "in"))) == 3
    shutil.copy(tmp_path / "in" / "in.mcap", tmp_path / "in" / "more.mcap")
    with pytest.raises(ValueError, match="2 bag files"):
        list(read_clouds(tmp_path / "in"))


@pytest.mark.parametrize("suffix", PLUGINS)
def test_broken_bags_are_named_with_the_fix(tmp_path, suffix):
    make_bag(tmp_path / "in", suffix)
    path = tmp_path / f"bag{suffix}"
    blob = (tmp_path / "in" / f"in{suffix}").read_bytes()
    for content in (
        b"",
        b"hello, no bag at all",
        blob[: len(blob) // 2] if suffix == ".db3" else blob[:200],
        blob[:40],
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"bag\\{suffix}: .*; ") as caught:
            list(read_clouds(path))
        assert "\n" not in str(caught.value)
    for missing in (tmp_path / f"none{suffix}", tmp_path / "none"):
        with pytest.raises(ValueError, match="no such file"):
            list(read_clouds(missing))
    (tmp_path / "in" / "metadata.yaml").write_text("{broken")
    with pytest.raises(ValueError, match="not readable as a ROS 2 bag"):
        list(read_clouds(tmp_path / "in"))


def test_a_topic_whose_name_is_no_text_is_named(tmp_path):
    if ".db3" not in PLUGINS:
        pytest.skip("this rosbags writes no SQLite")
    make_bag(tmp_path / "in", ".db3")
    (tmp_path / "in" / "metadata.yaml").unlink()
    with sqlite3.connect(tmp_path / "in" / "in.db3") as database:
        database.execute("CREATE TABLE copy AS SELECT * FROM topics")
        database.execute("DROP TABLE topics")
        database.execute("ALTER TABLE copy RENAME TO topics")  # without the condition NOT NULL
        database.execute("UPDATE topics SET name = NULL WHERE name = '/points'")
    with pytest.raises(ValueError, match="topic None of type .* has no name that is a text; copy the bag again"):
        list(read_clouds(tmp_path / "in"))


def test_real_bags():
    kitti = [cloud_of(m)[1] for _, _, m in read_clouds(real("bags", "kitti_seq00_6scans"))]
    assert len(kitti) == 6 and all(len(c.xyz) > 50000 for c in kitti)
    (can,) = [cloud_of(m)[1] for _, _, m in read_clouds(real("bags", "watercan_ros2"))]
    assert can.rgb is not None and 0 < can.rgb.mean() < 1


def test_a_real_bag_is_copied_exactly(tmp_path):
    source = real("bags", "watercan_ros2")
    assert add_labels(source, tmp_path / "out.mcap", LABELING) == 1
    assert contents(tmp_path / "out.mcap") == contents(source)


def test_pipes_and_devices_are_named_and_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.mcap")
    (tmp_path / "b.db3").symlink_to("/dev/zero")
    make_bag(tmp_path / "in", ".mcap")
    (tmp_path / "in" / "metadata.yaml").unlink()
    os.mkfifo(tmp_path / "in" / "metadata.yaml")
    for path in ("a.mcap", "b.db3", "in"):
        with pytest.raises(ValueError, match="found a pipe or a device"):
            bags.check_source(tmp_path / path)


@pytest.mark.parametrize("suffix", PLUGINS)
def test_a_suffix_in_capitals_is_not_called_damage(tmp_path, suffix):
    make_bag(tmp_path / "in", suffix)
    path = (tmp_path / "in" / f"in{suffix}").rename(tmp_path / f"RUN{suffix.upper()}")
    with pytest.raises(ValueError, match=f"lower case; mv .*RUN{suffix}$"):
        bags.check_source(path)
