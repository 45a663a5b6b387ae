"""The benchmarks: segmentation of clouds as one table, and `run`, which runs any benchmark by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from s4token_model import checkpoint
from s4token_model.datasets import s3dis, scannet, semantickitti
from s4token_model.evaluation import agreement, classification, part_segmentation, prompts
from s4token_model.evaluation.loading import SampleLoader, Setup
from s4token_model.evaluation.segmentation import INDOOR_RULES, LabeledCloud, evaluate, renamed
from s4token_model.evaluation.tables import segmentation_table


@dataclass(frozen=True)
class Selection:
    """The clouds that a benchmark's options select, read one by one, and what the result repeats of the options."""

    names: tuple[str, ...]  # of the classes
    clouds: Iterable[LabeledCloud]
    metadata: dict[str, Any]
    synonyms: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SegmentationBenchmark:
    """A benchmark of semantic segmentation: one row of the table below."""

    task: str  # its name in results
    prompts: str | None  # config/prompts/NAME.yaml; None: the class names themselves
    rules: tuple[
        str, str, str
    ]  # classes of level ground, upright surfaces and the rest, for the height-normal baseline
    select: Callable[..., Selection]  # takes the benchmark's options


def scannet_rooms(root: str | Path, rooms: str | Sequence[str] | None = None, split: str | None = None) -> Selection:
    """ScanNet rooms, e.g. "0003,0004" or a list, default all; split train or val; with ScanNet's own superpoints."""
    wanted = [room.strip() for room in rooms.split(",") if room.strip()] if isinstance(rooms, str) else rooms
    names = scannet.list_rooms(root, wanted, split)

    def load(name: str) -> LabeledCloud:
        room = scannet.load_room(root, name)
        return LabeledCloud(room.name, room.xyz, room.rgb, room.label, room.superpoint)

    return Selection(scannet.NAMES, SampleLoader(names, load, "rooms"), {"rooms": names})


def s3dis_rooms(root: str | Path, split: str = s3dis.TEST_AREA) -> Selection:
    """The S3DIS rooms of one area, e.g. Area_5."""
    names = s3dis.list_rooms(root, split)

    def load(name: str) -> LabeledCloud:
        room = s3dis.load_room(root, name)
        return LabeledCloud(room.name, room.xyz, room.rgb, room.label)

    return Selection(s3dis.NAMES, SampleLoader(names, load, "rooms"), {"split": split, "rooms": names})


def semantickitti_sweeps(root: str | Path, sequences: Sequence[str] | None = None) -> Selection:
    """The labeled LiDAR sweeps of some sequences, default all."""
    names = semantickitti.list_sweeps(root, sequences)

    def load(name: str) -> LabeledCloud:
        sweep = semantickitti.load_sweep(root, name)
        return LabeledCloud(name, sweep.xyz, None, sweep.label)

    return Selection(semantickitti.NAMES, SampleLoader(names, load, "sweeps"), {"sweeps": names})


def procedural_rooms(rooms: int = 20, kind: str = "depth", seed: int | None = None) -> Selection:
    """Held-out procedural rooms, scanned as `kind` of `sensors.scans.scan`; scored under names and synonyms."""
    from s4token_model.evaluation import procedural_rooms as held_out  # the scene generator, of no use to real data

    if rooms < 1:
        raise ValueError(f"rooms={rooms}; evaluate at least one")
    seed = held_out.FIRST_SEED if seed is None else seed
    clouds = held_out.held_out_clouds(rooms, kind, seed)
    return Selection(held_out.NAMES, clouds, {"kind": kind, "seed": seed}, held_out.SYNONYMS)


SEGMENTATION = {
    "scannet": SegmentationBenchmark("scannet20", "scannet20", INDOOR_RULES, scannet_rooms),
    "s3dis": SegmentationBenchmark("s3dis", "s3dis", ("floor", "wall", "clutter"), s3dis_rooms),
    "semantickitti": SegmentationBenchmark(
        "semantickitti", "semantickitti", ("road", "building", "vegetation"), semantickitti_sweeps
    ),
    "procedural": SegmentationBenchmark("procedural rooms", None, INDOOR_RULES, procedural_rooms),
}


def segment(benchmark: SegmentationBenchmark, setup: Setup, **options: Any) -> tuple[dict[str, Any], str]:
    """Score a model on a benchmark of semantic segmentation; returns the result and its table."""
    selection = benchmark.select(**options)
    frozen = prompts.load(benchmark.prompts, selection.names) if benchmark.prompts else None
    figures = evaluate(
        selection.clouds, selection.names, setup.labeler(), frozen, selection.synonyms, benchmark.rules, setup.out
    )
    result = {"task": benchmark.task, "model": str(setup.model), **selection.metadata, **figures}
    if selection.synonyms is not None:
        result["renamed"] = renamed(result)
    return result, segmentation_table(result, setup.title())


# Name on the command line: function (setup, **options) -> (result, table).
BENCHMARKS: dict[str, Callable[..., tuple[dict[str, Any], str]]] = {
    **{name: partial(segment, benchmark) for name, benchmark in SEGMENTATION.items()},
    "shapenetpart": part_segmentation.shapenetpart_parts,
    "modelnet": classification.modelnet40_objects,
    "scanobjectnn": classification.scanobjectnn_objects,
    "agreement": agreement.two_view_agreement,
}


def run(
    name: str,
    *,
    model: str | Path = checkpoint.MINI,
    device: str = "cpu",
    as_json: bool = False,
    out: str | Path | None = None,
    segmenter: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """Run a benchmark, print its table or one JSON object, and return what the JSON object holds.

    Samples that cannot be read are counted, reported and left out.

    Args:
        name: a key of BENCHMARKS.
        model: a checkpoint folder or built-in name; `segmenter` takes a loaded model instead.
        out: folder for pictures, None to draw none.
        options: options of the benchmark, e.g. root, rooms, split, method.

    Raises:
        ValueError: the benchmark, an option or the root is wrong, or no sample can be read.
        ImportError: `out` is given, and matplotlib is not installed.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"unknown benchmark {name!r}; choose from {', '.join(BENCHMARKS)}")
    if out is not None:
        from s4token_model.pictures.plots import new_figure

        new_figure(1, 1)  # a missing package is an error before the work, not after it
    setup = Setup(model, device, None if out is None else Path(out), segmenter)
    result, table = BENCHMARKS[name](setup, **options)
    print(json.dumps(result) if as_json else table)
    return result
