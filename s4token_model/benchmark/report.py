"""The benchmark as lines of text, and as a document with tables and a plot of time against points."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.benchmark import batch_speed
from s4token_model.evaluation.tables import markdown_table
from s4token_model.pictures.plots import save_scaling_plot

INTRODUCTION = (
    "Milliseconds are medians; ours and the peer run in turn in one process on the same cloud, with the same numbers of"
    " tokens and class names. Ratios carry over to other machines better than milliseconds do. The reference is the"
    " paper's pipeline built from libraries: Open3D normals, scipy neighbors, pgeof, cut-pursuit-py, farthest point"
    " sampling as a torch loop, dense propagation, the same ViT in fp32."
)
GATES = (
    "What each kernel and each precision saves, end to end: the total would be longer by that percentage with the"
    " alternative in its place. fpsample does not weight its points."
)
LIVE = (
    "Written by `s4token benchmark --live`: node, sensor and listener are processes on this machine. Age: from the"
    " stamp of a cloud to the arrival of the labeled one. Relabeled: from set_vocabulary with 20 class names that the"
    " text tower has seen to the arrival of the last cloud. Encoded: decode, append labels and publish"
    " 130,000 points of 32 bytes."
)
# Sections that stay when the document is written again: peers of other environments, and what was decided once by
# figures of code that is gone. They stand at its end, and all that follows the first of them stays.
BY_HAND = ("## Beside what else can be installed", "## Decisions")


def text_table(result: dict[str, Any]) -> str:
    """The figures of one run of the benchmark as lines of text."""
    lines = [
        "{cloud}: {points} points, {tokens} tokens, {model}; {hardware}".format(**result),
        f"{'stage':<14}{'ours ms':>10}{'reference ms':>14}{'ratio':>8}",
    ]
    lines += [f"{stage:<14}{ours:>10}{peer:>14}{ratio:>8}" for stage, ours, peer, ratio in _stages(result)]
    part, wfps = result["partition"], result["wfps"]
    for value, energy in part["energy_ratio"].items():
        speed, count = part["speed_ratio"][value], part["superpoints"][value]
        lines.append(
            f"partition, lambda {value}: {speed} x the speed of cut-pursuit-py at {energy} of its energy;"
            f" {count['ours']} and {count['cut_pursuit']} superpoints"
        )
    exact = "equal to brute force" if wfps["exact"] else "NOT equal to brute force"
    lines.append(f"weighted FPS {wfps['ours_ms']} ms, {exact}; fpsample, unweighted: {wfps['fpsample_ms']} ms")
    dense = "propagation {ours_ms} ms, dense {dense_ms} ms, largest difference {max_abs_diff:.1e}"
    lines.append(dense.format(**result["propagation"]))
    for row in result["precisions"]:
        lines.append(
            f"precision {row['precision']}: encoder {row['encoder_ms']:.1f} ms, total {row['total_ms']:.1f} ms,"
            f" {100 * row['labels_as_fp32']:.2f} % of the labels as in fp32"
        )
    return "\n".join(lines)


def write(
    path: Path,
    results: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    command: str,
    live: Sequence[dict[str, Any]] = (),
    scores: dict[str, Any] | None = None,
    batches: dict[str, Any] | None = None,
) -> None:
    """Write the document to `path`, and the plot beside it with the suffix .png.

    results: of `speed.run`, one per cloud and model; rows: of `scaling.measure`; batches: of `batch_speed.run`; live:
    what `s4token benchmark --live --out` wrote; scores: of `scannet`; command: the line that made the figures.
    """
    versions = ", ".join(f"{name} {number}" for name, number in results[0]["versions"].items() if number)
    parts = [
        "# Benchmark",
        f"Written by `{command}` on {date.today()}: {_processor()}, {results[0]['hardware']}. {versions}.",
        INTRODUCTION,
        *(_cloud(result) for result in results),
        "\n\n".join(["## Gates", GATES, *(_gates(result) for result in results)]),
    ]
    if rows:
        save_scaling_plot(path.with_suffix(".png"), rows)
        parts.append(_scaling(rows, f"{path.stem}.png"))
    if live:
        parts.append(_live(live))
    if scores is not None:
        model = scores["methods"]["model"]
        parts.append(
            "## Accuracy at this speed\n\n"
            f"{scores['model']} on {len(scores['rooms'])} ScanNet rooms, 20 classes, no annotation seen:"
            f" {100 * model['miou']:.1f} % mIoU, {100 * model['accuracy']:.1f} % of the points correct."
        )
    if batches is not None:
        parts.append(f"## Batches of training\n\n{batch_speed.text(batches)}")
    if path.is_file():
        parts += _by_hand(path.read_text(encoding="utf-8"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def slope(rows: Sequence[dict[str, Any]]) -> float:
    """Least-squares slope of log time against log points; 1 is linear growth."""
    points, times = ([row[key] for row in rows] for key in ("points", "total_ms"))
    return float(np.polyfit(np.log(points), np.log(times), 1)[0])


def _by_hand(text: str) -> list[str]:
    """What a document says from the first of the sections in BY_HAND on, as a list of one part or none."""
    begins = [text.index(f"\n{heading}\n") for heading in BY_HAND if f"\n{heading}\n" in text]
    return [text[min(begins) :].strip()] if begins else []


def _cloud(result: dict[str, Any]) -> str:
    """The section of one cloud."""
    part, solver = result["partition"], []
    for value, energy in part["energy_ratio"].items():
        counts = "{ours:,} / {cut_pursuit:,}".format(**part["superpoints"][value])
        solver.append([f"lambda {value}", f"{part['speed_ratio'][value]} x", str(energy), counts])
    name = Path(result["cloud"]).name
    parts = [
        f"## {name}: {result['points']:,} points, {result['model']}, {result['tokens']} tokens",
        f"Our tokenizer and the ViT's blocks compute in {result['precision']}, the reference's in fp32.",
        markdown_table(["stage", "ours, ms", "reference, ms", "ratio"], _stages(result)),
    ]
    if not result["reference_ms"]:
        parts.append("The reference was not measured: it needs open3d and cut-pursuit-py.")
    if solver:
        header = ["partition, solve alone", "speed against cut-pursuit-py", "its energy = 1"]
        parts.append(markdown_table([*header, "superpoints, ours / peer"], solver))
    return "\n\n".join([*parts, "\n".join(_further(result))])


def _further(result: dict[str, Any]) -> list[str]:
    """Lines on single stages and their peers, which not every result has."""
    part, geometry, lines = result["partition"], result.get("geometry", {}), []
    if part.get("whole_ratio"):
        lines.append(
            f"- Geometry, graph and solving together: {part['whole_ours_ms']:.0f} ms, with the libraries and"
            f" cut-pursuit-py {part['whole_cut_pursuit_ms']:.0f} ms ({part['whole_ratio']} x)."
        )
    if geometry.get("pgeof_ms"):
        lines.append(
            f"- Neighbors, normals, eigen-features and graph: {geometry['ours_ms']:.0f} ms; pgeof's neighbors and"
            f" features: {geometry['pgeof_ms']:.0f} ms."
        )
    if part.get("pycut_pursuit_ms"):
        lines.append(
            f"- pycut-pursuit at the largest lambda: {part['pycut_pursuit_ms']:.0f} ms; our energy is"
            f" {part['pycut_pursuit_energy_ratio']} of its energy."
        )
    wfps, dense = result["wfps"], result["propagation"]
    exact = "equal to brute force, index for index" if wfps["exact"] else "NOT equal to brute force"
    peer = "not installed" if wfps["fpsample_ms"] is None else f"{wfps['fpsample_ms']:.1f} ms"
    return [
        *lines,
        f"- Weighted farthest point sampling: {wfps['ours_ms']:.1f} ms, {exact};"
        f" fpsample's unweighted bucket_fps_kdline: {peer}.",
        f"- Propagation of class scores: {dense['ours_ms']:.1f} ms, the dense formula {dense['dense_ms']:.0f} ms"
        f" ({dense['dense_ms'] / dense['ours_ms']:.0f} x); largest difference {dense['max_abs_diff']:.1e}.",
    ]


def _gates(result: dict[str, Any]) -> str:
    """Kernels beside their alternatives, and precisions, each by what it saves of the total."""
    part, geometry, total = result["partition"], result.get("geometry", {}), result["ours_ms"]["total"]
    wfps, dense = result["wfps"], result["propagation"]
    kernels = [
        ("neighbors, normals, eigen-features", "pgeof", geometry.get("ours_ms"), geometry.get("pgeof_ms")),
        ("l0 partition, lambda 0.3", "cut-pursuit-py", part.get("ours_ms"), part.get("cut_pursuit_ms")),
        ("farthest point sampling", "fpsample", wfps["ours_ms"], wfps["fpsample_ms"]),
        ("propagation", "dense formula, torch", dense["ours_ms"], dense["dense_ms"]),
    ]
    rows = [
        [name, f"{ours:.1f}", peer_name, f"{peer:.1f}", f"{100 * (peer - ours) / total:+.0f} %"]
        for name, peer_name, ours, peer in kernels
        if ours and peer
    ]
    precisions = [
        [row["precision"], f"{row['encoder_ms']:.1f}", f"{row['total_ms']:.1f}", f"{100 * row['labels_as_fp32']:.2f} %"]
        for row in result["precisions"]
    ]
    tables = [markdown_table(["kernel", "ours, ms", "alternative", "its ms", "total with it"], rows)]
    tables.append(markdown_table(["precision", "encoder, ms", "total, ms", "labels as in fp32"], precisions))
    return "\n\n".join([f"### {Path(result['cloud']).name}", *tables])


def _scaling(rows: Sequence[dict[str, Any]], picture: str) -> str:
    header = ["points", "ms", "ms per 100,000 points", "peak memory above the input, bytes per point"]
    figures = [(row["points"], row["total_ms"], row["peak_bytes_per_point"]) for row in rows]
    cells = [[f"{n:,}", f"{ms:.0f}", f"{1e5 * ms / n:.0f}", f"{peak:.0f}"] for n, ms, peak in figures]
    about = (
        f"A row of procedural rooms; slope of log time against log points {slope(rows):.2f}. Clouds of more than"
        " `input.max_points` go through the network at one point per voxel; all their points are labeled."
    )
    title = "## Scaling with the number of points"
    return "\n\n".join([title, about, f"![time against points]({picture})", markdown_table(header, cells)])


def _live(live: Sequence[dict[str, Any]]) -> str:
    formats = {
        "played, Hz": "{played_hz:g}", "labeled, Hz": "{labeled_hz}", "dropped": "{dropped} of {received}",
        "age p50, ms": "{age_p50_ms:.0f}", "p95, ms": "{age_p95_ms:.0f}", "relabeled, ms": "{relabel_ms:.0f}",
        "encoded, ms": "{decode_encode_publish_ms:.1f}",
    }  # fmt: skip
    rows = []
    for one in live:
        settings = ", ".join([Path(one["input"]).name, one["model"], *one["settings"]])
        rows.append([settings, *(cell.format(**one) for cell in formats.values())])
    return "\n\n".join(["## Live", LIVE, markdown_table(["clouds, settings", *formats], rows)])


def _stages(result: dict[str, Any]) -> list[list[str]]:
    """Stage, our milliseconds, the reference's and their ratio, "-" if the reference was not measured."""
    rows, peer = [], result["reference_ms"] or {}
    for stage, ours in result["ours_ms"].items():
        compared = [f"{peer[stage]:.1f}", f"{peer[stage] / max(ours, 1e-3):.1f}"] if stage in peer else ["-", "-"]
        rows.append([stage, f"{ours:.1f}", *compared])
    return rows


def _processor() -> str:
    """The processor's name as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
