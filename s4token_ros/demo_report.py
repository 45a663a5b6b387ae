"""The demo's results: tables for the terminal, pictures, the labeled cloud as a file, summary.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from s4token_interfaces.msg import Match
from s4token_model.io.files import Cloud, write_cloud
from s4token_model.io.samples import Sample
from s4token_model.palette import index_colors, label_colors
from s4token_model.pictures import figures
from s4token_ros import cloud_messages
from s4token_ros.demo_client import LabeledCloud, QueryResult


@dataclass
class Report:
    """Everything measured, for the tables and summary.json."""

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
    vocabularies: list[dict] = field(default_factory=list)  # of vocabulary_summary
    set_vocabulary_ms: float = 0.0
    query_ms: float = 0.0
    matches: list[dict] = field(default_factory=list)  # of match_summary
    accuracy: dict[str, float] = field(default_factory=dict)  # fraction of the points, by sample
    files: list[str] = field(default_factory=list)
    total_s: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """A sample as the node labeled it by its true names."""

    name: str
    result: LabeledCloud
    sample: Sample

    @property
    def labels(self) -> np.ndarray:
        """What the node says, (H,) in the order of the sample's points."""
        return np.asarray(cloud_messages.decode(self.result.cloud).points["label"])

    @property
    def accuracy(self) -> float:
        """Fraction of the points that are right."""
        return float((self.labels == self.sample.label).mean())


def latency_table(report: Report) -> str:
    """Return latency per stage [ms], rate, drops and age."""
    line = "-" * 30
    rows = [f"{name:<20}{ms:>10.1f}" for name, ms in report.stages_ms.items()]
    total = f"{'total':<20}{sum(report.stages_ms.values()):>10.1f}"
    model = f"{report.model} on {report.device}, ready after {report.ready_s:.1f} s"
    rate = f"{report.rate_hz:.1f} labeled clouds per second, {report.dropped} dropped, "
    rate += f"{report.age_ms:.0f} ms from stamp to arrival"
    return "\n".join(["", f"{'stage':<20}{'ms':>10}", line, *rows, line, total, model, rate])


def class_table(result: LabeledCloud) -> str:
    """Return points, percentage, superpoints and confidence of every class that occurs."""
    summary = result.classes

    def row(name: str, points: int) -> str:
        name = name if len(name) < 24 else f"{name[:22]}…"
        return f"{name:<24}{points:>11,}{100 * points / max(summary.points, 1):>8.1f} %"

    rows = [f"{row(c.name, c.points)}{c.superpoints:>13,}{c.confidence:>13.2f}" for c in summary.classes]
    if summary.unlabeled:
        rows.append(f"{row('(unlabeled)', summary.unlabeled)}  {summary.unlabeled_reason}")
    header = f"{len(result.vocabulary.names)} classes, {summary.points:,} points"
    titles = f"{'class':<24}{'points':>11}{'percent':>10}{'superpoints':>13}{'confidence':>13}"
    return "\n".join(["", header, titles, "-" * len(titles), *rows])


def match_table(report: Report) -> str:
    """Return the best superpoints of every query text."""
    lines = ["", f"query answered in {report.query_ms:.0f} ms"]
    for text in dict.fromkeys(m["text"] for m in report.matches):
        lines.append(f"  {text}")
        for m in (m for m in report.matches if m["text"] == text):
            center = ", ".join(f"{v:.2f}" for v in m["centroid"])
            size = " x ".join(f"{v:.2f}" for v in m["extent"])
            superpoint = f"superpoint {m['superpoint']:<6}{m['points']:>8,} points"
            lines.append(f"    {m['score']:.3f}  {superpoint} at ({center}) m, {size} m")
    return "\n".join(lines)


def accuracy_table(report: Report) -> str:
    """Return which fraction of each sample's points is right."""
    lines = [f"{name:<20}{100 * right:>8.1f} %" for name, right in report.accuracy.items()]
    return "\n".join(["", "points that are right, by the true names", *lines])


