"""What a model makes of words, before any cloud: s4token words "sofa, loveseat, walker" [--labels FILE] [--json]

Without words, the words that it was trained with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from s4token_model import checkpoint, vocabulary, word_checks, word_lists, words

NO_RECORD = "this CLIP has no record of the words it was trained with"


def main(arguments: Sequence[str] | None = None) -> None:
    """Encode the words, and print what each is read as."""
    parser = argparse.ArgumentParser(prog="s4token words", description="What a model makes of words, before any cloud.")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="class names, separated by commas or blanks; without any, the trained words are listed",
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="a file of class names instead, e.g. one per line, or scannet20"
    )
    parser.add_argument("--model", default=checkpoint.MINI, help=f"a checkpoint (default: {checkpoint.MINI})")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    if options.words and options.labels is not None:
        raise ValueError(f"--labels {options.labels} and words; give one of them")
    config = checkpoint.read_config(options.model)
    clip = checkpoint.load_clip(options.model, config.clip)
    if not options.words and options.labels is None:
        trained = trained_words(clip)
        text = json.dumps({"trained": trained, "model": str(options.model)}) if options.json else "\n".join(trained)
        print(text or NO_RECORD)
        return
    given = [name for text in options.words for name in word_lists.split_list(text)]
    names = given if options.labels is None else vocabulary.read_names(options.labels)
    templates = vocabulary.read_templates(config.vocabulary.templates)
    found = vocabulary.build(names, templates, config.vocabulary.threshold, clip.encode_text, clip=clip)
    for warning in found.warnings:
        print(f"s4token: warning: {warning}", file=sys.stderr)
    result = found.report() | {"warnings": list(found.warnings), "model": str(options.model)}
    print(json.dumps(result) if options.json else table(found))


def trained_words(clip: Any) -> list[str]:
    """Return the words that a FrozenClip was trained with, each in one spelling; none if it has no record."""
    found: dict[str, str] = {}
    for word in clip.known_words.words if clip.known_words else ():
        found.setdefault(words.repeat_key(word), word)
    return list(found.values())


def table(found: vocabulary.Vocabulary) -> str:
    """Return a line per name: its score, and what the model reads."""
    if not np.isfinite(found.known).all():
        return NO_RECORD
    notes = word_checks.meanings(found.unknown, found.taken_for)
    pairs = zip(found.names, found.known, strict=True)
    return "\n".join(f"  {name:<24}{score:>7.3f}  {notes.get(name, 'trained word')}" for name, score in pairs)
