"""The architecture as rules: who may import whom, where compiled code lives, how long a file and a function may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("s4token_model", "s4token_ros")

# What each part may import beside itself; lower parts stand first. A part is a folder or a file of s4token_model, or
# the package s4token_ros. Strings that name a module count as imports, and so do imports inside functions.
BASE = ("constants", "config", "tokenizer_variants", "stage_timer", "palette", "metrics", "atomic", "bounded_files")
WORDS = ("words", "word_files", "word_lists", "word_checks")
TEXTS = (*WORDS, "prompts")
STORED = ("vocabulary", "stored_config", "checkpoint")
MODEL = (*BASE, *TEXTS, "kernels", "pipeline", *STORED, "segmenter", "io", "objects")
OFFLINE = (*MODEL, "command_line", "jobs", "datasets", "pictures", "training", "evaluation")
GENERATOR = ("procedural", "sensors")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "": ("config", "segmenter", "pipeline"),  # what `import s4token_model` offers
    "constants": (),
    "tokenizer_variants": (),
    "stage_timer": (),
    "atomic": (),
    "bounded_files": (),
    "palette": ("constants",),
    "metrics": ("constants",),
    "config": ("constants", "tokenizer_variants"),
    "kernels": ("constants",),
    "pipeline": ("constants", "config", "kernels", "stage_timer", "atomic", "bounded_files"),
    "effort": ("config", "bounded_files"),
    "words": ("constants",),
    "word_files": ("bounded_files",),
    "word_lists": (),
    "word_checks": (),
    "prompts": ("bounded_files", "word_files"),
    "command_line": (),
    "jobs": ("command_line", "kernels.parallel"),
    "vocabulary": ("constants", "config", *WORDS),
    "stored_config": ("config", "bounded_files", "pipeline", "word_files", "vocabulary"),
    "checkpoint": ("config", "atomic", "bounded_files", "pipeline", "stored_config"),
    "windowed_encoder": ("config", "pipeline", "stage_timer"),
    "encoded_cloud": ("constants", "pipeline", "vocabulary"),
    "segmenter": (*BASE, "kernels", "pipeline", "vocabulary", "checkpoint", "windowed_encoder", "encoded_cloud"),
    "io": (*BASE, "kernels", "pipeline", "segmenter"),
    "objects": ("kernels", "words"),
    "datasets": ("constants", "io", "pipeline.preprocess"),
    "pictures": ("constants", "palette", "objects", "kernels.kernel_cache"),
    "procedural": ("constants",),
    "sensors": ("constants", "kernels", "procedural"),
    "training": (*MODEL, "command_line", "jobs", "datasets"),
    "evaluation": (*MODEL, "command_line", "jobs", "datasets", "pictures", "training"),
    "benchmark": (*OFFLINE, *GENERATOR),
    "experiments": (*OFFLINE, *GENERATOR),
    "paper": OFFLINE,
    "compile_beside": MODEL,
    "label_folder": (*MODEL, "command_line", "jobs"),
    "views": ("objects", "pictures", "io"),
    "label_command": (*MODEL, "command_line", "compile_beside", "label_folder", "views"),
    "words_command": ("vocabulary", "checkpoint", *WORDS),
    "explore": (*MODEL, "encoded_cloud", "command_line", "pictures", "label_command", "views"),
    "cli": (
        *OFFLINE,
        *GENERATOR,
        "label_command",
        "words_command",
        "views",
        "explore",
        "benchmark",
        "experiments",
        "paper",
    ),
    "s4token_ros": (
        "command_line",
        "constants",
        "config",
        "effort",
        "palette",
        "word_files",
        "word_lists",
        "vocabulary",
        "checkpoint",
        "segmenter",
        "objects",
        "io",
        "kernels.parallel",
        "kernels.group_statistics",
        "pipeline.voxel_map",
    ),
}
# The modules that may import more than their folder.
ALSO: dict[str, tuple[str, ...]] = {
    **{f"training.{name}": GENERATOR for name in ("captions", "text_tower", "word_texts", "train_mini", "mini_clip")},
    **{
        f"training.{name}": GENERATOR
        for name in ("mini_tokenizer", "procedural_samples", "scene_pictures", "word_frequencies")
    },
    "training.step_vocabulary": GENERATOR,
    "label_command": ("training.part_labels",),  # the option --head
    "training.part_labels": ("encoded_cloud",),
    "windowed_encoder": ("kernels.parallel",),
    "evaluation.benchmarks": GENERATOR,  # the row "procedural"
    "evaluation.procedural_rooms": GENERATOR,
    "evaluation.sweep_views": GENERATOR,  # the sensors that real sweeps are thinned to
    "evaluation.temporal_agreement": GENERATOR,
    "evaluation.model_card": GENERATOR,  # the rows of held-out scenes and of LiDARs
    "s4token_ros.demo": ("pictures",),
    "s4token_ros.live_explore": ("explore",),
    "s4token_ros.live_session": ("explore",),
    "s4token_ros.live_frame": ("explore", "pipeline.preprocess", "pipeline.upright"),
    "s4token_ros.filtered": ("words",),
    "s4token_ros.model_loading": ("compile_beside", "kernels.spatial_index"),
    "s4token_ros.start": ("compile_beside",),
    "s4token_ros.word_store": ("atomic", "bounded_files"),
    "s4token_ros.demo_report": ("pictures",),
}
COMPILED = ("numba", "llvmlite", "triton")
MAY_COMPILE = ("s4token_model.kernels.kernel_cache",)  # the others use its njit, which needs no folder to write
ROS = ("rclpy", "s4token_interfaces", "sensor_msgs", "std_msgs", "geometry_msgs", "diagnostic_msgs", "rcl_interfaces")


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages: dotted name -> file."""
    files = [p for package in PACKAGES for p in (ROOT / package).rglob("*.py")]
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in files}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def imported(module: str) -> frozenset[str]:
    """Names that a module imports anywhere, by statement or by string; `if TYPE_CHECKING:` does not count."""
    hidden = {
        id(n)
        for block in ast.walk(tree(module))
        if _type_checking(block)
        for child in block.body
        for n in ast.walk(child)
    }
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: write imports in full"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if name in modules() and "." in name:
                found.add(name)
    return frozenset(found)


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def ours(module: str) -> frozenset[str]:
    """The modules of ours that a module imports; a package counts only where nothing below it is named."""
    names = {name for name in imported(module) if name in modules() and name != module}
    packages = {name for name in names if any(other.startswith(f"{name}.") for other in names)}
    return frozenset(names - packages)


