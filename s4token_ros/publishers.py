"""The publishers of labeled clouds, summaries and vocabularies; an output without subscribers is not computed."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_interfaces.msg import SceneClasses
from s4token_interfaces.msg import Vocabulary as VocabularyMessage
from s4token_ros import cloud_messages, filtered, summaries, topic_names
from s4token_ros.object_outputs import ObjectOutputs
from s4token_ros.options import OutputConfig
from s4token_ros.qos import LATCHED, cloud_qos


class Publishers:
    """The publishers of a node; callers hold one lock around everything except `wanted`."""

    def __init__(self, node: Any, config: OutputConfig, inputs: Collection[str] = ()) -> None:
        """Create all but the topics ~/class/<name>; `inputs` are full names of topics that none may be remapped to."""
        self._node, self._config, self.inputs = node, config, inputs
        self.latched = config.durability == "transient_local"
        self._qos = cloud_qos(config.reliability, depth=1 if self.latched else 2, latched=self.latched)
        self._vocabulary = node.create_publisher(VocabularyMessage, "~/vocabulary", LATCHED)
        kind = summaries.LabelInfo
        self._label_info = node.create_publisher(kind, "~/label_info", LATCHED) if kind else None
        self._labeled = self._publisher(PointCloud2, "labeled") if config.labeled else None
        self._classes = self._publisher(SceneClasses, "classes") if config.classes else None
        self._filtered = self._publisher(PointCloud2, "filtered") if filtered.filters(config) else None
        self._passes, self.filter_problem = None, ""  # which classes ~/filtered passes; why it is not published
        self._objects = ObjectOutputs(node, config, self._qos, self._wants)
        self._volatile = cloud_qos(config.reliability)
        self._similarity = self._publisher(PointCloud2, "similarity", self._volatile) if config.similarity else None
        self._class_publishers: dict[str, tuple[int, Any]] = {}  # topic token -> (label, publisher)
        self._destroying = threading.Lock()  # `wanted` must not ask a publisher that is being destroyed

    def _publisher(self, kind, name: str, qos=None, group=None):
        return self._node.create_publisher(kind, f"~/{name}", qos or self._qos, callback_group=group)

    def wanted(self) -> bool:
        """Return whether any output that needs a labeled cloud has a subscriber."""
        with self._destroying:
            per_class = (publisher for _, publisher in self._class_publishers.values())
            main, rest = (self._labeled, self._classes, self._filtered), (self._similarity, *per_class)
            return any(map(self._wants, main)) or any(map(_has_subscribers, rest)) or self._objects.wanted()

    def _wants(self, publisher: Any) -> bool:
        """Whether what an output would publish has a subscriber, or may have one later."""
        return publisher is not None and (self.latched or _has_subscribers(publisher))

    def similarity_wanted(self) -> bool:
        """Return whether ~/similarity has a subscriber."""
        return _has_subscribers(self._similarity)

    def announce(self, vocabulary, stamp) -> None:
        """Publish a vocabulary, latched, log its warnings, and create one topic ~/class/<name> per class name.

        ValueError, before anything is published, if one of these topics is an input.
        """
        names = cloud_messages.ros_names(vocabulary.names)
        topic_names.check_outputs(self._node, names[: self._config.class_topics], self.inputs)
        for warning in vocabulary.warnings:
            self._node.get_logger().warning(warning)
        if note := vocabulary.note():
            self._node.get_logger().info(note)
        self._choose_classes(vocabulary.names)
        header = Header(stamp=stamp)
        self._vocabulary.publish(summaries.vocabulary_message(vocabulary, header))
        if self._label_info:
            self._label_info.publish(summaries.label_info(vocabulary, header))
        if len(names) > self._config.class_topics > 0:
            found = f"{len(names)} classes, but output.class_topics is {self._config.class_topics}"
            self._node.get_logger().warning(f"{found}: only the first ones get a topic ~/class/<name>")
        self._set_class_topics({name: label for label, name in enumerate(names[: self._config.class_topics])})

    def _choose_classes(self, names: Sequence[str]) -> None:
        """Find the classes that ~/filtered passes; one that is not there stops it, since its points would pass."""
        self._passes, self.filter_problem = None, ""
        if self._filtered is not None:
            try:
                self._passes = filtered.classes(self._config, names)
            except ValueError as reason:
                self.filter_problem = f"~/filtered is not published: {reason}"
                self._node.get_logger().warning(self.filter_problem)

    def class_topics(self) -> list[str]:
        """Return the full names of the topics ~/class/<name>."""
        return [publisher.topic_name for _, publisher in self._class_publishers.values()]

    def _set_class_topics(self, labels: dict[str, int]) -> None:
        old = self._class_publishers
        with self._destroying:
            for name in old.keys() - labels.keys():
                self._node.destroy_publisher(old[name][1])
            self._class_publishers = {name: (label, old[name][1]) for name, label in labels.items() if name in old}
        for name in labels.keys() - old.keys():
            # A callback group refers to all that was ever in it, so topics that come and go have groups of their own
            group = MutuallyExclusiveCallbackGroup()
            publisher = self._publisher(PointCloud2, f"class/{name}", self._volatile, group)
            with self._destroying:
                self._class_publishers[name] = (labels[name], publisher)

    def publish(self, cloud: cloud_messages.Cloud, segmentation, topic: str = "", tracker: Any = None) -> float:
        """Publish a labeled cloud of `topic` on every output that has subscribers; return the time taken [ms].

        `tracker`, TemporalLabels or None, gives objects ids that stay the same over time.
        """
        start = time.perf_counter()
        classes = [(label, out) for label, out in self._class_publishers.values() if _has_subscribers(out)]
        if self._wants(self._labeled) or classes:
            s, words = segmentation, segmentation.vocabulary
            points = cloud_messages.labeled_points(
                cloud, s.labels, s.confidence, s.superpoints, words.colors, int(words.version)
            )
            if self._wants(self._labeled):
                self._labeled.publish(cloud_messages.labeled_cloud(cloud, points))
            for label, publisher in classes:
                publisher.publish(cloud_messages.class_cloud(cloud, points, label))
        if self._passes is not None and self._wants(self._filtered):
            self._filtered.publish(filtered.cloud(cloud, segmentation.labels, self._passes))
        if self._wants(self._classes):
            self._classes.publish(summaries.scene_classes(cloud.header, cloud.xyz, segmentation))
        self._objects.publish(cloud, segmentation, topic, tracker, self.inputs)
        return (time.perf_counter() - start) * 1e3

    def publish_similarity(self, cloud: cloud_messages.Cloud, texts: Sequence[str], scores) -> None:
        """Publish similarities (H, len(texts)) if ~/similarity has a subscriber."""
        if self.similarity_wanted():
            self._similarity.publish(cloud_messages.similarity_cloud(cloud, texts, scores))

    def destroy(self) -> None:
        """Remove every publisher."""
        self._set_class_topics({})
        with self._destroying:
            clouds = (self._labeled, self._filtered, self._similarity)
            for publisher in (self._vocabulary, self._label_info, self._classes, *clouds):
                if publisher is not None:
                    self._node.destroy_publisher(publisher)
            self._labeled = self._classes = self._similarity = self._filtered = None
            self._objects.destroy()


def _has_subscribers(publisher: Any) -> bool:
    return publisher is not None and publisher.get_subscription_count() > 0
