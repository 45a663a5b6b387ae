"""The commands `s4token label` and `s4token superpoints`: check what can be checked, then load, label and report."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from s4token_model import command_line, compile_beside, views, word_checks
from s4token_model import config as configs
from s4token_model.io import bags, files, folders, label_files, labeled_bags


def label(arguments: argparse.Namespace) -> int:
    """Run `s4token label`. Input and output are checked before the model is loaded and run, which takes longer."""
    source, is_many = Path(arguments.input), arguments.workers is not None or bool(arguments.ray)
    views.check(arguments.picture, arguments.rerun, source)
    _check_head(arguments, source)
    if source.is_dir() and not (folders.is_bag_folder(source) or (folders.is_one_bag(source) and not is_many)):
        return _label_folder(arguments)
    if is_many or arguments.overwrite:
        option = "--overwrite" if arguments.overwrite else "--ray" if arguments.ray else "--workers"
        raise ValueError(f"{option}: {source} is one {'bag' if bags.is_bag(source) else 'file'}; give a folder of many")
    if bags.is_bag(source):
        topics = bags.check_source(source, arguments.topic)
        labeled_bags.check_target(arguments.out)
        segmenter = load_segmenter(arguments)
        summary = label_files.label_bag(source, arguments.out, segmenter, topics)
        more = {"clouds": summary.clouds, "skipped": summary.skipped, "topics": topics}
    else:
        files.check_writable(arguments.out)
        if arguments.topic:
            raise ValueError(f"--topic {arguments.topic[0]}: {arguments.input} is no bag; leave --topic out")
        cloud = _read(arguments)
        segmenter = load_segmenter(arguments)
        show = partial(views.write, cloud.xyz, arguments.picture, arguments.rerun)
        summary, more = label_files.label_cloud(cloud, arguments.out, segmenter, show), {}
    _report(summary.to_dict(str(arguments.model)) | more | segmenter.vocabulary.report(), arguments)
    return 0


def _check_head(arguments: argparse.Namespace, source: Path) -> None:
    """Raise ValueError if --head and --category do not go with the other options, or with a folder."""
    if arguments.head is None:
        if arguments.category is not None:
            raise ValueError(f"--category {arguments.category} has no effect without --head; leave it out")
        return
    if arguments.vocabulary or arguments.labels:
        raise ValueError(f"--head {arguments.head} has class names of its own; leave --vocabulary and --labels out")
    if source.is_dir() and not folders.is_bag_folder(source):
        raise ValueError(f"--head {arguments.head} labels one cloud or bag at a time, and {source} is a folder")


def _label_folder(arguments: argparse.Namespace) -> int:
    """Label the files and bags of a folder; 1 if any failed."""
    from s4token_model import label_folder

    _check_counts(arguments)
    workers = command_line.checked_workers(arguments)
    if arguments.ray and arguments.device != "cpu":
        raise ValueError(
            f"--device {arguments.device}: with --ray, every processor of the cluster labels; leave it out"
        )
    labeler = label_folder.Labeler(
        arguments.model, _config(arguments), arguments.device, tuple(arguments.topic or ()), arguments.mesh_points,
        arguments.bin_columns,
    )  # fmt: skip
    pool = label_folder.Pool(workers, arguments.ray, arguments.overwrite)
    total = label_folder.label_folder(Path(arguments.input), Path(arguments.out), labeler, pool)
    _report(total.to_dict(str(arguments.model)), arguments)
    return 1 if total.failures else 0


def superpoints(arguments: argparse.Namespace) -> None:
    """Run `s4token superpoints`."""
    if bags.is_bag(arguments.input):
        raise ValueError(f"{arguments.input}: superpoints reads cloud files; for a bag use s4token label")
    files.check_writable(arguments.out)
    config = configs.replace(configs.Config(), configs.pairs(arguments.changes))
    _report(label_files.write_superpoints(_read(arguments), arguments.out, config), arguments)


def _read(arguments: argparse.Namespace) -> files.Cloud:
    """The input cloud, once it is certain that it has points to label and that the output can hold its fields."""
    _check_counts(arguments)
    cloud = files.read_cloud(arguments.input, arguments.mesh_points, arguments.bin_columns)
    label_files.check_has_points(arguments.input, cloud)
    files.check_writable(arguments.out, cloud)
    return cloud


def _check_counts(arguments: argparse.Namespace) -> None:
    if (count := arguments.mesh_points) is not None and count < 0:
        raise ValueError(f"--mesh-points {count}: give a number of points, or 0 for the vertices")
    if (count := arguments.bin_columns) is not None and count < 3:
        raise ValueError(f"--bin-columns {count}: a point has 3 columns or more")


def _config(arguments: argparse.Namespace) -> configs.Config:
    """The model's config with what the command line changes."""
    from s4token_model import checkpoint, vocabulary

    saved, changes = checkpoint.read_config(arguments.model), configs.pairs(arguments.changes)
    return vocabulary.configure(saved, changes, arguments.vocabulary, arguments.labels)


def load_segmenter(arguments: argparse.Namespace) -> Any:
    """Load the segmenter of --model, --device, --set, and --vocabulary, --labels or --head."""
    compile_beside.start()  # before the imports, which take seconds
    head, category = (getattr(arguments, name, None) for name in ("head", "category"))
    if head is not None:
        from s4token_model.training import part_labels

        segmenter: Any = part_labels.load(arguments.model, head, category, _config(arguments), arguments.device)
    else:
        from s4token_model.segmenter import Segmenter

        segmenter = Segmenter.load(arguments.model, _config(arguments), arguments.device)
    segmenter.encoder.progress = True
    return segmenter


def _report(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    for warning in result.get("warnings", []):
        print(f"s4token: warning: {warning}", file=sys.stderr)
    if arguments.json:
        is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        print(json.dumps(result, ensure_ascii=not is_unicode))
        return
    counts = ", ".join(f"{result[k]:,} {k}" for k in ("clouds", "points", "superpoints", "tokens") if k in result)
    print(f"{arguments.out}: {counts}")
    if "files" in result:
        print("  files: " + ", ".join(f"{count:,} {kind}" for kind, count in result["files"].items()))
    notes = word_checks.meanings(result.get("unknown", ()), result.get("taken_for", {}))
    for name, points in result.get("classes", {}).items():
        note = f"  {notes[name]}" if name in notes else ""
        print(f"  {name:<24}{points:>12,}{100 * points / result['points']:>7.1f} %{note}")
    if result.get("unlabeled"):
        print(f"  unlabeled ({result['unlabeled_reason']})")
    for reason in result.get("skipped", []):
        print(f"  skipped {reason}")
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in result.get("stages_ms", {}).items())
    print(f"{result['total_ms']:.0f} ms" + (f": {stages}" if stages else ""))
