"""What each small kernel saves beside the plain numpy or scipy version of the same result, as a Markdown table.

    python scripts/kernel_gates.py CLOUD [CLOUD ...] >> docs/benchmark.md

Times are medians of interleaved runs in one process. The last column is the time that the plain version would add to
labeling the cloud by s4token-mini, in percent. `s4token benchmark` compares the larger kernels: neighbors, eigen-
features, l0 partition, sampling and propagation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import softmax

from s4token_model import Segmenter, command_line
from s4token_model.io.files import read_cloud
from s4token_model.kernels import (
    ball_query,
    edge_lists,
    group_statistics,
    nearest_neighbors,
    sorting,
    spatial_index,
    voxels,
)
from s4token_model.kernels.softmax import argmax_and_softmax

REPEATS = 9


def main(words: list[str] | None = None) -> int:
    """Print a table per cloud."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", metavar="CLOUD")
    paths = parser.parse_args(words).paths
    segmenter = Segmenter.load("s4token-mini")
    for path in paths:
        xyz = read_cloud(path).xyz
        segmenter.segment(xyz)
        totals = [sum(segmenter.segment(xyz).stages_ms.values()) for _ in range(REPEATS)]
        total = float(np.median(totals))
        print(f"\n### {Path(path).name}: small kernels, total {total:.0f} ms\n")
        print("| kernel | ours, ms | plain version | its ms | total with it |\n|---|---:|---|---:|---:|")
        for name, ours, plain_name, plain in pairs(segmenter, xyz):
            ours_ms, plain_ms = interleaved(ours, plain)
            change = 100 * (plain_ms - ours_ms) / total
            print(f"| {name} | {ours_ms:.2f} | {plain_name} | {plain_ms:.1f} | {change:+.1f} % |")
    return 0


def pairs(segmenter: Segmenter, xyz: np.ndarray) -> list[tuple[str, Callable, str, Callable]]:
    """(kernel, call, plain version, call) on the intermediate results of one cloud."""
    result = segmenter.segment(xyz)
    geometry = result.encoding.geometry
    points, ids, centers = geometry.working.xyz, geometry.superpoints, geometry.patches
    count, classes = int(ids.max()) + 1, len(result.vocabulary.names)
    cosines = segmenter.similarity(result.encoding, result.vocabulary.names)[result.encoding.valid]
    normals = np.random.default_rng(0).normal(size=points.shape).astype(np.float32)
    radius, width = (
        segmenter.config.tokenizer.context_radius * centers.radius,
        segmenter.config.tokenizer.context_points,
    )
    index = spatial_index.build(points)
    near = nearest_neighbors.nearest_neighbors(index, 9)
    keys = np.random.default_rng(0).integers(0, 2**62, len(points))
    labels, sure = result.labels.astype(np.int64), result.confidence
    pool = points[np.linspace(0, len(points) - 1, min(8192, len(points))).astype(np.int64)]

    seen = centers.centers[geometry.windows[0].tokens]
    box = seen.min(axis=0) - centers.radius, seen.max(axis=0) + centers.radius

    def moments() -> list[np.ndarray]:
        columns = [
            *points.T,
            *(points[:, a] * points[:, b] for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))),
        ]
        return [np.bincount(ids, column, minlength=count) for column in [*columns, *normals.T, normals[:, 2] ** 2]]

    def boxes() -> list[np.ndarray]:
        inside = [labels == c for c in range(classes)]
        return [(xyz[m].min(0), xyz[m].max(0), xyz[m].mean(0), sure[m].mean()) for m in inside if m.any()]

    def edges() -> np.ndarray:
        both = np.stack([np.repeat(np.arange(len(near)), near.shape[1]), near.ravel()], axis=1)
        both = np.sort(both[both[:, 0] != both[:, 1]], axis=1)
        return np.unique(both[:, 0].astype(np.int64) * len(near) + both[:, 1])

    def ball() -> list[np.ndarray]:
        return [
            np.asarray(f[:: max(1, len(f) // width)]) for f in cKDTree(pool).query_ball_point(centers.centers, radius)
        ]

    def occupied() -> np.ndarray:
        return np.unique(np.floor(points * 64).astype(np.int64) @ [1, 4096, 4096**2], return_index=True)[1]

    return [
        ("sorting.sort_by_group", lambda: sorting.sort_by_group(ids, count), "np.argsort, stable",
         lambda: np.argsort(ids, kind="stable")),
        ("sorting.radix_argsort", lambda: sorting.radix_argsort(keys), "np.argsort, stable",
         lambda: np.argsort(keys, kind="stable")),
        ("sorting.argsort_points", lambda: sorting.argsort_points(points), "np.lexsort",
         lambda: np.lexsort(points.T[::-1])),
        ("softmax.argmax_and_softmax", lambda: argmax_and_softmax(cosines, 0.01), "argmax and scipy softmax",
         lambda: (cosines.argmax(1), softmax(cosines / 0.01, axis=1).max(1))),
        ("group_statistics.group_moments", lambda: group_statistics.group_moments(points, normals, normals, ids),
         "np.bincount per column", moments),
        ("group_statistics.class_statistics",
         lambda: group_statistics.class_statistics(result.labels, sure, xyz, classes), "masks per class", boxes),
        ("edge_lists.from_neighbors", lambda: edge_lists.from_neighbors(near), "np.unique",
         edges),
        ("ball_query.ball_query", lambda: ball_query.ball_query(pool, centers.centers, radius, width),
         "cKDTree.query_ball_point", ball),
        ("spatial_index.inside_box", lambda: spatial_index.inside_box(index, *box), "comparisons",
         lambda: ((points >= box[0]) & (points <= box[1])).all(1)),
        ("voxels.voxel_downsample", lambda: voxels.voxel_downsample(points, 40000), "np.unique, one voxel size",
         occupied),
    ]  # fmt: skip


def interleaved(ours: Callable, plain: Callable) -> tuple[float, float]:
    """Median milliseconds of two calls that take turns, after a warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(REPEATS + 1):
        for call, measured in zip((ours, plain), times, strict=True):
            begin = time.perf_counter()
            call()
            if repeat:
                measured.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times[0])), float(np.median(times[1]))


if __name__ == "__main__":
    raise SystemExit(command_line.guard("kernel_gates", main))
