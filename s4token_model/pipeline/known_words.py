"""The words that a CLIP of ours was trained with, and how far from them another word lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from s4token_model import atomic, bounded_files

FILE = "known_words.safetensors"  # beside the weights of the CLIP
TEMPLATE = "a photo of a {}"  # one of the default templates, so that a score costs no run of the text tower
LIMIT = 256 << 20  # bytes of the file
THRESHOLD = 0.9  # of a text tower that learned from captions; measured by scripts/known_words.py


class KnownWords(NamedTuple):
    """Text features of the words that a text tower was trained with, in one template."""

    words: tuple[str, ...]  # K words and phrases
    features: np.ndarray  # (K, E) float32 unit rows
    template: str  # the prompt of the features, with one {}
    threshold: float  # words with a lower score are unknown

    def score(self, features: np.ndarray) -> np.ndarray:
        """Return (C,) float32 in [-1, 1], the largest cosine of unit rows (C, E), of the same template, with ours."""
        return (features.astype(np.float32) @ self.features.T).max(axis=1)


def encode(
    words: Sequence[str], encode_text: Callable[[list[str]], np.ndarray], threshold: float = THRESHOLD
) -> KnownWords:
    """Encode words by a text tower, `encode_text`: texts -> (K, E) unit rows."""
    features = encode_text([TEMPLATE.replace("{}", word) for word in words])
    return KnownWords(tuple(words), features.astype(np.float32), TEMPLATE, threshold)


def encode_again(
    words: Sequence[str], encode_text: Callable[[list[str]], np.ndarray], before: KnownWords | None
) -> KnownWords:
    """Encode words by a text tower whose known words were `before`: the threshold stays as it is."""
    return encode(words, encode_text, before.threshold if before else THRESHOLD)


def save(directory: Path, known: KnownWords) -> None:
    """Write known words beside the weights of their CLIP, features as float16."""
    metadata = {"words": json.dumps(known.words), "template": known.template, "threshold": str(known.threshold)}
    with atomic.file(directory / FILE) as file:
        file.write(safetensors.numpy.save({"features": known.features.astype(np.float16)}, metadata))


def load(directory: Path | None, dim: int | None = None) -> KnownWords | None:
    """Read the known words of the CLIP in a directory, with features of `dim`; None for CLIPs trained elsewhere."""
    if directory is None:
        return None
    path = bounded_files.inside(directory, FILE)
    if not path.exists():
        return None
    try:
        bounded_files.check_regular(path, LIMIT)
        with safetensors.safe_open(path, "numpy") as file:
            shape = tuple(file.get_slice("features").get_shape())
            metadata = file.metadata()
            words, threshold = bounded_files.parse_json(metadata["words"], "words"), float(metadata["threshold"])
            template = metadata["template"]
            if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
                raise ValueError("its words are no list of texts")
            if not words or len(shape) != 2 or shape != (len(words), dim or shape[1]):
                raise ValueError(f"features {shape} for {len(words)} words and {dim} dimensions")
            if template.count("{}") != 1 or not -1 <= threshold <= 1:
                raise ValueError("a wrong template or threshold")
            features = file.get_tensor("features").astype(np.float32)
        if not np.isfinite(features).all():
            raise ValueError("features that are not finite")
        return KnownWords(tuple(words), features, template, threshold)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}; the checkpoint is damaged, copy it again") from error
