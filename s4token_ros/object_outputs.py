"""The publishers of objects: ~/objects, ~/detections and ~/markers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from s4token_interfaces.msg import Objects as ObjectsMessage
from s4token_model.objects import ObjectConfig
from s4token_ros import markers, object_messages
from s4token_ros.cloud_messages import Cloud
from s4token_ros.options import OutputConfig

MISSING = "~/{} is off: {} is not installed (apt install ros-$ROS_DISTRO-{})"


class ObjectOutputs:
    """Finds the objects of a labeled cloud, once, if wants(publisher) is true of any of its publishers."""

    def __init__(self, node: Any, config: OutputConfig, qos: Any, wants: Callable[[Any], bool]) -> None:
        self._node, self._config = node, ObjectConfig(config.object_gap, config.object_points)
        self._wants = wants
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
        """Return whether any of the publishers is wanted."""
        return any(map(self._wants, self._publishers.values()))

    def publish(self, cloud: Cloud, segmentation: Any, topic: str, tracker: Any, inputs: Collection[str]) -> None:
        """Publish the objects of a labeled cloud of `topic`, one of `inputs` or joined from them.

        `tracker`, TemporalLabels or None, gives stable ids.
        """
        if not self.wanted():
            return
        found = object_messages.find(cloud, segmentation, self._config, tracker)
        if self._named("objects"):
            self._publishers["objects"].publish(object_messages.objects_message(found))
        if self._named("detections"):
            self._publishers["detections"].publish(object_messages.detections_message(found))
        if self._named("markers"):
            message = self._markers.message(found, cloud.xyz, segmentation.labels, topic, inputs)
            self._publishers["markers"].publish(message)

    def destroy(self) -> None:
        """Remove the publishers."""
        while self._publishers:
            self._node.destroy_publisher(self._publishers.popitem()[1])

    def _named(self, name: str) -> bool:
        return self._wants(self._publishers.get(name))
