"""What the text tower is taught: WordNet as its files have it, and features smoothed over it."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.words import compounds, geometry, selection, wordnet

DATA = """  1 This software and database is being provided to you, the LICENSEE, by
00000100 06 n 01 furniture 0 000 | furnishings that make a room ready; "they had too much furniture"
00000200 06 n 02 seat 0 sitting_thing 2 001 @ 00000100 n 0000 | furniture (of any size) for sitting on; "a seat"
00000300 06 n 01 chair 0 002 @ 00000200 n 0000 ~ 00000400 n 0000 | a seat for one person
00000400 06 n 02 Windsor_chair 0 highback 1 001 @ 00000300 n 0000 | a chair
00000500 04 n 01 chair 1 000 | the position of professor
00000600 06 n 01 Coronation_Chair 0 001 @i 00000300 n 0000 | a chair in Westminster Abbey
"""
INDEX = """  1 This software and database is being provided to you, the LICENSEE, by
chair n 2 2 @ ~ 2 1 00000300 00000500
coronation_chair n 1 1 @i 1 0 00000600
furniture n 1 1 ~ 1 1 00000100
highback n 1 1 @ 1 0 00000400
seat n 1 2 @ ~ 1 1 00000200
sitting_thing n 1 2 @ ~ 1 0 00000200
windsor_chair n 1 1 @ 1 0 00000400
"""


@pytest.fixture
def nouns(tmp_path) -> wordnet.Nouns:
    (tmp_path / "data.noun").write_text(DATA, encoding="latin-1")
    (tmp_path / "index.noun").write_text(INDEX, encoding="latin-1")
    return wordnet.read(tmp_path)


def test_nouns_are_read_with_senses_hypernyms_and_definitions(nouns):
    assert nouns.senses["sitting thing"] == (200,) and nouns.senses["chair"] == (300, 500)
    assert nouns.synsets[200] == wordnet.Synset(6, ("seat", "sitting thing"), (100,), "furniture for sitting on")
    assert nouns.descendants(200) == [200, 300, 400] and nouns.frequent == {"chair", "furniture", "seat"}


def test_a_class_name_is_meant_as_a_thing_and_words_may_be_left_out(nouns):
    assert selection.class_sense(nouns, "chair") == 300 and selection.sense_weights(nouns, "chair", {300}) == {300: 1.0}
    assert selection.sense_weights(nouns, "seat", {300}) == {200: 4.0}
    found = selection.select(nouns, frozenset({"highback"}))
    assert "sitting thing" in found.words and "highback" not in found.words
    assert "windsor chair" in found.words and "coronation chair" not in found.words
    assert found.definitions[300] == "chair: a seat for one person" and found.classes["swivel chair"] == "chair"


def test_compounds_are_new_and_none_is_kept_for_evaluation():
    kept = selection.everyday_words()
    found = compounds.compounds(kept | {"kitchen sink", "kitchen chair"})
    assert len(kept) == 100 and "bathroom cabinet" in found and "floor floor" not in found
    assert not {"kitchen chair", *kept} & set(found) and len(found) == len(set(found)) > 20_000


def test_smoothing_draws_kinds_to_their_general_term(nouns):
    keys = [100, 200, 300]
    rows = np.eye(3)
    found = geometry.smooth(nouns, keys, rows)
    # The fixed point of the means over own feature and neighbors
    matrix = np.array([[2, -1, 0], [-1, 3, -1], [0, -1, 2.0]])
    np.testing.assert_allclose(found, geometry.unit(np.linalg.inv(matrix)), atol=0.01)


def test_the_projection_shows_the_domain_and_says_what_it_cannot_show():
    rng = np.random.default_rng(0)
    rows = np.zeros((200, 6))
    rows[:, :3] = rng.normal(size=(200, 3)) * (3, 2, 1)
    projection = geometry.fit(rows, np.ones(200), 4)
    found = projection.apply(np.concatenate([rows, np.eye(6)[5:]]))
    assert np.allclose(np.linalg.norm(found, axis=1), 1) and np.abs(found[:200, 3]).max() < 1e-6
    assert found[200, 3] > 0.9
    geometry_of = found[:200, :3].std(axis=0) / rows[:, :3].std(axis=0)
    assert np.isfinite(geometry_of).all()
