"""What a model makes of words, before any cloud: s4token words "sofa, loveseat, giraffe" [--labels FILE] [--json]

Without words, the words that it was trained with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from s4token_model import checkpoint, vocabulary, word_lists


def main(arguments: Sequence[str] | None = None) -> None:
    """Encode the words, and print what each is read as."""
    parser = argparse.ArgumentParser(prog="s4token words", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="class names, also several, separated by commas")
    parser.add_argument("--labels", metavar="FILE", help="a file of class names in their place")
    parser.add_argument("--model", default=checkpoint.MINI, help=f"a checkpoint (default: {checkpoint.MINI})")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    if options.words and options.labels:
        raise ValueError(f"--labels {options.labels} and words; give one of them")
    config = checkpoint.read_config(options.model)
    clip = checkpoint.load_clip(options.model, config.clip)
    if not options.words and not options.labels:
        trained = list(clip.known_words.words) if clip.known_words else []
        print(json.dumps({"trained": trained, "model": str(options.model)}) if options.json else "\n".join(trained))
        return
    given = [name for text in options.words for name in word_lists.split_list(text)]
    names = vocabulary.read_names(options.labels) if options.labels else given
    templates = vocabulary.read_templates(config.vocabulary.templates)
    words = vocabulary.build(names, templates, config.vocabulary.threshold, clip.encode_text, clip=clip)
    for warning in words.warnings:
        print(f"s4token: warning: {warning}", file=sys.stderr)
    result = words.report() | {"warnings": list(words.warnings), "model": str(options.model)}
    print(json.dumps(result) if options.json else table(words))


def table(words: vocabulary.Vocabulary) -> str:
    """Return a line per name: its score, and what the model reads."""
    if not words.report()["known"]:
        return "this CLIP has no record of the words it was trained with"
    meanings = dict.fromkeys(words.names, "trained") | dict.fromkeys(words.unknown, "unknown")
    meanings |= {name: f"read as {word}" for name, word in words.taken_for.items()}
    return "\n".join(
        f"  {name:<24}{score:>6.2f}  {meanings[name]}" for name, score in zip(words.names, words.known, strict=True)
    )
