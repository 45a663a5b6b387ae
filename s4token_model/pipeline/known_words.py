"""The words that a CLIP of ours was trained with, how far from them another word lies, and how frequent they are."""

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
OF_WORDS = ("frequency", "outdoors")  # arrays that the file may lack
RARE = 1e-3  # added to frequencies, so that a word that was never seen is not ruled out
THRESHOLD = 0.9  # of a text tower that learned from captions; measured by scripts/known_words.py


class KnownWords(NamedTuple):
    """Text features of the words that a text tower was trained with, in one template."""

    words: tuple[str, ...]  # K words and phrases
    features: np.ndarray  # (K, E) float32 unit rows
    template: str  # the prompt of the features, with one {}
    threshold: float  # words with a lower score are unknown
    frequency: np.ndarray | None = None  # (K,) float32, the fraction of the tokenizer's training that a word names
    outdoors: np.ndarray | None = None  # (K,) bool, whether a word names only what is on streets

    def score(self, features: np.ndarray) -> np.ndarray:
        """Return (C,) float32 in [-1, 1], the largest cosine of unit rows (C, E), of the same template, with ours."""
        return self.nearest(features)[0]

    def nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `score`, and the row (C,) of the word that has this cosine."""
        cosines = features.astype(np.float32) @ self.features.T
        return cosines.max(axis=1), cosines.argmax(axis=1)

    def fraction_outdoors(self, features: np.ndarray) -> float:
        """Return the fraction of unit rows (N, E) whose nearest known word is of streets; 0 without a record."""
        if self.outdoors is None or not len(features):
            return 0.0
        return float(self.outdoors[self.nearest(features)[1]].mean())

    def log_prior(self, score: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        """Return (C,) float32, the logarithm of how frequent the `nearest` words are, against the mean of all.

        0 for words whose `score` is below the threshold, and for all without a record of frequencies.
        """
        if self.frequency is None:
            return np.zeros(len(score), np.float32)
        log = np.log(self.frequency + RARE)
        return np.where(score >= self.threshold, (log - log.mean())[nearest], 0).astype(np.float32)


def encode(
    words: Sequence[str], encode_text: Callable[[list[str]], np.ndarray], threshold: float = THRESHOLD
) -> KnownWords:
    """Encode words by a text tower, `encode_text`: texts -> (K, E) unit rows."""
    features = encode_text([TEMPLATE.replace("{}", word) for word in words])
    return KnownWords(tuple(words), features.astype(np.float32), TEMPLATE, threshold)


def encode_again(
    words: Sequence[str], encode_text: Callable[[list[str]], np.ndarray], before: KnownWords | None
) -> KnownWords:
    """Encode words by a text tower whose known words were `before`: what else is known of them stays as it is."""
    known = encode(words, encode_text, before.threshold if before else THRESHOLD)
    same = before is not None and before.words == known.words
    return known._replace(frequency=before.frequency, outdoors=before.outdoors) if same else known


def save(directory: Path, known: KnownWords) -> None:
    """Write known words beside the weights of their CLIP, features as float16."""
    metadata = {"words": json.dumps(known.words), "template": known.template, "threshold": str(known.threshold)}
    arrays = {"features": known.features.astype(np.float16)}
    for name in OF_WORDS:
        if (values := getattr(known, name)) is not None:
            arrays[name] = values
    with atomic.file(directory / FILE) as file:
        file.write(safetensors.numpy.save(arrays, metadata))


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
            frequency, outdoors = (file.get_tensor(k) if k in file.keys() else None for k in OF_WORDS)
        if not np.isfinite(features).all():
            raise ValueError("features that are not finite")
        if frequency is not None and not (
            frequency.shape == (len(words),) and ((frequency >= 0) & (frequency <= 1)).all()
        ):
            raise ValueError(f"frequencies that are not {len(words)} numbers in [0, 1]")
        if outdoors is not None and (outdoors.shape, outdoors.dtype) != ((len(words),), np.bool_):
            raise ValueError(f"{outdoors.dtype} {outdoors.shape} for {len(words)} words of streets or others")
        return KnownWords(tuple(words), features, template, threshold, frequency, outdoors)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}; the checkpoint is damaged, copy it again") from error
