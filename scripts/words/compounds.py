"""Compounds that WordNet does not have, such as "bathroom shelf": what rooms and uses add to the names of things."""

from __future__ import annotations

from s4token_model.procedural.classes import INDOOR
from s4token_model.training.synonyms import SYNONYMS

MODIFIERS = tuple(
    "kitchen bathroom bedroom office garden hotel school hospital library restaurant hallway garage laundry nursery "
    "balcony classroom wall floor corner ceiling roof side front shower bath toilet sleeping dining reading writing "
    "study work working storage display wine book shoe coat tool toy linen food dish tea water hand wash guest child "
    "baby bar banquet conference meeting reception computer television music sewing camping picnic patio bedside "
    "built-in wall-mounted wardrobe sliding folding rolling hanging roller roll-up serving cooking".split()
)


def compounds(taken: frozenset[str]) -> dict[str, str]:
    """Return {compound: head} for all class names and synonyms of one word, but compounds in `taken`."""
    heads = [word for name in INDOOR for word in SYNONYMS[name] if " " not in word]
    pairs = {f"{modifier} {head}": head for head in heads for modifier in MODIFIERS if modifier != head}
    return {phrase: head for phrase, head in pairs.items() if phrase not in taken}
