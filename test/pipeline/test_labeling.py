"""Word and confidence of every point against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from s4token_model.pipeline.labeling import argmax_and_confidence, confidence_of, superpoint_means


@pytest.mark.parametrize("words", [2, 20, 333])
@pytest.mark.parametrize("points", [0, 1, 9001])
def test_argmax_and_softmax(points, words):
    cosines = np.random.default_rng(points + words).uniform(-1, 1, (points, words)).astype(np.float32)
    best, sure = argmax_and_confidence(cosines, 0.07)
    assert sure.dtype == np.float32
    np.testing.assert_array_equal(best, cosines.argmax(axis=1))
    np.testing.assert_allclose(sure, softmax(cosines.astype(np.float64) / 0.07, axis=1).max(axis=1), rtol=1e-4)


def test_the_first_of_equal_words_wins():
    best, sure = argmax_and_confidence(np.array([[0.2, 0.5, 0.5, 0.1]], np.float32), 0.001)
    assert best[0] == 1 and sure[0] == pytest.approx(0.5)


def test_a_single_word_is_as_sure_as_its_cosine():
    best, sure = argmax_and_confidence(np.array([[0.4], [-0.2], [1.2]], np.float32), 0.07)
    np.testing.assert_array_equal(best, 0)
    np.testing.assert_allclose(sure, [0.4, 0, 1])


@pytest.mark.parametrize("size", [1, 7, 500])
def test_votes_are_means_over_superpoints_wherever_blocks_end(size):
    rng = np.random.default_rng(size)
    ids = rng.integers(0, 30, 500).astype(np.int32)
    ids[ids == 11] = 12  # no point
    cosines = rng.uniform(-1, 1, (500, 4)).astype(np.float32)
    order = np.argsort(ids, kind="stable")
    blocks = [(order[k : k + size], cosines[order[k : k + size]]) for k in range(0, 500, size)]
    found = superpoint_means(iter(blocks), ids)
    assert found.dtype == np.float32 and not found[11].any()
    for number in set(ids):
        np.testing.assert_allclose(found[number], cosines[ids == number].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 20])
def test_the_confidence_of_a_given_class_is_that_of_the_chosen_one(classes):
    cosines = np.random.default_rng(classes).normal(0, 0.3, (500, classes)).astype(np.float32)
    best, confidence = argmax_and_confidence(cosines, 0.05)
    np.testing.assert_allclose(confidence_of(cosines, best, 0.05), confidence, rtol=1e-5, atol=1e-7)
    every = np.stack([confidence_of(cosines, np.full(500, c), 0.05) for c in range(classes)], axis=1)
    if classes > 1:
        np.testing.assert_allclose(every.sum(axis=1), 1, rtol=1e-5)
