"""Bags written for tests, and what is in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from s4token_model.io import bags, labeled_bags

STORE = get_typestore(Stores.ROS2_KILTED)
PLUGINS = {".mcap": StoragePlugin.MCAP, ".db3": StoragePlugin.SQLITE3}
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("ring", "<u2"), ("rgb", "<f4")])


def message(points, height=1, frame="lidar", sec=5):
    header = STORE.types["std_msgs/msg/Header"]
    time = STORE.types["builtin_interfaces/msg/Time"]
    like = STORE.types[bags.CLOUD_TYPE](
        header(time(sec, 7), frame), height, len(points) // height, [], False, 0, 0, np.zeros(0, np.uint8), False
    )
    return labeled_bags.cloud_message(STORE, points, like)


def make_bag(folder: Path, suffix=".mcap", topics=("/points",), clouds=3, seed=0, frame="lidar") -> list[np.ndarray]:
    """Write a bag of clouds on `topics` and of words on /chatter; return the clouds of the first topic."""
    rng, made = np.random.default_rng(seed), []
    string = STORE.types["std_msgs/msg/String"]
    with Writer(folder, version=9, storage_plugin=PLUGINS[suffix]) as writer:
        chatter = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=STORE)
        connections = [writer.add_connection(t, bags.CLOUD_TYPE, typestore=STORE) for t in topics]
        for i in range(clouds):
            writer.write(chatter, 10 * i, STORE.serialize_cdr(string(f"word {i}"), "std_msgs/msg/String"))
            for connection in connections:
                points = np.zeros(60, POINT)
                for name in "xyz":
                    points[name] = rng.normal(size=60)
                points["ring"] = np.arange(60)
                raw = STORE.serialize_cdr(message(points, 6, frame, sec=i), bags.CLOUD_TYPE)
                writer.write(connection, 10 * i + 5, raw)
                made += [points] if connection is connections[0] else []
    return made


def contents(path):
    with Reader(path) as reader:
        messages = [m for m in reader.messages() if not m[0].topic.startswith("/s4token/")]
        return [(c.topic, c.msgtype, str(c.ext), stamp, bytes(raw)) for c, stamp, raw in messages]


def label_columns(cloud):
    """What labeling adds to a cloud: the label of a point is its index."""
    count = len(cloud.xyz)
    levels = {name: np.full(count, 40, np.uint8) for name in ("red", "green", "blue")}
    columns = {"label": np.arange(count, dtype=np.uint32), "confidence": np.ones(count, np.float32)}
    return columns | {"superpoint": np.zeros(count, np.uint32)} | levels


LABELING = labeled_bags.Labeling(label_columns)
