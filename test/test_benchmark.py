"""The benchmark's document and the growth of time and memory."""

import numpy as np
import pytest

from s4token_model.evaluation import benchmark, growth, report

RESULT = {
    "cloud": "room.ply",
    "points": 5000,
    "model": "s4token-mini",
    "tokens": 64,
    "precision": "bf16",
    "ours_ms": {"encoder": 2.0, "total": 2.0},
    "reference_ms": {"encoder": 50.0, "total": 50.0},
    "partition": {
        "energy_ratio": {"0.3": 0.98},
        "speed_ratio": {"0.3": 9.5},
        "superpoints": {"0.3": {"ours": 40, "cut_pursuit": 42}},
    },
    "wfps": {"ours_ms": 1.0, "exact": True, "fpsample_ms": None},
    "propagation": {"ours_ms": 2.0, "dense_ms": 100.0, "max_abs_diff": 1e-7},
    "hardware": "2 threads",
    "versions": {"numpy": "2", "pgeof": None},
}


def test_document_holds_the_figures(tmp_path):
    path = tmp_path / "docs" / "benchmark.md"
    report.write(path, [RESULT], [], "s4token benchmark")
    text = path.read_text()
    assert "| total | 2.0 | 50.0 | 25.0 |" in text
    assert "| lambda 0.3 | 9.5 x | 0.98 | 40 / 42 |" in text
    assert "not installed" in text and "(50 x)" in text and "pgeof None" not in text


def test_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib belongs to the bench requirements")
    rows = [
        {"points": n, "total_ms": n / 100, "stages_ms": {"encoder": 5.0}, "peak_bytes_per_point": 300.0}
        for n in (1000, 10000)
    ]
    report.write(tmp_path / "b.md", [RESULT], rows, "s4token benchmark")
    assert (tmp_path / "b.png").stat().st_size > 1000
    assert "slope of log time against log points 1.00" in (tmp_path / "b.md").read_text()


def test_slope_of_a_power_law():
    rows = [{"points": n, "total_ms": 3 * n**1.5} for n in (10, 100, 1000)]
    assert growth.slope(rows) == pytest.approx(1.5)


def test_one_size_in_a_process_of_its_own():
    (row,) = growth.measure((4000,), repeats=1)
    assert row["points"] == 4000
    assert 0 < sum(row["stages_ms"].values()) <= row["total_ms"]
    assert row["peak_bytes_per_point"] >= 0


def test_a_failing_size_is_told():
    with pytest.raises(RuntimeError, match="4000 points failed"):
        growth.measure((4000,), model="no-such-model", repeats=1)


def test_thinning_keeps_order_and_is_seeded():
    xyz = np.arange(300, dtype=np.float32).reshape(100, 3)
    few = benchmark.thinned(xyz, 10)
    assert len(few) == 10 and (np.diff(few[:, 0]) > 0).all()
    assert np.array_equal(few, benchmark.thinned(xyz, 10))
    assert benchmark.thinned(xyz, 100) is xyz
