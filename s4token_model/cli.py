"""The command `s4token`: parse, import what the command needs, call one function, inside of `command_line.guard`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from s4token_model import command_line
from s4token_model.evaluation import evaluate_options
from s4token_model.explore import address

MODEL = "s4token-mini"
# Long commands parse the rest of the line themselves. Those of this package: name -> (module with a `main`, help).
COMMANDS = {
    "words": ("s4token_model.words_command", "say what a model makes of words, before any cloud"),
    "benchmark": ("s4token_model.benchmark.speed", "time every stage beside a reference pipeline of libraries"),
    "robustness": ("s4token_model.evaluation.robustness_command", "measure the accuracy on disturbed clouds"),
    "prepare": ("s4token_model.training.prepare", "make training samples of clouds, bags, objects and posed RGB-D"),
    "train": ("s4token_model.training.train", "train the tokenizer on prepared samples: s4token train CONFIG.yaml"),
    "mini-model": ("s4token_model.training.train_mini", "train the default model s4token-mini again"),
    "experiments": ("s4token_model.experiments.__main__", "repeat the paper's comparisons at a small scale"),
    "paper": ("s4token_model.paper.paper_command", "compute a table of the paper on its data, beside its figures"),
    "figures": ("s4token_model.paper.figures_command", "draw a figure of the paper on your data"),
}
# Those of other packages, which register an entry point NAME = MODULE:FUNCTION in this group.
ENTRY_POINTS = "s4token.commands"
INSTALLED = {
    "demo": "label a sample room, or your file, live over ROS 2 and draw the result",
    "live-benchmark": "time the ROS 2 node at work; the same as benchmark --live",
    "live-explore": "the page of explore for a running ROS 2 node; the same as explore --live",
}
LIVE = {"benchmark": "live-benchmark", "explore": "live-explore"}

TOPIC_HELP = "a PointCloud2 topic of the bag; needed if it has several, and may be repeated to label several"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code, see `command_line.guard`."""
    return command_line.guard("s4token", run, argv)


def run(words: list[str]) -> int:
    """Run the command that the words name; whatever goes wrong is raised."""
    if words and words[0] in LIVE and any(word.partition("=")[0] == "--live" for word in words):
        return int(load_command(LIVE[words[0]])(words[1:]) or 0)
    if words and words[0] in COMMANDS | INSTALLED:
        return int(load_command(words[0])(words[1:]) or 0)
    arguments = parser().parse_args(words)
    return int(arguments.run(arguments) or 0)


def load_command(name: str) -> Callable[[list[str]], int | None]:
    """Import a long command and return its `main(words)`. ImportError says what is not installed."""
    try:
        if name in COMMANDS:
            return importlib.import_module(COMMANDS[name][0]).main
        found = tuple(metadata.entry_points(group=ENTRY_POINTS, name=name))
        if found:
            return found[0].load()
    except ImportError as reason:
        missing = reason.name or reason
        raise ImportError(f"this command needs {missing}, which is not installed; see README.md") from reason
    raise ImportError(f"no installed package provides the command {name}; install s4token again, see README.md")


def parser() -> argparse.ArgumentParser:
    """Return the parser; building it imports nothing heavy."""
    top = argparse.ArgumentParser("s4token", description="Open-vocabulary labels for every point of a point cloud.")
    top.add_argument(command_line.DEBUG_OPTION, action="store_true", help=command_line.DEBUG_HELP)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_label(commands)
    _add_superpoints(commands)
    _add_explore(commands)
    _add_evaluate(commands)
    for name, about in ({name: about for name, (_, about) in COMMANDS.items()} | INSTALLED).items():
        commands.add_parser(name, help=about)
    return top


def _command(commands: Any, name: str, run: Callable, about: str, details: str = "") -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}. {details}".strip())
    command.set_defaults(run=run)
    command.add_argument(command_line.DEBUG_OPTION, action="store_true", help=command_line.DEBUG_HELP)
    return command


