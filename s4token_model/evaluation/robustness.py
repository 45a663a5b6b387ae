"""What disturbances do to the labels of a cloud, measured by its truth, or by its labels before."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model import config, constants, metrics, prompts
from s4token_model.datasets import scannet, semantickitti
from s4token_model.evaluation import benchmarks
from s4token_model.evaluation.disturbance_catalog import Disturbance
from s4token_model.evaluation.memory import PeakMemory
from s4token_model.evaluation.scored_sets import SCANNET, SEMANTICKITTI
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.io import samples
from s4token_model.segmenter import Segmentation, Segmenter
from s4token_model.vocabulary import Vocabulary, read_names

ROOM_POINTS = 30_000  # of the sample room
SCANS = ("0000_00", "0002_00", "0003_00")  # of ScanNet
DRAWS = 3  # of a random disturbance


@dataclass(frozen=True)
class Scene:
    """A clean cloud of H points with its truth and its labels before any disturbance."""

    kind: str  # room, scans or sweeps
    cloud: LabeledCloud
    vocabulary: Vocabulary  # one name for each class of the truth
    labels: np.ndarray  # (H,) under `vocabulary`
    stable_vocabulary: Vocabulary  # names under which labels must stay
    stable_labels: np.ndarray  # (H,) under `stable_vocabulary`


@dataclass(frozen=True)
class Measurement:
    """One disturbance of one scene; sequences have one value per draw or, for frames, per pair of frames."""

    disturbance: Disturbance
    scene: str
    kind: str
    skipped: str = ""  # why it was not measured
    kept: tuple[float, ...] = ()  # accuracy over the clean cloud's on the same points, or fraction of equal labels
    accuracy: tuple[float, ...] = ()  # points right, over the points with truth
    clean_accuracy: float | None = None  # of the clean cloud, over the same points
    miou: tuple[float, ...] = ()
    clean_miou: float | None = None
    added_labeled: tuple[float, ...] = ()  # fraction of the added points that got a label
    set_aside: dict[str, int] = field(default_factory=dict)  # reason: points without a label, last draw
    warnings: tuple[str, ...] = ()  # last draw
    points: int = 0  # last draw
    seconds: float | None = None  # encoding and labeling, last draw; only in a process of its own
    peak_bytes_per_point: float | None = None  # above the memory in use before


def load_scenes(segmenter: Segmenter, root: Path | None = None) -> list[Scene]:
    """The sample room and, below `root`, three scans of scannet_votenet and the sweeps of semantickitti.

    The labels before are those of `segmenter`. ValueError if `root` has not both.
    """
    room, rng = samples.load(), np.random.default_rng(0)
    some = np.sort(rng.choice(len(room.xyz), ROOM_POINTS, replace=False))
    cloud = LabeledCloud("sample room", room.xyz[some], room.rgb[some], room.label[some])
    names = segmenter.make_vocabulary(room.names)
    scenes = [_scene(segmenter, "room", cloud, names, segmenter.make_vocabulary(read_names("scannet20")))]
    if root is None:
        return scenes
    words, folder = _prompted(segmenter, "scannet20", scannet.NAMES), root / SCANNET
    for name in scannet.list_rooms(folder, SCANS):
        scenes.append(_scene(segmenter, "scans", benchmarks.labeled(scannet.load_room(folder, name)), words, words))
    words, folder = _prompted(segmenter, "semantickitti", semantickitti.NAMES), root / SEMANTICKITTI
    for name in semantickitti.list_sweeps(folder):
        sweep = semantickitti.load_sweep(folder, name)
        scenes.append(_scene(segmenter, "sweeps", LabeledCloud(name, sweep.xyz, None, sweep.label), words, words))
    return scenes


def measure(
    segmenter: Segmenter, scene: Scene, disturbance: Disturbance, draws: int = DRAWS, memory: PeakMemory | None = None
) -> Measurement:
    """Label a scene after a disturbance; `draws` counts only where the disturbance is random."""
    try:
        changed = _configured(segmenter, disturbance)
    except ValueError as reason:
        return Measurement(disturbance, scene.cloud.name, scene.kind, skipped=str(reason))
    if disturbance.stability:
        return _agreement(changed, scene, disturbance, draws)
    return _accuracy(changed, scene, disturbance, draws, memory)


def measure_in_subprocess(
    segmenter: Segmenter, model: str | Path, scene: Scene, disturbance: Disturbance, draws: int = DRAWS
) -> Measurement:
    """The same as `measure` in a fresh process, so that the peak of its memory is that of this cloud."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        loaded = (model, segmenter.config, str(segmenter.device))
        try:
            return pool.submit(_load_and_measure, loaded, scene, disturbance, draws).result()
        except BrokenProcessPool:
            reason = "its process died, killed by the system or by an error in native code"
            return Measurement(disturbance, scene.cloud.name, scene.kind, skipped=reason)


def clean_cost(segmenter: Segmenter, scene: Scene, repeats: int = 7) -> dict[str, float]:
    """Median milliseconds of every stage on a clean cloud, and in total."""
    runs = [segmenter.segment(scene.cloud.xyz, scene.cloud.rgb).stages_ms for _ in range(repeats + 1)][1:]
    medians = {stage: float(np.median([run[stage] for run in runs])) for stage in runs[0]}
    return medians | {"total": float(np.median([sum(run.values()) for run in runs]))}


