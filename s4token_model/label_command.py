"""The commands `s4token label` and `s4token superpoints`: check what can be checked, then load, label and report."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

from s4token_model import config as configs
from s4token_model.io import bags, files, label_files, labeled_bags
from s4token_model.io.errors import error


def label(arguments: argparse.Namespace) -> None:
    """Run `s4token label`. Input and output are checked before the model is loaded and run, which takes longer."""
    if bags.is_bag(arguments.input):
        topics = bags.check_source(arguments.input, arguments.topic)
        labeled_bags.check_target(arguments.out)
        segmenter = load_segmenter(arguments)
        summary = label_files.label_bag(arguments.input, arguments.out, segmenter, topics)
        more = {"clouds": summary.clouds, "skipped": summary.skipped, "topics": topics}
    else:
        files.check_writable(arguments.out)
        if arguments.topic:
            raise ValueError(f"--topic {arguments.topic[0]}: {arguments.input} is no bag; leave --topic out")
        cloud = _read(arguments)
        segmenter = load_segmenter(arguments)
        summary, more = label_files.label_cloud(cloud, arguments.out, segmenter), {}
    _report(summary.to_dict(str(arguments.model)) | more | segmenter.vocabulary.report(), arguments)


def superpoints(arguments: argparse.Namespace) -> None:
    """Run `s4token superpoints`."""
    if bags.is_bag(arguments.input):
        raise ValueError(f"{arguments.input}: superpoints reads cloud files; for a bag use s4token label")
    files.check_writable(arguments.out)
    config = configs.replace(configs.Config(), configs.pairs(arguments.changes))
    _report(label_files.write_superpoints(_read(arguments), arguments.out, config), arguments)


def _read(arguments: argparse.Namespace) -> files.Cloud:
    """The input cloud, once it is certain that it has points to label and that the output can hold its fields."""
    if (count := arguments.mesh_points) is not None and count < 0:
        raise ValueError(f"--mesh-points {count}: give a number of points, or 0 for the vertices")
    cloud = files.read_cloud(arguments.input, count, arguments.bin_columns)
    if not np.isfinite(cloud.xyz).all(axis=1).any():
        found = f"none of its {len(cloud.xyz):,} points is finite, so there is nothing to write"
        raise error(arguments.input, found, "check the sensor, or the program that wrote the file")
    files.check_writable(arguments.out, cloud)
    return cloud


def load_segmenter(arguments: argparse.Namespace) -> Any:
    """Load the segmenter of --model, --device, --set, and --vocabulary or --labels."""
    from s4token_model import checkpoint, vocabulary
    from s4token_model.segmenter import Segmenter

    saved, changes = checkpoint.read_config(arguments.model), configs.pairs(arguments.changes)
    config = vocabulary.configure(saved, changes, arguments.vocabulary, arguments.labels)
    segmenter = Segmenter.load(arguments.model, config, arguments.device)
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
    for name, points in result.get("classes", {}).items():
        mark = "  unknown word" if name in result["unknown"] else ""
        print(f"  {name:<24}{points:>12,}{100 * points / result['points']:>7.1f} %{mark}")
    if result.get("unlabeled"):
        print(f"  unlabeled ({result['unlabeled_reason']})")
    for reason in result.get("skipped", []):
        print(f"  skipped {reason}")
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in result.get("stages_ms", {}).items())
    print(f"{result['total_ms']:.0f} ms" + (f": {stages}" if stages else ""))
