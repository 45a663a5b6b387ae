"""Further peers for the benchmark, each where it is installed: pgeof's geometry, and pycut-pursuit in its own
environment.

pycut-pursuit is under the GPL and wants an older numpy, so it is never imported here. To have it beside ours, install
it into another environment and name that one's interpreter: S4TOKEN_PYCUT_PURSUIT=/path/to/bin/python
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.benchmark import reference
from s4token_model.config import Config
from s4token_model.pipeline import superpoints

VARIABLE = "S4TOKEN_PYCUT_PURSUIT"
Timed = Callable[[Callable[[], Any], int], tuple[float, Any]]

# Runs in the other environment. Its quadratic data term has a factor of 1/2, so the strength has one too.
SCRIPT = """
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
    labels = cp_d0_dist(features.shape[0], features, starts, ends, edge_weights=float(given["strength"]) / 2)[0]
    best = min(best, 1000 * (time.perf_counter() - begin))
np.save(sys.argv[2], np.asarray(labels, np.int64))
print(json.dumps(best))
"""


def whole_partition(xyz: np.ndarray, config: Config, repeats: int, timed: Timed) -> dict[str, float]:
    """Geometry, graph and solving together: ours, and the libraries' with cut-pursuit-py; milliseconds."""
    ours_ms, _ = timed(lambda: superpoints.partition(xyz, None, config.superpoints), repeats)
    peer_ms, _ = timed(lambda: reference.partition(xyz, config), max(1, repeats // 2))
    return {
        "whole_ours_ms": round(ours_ms, 1),
        "whole_cut_pursuit_ms": round(peer_ms, 1),
        "whole_ratio": round(peer_ms / ours_ms, 2),
    }


def geometry(xyz: np.ndarray, config: Config, repeats: int, timed: Timed) -> dict[str, float | None]:
    """Neighbors, normals and eigen-features: ours beside pgeof's; milliseconds."""
    options = config.superpoints
    ours_ms, _ = timed(lambda: superpoints.features_and_graph(xyz, None, options), repeats)
    try:
        import pgeof
    except ImportError:
        return {"ours_ms": round(ours_ms, 1), "pgeof_ms": None}

    def peer() -> np.ndarray:
        near = pgeof.knn_search(xyz, xyz, options.feature_neighbors)[0].astype(np.uint32)
        starts = np.arange(len(xyz) + 1, dtype=np.uint32) * near.shape[1]
        return pgeof.compute_features(xyz, near.reshape(-1), starts)

    return {"ours_ms": round(ours_ms, 1), "pgeof_ms": round(timed(peer, repeats)[0], 1)}


def pycut_pursuit(features: np.ndarray, edges: np.ndarray, strength: float, repeats: int) -> dict[str, Any] | None:
    """Milliseconds and energy of pycut-pursuit on the graph; None where VARIABLE names no interpreter.

    RuntimeError with its own words when it fails.
    """
    interpreter = os.environ.get(VARIABLE)
    if not interpreter:
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.npz"), Path(folder, "labels.npy")
        np.savez(given, features=features, edges=edges, strength=strength, repeats=repeats)
        done = subprocess.run([interpreter, "-c", SCRIPT, str(given), str(made)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pycut-pursuit in {interpreter} failed: {done.stderr.strip()[-300:]}")
        labels = superpoints.components(np.load(made), edges)
    milliseconds = json.loads(done.stdout.splitlines()[-1])
    return {"ms": round(milliseconds, 1), "energy": superpoints.energy(features, edges, labels, strength)}
