"""Which words of WordNet the text tower is taught, in which of their senses, and how often each is drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model import prompts
from s4token_model import words as phrases
from s4token_model.constants import SCANNET20
from s4token_model.procedural.classes import PROCEDURAL
from s4token_model.training.related_words import words_of_classes
from s4token_model.training.synonyms import HYPERNYMS, SYNONYMS
from scripts.words.compounds import compounds
from scripts.words.wordnet import ARTIFACT, PHYSICAL, Nouns

# Which sense a class name has, where it is not the first one of a thing; counted from 1
SENSES = {"toilet": 2, "plant": 2, "television": 3, "monitor": 3, "column": 7, "person": 1, "vegetation": 1, "lamp": 2}
SENSES |= {"radiator": 2, "ottoman": 3}
MAX_WORDS = 3  # of a noun
MAX_DEFINITION = 14  # words
OTHERS_MAX_WORDS = 2  # of what is no artifact
RANKS = frozenset("genus family order class phylum division kingdom subfamily suborder superfamily tribe".split())


class Selection(NamedTuple):
    """Words with what they stand for."""

    words: tuple[str, ...]  # K, class names and their synonyms first
    definitions: dict[int, str]  # "lemma: definition" by synset
    synsets: tuple[int, ...]  # all that the words and definitions are of
    classes: dict[str, str]  # the class of every synonym and kind
    weights: np.ndarray  # (K,) how often each word is drawn
    domain_weights: np.ndarray  # (K,) how much each counts for what the joint space shows


def select(nouns: Nouns, left_out: frozenset[str] = frozenset()) -> Selection:
    """Choose all artifacts, other things of one or two words, and frequent ideas, but not the words in `left_out`."""
    related = [(word, name) for name, words in words_of_classes().items() for word in words]
    classes = {word: name for word, name in related if word == name or word not in left_out}
    put_together = compounds(frozenset(nouns.senses) | frozenset(classes) | left_out | everyday_words())
    words = dict.fromkeys([*PROCEDURAL, *classes, *HYPERNYMS, "other furniture", *put_together])
    synsets = {}
    for key, synset in nouns.synsets.items():
        limit = MAX_WORDS if synset.file == ARTIFACT else OTHERS_MAX_WORDS if synset.file in PHYSICAL else 1
        lemmas = [lemma for lemma in synset.lemmas if _is_plain(lemma) and len(lemma.split()) <= limit]
        if synset.file not in PHYSICAL:
            lemmas = [lemma for lemma in lemmas if lemma in nouns.frequent]
        words |= dict.fromkeys(lemma for lemma in lemmas if lemma not in left_out)
        if lemmas:
            synsets[key] = synset
    definitions = {
        key: f"{synset.lemmas[0]}: {synset.gloss}" for key, synset in synsets.items() if synset.file == ARTIFACT
    }
    domain = kinds_of_classes(nouns)
    artifacts = {key for key, synset in nouns.synsets.items() if synset.file == ARTIFACT}
    names = {word for group in SYNONYMS.values() for word in group}
    weights = [
        _weight(word in names, word in classes or _is_of(nouns, word, domain), _is_of(nouns, word, artifacts))
        for word in words
    ]
    counts = [
        8.0 if word in classes else 2.0 if _is_of(nouns, word, domain) else 0.2 * _is_of(nouns, word, artifacts)
        for word in words
    ]
    return Selection(tuple(words), definitions, tuple(synsets), classes, np.array(weights), np.array(counts))


def everyday_words() -> frozenset[str]:
    """The words that are kept for evaluation, as the text tower gets them."""
    kept = prompts.load_words("everyday_words", SCANNET20[:-1]).words.values()
    return frozenset(phrases.normalized(word) for group in kept for word in group)


def class_sense(nouns: Nouns, name: str) -> int | None:
    """The synset of a class name; None if WordNet does not have it."""
    senses = nouns.senses.get(name, ())
    if senses and name in SENSES:
        return senses[SENSES[name] - 1]
    return next((key for key in senses if nouns.synsets[key].file == ARTIFACT), senses[0] if senses else None)


def sense_weights(nouns: Nouns, word: str, domain: set[int]) -> dict[int, float]:
    """Weights of a word's synsets, of a class name the one that is meant; `domain` and frequent ones count more."""
    if word in PROCEDURAL:
        key = class_sense(nouns, word)
        return {} if key is None else {key: 1.0}
    found = {}
    for rank, key in enumerate(nouns.senses.get(word, ()), start=1):
        file = nouns.synsets[key].file
        found[key] = (12.0 if key in domain else 4.0 if file == ARTIFACT else 1.0 if file in PHYSICAL else 0.25) / rank
    return found


def kinds_of_classes(nouns: Nouns) -> set[int]:
    """Synsets of what stands in rooms and on streets: the kinds of the classes, but few of people and plants."""
    found: set[int] = set()
    for name in PROCEDURAL:
        key = class_sense(nouns, name)
        if key is not None and name not in ("person", "plant"):
            found |= set(nouns.descendants(key))
    return found


def _weight(is_name: bool, is_domain: bool, is_artifact: bool) -> float:
    """How often a word is drawn, beside 1 for any."""
    return 40.0 if is_name else 6.0 if is_domain else 2.0 if is_artifact else 1.0


def _is_of(nouns: Nouns, word: str, keys: set[int]) -> bool:
    return any(key in keys for key in nouns.senses.get(word, ())[:3])


def _is_plain(lemma: str) -> bool:
    """Whether a lemma is written in letters, blanks and hyphens, and neither a letter nor the Latin name of a taxon."""
    letters = lemma.replace(" ", "").replace("-", "").replace("'", "")
    return len(lemma) > 1 and letters.isalpha() and lemma.split()[0] not in RANKS
