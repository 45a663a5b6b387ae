"""Accuracy on disturbed clouds: s4token robustness [--root DATA] [--only FAMILY,...] [--report docs/robustness.md]"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from s4token_model import checkpoint, config, constants, metrics
from s4token_model.datasets import scannet, semantickitti
from s4token_model.evaluation import benchmarks, prompts, robustness_report
from s4token_model.evaluation.disturbance_catalog import CATALOG, FAMILIES, Disturbance
from s4token_model.evaluation.memory import PeakMemory
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.io import sample_room
from s4token_model.segmenter import EncodedCloud, Segmenter
from s4token_model.vocabulary import Vocabulary, read_names

ROOM_POINTS = 30_000  # of the sample room
SCANS = ("0000_00", "0002_00", "0003_00")
ENVIRONMENT = "S4TOKEN_DATA"
DRAWS = 3  # of a random disturbance


@dataclasses.dataclass(frozen=True)
class Scene:
    """A clean cloud with its truth, and the class names it is labeled with."""

    kind: str  # room, scans or sweeps
    cloud: LabeledCloud
    words: Vocabulary  # one name for each class of the truth
    stability_words: Vocabulary  # the names under which labels must stay


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One disturbance of one scene; sequences have one value per draw or, for frames, per pair of frames."""

    disturbance: Disturbance
    scene: str
    kind: str
    skipped: str = ""  # why it was not measured
    kept: tuple[float, ...] = ()  # accuracy over the clean cloud's on the same points, or fraction of equal labels
    accuracy: tuple[float, ...] = ()  # points right, over the points with truth
    clean_accuracy: float = float("nan")  # of the clean cloud, over the same points
    miou: tuple[float, ...] = ()
    clean_miou: float = float("nan")
    added_labeled: tuple[float, ...] = ()  # fraction of the added points that got a label
    set_aside: dict[str, int] = dataclasses.field(default_factory=dict)  # points without a label of the last draw
    warnings: tuple[str, ...] = ()  # of the last draw
    points: int = 0
    seconds: float = float("nan")  # encoding and labeling, last draw
    peak_bytes_per_point: float = float("nan")  # above the memory in use before, only in a process of its own


def to_dict(one: Measurement) -> dict[str, Any]:
    """What the JSON holds of a measurement."""
    row = {key: getattr(one.disturbance, key) for key in ("family", "name", "level", "target", "must_warn")}
    rest = {field.name: getattr(one, field.name) for field in dataclasses.fields(one) if field.name != "disturbance"}
    return row | rest


def scenes(segmenter: Segmenter, root: Path | None = None) -> list[Scene]:
    """The sample room and, below `root`, three scans of scannet_votenet and the sweeps of semantickitti."""
    room, rng = sample_room.load(), np.random.default_rng(0)
    some = np.sort(rng.choice(len(room.xyz), ROOM_POINTS, replace=False))
    cloud = LabeledCloud("sample room", room.xyz[some], room.rgb[some], room.label[some])
    many = segmenter.make_vocabulary(read_names("scannet20"))
    found = [Scene("room", cloud, segmenter.make_vocabulary(room.names), many)]
    if root is None:
        return found
    words = _prompted(segmenter, "scannet20", scannet.NAMES)
    folder = root / "scannet_votenet"
    for name in scannet.list_rooms(folder, SCANS):
        found.append(Scene("scans", benchmarks.labeled(scannet.load_room(folder, name)), words, words))
    words = _prompted(segmenter, "semantickitti", semantickitti.NAMES)
    folder = root / "semantickitti"
    for name in semantickitti.list_sweeps(folder):
        sweep = semantickitti.load_sweep(folder, name)
        found.append(Scene("sweeps", LabeledCloud(name, sweep.xyz, None, sweep.label), words, words))
    return found


def measure(segmenter: Segmenter, scene: Scene, disturbance: Disturbance, draws: int = DRAWS) -> Measurement:
    """Label a scene before and after a disturbance; `draws` counts only where the disturbance is random."""
    try:
        segmenter = _with_up(segmenter, disturbance.up)
    except ValueError as reason:
        return Measurement(disturbance, scene.cloud.name, scene.kind, skipped=str(reason))
    return (_agreement if disturbance.stability else _accuracy)(segmenter, scene, disturbance, draws)


