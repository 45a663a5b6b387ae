"""The paper's comparisons as data: one Experiment per table, and the function that computes a cell of it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from s4token_model.config import Config
from s4token_model.evaluation import published
from s4token_model.evaluation.published import ALL_LOSSES
from s4token_model.experiments import (
    object_pretraining,
    part_training,
    procedural_objects,
    room_pretraining,
    rooms,
)
from s4token_model.experiments.experiment import Experiment, Figures
from s4token_model.experiments.runs import Budget, Workspace
from s4token_model.experiments.teacher_clip import TAUGHT
from s4token_model.tokenizer_variants import RAW_OCTAVES, TABLE_1
from s4token_model.training.token_samples import TokenSample

PRETRAINED = ("knn", "knn+rpn", "ball+rpn+spt")  # the variants of Table 2
TARGETS = "2D targets"
LOSSES = ("assign", "local", "global")
# Row of Table 6 -> the keys that it changes: L_assign's student within reach, its tau, and the teacher's momentum
ASSIGNMENTS: dict[str, dict[str, Any]] = {
    f"{ALL_LOSSES}, reach": {"student_reach": True},
    f"{ALL_LOSSES}, tau=0.05": {"temperature": 0.05},
    f"{ALL_LOSSES}, reach, tau=0.05": {"student_reach": True, "temperature": 0.05},
    f"{ALL_LOSSES}, slow teacher": {"momentum_steps": 0},
    "assign, reach": {"student_reach": True},
}
SCALES = (0.01, 0.1, 0.5, 1.0, 2.0, 10.0, 100.0)
SUPERVISED, ZERO_SHOT = "parts", "zero-shot"
DEFAULTS = ("gamma=0.1", "N=128", "M=32", "alpha=1", "scaled=1")  # of the sweeps: one model serves all of them
# Setting of a sweep -> the keys it changes; unscaled positions take the shorter wavelengths of the bare tokenizers
SWEEPS: dict[str, dict[str, Any]] = {
    **{f"gamma={value:g}": {"sampling.gamma": value} for value in (0.0, 0.1, 0.2, 0.4, 0.6, 1.0)},
    **{f"N={value}": {"sampling.tokens": value} for value in (32, 64, 128, 256)},
    **{f"M={value}": {"patches.points": value} for value in (8, 16, 32, 64)},
    **{f"alpha={value:g}": {"patches.alpha": value} for value in (0.5, 1.0, 1.5, 2.0)},
    "scaled=0": {"tokenizer.position_scaled": False, "tokenizer.position_octaves": RAW_OCTAVES},
    "scaled=1": {},
}


def table1(setting: str, seed: int, workspace: Workspace) -> Figures:
    """Train and test one tokenizer for part segmentation."""
    return _parts(procedural_objects.pipeline(setting), seed, workspace, workspace.budget.steps, f"parts-{setting}")


def sweep(setting: str, seed: int, workspace: Workspace) -> Figures:
    """Train and test S4Token with one value changed, e.g. "gamma=0.2"."""
    name = "default" if setting in DEFAULTS else setting
    config = procedural_objects.pipeline("s4token", {} if setting in DEFAULTS else SWEEPS[setting])
    return _parts(config, seed, workspace, workspace.budget.sweep_steps, f"sweep-{name}")


def _parts(config: Config, seed: int, workspace: Workspace, steps: int, name: str) -> Figures:
    model = part_training.trained(config, seed, steps, workspace, name)
    return part_training.evaluate(model, part_training.samples(config, workspace.budget)[1], workspace.budget)


def table2(setting: str, seed: int, workspace: Workspace) -> Figures:
    """Train on objects, test on other objects, on objects cut out of rooms and on whole rooms."""
    found: Figures = dict.fromkeys(TABLE2_FIGURES)
    if setting == TARGETS:
        return found | object_pretraining.score_targets(workspace)
    budget, config = workspace.budget, procedural_objects.pipeline(setting)
    tokenizer = object_pretraining.tokenizer_of(setting, seed, workspace)
    found |= _held_out(setting, seed, workspace)
    segmenter = rooms.segmenter_of(tokenizer, room_pretraining.pipeline(setting, budget), workspace)
    found |= rooms.score_all(segmenter, workspace)
    things = {"rooms": procedural_objects.from_procedural_rooms(budget)}
    if workspace.scannet is not None:
        things["scannet"] = procedural_objects.from_scannet(workspace.scannet, budget)
    for name, shapes in things.items():
        if shapes:
            samples = [procedural_objects.tokenize(shape, config) for shape in shapes]
            scores = object_pretraining.score(tokenizer, samples, workspace)
            found[f"{name}_things"], found[f"{name}_top1"] = scores["objects_miou"], scores["objects_top1"]
    return found


def trained_on_rooms(setting: str, seed: int, workspace: Workspace) -> Figures:
    """Train on rooms, test on other rooms."""
    tokenizer = room_pretraining.tokenizer_of(setting, seed, workspace)
    segmenter = rooms.segmenter_of(tokenizer, room_pretraining.pipeline(setting, workspace.budget), workspace)
    return rooms.score_all(segmenter, workspace)


def table6(setting: str, seed: int, workspace: Workspace) -> Figures:
    """Train S4Token on objects with some of the losses, e.g. "assign+local", test on other objects."""
    used = setting.split(",")[0].split("+")
    changes = {f"{loss}_weight": 0.0 for loss in LOSSES if loss not in used} | ASSIGNMENTS.get(setting, {})
    return _held_out("ball+rpn+spt", seed, workspace, changes)


def table7(setting: str, seed: int, workspace: Workspace) -> Figures:
    """Train S4Token on objects with K clusters, e.g. "K=8", test on other objects."""
    clusters = int(setting.removeprefix("K="))
    return _held_out("ball+rpn+spt", seed, workspace, {} if clusters == 24 else {"clusters": clusters})


def _held_out(variant: str, seed: int, workspace: Workspace, changes: dict[str, Any] | None = None) -> Figures:
    tokenizer = object_pretraining.tokenizer_of(variant, seed, workspace, changes)
    samples = object_pretraining.held_out_samples(procedural_objects.pipeline(variant), workspace.budget)
    return object_pretraining.score(tokenizer, samples, workspace)


def robustness(setting: str, seed: int, workspace: Workspace) -> Figures:
    """Score the model that Table 1 or 2 trained on test objects at every scale: {"0.01": mIoU, ...}."""
    kind, variant = setting.split(", ")
    config, budget, found = procedural_objects.pipeline(variant), workspace.budget, {}
    for scale in SCALES:
        samples = _scaled(kind, config, scale, budget)
        if kind == SUPERVISED:
            model = part_training.trained(config, seed, budget.steps, workspace, f"parts-{variant}")
            found[f"{scale:g}"] = part_training.evaluate(model, samples, budget)["miou_i"]
        else:
            tokenizer = object_pretraining.tokenizer_of(variant, seed, workspace)
            found[f"{scale:g}"] = object_pretraining.score(tokenizer, samples, workspace)["objects_miou"]
    return found


@lru_cache(maxsize=len(SCALES))
def _scaled(kind: str, config: Config, scale: float, budget: Budget) -> list[TokenSample]:
    """Some of the test objects multiplied by `scale`, as tokens."""
    shapes = part_training.shapes(budget)[1] if kind == SUPERVISED else object_pretraining.held_out(budget)
    scaled = (replace(shape, xyz=shape.xyz * np.float32(scale)) for shape in shapes[: budget.robust_shapes])
    return [procedural_objects.tokenize(shape, config) for shape in scaled]


TABLE2_FIGURES = {
    "objects_miou": "objects mIoU", "objects_top1": "objects top-1", "rooms_things": "rooms' things mIoU",
    "rooms_top1": "rooms' things top-1", "scannet_things": "ScanNet's things mIoU",
    "scannet_top1": "ScanNet's things top-1", **rooms.FIGURES,
}  # fmt: skip
OBJECT_FIGURES = {"objects_miou": "objects mIoU", "objects_top1": "objects top-1"}
EXPERIMENTS = (
    Experiment(
        name="table1", title="Table 1: tokenizers, fully trained for part segmentation",
        about=(
            "Procedural objects of 12 categories with part labels stand in for ShapeNetPart; a small transformer over"
            " the tokens and a head per point are trained with the tokenizer. All rows use superpoints for the"
            " propagation to points and the same data, steps and rate; only the tokenizer differs. Categories are"
            " equally large, so mIoU_C and mIoU_I agree. The paper's column: mIoU_C / mIoU_I."
        ),
        settings=TABLE_1, figures={"miou_i": "mIoU"}, compute=table1,
        paper=published.TABLES["1"].shown(),
        expected=(
            ("knn+rpn", "knn"), ("ball+rpn", "ball"), ("spt+rpn", "spt"), ("knn+rpn+spt", "knn+rpn"),
            ("ball+rpn+spt", "ball+rpn"), ("ball+rpn+spt", "knn"),
        ),
        compared=("miou_i",), stands_for=(1,), in_front_of_clip=False,
    ),
    Experiment(
        name="table2", title="Table 2: from objects to rooms without tuning",
        about=(
            "The paper's self-supervised recipe (L_assign + distillation) on procedural objects in the unit sphere, in"
            f" front of a small frozen CLIP of {len(TAUGHT)} classes, is tested on held-out objects and, in meters, on"
            " objects cut out of procedural rooms and of real ScanNet scans, with the same class names; on these rooms"
            " whole, with ScanNet's 20 class names and as furniture, which uses only the trained classes and their"
            " points, since no training object shows walls or floors; and on a crop of S3DIS's Area 5 with its 13 class"
            " names. The last row is the CLIP on pictures of the held-out objects: the targets of the distillation. The"
            " paper's column: mIoU on ScanNet / S3DIS."
        ),
        settings=(*PRETRAINED, TARGETS), figures=TABLE2_FIGURES, compute=table2,
        paper=published.TABLES["2"].shown(),
        expected=(("knn+rpn", "knn"), ("ball+rpn+spt", "knn"), ("ball+rpn+spt", "knn+rpn")),
        compared=("objects_miou", "rooms_things", "scannet_things", "rooms_furniture"),
    ),
    Experiment(
        name="rooms", title="Rooms: trained on rooms",
        about=(
            "Table 2 with procedural rooms to train on, too, in place of objects: with walls, floors and what stands"
            " around a thing. The same CLIP and losses; as many tokens a step, in fewer clouds. The paper's order is"
            " that of its Table 2."
        ),
        settings=PRETRAINED, figures=rooms.FIGURES, compute=trained_on_rooms,
        expected=(("knn+rpn", "knn"), ("ball+rpn+spt", "knn"), ("ball+rpn+spt", "knn+rpn")),
        compared=("rooms_miou", "scannet_miou"),
    ),
    Experiment(
        name="robustness", title="Robustness to scale",
        about=(
            "The models of Table 1 (parts, mIoU_I) and of Table 2 (zero-shot, mIoU over classes) on some of their test"
            " objects multiplied by a factor; training used a factor of 1. With RPN only rounding may differ."
        ),
        settings=tuple(f"{kind}, {name}" for kind in (SUPERVISED, ZERO_SHOT) for name in PRETRAINED),
        figures={f"{scale:g}": f"x {scale:g}" for scale in SCALES},
        compute=robustness,
        expected=tuple((f"{k}, {name}", f"{k}, knn") for k in (SUPERVISED, ZERO_SHOT) for name in PRETRAINED[1:]),
        compared=("0.1",), drawing="curves",
    ),
    Experiment(
        name="table6", title="Table 6: losses",
        about=(
            "S4Token trained on procedural objects as in Table 2 with some of the losses, tested zero-shot on held-out"
            " objects. The small CLIP knows no names of parts, so the vocabulary is object classes, not parts as in the"
            " paper. The last rows change L_assign: its student, too, has only the clusters within reach; tau 0.05, not"
            " 0.1; a teacher with momentum 0.996 at once, which keeps much of its random weights, where all others have"
            " that of the paper for fewer steps. The paper's column: mIoU_C / mIoU_I on ShapeNetPart."
        ),
        settings=(*LOSSES, "local+global", "assign+local", "assign+global", ALL_LOSSES, *ASSIGNMENTS),
        figures=OBJECT_FIGURES, compute=table6,
        paper=published.TABLES["6"].shown(),
        expected=(("local+global", "assign"), (ALL_LOSSES, "local+global"), (ALL_LOSSES, "assign")),
        asked=(
            ("assign+local", "local"), ("assign+global", "global"),
            *((name, name.split(",")[0]) for name in ASSIGNMENTS),
        ),
        compared=("objects_miou",), stands_for=(0,),
    ),
    Experiment(
        name="table7", title="Table 7: clusters",
        about=(
            "S4Token trained on procedural objects as in Table 2 with K clusters, tested as in Table 6. The paper's"
            " column: mIoU_C / mIoU_I on ShapeNetPart."
        ),
        settings=tuple(f"K={count}" for count in (4, 8, 16, 24, 32)), figures=OBJECT_FIGURES, compute=table7,
        paper=published.TABLES["7"].shown(),
        expected=(("K=24", "K=4"), ("K=24", "K=8"), ("K=24", "K=32")),
        compared=("objects_miou",), stands_for=(0,), drawing="panels",
    ),
    Experiment(
        name="sweeps", title="gamma, N, M, alpha and the scaling of positions",
        about=(
            "Part segmentation as in Table 1 with S4Token, a quarter of the steps, one value changed at a time from"
            " gamma 0.1, N 128, M 32, alpha 1, positions divided by the radius (scaled 1; 0: in the unit of the cloud)."
            " The paper gives no figures; its pictures favor gamma from 0.2 to 0.6."
        ),
        settings=tuple(SWEEPS), figures={"miou_i": "mIoU"}, compute=sweep,
        expected=(("gamma=0.2", "gamma=0"), ("gamma=0.2", "gamma=1"), ("scaled=1", "scaled=0")),
        compared=("miou_i",), drawing="panels", sweep=True, in_front_of_clip=False,
    ),
)  # fmt: skip
