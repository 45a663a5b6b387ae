"""Objects of ScanNet rooms against its instance labels: average precision with true and with predicted semantics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from s4token_model import constants, prompts
from s4token_model.datasets import scannet
from s4token_model.evaluation.average_precision import Boxes, average_precision, box_iou, mask_iou, matched
from s4token_model.evaluation.loading import Result, SampleLoader, Setup, skipped_lines
from s4token_model.evaluation.tables import table
from s4token_model.objects import Objects, find_objects, is_thing, upright_boxes

THINGS = [is_thing(name) for name in scannet.NAMES]  # all of ScanNet20 but wall and floor
THRESHOLDS = (0.25, 0.5)
SEMANTICS, KINDS = ("true", "predicted"), ("points", "boxes")
MIN_SIDE = 0.01  # of a box [m]; flat boxes have no volume to compare
MAX_VOID = 0.5  # a prediction with a larger fraction of points that nobody annotated is neither right nor wrong


class _Room(NamedTuple):
    """A room of H points with its true objects and its true and predicted labels."""

    room: scannet.Room
    true: np.ndarray  # (H,) int64, the true object of each point, numbered from 0; -1 for none
    kind: np.ndarray  # (G,) class of each
    labels: dict[str, tuple[np.ndarray, np.ndarray]]  # of SEMANTICS: labels and confidence (H,)


def scannet_objects(setup: Setup, root: str | Path, rooms: str | None = None, split: str | None = None) -> Result:
    """Average precision of the objects of ScanNet rooms, chosen as in `benchmarks.scannet_rooms`.

    A true object is what has one instance label; a class counts if it has one. Predictions are ranked by their score,
    then by their points, and each takes the true object of its class of the highest IoU that no better one has taken.
    """
    wanted = [room.strip() for room in rooms.split(",") if room.strip()] if rooms else None
    found, segmenter = scannet.list_rooms(root, wanted, split), setup.labeler()
    frozen = prompts.load("scannet20", scannet.NAMES)
    words = segmenter.make_vocabulary(frozen.names, frozen.templates)
    loader = SampleLoader(found, lambda name: _load(root, name, segmenter, words), "rooms")
    tally: dict[tuple[str, str, float, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    true_counts = np.zeros(len(scannet.NAMES), np.int64)
    for room in loader:
        true_counts += np.bincount(room.kind, minlength=len(true_counts))
        for semantics in SEMANTICS:
            _add(tally, semantics, room)
    result = {"task": "objects", "model": str(setup.model), "rooms": found, "skipped": loader.skipped}
    result |= {"objects": dict(zip(scannet.NAMES, true_counts.tolist(), strict=True))}
    result |= {semantics: _figures(tally, semantics, true_counts) for semantics in SEMANTICS}
    return result, "\n".join([_table(result), *skipped_lines(loader.skipped)])


def _load(root: str | Path, name: str, segmenter: Any, words: Any) -> _Room:
    """Read one room and label it."""
    room, instances = scannet.load_room(root, name), scannet.load_instances(root, name)
    if len(instances) != len(room.xyz):
        raise ValueError(f"{name}: {len(room.xyz)} points but {len(instances)} instance labels; download both again")
    # Objects are the instances of things, numbered from 0
    thing = np.append(THINGS, False)[np.minimum(room.label, len(THINGS))] & (instances >= 0)
    ids, first, number = np.unique(instances[thing], return_index=True, return_inverse=True)
    true = np.full(len(instances), -1, np.int64)
    true[thing] = number
    predicted = segmenter.label(segmenter.encode(room.xyz, room.rgb), words)
    labels = {
        "true": (room.label, np.ones(len(true), np.float32)),
        "predicted": (predicted.labels, predicted.confidence),
    }
    return _Room(room, true, room.label[thing][first].astype(np.int64), labels)


def _add(tally: dict, semantics: str, room: _Room) -> None:
    """Add scores and hits of the objects of one room, per kind of overlap, threshold and class."""
    labels, confidence = room.labels[semantics]
    objects = find_objects(room.room.xyz, labels, confidence, THINGS)
    void = np.bincount(
        objects.of_point[objects.of_point >= 0],
        room.room.label[objects.of_point >= 0] == constants.UNLABELED,
        minlength=len(objects.label),
    )
    ious = {"points": mask_iou(objects.of_point.astype(np.int64), room.true, (len(objects.label), len(room.kind)))}
    ious["boxes"] = box_iou(_boxes(objects), _true_boxes(room))
    for kind, iou in ious.items():
        for label in np.flatnonzero(THINGS):
            of_class = objects.label == label
            for threshold in THRESHOLDS:
                hit = matched(iou[of_class][:, room.kind == label], threshold)
                counted = hit | (void[of_class] <= MAX_VOID * objects.points[of_class])
                rows = tally.setdefault((semantics, kind, threshold, int(label)), [])
                # The number of points decides between equal scores
                rank = objects.score[of_class].astype(np.float64) + 1e-9 * objects.points[of_class]
                rows.append((rank[counted], hit[counted]))


def _boxes(objects: Objects) -> Boxes:
    return _upright(objects.center, objects.size, objects.rotation)


def _true_boxes(room: _Room) -> Boxes:
    """The upright boxes of the true objects."""
    known = room.true >= 0
    points = room.room.xyz[known].astype(np.float64)
    return _upright(*upright_boxes(points, room.true[known], len(room.kind)))


def _upright(center: np.ndarray, size: np.ndarray, rotation: np.ndarray) -> Boxes:
    return Boxes(center, np.maximum(size, MIN_SIDE), 2 * np.arctan2(rotation[:, 2], rotation[:, 3]))


def _figures(tally: dict, semantics: str, true_counts: np.ndarray) -> dict[str, dict[str, Any]]:
    """Of each kind of overlap: ap25 and ap50, the means over the classes that occur, and those of every such class."""
    out: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        out[kind] = {}
        for threshold in THRESHOLDS:
            found = {}
            for label in np.flatnonzero(true_counts).tolist():
                score, hit = (
                    np.concatenate(part) for part in zip(*tally[semantics, kind, threshold, label], strict=True)
                )
                found[scannet.NAMES[label]] = average_precision(score, hit, int(true_counts[label]))
            key = f"ap{100 * threshold:.0f}"
            out[kind] |= {key: float(np.mean([*found.values()])) if found else None, f"{key}_of_class": found}
    return out


def _table(result: dict[str, Any]) -> str:
    """Rows of the mean and of every class; columns of AP by semantics, overlap and threshold."""
    columns = [(s, kind, f"ap{100 * t:.0f}") for s in SEMANTICS for kind in KINDS for t in THRESHOLDS]
    header = ["percent", *(f"{s} {kind} {key[2:]}" for s, kind, key in columns), "objects"]
    rows: list[Sequence[Any]] = [["mean AP", *(result[s][kind][key] for s, kind, key in columns), None]]
    for name, count in result["objects"].items():
        if count:
            values = (result[s][kind][f"{key}_of_class"][name] for s, kind, key in columns)
            rows.append([name, *values, str(count)])
    return table(rows, header)
