"""Check this machine's GPU against its CPU and time both; prints one JSON object, progress on stderr.

    python scripts/gpu_check.py             # minutes; or: make gpu-check
    python scripts/gpu_check.py --fast      # a small cloud and s4token-mini only

Runs from a plain checkout without ROS and network, with torch, numba, numpy and scipy. What needs more is skipped and
says so: labels and training need open_clip_torch, safetensors, PyYAML and tqdm, the sample room laspy and lazrs, the
tests pytest. Exit code 1 if CPU and GPU disagree or a test fails; 0 if there is no GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "numba", "numpy", "scipy", "open_clip_torch")
VIT_B16 = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
TOKENS = 64  # per cloud and training step
MIN_EQUAL_LABELS = 0.99  # fraction of the points, in fp32
MAX_DIFFERENCE = 1e-3  # of features in fp32, and relative of the first loss


def main(words: list[str] | None = None) -> int:
    """Run every check that this machine allows, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--fast", action="store_true", help="a small cloud, s4token-mini only, few repetitions")
    fast = parser.parse_args(words).fast
    if importlib.util.find_spec("torch") is None:
        print(json.dumps({"cuda": None, "reason": "torch is not installed; pip install -r requirements.txt"}))
        return 0
    sys.path[:0] = [str(ROOT), str(ROOT / "test" / "helpers")]
    found = machine()
    devices = ["cpu", "cuda"] if found["cuda"] else ["cpu"]
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        sections: dict[str, Callable[[], Any]] = {
            "tests": lambda: run_tests(devices),
            "tokenizer": lambda: compare_tokenizer(devices),
            "labels": lambda: compare_labels(devices, Path(folder), fast),
            "training": lambda: compare_training(devices, Path(folder), fast),
            "steps": lambda: time_steps(devices, Path(folder), fast),
        }
        for name, run in sections.items():
            say(name)
            try:
                found[name] = run()
            except ImportError as error:
                found[name] = {"skipped": f"{error.name or error} is not installed"}
    found["agree"] = agree(found)
    print(json.dumps(found, indent=1))
    return 0 if found["agree"] else 1


def machine() -> dict[str, Any]:
    """The GPU, or why there is none, the CPU and the versions of the libraries."""
    import torch

    gpu, reason = None, ""
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu = {"name": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)}
        gpu |= {"bf16": torch.cuda.is_bf16_supported(including_emulation=False)}
        gpu |= {"runtime": torch.version.cuda or torch.version.hip}
    elif torch.version.cuda is None and torch.version.hip is None:
        reason = f"torch {torch.__version__} is built for CPUs only"
    else:
        reason = "torch finds no GPU; is there one, with its driver?"
    cpu = {"name": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"cuda": gpu, "reason": reason, "cpu": cpu, "versions": versions}


def run_tests(devices: list[str]) -> dict[str, Any]:
    """Run the tests marked `cuda` in a process of their own."""
    if "cuda" not in devices:
        return {"skipped": "no GPU"}
    if importlib.util.find_spec("pytest") is None:
        return {"skipped": "pytest is not installed"}
    command = [sys.executable, "-m", "pytest", "test/test_cuda.py", "-m", "cuda", "-o", "addopts=", "-rfEs"]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(command, cwd=ROOT, env=os.environ | path, capture_output=True, text=True)
    say(done.stdout + done.stderr)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    failures = [line for line in lines if re.match("FAILED|ERROR", line)]
    return {"exit_code": done.returncode, "summary": lines[-1].strip("= "), "failures": failures}


