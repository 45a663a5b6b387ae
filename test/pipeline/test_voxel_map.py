"""The voxel map: labels that stay over sweeps, by the votes of each place, whatever moves and whatever is asked."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model import constants
from s4token_model.pipeline.voxel_map import VoxelMap, labels_of_points

STILL = np.eye(3), np.zeros(3)
TEXT = np.eye(4, dtype=np.float32)
TEMPERATURE = 0.05


def blocks(offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Five blocks of 200 points, 10 m apart, and the superpoint of each point."""
    rng = np.random.default_rng(0)
    superpoints = np.repeat(np.arange(5, dtype=np.uint32), 200)
    xyz = rng.random((1000, 3)) + [offset, 0, 0] + 10 * np.outer(superpoints, [1, 0, 0])
    return xyz.astype(np.float32), superpoints


def features_of(classes) -> np.ndarray:
    """Features (S, 4) that are most similar to one text each."""
    return 0.2 * np.eye(4, dtype=np.float32)[list(classes)]


def show(voxels: VoxelMap, classes, stamp: float, text=TEXT, pose=STILL, cloud=None) -> np.ndarray:
    """Let a cloud of blocks vote, one class per superpoint; returns the labels of its points."""
    xyz, superpoints = cloud or blocks()
    cell_of_point, sweep = voxels.sweep(xyz, superpoints, features_of(classes), pose, stamp)
    return labels_of_points(cell_of_point, voxels.label(sweep, text, TEMPERATURE), np.zeros(4))[0]


def by_block(labels: np.ndarray) -> list[int]:
    """The label of each block, all of whose points must agree."""
    rows = labels.reshape(5, 200)
    assert (rows == rows[:, :1]).all()
    return rows[:, 0].tolist()


def test_one_odd_sweep_does_not_change_labels_and_a_lasting_change_does():
    voxels = VoxelMap(0.5, 10.0, 10_000, 1.0)
    for stamp in range(5):
        assert by_block(show(voxels, (0, 1, 2, 3, 0), stamp)) == [0, 1, 2, 3, 0]
    assert by_block(show(voxels, (3, 3, 3, 3, 3), 5.0)) == [0, 1, 2, 3, 0]
    answers = [by_block(show(voxels, (3, 3, 3, 3, 3), 6.0 + stamp)) for stamp in range(20)]
    assert answers[0] == [0, 1, 2, 3, 0] and answers[-1] == [3] * 5


@pytest.mark.parametrize("bias", [0.0, np.array([0.0, 0.5, -0.5, 0.0], np.float32)])
def test_without_a_past_a_cloud_has_the_labels_and_confidence_of_its_own_features(bias):
    voxels = VoxelMap(0.5, 10.0, 10_000, 1.0)
    xyz, superpoints = blocks()
    features = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float16)
    superpoints[5] = constants.NO_SUPERPOINT
    cell_of_point, sweep = voxels.sweep(xyz, superpoints, features, STILL, 0.0)
    labels, confidence = labels_of_points(cell_of_point, voxels.label(sweep, TEXT, TEMPERATURE, bias), np.full(4, 0.9))
    cosines = features.astype(np.float64) + bias
    softmax = np.exp(cosines / TEMPERATURE) / np.exp(cosines / TEMPERATURE).sum(axis=1, keepdims=True)
    assert labels[5] == constants.UNLABELED and confidence[5] == 0
    for s in range(5):
        own = np.flatnonzero(superpoints == s)
        np.testing.assert_allclose(confidence[own], softmax[s].max(), rtol=1e-5)
        expected = cosines[s].argmax() if softmax[s].max() >= 0.9 else constants.UNLABELED
        assert (labels[own] == expected).all()


