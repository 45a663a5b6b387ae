"""Prompts of the benchmarks: config/prompts/NAME.yaml, frozen and versioned; results hold their hash.

A file of sentences about each class, such as those that GPT-3 wrote for PointCLIPv2, may take the place of the names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from s4token_model import bounded_files
from s4token_model.word_files import config_roots


@dataclass(frozen=True)
class Prompts:
    """The prompted names (C,) of a benchmark's classes, in its order, and the templates (T,)."""

    benchmark: str
    version: int
    names: tuple[str, ...]
    templates: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...] = ()  # of each class, in place of its name in the templates

    def metadata(self) -> dict[str, Any]:
        """The prompts' entries of a result."""
        if self.sentences:
            rows = self.sentence_rows()
            return {"prompt_set": self.benchmark, "sentences": len(rows), "prompts_sha256": digest(rows, ())}
        entries = {"prompt_set": f"{self.benchmark} version {self.version}", "templates": list(self.templates)}
        return entries | {"prompts_sha256": digest(self.names, self.templates)}

    def sentence_rows(self) -> list[str]:
        """Each sentence after its class, for a hash."""
        pairs = zip(self.names, self.sentences, strict=True)
        return [f"{name}: {sentence}" for name, row in pairs for sentence in row]


class EverydayWords(NamedTuple):
    """Words that users say, for each class of a benchmark."""

    version: int
    words: dict[str, tuple[str, ...]]  # by class
    templates: tuple[str, ...]


def load(benchmark: str, classes: Sequence[str]) -> Prompts:
    """Read the prompts of a benchmark with these classes; ValueError if the file does not fit them."""
    path, content = _read(benchmark)
    words = content["words"]
    if list(words) != list(classes):
        wrong = sorted(set(words) ^ set(classes)) or "their order"
        raise ValueError(f"{path}: its words are not those of the classes, see {wrong}; take the file of this version")
    return Prompts(benchmark, content["version"], tuple(map(str, words.values())), tuple(content["templates"]))


def load_parts(benchmark: str, part_counts: dict[str, int]) -> dict[str, Prompts]:
    """Read the prompts {category: Prompts} of a part segmentation benchmark; `part_counts` is {category: parts}."""
    path, content = _read(benchmark)
    words, version, templates = content["words"], content["version"], content["templates"]
    wrong = [category for category, count in part_counts.items() if len(words.get(category, ())) != count]
    wrong = wrong or sorted(set(words) - {*part_counts})
    if wrong:
        raise ValueError(f"{path}: wrong words for {wrong[0]}; take the file of this version")
    filled = {category: tuple(template.replace("CATEGORY", category) for template in templates) for category in words}
    return {category: Prompts(benchmark, version, tuple(words[category]), filled[category]) for category in part_counts}


def load_words(benchmark: str, classes: Sequence[str]) -> EverydayWords:
    """Read several words for each of `classes`; ValueError if the file has other classes."""
    path, content = _read(benchmark)
    if list(content["words"]) != list(classes):
        raise ValueError(f"{path}: its classes are not {list(classes)}; take the file of this version")
    words = {name: tuple(map(str, found)) for name, found in content["words"].items()}
    return EverydayWords(content["version"], words, tuple(content["templates"]))


def with_sentences(frozen: Prompts, classes: Sequence[str], path: Path) -> Prompts:
    """Take the sentences of a YAML or JSON file {class: sentence or list of sentences}; ValueError if it does not fit.

    The file calls a class as the benchmark does, in `classes`, or as the frozen prompts do; underscores are blanks.
    """
    return _with_sentences(frozen, classes, _read_file(path), str(path))


def parts_with_sentences(frozen: dict[str, Prompts], parts: dict[str, Sequence[str]], path: Path) -> dict[str, Prompts]:
    """The same of {category: {part: sentences}}; `parts` are the benchmark's names of the parts of each category."""
    content = _read_file(path)
    if missing := [category for category in frozen if not isinstance(content.get(category), dict)]:
        raise ValueError(f"{path} has no parts of {missing[0]}; write CATEGORY: with a line PART: [sentences] for each")
    return {name: _with_sentences(f, parts[name], content[name], f"{path}, {name}") for name, f in frozen.items()}


