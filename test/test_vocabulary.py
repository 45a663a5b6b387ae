"""Vocabularies: words and templates to unit rows; every bad list is refused with a reason."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

from s4token_model import checkpoint, vocabulary, word_checks
from s4token_model.config import VocabularyConfig
from s4token_model.pipeline import clip, known_words
from s4token_model.training.related_words import related_words
from s4token_model.training.synonyms import SYNONYMS, TRAINED_WORDS
from s4token_model.words import normalized


def letters(texts: list[str]) -> np.ndarray:
    """A stand-in for a text tower: unit rows that depend on the text alone."""
    rows = np.stack([np.random.default_rng(list(text.encode())).normal(size=12) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_features_are_averaged_over_templates_and_normalized():
    words = vocabulary.build(["chair", " table "], ["a {}", "the {} here"], 0.3, letters)
    assert words.names == ("chair", "table") and words.version == 1
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
        (["chair", "table", "chair "], "'chair' is repeated; give each word once"),
        (["Chair", "chair"], "'chair' is repeated .as 'Chair'"),
        (["chair", "table", "chairs"], "'chairs' is repeated .as 'chair'"),
        (["dining_table", "dining table"], "'dining table' is repeated .as 'dining_table'"),
        (["chair; table"], "'chair; table' is a list; give each word by itself: .'chair', 'table'."),
        (["chair\ntable"], "is a list"),
        (['""'], "holds an empty word"),
        (["_"], "holds an empty word"),
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


# Words as the text tower reads them


class Tower:
    """A stand-in for a CLIP that reads the first letters of a text, and knows some words."""

    letters_read = 30

    def __init__(self, *trained: str):
        self.known_words = known_words.encode(trained, self.encode_text) if trained else None

    def encode_text(self, texts: list[str]) -> np.ndarray:
        return letters([text[: self.letters_read] for text in texts])

    def fits_context(self, texts: list[str]) -> np.ndarray:
        return np.array([len(text) <= self.letters_read for text in texts])


def build(names, tower, templates=("{}", "a {}")):
    return vocabulary.build(names, templates, 0.0, tower.encode_text, clip=tower)


def test_spellings_give_the_features_of_the_plain_word_and_keep_their_names():
    words = vocabulary.build(['"Dining_Tables"', "The floor.", "TVs"], ["a {}"], 0.0, letters)
    assert words.names == ("Dining_Tables", "The floor", "TVs")
    np.testing.assert_allclose(words.text, letters(["a dining table", "a floor", "a tv"]), atol=1e-6)
    assert tuple(words.colors[1]) == vocabulary.color("floor")


def test_a_word_that_was_trained_in_the_plural_is_given_in_the_plural():
    assert build(["shoe"], Tower()).text.tolist() == build(["shoe"], Tower("chair")).text.tolist()
    np.testing.assert_allclose(build(["shoe"], Tower("shoes")).text, build(["shoes"], Tower("shoes")).text)


def test_names_with_equal_features_are_refused_by_name():
    with pytest.raises(ValueError, match="'kayak' and 'lynx' are the same to the text tower; leave one out"):
        vocabulary.build(["tuba", "kayak", "lynx"], ["{}"], 0.0, lambda texts: np.eye(3)[[0, 1, 1]])
    start = "a very long description of some "
    with pytest.raises(ValueError, match="only 'very long .*' of them is read; put the difference first"):
        build(["lamp", start + "floor", start + "wall"], Tower())


def test_a_long_word_is_told_with_what_is_read_of_it():
    exactly, longer = "x" * 30, "one two three four five six seven eight"
    words = build([exactly, longer, "chair"], Tower(), ["{}"])
    assert words.warnings == (
        f"'{longer}' is longer than the text tower reads: only 'one two three four five six' counts",
    )
    assert len(build([exactly], Tower(), ["{}", "a {}"]).warnings) == 1  # the longest start of a template counts


def test_a_word_that_looks_like_several_is_told():
    found = build(["sofa/couch", "table, round", "lamp"], Tower()).warnings
    assert len(found) == 2 and all("read as one phrase" in text for text in found)


def test_unknown_words_are_scored_and_told():
    words = build(["chairs", "xyzzy", "trashcan"], Tower("chair", "trash can"))
    assert words.known.dtype == np.float32 and words.known[0] == pytest.approx(1) and (words.known[1:] < 0.9).all()
    assert words.warnings == (
        "'xyzzy', 'trashcan' (spelled like 'trash can') are unknown to this model, which labels arbitrary points "
        "with them",
    )
    many = build([f"w{k}" for k in range(100)], Tower("chair"))
    assert len(many.warnings) == 1 and len(many.unknown) > 50
    assert f"and {len(many.unknown) - 8} more are unknown" in many.warnings[0]


def test_words_that_are_nearly_the_same_are_told_apart_from_unknown_ones():
    rows = np.eye(8)[[0, 0, 1, 2, 2, 2, 3, 4]] + 0.01 * np.random.default_rng(0).normal(size=(8, 8))
    rows[6] = rows[0] + 0.6 * rows[2]  # a cosine of .86 with the first
    text = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    names = ["car", "sedan", "road", "oak", "elm", "pine", "van", "wall"]
    assert word_checks.groups_of_alike(names, text) == [["car", "sedan"], ["oak", "elm", "pine"]]
    assert word_checks.groups_of_alike(names[2:4], text[2:4]) == word_checks.groups_of_alike([], text[:0]) == []
    # More rows than are compared at once
    many = np.repeat(np.eye(3, dtype=np.float32), word_checks.BLOCK, axis=0)
    assert [len(group) for group in word_checks.groups_of_alike([""] * len(many), many)] == [word_checks.BLOCK] * 3


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_words_that_are_linked_are_one_group_in_any_order(order):
    angles = np.deg2rad([0, 20, 40, 60])  # each is alike to its neighbors
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)[list(order)]
    (group,) = word_checks.groups_of_alike([str(k) for k in order], rows)
    assert group == [str(k) for k in order]


def test_without_known_words_there_is_no_score():
    words = build(["chair", "xyzzy"], Tower())
    assert np.isnan(words.known).all() and words.known.shape == (2,) and words.warnings == ()


def test_frequent_words_have_a_bias_and_unknown_ones_none(tmp_path):
    clip = Tower("wall", "books", "lamp")
    clip.known_words = clip.known_words._replace(frequency=np.array([0.4, 0.02, 0.001], np.float32))
    log = np.log([0.401, 0.021, 0.002])
    names = ["lamp", "Walls", "xyzzy"]
    words = vocabulary.build(names, ["a {}", "{}"], 0.0, clip.encode_text, clip=clip, prior=0.1)
    expected = 0.1 * (log - log.mean())[[2, 0]]
    np.testing.assert_allclose(words.bias, [*expected, 0], atol=1e-6)
    assert words.bias.dtype == np.float32 and words.unknown == ("xyzzy",)
    # Not with prior 0, a single word or no record
    for names, prior in ((["lamp", "wall"], 0.0), (["wall"], 0.1)):
        assert not vocabulary.build(names, ["{}"], 0.0, clip.encode_text, clip=clip, prior=prior).bias.any()
    for given in (Tower("wall", "lamp"), None):
        words = vocabulary.build(["wall", "lamp"], ["{}"], 0.0, letters, clip=given, prior=0.1)
        assert not words.bias.any() and words.warnings[-1].startswith("vocabulary.prior has no effect")


def test_frequencies_of_known_words_are_kept_and_checked(tmp_path):
    known = known_words.encode(["chair", "office desk"], letters)
    known_words.save(tmp_path, known._replace(frequency=np.array([0.25, 0.0], np.float32)))
    found = known_words.load(tmp_path)
    assert found.frequency.tolist() == [0.25, 0.0]
    assert known_words.encode_again(found.words, letters, found).frequency.tolist() == [0.25, 0.0]
    assert known_words.encode_again(["chair"], letters, found).frequency is None
    for wrong in ([0.5], [0.5, 1.5], [0.5, np.nan], [-0.1, 0.5]):
        known_words.save(tmp_path, known._replace(frequency=np.array(wrong, np.float32)))
        with pytest.raises(ValueError, match="frequencies that are not 2 numbers in"):
            known_words.load(tmp_path)


def test_the_fraction_of_street_words_counts_the_nearest_words(tmp_path):
    known = known_words.encode(["chair", "road"], letters)
    assert known.fraction_outdoors(known.features) == 0.0, "no record"
    known_words.save(tmp_path, known._replace(outdoors=np.array([False, True])))
    found = known_words.load(tmp_path)
    assert found.outdoors.tolist() == [False, True] and found.frequency is None
    assert found.fraction_outdoors(found.features[[0, 1, 1, 1]]) == 0.75
    assert found.fraction_outdoors(found.features[:0]) == 0.0
    assert known_words.encode_again(found.words, letters, found).outdoors.tolist() == [False, True]
    for wrong in (np.array([True]), np.array([0.0, 1.0], np.float32)):
        known_words.save(tmp_path, known._replace(outdoors=wrong))
        with pytest.raises(ValueError, match="for 2 words of streets or others"):
            known_words.load(tmp_path)


def test_known_words_are_read_as_written_and_damage_is_told(tmp_path):
    known = known_words.encode(["chair", "office desk"], letters)
    known_words.save(tmp_path, known)
    found = known_words.load(tmp_path)
    assert (found.words, found.template, found.threshold) == (known.words, known.template, known.threshold)
    np.testing.assert_allclose(found.features, known.features, atol=1e-3)
    np.testing.assert_allclose(found.score(known.features), 1, atol=2e-3)
    (tmp_path / known_words.FILE).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot read .*known_words.safetensors: .*damaged"):
        known_words.load(tmp_path)
    assert known_words.load(tmp_path / "none") is None and known_words.load(None) is None


@pytest.fixture(scope="module")
def mini():
    """The CLIP of the shipped model."""
    return clip.load(checkpoint.read_config(checkpoint.MINI).clip, checkpoint.resolve(checkpoint.MINI))


def mini_words(mini, *names):
    templates = vocabulary.read_templates("default")
    return vocabulary.build(names, templates, 0.0, mini.encode_text, clip=mini)


def test_the_shipped_model_knows_its_words(mini):
    assert set(mini.known_words.words) == set(TRAINED_WORDS)
    texts = [mini.known_words.template.replace("{}", word) for word in mini.known_words.words]
    np.testing.assert_allclose(mini.encode_text(texts), mini.known_words.features, atol=2e-3)
    scannet = mini_words(mini, *vocabulary.read_names("scannet20"))
    assert (scannet.known > 0.99).all() and scannet.warnings == ()
    assert (mini_words(mini, "couch", "The_Office-Chairs", "red sofa", "stair").known > 0.95).all()


def test_synonyms_and_related_words_mean_their_class_to_the_shipped_model(mini):
    classes = list(SYNONYMS)
    text = dict(zip(classes, asked(mini, classes), strict=True))
    for name, trained in SYNONYMS.items():
        assert (asked(mini, trained) @ text[name]).min() > 0.95, name
    pairs = [(word, name) for name, group in related_words().items() for word in group]
    rows = asked(mini, [word for word, _ in pairs])
    nearest = (rows @ np.stack(list(text.values())).T).argmax(axis=1)
    right = [classes[k] == name for k, (_, name) in zip(nearest, pairs, strict=True)]
    assert len(right) > 7000 and np.mean(right) > 0.98


def asked(mini, words) -> np.ndarray:
    """Rows of words in the first of the default templates."""
    templates = vocabulary.read_templates("default")[:1]
    return vocabulary.encode_phrases([normalized(word) for word in words], templates, mini.encode_text)[:, 0]


def test_the_shipped_model_says_what_it_takes_untrained_words_for(mini):
    found = mini_words(mini, "sofa", "Office chairs", "lamp", "xyzzy", "double-decker bus")
    assert found.taken_for == {"Office chairs": "chair", "double-decker bus": "bus"}
    assert found.report()["taken_for"] == found.taken_for and found.unknown == ("xyzzy",)
    expected = "the model reads 'Office chairs' as 'chair', 'double-decker bus' as 'bus'"
    assert found.note() == expected and mini_words(mini, "sofa").note() == ""


def test_the_shipped_model_tells_words_that_mean_the_same_to_it(mini):
    found = mini_words(mini, "sofa", "car", "couch", "xyzzy", "xyzzzy")
    assert found.warnings[1].startswith("this model hardly tells 'sofa', 'couch' apart; if they are the same to you")
    assert len(found.warnings) == 2 and "'xyzzzy' are unknown" in found.warnings[0]


def test_the_shipped_model_does_not_know_other_words(mini):
    found = mini_words(mini, "wall", "xyzzy", "plugh", "asdfgh", "submarine")
    assert (found.known[1:] < mini.known_words.threshold).all() and "'xyzzy'" in found.warnings[0]
    # Nor most of what stands in no room and on no street
    animals = IMAGENET_CLASSNAMES[:398]
    assert (mini_words(mini, *dict.fromkeys(animals)).known < mini.known_words.threshold).mean() > 0.75


def test_the_shipped_text_tower_reads_24_tokens(mini):
    fits = mini.fits_context(["chair " * 22, "chair " * 23, "chair"])
    assert fits.tolist() == [True, False, True]
    start = "thing in the corner of the room beside the window which is used every day by the people who live here and "
    with pytest.raises(ValueError, match="are the same to the text tower: only '.*' of them is read"):
        mini_words(mini, start + "floor", start + "wall")
    assert "is longer than the text tower reads" in mini_words(mini, start + "floor", "wall").warnings[0]


@pytest.mark.parametrize("wrong", [None, 3, ["chair"]])
def test_a_word_that_is_no_text_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match="is no text"):
        vocabulary.checked_names(["chair", wrong])
