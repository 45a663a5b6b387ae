"""How much of the training scenes each trained word stands for, and whether of streets only: see KnownWords."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from s4token_model.procedural.classes import INDOOR, OTHER_FURNITURE, PROCEDURAL
from s4token_model.training import token_samples
from s4token_model.training.procedural_samples import is_outdoors
from s4token_model.training.synonyms import CLASS_OF, HYPERNYMS, TRAINED_WORDS

# The classes that each of TRAINED_WORDS may name
NAMED = {word: (name,) for word, name in CLASS_OF.items()} | {"other furniture": OTHER_FURNITURE} | HYPERNYMS


def outdoors() -> np.ndarray:
    """Return (K,) bool, which of TRAINED_WORDS name only what is on streets."""
    return np.array([set(NAMED[word]).isdisjoint(INDOOR) for word in TRAINED_WORDS])


def frequencies(paths: Iterable[Path]) -> np.ndarray:
    """Return (K,) float32, the fraction of the labeled points of the samples that each of TRAINED_WORDS may name.

    Of the points in rooms or of those in streets, whichever is larger: who asks for cars is on a street.
    """
    rooms, streets = np.zeros(len(PROCEDURAL)), np.zeros(len(PROCEDURAL))
    for path in paths:
        label = token_samples.load_arrays(path, lambda key: key == "point_label")["point_label"]
        counts = streets if is_outdoors(label) else rooms
        counts += np.bincount(label[label >= 0], minlength=len(PROCEDURAL))
    fraction = np.maximum(*(counts / max(1.0, counts.sum()) for counts in (rooms, streets)))
    by_class = dict(zip(PROCEDURAL, fraction, strict=True))
    return np.array([sum(by_class[name] for name in NAMED[word]) for word in TRAINED_WORDS], np.float32)
