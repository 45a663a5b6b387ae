"""The benchmark's document, and time and memory against the number of points."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from s4token_model.benchmark import batch_speed, inputs, reference, report, scaling, speed
from s4token_model.evaluation import segmentation
from s4token_model.training.redraw import redraw

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
    "precisions": [
        {"precision": "fp32", "encoder_ms": 5.0, "total_ms": 9.0, "labels_as_fp32": 1.0},
        {"precision": "bf16", "encoder_ms": 2.0, "total_ms": 6.0, "labels_as_fp32": 0.9987},
    ],
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
    assert "| propagation | 2.0 | dense formula, torch | 100.0 | +4900 % |" in text
    assert "| bf16 | 2.0 | 6.0 | 99.87 % |" in text
    assert "precision bf16: encoder 2.0 ms, total 6.0 ms, 99.87 %" in report.text_table(RESULT)


@pytest.mark.parametrize("headings", [report.BY_HAND, report.BY_HAND[1:]], ids=["both", "decisions alone"])
def test_sections_written_by_hand_stay_at_the_end_however_often_the_document_is_written(headings, tmp_path):
    path = tmp_path / "b.md"
    report.write(path, [RESULT], [], "s4token benchmark")
    by_hand = "\n".join(
        f"{heading}\n\nA sentence, and ## Decisions in it.\n\n### Below\n\nMore." for heading in headings
    )
    path.write_text(f"{path.read_text()}\n{by_hand}\n")
    for command in ("s4token benchmark --first", "s4token benchmark --second"):
        report.write(path, [RESULT], [], command)
        text = path.read_text()
        assert text.endswith(f"\n\n{by_hand}\n") and text.count("### Below") == len(headings)
        assert command in text and text.count("# Benchmark") == text.count("## Gates") == 1


def test_the_reference_is_left_out_if_its_packages_are_missing(tmp_path):
    part = {"energy_ratio": {}, "speed_ratio": {}, "superpoints": {}, "whole_ours_ms": 90.0, "whole_ratio": None}
    result = RESULT | {"reference_ms": None, "ratio_total": None, "partition": part}
    report.write(tmp_path / "b.md", [result], [], "s4token benchmark")
    text = (tmp_path / "b.md").read_text()
    assert "| total | 2.0 | - | - |" in text and "needs open3d and cut-pursuit-py" in text
    assert "total" in report.text_table(result)


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
    assert report.slope(rows) == pytest.approx(1.5)


def test_one_size_in_a_process_of_its_own():
    (row,) = scaling.measure((4000,), repeats=1)
    assert row["points"] == 4000
    assert 0 < sum(row["stages_ms"].values()) <= row["total_ms"]
    assert row["peak_bytes_per_point"] >= 0


def test_a_failing_size_is_told():
    with pytest.raises(RuntimeError, match="4000 points failed"):
        scaling.measure((4000,), model="no-such-model", repeats=1)


def test_subsampling_keeps_order_and_is_seeded():
    xyz = np.arange(300, dtype=np.float32).reshape(100, 3)
    few = inputs.subsample(xyz, 10)
    assert len(few) == 10 and (np.diff(few[:, 0]) > 0).all()
    assert np.array_equal(few, inputs.subsample(xyz, 10))
    assert inputs.subsample(xyz, 100) is xyz


LIVE = {
    "input": "bags/street",
    "played_hz": 10.0,
    "model": "s4token-mini",
    "settings": ["input.max_points=40000"],
    "labeled_hz": 9.5,
    "received": 150,
    "dropped": 7,
    "age_p50_ms": 101.4,
    "age_p95_ms": 140.2,
    "relabel_ms": 33.3,
    "decode_encode_publish_ms": 3.21,
}


def test_the_document_holds_live_figures_accuracy_and_further_peers(tmp_path):
    part = {"whole_ours_ms": 90.0, "whole_cut_pursuit_ms": 900.0, "whole_ratio": 10.0}
    part |= {"pycut_pursuit_ms": 400.0, "pycut_pursuit_energy_ratio": 0.99}
    result = RESULT | {"partition": RESULT["partition"] | part, "geometry": {"ours_ms": 60.0, "pgeof_ms": 120.0}}
    figures = segmentation.figures(np.array([[3, 1, 0], [0, 4, 0]]), ["wall", "floor"])
    scores = {"model": "s4token-mini", "rooms": ["a", "b"], "methods": {"model": figures}}
    report.write(tmp_path / "b.md", [result], [], "s4token benchmark", [LIVE], scores)
    text = (tmp_path / "b.md").read_text()
    row = "| street, s4token-mini, input.max_points=40000 | 10 | 9.5 | 7 of 150 | 101 | 140 | 33 | 3.2 |"
    assert row in text and "77.5 % mIoU, 87.5 %" in text
    assert "(10.0 x)" in text and "pgeof's neighbors and features: 120 ms" in text and "pycut-pursuit" in text


def test_json_has_every_key_of_the_contract(tiny_model, tmp_path, capsys):
    for name in ("open3d", "cut_pursuit_py"):
        pytest.importorskip(name, reason="belongs to the bench requirements")
    np.save(tmp_path / "cloud.npy", np.random.default_rng(0).random((3000, 3)).astype(np.float32))
    words = ["--input", str(tmp_path / "cloud.npy"), "--model", str(tiny_model), "--repeats", "1", "--json"]
    assert speed.main(words) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"cloud", "points", "ours_ms", "reference_ms", "ratio_total", "hardware", "versions"} <= found.keys()
    assert "total" in found["ours_ms"] and found["ours_ms"].keys() == found["reference_ms"].keys()
    part = {"ours_ms", "cut_pursuit_ms", "ratio", "energy_ratio", "superpoints", "whole_ratio", "pycut_pursuit_ms"}
    assert part <= found["partition"].keys()
    assert {"ours_ms", "fpsample_ms", "exact"} <= found["wfps"].keys() and found["wfps"]["exact"]
    assert {"ours_ms", "dense_ms", "max_abs_diff"} <= found["propagation"].keys()
    assert found["precisions"][0]["precision"] == "fp32" and found["precisions"][0]["labels_as_fp32"] == 1


def test_the_benchmark_runs_without_the_packages_of_the_reference(tiny_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reference, "missing_packages", lambda: ["cut-pursuit-py"])
    np.save(tmp_path / "cloud.npy", np.random.default_rng(0).random((3000, 3)).astype(np.float32))
    words = ["--input", str(tmp_path / "cloud.npy"), "--model", str(tiny_model), "--repeats", "1"]
    assert speed.main([*words, "--json"]) == 0 and speed.main(words) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[0])
    assert found["reference_ms"] is None and found["partition"]["cut_pursuit_ms"] is None
    assert found["partition"]["ours_ms"] > 0 and found["wfps"]["exact"]


def test_the_live_benchmark_is_a_command_of_its_own():
    with pytest.raises(ValueError, match="s4token benchmark --live"):
        speed.main(["--live"])


def test_a_bin_file_of_other_columns_is_read(tmp_path):
    values = np.random.default_rng(0).random((500, 5)).astype("<f4")
    values.tofile(tmp_path / "five.bin")
    assert np.array_equal(inputs.load_points(str(tmp_path / "five.bin"), None, 5), values[:, :3])
    assert speed._parser().parse_args(["--bin-columns", "5"]).bin_columns == 5


def test_batches_of_training_are_timed_beside_a_loader_that_computes_them(tmp_path, monkeypatch, capsys):
    sample = dataclasses.replace(batch_speed.random_sample(0), cloud=batch_speed.random_cloud(0))
    anew = redraw(sample, np.random.default_rng(0), batch_speed.paper_tokens(), 64)
    assert len(anew.position) == batch_speed.TOKENS and not np.array_equal(anew.position, sample.position)
    small = batch_speed.run(repeats=1, batch=4, files=3)
    assert small["clouds"] == 4 and 0 < small["cpu_s"] < small["reference_cpu_s"] and small["batches_per_s"] > 0
    assert small["ratio"] == pytest.approx(small["reference_cpu_s"] / small["cpu_s"], abs=0.2)
    assert small["mb"] < 0.25 * small["reference_mb"] and small["redraw_batches_per_s"] > 0
    monkeypatch.setattr(batch_speed, "run", lambda repeats: small)
    assert speed.main(["--batches", "--json"]) == 0 and json.loads(capsys.readouterr().out) == small
    report.write(tmp_path / "b.md", [RESULT], [], "s4token benchmark", batches=small)
    text = (tmp_path / "b.md").read_text()
    assert "## Batches of training" in text and "Batches of 4 clouds x 128 tokens" in text
