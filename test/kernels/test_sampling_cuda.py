"""The CUDA kernel of farthest point sampling: under Triton's interpreter against the definition, and compiled for real
GPUs, which needs none. Each in its own process, for the interpreter is chosen when Triton is imported."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from test_sampling import brute, clouds

from s4token_model.config import SamplingConfig
from s4token_model.pipeline import sampling

ROOT = Path(__file__).resolve().parents[2]
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton comes with CUDA builds")

INTERPRETED = """
import sys
import numpy as np
import torch
from s4token_model import sampling, sampling_cuda

sampling_cuda.TILE = 64  # several tiles per cloud, the last one partly filled
assert sampling_cuda.works("cpu")
given = np.load(sys.argv[1])
found = {}
for name in given["names"]:
    xyz, weights, first, count = (given[f"{name}.{k}"] for k in ("xyz", "weights", "first", "count"))
    found[name] = sampling_cuda.sample_arrays(xyz, weights, int(first), int(count), "cpu")
    assert found[name].dtype == np.int32
pair = [given["names"][0], given["names"][-1]]
xyz, weights = (torch.from_numpy(np.concatenate([given[f"{n}.{k}"] for n in pair])) for k in ("xyz", "weights"))
sizes = [0, *np.cumsum([len(given[f"{n}.xyz"]) for n in pair])]
first = torch.tensor([int(given[f"{n}.first"]) for n in pair], dtype=torch.int32)
batch = sampling_cuda.weighted_fps_batch(xyz, weights, torch.tensor(sizes, dtype=torch.int32), first, 70)
np.savez(sys.argv[2], batch=batch.numpy(), **found)
"""

COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from s4token_model.kernels.sampling_cuda import _sample_clouds

types = dict.fromkeys(("planes", "weights", "squared"), "*fp32") | dict.fromkeys(("limits", "first", "chosen"), "*i32")
types |= {"stride": "i32", "count": "i32", "TILE": "constexpr"}
source = triton.compiler.ASTSource(_sample_clouds, types, {"TILE": 1024})
for capability in (75, 87, 90):
    options = {"num_warps": 16, "enable_fp_fusion": False}
    built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert "fma" not in built.asm["ptx"] and len(built.asm["cubin"]) > 0
    print(capability)
"""


def run(code: str, *arguments: str, **environment: str) -> str:
    """Run code in a fresh interpreter from the checkout; what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path} | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def cases(monkeypatch):
    """Clouds with ties, their superpoints drawn at random: name -> (what the kernel gets, the definition's samples)."""
    found = {}
    for number, xyz in enumerate(clouds()):
        superpoints = np.random.default_rng(number).choice(12, len(xyz), p=np.arange(1, 13) ** 2 / 650)
        for gamma, least in ((0.0, 1), (0.15, 5), (1.0, 1)):
            config = SamplingConfig(tokens=70, gamma=gamma, min_superpoint=least, seed=number)
            given = {}
            monkeypatch.setattr(
                sampling,
                "_weighted_fps",
                lambda *a, given=given: given.update(zip(("xyz", "weights", "first", "count"), a, strict=True)),
            )
            sampling.sample(xyz, superpoints, config)
            found[f"{number}-{gamma}"] = given, brute(xyz, superpoints, config)
    return found


@needs_triton
def test_index_for_index_as_defined(cases, tmp_path):
    flat = {f"{name}.{key}": value for name, (given, _) in cases.items() for key, value in given.items()}
    np.savez(tmp_path / "given.npz", names=list(cases), **flat)
    run(INTERPRETED, str(tmp_path / "given.npz"), str(tmp_path / "found.npz"), TRITON_INTERPRET="1")
    found = np.load(tmp_path / "found.npz")
    for name, (_, wanted) in cases.items():
        assert found[name].tolist() == wanted, name
    ends = [list(cases)[0], list(cases)[-1]]
    for row, name in zip(found["batch"], ends, strict=True):
        wanted = cases[name][1]
        assert row.tolist() == wanted + [-1] * (70 - len(wanted)), "a cloud samples alike in a batch"
    assert len(cases[ends[1]][1]) < 70, "one of them runs out of points"


@needs_triton
def test_compiles_for_gpus_without_fused_arithmetic(tmp_path):
    assert run(COMPILED, TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0").split() == ["75", "87", "90"]


def test_a_device_that_cannot_run_it_gives_the_same_samples():
    xyz = np.random.default_rng(5).random((300, 3)).astype(np.float32)
    superpoints = np.arange(300) // 40
    config = SamplingConfig(tokens=30)
    sampling._kernel_works.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = sampling.sample(xyz, superpoints, config, "cuda:0")
    assert chosen.tolist() == brute(xyz, superpoints, config)


def test_without_a_working_kernel_the_reason_is_said_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "s4token_model.kernels.sampling_cuda", None)
    monkeypatch.delattr("s4token_model.kernels.sampling_cuda", raising=False)
    sampling._kernel_works.cache_clear()
    with pytest.warns(UserWarning, match="drawn on the CPU, the kernel for cuda does not work: "):
        assert not sampling._kernel_works("cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not sampling._kernel_works("cuda")
    sampling._kernel_works.cache_clear()
