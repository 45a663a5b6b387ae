"""The projection baseline: features come from where a point is seen, hidden points borrow, and the command takes it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from real_data import real

from s4token_model import cli
from s4token_model import config as configs
from s4token_model.evaluation.baselines import DepthProjection
from s4token_model.evaluation.loading import Setup
from s4token_model.training import targets_depth_views


class Rows:
    """Stands in for a CLIP of 28 x 28 patches: its dense feature is the row's height in the picture, one-hot in two
    halves."""

    image_size, dim = 112, 2

    def to(self, device):
        return self

    def encode_images(self, images, dense=False):
        dense = torch.zeros(len(images), 28, 28, 2)
        dense[:, :14, :, 0], dense[:, 14:, :, 1] = 1, 1
        return dense, torch.ones(len(images), 2)


def ball(count=3000, seed=0):
    xyz = np.random.default_rng(seed).normal(size=(count, 3))
    return (xyz / np.linalg.norm(xyz, axis=1, keepdims=True)).astype(np.float32)


def test_points_get_the_feature_of_where_they_are_seen():
    xyz = ball()
    found = DepthProjection(Rows(), configs.Config()).encode(xyz)
    side = np.abs(xyz[:, 2]) < 0.7  # what only the views from above and below see has rows of another direction
    high, low = side & (xyz[:, 2] > 0.35), side & (xyz[:, 2] < -0.35)
    assert (found.features[high, 0] > found.features[high, 1]).mean() > 0.85
    assert (found.features[low, 1] > found.features[low, 0]).mean() > 0.85
    np.testing.assert_allclose(np.linalg.norm(found.features, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found.cls, np.sqrt([0.5, 0.5]), atol=1e-6)


def test_scale_and_place_do_not_matter_and_hidden_points_borrow():
    inside = np.array([[0.0, 0.0, 0.95], [np.nan, 0, 0]], np.float32)
    xyz = np.concatenate([ball(), inside])
    one, two = (DepthProjection(Rows(), configs.Config()).encode(x) for x in (xyz, 50 * xyz + 7))
    np.testing.assert_allclose(one.features, two.features, atol=1e-4)
    assert one.valid.sum() == len(xyz) - 1 and len(one.features) == len(xyz) - 1
    with pytest.raises(ValueError, match="no finite point"):
        DepthProjection(Rows(), configs.Config()).encode(inside[1:])


def test_views_count_by_their_weights():
    """Of two groups of views with other features, those of weight 0 say nothing, and others in proportion."""

    class Numbered(Rows):
        def encode_images(self, images, dense=False):
            first = torch.arange(len(images)) < 4  # the views from the side
            one = torch.stack([first, ~first], dim=1).float()
            assert dense
            return one[:, None, None].expand(-1, 28, 28, -1), one

    xyz, weights = ball(), np.r_[np.ones(4), np.zeros(6)]
    side = DepthProjection(Numbered(), configs.Config(), weights, dense=True).encode(xyz)
    np.testing.assert_allclose(side.features, np.tile([1.0, 0.0], (len(xyz), 1)), atol=1e-6)
    np.testing.assert_allclose(side.cls, [1, 0], atol=1e-6)
    both = DepthProjection(Numbered(), configs.Config(), 0.5 * weights + 0.25, dense=True).encode(xyz)
    np.testing.assert_allclose(both.cls, np.array([4 * 0.75, 6 * 0.25]) / np.hypot(3, 1.5), atol=1e-6)
    views = targets_depth_views.render_depth_views(xyz, np.arange(len(xyz)), 112)[1]
    counts = np.stack([np.bincount(views.superpoint[g], minlength=len(xyz)) for g in (views.view < 4, views.view > 3)])
    expected = (counts * [[0.75], [0.25]]).T
    seen = counts.any(axis=0)
    expected = expected[seen] / np.linalg.norm(expected[seen], axis=1, keepdims=True)
    np.testing.assert_allclose(both.features[seen], expected, atol=1e-5)


@pytest.mark.parametrize("weights", [(1.0,) * 9, (0.0,) * 10, (1.0,) * 9 + (-1.0,), (1.0,) * 9 + (float("nan"),)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="--view-weights .*: give 10 numbers of at least 0"):
        DepthProjection(Rows(), configs.Config(), weights)


def test_the_result_names_what_is_not_as_by_default(tiny_model, capsys):
    root = real("shapenetpart_cap")
    words = ["evaluate", "shapenetpart", "--root", str(root), "--split", "val", "--json", "--model", str(tiny_model)]
    weights = "1,1,1,1,0.5,0.5,0.5,0.5,0,0"
    assert cli.main([*words, "--method", "projection", "--dense", "--view-weights", weights]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["view_weights"] == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0, 0] and result["dense"] is True
    assert cli.main([*words, "--dense"]) == 2
    assert "--dense has no effect without --method projection" in capsys.readouterr().err
    assert cli.main([*words, "--view-weights", "1,a"]) == 2
    assert "'1,a' is no list of numbers" in capsys.readouterr().err


def test_commands_take_the_method(tiny_model, capsys, tmp_path):
    root = real("shapenetpart_cap")
    words = ["evaluate", "shapenetpart", "--root", str(root), "--split", "val", "--method", "projection", "--json"]
    assert cli.main([*words, "--model", str(tiny_model)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["method"] == "projection" and result["shapes"] == 5 and 0 < result["miou_c"] < 1
    assert cli.main(["evaluate", "scannet", "--root", str(tmp_path), "--method", "projection"]) == 2
    assert "argument --method: invalid choice" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown method"):
        Setup(tiny_model).labeler("other")
