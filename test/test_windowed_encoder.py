"""Large clouds: windows of tokens, and the number of windows by what the network recognizes."""

import dataclasses

import numpy as np
import pytest

from s4token_model import checkpoint, config
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


def test_more_windows_are_taken_only_while_the_cloud_becomes_more_familiar(mini):
    changes = {"patches.points": 1, "windows.familiar": 0.3}
    fine = Segmenter(mini.tokenizer, mini.clip, config.replace(mini.config, changes))
    geometry = fine.build_patches(rooms(1, 1)[0])
    large = dataclasses.replace(geometry, partition=geometry.partition._replace(large=True))
    scores = iter(())

    class Known:
        def score(self, features):
            return np.full(len(features), next(scores), np.float32)

    before = mini.clip.known_words
    mini.clip.known_words = Known()
    try:
        for given, familiar in (
            ([0.1, *[0.2] * 3, 0.2, *[0.21] * 8], 3),  # better by 0.1, then by 0.01 only, with 9 and 27 windows
            ([0.1, *[0.05] * 3, *[0.2] * 4, 0.31], 9),  # better two steps ahead
            ([0.1, *[0.11] * 7], 1),
            ([0.31], 1),  # familiar enough
        ):
            scores = iter(given)
            encoded, tokens, _ = fine.encoder.encode(large, StageTimer())
            assert len(encoded.windows) == familiar and len(tokens) == len(encoded.patches.centers)
            assert next(scores, None) is None, "all scores were asked for"
            # Windows that were tried are not encoded again
            np.testing.assert_array_equal(tokens, fine.encoder.encode_all(encoded)[0])
        scores = iter([0.25])
        assert len(fine.encoder.encode(geometry, StageTimer())[0].windows) == 1, "a cloud of a usual spacing"
        scores = iter([0.1])
        coarse = dataclasses.replace(large, config=mini.config)
        assert len(mini.encoder.encode(coarse, StageTimer())[0].windows) == 1, "not 32 points for each of 1,152 tokens"
    finally:
        mini.clip.known_words = before
