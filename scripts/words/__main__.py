"""Make the file that teaches the text tower: python -m scripts.words --wordnet DIR --minilm DIR --out FILE

Nouns of WordNet get the features of a small sentence encoder, smoothed over WordNet's graph; docs/train.md says where
both come from. Nothing of this is needed to run s4token, or to train it with the text tower that it comes with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from s4token_model import command_line
from s4token_model.training import word_texts
from scripts.words import geometry, wordnet
from scripts.words.selection import Selection, kinds_of_classes, select, sense_weights

DIM = 128  # of the joint space
OWN = 0.25  # of a word's own feature, against those of its senses
DRAWN = 0.5  # of a class name's feature in its synonyms and kinds
DESCRIBED = 0.5  # how often a definition is drawn, beside 1 for a word


def main(arguments: list[str] | None = None) -> None:
    """Encode, smooth, project and write."""
    parser = argparse.ArgumentParser(prog="scripts.words", description=__doc__.splitlines()[0])
    parser.add_argument("--wordnet", type=Path, required=True, help="folder with data.noun, index.noun and index.adj")
    parser.add_argument("--minilm", type=Path, required=True, help="folder where both packages are installed")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--without", type=Path, metavar="FILE", help="words, one per line, that are left out")
    options = parser.parse_args(arguments)
    from scripts.words.sentence_encoder import SentenceEncoder  # onnxruntime is nobody else's requirement

    left_out = frozenset(options.without.read_text(encoding="utf-8").splitlines()) if options.without else frozenset()
    nouns = wordnet.read(options.wordnet)
    selection = select(nouns, left_out)
    encoder = SentenceEncoder(options.minilm)
    features = encoder.encode([*selection.words, *selection.definitions.values()])
    adjectives = [word for word in wordnet.read_adjectives(options.wordnet) if word not in selection.classes]
    taught = teach(nouns, selection, features)._replace(adjectives=tuple(adjectives))
    word_texts.save(options.out, taught)
    print(f"wrote {len(taught.texts)} texts, {taught.nouns} of them nouns, to {options.out}")


def teach(nouns: wordnet.Nouns, selection: Selection, features: np.ndarray) -> word_texts.TaughtWords:
    """Features (T, D) of the selected words, then definitions -> what the text tower shall learn."""
    words, defined = selection.words, list(selection.definitions)
    of_word, of_definition = features[: len(words)], features[len(words) :]
    # Synsets: the mean of their words, and their definition, smoothed over the graph
    row = {word: k for k, word in enumerate(words)}
    position = {key: k for k, key in enumerate(selection.synsets)}
    of_synset = np.zeros((len(position), features.shape[1]), np.float32)
    for key, k in position.items():
        rows = [row[lemma] for lemma in nouns.synsets[key].lemmas if lemma in row]
        of_synset[k] = of_word[rows].mean(axis=0) if rows else 0
    defined_rows = [position[key] for key in defined]
    of_synset[defined_rows] += of_definition
    of_synset = geometry.smooth(nouns, selection.synsets, geometry.unit(of_synset))
    # Words: their own feature and those of their senses; synonyms and kinds of a class are drawn to its name
    meant = of_word.copy()
    domain = kinds_of_classes(nouns)
    for word, k in row.items():
        found = sense_weights(nouns, word, domain).items()
        weights = {position[key]: weight for key, weight in found if key in position}
        if weights:
            senses = np.array(list(weights.values())) @ of_synset[list(weights)] / sum(weights.values())
            meant[k] = OWN * of_word[k] + (1 - OWN) * senses
    meant = geometry.unit(meant)
    near = [row[selection.classes.get(word, word)] for word in words]
    meant = geometry.unit(DRAWN * meant[near] + (1 - DRAWN) * meant)
    described = geometry.unit(of_definition + of_synset[defined_rows])
    # Project such that the things of rooms and streets differ in all directions
    projection = geometry.fit(meant.astype(np.float64), selection.domain_weights, DIM)
    projected = projection.apply(np.concatenate([meant, described]).astype(np.float64)).astype(np.float32)
    texts = (*words, *(nouns.synsets[key].gloss for key in defined))
    weights = np.append(selection.weights, np.full(len(defined), DESCRIBED)).astype(np.float32)
    return word_texts.TaughtWords(texts, len(words), weights, projected, np.eye(DIM, dtype=np.float32)[-1])


if __name__ == "__main__":
    raise SystemExit(command_line.guard("words", main))
