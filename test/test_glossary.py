"""Names are the field's: identifiers of the dialect that docs/glossary.md refuses do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REFUSED = ("share", "apart", "said", "most", "least", "whole", "how", "place")
FROZEN = ("procedural", "sensors")  # the generator keeps its names until it is rewritten
STANDARD = {"in_place", "most_frequent", "most_common", "at_most"}  # everybody's terms
# What is left from before the rule; take entries out, never put new ones in.
LEFT = {
    "s4token_model/training/settings.py": {"full_share", "skip_share", "street_share"},  # keys in saved checkpoints
}


def bound(tree: ast.AST) -> Iterator[str]:
    """Every name that a module gives: functions, classes, parameters, variables, attributes, fields."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def words(identifier: str) -> set[str]:
    """The words of a name: min_points -> {min, points}, TokenCenters -> {token, centers}."""
    return set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identifier).lower().split("_"))


def refused(path: Path) -> set[str]:
    names = set(bound(ast.parse(path.read_text(encoding="utf-8"))))
    return {name for name in names - STANDARD if words(name) & set(REFUSED)}


def modules() -> list[str]:
    files = [
        p for package in ("s4token_model", "s4token_ros", "examples", "scripts") for p in (ROOT / package).rglob("*.py")
    ]
    return sorted(p.relative_to(ROOT).as_posix() for p in files if p.parent.name not in FROZEN)


@pytest.mark.parametrize("module", modules())
def test_names_are_not_of_the_refused_dialect(module):
    assert refused(ROOT / module) - LEFT.get(module, set()) == set()


def test_the_glossary_lists_the_refused_words():
    table = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").partition("## Words we do not use")[2]
    starred = {word for row in table.splitlines() if row.startswith("|") for word in re.findall(r"(\w+) \*", row)}
    assert starred == set(REFUSED)