def clean_scores(segmenter: Segmenter, root: Path) -> dict[str, dict[str, float]]:
    """Number of clouds, mIoU and accuracy of the benchmarks on every room and every sweep below `root`."""
    setup, found = benchmarks.Setup(segmenter=segmenter), {}
    runs = {SCANNET: benchmarks.scannet_rooms, SEMANTICKITTI: benchmarks.semantickitti_sweeps}
    for name, run in runs.items():
        result, _ = run(setup, root / name)
        scores = result["methods"]["model"]
        found[name] = {"clouds": len(result["clouds"]), "miou": scores["miou"], "accuracy": scores["accuracy"]}
    return found


def _accuracy(
    segmenter: Segmenter, scene: Scene, disturbance: Disturbance, draws: int, memory: PeakMemory | None
) -> Measurement:
    """Points right after the disturbance, beside the points right of the clean cloud, both over the same points."""
    rows, classes, cost = [], len(scene.vocabulary.names), {}
    for draw in range(draws if disturbance.random else 1):
        # Disturb and label
        xyz, source = disturbance.apply(scene.cloud.xyz, np.random.default_rng(draw))
        if memory:
            memory.start()
        found = _segment(segmenter, scene, xyz, source, scene.vocabulary)
        if memory:
            seconds, peak = memory.stop()
            cost = {"seconds": seconds, "peak_bytes_per_point": peak / len(xyz)}
        # Score it, and the clean cloud's labels of the same points
        truth = np.where(source < 0, constants.UNLABELED, scene.cloud.label[source])
        now, before = (
            metrics.scores(metrics.confusion(truth, labels, classes)) for labels in (found.labels, scene.labels[source])
        )
        added = found.labels[source < 0]
        rows.append((now, before, added))
    return Measurement(
        disturbance, scene.cloud.name, scene.kind,
        kept=tuple(now.accuracy / max(before.accuracy, 1e-9) for now, before, _ in rows),
        accuracy=tuple(now.accuracy for now, _, _ in rows),
        clean_accuracy=float(np.mean([before.accuracy for _, before, _ in rows])),
        miou=tuple(now.miou for now, _, _ in rows),
        clean_miou=float(np.mean([before.miou for _, before, _ in rows])),
        added_labeled=tuple(float((added != constants.UNLABELED).mean()) for *_, added in rows if len(added)),
        **_notes(found), **cost,
    )  # fmt: skip


def _agreement(segmenter: Segmenter, scene: Scene, disturbance: Disturbance, draws: int) -> Measurement:
    """Points that keep their label: from frame to frame, or from the clean cloud to the disturbed one."""
    previous, kept = scene.stable_labels, []
    for draw in range(disturbance.frames or (draws if disturbance.random else 1)):
        xyz, source = disturbance.apply(scene.cloud.xyz, np.random.default_rng(draw))
        found = _segment(segmenter, scene, xyz, source, scene.stable_vocabulary)
        if draw or not disturbance.frames:
            kept.append(float((found.labels == previous[source]).mean()))
        if disturbance.frames:
            previous = found.labels
    return Measurement(disturbance, scene.cloud.name, scene.kind, kept=tuple(kept), **_notes(found))


def _segment(
    segmenter: Segmenter, scene: Scene, xyz: np.ndarray, source: np.ndarray, words: Vocabulary
) -> Segmentation:
    """Label a disturbed cloud; points that were added are gray."""
    rgb = scene.cloud.rgb
    colors = None if rgb is None else np.where(source[:, None] < 0, np.float32(0.5), rgb[source])
    return segmenter.label(segmenter.encode(xyz, colors), words)


def _notes(found: Segmentation) -> dict[str, Any]:
    """What a segmentation tells beside its labels, as fields of a Measurement."""
    count = len(found.labels)
    return {"set_aside": found.unlabeled_reasons, "warnings": found.encoding.warnings, "points": count}


def _load_and_measure(
    loaded: tuple[str | Path, config.Config, str], scene: Scene, disturbance: Disturbance, draws: int
) -> Measurement:
    segmenter = Segmenter.load(*loaded)
    segmenter.segment(scene.cloud.xyz[::4])  # loads the compiled kernels, whose memory is not the cloud's
    return measure(segmenter, scene, disturbance, draws, PeakMemory())


def _scene(segmenter: Segmenter, kind: str, cloud: LabeledCloud, words: Vocabulary, stable: Vocabulary) -> Scene:
    encoded = segmenter.encode(cloud.xyz, cloud.rgb)
    labels, stable_labels = (segmenter.label(encoded, names).labels for names in (words, stable))
    return Scene(kind, cloud, words, labels, stable, stable_labels)


def _configured(segmenter: Segmenter, disturbance: Disturbance) -> Segmenter:
    """The segmenter with the input.up and sampling.passes of a disturbance; ValueError if it does not know them."""
    changes = {"sampling.passes": disturbance.passes} | ({"input.up": disturbance.up} if disturbance.up else {})
    other = copy.copy(segmenter)
    other.config = config.replace(segmenter.config, changes)
    return other


def _prompted(segmenter: Segmenter, benchmark: str, names: Sequence[str]) -> Vocabulary:
    frozen = prompts.load(benchmark, names)
    return segmenter.make_vocabulary(frozen.names, frozen.templates)
