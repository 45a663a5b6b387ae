"""The words that a CLIP of ours was trained with, and how far from them another word lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

FILE = "known_words.safetensors"  # beside the weights of the CLIP
TEMPLATE = "a photo of a {}"  # one of the default templates, so that a score costs no run of the text tower
THRESHOLD = 0.9  # measured by scripts/known_words.py


class KnownWords(NamedTuple):
    """Text features of the words that a text tower was trained with, in one template."""

    words: tuple[str, ...]  # K words and phrases
    features: np.ndarray  # (K, E) float32 unit rows
    template: str  # the prompt of the features, with one {}
    threshold: float  # words with a lower score are unknown

    def score(self, features: np.ndarray) -> np.ndarray:
        """Return (C,) float32 in [-1, 1], the largest cosine of unit rows (C, E), of the same template, with ours."""
        return (features.astype(np.float32) @ self.features.T).max(axis=1)


def encode(words: Sequence[str], encode_text: Callable[[list[str]], np.ndarray]) -> KnownWords:
    """Encode words by a text tower, `encode_text`: texts -> (K, E) unit rows."""
    features = encode_text([TEMPLATE.replace("{}", word) for word in words])
    return KnownWords(tuple(words), features.astype(np.float32), TEMPLATE, THRESHOLD)


def save(directory: Path, known: KnownWords) -> None:
    """Write known words beside the weights of their CLIP, features as float16."""
    metadata = {"words": json.dumps(known.words), "template": known.template, "threshold": str(known.threshold)}
    content = safetensors.numpy.save({"features": known.features.astype(np.float16)}, metadata)
    (directory / FILE).write_bytes(content)


def load(directory: Path | None) -> KnownWords | None:
    """Read the known words of the CLIP in a directory; None if it has none, as CLIPs trained elsewhere."""
    if directory is None or not (directory / FILE).is_file():
        return None
    try:
        with safetensors.safe_open(directory / FILE, "numpy") as file:
            features, metadata = file.get_tensor("features").astype(np.float32), file.metadata()
        words = tuple(json.loads(metadata["words"]))
        return KnownWords(words, features, metadata["template"], float(metadata["threshold"]))
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"cannot read {directory / FILE}: {error}; the checkpoint is damaged, copy it again"
        ) from error
