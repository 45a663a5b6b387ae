"""Prompts of the benchmarks: config/prompts/NAME.yaml, frozen and versioned; results hold their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from s4token_model import bounded_files
from s4token_model.word_files import config_roots


@dataclass(frozen=True)
class Prompts:
    """The prompted names (C,) of a benchmark's classes, in its order, and the templates (T,)."""

    benchmark: str
    version: int
    names: tuple[str, ...]
    templates: tuple[str, ...]

    def metadata(self) -> dict[str, Any]:
        """The prompts' entries of a result."""
        entries = {"prompt_set": f"{self.benchmark} version {self.version}", "templates": list(self.templates)}
        return entries | {"prompts_sha256": digest(self.names, self.templates)}


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


def parts_metadata(prompts: dict[str, Prompts]) -> dict[str, Any]:
    """The prompts' entries of a result, over all categories."""
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
