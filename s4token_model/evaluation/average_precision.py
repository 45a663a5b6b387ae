"""Average precision of objects: predictions matched with true objects by the IoU of their points or of their boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Boxes(NamedTuple):
    """N upright boxes, z up."""

    center: np.ndarray  # (N, 3)
    size: np.ndarray  # (N, 3), sides along their own x, y and z
    yaw: np.ndarray  # (N,) of x, about z [rad]


def average_precision(score: np.ndarray, hit: np.ndarray, true_count: int) -> float:
    """Return the area below precision over recall; precision is the highest at the same or a larger recall.

    score (P,) and hit (P,) bool of all predictions of a class, of which `true_count` objects exist. 0 without hits.
    """
    order = np.argsort(-np.asarray(score), kind="stable")
    found = np.cumsum(np.asarray(hit, bool)[order])
    precision = np.maximum.accumulate((found / np.arange(1, len(found) + 1))[::-1])[::-1]
    return float((precision * np.diff(found, prepend=0)).sum() / true_count)


def matched(iou: np.ndarray, threshold: float) -> np.ndarray:
    """Return (P,) bool, which predictions hit a true object: each takes the best one that is left, in order.

    iou (P, G), rows by decreasing score; a hit needs at least `threshold`.
    """
    left, hit = np.array(iou, float), np.zeros(len(iou), bool)
    for k in range(len(left)):
        best = int(left[k].argmax()) if left.shape[1] else -1
        if best >= 0 and left[k, best] >= threshold:
            hit[k] = True
            left[:, best] = -1.0
    return hit


def mask_iou(predicted: np.ndarray, true: np.ndarray, counts: tuple[int, int]) -> np.ndarray:
    """Return (P, G), the IoU of the points of predicted and true objects; ids (H,) each, -1 for none; counts (P, G)."""
    both = (predicted >= 0) & (true >= 0)
    inter = np.bincount(predicted[both] * counts[1] + true[both], minlength=counts[0] * counts[1]).reshape(counts)
    sizes = [np.bincount(ids[ids >= 0], minlength=n) for ids, n in zip((predicted, true), counts, strict=True)]
    return inter / np.maximum(sizes[0][:, None] + sizes[1] - inter, 1)


def box_iou(a: Boxes, b: Boxes) -> np.ndarray:
    """Return (P, G), the IoU of the volumes of boxes a (P) and b (G)."""
    low = np.maximum((a.center - a.size / 2)[:, None, 2], (b.center - b.size / 2)[:, 2])
    high = np.minimum((a.center + a.size / 2)[:, None, 2], (b.center + b.size / 2)[:, 2])
    inter = np.maximum(high - low, 0)
    corners_a, corners_b = _corners(a), _corners(b)
    for i, j in np.argwhere(inter > 0):
        inter[i, j] *= _area(_clipped(corners_a[i], corners_b[j]))
    volumes = a.size.prod(1)[:, None] + b.size.prod(1) - inter
    return inter / np.maximum(volumes, 1e-300)


def _corners(boxes: Boxes) -> np.ndarray:
    """The corners (N, 4, 2) of the boxes seen from above, counterclockwise."""
    half = boxes.size[:, None, :2] / 2 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    cosine, sine = np.cos(boxes.yaw)[:, None], np.sin(boxes.yaw)[:, None]
    x, y = half[..., 0], half[..., 1]
    return boxes.center[:, None, :2] + np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=2)


def _clipped(polygon: np.ndarray, window: np.ndarray) -> np.ndarray:
    """What is left of a convex polygon (n, 2) inside of another, both counterclockwise: Sutherland and Hodgman."""
    for a, b in zip(window, np.roll(window, -1, axis=0), strict=True):
        if not len(polygon):
            break
        normal = np.array([a[1] - b[1], b[0] - a[0]])
        depth = (polygon - a) @ normal
        after, deep = np.roll(polygon, -1, axis=0), np.roll(depth, -1)
        corners = []
        for p, q, d, e in zip(polygon, after, depth, deep, strict=True):
            if d >= 0:
                corners.append(p)
            if (d >= 0) != (e >= 0):
                corners.append(p + (q - p) * d / (d - e))
        polygon = np.array(corners).reshape(-1, 2)
    return polygon


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