def vocabulary_summary(result: LabeledCloud) -> dict:
    """Return the result of one vocabulary for summary.json."""
    return {
        "version": int(result.vocabulary.version),
        "names": list(result.vocabulary.names),
        "classes": {c.name: int(c.points) for c in result.classes.classes},
        "unlabeled": int(result.classes.unlabeled),
        "unlabeled_reason": result.classes.unlabeled_reason,
    }


def match_summary(match: Match) -> dict:
    """Return one match of a query for summary.json; lengths in m."""
    centroid, extent = ([round(v, 3) for v in (p.x, p.y, p.z)] for p in (match.centroid, match.extent))
    summary = {"text": match.text, "score": round(match.score, 4), "superpoint": match.superpoint}
    return {**summary, "points": match.points, "centroid": centroid, "extent": extent}


def as_json(report: Report) -> dict:
    """Return the report as plain, rounded values."""
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(report).items()}
    return {**rounded, "stages_ms": {k: round(v, 2) for k, v in report.stages_ms.items()}}


def write_files(
    out: Path, results: Sequence[LabeledCloud], answer: QueryResult, compared: Sequence[Comparison] = ()
) -> list[str]:
    """Write the pictures, and the first result's cloud; return the file names.

    labels_changed.png is of a second result, and NAME.png of what is compared with its truth.
    """
    cloud = cloud_messages.decode(results[0].cloud)
    fields = {name: np.asarray(cloud.points[name]) for name in cloud.points.dtype.names}
    added = {name: fields.pop(name) for name in ("label", "superpoint")}
    write_cloud(out / "labeled.ply", Cloud.from_fields(fields), added)
    raster = figures.trace(cloud.xyz, figures.SIZE)
    figures.save_superpoints_picture(out / "superpoints.png", cloud.xyz, added["superpoint"], raster=raster)
    pictures = ["labels.png", "labels_changed.png"][: len(results)]
    for name, result in zip(pictures, results, strict=True):
        _save_labels(out / name, result, raster if result is results[0] else None)
    _save_similarity(out / "similarity.png", answer)
    for one in compared:
        save_comparison(out / f"{one.name}.png", one)
    return [*pictures, "superpoints.png", "similarity.png", *(f"{one.name}.png" for one in compared), "labeled.ply"]


def save_comparison(path: Path, compared: Comparison) -> None:
    """Draw the truth on the left and the prediction, with its accuracy, on the right."""
    sample, labels = compared.sample, compared.labels
    colors = index_colors(np.arange(len(sample.names)))
    right = f"prediction: {100 * compared.accuracy:.0f} % of the points are right"
    columns = [("truth", label_colors(sample.label, colors)), (right, label_colors(labels, colors))]
    legend = figures.Legend(np.concatenate([sample.label, labels]), sample.names, colors)
    figures.save_comparison(path, sample.xyz, columns, legend=legend)


def _save_labels(path: Path, result: LabeledCloud, raster) -> None:
    cloud, names = cloud_messages.decode(result.cloud), result.vocabulary.names
    colors = np.rint([(255 * c.r, 255 * c.g, 255 * c.b) for c in result.vocabulary.colors]).astype(np.uint8)
    title = f"{len(cloud.xyz):,} points, {len(names)} classes"
    figures.save_labels_picture(path, cloud.xyz, cloud.points["label"], names, colors, title, raster=raster)


def _save_similarity(path: Path, answer: QueryResult) -> None:
    cloud, labeled = cloud_messages.decode(answer.similarity), cloud_messages.decode(answer.labeled)
    field = f"similarity_{cloud_messages.ros_names(answer.texts, fallback='text')[0]}"
    similarity, superpoints = np.asarray(cloud.points[field]), np.asarray(labeled.points["superpoint"])
    figures.save_similarity_picture(path, cloud.xyz, similarity, answer.texts[0], superpoints)
