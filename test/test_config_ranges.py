"""Every documented minimum, maximum and choice of the pipeline works on a small cloud."""

from __future__ import annotations

import box_room
import numpy as np
import pytest

from s4token_model import checkpoint, config
from s4token_model.segmenter import Segmenter
from s4token_ros.parameters import READ_ONLY

BASE = checkpoint.read_config("s4token-mini")
CUT_PURSUIT = "superpoints.solver", "cut_pursuit"


def extremes():
    """(path, value) of every minimum, maximum and choice that a caller may set."""
    for path, (default, item) in config.options(BASE).items():
        low, high, choices = (item.metadata[key] for key in ("low", "high", "choices"))
        values = choices or ((False, True) if isinstance(default, bool) else () if low is None else (low, high))
        if not path.startswith(READ_ONLY):
            yield from ((path, type(default)(value)) for value in values)


@pytest.fixture(scope="module")
def model():
    tokenizer, clip, _ = checkpoint.load("s4token-mini")
    return tokenizer, clip


@pytest.fixture(scope="module")
def cloud():
    """A room with a box in it, some 200 points with colors."""
    xyz = box_room.room(0.5)[0].astype(np.float32)
    return xyz, np.random.default_rng(0).random(xyz.shape, np.float32)


def labels(model, cloud, changes):
    changed = config.replace(BASE, {"vocabulary.names": ("floor", "wall", "chair")} | changes)
    segmenter, heights = Segmenter(*model, changed), np.floor(2 * cloud[0][:, 2]).astype(int)
    return segmenter.label(segmenter.encode(*cloud, superpoints=heights)).labels  # superpoints.source may ask for them


@pytest.mark.parametrize("path, value", list(extremes()))
def test_an_extreme_value_labels_every_point(model, cloud, path, value):
    if (path, value) == CUT_PURSUIT:
        pytest.importorskip("cut_pursuit_py")
    found = labels(model, cloud, {path: value})
    if path != "vocabulary.threshold":
        assert (found < 3).all()


@pytest.mark.parametrize("seed", range(6))
def test_corners_of_all_parameters_label_every_point(model, cloud, seed):
    """All parameters at an extreme at once, but for those that leave points unlabeled or need another package."""
    rng, values = np.random.default_rng(seed), {}
    for path, value in extremes():
        if path not in ("vocabulary.threshold", "clip.precision", "sampling.passes") and (path, value) != CUT_PURSUIT:
            values.setdefault(path, []).append(value)
    changes = {path: some[rng.integers(len(some))] for path, some in values.items()}
    for count in (len(cloud[0]), 1):
        assert (labels(model, [a[:count] for a in cloud], changes) < 3).all(), changes
