"""The class names that a step of s4token-mini's training is asked by, and their text features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from s4token_model import vocabulary
from s4token_model.config import Config
from s4token_model.constants import SCANNET20
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.procedural.classes import INDOOR, OTHER_FURNITURE, STREET
from s4token_model.training.captions import HELD_OUT, SYNONYMS
from s4token_model.training.related_words import related_words

NAME_CHANCE = 0.65  # that a class goes by its name in a step
STREET_NAMES = ("person", *STREET)


class StepVocabulary(NamedTuple):
    """The class names of a step: K of the C classes and "other furniture"."""

    names: Tensor  # (K,) long, indices into the classes and, as the last one, "other furniture"
    row: Tensor  # (C,) long, the row in `names` that stands for a class, or -1


def synonym_features(clip: FrozenClip, pipeline: Config, classes: tuple[str, ...] = INDOOR) -> list[Tensor]:
    """Text features of each class and of "other furniture": its name, synonyms that are not held out, and kinds."""
    templates = vocabulary.read_templates(pipeline.vocabulary.templates)
    features = []
    for name in (*classes, SCANNET20[19]):
        names = [word for word in SYNONYMS.get(name, (name,)) if word not in HELD_OUT.get(name, ())] or [name]
        names += related_words().get(name, ())
        rows = vocabulary.encode_phrases(names, templates, clip.encode_text)
        features.append(torch.from_numpy(vocabulary.average_templates(rows)))
    return features


def draw_synonyms(features: list[Tensor], rng: np.random.Generator) -> Tensor:
    """(C + 1, E): mostly the feature of the name itself, else of one of its synonyms and kinds."""
    return torch.stack([rows[0 if rng.random() < NAME_CHANCE else int(rng.integers(len(rows)))] for rows in features])


def draw_vocabulary(
    rng: np.random.Generator, classes: tuple[str, ...] = INDOOR, outdoors: bool = False
) -> StepVocabulary:
    """Draw the class names of a step: ScanNet's half of the time, else half of the classes, or all of them.

    Outdoors they are those of streets, and persons. Users ask for some 20 names, not for everything in the scenes.
    Among ScanNet's names, "other furniture" stands for the furniture that has no name of its own.
    """
    chance = 1.0 if outdoors else rng.random()
    if outdoors:
        names = torch.tensor([classes.index(name) for name in STREET_NAMES])
    elif chance < 0.5:
        names = torch.tensor([*range(len(SCANNET20) - 1), len(classes)])
    else:
        names = torch.from_numpy(rng.random(len(classes)) < (0.5 if chance < 0.75 else 1.0)).nonzero().flatten()
    row = torch.full((len(classes) + 1,), -1)
    row[names] = torch.arange(len(names))
    if chance < 0.5:
        row[[classes.index(name) for name in OTHER_FURNITURE]] = len(names) - 1
    return StepVocabulary(names, row[:-1])
