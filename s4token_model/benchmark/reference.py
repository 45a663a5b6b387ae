"""The reference pipeline: the paper's parts built from standard libraries, and further peers, for timing.

Open3D normals, scipy neighbors with pgeof's (or numpy's) eigen-features, cut-pursuit-py, a torch loop for sampling, a
full distance matrix for grouping, the dense formula for propagation, and the same ViT in fp32.

pycut-pursuit is under the GPL and needs an older numpy, so it is never imported here. Install it into another
environment and name its interpreter: S4TOKEN_PYCUT_PURSUIT=/path/to/bin/python
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from s4token_model.config import Config, SamplingConfig
from s4token_model.pipeline import cut_pursuit, superpoints
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.patched_cloud import build_patches, network_input
from s4token_model.pipeline.propagation import TokenCenters
from s4token_model.segmenter import Segmenter
from s4token_model.stage_timer import StageTimer

REQUIRED = {"open3d": "open3d", "cut_pursuit_py": "cut-pursuit-py"}  # module: package
PYCUT_PURSUIT = "S4TOKEN_PYCUT_PURSUIT"
CHUNK = 16384  # points per dense matrix, which would not fit in memory for a large cloud

# Runs in the other environment. Its quadratic data term has a factor of 1/2, so lambda has one, too.
PYCUT_PURSUIT_SCRIPT = """
import json, sys, time
import numpy as np
from pycut_pursuit.cp_d0_dist import cp_d0_dist
given = np.load(sys.argv[1])
features, edges = np.asfortranarray(given["features"].T), given["edges"]
order = np.argsort(edges[:, 0], kind="stable")
starts = np.searchsorted(edges[order, 0], np.arange(features.shape[1] + 1)).astype(np.uint32)
ends, best = edges[order, 1].astype(np.uint32), float("inf")
for _ in range(int(given["repeats"])):
    begin = time.perf_counter()
    labels = cp_d0_dist(features.shape[0], features, starts, ends, edge_weights=float(given["regularization"]) / 2)[0]
    best = min(best, 1000 * (time.perf_counter() - begin))
np.save(sys.argv[2], np.asarray(labels, np.int64))
print(json.dumps(best))
"""


def missing_packages() -> list[str]:
    """The packages that the reference pipeline needs and that are not installed."""
    return [package for module, package in REQUIRED.items() if find_spec(module) is None]


def stage_times(xyz: np.ndarray, segmenter: Segmenter, clip: FrozenClip) -> dict[str, float]:
    """Milliseconds of each stage of the reference pipeline on one cloud; `clip` is the segmenter's CLIP in fp32."""
    config, timer = segmenter.config, StageTimer()
    ids = partition(xyz, config)
    timer("superpoints")
    weights = (1 / np.bincount(ids)[ids]).astype(np.float32) ** config.sampling.gamma
    chosen = farthest_points(xyz, weights, config.sampling.tokens)
    timer("sampling")
    # Patch radius: the mean distance from a center to the nearest other center
    radius = float(np.sort(np.linalg.norm(xyz[chosen, None] - xyz[None, chosen], axis=2), axis=1)[:, 1].mean())
    group(xyz, ids, chosen, radius, config.patches.points)
    timer("patches")
    # The network gets our patches, whose geometry is not counted
    inputs = network_input(build_patches(xyz, None, config), config)
    timer.skip()
    with torch.inference_mode():
        features = clip.encode_tokens(segmenter.tokenizer(inputs))[0][0].numpy()
    timer("encoder")
    features = features[: len(chosen)]
    chosen = chosen[: len(features)]
    propagate(xyz, ids, TokenCenters(xyz[chosen], ids[chosen], radius), features, segmenter.vocabulary.text)
    timer("propagation")
    return timer.stages_ms


def partition(xyz: np.ndarray, config: Config) -> np.ndarray:
    """Superpoint ids (H,) by Open3D normals, eigen-features of the nearest neighbors and cut-pursuit-py."""
    options = config.superpoints
    neighbors = cKDTree(xyz).query(xyz, k=max(options.feature_neighbors, options.graph_neighbors + 1), workers=-1)[1]
    features = np.concatenate([normals(xyz, options.feature_neighbors), _eigen_features(xyz, neighbors)], axis=1)
    source = np.repeat(np.arange(len(xyz)), options.graph_neighbors)
    pairs = np.stack([source, neighbors[:, 1 : options.graph_neighbors + 1].reshape(-1)], axis=1)
    edges = np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int32)
    weights = np.full(len(edges), options.regularization, np.float32)
    return cut_pursuit.cut_pursuit(features.astype(np.float32), edges, weights)


def normals(xyz: np.ndarray, neighbors: int) -> np.ndarray:
    """Open3D's normals (H, 3), oriented upward."""
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz.astype(np.float64)))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(neighbors))
    found = np.asarray(cloud.normals)
    return found * np.where(found[:, 2:] < 0, -1, 1)


