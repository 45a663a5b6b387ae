"""The demo's sensor, a process of its own: publishes a file, a bag or the sample room at a fixed rate."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterator

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_model.io import bags, pointcloud2
from s4token_model.io.files import read_cloud
from s4token_ros import cloud_messages
from s4token_ros.demo import SAMPLE
from s4token_ros.qos import cloud_qos

MAX_FRAMES = 100  # of a bag, kept in memory and played in a circle


def load(source: str, bag_topic: str | None = None) -> list[PointCloud2]:
    """Return the clouds of a source: "sample", a cloud file, or one PointCloud2 topic of a bag.

    ValueError names what is wrong with it.
    """
    if source == SAMPLE:
        from s4token_model.io import sample_room

        room = sample_room.load()
        return [to_message(room.xyz, room.rgb)]
    if bags.is_bag(source):
        recorded = itertools.islice(bags.read_clouds(source, bag_topic), MAX_FRAMES)
        clouds = [_of_bag(message) for _, _, message in recorded]
        if not clouds:
            raise ValueError(f"{source} holds no cloud on this topic; record it anew, or choose another topic")
        return clouds
    cloud = read_cloud(source)
    return [to_message(cloud.xyz, cloud.rgb, cloud.height)]


def _of_bag(message) -> PointCloud2:
    """The bag reader's message as rclpy's."""
    cloud = cloud_messages.decode(message)
    return cloud_messages.encode(
        cloud.points, Header(frame_id=message.header.frame_id), message.height, message.is_dense
    )


def to_message(xyz: np.ndarray, rgb: np.ndarray | None, height: int = 1, frame_id: str = "map") -> PointCloud2:
    """Return points xyz (H, 3) m and rgb (H, 3) in [0, 1] or None as a PointCloud2 of `height` rows."""
    columns = {name: np.ascontiguousarray(xyz[:, i]) for i, name in enumerate("xyz")}
    if rgb is not None:
        columns["rgb"] = pointcloud2.pack_rgb(np.rint(rgb * 255).astype(np.uint8))
    points = np.empty(len(xyz), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        points[name] = column
    return cloud_messages.encode(points, Header(frame_id=frame_id), height)


def play(node, clouds: list[PointCloud2], topic: str, rate: float) -> None:
    """Publish the clouds in a circle, stamped with the time of publication, until the parent process ends."""
    publisher = node.create_publisher(PointCloud2, topic, cloud_qos("reliable", depth=1))
    parent = os.getppid()
    circle: Iterator[PointCloud2] = itertools.cycle(clouds)

    def tick() -> None:
        if os.getppid() != parent:
            raise ExternalShutdownException
        cloud = next(circle)
        cloud.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(cloud)

    node.create_timer(1.0 / rate, tick)
    rclpy.spin(node)


def main(args: list[str] | None = None) -> int:
    """Load the source, then publish it until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m s4token_ros.replay", description=__doc__)
    parser.add_argument("source", help=f"a cloud file, a bag, or {SAMPLE!r} for the sample room")
    parser.add_argument("--topic", default="points", help="topic to publish on")
    parser.add_argument("--bag-topic", help="topic of the bag to play, where it has more than one with clouds")
    parser.add_argument("--rate", type=float, default=2.0, help="Hz (default: %(default)s)")
    options = parser.parse_args(args)
    try:
        clouds = load(options.source, options.bag_topic)
    except (ValueError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    print(f"playing {len(clouds)} cloud(s) of {options.source} on {options.topic} at {options.rate:g} Hz", flush=True)
    rclpy.init(args=[])
    node = rclpy.create_node("s4token_demo_player")
    try:
        play(node, clouds, options.topic, options.rate)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
