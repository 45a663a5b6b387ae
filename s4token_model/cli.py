"""The command `s4token`: parse, import what the command needs, call one function. Errors are one line, exit code 2."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from s4token_model import constants

# Commands with a parser of their own, which the rest of the line goes to.
PASSED_ON = {
    "demo": ("s4token_ros.demo", "label a sample room, or your file, live over ROS 2 and draw what came out"),
    "benchmark": (
        "s4token_model.benchmark.speed",
        "time every stage beside the paper's parts as libraries give them",
    ),
    "prepare": (
        "s4token_model.training.prepare",
        "make training samples of clouds, bags, objects and posed RGB-D scenes",
    ),
    "train": ("s4token_model.training.train", "train the tokenizer without labels: s4token train CONFIG.yaml"),
    "mini-model": ("s4token_model.training.train_mini", "train the embedded default model again"),
}
LIVE = "s4token_ros.live_benchmark"  # of `benchmark --live`: node and sensor as processes
MODEL = "s4token-mini"
# Benchmark: its module in s4token_model/evaluation, and the options that it takes beside those of all.
BENCHMARKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "scannet": ("scannet", ("rooms", "split")),
    "s3dis": ("s3dis", ("split",)),
    "semantickitti": ("semantickitti", ()),
    "shapenetpart": ("part_segmentation", ("split", "method")),
    "modelnet": ("modelnet", ("split", "method")),
    "scanobjectnn": ("scanobjectnn", ("split", "method", "variants")),
    "procedural": ("synthetic", ("rooms",)),
    "agreement": ("agreement", ("words",)),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 on an error of the user's, 130 on Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words and words[0] in PASSED_ON:
            live = words[0] == "benchmark" and "--live" in words
            return int(_load(LIVE if live else PASSED_ON[words[0]][0]).main(words[1:]) or 0)
        arguments = parser().parse_args(words)
        return int(arguments.run(arguments) or 0)
    except (ValueError, OSError, ImportError) as reason:
        print(f"s4token: {' '.join(str(reason).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _load(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as reason:
        raise ImportError(
            f"this command needs {reason.name or reason}, which is not installed; see README.md"
        ) from reason


def parser() -> argparse.ArgumentParser:
    """Return the parser; building it imports nothing heavy."""
    top = argparse.ArgumentParser("s4token", description="Open-vocabulary labels for every point of a point cloud.")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_label(commands)
    _add_superpoints(commands)
    _add_evaluate(commands)
    for name, (_, about) in PASSED_ON.items():
        commands.add_parser(name, help=about)
    return top


def _command(commands: Any, name: str, run: Callable, about: str, details: str = "") -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}. {details}".strip())
    command.set_defaults(run=run)
    return command


def _add_label(commands: Any) -> None:
    about = "label the points of a cloud file, or of every cloud in a ROS 2 bag"
    details = (
        "Reads .ply .pcd .las .laz .npy .bin (KITTI), meshes (.off .obj .ply), NAME.depth.png frames and bags (.mcap"
        " .db3). Writes all fields of the input and label (65535 = unlabeled), confidence, superpoint, class color."
    )
    command = _command(commands, "label", label, about, details)
    command.add_argument("input", metavar="INPUT", help="a cloud file, or a bag: its folder or file")
    command.add_argument("-o", "--out", required=True, help=".ply, .pcd or .npy; for a bag a new folder, .mcap or .db3")
    words = command.add_mutually_exclusive_group()
    words.add_argument("--vocabulary", metavar="A,B,C", help="the words, separated by commas (default: the model's)")
    words.add_argument("--labels", metavar="FILE", help="a file of words, one per line, or scannet20")
    command.add_argument("--topic", help="the PointCloud2 topic of a bag, where it has several")
    _add_model(command)
    _add_common(command)


def _add_superpoints(commands: Any) -> None:
    about = "split a cloud into superpoints, pieces of one shape"
    command = _command(commands, "superpoints", superpoints, about, "No model is needed.")
    command.add_argument("input", metavar="INPUT", help="a cloud file")
    command.add_argument("-o", "--out", required=True, help="a .ply, .pcd or .npy file")
    _add_common(command)


def _add_evaluate(commands: Any) -> None:
    about = "measure a model on a benchmark"
    details = (
        "scannet: ScanNet20; s3dis: rooms, 13 classes; semantickitti: 19 classes; shapenetpart: parts of objects;"
        " modelnet, scanobjectnn: zero-shot classification; procedural: held-out procedural rooms, names and synonyms;"
        " agreement: unlabeled clouds of a bag, file or folder, the share of points labeled alike in two views."
        " The words are those of config/prompts; their SHA-256 is in every result."
    )
    command = _command(commands, "evaluate", evaluate, about, details)
    command.add_argument("benchmark", choices=list(BENCHMARKS))
    command.add_argument("--root", help="the data in its release layout, or a common preprocessed one")
    command.add_argument("--rooms", metavar="0003,0004", help="scannet: only these; procedural: how many (default: 20)")
    command.add_argument("--split", help="train, val or test (default: test; scannet: all); s3dis: an area (Area_5)")
    variants = "of scanobjectnn: obj_only, obj_bg, pb_t50_rs (default: all that are there)"
    command.add_argument("--variants", metavar="A,B", help=variants)
    how = "projection: the model's CLIP on depth pictures of single objects, training-free (default: s4token)"
    command.add_argument("--words", metavar="A,B", help="of agreement: the words (default: the model's vocabulary)")
    command.add_argument("--method", choices=["s4token", "projection"], help=how)
    command.add_argument("--pictures", metavar="DIR", help="draw predictions beside the truth, and the confusions")
    command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    _add_model(command)


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default=MODEL, help=f"a checkpoint folder or built-in name (default: {MODEL})")
    command.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--mesh-points", type=int, metavar="N", help="how many points to draw on a mesh")
    how = "change one setting, e.g. superpoints.regularization=0.1; may be repeated"
    command.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help=how)
    command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def changes(pairs: Sequence[str]) -> dict[str, str]:
    """Turn ["key=value", ...] into a dict. ValueError on anything else."""
    for pair in pairs:
        if "=" not in pair:
            raise ValueError(f"--set {pair}: not understood; write --set key=value")
    return dict(pair.split("=", 1) for pair in pairs)


def label(arguments: argparse.Namespace) -> None:
    """Run `s4token label`. The input is checked before the model is loaded, which takes longer."""
    from s4token_model.io import bags, files

    bag = bags.is_bag(arguments.input)
    if bag:
        bags.check_source(arguments.input, arguments.topic)
        bags.check_target(arguments.out)
    else:
        files.check_writable(arguments.out)
        if arguments.topic:
            raise ValueError(f"--topic {arguments.topic}: {arguments.input} is no bag; leave --topic out")
        cloud = _read(arguments)
    segmenter = _segmenter(arguments)
    from s4token_model.io import label_files as labeling

    if bag:
        summary = labeling.label_bag(arguments.input, arguments.out, segmenter, arguments.topic)
        more = {"clouds": summary.clouds, "skipped": summary.skipped}
    else:
        summary, more = labeling.label_cloud(cloud, arguments.out, segmenter), {}
    _report(summary.to_dict(str(arguments.model)) | more, arguments)


def _read(arguments: argparse.Namespace) -> Any:
    from s4token_model.io import files

    count = files.MESH_POINTS if arguments.mesh_points is None else arguments.mesh_points
    if count < 1:
        raise ValueError(f"--mesh-points {count}: give at least 1")
    return files.read_cloud(arguments.input, count)


def _segmenter(arguments: argparse.Namespace) -> Any:
    from s4token_model import checkpoint
    from s4token_model import config as configs
    from s4token_model.segmenter import Segmenter

    wanted: dict[str, Any] = changes(arguments.changes)
    if arguments.vocabulary is not None:
        wanted["vocabulary.names"] = tuple(arguments.vocabulary.split(","))
    if arguments.labels is not None:
        wanted |= {"vocabulary.labels": arguments.labels, "vocabulary.names": ()}
    config = configs.replace(checkpoint.read_config(arguments.model), wanted)
    return Segmenter.load(arguments.model, config, arguments.device)


def _report(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(result, ensure_ascii=False))
        return
    counts = ", ".join(f"{result[k]:,} {k}" for k in ("clouds", "points", "superpoints", "tokens") if k in result)
    print(f"{arguments.out}: {counts}")
    for name, points in result.get("classes", {}).items():
        print(f"  {name:<24}{points:>12,}{100 * points / result['points']:>7.1f} %")
    if result.get("unlabeled"):
        print(f"  unlabeled ({result['unlabeled_reason']})")
    for reason in result.get("skipped", []):
        print(f"  skipped {reason}")
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in result.get("stages_ms", {}).items())
    print(f"{result['total_ms']:.0f} ms" + (f": {stages}" if stages else ""))


def superpoints(arguments: argparse.Namespace) -> None:
    """Run `s4token superpoints`."""
    from s4token_model import config as configs
    from s4token_model.io import bags, files

    if bags.is_bag(arguments.input):
        raise ValueError(f"{arguments.input}: superpoints reads cloud files; for a bag use s4token label")
    files.check_writable(arguments.out)
    config = configs.replace(configs.Config(), changes(arguments.changes))
    cloud = _read(arguments)
    from s4token_model.io import label_files as labeling

    start = time.perf_counter()
    ids = labeling.partition_cloud(cloud, config)
    total_ms = 1000 * (time.perf_counter() - start)
    files.write_cloud(arguments.out, cloud, labeling.superpoint_columns(ids))
    finite = ids[ids != constants.NO_SUPERPOINT]
    count = int(finite.max()) + 1 if len(finite) else 0
    result = {"points": len(ids), "finite_points": len(finite), "superpoints": count}
    _report(result | {"total_ms": round(total_ms, 3)}, arguments)


def evaluate(arguments: argparse.Namespace) -> None:
    """Run `s4token evaluate`."""
    a = arguments
    _, taken = BENCHMARKS[a.benchmark]
    if a.benchmark != "procedural" and not a.root:
        raise ValueError(f"evaluate {a.benchmark} needs --root, the folder of the data")
    given = {
        key: getattr(a, key) for key in ("rooms", "split", "method", "variants", "words") if getattr(a, key) is not None
    }
    if wrong := [key for key in given if key not in taken]:
        raise ValueError(f"evaluate {a.benchmark} knows no --{wrong[0]}; leave it out")
    if "words" in given:
        given["words"] = a.words.split(",")
    given |= {"rooms": int(a.rooms or 20)} if a.benchmark == "procedural" else {"root": a.root}
    from s4token_model.evaluation import benchmarks

    benchmarks.run(a.benchmark, model=a.model, as_json=a.json, device=a.device, out=a.pictures, **given)


if __name__ == "__main__":
    sys.exit(main())
