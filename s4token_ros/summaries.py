"""Summaries of a labeled cloud as messages: classes, the superpoints that match a query, the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header

from s4token_interfaces.msg import ClassSummary, Match, SceneClasses
from s4token_interfaces.msg import Vocabulary as VocabularyMessage
from s4token_model import constants
from s4token_model.kernels.group_statistics import class_statistics

try:  # not on PyPI; part of most ROS installations
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:
    LabelInfo = VisionClass = None


MAX_TABLE = 10_000_000  # entries of the (class, superpoint) table; above it pairs are sorted instead


def scene_classes(header: Header, xyz: np.ndarray, segmentation) -> SceneClasses:
    """Summarize a Segmentation of points xyz (H, 3): one ClassSummary per class that occurs, most points first."""
    vocabulary, labels = segmentation.vocabulary, segmentation.labels
    labeled = labels != constants.UNLABELED
    message = SceneClasses(header=header, points=len(xyz), vocabulary_version=int(vocabulary.version))
    message.unlabeled, message.unlabeled_reason = int(len(xyz) - labeled.sum()), segmentation.unlabeled_reason
    if not labeled.any():
        return message
    statistics = class_statistics(labels, segmentation.confidence, xyz, len(vocabulary.names))
    superpoints = _superpoints_per_class(labels[labeled], segmentation.superpoints[labeled], len(vocabulary.names))
    order = np.argsort(-statistics.counts, kind="stable")
    message.classes = [
        ClassSummary(
            label=label,
            name=vocabulary.names[label],
            points=int(statistics.counts[label]),
            superpoints=int(superpoints[label]),
            confidence=float(statistics.confidence[label]),
            **_position(statistics.centroid[label], statistics.low[label], statistics.high[label]),
        )
        for label in order[: np.count_nonzero(statistics.counts)].tolist()
    ]
    return message


def _superpoints_per_class(labels: np.ndarray, superpoints: np.ndarray, classes: int) -> np.ndarray:
    """Return (classes,) the number of superpoints with at least one point of each class."""
    size = int(superpoints.max()) + 1
    pairs = labels.astype(np.int64) * size + superpoints.astype(np.int64)
    if classes * size > MAX_TABLE:
        return np.bincount(np.unique(pairs) // size, minlength=classes)
    occurs = np.zeros(classes * size, bool)
    occurs[pairs] = True
    return occurs.reshape(classes, size).sum(axis=1)


def matches(
    texts: Sequence[str], scores: np.ndarray, superpoints: np.ndarray, xyz: np.ndarray, limit: int
) -> list[Match]:
    """Return for each text the `limit` superpoints of highest mean score, best first; ties go to the lower id.

    `scores` are cosine similarities (H, len(texts)), NaN on invalid points; superpoints (H,) uint32, xyz (H, 3) m.
    """
    valid = (superpoints != constants.NO_SUPERPOINT) & np.isfinite(scores).all(axis=1)
    if not valid.any():
        return []
    # Sort the valid points by superpoint, so that superpoint ids[k] is the run of points from starts[k]
    index = np.argsort(superpoints[valid], kind="stable")
    sorted_ids = superpoints[valid][index]
    starts = np.flatnonzero(np.concatenate([[True], sorted_ids[1:] != sorted_ids[:-1]]))
    ids, counts = sorted_ids[starts], np.diff(np.append(starts, len(sorted_ids)))
    # Means and boxes in float64, so that coordinates far from the origin keep their millimeters
    points = xyz[valid][index].astype(np.float64)
    centroid = np.add.reduceat(points, starts) / counts[:, None]
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    means = np.add.reduceat(scores[valid][index], starts, dtype=np.float64) / counts[:, None]
    return [
        Match(
            text=text,
            superpoint=int(ids[k]),
            score=float(means[k, t]),
            points=int(counts[k]),
            **_position(centroid[k], low[k], high[k]),
        )
        for t, text in enumerate(texts)
        for k in np.argsort(-means[:, t], kind="stable")[:limit]
    ]


def _position(centroid: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Point | Vector3]:
    """Return the position fields of ClassSummary and Match from a centroid and the corners of a box, each (3,)."""

    def xyz(values: np.ndarray) -> dict[str, float]:
        return dict(zip("xyz", values.tolist(), strict=True))

    center, extent = (low + high) / 2, high - low
    return {"centroid": Point(**xyz(centroid)), "center": Point(**xyz(center)), "extent": Vector3(**xyz(extent))}


def vocabulary_message(vocabulary, header: Header) -> VocabularyMessage:
    """Return a Vocabulary as a message."""
    colors = np.asarray(vocabulary.colors, np.float32) / 255
    return VocabularyMessage(
        header=header,
        version=int(vocabulary.version),
        names=list(vocabulary.names),
        templates=list(vocabulary.templates),
        thresholds=[float(t) for t in vocabulary.thresholds],
        colors=[ColorRGBA(r=float(r), g=float(g), b=float(b), a=1.0) for r, g, b in colors],
        known=[float(score) for score in vocabulary.known],
        warnings=list(vocabulary.warnings),
    )


def label_info(vocabulary, header: Header) -> LabelInfo:
    """Return a Vocabulary as vision_msgs/LabelInfo, which must be installed; its one threshold is the lowest."""
    classes = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(vocabulary.names)]
    return LabelInfo(header=header, class_map=classes, threshold=float(min(vocabulary.thresholds)))
