"""The subscriptions to clouds: they adapt to the QoS of the publishers, and can explain why nothing arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import PointCloud2

from s4token_ros import qos
from s4token_ros.parameters import InputConfig


class Subscriptions:
    """One subscription per topic of `config`, or, with a ValueError, none; call `follow` periodically."""

    def __init__(self, node: Any, config: InputConfig, receive: Callable[[PointCloud2], None], group: Any) -> None:
        self._node, self._config, self._receive, self._group = node, config, receive, group
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
            for topic in [] if self._closed else map(self._node.resolve_topic_name, self._config.topics):
                self._follow(topic)

    def _follow(self, topic: str) -> None:
        profile = qos.input_qos(self._node.get_publishers_info_by_topic(topic), self._config.reliability)
        old = self._subscriptions.get(topic)
        known = old and (old.qos_profile.reliability, old.qos_profile.durability)
        if known == (profile.reliability, profile.durability):
            return
        create = self._node.create_subscription
        self._subscriptions[topic] = create(PointCloud2, topic, self._receive, profile, callback_group=self._group)
        if old is not None:
            self._node.destroy_subscription(old)

    def explain_silence(self) -> str:
        """Return for each topic why no cloud may be arriving."""
        return "; ".join(
            qos.silence_hint(topic, self._node.get_publishers_info_by_topic(topic), subscription.qos_profile)
            for topic, subscription in list(self._subscriptions.items())
        )

    def destroy(self) -> None:
        """Remove every subscription."""
        with self._lock:
            self._closed = True
            for subscription in self._subscriptions.values():
                self._node.destroy_subscription(subscription)
            self._subscriptions = {}
