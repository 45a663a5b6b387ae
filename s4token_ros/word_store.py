"""The words in use outlive what is no change of them: transitions, other parameters and, with a file, restarts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rclpy.parameter import Parameter

from s4token_model import atomic, bounded_files, vocabulary
from s4token_ros import torch_threads
from s4token_ros.parameters import Settings
from s4token_ros.text_encoding import check_size

FORMAT = 1


class Words(NamedTuple):
    """What a vocabulary is made of."""

    names: tuple[str, ...]
    templates: tuple[str, ...]
    thresholds: tuple[float, ...]  # one per name

    @classmethod
    def of(cls, made: Any) -> Words:
        """Return the words of a Vocabulary."""
        limits = tuple(round(float(limit), 6) for limit in made.thresholds)  # they are float32 there
        return cls(tuple(made.names), tuple(made.templates), limits)


def parameters_of(words: Words) -> list[Parameter]:
    """Return the parameters that show words: the names, and the threshold if it is the same for all of them.

    Parameters have no room for thresholds of single names, nor for templates, which vocabulary.templates reads from a
    file.
    """
    found = [Parameter("vocabulary.names", Parameter.Type.STRING_ARRAY, list(words.names))]
    if len(set(words.thresholds)) == 1:
        found.append(Parameter("vocabulary.threshold", Parameter.Type.DOUBLE, words.thresholds[0]))
    return found


class WordStore:
    """Keeps the words that were in use last, in memory and in the file vocabulary.store, if there is one."""

    def __init__(self, settings: Settings, warn: Callable[[str], Any]) -> None:
        """Read the file; one that is damaged is left out, and `problem` says so."""
        self.words: Words | None = None  # to be used instead of those of the parameters
        self.version = 0  # of the last vocabulary before the node was cleaned up
        self.from_caller = False  # a service or a topic has set words, and not only parameters
        self.showing = False  # the parameters are being brought in line with the words, not the other way around
        self._names_shown = False  # vocabulary.names shows the words of a caller
        self.problem = ""
        self._path, self._start = settings.node.vocabulary.store, _start(settings)
        if self._path and Path(self._path).exists():
            try:
                self._read(Path(self._path), warn)
            except (ValueError, OSError) as reason:
                self.problem = f"vocabulary.store is ignored until words are set: {reason}"
                warn(self.problem)

    def _read(self, path: Path, warn: Callable[[str], Any]) -> None:
        content = bounded_files.read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"{path} is no file of words of this version")
        lists = [content.get(key) for key in Words._fields]
        names, templates, thresholds = (one if isinstance(one, list) else [] for one in lists)
        if not all(isinstance(text, str) for text in (*names, *templates)):
            raise ValueError(f"{path} holds words that are no texts")
        try:
            check_size(names, templates)
            limits = vocabulary.checked_thresholds([float(limit) for limit in thresholds], len(names))
            kept = tuple(round(float(limit), 6) for limit in limits)
            words = Words(tuple(names), vocabulary.checked_templates(templates), kept)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"{path} holds words that cannot be used") from None
        if content.get("start") == self._start:
            self.words, self.from_caller = words, True
        else:  # whoever changed the parameters meant it
            warn(f"{path} is not used: the parameters of the words have changed since it was written")

    def keep(self, made: Any) -> None:
        """Keep the words of a Vocabulary in memory, for the next time that the node is configured.

        Those of parameters are not kept: their files are read again.
        """
        self.words, self.version = Words.of(made) if self.from_caller else None, int(made.version)

    def applied(self, model: Any) -> Any:
        """Return a Model that was just loaded with the words that were kept, and the next version."""
        made = model.vocabulary
        if self.words and self.words != Words.of(made):
            try:
                made = torch_threads.load(model.segmenter.make_vocabulary, *self.words)
            except ValueError as reason:
                self.problem = f"vocabulary.store is ignored until words are set: {reason}"
                self.from_caller = False
        return replace(model, vocabulary=replace(made, version=self.version + 1))

    # Parameters and the file follow the words

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of parameters that are being set; a labels file replaces the names that a service set."""
        replaced = self._names_shown and "vocabulary.labels" in values and "vocabulary.names" not in values
        return {**values, "vocabulary.names": []} if replaced else values

    def show(self, node: Any, made: Any) -> str:
        """Show a Vocabulary of a service, a topic or the file in the parameters, and store it; return what failed."""
        self.from_caller = self._names_shown = True
        self._set(node, parameters_of(Words.of(made)))
        return self.save(Words.of(made))

    def follow(self, node: Any, values: dict[str, Any], words: Words | None) -> None:
        """Store `words` after the `values` of parameters, from `completed`, were set."""
        if self._names_shown and values.get("vocabulary.names") == []:
            self._set(node, [Parameter("vocabulary.names", Parameter.Type.STRING_ARRAY, [""])])
        if "vocabulary.names" in values:
            self._names_shown = False
        if words and any(name.startswith("vocabulary.") for name in values):
            self.save(words)

    def _set(self, node: Any, shown: list[Parameter]) -> None:
        self.showing = True  # to the node's callback, which holds a lock
        try:
            node.set_parameters_atomically(shown)
        finally:
            self.showing = False

    def save(self, words: Words) -> str:
        """Write words to the file, if there is one; return what went wrong."""
        self.problem = ""
        if self._path:
            content = {"format": FORMAT, **words._asdict(), "start": self._start}
            try:
                with atomic.file(self._path) as file:
                    file.write(json.dumps(content, indent=1).encode())
            except OSError as reason:
                self.problem = f"the words are not stored: {reason}"
        return self.problem


def _start(settings: Settings) -> list[Any]:
    """Return what the parameters say of the words at the start, as JSON reads it."""
    words = settings.pipeline.vocabulary
    return [words.labels, list(words.names), words.templates, words.threshold]
