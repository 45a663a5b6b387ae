"""How frequent trained words are in the scenes of a training."""

import numpy as np
import pytest

from s4token_model.procedural.classes import PROCEDURAL
from s4token_model.training import token_samples
from s4token_model.training.synonyms import TRAINED_WORDS
from s4token_model.training.word_frequencies import frequencies, outdoors


def test_words_have_the_part_of_the_points_of_their_classes_in_rooms_or_on_streets(tmp_path):
    scenes = {
        "a": {"wall": 60, "chair": 30, "sofa": 10},
        "b": {"wall": 40, "nightstand": 20, "person": 40},
        "c": {"road": 80, "person": 15, "car": 5},
    }
    for name, counts in scenes.items():
        label = np.repeat([PROCEDURAL.index(word) for word in counts], list(counts.values())).astype(np.int16)
        token_samples.save_arrays(
            tmp_path / f"{name}.safetensors", {"point_label": np.r_[label, [-1, -1]].astype(np.int16)}
        )
    found = dict(zip(TRAINED_WORDS, frequencies(sorted(tmp_path.glob("*"))), strict=True))
    for word, part in {"wall": 0.5, "couch": 0.05, "road": 0.8, "car": 0.05, "person": 0.2, "bed": 0.0}.items():
        assert found[word] == pytest.approx(part), word
    # Kinds of things count all of them
    assert found["other furniture"] == pytest.approx(0.1) and found["seat"] == pytest.approx(0.2)
    assert frequencies([]).tolist() == [0.0] * len(TRAINED_WORDS)


def test_words_of_streets_name_nothing_in_rooms():
    found = dict(zip(TRAINED_WORDS, outdoors(), strict=True))
    for word in ("road", "automobile", "garden fence", "tree", "vehicle", "other ground"):
        assert found[word], word
    for word in ("wall", "person", "living thing", "plant", "door", "window", "furniture", "other furniture"):
        assert not found[word], word