def _add_label(commands: Any) -> None:
    about = "label the points of a cloud file, of every cloud in a ROS 2 bag, or of all files and bags in a folder"
    details = (
        "Reads .ply .pcd .las .laz .npy .bin (KITTI), meshes (.off .obj .ply), NAME.depth.png frames and bags (.mcap"
        " .db3). Writes all fields of the input and label (65535 = unlabeled), confidence, superpoint, class color."
    )
    command = _command(commands, "label", label, about, details)
    command.add_argument("input", metavar="INPUT", help="a cloud file, a bag (its folder or file), or a folder of them")
    about = ".ply, .pcd or .npy; for a bag a new folder, .mcap or .db3; for a folder a folder"
    command.add_argument("-o", "--out", required=True, help=about)
    words = command.add_mutually_exclusive_group()
    words.add_argument("--vocabulary", metavar="A,B,C", help="class names, separated by commas (default: the model's)")
    words.add_argument("--labels", metavar="FILE", help="a file of class names, e.g. one per line, or scannet20")
    command.add_argument("--head", metavar="parts.pt", help="label by a head of `s4token train` with task=parts")
    command.add_argument("--category", metavar="NAME", help="with --head: what the shape is, e.g. mug")
    command.add_argument("--picture", metavar="FILE.png", help="draw the labels, the objects and a legend")
    rerun = "write labels and objects for the Rerun viewer (pip install rerun-sdk)"
    command.add_argument("--rerun", metavar="FILE.rrd", help=rerun)
    command.add_argument("--topic", action="append", metavar="TOPIC", help=TOPIC_HELP)
    command_line.add_workers(command)
    about = "of a folder: replace outputs that are there; without, those of the same model and words are kept"
    command.add_argument("--overwrite", action="store_true", help=about)
    _add_model(command)
    _add_common(command)


def _add_superpoints(commands: Any) -> None:
    about = "split a cloud into superpoints, pieces of similar geometry"
    command = _command(commands, "superpoints", superpoints, about, "No model is needed.")
    command.add_argument("input", metavar="INPUT", help="a cloud file")
    command.add_argument("-o", "--out", required=True, help="a .ply, .pcd or .npy file")
    _add_common(command)


def _add_explore(commands: Any) -> None:
    about = "type words on a web page, and see a cloud labeled with them"
    details = "Needs viser. --live [TOPIC] shows a running node's labeled clouds instead (default: /s4token/labeled)."
    command = _command(commands, "explore", explore, about, details)
    command.add_argument("input", metavar="INPUT", nargs="?", help="a cloud file or a bag (default: a sample room)")
    words = command.add_mutually_exclusive_group()
    words.add_argument("--vocabulary", metavar="A,B,C", help="the first class names (default: the model's)")
    words.add_argument("--labels", metavar="FILE", help="a file of class names, e.g. one per line, or scannet20")
    command.add_argument("--topic", metavar="TOPIC", help="the PointCloud2 topic, if a bag has several")
    address.add_options(command)
    _add_model(command)
    _add_reading(command)


def _add_evaluate(commands: Any) -> None:
    details = "The prompts are those of config/prompts; their SHA-256 is in every result."
    command = _command(commands, "evaluate", evaluate, "measure a model on a benchmark", details)
    add = command.add_subparsers(title="benchmarks", metavar="BENCHMARK", dest="benchmark", required=True)
    for one in evaluate_options.BENCHMARKS:
        benchmark = _command(add, one.name, evaluate, one.about)
        one.add_options(benchmark)
        _add_model(benchmark)
        _add_set(benchmark)


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default=MODEL, help=f"a checkpoint folder or built-in name (default: {MODEL})")
    command.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def _add_common(command: argparse.ArgumentParser) -> None:
    _add_reading(command)
    command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def _add_reading(command: argparse.ArgumentParser) -> None:
    about = "draw N points on a mesh; 0 keeps its vertices (default: draw on CAD models, keep the vertices of scans)"
    command.add_argument("--mesh-points", type=int, metavar="N", help=about)
    command.add_argument("--bin-columns", **command_line.BIN_COLUMNS)
    _add_set(command)


def _add_set(command: argparse.ArgumentParser) -> None:
    about = "change one setting, e.g. superpoints.regularization=0.1; may be repeated"
    command.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help=about)


def label(arguments: argparse.Namespace) -> int:
    """Run `s4token label`."""
    from s4token_model import label_command

    return label_command.label(arguments)


def superpoints(arguments: argparse.Namespace) -> None:
    """Run `s4token superpoints`."""
    from s4token_model import label_command

    label_command.superpoints(arguments)


def explore(arguments: argparse.Namespace) -> None:
    """Run `s4token explore`."""
    from s4token_model.explore import explore_command

    explore_command.explore(arguments)


def evaluate(arguments: argparse.Namespace) -> None:
    """Run `s4token evaluate`."""
    options = dict(vars(arguments))
    _, name, as_json = (options.pop(key) for key in ("run", "benchmark", "json"))
    options.pop("debug")
    from s4token_model.evaluation import benchmarks

    benchmarks.run(name, as_json=as_json, out=options.pop("pictures", None), **options)


if __name__ == "__main__":
    sys.exit(main())
