"""How well the score of known words tells what s4token-mini was trained with: python scripts/known_words.py [--write]

Precision and recall of "unknown", at the threshold of the CLIP and others, on words that are not
stored: trained synonyms against the rest of their class, names with an adjective; animals of ImageNet, other languages
and random letters. Everyday words for the classes are measured too, but do not count. --write stores the words.
"""

from __future__ import annotations

import argparse
import string
from pathlib import Path

import numpy as np
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

from s4token_model import checkpoint, command_line, prompts, words
from s4token_model.constants import SCANNET20
from s4token_model.pipeline import clip, known_words
from s4token_model.pipeline.known_words import KnownWords
from s4token_model.training.synonyms import SYNONYMS, TRAINED_WORDS

FOREIGN = (
    "Stuhl Tisch Wand Boden Decke Fenster Schrank Regal chaise mur plancher fenêtre armoire étagère silla mesa pared "
    "suelo puerta ventana armario sedia tavolo muro pavimento porta finestra 椅子 机 壁 床 窓 стул стол стена пол окно "
    "كرسي طاولة stol bord vegg gulv vindu krzesło ściana podłoga okno"
).split()
ADJECTIVES = "small large red blue green wooden metal leather round tall old new broken my antique modern".split()
LISTED = (0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.95)
ANIMALS = 398  # the first classes of ImageNet


def main(arguments: list[str] | None = None) -> None:
    """Print the table; with --write, store the words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, help="folder of another CLIP")
    parser.add_argument("--write", action="store_true", help="store the words beside the weights of s4token-mini")
    options = parser.parse_args(arguments)
    directory = checkpoint.resolve(checkpoint.MINI)
    frozen = clip.load_directory(options.clip or directory / "clip")
    known = known_words.encode_again(TRAINED_WORDS, frozen.encode_text, frozen.known_words)
    if options.write:
        known_words.save(options.clip or directory / "clip", known)
        if options.clip is None:
            checkpoint.add_digests(directory)
    scores = measure(known, lambda texts: frozen.encode_text([known.template.replace("{}", text) for text in texts]))
    # Scores of each group, and how the threshold divides them
    for group, (_, values) in scores.items():
        quantiles = " ".join(f"{q:.3f}" for q in np.quantile(values, (0.01, 0.1, 0.5, 0.9, 0.99)))
        told = 100 * (values < known.threshold).mean()
        print(f"{group:<28}{len(values):>5} words; score at 1, 10, 50, 90, 99 %: {quantiles}; unknown {told:.1f} %")
    unknown = np.concatenate([values for is_known, values in scores.values() if is_known is False])
    trained = np.concatenate([values for is_known, values in scores.values() if is_known])
    for limit in LISTED:
        found, false = (unknown < limit).mean(), (trained < limit).mean()
        print(f"threshold {limit}: recall {100 * found:.1f} %, precision {100 * found / (found + false):.1f} %")


def measure(known: KnownWords, encode) -> dict[str, tuple[bool | None, np.ndarray]]:
    """Return {group: (whether its words are known, None if that is not counted, their scores)}."""
    rng = np.random.default_rng(0)
    synonyms = [(word, name) for name, group in SYNONYMS.items() for word in group[1:]]
    rest = [known.features[[other != word for other in known.words]] for word, _ in synonyms]
    rows = encode([words.normalized(word) for word, _ in synonyms])
    left_out = np.array([(others @ row).max() for others, row in zip(rest, rows, strict=True)])
    described = [f"{rng.choice(ADJECTIVES)} {word}" for word in known.words]
    animals = [words.normalized(name) for name in IMAGENET_CLASSNAMES[:ANIMALS]]
    everyday = prompts.load_words("everyday_words", SCANNET20[:-1]).words.values()
    asked = [words.normalized(word) for group in everyday for word in group]
    letters = ["".join(rng.choice(list(string.ascii_lowercase), rng.integers(3, 11))) for _ in range(300)]
    return {
        "synonyms without themselves": (True, left_out),
        "words with an adjective": (True, known.score(encode(described))),
        "everyday words": (None, known.score(encode(asked))),
        "animals of ImageNet": (False, known.score(encode(animals))),
        "words of other languages": (False, known.score(encode([words.normalized(name) for name in FOREIGN]))),
        "random letters": (False, known.score(encode(letters))),
    }


if __name__ == "__main__":
    raise SystemExit(command_line.guard("known_words", main))
