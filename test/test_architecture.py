"""The import rules: imports point one way, and nothing that runs live pulls in what is only for offline work."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("superpoints", "sampling", "patches", "tokenizer", "clip", "propagation")
SHARED = {
    "s4token_model.pipeline.sampling": {"farthest_points"},
    "s4token_model.pipeline.patches": {"Patches"},
}  # what two stages may use
OFFLINE = ("s4token_model.datasets", "s4token_model.training", "s4token_model.evaluation", "open3d", "matplotlib")
ROS = (
    "rclpy",
    "s4token_ros",
    "s4token_interfaces",
    "sensor_msgs",
    "std_msgs",
    "geometry_msgs",
    "diagnostic_msgs",
    "rcl_interfaces",
)


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages: dotted name -> file."""
    files = [p for package in ("s4token_model", "s4token_ros") for p in (ROOT / package).rglob("*.py")]
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in files}


@cache
def imported(module: str) -> frozenset[str]:
    """Names that a module imports anywhere, also inside functions; `if TYPE_CHECKING:` does not count."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    hidden = {
        id(n) for block in ast.walk(tree) if _type_checking(block) for child in block.body for n in ast.walk(child)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: write imports in full"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def reached(start: str) -> dict[str, str]:
    """Everything that `start` imports, directly or not, ours followed: name -> the module that imports it."""
    found: dict[str, str] = {}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        for name in imported(module):
            if name not in found:
                found[name] = module
                if name in modules():
                    waiting.append(name)
    return found


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == p or name.startswith(f"{p}.") for p in packages)


@pytest.mark.parametrize("module", sorted(m for m in modules() if m.startswith("s4token_model")))
def test_the_model_knows_nothing_of_ros(module):
    assert not [name for name in imported(module) if within(name, ROS)]


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    others = tuple(f"s4token_model.{s}" for s in (*STAGES, "segmenter", "vocabulary", "checkpoint") if s != stage)
    shared = {f"{module}.{name}" for module, names in SHARED.items() for name in names}
    found = {n: m for n, m in reached(f"s4token_model.{stage}").items() if within(n, others) and n not in shared}
    used = {n: m for n, m in found.items() if n not in SHARED or not any(s in imported(m) for s in shared)}
    assert used == {}


@pytest.mark.parametrize("start", ["s4token_model.segmenter", "s4token_ros.node"])
def test_live_code_imports_nothing_offline(start):
    if start not in modules():
        pytest.fail(f"{start} is gone; adapt the rule")
    assert {n: m for n, m in reached(start).items() if within(n, OFFLINE)} == {}


def test_importing_the_segmenter_loads_nothing_offline():
    """The same for what third parties load: in a fresh interpreter."""
    unwanted = {"open3d", "matplotlib", "rclpy"}
    code = f"import sys, s4token_model.segmenter; print(*{unwanted}.intersection(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_no_import_cycles_between_our_modules():
    for module in modules():
        ours = {n for n in imported(module) if n in modules() and n != module}
        top = {n for n in ours if n in _top_level(module)}
        back = {n for n in top if module in _top_level(n)}
        assert not back, f"{module} and {back} import each other"


@cache
def _top_level(module: str) -> frozenset[str]:
    """What a module imports when it is imported itself."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)
