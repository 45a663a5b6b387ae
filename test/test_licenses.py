"""Licenses: everything that the default install brings is permissive, and what is not stays an extra."""

from __future__ import annotations

import importlib.metadata as metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]

# SPDX names, and what older metadata writes instead. A new one is a decision: add it here if it is permissive.
PERMISSIVE = {"MIT", "MIT-CMU", "HPND", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0"}
PERMISSIVE |= {"BSL-1.0", "Zlib", "CC0-1.0", "CNRI-Python", "Unlicense", "Python-2.0", "LLVM-exception"}
PERMISSIVE |= {"BSD", "MIT License", "BSD License", "Apache Software License", "Python Software Foundation License"}
PERMISSIVE |= {"any-OSI", "Apache 2.0", "BSD 3-Clause"}
PERMISSIVE |= {"MPL-2.0"}  # binds changes to its own files alone; of tqdm
# NVIDIA's libraries, which PyTorch's CUDA builds require; see NOTICE.
NVIDIA = re.compile("nvidia-|cuda-")
# Packages whose metadata says less than what they are compiled from.
COPYLEFT = {"cut-pursuit-py"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#-"]


def closure(requirements: list[str]) -> dict[str, set[str]]:
    """Installed packages that the requirements bring: name -> the packages that require it."""
    found: dict[str, set[str]] = {}
    waiting = [("", Requirement(line)) for line in requirements]
    visited = set()
    while waiting:
        parent, requirement = waiting.pop()
        name, extras = canonical(requirement.name), {"", *requirement.extras}
        try:
            needed = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:  # for another platform, or left out by whoever made this environment
            continue
        found.setdefault(name, set()).add(parent)
        if (key := (name, *sorted(extras))) not in visited:
            visited.add(key)
            children = [Requirement(line) for line in needed]
            waiting += [
                (name, c) for c in children if not c.marker or any(c.marker.evaluate({"extra": e}) for e in extras)
            ]
    return found


def licenses(name: str) -> list[str]:
    """License expressions of an installed package: the SPDX one, else the classifiers, else the free text."""
    meta = metadata.metadata(name)
    if meta.get("License-Expression"):
        return [meta["License-Expression"]]
    named = [c.split(" :: ") for c in meta.get_all("Classifier", []) if c.startswith("License ::")]
    classifiers = [parts[-1] for parts in named if parts[-1] != "OSI Approved"]
    return classifiers or [meta.get("License") or "none"]


def is_permissive(expression: str) -> bool:
    """True if every part joined by AND has an alternative, joined by OR, in the list."""
    parts = re.split(r"\s+AND\s+", expression.replace("(", "").replace(")", ""))
    return all(any(is_listed(choice) for choice in re.split(r"\s+OR\s+", part)) for part in parts)


def is_listed(name: str) -> bool:
    return set(re.split(r"\s+WITH\s+", name.strip())) <= PERMISSIVE


def test_the_default_install_is_permissive():
    required = lines(ROOT / "requirements.txt")
    found = closure(required)
    assert {canonical(Requirement(line).name) for line in required} <= set(found)
    strict = {n: licenses(n) for n in found if not NVIDIA.match(n) and not all(map(is_permissive, licenses(n)))}
    assert strict == {} and not COPYLEFT & set(found)


def test_only_pytorch_brings_what_is_not_open_source():
    found = closure(lines(ROOT / "requirements.txt"))
    parents = {parent for name, names in found.items() if NVIDIA.match(name) for parent in names}
    assert {p for p in parents if not NVIDIA.match(p)} <= {"torch"}
    assert "NVIDIA" in (ROOT / "NOTICE").read_text()


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=lambda p: p.stem)
def test_copyleft_packages_are_an_extra_of_their_own(path):
    names = {canonical(Requirement(line.rstrip("\\ ")).name) for line in lines(path) if line[0] != " "}
    if path.stem == "requirements-cut-pursuit":
        assert names == COPYLEFT <= {name for name in COPYLEFT if name in (ROOT / "NOTICE").read_text()}
    else:
        assert not names & COPYLEFT
        installed = [name for name in names if closure([name])]
        said = {name: text for name in installed for text in licenses(name)}
        assert {n: t for n, t in said.items() if re.search(r"\bA?GPL|GNU (Affero )?General Public", t)} == {}


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("MIT", True),
        ("Apache-2.0 AND Apache-2.0 WITH LLVM-exception AND MIT", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND GPL-2.0-only", False),
        ("MIT OR GPL-2.0-only", True),
        ("(MIT OR GPL-2.0-only) AND BSD-3-Clause", True),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("LGPL-2.1-or-later", False),
        ("LicenseRef-NVIDIA-Proprietary", False),
        ("none", False),
    ],
)
def test_expressions_are_read_part_by_part(expression, expected):
    assert is_permissive(expression) == expected