def _eigen_features(xyz: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Linearity, planarity and scattering (H, 3) by pgeof if it is installed, else by numpy."""
    try:
        return pgeof_features(xyz, neighbors)[:, :3]
    except ImportError:
        offset = xyz[neighbors] - xyz[:, None]
        l1, l2, l3 = np.linalg.eigvalsh(np.einsum("hka,hkb->hab", offset, offset)).T[::-1]
        return np.stack([l1 - l2, l2 - l3, l3], axis=1) / np.maximum(l1, 1e-12)[:, None]


def pgeof_features(xyz: np.ndarray, neighbors: np.ndarray | int) -> np.ndarray:
    """pgeof's features of neighborhoods (H, K), or of the K nearest neighbors by pgeof's own search."""
    import pgeof

    if isinstance(neighbors, int):
        neighbors = pgeof.knn_search(xyz, xyz, neighbors)[0]
    starts, flat = np.arange(len(xyz) + 1, dtype=np.uint32) * neighbors.shape[1], neighbors.reshape(-1)
    return pgeof.compute_features(np.ascontiguousarray(xyz, np.float32), flat.astype(np.uint32), starts)


def farthest_points(xyz: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Weighted farthest point sampling as a torch loop: weights (H,) to indices (count,)."""
    points, scale = torch.from_numpy(xyz), torch.from_numpy(weights)
    nearest = torch.full((len(xyz),), torch.inf)
    chosen = torch.zeros(count, dtype=torch.long)
    for t in range(1, count):
        nearest = torch.minimum(nearest, ((points - points[chosen[t - 1]]) ** 2).sum(dim=1))
        chosen[t] = torch.argmax(nearest * scale)
    return chosen.numpy()


def brute_force_samples(xyz: np.ndarray, superpoint: np.ndarray, config: SamplingConfig, first: int) -> np.ndarray:
    """Eq. 2 as written, from the point `first`: what our bucketed sampling must equal, index for index."""
    weights = 1 / np.bincount(superpoint)[superpoint]
    weights = ((weights / weights.sum()) ** config.gamma).astype(np.float32)
    nearest, chosen = np.full(len(xyz), np.inf, np.float32), [int(first)]
    while len(chosen) < min(config.tokens, len(xyz)):
        d = xyz - xyz[chosen[-1]]
        nearest = np.minimum(nearest, d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1] + d[:, 2] * d[:, 2])
        if not (nearest * weights).max() > 0:
            break
        chosen.append(int(np.argmax(nearest * weights)))
    return np.array(chosen)


def group(xyz: np.ndarray, superpoint: np.ndarray, chosen: np.ndarray, radius: float, count: int) -> np.ndarray:
    """Patches (N, count) by full rows of distances; the center is repeated if a patch has fewer points."""
    points, ids = torch.from_numpy(xyz), torch.from_numpy(superpoint.astype(np.int64))
    rows = []
    for center in chosen.tolist():
        near = torch.cdist(points[center][None], points)[0] <= radius
        members = torch.nonzero(near & (ids == ids[center]))[:count, 0]
        rows.append(torch.nn.functional.pad(members, (0, count - len(members)), value=center))
    return torch.stack(rows).numpy()


def propagate(
    xyz: np.ndarray, superpoint: np.ndarray, centers: TokenCenters, features: np.ndarray, text: np.ndarray
) -> np.ndarray:
    """Eq. 4 as written: all pairs of points and tokens, a feature per point, then cosines (H, C) with the text."""
    points, tokens = torch.from_numpy(xyz), torch.from_numpy(np.ascontiguousarray(centers.centers))
    out = []
    for begin in range(0, len(xyz), CHUNK):
        part = slice(begin, begin + CHUNK)
        same = torch.from_numpy(superpoint[part, None] == centers.superpoint[None])
        # cdist by matrix products is off by 1e-4
        distance = torch.cdist(points[part], tokens, compute_mode="donot_use_mm_for_euclid_dist")
        weights = same / (distance / centers.radius + 1e-4)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-12)
        values = torch.nn.functional.normalize(weights @ torch.from_numpy(features), dim=1)
        out.append(values @ torch.from_numpy(text).T)
    return torch.cat(out).numpy()


def pycut_pursuit(
    features: np.ndarray, edges: np.ndarray, regularization: float, repeats: int
) -> dict[str, Any] | None:
    """Milliseconds and energy of pycut-pursuit on a graph; None if PYCUT_PURSUIT names no interpreter."""
    interpreter = os.environ.get(PYCUT_PURSUIT)
    if not interpreter:
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.npz"), Path(folder, "labels.npy")
        np.savez(given, features=features, edges=edges, regularization=regularization, repeats=repeats)
        command = [interpreter, "-c", PYCUT_PURSUIT_SCRIPT, str(given), str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pycut-pursuit in {interpreter} failed: {done.stderr.strip()[-300:]}")
        labels = cut_pursuit.components(np.load(made), edges)
    milliseconds = json.loads(done.stdout.splitlines()[-1])
    return {"ms": round(milliseconds, 1), "energy": superpoints.energy(features, edges, labels, regularization)}
