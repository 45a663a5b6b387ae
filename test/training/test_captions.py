"""Captions are true, varied, and English."""

from __future__ import annotations

import re

import numpy as np
import pytest

from s4token_model.procedural.classes import PROCEDURAL
from s4token_model.procedural.types import Instance
from s4token_model.training import captions, synonyms


def thing(name, low, high, attributes=()):
    return Instance(name, attributes, np.array(low, dtype=float), np.array(high, dtype=float))


TABLE = thing("table", (0, 0, 0), (1.2, 0.7, 0.75))
ON_TABLE = thing("lamp", (0.5, 0.3, 0.75), (0.7, 0.5, 1.1), ("red",))


def test_every_class_has_words_and_no_word_stands_for_two_classes():
    assert set(PROCEDURAL) <= set(synonyms.SYNONYMS)
    said = [word for group in synonyms.SYNONYMS.values() for word in group]
    assert len(said) == len(set(said))
    assert all(name == group[0] for name, group in synonyms.SYNONYMS.items())


def test_held_out_words_are_synonyms_but_no_class_names():
    for name, group in synonyms.HELD_OUT.items():
        assert set(group) <= set(synonyms.SYNONYMS[name][1:])
        assert not set(group) & set(PROCEDURAL)


def test_general_words_cover_known_classes():
    members = {name for group in synonyms.HYPERNYMS.values() for name in group}
    assert members <= set(PROCEDURAL)
    assert not set(synonyms.HYPERNYMS) & {word for group in synonyms.SYNONYMS.values() for word in group}


def test_there_are_twenty_templates_with_one_slot_each():
    assert len(set(captions.TEMPLATES)) >= 20
    assert all(template.count("{}") == 1 for template in captions.TEMPLATES)


@pytest.mark.parametrize("name", PROCEDURAL)
def test_a_caption_names_its_object_and_says_nothing_untrue(name):
    rng = np.random.default_rng(3)
    known = synonyms.SYNONYMS[name] + tuple(word for word, group in synonyms.HYPERNYMS.items() if name in group)
    for _ in range(30):
        text = captions.caption(name, ("red", "wooden"), rng)
        assert any(word in text for word in known), text
        assert "blue" not in text and "metal" not in text


def test_captions_have_articles_that_agree():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        text = captions.caption(str(rng.choice(PROCEDURAL)), ("orange", "old", "wooden"), rng)
        assert not re.search(r"\ba [aeio]", text), text
        assert not re.search(r"\ban [^aeiou]", text), text
        assert not re.search(r"\ban? (clothes|stairs|blinds|shoes|books)\b", text), text
        assert "  " not in text


def test_adjectives_stand_in_english_order():
    rng = np.random.default_rng(1)
    said = {
        captions.noun_phrase("table", ("wooden", "red", "with drawers", "small", "round"), rng, synonyms=0)
        for _ in range(300)
    }
    assert "a small round red table" in said
    assert "a red wooden table with drawers" in said
    assert not any("wooden red" in text or "red small" in text for text in said)


def test_synonyms_held_out_words_and_general_words_all_occur():
    rng = np.random.default_rng(2)
    text = " | ".join(captions.caption("sofa", (), rng, hypernyms=0.2) for _ in range(300))
    assert all(word in text for word in ("sofa", "couch", "settee", "furniture", "seat"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("chair", "chairs"), ("shelf", "shelves"), ("box", "boxes"), ("bench", "benches"), ("person", "people"),
        ("lavatory", "lavatories"), ("clothes", "clothes"), ("trash can", "trash cans"),
    ],
)  # fmt: skip
def test_plurals(word, expected):
    assert synonyms.plural(word) == expected


def test_counted_objects_take_the_plural():
    phrase = captions.noun_phrase("chair", ("red",), np.random.default_rng(0), count=2, synonyms=0)
    assert phrase in ("two chairs", "two red chairs")


def test_a_scene_caption_counts_and_names_the_room():
    rng = np.random.default_rng(0)
    texts = [captions.scene_caption(["wall", "floor", "bed", "lamp", "chair", "chair"], rng) for _ in range(50)]
    assert any("bedroom" in text for text in texts)
    assert all("two chairs" in text and " and " in text for text in texts)
    assert not any("wall" in text or "floor" in text for text in texts)
    assert captions.scene_caption([], rng) == "an empty room"


def test_relations_follow_from_bounds():
    assert captions.relation(ON_TABLE, TABLE) == ("a lamp on a table", "a lamp on top of a table")
    assert captions.relation(TABLE, ON_TABLE) == ()
    assert "a chair beside a table" in captions.relation(thing("chair", (1.4, 0, 0), (1.8, 0.5, 0.9)), TABLE)
    assert captions.relation(thing("chair", (4, 0, 0), (4.5, 0.5, 0.9)), TABLE) == ()
    assert captions.relation(thing("lamp", (0.5, 0.3, 1.6), (0.7, 0.5, 2.0)), TABLE) == ("a lamp above a table",)
    assert "a box under a table" in captions.relation(thing("box", (0.3, 0.2, 0), (0.6, 0.5, 0.3)), TABLE)
    bed = thing("bed", (0, 0, 0), (1.6, 2.1, 1.0))
    assert captions.relation(thing("pillow", (0.2, 1.6, 0.5), (0.7, 2.0, 0.62)), bed) == ("a pillow on a bed",)
    case = thing("bookshelf", (0, 0, 0), (0.9, 0.4, 1.8))
    assert captions.relation(thing("books", (0.1, 0.1, 0.5), (0.3, 0.3, 0.7)), case) == ("books in a bookshelf",)
    wall = thing("wall", (0, 0, 0), (5, 4, 2.6))
    assert captions.relation(thing("picture", (1, 0, 1.2), (1.6, 0.03, 1.7)), wall) == ("a picture on a wall",)
    assert captions.relation(wall, TABLE) == ()


def test_relations_with_a_generator_vary_but_keep_the_attribute_true():
    rng = np.random.default_rng(0)
    said = {text for _ in range(100) for text in captions.relation(ON_TABLE, TABLE, rng)}
    assert len(said) > 5
    assert any("red" in text for text in said)


def test_same_seed_same_caption():
    first, second = (captions.caption("bed", ("large",), np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_an_unknown_class_is_refused_with_the_fix():
    with pytest.raises(ValueError, match=r"'unicorn'.*synonyms\.py"):
        captions.caption("unicorn", (), np.random.default_rng(0))
