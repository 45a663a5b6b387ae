"""Kinds, parts and other names of the classes: config/prompts/related_words.yaml.

The tokenizer is trained with them, and they tell the text tower which class another word means. None is a class name, a
synonym (synonyms.py) or one of the everyday words that are kept for evaluation, and none contains one of those.
"""

from __future__ import annotations

from functools import cache

from s4token_model import constants, prompts, words
from s4token_model.training.synonyms import SYNONYMS


@cache
def related_words() -> dict[str, tuple[str, ...]]:
    """Return the words of each class."""
    classes = [name for name in SYNONYMS if name != constants.SCANNET20[-1]]
    return prompts.load_words("related_words", classes).words


def words_of_classes() -> dict[str, tuple[str, ...]]:
    """Return the name of each class, its synonyms and its related words, these also as vocabularies ask for them."""
    related = related_words().items()
    asked = {name: [form for word in group for form in (word, words.normalized(word))] for name, group in related}
    return {name: tuple(dict.fromkeys((*SYNONYMS[name], *forms))) for name, forms in asked.items()}
