"""Texts that teach a text tower what words mean, and the feature that each should get.

A noun keeps its feature in the plural, with adjectives and in any template: labels must not depend on how the same
thing is asked for. Nonsense gets a feature of its own, far from all words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import safetensors
import safetensors.numpy

from s4token_model import atomic, bounded_files
from s4token_model.training.captions import TEMPLATES
from s4token_model.training.synonyms import plural
from s4token_model.words import normalized

LIMIT = 256 << 20  # bytes of a file of taught words
STEPS = 127  # of a component in [0, 1] in the file
ASKED = ("a {}", "the {}", "a photo of a {}", "a {} in a room", "a 3d scan of a {}")  # as vocabularies ask
ADJECTIVES = tuple(
    "small large big little tall low long short wide narrow thin thick tiny huge giant deep flat high heavy "
    "red blue green yellow orange purple pink white black grey gray brown beige dark bright pale golden silver "
    "cream turquoise colorful striped patterned plain wooden metal fabric leather plastic glass stone ceramic marble "
    "paper wicker steel iron brass concrete velvet linen cotton rubber round square rectangular oval curved straight "
    "pointed old new ancient antique modern vintage classic traditional contemporary used broken damaged cracked dirty "
    "clean dusty shiny rusty worn shabby empty full open closed nearby distant nice beautiful ugly cheap expensive "
    "elegant simple fancy ordinary typical usual cozy comfortable soft hard smooth rough warm cold wet dry my your our "
    "first second last next left right other upholstered padded painted polished portable folding adjustable movable "
    "sturdy solid hollow single double upper lower front rear".split()
)
PLURAL, ADJECTIVE, SECOND_ADJECTIVE, TEMPLATE, NONSENSE = 0.2, 0.4, 0.25, 0.7, 0.1  # chances
USUAL = 0.6  # chance that an adjective is one of ADJECTIVES
NONSENSE_TEXTS = 10000
PARTS = 4  # of a batch, by length
START, END = 49406, 49407  # of CLIP's tokenizer


class TaughtWords(NamedTuple):
    """Nouns and descriptions with the features that a text tower shall give them."""

    texts: tuple[str, ...]  # K, first the nouns
    nouns: int  # how many of them are nouns
    weights: np.ndarray  # (K,) float32, how often each is drawn
    features: np.ndarray  # (K, E) float32 unit rows
    unknown: np.ndarray  # (E,) float32, the feature of nonsense
    adjectives: tuple[str, ...] = ()  # beside ADJECTIVES, none of which changes a feature

    def rows(self) -> dict[str, int]:
        """The row of each noun."""
        return {text: k for k, text in enumerate(self.texts[: self.nouns])}


class Pieces(NamedTuple):
    """Token ids of parts of texts."""

    ids: np.ndarray  # (P, L) int64, 0 behind the end
    count: np.ndarray  # (P,) how many there are of each


class TextTables(NamedTuple):
    """What texts are put together from."""

    before: Pieces  # what stands before the words in a template; the first template is empty
    after: Pieces
    adjectives: Pieces  # the first is empty
    texts: Pieces  # the taught texts, then the plurals of the nouns, then nonsense


class TextBatch(NamedTuple):
    """Token ids of texts, cut to the longest, and their features."""

    ids: np.ndarray  # (B, L) int64, 0 behind the end, shortest texts first
    features: np.ndarray  # (B, E) float32

    def lengths(self) -> tuple[int, ...]:
        """The longest text of each of PARTS equal parts of the batch, in tokens."""
        return tuple(int((part > 0).sum(axis=1).max()) for part in np.array_split(self.ids, PARTS))


def save(path: Path, taught: TaughtWords) -> None:
    """Write taught words, features as 8-bit integers."""
    tensors = {"features": np.rint(STEPS * taught.features).astype(np.int8), "weights": taught.weights}
    tensors["unknown"] = taught.unknown.astype(np.float32)
    metadata = {"texts": json.dumps(taught.texts), "nouns": str(taught.nouns)}
    metadata["adjectives"] = json.dumps(taught.adjectives)
    with atomic.file(path) as file:
        file.write(safetensors.numpy.save(tensors, metadata))


def read(path: Path, dim: int) -> TaughtWords:
    """Read taught words with features of `dim` dimensions; ValueError says what is wrong with the file."""
    try:
        bounded_files.check_regular(path, LIMIT)
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata()
            features, weights, unknown = (file.get_tensor(name) for name in ("features", "weights", "unknown"))
            texts, nouns = bounded_files.parse_json(metadata["texts"], "texts"), int(metadata["nouns"])
            adjectives = bounded_files.parse_json(metadata["adjectives"], "adjectives")
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {error}; make it again, see docs/train.md") from error
    if features.shape != (len(texts), dim) or unknown.shape != (dim,) or weights.shape != (len(texts),):
        raise ValueError(f"{path} has features {features.shape} of {len(texts)} texts; the CLIP has {dim} dimensions")
    features = features.astype(np.float32)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1)
    return TaughtWords(tuple(texts), nouns, weights, features, unknown, tuple(adjectives))


def make_tables(taught: TaughtWords, tokenizer: open_clip.SimpleTokenizer, length: int) -> TextTables:
    """Tokenize everything that texts of at most `length` tokens are put together from."""
    templates = [*ASKED, *TEMPLATES, *(template.replace("{}", "a {}") for template in TEMPLATES)]
    sides = zip(*(template.split("{}") for template in ("{}", *templates)), strict=True)
    rng = np.random.default_rng(0)
    plurals = [plural(noun) if noun == normalized(noun) else noun for noun in taught.texts[: taught.nouns]]
    texts = [*taught.texts, *plurals, *(nonsense(tokenizer, rng) for _ in range(NONSENSE_TEXTS))]
    return TextTables(
        *(tokenized(list(side), tokenizer, length) for side in sides),
        tokenized(["", *ADJECTIVES, *taught.adjectives], tokenizer, length),
        tokenized(texts, tokenizer, length - 2),
    )


def tokenized(texts: list[str], tokenizer: open_clip.SimpleTokenizer, length: int) -> Pieces:
    """Token ids of texts, without start and end, at most `length` of each."""
    rows = [tokenizer.encode(text)[:length] for text in texts]
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for k, row in enumerate(rows):
        ids[k, : len(row)] = row
    return Pieces(ids, np.array([len(row) for row in rows]))


def draw(taught: TaughtWords, tables: TextTables, length: int, size: int, rng: np.random.Generator) -> TextBatch:
    """Draw a batch of `size` texts of at most `length` tokens, the shortest first.

    Nouns come in the plural, with adjectives and in templates, descriptions as they are, nonsense in templates.
    """
    chosen = rng.choice(len(taught.texts), size, p=taught.weights / taught.weights.sum())
    features, row, is_noun = taught.features[chosen], chosen.copy(), chosen < taught.nouns
    in_plural = is_noun & (rng.random(size) < PLURAL)
    row[in_plural] += len(taught.texts)
    senseless = rng.random(size) < NONSENSE
    row[senseless] = len(taught.texts) + taught.nouns + rng.integers(NONSENSE_TEXTS, size=senseless.sum())
    features[senseless] = taught.unknown
    # Template 0 and adjective 0 are empty
    template = rng.integers(1, len(tables.before.count), size=size) * (rng.random(size) < TEMPLATE)
    asked = (template > 0) & (rng.random(size) < 0.5)
    template[asked] = rng.integers(1, 1 + len(ASKED), size=asked.sum())
    adjectives = rng.integers(1, len(tables.adjectives.count), size=(2, size))
    usual = rng.random((2, size)) < USUAL
    adjectives[usual] = rng.integers(1, 1 + len(ADJECTIVES), size=usual.sum())
    adjectives *= is_noun & ~senseless & (rng.random(size) < ADJECTIVE)
    adjectives[1] *= rng.random(size) < SECOND_ADJECTIVE
    parts = [(tables.before, template), *((tables.adjectives, rows) for rows in adjectives)]
    parts += [(tables.texts, row), (tables.after, template)]
    # What would be too long, and descriptions, stand alone
    total = 2 + sum(pieces.count[rows] for pieces, rows in parts)
    alone = (total > length) | ~(is_noun | senseless)
    parts = [(pieces, np.where(alone & (pieces is not tables.texts), 0, rows)) for pieces, rows in parts]
    ids = joined(parts, size)
    order = np.argsort((ids > 0).sum(axis=1), kind="stable")
    return TextBatch(ids[order], features[order])


def taught_batch(taught: TaughtWords, tables: TextTables) -> TextBatch:
    """Every taught text once, as it is."""
    count = len(taught.texts)
    return TextBatch(joined([(tables.texts, np.arange(count))], count), taught.features)


def appended(first: TextBatch, second: TextBatch) -> TextBatch:
    """The texts of two batches, in no order of their lengths."""
    length = max(batch.ids.shape[1] for batch in (first, second))
    ids = [np.pad(batch.ids, ((0, 0), (0, length - batch.ids.shape[1]))) for batch in (first, second)]
    return TextBatch(np.concatenate(ids), np.concatenate([first.features, second.features]))


def joined(parts: list[tuple[Pieces, np.ndarray]], size: int) -> np.ndarray:
    """Token ids (B, L) of the given rows of pieces, one after another, between those of start and end."""
    counts = sum(pieces.count[rows] for pieces, rows in parts)
    ids, at, every = np.zeros((size, 2 + counts.max()), np.int64), np.ones(size, np.int64), np.arange(size)
    ids[:, 0] = START
    for pieces, rows in parts:
        for column in range(pieces.ids.shape[1]):
            held = column < pieces.count[rows]
            ids[every[held], at[held] + column] = pieces.ids[rows[held], column]
        at += pieces.count[rows]
    ids[every, at] = END
    return ids


def nonsense(tokenizer: open_clip.SimpleTokenizer, rng: np.random.Generator) -> str:
    """Random letters, or random pieces of words of any language."""
    if rng.random() < 0.4:
        return "".join(chr(ord("a") + k) for k in rng.integers(26, size=rng.integers(3, 12)))
    pieces = rng.integers(512, START, size=rng.integers(2, 5)).tolist()
    return tokenizer.decode(pieces).replace(" ", "")
