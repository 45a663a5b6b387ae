"""What a labeled cloud holds: per-class summaries and the superpoints that answer a text. Arrays in, messages out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Vector3
from numba import njit
from std_msgs.msg import ColorRGBA, Header

from s4token_interfaces.msg import ClassSummary, Match, SceneClasses
from s4token_interfaces.msg import Vocabulary as VocabularyMessage
from s4token_model import constants

try:  # not on PyPI; part of most ROS installations
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:
    LabelInfo = VisionClass = None


TABLE = 10_000_000  # flags that are held at once
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Groups:
    """G groups of points: ids (G,) ascending, counts (G,); centroid, low, high (G, 3) [m]; index sorts points by id."""

    ids: np.ndarray
    counts: np.ndarray
    centroid: np.ndarray
    low: np.ndarray
    high: np.ndarray
    index: np.ndarray
    starts: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of `values` (n, ...) per group; n as the ids that made the groups."""
        return np.add.reduceat(values[self.index], self.starts, axis=0, dtype=np.float64) / _column(self.counts, values)


def _column(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    return counts.reshape(-1, *[1] * (values.ndim - 1))


def group(ids: np.ndarray, xyz: np.ndarray) -> Groups:
    """Group points (n, 3) by ids (n,), n >= 1; sums in float64, so that far coordinates keep their millimeters."""
    index = np.argsort(ids, kind="stable")
    ordered = ids[index]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(np.append(starts, len(ids)))
    points = xyz[index].astype(np.float64)
    return Groups(
        ordered[starts],
        counts,
        np.add.reduceat(points, starts, axis=0) / counts[:, None],
        np.minimum.reduceat(points, starts, axis=0),
        np.maximum.reduceat(points, starts, axis=0),
        index,
        starts,
    )


def scene_classes(header: Header, xyz: np.ndarray, segmentation, reason: str = "") -> SceneClasses:
    """Summarize a Segmentation of points xyz (H, 3): one ClassSummary per class that occurs, most points first."""
    message = SceneClasses(header=header, points=len(xyz), vocabulary_version=int(segmentation.vocabulary.version))
    labeled = segmentation.labels != constants.UNLABELED
    message.unlabeled = int(len(xyz) - labeled.sum())
    message.unlabeled_reason = reason
    if not labeled.any():
        return message
    names = segmentation.vocabulary.names
    labels, superpoints = segmentation.labels, segmentation.superpoints
    counts, centroid, low, high, confidence = _sums(labels, segmentation.confidence, xyz, len(names))
    groups = Groups(np.arange(len(names)), counts, centroid, low, high, _NONE, _NONE)
    superpoint_counts = _superpoints_per_class(labels, superpoints, labeled, len(names))
    for label in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist():
        message.classes.append(
            ClassSummary(
                label=label,
                name=names[label],
                points=int(counts[label]),
                superpoints=int(superpoint_counts[label]),
                confidence=float(confidence[label]),
                **_place(groups, label),
            )
        )
    return message


@njit(cache=True, nogil=True)
def _sums(labels, confidence, xyz, classes):
    """Per class: points, centroid, lowest and highest corner, mean confidence; in float64, other labels left out."""
    counts, mean, sure = np.zeros(classes, np.int64), np.zeros((classes, 3)), np.zeros(classes)
    low, high = np.full((classes, 3), np.inf), np.full((classes, 3), -np.inf)
    for i in range(len(labels)):
        c = labels[i]
        if c >= classes:
            continue
        counts[c] += 1
        sure[c] += confidence[i]
        for a in range(3):
            mean[c, a] += xyz[i, a]
            low[c, a], high[c, a] = min(low[c, a], xyz[i, a]), max(high[c, a], xyz[i, a])
    for c in range(classes):
        mean[c] /= max(counts[c], 1)
        sure[c] /= max(counts[c], 1)
    return counts, mean, low, high, sure


def _superpoints_per_class(labels, superpoints, labeled, classes: int) -> np.ndarray:
    """(classes,) how many superpoints have a point of each class."""
    pairs = labels[labeled].astype(np.int64), superpoints[labeled].astype(np.int64)
    size = int(pairs[1].max()) + 1
    if classes * size > TABLE:
        kept = np.unique(pairs[0] * size + pairs[1])
        return np.bincount(kept // size, minlength=classes)
    table = np.zeros(classes * size, bool)
    table[pairs[0] * size + pairs[1]] = True
    return table.reshape(classes, size).sum(axis=1)


def matches(
    texts: Sequence[str], scores: np.ndarray, superpoints: np.ndarray, xyz: np.ndarray, limit: int
) -> list[Match]:
    """Return per text the `limit` superpoints of highest mean score, best first; ties go to the lower id.

    scores (H, len(texts)) cosine similarities, NaN on invalid points; superpoints (H,) uint32; xyz (H, 3) [m].
    """
    valid = (superpoints != constants.NO_SUPERPOINT) & np.isfinite(scores).all(axis=1)
    if not valid.any():
        return []
    groups = group(superpoints[valid], xyz[valid])
    means = groups.mean(scores[valid])
    found = []
    for t, text in enumerate(texts):
        for i in np.argsort(-means[:, t], kind="stable")[:limit]:
            found.append(
                Match(
                    text=text,
                    superpoint=int(groups.ids[i]),
                    score=float(means[i, t]),
                    points=int(groups.counts[i]),
                    **_place(groups, i),
                )
            )
    return found


def _place(groups: Groups, i: int) -> dict[str, Point | Vector3]:
    centroid, low, high = groups.centroid[i], groups.low[i], groups.high[i]
    center, extent = (low + high) / 2, high - low
    return {
        "centroid": Point(x=float(centroid[0]), y=float(centroid[1]), z=float(centroid[2])),
        "center": Point(x=float(center[0]), y=float(center[1]), z=float(center[2])),
        "extent": Vector3(x=float(extent[0]), y=float(extent[1]), z=float(extent[2])),
    }


def vocabulary_message(vocabulary, header: Header) -> VocabularyMessage:
    """Return a Vocabulary of the model as its message."""
    colors = np.asarray(vocabulary.colors, np.float32) / 255
    return VocabularyMessage(
        header=header,
        version=int(vocabulary.version),
        names=list(vocabulary.names),
        templates=list(vocabulary.templates),
        thresholds=[float(t) for t in vocabulary.thresholds],
        colors=[ColorRGBA(r=float(r), g=float(g), b=float(b), a=1.0) for r, g, b in colors],
    )


def label_info(vocabulary, header: Header) -> LabelInfo:
    """Return a Vocabulary as vision_msgs/LabelInfo; only where vision_msgs is installed.

    LabelInfo has one threshold for all classes; it gets the lowest.
    """
    classes = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(vocabulary.names)]
    return LabelInfo(header=header, class_map=classes, threshold=float(min(vocabulary.thresholds)))
