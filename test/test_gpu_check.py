"""scripts/gpu_check.py on this machine, with or without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.timeout(600)
def test_the_check_prints_one_json_object_and_runs_what_it_can(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "gpu_check.py"), "--fast"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if devices == ["cpu"]:
        assert found["cuda"] is None and "torch" in found["reason"] and found["tests"] == {"skipped": "no GPU"}
    assert found["agree"] and [row["device"] for row in found["tokenizer"]] == devices
    assert [row["device"] for row in found["labels"]] == [device for device in devices for _ in range(2)]
    stages = {"superpoints", "sampling", "patches", "encoder", "propagation", "total"}
    assert all(row["stages_ms"].keys() == stages and row["superpoints_equal"] for row in found["labels"])
    assert [row["device"] for row in found["training"]] == devices
    assert all(len(row["losses"]) == 2 for row in found["training"])
    assert [row["device"] for row in found["steps"]] == devices
    for row in found["steps"]:
        assert 0 < row["launch_ms"] <= row["step_ms"] and 0 <= row["data_ms"] < row["with_data_ms"]
        assert row["tokens"] == 128 and row["waits"] is None and row["workers"] == 2


def test_missing_packages_are_named_and_skipped(tmp_path):
    """A machine that has no safetensors, laspy and pytest: modules of those names that cannot be imported."""
    code = f"""
import builtins, runpy, sys
there = builtins.__import__
def without(name, *rest, **more):
    if (package := name.split(".")[0]) in ("safetensors", "laspy", "pytest"):
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=package)
    return there(name, *rest, **more)
builtins.__import__ = without
sys.argv = ["gpu_check.py", "--fast"]
runpy.run_path({str(ROOT / "scripts" / "gpu_check.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["labels"] == found["training"] == found["steps"] == {"skipped": "safetensors is not installed"}
    assert found["tokenizer"][0]["device"] == "cpu" and found["agree"]
