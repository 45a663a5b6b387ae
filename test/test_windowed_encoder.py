"""Large clouds: windows of tokens, and more of them where the network recognizes a street."""

import dataclasses
import pickle

import numpy as np
import pytest
from real_data import real

from s4token_model import checkpoint, config, windowed_encoder
from s4token_model.evaluation import scored_sets, sweep_views
from s4token_model.io import samples
from s4token_model.segmenter import Segmenter
from s4token_model.stage_timer import StageTimer


@pytest.fixture(scope="module")
def mini():
    return Segmenter.load(checkpoint.MINI)


def rooms(columns: int, lines: int, points: int = 10_000):
    """Copies of the sample room side by side, as (xyz, labels)."""
    room = samples.load()
    some = np.linspace(0, len(room.xyz) - 1, points).astype(int)
    offsets = [np.array([5.4 * i, 7.5 * j, 0]) for i in range(columns) for j in range(lines)]
    xyz = np.concatenate([room.xyz[some] + offset for offset in offsets])
    return xyz, np.tile(room.label[some], len(offsets)), room.names


def accuracy(segmenter, xyz, truth, names) -> float:
    encoding = segmenter.encode(xyz)
    return float((segmenter.label(encoding, segmenter.make_vocabulary(names)).labels == truth).mean())


def test_a_map_of_rooms_is_labeled_as_well_as_one(mini):
    one, many = (accuracy(mini, *rooms(*grid)) for grid in ((1, 1), (3, 3)))
    assert many >= 0.95 * one > 0.5


def test_with_one_window_the_user_is_told_that_the_cloud_is_too_large(mini):
    changed = config.replace(mini.config, {"windows.maximum": 1})
    fast = Segmenter(mini.tokenizer, mini.clip, changed)
    encoding = fast.encode(rooms(4, 4)[0])
    assert len(encoding.geometry.windows) == 1 and len(encoding.tokens) == 512
    (warning,) = encoding.warnings
    assert "too large" in warning and "windows.maximum" in warning
    assert not mini.encode(rooms(1, 1)[0]).warnings


def test_every_token_gets_the_feature_of_its_own_window(mini):
    geometry = mini.build_patches(rooms(4, 4)[0])
    assert len(geometry.windows) > 1
    from s4token_model.pipeline.patched_cloud import network_input

    tokens, cls = mini.encoder.encode_all(geometry)
    for i, window in enumerate(geometry.windows):
        features, _ = mini.encoder._encode_tokens(network_input(geometry, mini.config, i))
        np.testing.assert_array_equal(tokens[window.tokens[window.core]], features[window.core])
    np.testing.assert_allclose(np.linalg.norm(tokens, axis=1), 1, atol=1e-5)
    assert np.linalg.norm(cls) == pytest.approx(1, abs=1e-5)


class Streets:
    """Known words that see a given share of street in everything, one after the other."""

    def __init__(self, *shares):
        self.shares = list(shares)

    def fraction_outdoors(self, tokens):
        return self.shares.pop(0)


def test_streets_get_more_windows_and_rooms_stay_as_they_are(mini, monkeypatch):
    fine = Segmenter(mini.tokenizer, mini.clip, config.replace(mini.config, {"windows.street_spacing": 0.25}))
    geometry = fine.build_patches(rooms(2, 2)[0])
    spacing, points = geometry.partition.spacing, len(geometry.partition.superpoints)
    wanted = -(-min(512 * (spacing / 0.25) ** 2, points // 16) // 384)
    assert len(geometry.windows) == 1 and wanted > 2
    for share, count in ((0.31, wanted), (0.29, 1)):
        monkeypatch.setattr(mini.clip, "known_words", known := Streets(share))
        encoded, tokens, _ = fine.encoder.encode(geometry, StageTimer())
        assert len(encoded.windows) == count and not known.shares and not encoded.warnings
        np.testing.assert_array_equal(tokens, fine.encoder.encode_all(encoded)[0])
    # Where there may be fewer, the user is told how many are missing
    monkeypatch.setattr(mini.clip, "known_words", Streets(1.0))
    few = dataclasses.replace(geometry, config=config.replace(fine.config, {"windows.maximum": 2}))
    encoded, _, _ = fine.encoder.encode(few, StageTimer())
    assert len(encoded.windows) == 2 and f"needs {wanted:.0f} windows" in encoded.warnings[0]


@pytest.mark.parametrize(
    "changes, grid, known",
    [
        ({"windows.street_spacing": 0.0}, 2, True),
        ({"windows.street_spacing": 2.0}, 2, True),  # wider than the tokens of one window are
        ({"windows.maximum": 1}, 2, True),
        ({}, 4, True),  # more than one window, which are fine enough
        ({}, 2, False),  # a CLIP from elsewhere
    ],
)
def test_whether_a_cloud_is_a_street_is_not_asked_where_it_has_no_effect(mini, monkeypatch, changes, grid, known):
    changes = {"windows.street_spacing": 0.25} | changes
    fine = Segmenter(mini.tokenizer, mini.clip, config.replace(mini.config, changes))
    monkeypatch.setattr(mini.clip, "known_words", Streets() if known else None)  # they have nothing to say
    geometry = fine.build_patches(rooms(grid, grid)[0])
    assert fine.encoder.encode(geometry, StageTimer())[0] is geometry and (len(geometry.windows) > 1) == (grid == 4)


def test_few_points_bound_the_windows_of_a_street(mini, monkeypatch):
    fine = Segmenter(mini.tokenizer, mini.clip, config.replace(mini.config, {"windows.street_spacing": 0.01}))
    monkeypatch.setattr(mini.clip, "known_words", Streets(1.0))
    geometry = fine.build_patches(rooms(1, 1, 16_000)[0])
    encoded, tokens, _ = fine.encoder.encode(geometry, StageTimer())
    assert len(encoded.windows) == 3 and len(tokens) == 3 * 384  # 16 points for each of up to 1,000 tokens


@pytest.mark.parametrize("view", ["image64", "image32"])
def test_real_range_images_are_recognized_as_streets(mini, view):
    for sweep in scored_sets.semantickitti_sweeps(real("semantickitti")):
        seen = sweep_views.labeled_view(sweep, view).xyz
        assert len(mini.encode(seen).geometry.windows) > len(mini.build_patches(seen).windows) == 1


def test_real_rooms_are_not(mini):
    for room in scored_sets.scannet_clouds(real("scannet_votenet")):
        assert len(mini.encode(room.xyz).geometry.windows) == 1


def test_an_encoded_cloud_goes_to_another_process(mini):
    encoded = mini.encode(rooms(4, 4)[0])
    copy = pickle.loads(pickle.dumps(encoded))
    words = mini.make_vocabulary(["wall", "floor"])
    np.testing.assert_array_equal(mini.label(copy, words).labels, mini.label(encoded, words).labels)
    for one, other in zip(copy.geometry.contexts, encoded.geometry.contexts, strict=True):
        np.testing.assert_array_equal(one.points, other.points)


def test_threads_encode_windows_as_one_does(mini, monkeypatch):
    geometry = mini.build_patches(rooms(4, 4)[0])
    expected = mini.encoder.encode_all(geometry)
    for count in (1, 3):
        monkeypatch.setattr(windowed_encoder, "thread_count", lambda count=count: count)
        for one, other in zip(mini.encoder.encode_all(geometry), expected, strict=True):
            np.testing.assert_array_equal(one, other)
