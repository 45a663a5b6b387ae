"""Time every stage beside the reference pipeline: s4token benchmark [--input F] [--json] [--report FILE.md]

Ours and the peer run in turn in one process, on the same cloud with the same numbers of tokens and words; figures are
medians. Ratios hold on other machines better than milliseconds do.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.benchmark import peers, reference, report, scaling
from s4token_model.evaluation import scannet
from s4token_model.io import files
from s4token_model.kernels import spatial_index
from s4token_model.pipeline import preprocess, propagation, sampling, superpoints
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import Segmenter, build_patches, network_input

STRENGTHS = (0.03, 0.1, 0.3)
RANDOM = "random:"  # model "random:ViT-B-16" times an open_clip architecture without its weights
PACKAGES = ("torch", "numpy", "numba", "scipy", "open_clip_torch", "cut_pursuit_py", "pgeof", "fpsample", "open3d")


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser("s4token benchmark", description="Time every stage beside the paper's libraries.")
    parser.add_argument("--input", action="append", help="a cloud file, may be repeated; default: a procedural room")
    parser.add_argument("--points", type=int, help="use this many points of the cloud, drawn at random")
    parser.add_argument("--model", default=checkpoint.MINI, help="a checkpoint, or random:ViT-B-16 for the time alone")
    parser.add_argument("--tokens", type=int, help="tokens per cloud; default: the model's")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object per cloud")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="also write a document and a plot of the growth")
    parser.add_argument("--live", action="store_true", help="time the node at 10 Hz instead; see --live --help")
    parser.add_argument("--live-figures", action="append", type=Path, default=[], metavar="FILE.json",
                        help="for the report: what --live --out wrote")  # fmt: skip
    parser.add_argument("--scannet", metavar="ROOT", help="for the report: score s4token-mini on the rooms there")
    options = parser.parse_args(arguments)
    results = []
    for file in options.input or [None]:
        results.append(run(file, options.points, options.model, options.tokens, options.repeats))
        print(json.dumps(results[-1]) if options.json else table(results[-1]), flush=True)
    if options.report is not None:
        words = sys.argv[1:] if arguments is None else arguments
        live = [json.loads(path.read_text(encoding="utf-8")) for path in options.live_figures]
        scores = scannet.run(options.scannet) if options.scannet else None
        command = shlex.join(["s4token", "benchmark", *words])
        report.write(options.report, results, scaling.measure(), command, live, scores)
        print(f"wrote {options.report}")
    return 0


def run(input: str | None, points: int | None, model: str, tokens: int | None, repeats: int) -> dict[str, Any]:
    """Return the figures described in `table`; milliseconds, medians of `repeats` runs after a warm-up."""
    xyz = load_points(input, points)
    segmenter = load_model(model, tokens)
    segmenter.segment(xyz)
    ours = [segmenter.segment(xyz).stages_ms for _ in range(repeats)]
    exact = in_fp32(segmenter.clip)
    peer = [reference_stages(xyz, segmenter, exact) for _ in range(max(2, repeats // 2))][1:]
    ours_ms, reference_ms = (_with_total(_medians(rows)) for rows in (ours, peer))
    return {
        "cloud": str(input or "procedural room"),
        "points": len(xyz),
        "model": model,
        "tokens": segmenter.config.sampling.tokens,
        "precision": segmenter.clip.precision,
        "ours_ms": ours_ms,
        "reference_ms": reference_ms,
        "ratio_total": round(reference_ms["total"] / ours_ms["total"], 2),
        "partition": partition_figures(xyz, segmenter.config, repeats),
        "geometry": peers.geometry(xyz, segmenter.config, repeats, _timed),
        "wfps": sampling_figures(xyz, segmenter.config, repeats),
        "propagation": propagation_figures(xyz, segmenter, repeats),
        "hardware": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads",
        "versions": {name: _version(name) for name in PACKAGES},
    }


def load_points(input: str | None, points: int | None) -> np.ndarray:
    """Finite points (H, 3) float32 of a file or of a procedural room, thinned at random to `points`."""
    if input is None:
        from s4token_model.procedural import scenes
        from s4token_model.sensors import scans

        xyz = scans.scan_depth(scenes.make_room(0), np.random.default_rng(0), points or 80000).xyz
    else:
        xyz = files.read_cloud(input).xyz
    xyz = np.ascontiguousarray(xyz[np.isfinite(xyz).all(axis=1)], np.float32)
    if points is not None:
        xyz = thinned(xyz, points)
    if len(xyz) < 100:
        raise ValueError(f"{input} has {len(xyz)} finite points; a benchmark needs at least 100")
    return xyz


def thinned(xyz: np.ndarray, points: int) -> np.ndarray:
    """At most `points` of the points, drawn at random, seeded, in their order."""
    if len(xyz) <= points:
        return xyz
    return xyz[np.sort(np.random.default_rng(0).choice(len(xyz), points, replace=False))]


def load_model(model: str, tokens: int | None) -> Segmenter:
    """Load a checkpoint, or build an open_clip architecture with random weights."""
    changes = {} if tokens is None else {"sampling.tokens": tokens}
    if not model.startswith(RANDOM):
        return Segmenter.load(model, configs.replace(checkpoint.read_config(model), changes))
    name = model.removeprefix(RANDOM)
    config = configs.replace(configs.Config(), {"clip.name": name, "clip.pretrained": ""} | changes)
    frozen = FrozenClip(
        open_clip.create_model(name, pretrained=None),
        open_clip.get_tokenizer(name),
        (0.5,) * 3,
        (0.25,) * 3,
        config.clip.precision,
    )
    return Segmenter(Tokenizer(config.tokenizer, frozen.width), frozen, config)


def in_fp32(clip: FrozenClip) -> FrozenClip:
    """The same CLIP in single precision, as the reference pipeline runs it."""
    exact = copy.deepcopy(clip)
    exact.model.float()
    exact.precision, exact.uses_bf16, exact._int8 = "fp32", False, None
    return exact


def reference_stages(xyz: np.ndarray, segmenter: Segmenter, exact: FrozenClip) -> dict[str, float]:
    """Milliseconds of each stage of the reference pipeline on one cloud; the network is the same, in fp32."""
    config, clock = segmenter.config, _Laps()
    labels = reference.partition(xyz, config)
    clock("superpoints")
    sizes = np.bincount(labels)[labels]
    chosen = reference.farthest_points(
        xyz, (1 / sizes).astype(np.float32) ** config.sampling.gamma, config.sampling.tokens
    )
    clock("sampling")
    nearest = np.sort(np.linalg.norm(xyz[chosen, None] - xyz[None, chosen], axis=2), axis=1)[:, 1]
    radius = float(nearest.mean())
    reference.group(xyz, labels, chosen, radius, config.patches.points)
    clock("patches")
    inputs = network_input(
        build_patches(xyz, None, config), config
    )  # the same tokens as ours; its geometry is not counted
    clock.skip()
    with torch.inference_mode():
        features = exact.encode_tokens(segmenter.tokenizer(inputs))[0][0].numpy()
    clock("encoder")
    features = features[: len(chosen)]
    reference.propagate(
        xyz,
        labels,
        xyz[chosen[: len(features)]],
        labels[chosen[: len(features)]],
        radius,
        features,
        segmenter.vocabulary.text,
    )
    clock("propagation")
    return clock.stages_ms


def partition_figures(xyz: np.ndarray, config: configs.Config, repeats: int) -> dict[str, Any]:
    """Our solver and cut-pursuit-py on one graph: milliseconds, their ratio, and the ratio of energies per strength."""
    unit = spatial_index.build(
        preprocess.prepare(xyz, None, len(xyz)).xyz
    ).points()  # in the order the pipeline solves in
    features, local = superpoints.features_and_graph(unit, None, config.superpoints)
    edges = local.edges
    out: dict[str, Any] = {"energy_ratio": {}, "superpoints": {}, "speed_ratio": {}}
    for strength in STRENGTHS:
        solved = {}
        for solver in ("merge", "cut_pursuit"):
            settings = configs.replace(
                config.superpoints, {"solver": solver, "regularization": strength, "min_points": 1}
            )
            solved[solver] = _timed(lambda settings=settings: superpoints.solve(features, edges, settings), repeats)
        (ours_ms, ours), (peer_ms, peer) = solved["merge"], solved["cut_pursuit"]
        energies = [superpoints.energy(features, edges, labels, strength) for labels in (ours, peer)]
        out["energy_ratio"][str(strength)] = round(energies[0] / energies[1], 4)
        out["speed_ratio"][str(strength)] = round(peer_ms / ours_ms, 2)
        out["superpoints"][str(strength)] = {"ours": int(ours.max()) + 1, "cut_pursuit": int(peer.max()) + 1}
        if strength == STRENGTHS[-1]:
            other = peers.pycut_pursuit(features, edges, strength, repeats)
            out |= {
                "pycut_pursuit_ms": other and other["ms"],
                "pycut_pursuit_energy_ratio": other and round(energies[0] / other["energy"], 4),
                "ours_ms": round(ours_ms, 1),
                "cut_pursuit_ms": round(peer_ms, 1),
                "ratio": round(peer_ms / ours_ms, 2),
            }
    return out | peers.whole_partition(unit, config, repeats, _timed)


def sampling_figures(xyz: np.ndarray, config: configs.Config, repeats: int) -> dict[str, Any]:
    """Our weighted sampling beside fpsample's unweighted bucket sampling, where it is installed."""
    unit = preprocess.prepare(xyz, None, len(xyz)).xyz
    labels = superpoints.partition(unit, None, config.superpoints)
    ours_ms, chosen = _timed(lambda: sampling.sample(spatial_index.build(unit), labels, config.sampling), repeats)
    out = {
        "ours_ms": round(ours_ms, 2),
        "exact": bool(np.array_equal(chosen, _brute_force(unit, labels, config.sampling, chosen[0]))),
    }
    try:
        import fpsample
    except ImportError:
        return out | {"fpsample_ms": None}
    peer_ms, _ = _timed(lambda: fpsample.bucket_fps_kdline_sampling(unit, len(chosen), 7, 0), repeats)
    return out | {"fpsample_ms": round(peer_ms, 2)}


