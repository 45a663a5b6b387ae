"""The live benchmark: a real node and a real player, for a second."""

from __future__ import annotations

import json
import struct
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces.msg")

from s4token_model import cli
from s4token_ros import live_benchmark
from s4token_ros.live_benchmark import Listener
from s4token_ros.model_loading import warm_up_cloud


@pytest.mark.timeout(240)
def test_figures_of_a_real_node(tmp_path, tiny_model, capsys, monkeypatch):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    source, out = tmp_path / "cloud.npy", tmp_path / "live.json"
    np.save(source, np.random.default_rng(0).random((2000, 3)).astype(np.float32))
    command = [
        "benchmark",
        "--live",
        "--input",
        str(source),
        "--model",
        str(tiny_model),
        "--rate",
        "4",
        "--seconds",
        "2",
    ]
    assert cli.main([*command, "--set", "sampling.tokens=16", "--json", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result == json.loads(out.read_text())
    assert result["labeled_hz"] > 0 and result["received"] >= 1 and result["settings"] == ["sampling.tokens=16"]
    assert 0 < result["age_p50_ms"] <= result["age_p95_ms"] < 60_000
    assert {"decode", "superpoints", "encoder", "publish"} <= result["stages_ms"].keys()
    assert 0 < result["relabel_ms"] and 0 < result["decode_encode_publish_ms"]
    assert "labeled clouds per second" in live_benchmark.table(result)


def test_a_node_that_cannot_start_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    assert cli.main(["benchmark", "--live", "--model", str(tmp_path / "nothing"), "--seconds", "1"]) == 2
    assert "no checkpoint" in capsys.readouterr().err


def test_age_is_read_from_the_wire():
    stamp = time.time() - 0.25
    listener = Listener()
    listener.on_cloud(b"\x00\x01\x00\x00" + struct.pack("<iI", int(stamp), int(1e9 * (stamp % 1))) + b"rest")
    assert 0.24 < listener.clouds[0][1] < 2


def test_the_cloud_of_the_warm_up_is_a_sensors():
    xyz = warm_up_cloud()
    assert xyz.shape == (8_000, 3) and xyz.dtype == np.float32 and np.isfinite(xyz).all()
    assert np.array_equal(xyz, warm_up_cloud())
