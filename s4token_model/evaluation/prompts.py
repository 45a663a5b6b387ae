"""Prompts of the benchmarks: config/prompts/NAME.yaml, frozen and versioned; their hash goes into every result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from s4token_model.vocabulary import config_roots


@dataclass(frozen=True)
class Prompts:
    """The words (C,) given to the model for the classes of a benchmark, in its order, and the templates (T,)."""

    name: str
    version: int
    words: tuple[str, ...]
    templates: tuple[str, ...]

    def said(self) -> dict[str, Any]:
        """What a result says of its prompts."""
        return {
            "prompt_set": f"{self.name} version {self.version}",
            "templates": list(self.templates),
            "prompts_sha256": digest(self.words, self.templates),
        }


def load(name: str, classes: Sequence[str]) -> Prompts:
    """Read the prompts of a benchmark with these classes. ValueError when the file lacks one, or is not its format."""
    path, content = _read(name)
    words = content["words"]
    if list(words) != list(classes):
        wrong = sorted(set(words) ^ set(classes)) or "their order"
        raise ValueError(f"{path}: its words are not those of the classes, see {wrong}; take the file of this version")
    return Prompts(name, content["version"], tuple(map(str, words.values())), tuple(content["templates"]))


def load_parts(name: str, categories: dict[str, int]) -> dict[str, Prompts]:
    """Read the prompts of a benchmark of parts: {category: Prompts}; `categories` has the number of parts of each."""
    path, content = _read(name)
    words = content["words"]
    wrong = [c for c, count in categories.items() if len(words.get(c, ())) != count] or sorted(
        set(words) - {*categories}
    )
    if wrong:
        raise ValueError(f"{path}: wrong words for {wrong[0]}; take the file of this version")
    return {
        category: Prompts(
            name,
            content["version"],
            tuple(words[category]),
            tuple(template.replace("CATEGORY", category) for template in content["templates"]),
        )
        for category in categories
    }


def said_of_parts(prompts: dict[str, Prompts]) -> dict[str, Any]:
    """What a result says of the prompts of all categories."""
    one = next(iter(prompts.values()))
    words = [f"{category}: {', '.join(p.words)}" for category, p in prompts.items()]
    return {
        "prompt_set": f"{one.name} version {one.version}",
        "prompts_sha256": digest(words, [template for p in prompts.values() for template in p.templates]),
    }


def digest(words: Sequence[str], templates: Sequence[str]) -> str:
    """SHA-256 of the words and templates, in their order."""
    text = json.dumps({"templates": list(templates), "words": list(words)}, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(name: str) -> tuple[Path, dict[str, Any]]:
    paths = [root / "prompts" / f"{name}.yaml" for root in config_roots()]
    path = next((p for p in paths if p.is_file()), None)
    if path is None:
        raise ValueError(f"no prompts {name!r}: looked for {', '.join(map(str, paths))}; install s4token again")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML ({error}); install s4token again") from None
    if not isinstance(content, dict) or not {"version", "templates", "words"} <= set(content):
        raise ValueError(f"{path} needs version, templates and words; install s4token again")
    return path, content
