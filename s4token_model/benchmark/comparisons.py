"""Single parts of the pipeline beside their peers, and the precisions of the network beside each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from s4token_model import config as configs
from s4token_model.benchmark import inputs, reference
from s4token_model.kernels import spatial_index
from s4token_model.pipeline import preprocess, propagation, sampling, superpoints
from s4token_model.segmenter import Segmenter

LAMBDAS = (0.03, 0.1, 0.3)
PRECISIONS = tuple(p for p in configs.options(configs.ClipConfig())["precision"][1].metadata["choices"] if p != "auto")


def compare_partition(xyz: np.ndarray, config: configs.Config, repeats: int) -> dict[str, Any]:
    """Our solver beside cut-pursuit-py on one graph, per lambda: milliseconds, energies and numbers of superpoints."""
    # In the order in which the pipeline solves
    unit = spatial_index.build(preprocess.prepare(xyz, None).xyz).points()
    features, local = superpoints.features_and_graph(unit, None, config.superpoints)
    out: dict[str, Any] = {"energy_ratio": {}, "superpoints": {}, "speed_ratio": {}}

    def solve(solver: str, value: float) -> tuple[float, np.ndarray, float]:
        settings = configs.replace(config.superpoints, {"solver": solver, "regularization": value, "min_points": 1})
        milliseconds, ids = timed(lambda: superpoints.solve(features, local.edges, settings), repeats)
        return milliseconds, ids, superpoints.energy(features, local.edges, ids, value)

    peer_ms = None
    for value in LAMBDAS:
        ours_ms, ids, energy = solve("merge", value)
        if not reference.missing_packages():
            peer_ms, peer_ids, peer_energy = solve("cut_pursuit", value)
            out["energy_ratio"][str(value)] = round(energy / peer_energy, 4)
            out["speed_ratio"][str(value)] = round(peer_ms / ours_ms, 2)
            out["superpoints"][str(value)] = {"ours": int(ids.max()) + 1, "cut_pursuit": int(peer_ids.max()) + 1}
    # At the largest lambda
    other = reference.pycut_pursuit(features, local.edges, value, repeats)
    return out | {
        "pycut_pursuit_ms": other and other["ms"],
        "pycut_pursuit_energy_ratio": other and round(energy / other["energy"], 4),
        "ours_ms": round(ours_ms, 1),
        "cut_pursuit_ms": peer_ms and round(peer_ms, 1),
        "ratio": peer_ms and round(peer_ms / ours_ms, 2),
        **_compare_partition_with_geometry(unit, config, repeats),
    }


def _compare_partition_with_geometry(xyz: np.ndarray, config: configs.Config, repeats: int) -> dict[str, float | None]:
    """Geometry, graph and solving together, beside the same by libraries with cut-pursuit-py."""
    ours_ms, _ = timed(lambda: superpoints.partition(xyz, None, config.superpoints), repeats)
    if reference.missing_packages():
        return {"whole_ours_ms": round(ours_ms, 1), "whole_cut_pursuit_ms": None, "whole_ratio": None}
    peer_ms, _ = timed(lambda: reference.partition(xyz, config), max(1, repeats // 2))
    ratio = round(peer_ms / ours_ms, 2)
    return {"whole_ours_ms": round(ours_ms, 1), "whole_cut_pursuit_ms": round(peer_ms, 1), "whole_ratio": ratio}


def compare_geometry(xyz: np.ndarray, config: configs.Config, repeats: int) -> dict[str, float | None]:
    """Neighbors, normals and eigen-features beside pgeof's; milliseconds."""
    options = config.superpoints
    ours_ms, _ = timed(lambda: superpoints.features_and_graph(xyz, None, options), repeats)
    try:
        peer_ms, _ = timed(lambda: reference.pgeof_features(xyz, options.feature_neighbors), repeats)
    except ImportError:
        return {"ours_ms": round(ours_ms, 1), "pgeof_ms": None}
    return {"ours_ms": round(ours_ms, 1), "pgeof_ms": round(peer_ms, 1)}


def compare_sampling(xyz: np.ndarray, config: configs.Config, repeats: int) -> dict[str, Any]:
    """Our weighted sampling beside brute force, for equality, and fpsample's unweighted bucket sampling, for time."""
    unit = preprocess.prepare(xyz, None).xyz
    ids = superpoints.partition(unit, None, config.superpoints)
    ours_ms, chosen = timed(lambda: sampling.sample(spatial_index.build(unit), ids, config.sampling), repeats)
    exact = np.array_equal(chosen, reference.brute_force_samples(unit, ids, config.sampling, chosen[0]))
    out = {"ours_ms": round(ours_ms, 2), "exact": bool(exact)}
    try:
        import fpsample
    except ImportError:
        return out | {"fpsample_ms": None}
    peer_ms, _ = timed(lambda: fpsample.bucket_fps_kdline_sampling(unit, len(chosen), 7, 0), repeats)
    return out | {"fpsample_ms": round(peer_ms, 2)}


def compare_propagation(xyz: np.ndarray, segmenter: Segmenter, repeats: int) -> dict[str, Any]:
    """Class scores by the sparse form beside the dense formula, on points whose superpoint holds a token."""
    encoded, text = segmenter.encode(xyz), segmenter.vocabulary.text
    points, ids, centers = (
        encoded.geometry.working.xyz,
        encoded.geometry.superpoints,
        encoded.centers(encoded.geometry.windows[0]),
    )
    tokens, scores, gram = encoded.tokens, encoded.tokens @ text.T, encoded.tokens @ encoded.tokens.T
    ours_ms, ours = timed(lambda: propagation.propagate(points, ids, centers, scores, gram), repeats)
    dense_ms, dense = timed(lambda: reference.propagate(points, ids, centers, tokens, text), 2)
    difference = np.abs(ours - dense)[np.isin(ids, centers.superpoint)].max(initial=0)
    return {"ours_ms": round(ours_ms, 2), "dense_ms": round(dense_ms, 2), "max_abs_diff": float(difference)}


def compare_precisions(xyz: np.ndarray, model: str, tokens: int | None, repeats: int) -> list[dict[str, Any]]:
    """Encoder, total and agreement of the labels with fp32 for every precision of this processor, run in turn."""
    models = {precision: inputs.load_model(model, tokens, precision) for precision in PRECISIONS}
    models = {precision: one for precision, one in models.items() if one.clip.precision == precision}
    labels = {precision: one.segment(xyz).labels for precision, one in models.items()}
    runs = [{precision: one.segment(xyz).stages_ms for precision, one in models.items()} for _ in range(repeats)]
    rows = []
    for precision in models:
        stages, same = medians([run[precision] for run in runs]), labels[precision] == labels["fp32"]
        row = {"precision": precision, "encoder_ms": stages["encoder"], "total_ms": stages["total"]}
        rows.append(row | {"labels_as_fp32": round(float(same.mean()), 4)})
    return rows


def timed(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median milliseconds after one warm-up, and the last result."""
    out, times = call(), []
    for _ in range(repeats):
        begin = time.perf_counter()
        out = call()
        times.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times)), out


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Median milliseconds per stage, and their total."""
    stages = {stage: round(float(np.median([run[stage] for run in runs])), 2) for stage in runs[0]}
    return stages | {"total": round(sum(stages.values()), 2)}
