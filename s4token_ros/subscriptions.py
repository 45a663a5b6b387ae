"""The subscriptions to clouds: they adapt to the QoS of the publishers, and can explain why nothing arrives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import PointCloud2

from s4token_ros import qos
from s4token_ros.options import InputConfig
from s4token_ros.parameters import checked_weights

INTERVAL_S = 0.01  # between two clouds of a topic; Fast DDS drops the oldest of what comes faster, without our help


class Subscriptions:
    """One subscription per topic of `config`, or, with a ValueError, none; call `follow` periodically.

    Each has its own callback group and rests for INTERVAL_S after a cloud: a flood on one topic takes neither the turns
    of another nor the processor.
    """

    def __init__(self, node: Any, config: InputConfig, receive: Callable[[str, PointCloud2], None]) -> None:
        self._node, self._config, self._receive = node, config, receive
        topics = map(node.resolve_topic_name, config.topics)
        self.weights = dict(zip(topics, checked_weights(config), strict=True))
        self._subscriptions: dict[str, Any] = {}
        self._lock = threading.Lock()  # `follow` runs in a timer, `destroy` in a lifecycle transition or service call
        self._closed = False
        try:
            self.follow()
        except Exception as error:  # e.g. a topic that this process uses with another type
            self.destroy()
            raise ValueError(f"cannot subscribe: {str(error).partition(', at /')[0]}") from None

    def follow(self) -> None:
        """Create the subscriptions, or recreate those whose publishers have changed their QoS."""
        with self._lock:
            for topic in [] if self._closed else self.weights:
                self._follow(topic)

    def _follow(self, topic: str) -> None:
        profile = qos.input_qos(self._node.get_publishers_info_by_topic(topic), self._config.reliability)
        old = self._subscriptions.get(topic)
        known = old and (old.qos_profile.reliability, old.qos_profile.durability)
        if known == (profile.reliability, profile.durability):
            return

        def receive(cloud: PointCloud2) -> None:
            self._receive(topic, cloud)
            time.sleep(INTERVAL_S)

        create, group = self._node.create_subscription, MutuallyExclusiveCallbackGroup()
        self._subscriptions[topic] = create(PointCloud2, topic, receive, profile, callback_group=group)
        if old is not None:
            self._node.destroy_subscription(old)

    def explain_silence(self, topic: str, ended: bool) -> str:
        """Return why no cloud of `topic`, in full, may be arriving, or why that has `ended`."""
        requested = self._subscriptions[topic].qos_profile
        return qos.silence_hint(topic, self._node.get_publishers_info_by_topic(topic), requested, ended)

    def destroy(self) -> None:
        """Remove every subscription."""
        with self._lock:
            self._closed = True
            for subscription in self._subscriptions.values():
                self._node.destroy_subscription(subscription)
            self._subscriptions = {}
