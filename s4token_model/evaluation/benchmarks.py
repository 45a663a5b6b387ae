"""The benchmarks of segmentation of clouds, and `run`, which runs any benchmark by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from s4token_model import checkpoint
from s4token_model.datasets import s3dis, scannet, semantickitti
from s4token_model.evaluation import (
    agreement,
    calibration,
    classification,
    everyday_words,
    linear_probe,
    object_detection,
    part_segmentation,
)
from s4token_model.evaluation.loading import METHODS, VIEWS, ProjectionOptions, Result, SampleLoader, Setup
from s4token_model.evaluation.segmentation import INDOOR_RULES, LabeledCloud, evaluate, renamed
from s4token_model.evaluation.tables import segmentation_table
from s4token_model.evaluation.view_labels import ViewOptions, Views


class Scored(NamedTuple):
    """How a benchmark of segmentation is scored."""

    names: tuple[str, ...]
    rules: tuple[str, str, str] = INDOOR_RULES
    synonyms: tuple[str, ...] | None = None
    views: ViewOptions | None = None  # label by the 2D targets instead of a model


def segment(setup: Setup, task: str, scored: Scored, clouds: Iterable[LabeledCloud], options: dict[str, Any]) -> Result:
    """Score a model on clouds by the prompts of `task`, or by names and synonyms; the result repeats `options`."""
    names, rules, synonyms, views = scored
    frozen = setup.prompts(task, names) if synonyms is None else None
    labeler, title = (setup.labeler(), setup.title()) if views is None else (setup.view_labeler(views), VIEWS)
    figures = evaluate(clouds, names, labeler, frozen, synonyms, rules, setup.out)
    options = options if views is None else options | {"method": VIEWS, **views.named()}
    result = {"task": task, "model": str(setup.model), **options, **figures}
    if synonyms is not None:
        result["renamed"] = renamed(result)
    return result, segmentation_table(result, title)


def view_options(method: str, given: dict[str, Any]) -> ViewOptions | None:
    """Return the options of the method views, or None with another method. ValueError if they do not go together."""
    if method == VIEWS:
        return ViewOptions(**given).checked()
    if method != METHODS[0]:
        raise ValueError(f"unknown method {method!r}; choose from {METHODS[0]}, {VIEWS}")
    if given:
        name = next(iter(given))
        raise ValueError(f"--{name} {given[name]} has no effect without --method {VIEWS}; leave it out")
    return None


def labeled(room: scannet.Room | s3dis.Room) -> LabeledCloud:
    """A room as a cloud with its ground truth, and with the superpoints that ScanNet provides."""
    return LabeledCloud(room.name, room.xyz, room.rgb, room.label, getattr(room, "superpoint", None))


def scannet_rooms(
    setup: Setup, root: str | Path, rooms: str | Sequence[str] | None = None, split: str | None = None,
    method: str = METHODS[0], **views: Any,
) -> Result:  # fmt: skip
    """ScanNet rooms, e.g. "0003,0004" or a list, default all; split train or val; with ScanNet's own superpoints.

    `views` are ViewOptions of the method views, which labels by the 2D targets of posed frames.
    """
    options = view_options(method, views)
    wanted = [room.strip() for room in rooms.split(",") if room.strip()] if isinstance(rooms, str) else rooms
    found = scannet.list_rooms(root, wanted, split)
    sources = None if options is None else Views(options, root)

    def load(name: str) -> LabeledCloud:
        cloud = labeled(scannet.load_room(root, name))
        return cloud if sources is None else replace(cloud, views=sources.of_room(name, len(cloud.xyz)))

    clouds, scored = SampleLoader(found, load, "rooms"), Scored(scannet.NAMES, views=options)
    return segment(setup, "scannet20", scored, clouds, {"rooms": found})


def s3dis_rooms(setup: Setup, root: str | Path, split: str = s3dis.TEST_AREA) -> Result:
    """The S3DIS rooms of one area, e.g. Area_5."""
    found = s3dis.list_rooms(root, split)
    clouds = SampleLoader(found, lambda name: labeled(s3dis.load_room(root, name)), "rooms")
    scored = Scored(s3dis.NAMES, ("floor", "wall", "clutter"))
    return segment(setup, "s3dis", scored, clouds, {"split": split, "rooms": found})


def semantickitti_sweeps(
    setup: Setup, root: str | Path, sequences: Sequence[str] | None = None, view: str = "sweep"
) -> Result:
    """The labeled LiDAR sweeps of some sequences, default all; as one of `sweep_views.VIEWS`."""
    from s4token_model.evaluation import sweep_views  # the other benchmarks need no generator

    found = semantickitti.list_sweeps(root, sequences)

    def load(name: str) -> LabeledCloud:
        return sweep_views.labeled_view(semantickitti.load_sweep(root, name), view)

    scored = Scored(semantickitti.NAMES, ("road", "building", "vegetation"))
    clouds = SampleLoader(found, load, "sweeps")
    return segment(setup, "semantickitti", scored, clouds, {"sweeps": found, "view": view})


def procedural_rooms(
    setup: Setup, rooms: int = 20, kind: str = "depth", seed: int | None = None, method: str = METHODS[0], **views: Any
) -> Result:
    """Held-out procedural rooms, scanned as `kind` of `sensors.scans.scan`; scored under names and synonyms.

    The method views labels by the 2D targets of rendered frames; `views` are its ViewOptions.
    """
    from s4token_model.evaluation import procedural_rooms as held_out  # the scene generator, of no use to real data

    if rooms < 1:
        raise ValueError(f"rooms={rooms}; evaluate at least one")
    seed, viewed = held_out.FIRST_SEED if seed is None else seed, view_options(method, views)
    if viewed is not None:
        if viewed.frames or viewed.features:
            raise ValueError("frames and features are of real rooms; leave them out, procedural rooms are rendered")
        clouds = held_out.viewed_rooms(rooms, viewed.every, seed)
    else:
        clouds = held_out.held_out_clouds(rooms, kind, seed)
    scored = Scored(held_out.NAMES, synonyms=held_out.SYNONYMS, views=viewed)
    return segment(setup, "procedural rooms", scored, clouds, {"kind": kind, "seed": seed})


def temporal(setup: Setup, streets: int = 4) -> Result:
    """Agreement and accuracy of successive clouds with and without votes per voxel; on simulated drives and a room."""
    from s4token_model.evaluation import temporal_agreement  # the scene generator, of no use to real data

    return temporal_agreement.temporal_agreement(setup, streets)


def card(setup: Setup, **options: Any) -> Result:
    """All figures of the model card, see `model_card.model_card`."""
    from s4token_model.evaluation import model_card  # the scene generator, of no use to real data

    return model_card.model_card(setup, **options)


# Name on the command line: function (setup, **options) -> (result, table).
BENCHMARKS: dict[str, Callable[..., Result]] = {
    "scannet": scannet_rooms,
    "s3dis": s3dis_rooms,
    "semantickitti": semantickitti_sweeps,
    "procedural": procedural_rooms,
    "shapenetpart": part_segmentation.shapenetpart_parts,
    "modelnet": classification.modelnet40_objects,
    "scanobjectnn": classification.scanobjectnn_objects,
    "probe": linear_probe.linear_probe,
    "objects": object_detection.scannet_objects,
    "calibration": calibration.confidence_calibration,
    "agreement": agreement.two_view_agreement,
    "temporal": temporal,
    "words": everyday_words.everyday_words,
    "card": card,
}


def run(
    name: str,
    *,
    model: str | Path = checkpoint.MINI,
    device: str = "cpu",
    as_json: bool = False,
    out: str | Path | None = None,
    segmenter: Any = None,
    changes: Sequence[str] = (),
    sentences: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Run a benchmark of BENCHMARKS, print its table or one JSON object, and return what the JSON object holds.

    model: a checkpoint folder or built-in name; `segmenter`: a loaded model instead; `out`: a folder for pictures, by
    matplotlib; `changes`: KEY=VALUE of the model's config, which the result repeats; `sentences`: a file of prompts;
    `options`: of the benchmark, e.g. root, rooms, split, method, and of ProjectionOptions. Samples that cannot be read
    are counted, reported and left out. ValueError for a wrong benchmark, option or root, or if no sample can be read.
    """
    if name not in BENCHMARKS:
        raise ValueError(f"unknown benchmark {name!r}; choose from {', '.join(BENCHMARKS)}")
    if out is not None:
        from s4token_model.pictures.plots import new_figure

        new_figure(1, 1)  # a missing package is an error before the work, not after it
    projection = ProjectionOptions(**{k: options.pop(k) for k in ProjectionOptions._fields if k in options})
    folder, prompted = (None if path is None else Path(path) for path in (out, sentences))
    setup = Setup(model, device, folder, segmenter, tuple(changes), prompted, projection)
    result, table = BENCHMARKS[name](setup, **options)
    result |= {"changes": list(changes)} if changes else {}
    print(json.dumps(result) if as_json else table)
    return result
