"""Everyday words: frozen, unknown to training, and scored by text features and by labels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from s4token_model import constants, prompts, words
from s4token_model.evaluation import everyday_words
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.training.related_words import related_words
from s4token_model.training.synonyms import HELD_OUT, SYNONYMS, TRAINED_WORDS

FROZEN = "2045a77fec66b657dd542836cd85ec136e5c855513e81fb7d8f6ca9f8dbaef90"


def frozen_pairs() -> list[tuple[str, str]]:
    found = prompts.load_words("everyday_words", everyday_words.CLASSES).words
    return [(word, name) for name, group in found.items() for word in group]


def test_the_hundred_words_are_frozen():
    names = [f"{name}: {word}" for word, name in frozen_pairs()]
    templates = prompts.load_words("everyday_words", everyday_words.CLASSES).templates
    assert len(names) == 100 and prompts.digest(names, templates) == FROZEN


def test_no_training_uses_the_frozen_words():
    frozen = {words.repeat_key(word) for word, _ in frozen_pairs()}
    related = [word for group in related_words().values() for word in group]
    assert len(frozen) == 100 and not frozen & {words.repeat_key(word) for word in (*TRAINED_WORDS, *related)}
    assert not [w for w in related if any(f" {f} " in f" {words.repeat_key(w)} " for f in frozen)]
    # Nor in another spelling, and so it is with the synonyms that are held out
    held_out = {squeezed(word) for group in HELD_OUT.values() for word in group}
    assert not {squeezed(word) for word in related} & ({squeezed(word) for word in frozen} | held_out)
    parts = [squeezed(word) for word in frozen if len(squeezed(word)) > len("portal")]
    assert not [w for w in related if any(part in squeezed(w) for part in parts)]


def squeezed(word: str) -> str:
    """A word without blanks, hyphens and plural, as Americans write it."""
    letters = "".join(filter(str.isalpha, words.repeat_key(word)))
    return letters.replace("our", "or").replace("ll", "l").replace("grey", "gray")


def test_kinds_of_a_class_are_no_names_of_another():
    trained = {words.repeat_key(word) for word in TRAINED_WORDS}
    related = [words.repeat_key(word) for group in related_words().values() for word in group]
    assert set(related_words()) == set(SYNONYMS) - {"other furniture"} and len(related) == len(set(related))
    assert not trained & set(related)


def test_vocabularies_of_words_hold_every_word_once_or_more():
    vocabularies = everyday_words.vocabularies_of_words()
    assert {word for names in vocabularies for word in names[:-1]} == {word for word, _ in frozen_pairs()}
    assert all(len(names) == 20 and names[-1] == "other furniture" for names in vocabularies)


def test_forms_are_as_people_write_them():
    forms = {form: everyday_words.spoken_form(form, "bookshelf") for form in everyday_words.FORMS}
    assert forms["all"] == "the red bookshelves" and forms["capitals"] == "Bookshelf"
    assert forms["article"] == "the bookshelf"
    assert everyday_words.spoken_form("plural", "chair") == "chairs"


class FakeSegmenter:
    """Text features by hand: a class name is a unit vector, a word its class, one a sink; clouds are their labels."""

    wrong = prompts.load_words("everyday_words", everyday_words.CLASSES).words["toilet"][0]

    def __init__(self):
        self.index = {name: k for k, name in enumerate(constants.SCANNET20)}
        self.index |= {word: self.index[name] for word, name in frozen_pairs()} | {self.wrong: self.index["sink"]}

    def make_vocabulary(self, names, templates=None):
        return SimpleNamespace(names=names, text=np.eye(20, dtype=np.float32)[[self.row(name) for name in names]])

    def row(self, name):
        """That of the longest end of the phrase that is a known word."""
        parts = name.split() if name in self.index else words.normalized(name).split()
        return next(self.index[" ".join(parts[k:])] for k in range(len(parts)) if " ".join(parts[k:]) in self.index)

    def encode(self, xyz, rgb):
        return xyz[:, 0].astype(int)

    def label(self, encoded, vocabulary):
        return SimpleNamespace(labels=vocabulary.text.argmax(axis=1)[encoded])


def test_right_words_are_counted_and_wrong_ones_listed():
    found = everyday_words.right_by_text(FakeSegmenter())
    assert found == {"right": 99, "words": 100, "wrong": [(FakeSegmenter.wrong, "toilet", "sink")]}


def test_labels_by_words_and_forms_are_compared_with_those_by_names():
    label = np.arange(20)
    cloud = LabeledCloud("all", np.stack([label] * 3, axis=1).astype(float), None, label)
    found = everyday_words.figures(FakeSegmenter(), [cloud])
    assert found["miou"]["names"] == 1
    right = [everyday_words.metrics.scores(counts).miou for counts in found_words(cloud)]
    assert found["miou"]["ratio"] == pytest.approx(np.mean(right)) and 0.9 < np.mean(right) < 1
    assert found["agreement"]["article"] == found["agreement"]["capitals"] == found["agreement"]["all"] == 1
    assert f"{FakeSegmenter.wrong}: sink, not toilet" in everyday_words.table({**found})


def found_words(cloud: LabeledCloud) -> np.ndarray:
    return everyday_words.label_as_spoken(FakeSegmenter(), [cloud]).words