def test_new_class_names_give_what_they_would_have_given_from_the_start():
    other = np.linalg.qr(np.random.default_rng(5).normal(size=(4, 4)))[0].astype(np.float32)[:3]
    changed, fresh = (VoxelMap(0.5, 2.0, 10_000, 1.0) for _ in range(2))
    rng = np.random.default_rng(2)
    xyz, superpoints = blocks()
    for k in range(12):
        features = rng.normal(size=(5, 4)).astype(np.float32)
        _, sweep = changed.sweep(xyz + 0.1 * k, superpoints, features, STILL, 0.3 * k)
        changed.label(sweep, TEXT, TEMPERATURE)
        expected = fresh.label(sweep, other, TEMPERATURE)
    assert not np.array_equal(changed.label(sweep, other, TEMPERATURE, np.array([9.0, 0, 0]))[0], expected[0])
    for found in (changed.label(sweep, other, TEMPERATURE), changed.label(sweep, other.copy(), TEMPERATURE)):
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    assert changed.voxels == fresh.voxels > 0 and changed.sweeps == fresh.sweeps == 12


def test_a_cloud_votes_once_however_often_it_is_labeled():
    xyz, superpoints = blocks()
    confidences = []
    for repeats in (1, 5):
        voxels = VoxelMap(0.5, 10.0, 10_000, 1.0)
        _, sweep = voxels.sweep(xyz, superpoints, features_of([0] * 5), STILL, 0.0)
        for _ in range(repeats):
            voxels.label(sweep, TEXT, TEMPERATURE)
        _, sweep = voxels.sweep(xyz, superpoints, features_of([1] * 5), STILL, 0.0)
        confidences.append(voxels.label(sweep, TEXT, TEMPERATURE)[1])
    np.testing.assert_array_equal(*confidences)


def test_a_moving_sensor_sees_the_same_voxels_by_its_poses():
    voxels, far = VoxelMap(0.5, 10.0, 10_000, 1.0), np.array([4.3e6, 6e5, 100.0])  # UTM
    world, superpoints = blocks()
    for k in range(6):
        angle = 0.4 * k
        rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        offset = np.array([2.0 * k, -k, 0.1 * k])
        cloud = ((world - offset) @ rotation).astype(np.float32), superpoints
        classes = (0, 1, 2, 3, 0) if k < 5 else (1, 1, 1, 1, 1)
        labels = show(voxels, classes, float(k), pose=(rotation, offset + far), cloud=cloud)
        if k == 0:
            first = voxels.voxels
    assert (labels == np.repeat([0, 1, 2, 3, 0], 200)).mean() > 0.97, "but for points that rounding moves over an edge"
    assert voxels.voxels < 1.3 * first


def test_what_comes_into_empty_voxels_has_no_past():
    voxels = VoxelMap(0.5, 10.0, 10_000, 1.0)
    floor, ids = blocks()
    for stamp in range(5):
        show(voxels, [0] * 5, stamp)
    person = (np.random.default_rng(3).random((200, 3)) + [0.2, 0, 1.0]).astype(np.float32)
    both = np.concatenate([floor, person]), np.concatenate([ids, np.full(200, 5, np.uint32)])
    labels = show(voxels, [0] * 5 + [2], 5.0, cloud=both)
    assert (labels[:1000] == 0).all()
    above = person[:, 2] >= 1.5  # the lowest voxels of both are the same
    assert (labels[1000:][above] == 2).all()


@pytest.mark.parametrize("capacity", [30, 200])
def test_memory_is_bounded(capacity):
    voxels = VoxelMap(0.5, 10.0, capacity, 1.0)
    for k in range(20):
        show(voxels, (0, 1, 2, 3, 0), float(k), pose=(np.eye(3), np.array([5.0 * k, 0, 0])))
        assert voxels.voxels <= capacity
        assert voxels.sweeps == 1 or sum(len(s.cells.keys) for s in voxels._sweeps) <= capacity
    voxels.clear()
    assert voxels.voxels == voxels.sweeps == 0


def test_one_class_has_the_confidence_of_its_cosine():
    voxels = VoxelMap(0.5, 10.0, 10_000, 1.0)
    xyz, superpoints = blocks()
    _, sweep = voxels.sweep(xyz, superpoints, features_of([0, 0, 0, 0, 1]), STILL, 0.0)
    best, confidence = voxels.label(sweep, TEXT[:1], TEMPERATURE)
    assert (best == 0).all()
    np.testing.assert_allclose(confidence, np.where(sweep.cells.superpoint < 4, 0.2, 0), atol=1e-4)