def propagation_figures(xyz: np.ndarray, segmenter: Segmenter, repeats: int) -> dict[str, Any]:
    """Class scores by the sparse form beside the dense formula, on points whose superpoint holds a token."""
    encoding = segmenter.encode(xyz)
    assert encoding.geometry is not None
    points, ids, anchors = encoding.geometry.working.xyz, encoding.geometry.superpoints, encoding.anchors
    text = segmenter.vocabulary.text
    sparse_ms, ours = _timed(
        lambda: propagation.propagate(
            points, ids, anchors, encoding.tokens @ text.T, encoding.tokens @ encoding.tokens.T
        ),
        repeats,
    )
    dense_ms, peer = _timed(
        lambda: reference.propagate(
            points, ids, anchors.centers, anchors.superpoint, anchors.radius, encoding.tokens, text
        ),
        2,
    )
    held = np.isin(ids, anchors.superpoint)
    return {
        "ours_ms": round(sparse_ms, 2),
        "dense_ms": round(dense_ms, 2),
        "max_abs_diff": float(np.abs(ours - peer)[held].max(initial=0)),
    }


def table(result: dict[str, Any]) -> str:
    """The figures as lines of text: stage, ours, reference, ratio; then partition, sampling, propagation."""
    ours, peer = result["ours_ms"], result["reference_ms"]
    head = f"{result['cloud']}: {result['points']} points, {result['tokens']} tokens, {result['model']}"
    lines = [f"{head}; {result['hardware']}", f"{'stage':<14}{'ours ms':>10}{'reference ms':>14}{'ratio':>8}"]
    lines += [f"{s:<14}{ours[s]:>10.1f}{peer[s]:>14.1f}{peer[s] / max(ours[s], 1e-3):>8.1f}" for s in ours]
    part = result["partition"]
    for strength in part["energy_ratio"]:
        count = part["superpoints"][strength]
        lines.append(
            f"partition, lambda {strength}: {part['speed_ratio'][strength]} x the speed of cut-pursuit-py at "
            f"{part['energy_ratio'][strength]} of its energy; {count['ours']} and {count['cut_pursuit']} superpoints"
        )
    wfps, spread = result["wfps"], result["propagation"]
    exact = "equal to brute force" if wfps["exact"] else "NOT equal to brute force"
    lines.append(f"weighted FPS {wfps['ours_ms']} ms, {exact}; fpsample, unweighted: {wfps['fpsample_ms']} ms")
    away = f"largest difference {spread['max_abs_diff']:.1e}"
    lines.append(f"propagation {spread['ours_ms']} ms, dense {spread['dense_ms']} ms, {away}")
    return "\n".join(lines)