def _accuracy(segmenter: Segmenter, scene: Scene, disturbance: Disturbance, draws: int) -> Measurement:
    """Points right after the disturbance, beside the points right of the clean cloud, both over the same points."""
    clean, classes = _labels(_with_up(segmenter, "z"), scene, scene.words), len(scene.words.names)
    rows, memory = [], PeakMemory()
    for draw in range(draws if disturbance.random else 1):
        xyz, source = disturbance.apply(scene.cloud.xyz, np.random.default_rng(draw))
        truth = np.where(source < 0, constants.UNLABELED, scene.cloud.label[source])
        memory.start()
        encoding = segmenter.encode(xyz, _colors(scene.cloud.rgb, source))
        found = segmenter.label(encoding, scene.words)
        seconds, peak = memory.stop()
        now = metrics.scores(metrics.confusion(truth, found.labels, classes))
        before = metrics.scores(metrics.confusion(truth, clean[source], classes))
        labeled = (found.labels[source < 0] != constants.UNLABELED).mean() if (source < 0).any() else np.nan
        rows.append((now, before, float(labeled)))
    return Measurement(
        disturbance, scene.cloud.name, scene.kind,
        kept=tuple(now.accuracy / max(before.accuracy, 1e-9) for now, before, _ in rows),
        accuracy=tuple(now.accuracy for now, _, _ in rows),
        clean_accuracy=float(np.mean([before.accuracy for _, before, _ in rows])),
        miou=tuple(now.miou for now, _, _ in rows),
        clean_miou=float(np.mean([before.miou for _, before, _ in rows])),
        added_labeled=tuple(labeled for _, _, labeled in rows),
        **_notes(encoding), points=len(xyz), seconds=seconds, peak_bytes_per_point=peak / len(xyz),
    )  # fmt: skip


def _agreement(segmenter: Segmenter, scene: Scene, disturbance: Disturbance, draws: int) -> Measurement:
    """Points that keep their label: from frame to frame, or from the clean cloud to the disturbed one."""
    previous, kept = _labels(segmenter, scene, scene.stability_words), []
    for draw in range(disturbance.frames or (draws if disturbance.random else 1)):
        xyz, source = disturbance.apply(scene.cloud.xyz, np.random.default_rng(draw))
        encoding = segmenter.encode(xyz, _colors(scene.cloud.rgb, source))
        labels = segmenter.label(encoding, scene.stability_words).labels
        if draw or not disturbance.frames:
            kept.append(float((labels == previous[source]).mean()))
        if disturbance.frames:
            previous = labels
    notes = _notes(encoding)
    return Measurement(disturbance, scene.cloud.name, scene.kind, kept=tuple(kept), points=len(xyz), **notes)