def compare_tokenizer(devices: list[str]) -> list[dict[str, Any]]:
    """Tokens of random patches in fp32, beside those of the CPU, and milliseconds; needs no CLIP."""
    import torch

    from s4token_model.config import TokenizerConfig
    from s4token_model.pipeline.token_context import CHANNELS, DESCRIPTOR_DIM
    from s4token_model.pipeline.tokenizer import TokenInput, Tokenizer

    torch.manual_seed(0)
    tokenizer = Tokenizer(TokenizerConfig(layers=2), VIT_B16["width"]).eval()
    mask, wide = torch.rand(1, 512, 32) < 0.9, torch.rand(1, 512, 48) < 0.9
    parts = torch.randn(1, 512, 32, 3), mask, torch.randn(1, 512, 48, CHANNELS), wide
    inputs = TokenInput(*parts, torch.randn(1, 512, DESCRIPTOR_DIM), torch.randn(1, 512, 3))
    rows, exact = [], None
    for device in devices:
        here, times = inputs.to(device), []
        with torch.inference_mode():
            for _ in range(4):
                start = time.perf_counter()
                tokens = tokenizer.to(device)(here)
                synchronize(device)
                times.append(1000 * (time.perf_counter() - start))
        exact = tokens if exact is None else exact
        difference = float((tokens.cpu() - exact).abs().max())
        rows.append({"device": device, "ms": round(sorted(times[1:])[1], 2), "max_difference": difference})
    return rows


def compare_labels(devices: list[str], folder: Path, fast: bool) -> list[dict[str, Any]]:
    """Label one room on every device in fp32 and auto: labels beside fp32 on the CPU, milliseconds per stage."""
    import numpy as np

    from s4token_model import checkpoint, config
    from s4token_model.segmenter import Segmenter

    xyz, cloud = room(fast)
    rows = []
    for name, path in models(folder, fast).items():
        exact = None
        for device, precision in itertools.product(devices, ("fp32", "auto")):
            say(f"{name} in {precision} on {device}")
            settings = config.replace(checkpoint.read_config(path), {"clip.precision": precision})
            model, runs = Segmenter.load(path, settings, device), []
            for _ in range(3 if fast else 8):
                synchronize(device)
                start = time.perf_counter()
                result = model.segment(xyz)
                synchronize(device)
                runs.append(result.stages_ms | {"total": 1000 * (time.perf_counter() - start)})
            exact = exact or result
            row: dict[str, Any] = {"model": name, "device": device, "precision": model.clip.precision, "cloud": cloud}
            row |= {"points": len(xyz), "tokens": result.tokens, "stages_ms": medians(runs[1:])}
            row["labels_equal"] = round(float((result.labels == exact.labels).mean()), 5)
            row["superpoints_equal"] = bool(np.array_equal(result.superpoints, exact.superpoints))
            row["max_confidence_difference"] = float(np.abs(result.confidence - exact.confidence).max())
            rows.append(row | {"peak_gpu_mib": peak_mib(device)})
    return rows


def compare_training(devices: list[str], folder: Path, fast: bool) -> list[dict[str, Any]]:
    """Losses of the same steps of `s4token train` on every device, in fp32."""
    import numpy as np

    from s4token_model.training import prepare

    # Parts of the room along x stand for clouds to train on
    clouds = folder / "clouds"
    clouds.mkdir()
    xyz, _ = room(fast)
    for number, part in enumerate(np.array_split(xyz[np.argsort(xyz[:, 0])], 4 if fast else 8)):
        np.save(clouds / f"{number}.npy", part)
    rows = []
    # The CLIP of s4token-mini encodes no pictures, which the targets are made of
    trained = {"a small CLIP, random weights": str(random_checkpoint(folder, "small"))}
    if not fast:
        trained |= {"ViT-B/16, random weights": str(random_checkpoint(folder, "vit-b-16", VIT_B16))}
    for name, model in trained.items():
        say(f"samples for {name}")
        samples = folder / f"samples {len(rows)}"
        recipe = folder / f"recipe {len(rows)}.yaml"
        recipe.write_text(json.dumps({"init": model, "sampling.tokens": 128, "clip.precision": "fp32"}))
        prepare.main([str(recipe), "objects", str(clouds), "--out", str(samples)])
        for device in devices:
            say(f"training in front of {name} on {device}")
            settings = {"init": model, "data": str(samples), "run": str(folder / f"run {len(rows)}")}
            settings |= {"device": device, "precision": "fp32", "batch": 4, "steps": 2 if fast else 5}
            row = {"model": name, "device": device, "precision": "fp32", "batch": 4, "tokens": TOKENS}
            rows.append(row | {"losses": [step["loss"] for step in train(settings)]})
    return rows


