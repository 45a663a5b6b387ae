"""Boxes of minimum volume against a search over the edges of scipy's convex hull."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from s4token_model.kernels.min_area_boxes import min_area_boxes


def smallest(points: np.ndarray) -> float:
    """The area of the smallest rectangle that has a side along an edge of the hull of points (n, 2)."""
    hull = points[ConvexHull(points).vertices]
    areas = []
    for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        along = (b - a) / np.linalg.norm(b - a)
        areas.append(np.prod(np.ptp(hull @ np.array([along, [-along[1], along[0]]]).T, axis=0)))
    return min(areas)


def rectangles(points: np.ndarray, groups: int = 1) -> np.ndarray:
    """The rows for equal groups of points (n, 2), of which the k-th is at the height k."""
    starts = np.linspace(0, len(points), groups + 1).astype(np.int64)
    xyz = np.column_stack([points, np.arange(len(points))])
    found = min_area_boxes(xyz, np.arange(len(points), dtype=np.int32), starts)
    if len(points):
        np.testing.assert_array_equal(found[:, 5:], np.stack([starts[:-1], starts[1:] - 1], axis=1))
    return found[:, :5]


@pytest.mark.parametrize("seed", range(8))
def test_the_rectangle_is_the_smallest_and_holds_all_points(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(rng.integers(4, 3000), 2)) * rng.uniform(0.1, 5, 2) + rng.normal(size=2) * 100
    if seed % 2:
        points = np.round(points, 1)  # repeated points, and points along lines
    ((x, y, length, width, angle),) = rectangles(points)
    assert length >= width and -np.pi / 2 <= angle < np.pi / 2
    assert length * width == pytest.approx(smallest(points), rel=1e-9)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert (np.abs((points - [x, y]) @ axes.T) <= np.array([length, width]) / 2 + 1e-9).all()


def test_groups_and_flat_ones():
    square = np.array([[0, 0], [2, 0], [2, 1], [0, 1]], float)
    line = np.linspace([0, 0], [3, 4], 4)
    point = np.full((4, 2), 7.0)
    found = rectangles(np.concatenate([square, line, point]), 3)
    np.testing.assert_allclose(found[0], [1, 0.5, 2, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found[1], [1.5, 2, 5, 0, np.arctan2(4, 3)], atol=1e-12)
    np.testing.assert_allclose(found[2, :4], [7, 7, 0, 0], atol=1e-12)
    assert rectangles(np.zeros((0, 2))).tolist() == [[0] * 5]
