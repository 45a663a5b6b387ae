"""Vocabularies: words and templates to unit rows; every bad list is refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model import vocabulary
from s4token_model.config import VocabularyConfig


def letters(texts: list[str]) -> np.ndarray:
    """A stand-in for a text tower: unit rows that depend on the text alone."""
    rows = np.stack([np.random.default_rng(list(text.encode())).normal(size=12) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_features_are_averaged_over_templates_and_normalized():
    words = vocabulary.build(["chair", " table "], ["a {}", "the {} here"], 0.3, letters, 7)
    assert words.names == ("chair", "table") and words.version == 7
    for row, name in zip(words.text, words.names, strict=True):
        expected = letters([f"a {name}", f"the {name} here"]).mean(axis=0)
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-6)
    assert words.text.dtype == words.thresholds.dtype == np.float32
    np.testing.assert_allclose(words.thresholds, 0.3)


@pytest.mark.parametrize(
    "names",
    [
        ["chair"],
        ["стул", "椅子", "كرسي"],
        ["a {brace} and {}", "50 % off {0}"],
        ["long " * 200],
        [f"word {k}" for k in range(1000)],
    ],
)
def test_all_kinds_of_words(names):
    words = vocabulary.build(names, ["a {}", "{}"], 0.0, letters)
    assert words.text.shape == (len(names), 12) and words.colors.shape == (len(names), 3)
    np.testing.assert_allclose(np.linalg.norm(words.text, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "the vocabulary is empty"),
        (["chair", "  "], "holds an empty word"),
        (["chair", "table", "chair "], "'chair' is repeated"),
        ("chair", "give a list of words"),
        ([str(k) for k in range(65536)], "at most 65535"),
    ],
)
def test_bad_names(names, message):
    with pytest.raises(ValueError, match=message):
        vocabulary.build(names, ["{}"], 0.0, letters)


@pytest.mark.parametrize("templates", [["a photo"], ["{} or {}"], [], ["{}", "none"]])
def test_bad_templates(templates):
    with pytest.raises(ValueError, match="must contain {} once"):
        vocabulary.build(["chair"], templates, 0.0, letters)


def test_a_template_may_hold_other_braces():
    words = vocabulary.build(["chair"], ["{x} {} {"], 0.0, letters)
    np.testing.assert_allclose(words.text, letters(["{x} chair {"]), atol=1e-6)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ([0.1, 0.2], "2 thresholds for 3 words"),
        ([], "0 thresholds for 3 words"),
        ([0.1, 0.2, 1.5], "must lie in \\[0, 1\\]"),
        (-0.1, "must lie in"),
        (float("nan"), "must lie in"),
    ],
)
def test_bad_thresholds(thresholds, message):
    with pytest.raises(ValueError, match=message):
        vocabulary.checked_thresholds(thresholds, 3)


def test_thresholds_one_for_all_or_one_each():
    assert vocabulary.checked_thresholds(0.25, 2).tolist() == [0.25, 0.25]
    assert vocabulary.checked_thresholds([0.0, 1.0], 2).tolist() == [0.0, 1.0]


def test_colors_belong_to_the_word():
    names = vocabulary.read_names("scannet20")
    colors = [vocabulary.color(name) for name in names]
    assert colors == [vocabulary.color(f" {name.upper()}") for name in names]
    assert len(set(colors)) == len(names) and all(0 <= c <= 255 for color in colors for c in color)
    alone = vocabulary.build(["sofa"], ["{}"], 0.0, letters).colors
    among = vocabulary.build(["bed", "sofa"], ["{}"], 0.0, letters).colors
    assert np.array_equal(alone[0], among[1])
    assert vocabulary.color("wall") == vocabulary.color("wall") != vocabulary.color("floor")


def test_files_of_words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# things\nchair\n\n  office desk  # a comment\nстол\n", encoding="utf-8")
    assert vocabulary.read_names(str(path)) == ("chair", "office desk", "стол")
    path.write_text("# nothing\n")
    with pytest.raises(ValueError, match="holds no labels"):
        vocabulary.read_names(str(path))
    path.write_bytes(b"\xff\xfe\x00chair")
    with pytest.raises(ValueError, match="not UTF-8"):
        vocabulary.read_names(str(path))
    with pytest.raises(ValueError, match="no labels file 'nowhere'.*scannet20"):
        vocabulary.read_names("nowhere")
    with pytest.raises(ValueError, match="no templates file"):
        vocabulary.read_templates("nowhere")


def test_the_defaults_are_installed():
    defaults = VocabularyConfig()
    assert len(vocabulary.read_names(defaults.labels)) == 20
    assert all(template.count("{}") == 1 for template in vocabulary.read_templates(defaults.templates))