def time_steps(devices: list[str], folder: Path, fast: bool) -> list[dict[str, Any]]:
    """Milliseconds of a training step on random clouds, on every device, and of the paper's batch on a GPU."""
    rows = []
    for name, model in models(folder, fast).items():
        for device in devices:
            for precision, batch in (("fp32", 2 if fast else 4), *([("auto", 128)] * (device == "cuda" and not fast))):
                say(f"steps in front of {name} on {device} in {precision}, batch {batch}")
                run, count = str(folder / f"steps {len(rows)}"), 2 if fast else 20
                settings = {"init": model, "run": run, "device": device, "precision": precision, "batch": batch}
                rows.append({"model": name} | time_step(settings, count, 2 * fast))
    return rows


def time_step(settings: dict[str, Any], count: int, workers: int) -> dict[str, Any]:
    """Milliseconds of `count` steps, alone and with their data from worker processes.

    step_ms: one batch again and again. launch_ms: until the calls of a step return; a GPU computes meanwhile.
    with_data_ms: with batches of the loader, of which data_ms are spent waiting for it. waits: what made the CPU wait
    for the GPU in a step, as PyTorch says it, or nothing.
    """
    from s4token_model import checkpoint
    from s4token_model.benchmark import batch_speed
    from s4token_model.training import loop, pretrain
    from s4token_model.training.sampler import Sampler
    from s4token_model.training.settings import TrainConfig
    from s4token_model.training.token_samples import save_sample

    config, device = TrainConfig(**settings), settings["device"]
    _, frozen, tokenizer = pretrain.start(config, checkpoint.read_config(config.init))
    trainer = pretrain.Trainer(tokenizer, frozen, config, 0, 1)
    (folder := Path(config.run) / "samples").mkdir(parents=True)
    paths = [folder / f"{number}.safetensors" for number in range(2 * config.batch)]
    for number, path in enumerate(paths):
        save_sample(path, batch_speed.random_sample(number, frozen.dim))
    draws = trainer.draws(Sampler(paths, frozen.dim))
    drawn, _ = draws(0)
    trainer.step(0, drawn)
    waits = find_wait(lambda: trainer.step(1, drawn))
    # One batch
    synchronize(device)
    start = time.perf_counter()
    for step in range(count):
        trainer.step(step, drawn)
    launched = time.perf_counter()
    synchronize(device)
    seconds = {"launch_ms": launched - start, "step_ms": time.perf_counter() - start, "data_ms": 0.0}
    # Batches of the loader, once its processes have started
    workers, ahead = loop.loader_processes(workers, device), 4
    for step, (found, _), waited in loop.prefetch(draws, range(count + ahead), workers, device == "cuda"):
        if step == ahead:
            synchronize(device)
            start = time.perf_counter()
        trainer.step(step, found)
        seconds["data_ms"] += waited * (step > ahead)
    synchronize(device)
    seconds["with_data_ms"] = time.perf_counter() - start
    row = {"device": device, "precision": "bf16" if trainer.bf16 else "fp32", "batch": config.batch}
    row |= {"tokens": config.tokens} | {name: round(1000 * value / count, 2) for name, value in seconds.items()}
    return row | {"waits": waits, "workers": workers, "peak_gpu_mib": peak_mib(device)}


def train(settings: dict[str, Any]) -> list[dict[str, float]]:
    """The log of a short training: losses and seconds of every step."""
    from s4token_model.training import train as command

    run = Path(settings["run"])
    run.mkdir()
    settings = settings | {"tokens": TOKENS, "points": 256, "clusters": 8, "held_out": 0.0, "save_every": 1}
    settings |= {"sampling.tokens": 128}
    (run / "train.yaml").write_text(json.dumps(settings), encoding="utf-8")
    command.main([str(run / "train.yaml")])
    return [json.loads(line) for line in (run / "state.jsonl").read_text(encoding="utf-8").splitlines()]


