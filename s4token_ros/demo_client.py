"""What the demo asks of the node: labeled clouds by vocabulary version, rate and age, a new vocabulary, a query."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.time import Time
from sensor_msgs.msg import PointCloud2

from s4token_interfaces.msg import SceneClasses
from s4token_interfaces.msg import Vocabulary as VocabularyMessage
from s4token_interfaces.srv import Query, SetVocabulary
from s4token_ros.qos import cloud_qos
from s4token_ros.session import NODE, Session

FIRST_CLOUD_S, CLOUD_S = 120.0, 60.0
KEPT_CLOUDS = 8
MATCHES = 3  # per query text


@dataclass(frozen=True)
class LabeledCloud:
    """A labeled cloud with the summary of its classes and the vocabulary that labeled it."""

    cloud: PointCloud2
    classes: SceneClasses
    vocabulary: VocabularyMessage


@dataclass(frozen=True)
class QueryResult:
    """The result of a query: Match messages, the cloud of similarities, and the same cloud labeled."""

    texts: tuple[str, ...]
    matches: list
    similarity: PointCloud2
    labeled: PointCloud2


class DemoClient:
    """Subscribes to the node's topics in a session, and calls its services."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # The newest messages; clouds and classes by stamp in ns
        self._clouds: dict[int, PointCloud2] = {}
        self._classes: dict[int, list[SceneClasses]] = {}
        self._similarity: PointCloud2 | None = None
        self._arrivals: list[tuple[float, float]] = []  # monotonic time [s], age [ms]
        subscribe, clouds = session.node.create_subscription, cloud_qos("reliable", depth=5)
        subscribe(PointCloud2, f"{NODE}/labeled", self._on_cloud, clouds)
        subscribe(SceneClasses, f"{NODE}/classes", self._on_classes, clouds)
        subscribe(PointCloud2, f"{NODE}/similarity", self._on_similarity, clouds)

    def wait_for_cloud(self, version: int, points: int | None = None) -> LabeledCloud:
        """Wait for a cloud that only one vocabulary version has labeled, if given one of so many points."""

        def newest() -> LabeledCloud | None:
            vocabulary = self._session.vocabularies.get(version)
            for stamp, cloud in reversed(self._clouds.items()):
                classes = self._classes.get(stamp, [])
                wanted = points is None or cloud.width * cloud.height == points
                if wanted and vocabulary and classes and {c.vocabulary_version for c in classes} == {version}:
                    return LabeledCloud(cloud, classes[-1], vocabulary)
            return None

        return self._session.wait(newest, FIRST_CLOUD_S, f"labeled cloud (vocabulary version {version})")

    def measure(self, clouds: int) -> tuple[int, float, float]:
        """Wait for more clouds and diagnostics after them; return (clouds, Hz, mean age in ms on arrival)."""
        self._arrivals.clear()
        self._session.wait(lambda: len(self._arrivals) > clouds, CLOUD_S, f"{clouds} more labeled clouds")
        self._session.status = None
        self._session.wait(lambda: self._session.status, CLOUD_S, "message on /diagnostics")
        times, ages = zip(*self._arrivals, strict=True)
        return len(times), (len(times) - 1) / max(times[-1] - times[0], 1e-9), sum(ages) / len(ages)

    def set_vocabulary(self, names: Sequence[str]) -> int:
        """Change the class names; return the new vocabulary version."""
        return self._session.call(SetVocabulary, "set_vocabulary", names=list(names)).version

    def query(self, texts: Sequence[str]) -> QueryResult:
        """Ask for the superpoints that match each text best, and for the cloud of similarities."""
        self._similarity = None
        response = self._session.call(Query, "query", texts=list(texts), max_matches=MATCHES)

        def both() -> tuple[PointCloud2, PointCloud2] | None:
            similarity = self._similarity
            labeled = similarity and self._clouds.get(_stamp(similarity))
            return (similarity, labeled) if labeled else None

        clouds = self._session.wait(both, CLOUD_S, "cloud on ~/similarity")
        return QueryResult(tuple(texts), list(response.matches), *clouds)

    def _on_cloud(self, message: PointCloud2) -> None:
        stamp = _stamp(message)
        if stamp not in self._clouds:  # a second cloud of a stamp is the first one, relabeled
            age_ms = (self._session.node.get_clock().now().nanoseconds - stamp) * 1e-6
            self._arrivals.append((time.monotonic(), age_ms))
        _keep(self._clouds, stamp, message)

    def _on_classes(self, message: SceneClasses) -> None:
        stamp = _stamp(message)
        _keep(self._classes, stamp, [*self._classes.get(stamp, []), message])

    def _on_similarity(self, message: PointCloud2) -> None:
        self._similarity = message


def _stamp(message: Any) -> int:
    return Time.from_msg(message.header.stamp).nanoseconds


def _keep(newest: dict[int, Any], stamp: int, value: Any) -> None:
    newest[stamp] = value
    while len(newest) > KEPT_CLOUDS:
        del newest[next(iter(newest))]