def measure_in_subprocess(
    segmenter: Segmenter, model: str | Path, scene: Scene, disturbance: Disturbance, draws: int = DRAWS
) -> Measurement:
    """The same as `measure` in a fresh process, so that the peak of its memory is that of this cloud."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        device = str(segmenter.device)
        return pool.submit(_load_and_measure, (model, segmenter.config, device), scene, disturbance, draws).result()


def _load_and_measure(
    model: tuple[str | Path, config.Config, str], scene: Scene, disturbance: Disturbance, draws: int
) -> Measurement:
    segmenter = Segmenter.load(*model)
    segmenter.segment(scene.cloud.xyz[:: max(1, len(scene.cloud.xyz) // 5000)])  # compiles the kernels
    return measure(segmenter, scene, disturbance, draws)


def clean_cost(segmenter: Segmenter, scene: Scene, repeats: int = 7) -> dict[str, float]:
    """Median milliseconds of every stage on a clean cloud, and in total."""
    runs = [segmenter.segment(scene.cloud.xyz, scene.cloud.rgb).stages_ms for _ in range(repeats + 1)][1:]
    medians = {stage: float(np.median([run[stage] for run in runs])) for stage in runs[0]}
    return medians | {"total": float(np.median([sum(run.values()) for run in runs]))}


def _notes(encoding: EncodedCloud) -> dict[str, Any]:
    set_aside = {str(k): int(v) for k, v in dict(getattr(encoding, "unlabeled", None) or {}).items()}
    return {"set_aside": set_aside, "warnings": tuple(map(str, getattr(encoding, "warnings", ())))}


def _labels(segmenter: Segmenter, scene: Scene, words: Vocabulary) -> np.ndarray:
    return segmenter.label(segmenter.encode(scene.cloud.xyz, scene.cloud.rgb), words).labels


def _colors(rgb: np.ndarray | None, source: np.ndarray) -> np.ndarray | None:
    """Colors of a disturbed cloud; points that were added are gray."""
    return None if rgb is None else np.where(source[:, None] < 0, np.float32(0.5), rgb[source])


def _with_up(segmenter: Segmenter, up: str) -> Segmenter:
    """The segmenter with another input.up, or ValueError if it does not know this value; "" leaves it as it is."""
    if not up or segmenter.config.input.up == up:
        return segmenter
    other = copy.copy(segmenter)
    other.config = config.replace(segmenter.config, {"input.up": up})
    return other


def _prompted(segmenter: Segmenter, benchmark: str, names: Sequence[str]) -> Vocabulary:
    frozen = prompts.load(benchmark, names)
    return segmenter.make_vocabulary(frozen.names, frozen.templates)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, print."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(words)
    wanted = set(options.only.split(",")) if options.only else {*FAMILIES, "clean", "cost"}
    if unknown := sorted(wanted - {*FAMILIES, "clean", "cost"}):
        raise ValueError(f"--only {unknown[0]}: unknown; choose from {', '.join([*FAMILIES, 'clean', 'cost'])}")
    segmenter = Segmenter.load(options.model, device=options.device)
    root = None if options.quick or not options.root else Path(options.root)
    clouds, draws = scenes(segmenter, root), 1 if options.quick else DRAWS
    # Every disturbance of every scene; large clouds in a process of their own
    jobs = [(d, scene) for d in CATALOG if d.family in wanted for scene in clouds if scene.kind in d.kinds]
    found = []
    for disturbance, scene in tqdm(jobs, "disturbances", disable=None):
        if disturbance.measures_memory and not options.quick:
            found.append(measure_in_subprocess(segmenter, options.model, scene, disturbance, draws))
        else:
            found.append(measure(segmenter, scene, disturbance, draws))
    result: dict[str, Any] = {"model": str(options.model), "root": root is not None}
    result |= {"measurements": [to_dict(one) for one in found]}
    result["clean"] = _clean_scores(segmenter, root) if "clean" in wanted and root else {}
    result["cost_ms"] = (
        clean_cost(segmenter, clouds[-1]) | {"points": len(clouds[-1].cloud.xyz)} if "cost" in wanted else {}
    )
    rows = robustness_report.rows_of(found)
    print(json.dumps(result) if options.json else robustness_report.text(result, rows))
    if options.report:
        robustness_report.write(options.report, result, rows, shlex.join(["s4token", "robustness", *words]))
        print(f"wrote {options.report}", file=sys.stderr)
    return 0


def _clean_scores(segmenter: Segmenter, root: Path) -> dict[str, dict[str, float]]:
    """mIoU and accuracy of the benchmarks on every room and sweep below `root`."""
    setup, found = benchmarks.Setup(segmenter=segmenter), {}
    for name, run in (
        ("scannet_votenet", benchmarks.scannet_rooms),
        ("semantickitti", benchmarks.semantickitti_sweeps),
    ):
        result, _ = run(setup, root / name)
        scores = result["methods"]["model"]
        found[name] = {"clouds": len(result["clouds"]), "miou": scores["miou"], "accuracy": scores["accuracy"]}
    return found


def _parser() -> argparse.ArgumentParser:
    about = "Measure how much of the accuracy is left when clouds are disturbed as they are in the field."
    parser = argparse.ArgumentParser("s4token robustness", description=about)
    add = parser.add_argument
    root = f"folder with scannet_votenet/ and semantickitti/ (default: ${ENVIRONMENT}); without it only the sample room"
    add("--root", metavar="DATA", default=os.environ.get(ENVIRONMENT), help=root)
    add("--only", metavar="FAMILY,...", help=f"of {', '.join([*FAMILIES, 'clean', 'cost'])} (default: all)")
    add("--quick", action="store_true", help="one draw, the sample room alone, no memory")
    add("--report", type=Path, metavar="FILE.md", help="write a document, and plots beside it with the suffix .png")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    add("--model", default=checkpoint.MINI, help="a checkpoint folder or built-in name")
    add("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