def agree(found: dict[str, Any]) -> bool:
    """Whether the tests pass, and tokens, labels and first losses in fp32 are those of the CPU."""
    tokenizer, labels, training = (
        found[name] if isinstance(found[name], list) else [] for name in ("tokenizer", "labels", "training")
    )
    good = [found["tests"].get("exit_code", 0) == 0]
    good += [row["max_difference"] < MAX_DIFFERENCE for row in tokenizer]
    good += [row["labels_equal"] >= MIN_EQUAL_LABELS for row in labels if row["precision"] == "fp32"]
    first = {(row["model"], row["device"], row["precision"]): row["losses"][0] for row in training}
    for (model, device, precision), loss in first.items():
        if device == "cuda" and precision == "fp32":
            good.append(abs(loss / first[model, "cpu", "fp32"] - 1) < MAX_DIFFERENCE)
    return all(good)


def models(folder: Path, fast: bool) -> dict[str, str]:
    """Checkpoints to check by name; the ViT-B/16 is written to `folder`."""
    return {"s4token-mini": "s4token-mini"} | (
        {} if fast else {"ViT-B/16, random weights": str(random_checkpoint(folder, "vit-b-16", VIT_B16))}
    )


def random_checkpoint(folder: Path, name: str, vision: dict[str, Any] | None = None) -> Path:
    """A checkpoint with the paper's tokenizer and a CLIP, both at random weights, below `folder`; made once.

    `vision` are the sizes of an image tower, by default those of the tests' tiny one.
    """
    import torch
    from tiny_model import write_tiny_clip

    from s4token_model import checkpoint, config
    from s4token_model.pipeline.clip_config import read
    from s4token_model.pipeline.tokenizer import Tokenizer

    directory = folder / name
    if not directory.is_dir():
        sizes = [{"embed_dim": 512, "vision_cfg": vision, "text_cfg": TEXT}] if vision else []
        write_tiny_clip(directory / "clip", *sizes)
        changes = {"variant": "s4token", "clip.name": "clip", "clip.pretrained": "", "sampling.tokens": 128}
        settings = config.replace(config.Config(), changes)
        torch.manual_seed(0)
        checkpoint.save(
            directory,
            Tokenizer(settings.tokenizer, read(directory / "clip").model["vision_cfg"]["width"]),
            settings,
            {},
        )
    return directory


def room(fast: bool):
    """Points (H, 3) of the sample room and its name; a room of boxes if the file cannot be read here."""
    from box_room import room as room_of_boxes

    try:
        from s4token_model.io.files import read_cloud

        xyz, name = read_cloud(ROOT / "s4token_model" / "samples" / "room.laz").xyz, "sample room"
    except (ImportError, ValueError) as error:
        xyz, name = room_of_boxes()[0], f"a room of boxes; the sample room cannot be read: {error}"
    return (xyz[:: max(1, len(xyz) // 5000)] if fast else xyz), name


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """The median of every column."""
    return {key: round(sorted(row[key] for row in rows)[len(rows) // 2], 2) for key in rows[0]}


def find_wait(call: Callable[[], Any]) -> str | None:
    """What makes the CPU wait for the GPU in `call`, as PyTorch says it; None if nothing does, or without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    torch.cuda.set_sync_debug_mode("error")
    try:
        call()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return None


def peak_mib(device: str) -> int | None:
    """The largest memory of the GPU since the last call, MiB; None on a CPU."""
    import torch

    if device != "cuda":
        return None
    peak = round(torch.cuda.max_memory_allocated() / 2**20)
    torch.cuda.reset_peak_memory_stats()
    return peak


def synchronize(device: str) -> None:
    """Wait for the GPU."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def say(text: str) -> None:
    """Progress."""
    print(f"gpu-check: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from s4token_model import command_line

    raise SystemExit(command_line.guard("gpu_check", main))
