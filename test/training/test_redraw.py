"""Tokens drawn anew: every visit of a sample differs, and each of them is a true tokenization of its cloud."""

from __future__ import annotations

import numpy as np
import pytest
from box_room import room
from scipy.spatial import cKDTree

from s4token_model import config as configs
from s4token_model.training import prepare, redraw
from s4token_model.training.batches import DrawConfig, make_batch
from s4token_model.training.sampler import Sampler
from s4token_model.training.settings import TrainConfig

CHANGES = {"variant": "s4token", "sampling.tokens": 24, "sampling.points": 400, "patches.points": 8}
CONFIG = configs.replace(configs.Config(), CHANGES | {"superpoints.regularization": 0.05})
TRAINING = TrainConfig(points=50, redraw=True)


@pytest.fixture(scope="module")
def sample():
    return prepare.cloud_sample(room(0.1)[0].astype(np.float32), prepare.Recipe(CONFIG, TRAINING), 0)


def drawn(sample, seed: int, **changes):
    return redraw.redraw(sample, np.random.default_rng(seed), configs.replace(CONFIG, changes), 50)


def test_a_drawn_sample_is_a_tokenization_of_the_cloud(sample):
    """Patches, by brute force: points of the cloud within r of the center, of its superpoint, in units of r."""
    found = drawn(sample, 1)
    centers = found.position.astype(np.float64)
    radius = 1 / np.sort(np.linalg.norm(centers[:, None] - centers, axis=2), axis=1)[:, 1].mean()
    assert radius == pytest.approx(1, abs=1e-4)  # positions are in units of r, the mean spacing
    # The similarity that takes the cloud to the sample, from two of the centers
    tree, seen = cKDTree(sample.cloud.xyz), set()
    scale, shift = _similarity(sample, found)
    for token in range(len(centers)):
        points = found.patch[token, : found.patch_count[token]].astype(np.float64) + centers[token]
        distance, index = tree.query(points * scale + shift)
        assert distance.max() < 2e-3 * scale and len(set(index)) == len(index)
        assert set(sample.cloud.superpoint[index]) == {found.token_superpoint[token]}
        assert np.linalg.norm(found.patch[token].astype(np.float64), axis=1).max() <= 1 + 1e-3
        seen |= set(index)
    distance, index = tree.query(found.point * scale + shift)
    assert distance.max() < 1e-4 and np.array_equal(sample.cloud.superpoint[index], found.point_superpoint)
    assert len(seen | set(index)) <= CONFIG.sampling.points < len(sample.cloud.xyz)


def _similarity(sample, found) -> tuple[float, np.ndarray]:
    """Factor and shift from the sample's coordinates to the cloud's: the extents of the loss points of one pass."""
    full = redraw.redraw(sample, np.random.default_rng(1), CONFIG, 4000)
    low, high = full.point.min(axis=0), full.point.max(axis=0)
    xyz = sample.cloud.xyz
    scale = float(np.linalg.norm(xyz.max(axis=0) - xyz.min(axis=0)) / np.linalg.norm(high - low))
    return scale, xyz.min(axis=0) - low * scale


def test_visits_differ_and_a_generator_repeats_them(sample):
    one, again, other = (drawn(sample, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.patch, again.patch) and np.array_equal(one.point, again.point)
    assert not np.array_equal(one.position, other.position) and not np.array_equal(one.patch, other.patch)
    assert one.targets is sample.targets and one.context.shape == (24, 0, 5)


def test_first_centers_fall_on_superpoints_alike(sample):
    """i_1 ~ Multinomial(w) with w = 1 / n of its superpoint: each superpoint is as likely, whatever its size."""
    ids = sample.cloud.superpoint
    first = [drawn(sample, seed, **{"sampling.points": 0}).token_superpoint[0] for seed in range(300)]
    count = np.bincount(first, minlength=ids.max() + 1)
    expected = len(first) / (ids.max() + 1)
    assert ((count - expected) ** 2 / expected).sum() / ids.max() < 2.0  # chi squared per degree of freedom


def test_a_sampler_draws_anew_and_samples_without_a_cloud_are_refused(sample):
    def again(one, rng):
        return redraw.redraw(one, rng, CONFIG, 50)

    draw, rngs = DrawConfig(24, 50, 8), [[np.random.default_rng(k)] for k in (1, 2)]
    batches = [make_batch(Sampler([sample], 0, again).draw(draw, rng)) for rng in rngs]
    assert not np.allclose(batches[0].point, batches[1].point) and batches[0].inputs.context.shape[2] == 0
    plain = prepare.cloud_sample(room(0.1)[0].astype(np.float32), prepare.Recipe(CONFIG, TrainConfig(points=50)), 0)
    assert plain.cloud is None
    with pytest.raises(ValueError, match="prepare it with redraw=true"):
        again(plain, np.random.default_rng(0))
    with pytest.raises(ValueError, match="tokenizer.context=false"):
        redraw.check_redrawable(configs.Config())
