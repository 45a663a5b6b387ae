"""The benchmark as a document: tables in Markdown beside a picture of time against points."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from s4token_model.benchmark.scaling import slope


def write(
    path: Path,
    results: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    command: str,
    live: Sequence[dict[str, Any]] = (),
    scores: dict[str, Any] | None = None,
) -> None:
    """Write the figures of `benchmark.run` (one per cloud and model), of `growth.measure`, of
    `s4token_ros.live_benchmark` and of `scannet.run` to `path`.

    The picture goes beside it, with the suffix .png.
    """
    versions = ", ".join(f"{name} {number}" for name, number in results[0]["versions"].items() if number)
    parts = [
        "# Benchmark",
        f"Written by `{command}` on {date.today()}: {_processor()}, {results[0]['hardware']}. {versions}.",
        "Milliseconds are medians; ours and the peer run in turn in one process on the same cloud, with the same"
        " numbers of tokens and words. Ratios hold on other machines better than milliseconds do. The reference is the"
        " paper's pipeline as libraries give it: Open3D normals, scipy neighbors, pgeof, cut-pursuit-py, farthest"
        " point sampling as a torch loop, dense propagation, the same ViT in fp32.",
        *(_cloud(result) for result in results),
    ]
    if rows:
        picture = path.with_suffix(".png")
        plot(picture, rows)
        parts.append(_growth(list(rows), picture.name))
    if live:
        parts.append(_live(live))
    if scores is not None:
        parts.append(_accuracy(scores))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Draw time against points, both logarithmic, per stage and in total."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    points = [row["points"] for row in rows]
    for stage in rows[0]["stages_ms"]:
        axes.loglog(points, [max(row["stages_ms"][stage], 0.1) for row in rows], marker=".", label=stage)
    totals = [row["total_ms"] for row in rows]
    axes.loglog(points, totals, color="black", marker="o", linewidth=2, label="total")
    linear = [totals[-1] * p / points[-1] for p in points]
    axes.loglog(points, linear, color="gray", linestyle=":", label="linear")
    axes.set(xlabel="points", ylabel="milliseconds", title="Time to label a cloud")
    axes.grid(True, which="both", alpha=0.2)
    axes.legend(loc="lower right", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _cloud(result: dict[str, Any]) -> str:
    ours, peer = result["ours_ms"], result["reference_ms"]
    lines = [
        f"## {Path(result['cloud']).name}: {result['points']:,} points, {result['model']}, {result['tokens']} tokens",
        "",
        f"Our tokenizer and the ViT's blocks compute in {result['precision']}, the reference's in fp32.",
        "",
        "| stage | ours, ms | reference, ms | ratio |",
        "|---|---:|---:|---:|",
        *(f"| {s} | {ours[s]:.1f} | {peer[s]:.1f} | {peer[s] / max(ours[s], 1e-3):.1f} |" for s in ours),
        "",
        "| partition, solve alone | speed against cut-pursuit-py | its energy = 1 | superpoints, ours / peer |",
        "|---|---:|---:|---:|",
    ]
    part = result["partition"]
    for strength, energy in part["energy_ratio"].items():
        count = part["superpoints"][strength]
        speed = part["speed_ratio"][strength]
        lines.append(f"| lambda {strength} | {speed} x | {energy} | {count['ours']:,} / {count['cut_pursuit']:,} |")
    wfps, spread = result["wfps"], result["propagation"]
    exact = "equal to brute force, index for index" if wfps["exact"] else "NOT equal to brute force"
    peer_text = "not installed" if wfps["fpsample_ms"] is None else f"{wfps['fpsample_ms']:.1f} ms"
    lines += [
        "",
        *_further(result),
        f"- Weighted farthest point sampling: {wfps['ours_ms']:.1f} ms, {exact};"
        f" fpsample's unweighted bucket_fps_kdline: {peer_text}.",
        f"- Propagation of class scores: {spread['ours_ms']:.1f} ms, the dense formula {spread['dense_ms']:.0f} ms"
        f" ({spread['dense_ms'] / spread['ours_ms']:.0f} x); largest difference {spread['max_abs_diff']:.1e}.",
    ]
    return "\n".join(lines)


def _further(result: dict[str, Any]) -> list[str]:
    """Lines on the peers that not every result has."""
    part, lines = result["partition"], []
    if "whole_ratio" in part:
        lines.append(
            f"- Geometry, graph and solving together: {part['whole_ours_ms']:.0f} ms, with the libraries and"
            f" cut-pursuit-py {part['whole_cut_pursuit_ms']:.0f} ms ({part['whole_ratio']} x)."
        )
    if result.get("geometry", {}).get("pgeof_ms"):
        found = result["geometry"]
        lines.append(
            f"- Neighbors, normals, eigen-features and graph: {found['ours_ms']:.0f} ms; pgeof's neighbors and"
            f" features: {found['pgeof_ms']:.0f} ms."
        )
    if part.get("pycut_pursuit_ms"):
        lines.append(
            f"- pycut-pursuit at the largest lambda: {part['pycut_pursuit_ms']:.0f} ms; our energy is"
            f" {part['pycut_pursuit_energy_ratio']} of its own."
        )
    return lines


def _live(live: Sequence[dict[str, Any]]) -> str:
    lines = [
        "## Live",
        "",
        "Written by `s4token benchmark --live`: node, sensor and listener are processes on this machine. Age: from the"
        " stamp of a cloud to the arrival of the labeled one. Relabeled: from set_vocabulary with 20 words that the"
        " text tower has seen to the arrival of the last cloud. Encoded: decode, append labels and publish"
        " 130,000 points of 32 bytes.",
        "",
        "| clouds, settings | played, Hz | labeled, Hz | dropped | age p50, ms | p95, ms | relabeled, ms |"
        " encoded, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in live:
        name = ", ".join([Path(one["input"]).name, one["model"], *one["settings"]])
        lines.append(
            f"| {name} | {one['played_hz']:g} | {one['labeled_hz']} | {one['dropped']} of {one['received']} |"
            f" {one['age_p50_ms']:.0f} | {one['age_p95_ms']:.0f} | {one['relabel_ms']:.0f} |"
            f" {one['decode_encode_publish_ms']:.1f} |"
        )
    return "\n".join(lines)


def _accuracy(scores: dict[str, Any]) -> str:
    """The result of `evaluation.scannet.run` as a sentence."""
    own = scores["methods"]["model"]
    return (
        "## Accuracy at this speed\n\n"
        f"{scores['model']} on {len(scores['rooms'])} ScanNet rooms, 20 classes, no annotation seen:"
        f" {100 * own['miou']:.1f} % mIoU, {100 * own['accuracy']:.1f} % of the points right."
    )


def _growth(rows: list[dict[str, Any]], picture: str) -> str:
    lines = [
        "## Growth with the number of points",
        "",
        f"A row of procedural rooms; slope of log time against log points {slope(rows):.2f}. Clouds of"
        " more than `input.max_points` go through the network at one point per voxel, all their points are labeled.",
        "",
        f"![time against points]({picture})",
        "",
        "| points | ms | ms per 100,000 points | peak memory above the input, bytes per point |",
        "|---:|---:|---:|---:|",
        *(
            f"| {row['points']:,} | {row['total_ms']:.0f} | {1e5 * row['total_ms'] / row['points']:.0f} |"
            f" {row['peak_bytes_per_point']:.0f} |"
            for row in rows
        ),
    ]
    return "\n".join(lines)


def _processor() -> str:
    """The processor's name as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