def reached(start: str) -> set[str]:
    """Every module of ours that `start` imports, directly or not."""
    found, waiting = {start}, [start]
    while waiting:
        new = ours(waiting.pop()) - found
        found |= new
        waiting += new
    return found


def within(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def local(module: str) -> str:
    """The name inside s4token_model, or the full one of s4token_ros."""
    return module.removeprefix("s4token_model").removeprefix(".")


def part(module: str) -> str:
    return local(module).split(".")[0]


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_down(module):
    allowed = (part(module), *MAY_IMPORT[part(module)], *ALSO.get(local(module), ()))
    assert {local(name) for name in ours(module) if not within(local(name), allowed) and local(name)} == set()


def test_no_module_is_part_of_a_circle():
    circles = [m for m in modules() if any(m in reached(name) for name in ours(m))]
    assert circles == []


def test_the_model_knows_nothing_of_ros():
    users = {m for m in modules() if m.startswith("s4token_model") if any(within(n, ROS) for n in imported(m))}
    assert users == set()


def test_numba_is_used_through_the_kernel_cache():
    users = {m for m in modules() if any(within(name, COMPILED) for name in imported(m))}
    assert {m for m in users if not within(m, MAY_COMPILE)} == set()


def test_no_two_modules_share_a_name():
    names = Counter(m.rpartition(".")[2] for m in modules() if not m.endswith("__main__"))
    assert {name for name, count in names.items() if count > 1} == set()


@pytest.mark.parametrize(
    "start, below, never",
    [
        ("s4token_ros.node", 106, ("datasets", "training", "evaluation", "benchmark", "pictures", *GENERATOR)),
        (
            "s4token_model.segmenter",
            63,
            ("io", "datasets", "training", "evaluation", "benchmark", "pictures", *GENERATOR),
        ),
        (
            "s4token_model.training.train",
            124,  # supervised training has a head and two data sets
            ("evaluation", "benchmark", "pictures", *GENERATOR),
        ),
        ("s4token_model.training.prepare", 106, ("evaluation", "benchmark", "pictures", *GENERATOR)),
    ],
)
def test_what_a_command_reaches(start, below, never):
    found = {m for m in reached(start) if modules()[m].name != "__init__.py"}
    assert [local(m) for m in found if within(local(m), never)] == [] and len(found) < below


def test_loading_the_model_that_ships_loads_nothing_that_it_does_not_need():
    """The same for what third parties load, such as the compiler of torch, which takes seconds: a new interpreter."""
    unwanted = {"embreex", "open3d", "matplotlib", "rclpy", "open_clip", "torchvision", "timm", "torch._dynamo"}
    code = (
        "import sys; from s4token_model.segmenter import Segmenter; Segmenter.load();"
        f"print(*{unwanted}.intersection(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def functions() -> list[tuple[str, ast.FunctionDef]]:
    """Every function outside the scene generator and the readers of data, with its module."""
    free = tuple(f"s4token_model.{folder}" for folder in ("datasets", *GENERATOR))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (m, node) for m in modules() if not within(m, free) for node in ast.walk(tree(m)) if isinstance(node, kinds)
    ]


def test_functions_are_short():
    long = {f"{m}.{f.name}": f.end_lineno - f.lineno + 1 for m, f in functions()}
    assert {name: lines for name, lines in long.items() if lines > 40} == {}


def test_functions_have_few_parameters():
    counts = {}
    for module, function in functions():
        arguments = function.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        counts[f"{module}.{function.name}"] = len([name for name in names if name not in ("self", "cls")])
    assert len({name: count for name, count in counts.items() if count > 7}) <= 5


LONGER = {"s4token_model.config": 275}  # may not grow


def test_files_are_short():
    lines = {m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in modules().items()}
    limit = {m: LONGER.get(m, 320 if m.startswith("s4token_model.kernels") else 250) for m in lines}
    assert {m: n for m, n in lines.items() if n > limit[m] and not within(local(m), GENERATOR)} == {}
