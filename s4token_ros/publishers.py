"""Everything the node publishes about clouds. An output is computed only while somebody subscribes to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from s4token_interfaces.msg import SceneClasses
from s4token_interfaces.msg import Vocabulary as VocabularyMessage
from s4token_ros import cloud_messages, summaries
from s4token_ros.parameters import OutputConfig
from s4token_ros.qos import LATCHED, cloud_qos


class Outputs:
    """The publishers of a node. Callers hold one lock around everything but `wanted`."""

    def __init__(self, node: Any, config: OutputConfig) -> None:
        self._node, self._config = node, config
        self._qos = cloud_qos(config.reliability)
        self._vocabulary = node.create_publisher(VocabularyMessage, "~/vocabulary", LATCHED)
        self._label_info = (
            node.create_publisher(summaries.LabelInfo, "~/label_info", LATCHED) if summaries.LabelInfo else None
        )
        self._labeled = self._publisher(PointCloud2, "labeled") if config.labeled else None
        self._classes = self._publisher(SceneClasses, "classes") if config.classes else None
        self._similarity = self._publisher(PointCloud2, "similarity") if config.similarity else None
        self._of_class: dict[str, tuple[int, Any]] = {}  # topic token -> (label, publisher)
        self._destroying = threading.Lock()  # `wanted` must not ask a publisher that is being destroyed

    def _publisher(self, kind, name: str):
        return self._node.create_publisher(kind, f"~/{name}", self._qos)

    def wanted(self) -> bool:
        """Whether anybody subscribes to anything that needs a labeled cloud."""
        with self._destroying:
            of_class = (publisher for _, publisher in self._of_class.values())
            return any(map(_heard, (self._labeled, self._classes, self._similarity, *of_class)))

    def similarity_wanted(self) -> bool:
        """Whether anybody subscribes to ~/similarity."""
        return _heard(self._similarity)

    def announce(self, vocabulary, stamp) -> None:
        """Publish a vocabulary, latched, and let the topics ~/class/<name> follow its words."""
        header = Header(stamp=stamp)
        self._vocabulary.publish(summaries.vocabulary_message(vocabulary, header))
        if self._label_info:
            self._label_info.publish(summaries.label_info(vocabulary, header))
        names = cloud_messages.ros_names(vocabulary.names)
        if len(names) > self._config.class_topics > 0:
            self._node.get_logger().warning(
                f"{len(names)} words, but output.class_topics is {self._config.class_topics}: "
                "only the first get a topic ~/class/<name>"
            )
        self._follow({name: label for label, name in enumerate(names[: self._config.class_topics])})

    def _follow(self, labels: dict[str, int]) -> None:
        old = self._of_class
        with self._destroying:
            for gone in old.keys() - labels.keys():
                self._node.destroy_publisher(old[gone][1])
            self._of_class = {name: (label, old[name][1]) for name, label in labels.items() if name in old}
        for name in labels.keys() - old.keys():
            publisher = self._publisher(PointCloud2, f"class/{name}")
            with self._destroying:
                self._of_class[name] = (labels[name], publisher)

    def publish(self, cloud: cloud_messages.Cloud, segmentation, reason: str) -> float:
        """Publish a labeled cloud on every output that is heard; return milliseconds taken."""
        start = time.perf_counter()
        heard = [(label, publisher) for label, publisher in self._of_class.values() if _heard(publisher)]
        if _heard(self._labeled) or heard:
            points = cloud_messages.labeled_points(
                cloud,
                segmentation.labels,
                segmentation.confidence,
                segmentation.superpoints,
                segmentation.vocabulary.colors,
            )
            if _heard(self._labeled):
                self._labeled.publish(cloud_messages.labeled_cloud(cloud, points))
            for label, publisher in heard:
                publisher.publish(cloud_messages.class_cloud(cloud, points, label))
        if _heard(self._classes):
            self._classes.publish(summaries.scene_classes(cloud.header, cloud.xyz, segmentation, reason))
        return (time.perf_counter() - start) * 1e3

    def publish_similarity(self, cloud: cloud_messages.Cloud, texts: Sequence[str], scores) -> None:
        """Publish similarities (H, len(texts)) if anybody listens."""
        if self.similarity_wanted():
            self._similarity.publish(cloud_messages.similarity_cloud(cloud, texts, scores))

    def destroy(self) -> None:
        """Remove every publisher."""
        self._follow({})
        with self._destroying:
            for publisher in (self._vocabulary, self._label_info, self._labeled, self._classes, self._similarity):
                if publisher is not None:
                    self._node.destroy_publisher(publisher)
            self._labeled = self._classes = self._similarity = None


def _heard(publisher: Any) -> bool:
    return publisher is not None and publisher.get_subscription_count() > 0