def _brute_force(xyz: np.ndarray, labels: np.ndarray, config: configs.SamplingConfig, first: int) -> np.ndarray:
    weights = 1 / np.bincount(labels)[labels]
    weights = ((weights / weights.sum()) ** config.gamma).astype(np.float32)
    nearest, chosen = np.full(len(xyz), np.inf, np.float32), [int(first)]
    while len(chosen) < min(config.tokens, len(xyz)):
        d = xyz - xyz[chosen[-1]]
        nearest = np.minimum(nearest, d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1] + d[:, 2] * d[:, 2])
        if not (nearest * weights).max() > 0:
            break
        chosen.append(int(np.argmax(nearest * weights)))
    return np.array(chosen)


def _timed(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median milliseconds after one warm-up, and the last result."""
    out, times = call(), []
    for _ in range(repeats):
        begin = time.perf_counter()
        out = call()
        times.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times)), out


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {stage: round(float(np.median([row[stage] for row in rows])), 2) for stage in rows[0]}


def _with_total(stages: dict[str, float]) -> dict[str, float]:
    return stages | {"total": round(sum(stages.values()), 2)}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


class _Laps:
    """Milliseconds since the last call, by stage."""

    def __init__(self) -> None:
        self.stages_ms: dict[str, float] = {}
        self.skip()

    def __call__(self, stage: str) -> None:
        self.stages_ms[stage] = 1000 * (time.perf_counter() - self._last)
        self.skip()

    def skip(self) -> None:
        self._last = time.perf_counter()


if __name__ == "__main__":
    raise SystemExit(main())
