"""Agreement over time: its figures by hand, and on clouds whose labels alternate from one to the next."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from s4token_model import constants
from s4token_model.config import Config
from s4token_model.datasets import semantickitti
from s4token_model.evaluation import temporal_agreement
from s4token_model.evaluation.temporal_agreement import PosedCloud, agreement_of, voxel_labels
from s4token_model.io import samples


class Alternating:
    """Labels every third cloud 1, the others 0."""

    config = Config()

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, xyz):
        label, self.encoded = int(self.encoded % 3 == 2), self.encoded + 1
        features = 0.2 * np.eye(2, dtype=np.float32)[[label]]
        superpoints = np.zeros(len(xyz), np.uint32)
        return SimpleNamespace(superpoints=superpoints, superpoint_features=lambda: features, label=label)

    def label(self, encoded, vocabulary):
        return SimpleNamespace(labels=np.full(len(encoded.superpoints), encoded.label, np.uint32))


def test_smoothing_keeps_what_alternates_and_the_row_says_so():
    rng = np.random.default_rng(0)
    xyz = rng.random((3000, 3)) * 10
    vocabulary = SimpleNamespace(text=np.eye(2, dtype=np.float32), thresholds=np.zeros(2), bias=0.0)
    truth = np.where(xyz[:, 0] < 1, constants.UNLABELED, 0)

    def clouds():
        for k in range(6):
            offset = np.array([0.3 * k, 0, 0])
            yield PosedCloud((xyz - offset).astype(np.float32), np.eye(3), offset, truth)

    row = temporal_agreement.measure("a box", clouds(), Alternating(), vocabulary)
    assert (row["clouds"], row["points"], row["accuracy"], row["accuracy_smoothed"]) == (6, 3000, 4 / 6, 1.0)
    assert row["agreement_smoothed"] == 1.0 and 0.35 < row["agreement"] < 0.45, "two of five pairs agree"


def test_the_label_of_a_voxel_is_its_most_frequent_one():
    rng = np.random.default_rng(1)
    xyz, labels = rng.uniform(-1, 1, (2000, 3)), rng.integers(0, 3, 2000).astype(np.uint32)
    cells: dict[tuple, Counter] = {}
    for cell, label in zip(np.floor(xyz / temporal_agreement.VOXEL).astype(int).tolist(), labels, strict=True):
        cells.setdefault(tuple(cell), Counter())[int(label)] += 1
    expected = Counter(min(votes, key=lambda label: (-votes[label], label)) for votes in cells.values())
    found = voxel_labels(xyz, labels)
    assert len(found) == len(cells) and Counter(found.values()) == expected


def test_agreement_counts_the_voxels_of_successive_clouds():
    clouds = [{1: 0, 2: 0, 3: 5}, {2: 0, 3: 4}, {3: 4, 1: 0}]
    assert agreement_of(clouds) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="no voxel was seen by two"):
        agreement_of([{1: 0}, {2: 0}])


def test_sweeps_of_a_drive_meet_in_the_fixed_frame():
    first, second = temporal_agreement.drive(0, sweeps=2)
    world = [cloud.xyz @ cloud.rotation.T + cloud.translation for cloud in (first, second)]
    assert np.linalg.norm(second.translation - first.translation) == temporal_agreement.STEP_M
    labels = [voxel_labels(xyz, cloud.label) for xyz, cloud in zip(world, (first, second), strict=True)]
    both = labels[0].keys() & labels[1].keys()
    assert len(both) > 5000 and agreement_of(labels) > 0.97, "the truth of a place stays"
    assert set(np.unique(first.label)) <= {*range(len(semantickitti.NAMES)), constants.UNLABELED}


def test_a_room_at_rest_differs_by_its_noise():
    room = samples.load()
    frames = list(temporal_agreement.room_at_rest(room, frames=2))
    assert 0 < np.abs(frames[0].xyz - frames[1].xyz).std() < 2 * temporal_agreement.NOISE_M


def test_a_measurement_needs_a_drive():
    with pytest.raises(ValueError, match="streets=0"):
        temporal_agreement.temporal_agreement(temporal_agreement.Setup(segmenter=Alternating()), 0)
