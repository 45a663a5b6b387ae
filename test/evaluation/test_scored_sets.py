"""Scored clouds decide exactly as `Segmenter.label` does, and keep the truth of every point."""

from __future__ import annotations

import numpy as np
import pytest
from box_room import room

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.evaluation import scored_sets
from s4token_model.evaluation.confidence_metrics import Scored, outcomes_of
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.segmenter import Segmenter

WORDS = ("floor", "wall", "ceiling", "box", "lamp")


@pytest.fixture
def cloud() -> LabeledCloud:
    """A room of which every third point occurs twice, some points are not finite, and some not annotated."""
    xyz, part = room(0.08)
    xyz, label = np.concatenate([xyz, xyz[::3]]), np.concatenate([part, part[::3]]).astype(np.uint32)
    xyz[::50] = np.nan
    label[::7] = 65535
    return LabeledCloud("room", xyz.astype(np.float32), None, label)


@pytest.mark.parametrize("vote", [True, False])
def test_decisions_are_those_of_the_segmenter(tiny_model, cloud, vote):
    config = configs.replace(checkpoint.read_config(tiny_model), {"vocabulary.vote": vote})
    segmenter = Segmenter.load(tiny_model, config)
    found = outcomes_of(scored_sets.score_cloud(segmenter, cloud, WORDS), config.vocabulary.temperature)
    labeled = segmenter.label(segmenter.encode(cloud.xyz), segmenter.make_vocabulary(WORDS))
    annotated = (cloud.label != 65535) & (labeled.labels != 65535)
    assert found.points.sum() == min(annotated.sum(), np.inf if vote else scored_sets.MAX_POINTS)
    accuracy, mean = (1e-6, 1e-5) if vote else (0.05, 0.01)  # a sample of the points
    assert found.accuracy == pytest.approx((labeled.labels == cloud.label)[annotated].mean(), abs=accuracy)
    assert found.mean_confidence == pytest.approx(labeled.confidence[annotated].mean(), abs=mean)


def test_groups_are_fitted_and_tested_once_each():
    clouds = tuple(Scored(np.full((1, 2), k), np.ones((1, 2))) for k in range(4))
    found = scored_sets.ScoredSet("rooms", ("a", "b"), clouds, ("r0", "r0", "r1", "r2"))
    assert found.halves() == [(["r0", "r2"], ["r1"]), (["r1"], ["r0", "r2"])]
    assert found.pooled(["r0", "r2"]).cosines[:, 0].tolist() == [0, 1, 3] and len(found.pooled().counts) == 4
    assert scored_sets.ScoredSet("sweep", ("a", "b"), clouds[:1], ("r0",)).halves() == []