def build_vocabulary(labeler: Any, frozen: Prompts) -> Any:
    """Return the vocabulary of some prompts by the text tower of a Segmenter, or of what stands in for one."""
    words = labeler.make_vocabulary(frozen.names, frozen.templates)
    if not frozen.sentences:
        return words
    rows = labeler.clip.encode_text([sentence for row in frozen.sentences for sentence in row])
    means = [part.mean(axis=0) for part in np.split(rows, np.cumsum([len(row) for row in frozen.sentences])[:-1])]
    return replace(words, text=np.stack([mean / np.linalg.norm(mean) for mean in means]).astype(np.float32))


def _with_sentences(frozen: Prompts, classes: Sequence[str], content: dict[str, Any], source: str) -> Prompts:
    found, sentences = {str(key).replace("_", " "): value for key, value in content.items()}, []
    for name, alias in zip(frozen.names, classes, strict=True):
        key = name if name in found else alias.replace("_", " ")
        if key not in found:
            there = f"; it has {', '.join(found)}" if found else ""
            raise ValueError(f"{source} has no sentences of {name}{there}"[:300])
        row = found.pop(key)
        texts = [row] if isinstance(row, str) else row
        if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
            raise ValueError(f"{source}: {name}: expected a sentence, or a list of some, found {row!r}"[:300])
        sentences.append(tuple(texts))
    if len(set(sentences)) < len(sentences):
        same = next(name for name, row in zip(frozen.names, sentences, strict=True) if sentences.count(row) > 1)
        raise ValueError(f"{source}: {same} has the same sentences as another class; nothing could tell them apart")
    if found:
        raise ValueError(f"{source}: {next(iter(found))} is none of {', '.join(frozen.names)}"[:300])
    return replace(frozen, benchmark=Path(source.partition(",")[0]).name, sentences=tuple(sentences))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = bounded_files.read_json(path) if path.suffix == ".json" else bounded_files.read_yaml(path)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}; give a file of sentences, .yaml or .json") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a class and its sentences in each entry, not a {type(content).__name__}")
    return content


def parts_metadata(prompts: dict[str, Prompts]) -> dict[str, Any]:
    """The prompts' entries of a result, over all categories."""
    if any(p.sentences for p in prompts.values()):
        rows = [f"{category}: {row}" for category, p in prompts.items() for row in p.sentence_rows()]
        prompt_set = next(iter(prompts.values())).benchmark
        return {"prompt_set": prompt_set, "sentences": len(rows), "prompts_sha256": digest(rows, ())}
    names = [f"{category}: {', '.join(p.names)}" for category, p in prompts.items()]
    templates = [template for p in prompts.values() for template in p.templates]
    prompt_set = next(iter(prompts.values())).metadata()["prompt_set"]
    return {"prompt_set": prompt_set, "prompts_sha256": digest(names, templates)}


def digest(names: Sequence[str], templates: Sequence[str]) -> str:
    """SHA-256 of the prompted names and templates, in their order."""
    text = json.dumps({"templates": list(templates), "words": list(names)}, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(benchmark: str) -> tuple[Path, dict[str, Any]]:
    paths = [root / "prompts" / f"{benchmark}.yaml" for root in config_roots()]
    path = next((p for p in paths if p.is_file()), None)
    if path is None:
        raise ValueError(f"no prompts {benchmark!r}: looked for {', '.join(map(str, paths))}; install s4token again")
    try:
        content = bounded_files.read_yaml(path)
    except ValueError as error:
        raise ValueError(f"{error}; install s4token again") from None
    if not isinstance(content, dict) or not {"version", "templates", "words"} <= set(content):
        raise ValueError(f"{path} needs version, templates and words; install s4token again")
    return path, content
