"""The demo's sensor: a process that publishes a cloud file, a bag or a sample at a fixed rate."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterator

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_model import command_line
from s4token_model.constants import SAMPLE_ROOM, SAMPLE_STREET
from s4token_model.io import bags, pointcloud2, samples
from s4token_model.io.files import read_cloud
from s4token_ros import cloud_messages
from s4token_ros.logs import init_arguments
from s4token_ros.qos import cloud_qos

SAMPLES = {SAMPLE_ROOM: samples.ROOM, SAMPLE_STREET: samples.STREET}
MAX_CLOUDS = 100  # of a bag, held in memory and played in a loop


def load(source: str, bag_topic: str | None = None) -> list[PointCloud2]:
    """Return the clouds of a sample, a cloud file, or one PointCloud2 topic of a bag; ValueError says what is wrong."""
    if source in SAMPLES:
        sample = samples.load(SAMPLES[source])
        return [to_message(sample.xyz, sample.rgb)]
    if bags.is_bag(source):
        recorded = itertools.islice(bags.read_clouds(source, bag_topic), MAX_CLOUDS)
        clouds = []
        for _, _, message in recorded:  # from the bag reader's type to rclpy's
            points, header = cloud_messages.decode(message).points, Header(frame_id=message.header.frame_id)
            clouds.append(cloud_messages.encode(points, header, message.height, message.is_dense))
        if not clouds:
            raise ValueError(f"{source} has no cloud on this topic; record it again, or choose another topic")
        return clouds
    cloud = read_cloud(source)
    return [to_message(cloud.xyz, cloud.rgb, cloud.height)]


def to_message(xyz: np.ndarray, rgb: np.ndarray | None, height: int = 1, frame_id: str = "map") -> PointCloud2:
    """Return points xyz (H, 3) [m] and rgb (H, 3) in [0, 1] or None as a PointCloud2 of `height` rows."""
    columns = {name: np.ascontiguousarray(xyz[:, i]) for i, name in enumerate("xyz")}
    if rgb is not None:
        columns["rgb"] = pointcloud2.pack_rgb(np.rint(rgb * 255).astype(np.uint8))
    return cloud_messages.encode(pointcloud2.structured(columns), Header(frame_id=frame_id), height)


def play(name: str, clouds: Iterator[PointCloud2], topic: str, rate: float) -> None:
    """Publish one cloud after the other from a node `name`, stamped when published, until SIGINT or SIGTERM.

    It also ends with the parent process.
    """
    rclpy.init(args=init_arguments([]))
    node, parent = rclpy.create_node(name), os.getppid()
    publisher = node.create_publisher(PointCloud2, topic, cloud_qos("reliable", depth=1))

    def publish_next() -> None:
        if os.getppid() != parent:
            raise ExternalShutdownException
        cloud = next(clouds)
        cloud.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(cloud)

    node.create_timer(1.0 / rate, publish_next)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def main(arguments: list[str] | None = None) -> int:
    """Load the source, then publish it until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m s4token_ros.replay", description=__doc__)
    parser.add_argument("source", help=f"a cloud file, a bag, or a sample: {', '.join(SAMPLES)}")
    parser.add_argument("--topic", default="points", help="topic to publish on")
    parser.add_argument("--bag-topic", help="topic to play from a bag that has several cloud topics")
    parser.add_argument("--rate", type=float, default=2.0, help="Hz (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not 0.01 <= options.rate <= 1000:
        parser.error(f"--rate {options.rate:g}: use 0.01 to 1000 Hz")
    clouds = load(options.source, options.bag_topic)
    print(f"playing {len(clouds)} cloud(s) of {options.source} on {options.topic} at {options.rate:g} Hz", flush=True)
    play("s4token_replay", itertools.cycle(clouds), options.topic, options.rate)
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token replay", main))
