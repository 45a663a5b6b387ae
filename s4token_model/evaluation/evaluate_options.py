"""The options of `s4token evaluate` on the command line: of each benchmark, for argparse. Imports nothing heavy."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from s4token_model import command_line
from s4token_model.word_lists import split_list

DATA_HELP = "the data in its release layout, or a common preprocessed one"


def split_numbers(text: str) -> tuple[float, ...]:
    """Read numbers that are separated by commas."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,0.5,0.25") from None


# Options that several benchmarks take
SPLIT, SCANS = {"help": "train or test (default: test)"}, {"help": "train or val (default: all)"}
PARTS_SPLIT = {"help": "train, val or test (default: test)"}
PROJECTION = "projection: the model's CLIP on depth images of single objects, training-free (default: s4token)"
AREA = {"help": "an area, e.g. Area_2 (default: Area_5)"}
SENTENCES = {"metavar": "FILE", "dest": "sentences", "help": "sentences about each class (.yaml, .json), e.g. of GPT"}
PROMPTS: dict[str, dict[str, Any]] = {"prompts": SENTENCES}
METHOD: dict[str, dict[str, Any]] = {
    "method": {"choices": ["s4token", "projection"], "help": PROJECTION},
    "view_weights": {
        "metavar": "W,...",
        "type": split_numbers,
        "help": "with projection: a number for each of 10 views",
    },
    "dense": {"action": "store_true", "help": "with projection: patches by the values of CLIP's last block"},
    **PROMPTS,
}
FRAMES = "views: label by the 2D targets of posed frames, with the model's CLIP, training-free (default: s4token)"
VIEWS: dict[str, dict[str, Any]] = {
    "method": {"choices": ["s4token", "views"], "help": FRAMES},
    "targets": {
        "choices": ["crops", "dense", "points"],
        "help": "with views: of superpoints by crops (default) or by dense features; or of each point by these",
    },
    "every": {"metavar": "N", "type": int, "help": "with views: take each N-th frame (default: 1)"},
}
FOLDERS: dict[str, dict[str, Any]] = {
    "frames": {"metavar": "DIR", "help": "with views: folder of the scenes' posed frames (default: the root)"},
    "features": {"metavar": "DIR", "help": "with views: OpenScene's fused features (NAME_0.pt) instead of frames"},
}
ROOMS = {"metavar": "0003,0004", "help": "evaluate only these rooms"}
COUNT = {"metavar": "N", "type": int, "help": "how many rooms (default: 20; calibration: 40)"}
REPORT = {"metavar": "FILE.md", "help": "write a document, and its picture beside it with the suffix .png"}
REAL = {"help": "folder with scannet_votenet/ or semantickitti/ (default: procedural rooms only)"}
# Options of one
VARIANTS = {"metavar": "A,B", "help": "of obj_only, obj_bg, pb_t50_rs (default: all that exist)"}
IMAGES = "image64: range images of 64 x 1024 pixels; image32: as a sensor of 32 beams would see it (default: sweep)"
SWEEP = {"choices": ["sweep", "image64", "image32"], "help": IMAGES}
PROBE: dict[str, dict[str, Any]] = {
    "shots": {"metavar": "1,16", "help": "training objects per class; 0: all, a linear probe (default: 0)"},
    "ways": {"metavar": "N", "type": int, "help": "classes that each seed draws (default: all)"},
    "seeds": {"metavar": "N", "type": int, "help": "draws to average over (default: 10)"},
    "strength": {"metavar": "C", "type": float, "help": "weight of the data against that of |W|^2 / 2 (default: 100)"},
    "variant": {"metavar": "NAME", "help": "of ScanObjectNN (default: pb_t50_rs)"},
    **{name: details for name, details in METHOD.items() if name != "prompts"},
}
AGREEMENT: dict[str, dict[str, Any]] = {
    "words": {"metavar": "A,B", "type": split_list, "help": "class names (default: the model's)"},
    "topic": {"help": "the PointCloud2 topic, if the bag has several"},
    "bin_columns": command_line.BIN_COLUMNS,
}
CARD: dict[str, dict[str, Any]] = {
    "root": REAL,
    "baseline": {"metavar": "MODEL", "help": "another checkpoint to measure beside the model, e.g. the former one"},
    "report": REPORT,
    **{key: {"metavar": "N", "type": int, "help": f"how many procedural {key}"} for key in ("rooms", "streets")},
    "shapes": {"help": "CAD models for these"},
}


class Benchmark(NamedTuple):
    """How a benchmark is called."""

    name: str
    about: str
    options: dict[str, dict[str, Any]]
    data: str | None = DATA_HELP  # help of --root; None: without
    pictures: bool = True

    def add_options(self, command: argparse.ArgumentParser) -> None:
        """Add the options of the benchmark to its parser."""
        if self.data:
            command.add_argument("--root", required=True, help=self.data)
        for flag, details in self.options.items():
            command.add_argument(f"--{flag.replace('_', '-')}", default=argparse.SUPPRESS, **details)
        if self.pictures:
            command.add_argument("--pictures", metavar="DIR", help="draw the result: predictions, confusions, curves")
        command.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


BENCHMARKS = (
    Benchmark(
        "scannet", "ScanNet, 20 classes", {"split": SCANS, "rooms": ROOMS, "prompts": SENTENCES, **VIEWS, **FOLDERS}
    ),
    Benchmark("objects", "objects of ScanNet rooms", {"split": SCANS, "rooms": ROOMS}, pictures=False),
    Benchmark(
        "s3dis",
        "S3DIS, 13 classes",
        {"split": AREA, **PROMPTS},
    ),
    Benchmark("semantickitti", "SemanticKITTI, 19 classes", {"view": SWEEP, **PROMPTS}),
    Benchmark("shapenetpart", "ShapeNetPart, 50 parts", {"split": PARTS_SPLIT, **METHOD}),
    Benchmark("modelnet", "ModelNet40, zero-shot classification", {"split": SPLIT, **METHOD}),
    Benchmark(
        "scanobjectnn",
        "ScanObjectNN, zero-shot classification",
        {"split": SPLIT, **METHOD, "variants": VARIANTS},
    ),
    Benchmark("probe", "ModelNet40 or ScanObjectNN, logistic regression on features", PROBE, pictures=False),
    Benchmark("procedural", "held-out procedural rooms, by class names and synonyms", {"rooms": COUNT, **VIEWS}, None),
    Benchmark("words", "everyday words, plurals and adjectives for names", {"rooms": COUNT}, None, False),
    Benchmark("calibration", "calibration of the confidence", {"rooms": COUNT, "report": REPORT, "root": REAL}, None),
    Benchmark(
        "agreement",
        "unlabeled clouds: fraction of points that get the same label in two views",
        AGREEMENT,
        "a bag, a folder of clouds, or a cloud file",
        False,
    ),
    Benchmark(
        "card", "the figures of the model card: rooms, streets, held-out scenes, samples, encoder", CARD, None, False
    ),
    Benchmark("temporal", "labels over time: simulated drives and a room at rest", {}, None, False),
)
