"""Compounds that WordNet does not have, such as "bathroom shelf": how users may put names of things together."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.classes import INDOOR
from s4token_model.training.related_words import related_words
from s4token_model.training.synonyms import SYNONYMS

MODIFIERS = tuple(
    "kitchen bathroom bedroom office garden hotel school hospital library restaurant hallway garage laundry nursery "
    "balcony classroom wall floor corner ceiling roof side front shower bath toilet sleeping dining reading writing "
    "study work working storage display wine book shoe coat tool toy linen food dish tea water hand wash guest child "
    "baby bar banquet conference meeting reception computer television music sewing camping picnic patio bedside "
    "built-in wall-mounted wardrobe sliding folding rolling hanging roller roll-up serving cooking".split()
)
CROSSED = 20_000  # first words of related words that are drawn before last words of others


def compounds(taken: frozenset[str]) -> tuple[str, ...]:
    """Return modifiers before names of one word, and crossed related words: "fire door", "bar stool" -> "bar door".

    Those in `taken` are left out, in any spelling.
    """
    heads = [word for name in INDOOR for word in SYNONYMS[name] if " " not in word]
    pairs = [(modifier, head) for head in heads for modifier in MODIFIERS]
    parts = [phrase.split() for name in INDOOR for phrase in related_words()[name] if " " in phrase]
    rng = np.random.default_rng(0)
    crossed = ((parts[j][0], parts[k][-1]) for j, k in rng.integers(len(parts), size=(CROSSED, 2)))
    pairs += [(first, last) for first, last in crossed if first.isalpha()]
    phrases = dict.fromkeys(f"{modifier} {head}" for modifier, head in pairs if modifier != head)
    letters = {_letters(phrase) for phrase in taken}
    return tuple(phrase for phrase in phrases if _letters(phrase) not in letters)


def _letters(phrase: str) -> str:
    return phrase.replace(" ", "").replace("-", "")
