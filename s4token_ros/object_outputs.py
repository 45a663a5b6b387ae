"""The publishers of objects: ~/objects, ~/detections and ~/markers."""

from __future__ import annotations

from typing import Any

from s4token_interfaces.msg import Objects as ObjectsMessage
from s4token_model.objects import ObjectConfig
from s4token_ros import markers, object_messages
from s4token_ros.cloud_messages import Cloud
from s4token_ros.output_config import OutputConfig

MISSING = "~/{} is off: {} is not installed (apt install ros-$ROS_DISTRO-{})"


class ObjectOutputs:
    """Finds the objects of a labeled cloud, once, if any of its publishers has a subscriber."""

    def __init__(self, node: Any, config: OutputConfig, qos: Any) -> None:
        self._node, self._config = node, ObjectConfig(config.object_gap, config.object_points)
        self._markers = markers.Markers()
        kinds = {  # (type, None where it is not installed; whether it is wanted; its package)
            "objects": (ObjectsMessage, config.objects, "s4token_interfaces"),
            "detections": (object_messages.Detection3DArray, config.objects, "vision_msgs"),
            "markers": (markers.MarkerArray, config.markers, "visualization_msgs"),
        }
        self._publishers: dict[str, Any] = {}
        for name, (kind, wanted, package) in kinds.items():
            if wanted and kind is not None:
                self._publishers[name] = node.create_publisher(kind, f"~/{name}", qos)
            elif wanted:
                hint = MISSING.format(name, package, package.replace("_", "-"))
                node.get_logger().info(hint, once=True)

    def wanted(self) -> bool:
        """Return whether any of the publishers has a subscriber."""
        return any(self._subscribed(name) for name in self._publishers)

    def publish(self, cloud: Cloud, segmentation: Any, topic: str, tracker: Any) -> None:
        """Publish the objects of a labeled cloud of `topic`; `tracker`, TemporalLabels or None, gives stable ids."""
        if not self.wanted():
            return
        found = object_messages.find(cloud, segmentation, self._config, tracker)
        if self._subscribed("objects"):
            self._publishers["objects"].publish(object_messages.objects_message(found))
        if self._subscribed("detections"):
            self._publishers["detections"].publish(object_messages.detections_message(found))
        if self._subscribed("markers"):
            message = self._markers.message(found, cloud.xyz, segmentation.labels, topic)
            self._publishers["markers"].publish(message)

    def destroy(self) -> None:
        """Remove the publishers."""
        while self._publishers:
            self._node.destroy_publisher(self._publishers.popitem()[1])

    def _subscribed(self, name: str) -> bool:
        return name in self._publishers and self._publishers[name].get_subscription_count() > 0
