"""What the demo shows: tables, pictures, the labeled cloud as a file, a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from s4token_ros import cloud_messages
from s4token_ros.demo_client import Answer, Result

WIDTH = 72


@dataclass
class Report:
    """What came, for the table and summary.json."""

    source: str
    points: int = 0
    model: str = ""
    device: str = ""
    ready_s: float = 0.0
    clouds: int = 0
    rate_hz: float = 0.0
    age_ms: float = 0.0
    dropped: int = 0
    stages_ms: dict[str, float] = field(default_factory=dict)
    vocabularies: list[dict] = field(default_factory=list)  # version, names, classes, unlabeled
    set_vocabulary_ms: float = 0.0
    query_ms: float = 0.0
    matches: list[dict] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    total_s: float = 0.0


def latency_table(report: Report) -> str:
    """Latency per stage, in ms."""
    rows = [f"{name:<20}{ms:>10.1f}" for name, ms in report.stages_ms.items()]
    total = sum(report.stages_ms.values())
    return "\n".join(
        [
            "",
            f"{'stage':<20}{'ms':>10}",
            "-" * 30,
            *rows,
            "-" * 30,
            f"{'total':<20}{total:>10.1f}",
            f"{report.model} on {report.device}, ready after {report.ready_s:.1f} s",
            f"{report.rate_hz:.1f} labeled clouds per second, {report.dropped} dropped, "
            f"{report.age_ms:.0f} ms from stamp to arrival",
        ]
    )


def class_table(result: Result) -> str:
    """Points, share, superpoints and confidence of every class that occurs."""
    scene = result.classes
    total = max(scene.points, 1)
    header = f"{len(result.vocabulary.names)} words, {scene.points:,} points"

    def row(name: str, points: int) -> str:
        return f"{_cut(name, 24):<24}{points:>11,}{100 * points / total:>8.1f} %"

    rows = [f"{row(c.name, c.points)}{c.superpoints:>13,}{c.confidence:>13.2f}" for c in scene.classes]
    if scene.unlabeled:
        rows.append(f"{row('(unlabeled)', scene.unlabeled)}  {scene.unlabeled_reason}")
    titles = f"{'class':<24}{'points':>11}{'share':>10}{'superpoints':>13}{'confidence':>13}"
    return "\n".join(["", header, titles, "-" * WIDTH, *rows])


def answer_table(report: Report) -> str:
    """The best superpoints of every text that was asked."""
    lines = ["", f"query answered in {report.query_ms:.0f} ms"]
    for text in dict.fromkeys(m["text"] for m in report.matches):
        lines.append(f"  {text}")
        for m in (m for m in report.matches if m["text"] == text):
            place = ", ".join(f"{v:.2f}" for v in m["centroid"])
            size = " x ".join(f"{v:.2f}" for v in m["extent"])
            what = f"superpoint {m['superpoint']:<6}{m['points']:>8,} points"
            lines.append(f"    {m['score']:.3f}  {what} at ({place}) m, {size} m")
    return "\n".join(lines)


def summary_of(result: Result) -> dict:
    """One vocabulary's result for summary.json."""
    return {
        "version": int(result.vocabulary.version),
        "names": list(result.vocabulary.names),
        "classes": {c.name: int(c.points) for c in result.classes.classes},
        "unlabeled": int(result.classes.unlabeled),
        "unlabeled_reason": result.classes.unlabeled_reason,
    }


def as_json(report: Report) -> dict:
    """The report as plain values, numbers rounded to what they mean."""
    values = asdict(report)
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}
    return {**rounded, "stages_ms": {k: round(v, 2) for k, v in report.stages_ms.items()}}


def write_files(out: Path, results: Sequence[Result], answer: Answer) -> list[str]:
    """Write pictures and the labeled cloud of the first result; return the file names.

    A second result, the same room in other words, becomes labels_changed.png.
    """
    from s4token_model.io.files import Cloud, write_cloud
    from s4token_model.pictures import figures

    cloud = cloud_messages.decode(results[0].cloud)
    superpoints = np.asarray(cloud.points["superpoint"])
    fields = {name: np.asarray(cloud.points[name]) for name in cloud.points.dtype.names}
    write_cloud(out / "labeled.ply", Cloud.from_fields(fields))
    raster = figures.trace(cloud.xyz, figures.SIZE)
    figures.save_superpoints_picture(out / "superpoints.png", cloud.xyz, superpoints, raster=raster)
    files = ["labels.png", "superpoints.png", "similarity.png", "labeled.ply"]
    for name, result in zip(("labels.png", "labels_changed.png"), results, strict=False):
        _save_labels(out / name, result, raster if result is results[0] else None)
    if len(results) > 1:
        files.insert(1, "labels_changed.png")
    _save_similarity(out / "similarity.png", answer)
    return files


def _save_labels(path: Path, result: Result, raster) -> None:
    from s4token_model.pictures import figures

    cloud = cloud_messages.decode(result.cloud)
    colors = np.array([(c.r, c.g, c.b) for c in result.vocabulary.colors])
    colors = np.rint(colors * 255).astype(np.uint8)
    names = result.vocabulary.names
    title = f"{len(cloud.xyz):,} points, {len(names)} words"
    figures.save_labels_picture(path, cloud.xyz, cloud.points["label"], names, colors, title, raster=raster)


def _save_similarity(path: Path, answer: Answer) -> None:
    from s4token_model.pictures import figures

    cloud, labeled = cloud_messages.decode(answer.similarity), cloud_messages.decode(answer.labeled)
    field = f"similarity_{cloud_messages.ros_names(answer.texts, fallback='text')[0]}"
    similarity, superpoints = np.asarray(cloud.points[field]), np.asarray(labeled.points["superpoint"])
    figures.save_similarity_picture(path, cloud.xyz, similarity, answer.texts[0], superpoints)


def _cut(text: str, width: int) -> str:
    return text if len(text) < width else text[: width - 2] + "…"
