"""Peers of the benchmark that are not always installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from s4token_model.benchmark import comparisons, inputs, reference
from s4token_model.config import Config
from s4token_model.io import samples
from s4token_model.pipeline import superpoints
from s4token_model.segmenter import Segmenter

MODULE = """
import numpy as np
def cp_d0_dist(count, features, starts, ends, edge_weights):
    assert features.shape[0] == count and len(starts) == features.shape[1] + 1 and starts[-1] == len(ends)
    assert abs(edge_weights - 0.15) < 1e-9
    return [(features[0] > 0.5).astype(np.uint32)]
"""


def graph() -> tuple[np.ndarray, np.ndarray]:
    """A path of 20 vertices with one step in the middle."""
    features = np.repeat([0.0, 1.0], 10)[:, None].astype(np.float32)
    return features, np.stack([np.arange(19), np.arange(1, 20)], axis=1).astype(np.int32)


def test_pycut_pursuit_runs_in_its_own_interpreter(tmp_path, monkeypatch):
    (tmp_path / "pycut_pursuit").mkdir()
    (tmp_path / "pycut_pursuit" / "cp_d0_dist.py").write_text(MODULE)
    monkeypatch.setenv(reference.PYCUT_PURSUIT, sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    features, edges = graph()
    found = reference.pycut_pursuit(features, edges, 0.3, 2)
    assert found["ms"] >= 0
    assert found["energy"] == pytest.approx(superpoints.energy(features, edges, np.repeat([0, 1], 10), 0.3))


def test_pycut_pursuit_is_left_out_or_says_what_is_wrong(monkeypatch):
    monkeypatch.delenv(reference.PYCUT_PURSUIT, raising=False)
    assert reference.pycut_pursuit(*graph(), 0.3, 1) is None
    monkeypatch.setenv(reference.PYCUT_PURSUIT, sys.executable)
    with pytest.raises(RuntimeError, match="pycut_pursuit"):
        reference.pycut_pursuit(*graph(), 0.3, 1)


def test_geometry_is_timed_with_and_without_pgeof(monkeypatch):
    xyz = np.random.default_rng(0).random((400, 3)).astype(np.float32)

    monkeypatch.setattr(comparisons, "timed", lambda call, repeats: (float(repeats), call()))
    both = comparisons.compare_geometry(xyz, Config(), 3)
    assert both["ours_ms"] == 3 and both["pgeof_ms"] in (3, None)
    monkeypatch.setitem(sys.modules, "pgeof", None)
    assert comparisons.compare_geometry(xyz, Config(), 3)["pgeof_ms"] is None


def test_a_cloud_of_many_rooms_is_compared_in_one_window():
    room = samples.load().xyz
    room = room[np.linspace(0, len(room) - 1, 10_000).astype(int)]
    size = np.ptp(room[:, :2], axis=0) + 0.5
    xyz = np.concatenate([room + [*size * (k, j), 0] for k in range(4) for j in range(4)]).astype(np.float32)
    assert len(Segmenter.load().encode(xyz).geometry.windows) > 1
    found = comparisons.compare_propagation(xyz, inputs.load_model("s4token-mini"), 1)
    assert found["max_abs_diff"] < 1e-3
