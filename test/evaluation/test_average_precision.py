"""Average precision by hand, and overlaps of points and boxes against counting and sampling."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.evaluation.average_precision import Boxes, average_precision, box_iou, mask_iou, matched


def test_average_precision_by_hand():
    # Ranked: hit, miss, hit, miss, hit; 4 true objects. Precision 1, 1/2, 2/3, 1/2, 3/5 at recall 1/4, 1/4, 1/2, 1/2,
    # 3/4; the highest at the same or a larger recall: 1, 2/3, 3/5. Area: 1/4 (1 + 2/3 + 3/5).
    score = [0.3, 0.9, 0.8, 0.5, 0.7]
    hit = [True, True, False, False, True]
    assert average_precision(score, hit, 4) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    assert average_precision(score, np.ones(5, bool), 5) == 1.0
    assert average_precision(score, np.zeros(5, bool), 5) == average_precision([], [], 3) == 0.0


def test_each_true_object_is_hit_once_and_better_predictions_choose_first():
    iou = np.array([[0.6, 0.55], [0.9, 0.3], [0.1, 0.2]])
    assert matched(iou, 0.5).tolist() == [True, False, False]  # the second finds its object taken
    assert matched(iou, 0.25).tolist() == [True, True, False]
    assert matched(iou[:, :0], 0.25).tolist() == [False] * 3 and matched(iou[:0], 0.25).tolist() == []


def test_overlap_of_points():
    predicted = np.array([0, 0, 0, 1, 1, -1, -1])
    true = np.array([0, 0, 1, 1, -1, 1, -1])
    np.testing.assert_allclose(mask_iou(predicted, true, (2, 2)), [[2 / 3, 1 / 5], [0, 1 / 4]])
    assert mask_iou(predicted, np.full(7, -1), (2, 0)).shape == (2, 0)


def test_overlap_of_boxes():
    unit = Boxes(np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1))
    moved = Boxes(np.array([[0.5, 0, 0], [0, 0, 0.5], [2, 0, 0], [0, 0, 0]]), np.ones((4, 3)), np.zeros(4))
    np.testing.assert_allclose(box_iou(unit, moved), [[1 / 3, 1 / 3, 0, 1]])
    # A square turned by 45 degrees in itself: a regular octagon of area 2 (sqrt(2) - 1)
    turned = unit._replace(yaw=np.array([np.pi / 4]))
    octagon = 2 * (np.sqrt(2) - 1)
    np.testing.assert_allclose(box_iou(unit, turned), [[octagon / (2 - octagon)]])


def test_overlap_of_turned_boxes_against_sampled_points():
    rng = np.random.default_rng(0)
    boxes = [Boxes(rng.normal(0, 0.3, (3, 3)), rng.uniform(0.5, 2, (3, 3)), rng.uniform(-3, 3, 3)) for _ in range(2)]
    points = rng.uniform(-2.5, 2.5, (300_000, 3))

    def inside(box, k):
        cosine, sine = np.cos(box.yaw[k]), np.sin(box.yaw[k])
        local = (points - box.center[k]) @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        return (np.abs(local) <= box.size[k] / 2).all(axis=1)

    a, b = ([inside(box, k) for k in range(3)] for box in boxes)
    expected = [[(p & q).sum() / (p | q).sum() for q in b] for p in a]
    np.testing.assert_allclose(box_iou(*boxes), expected, atol=0.02)
