"""Fingerprints of what the product computes, to show that a change of the code changes no result.

    python scripts/fingerprint.py write FILE      # before a change
    python scripts/fingerprint.py compare FILE    # after it, on the same machine: exit code 1 and what differs

SHA-256 of labels, of procedural scenes and of prepared samples, and the losses of three steps of every trainer. They
depend on the processor and on the versions of the libraries, so a file is compared on the machine that wrote it. Real
scans are read from $S4TOKEN_DATA, else ../shared/data; what is absent is left out and named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from s4token_model import command_line
from s4token_model import config as configs
from s4token_model.datasets import semantickitti
from s4token_model.io import samples
from s4token_model.procedural import scenes as synthetic
from s4token_model.segmenter import Segmenter
from s4token_model.training import prepare, procedural_samples, token_samples, train, train_mini
from s4token_model.training.settings import TrainConfig
from s4token_model.training.token_samples import TokenSample

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("S4TOKEN_DATA") or ROOT.parent / "shared" / "data")

# Names of arrays of a sample in files of fingerprints, where they differ from the fields of TokenSample
ARRAYS = {"descriptor": "shape", "position_scale": "unit", "targets.global_feature": "target_whole"}
ARRAYS |= {f"targets.{key}": f"target_{key}" for key in ("superpoint", "feature")}
ARRAYS |= {f"seen.{key}": f"seen_{key}" for key in ("superpoint", "view", "row", "column")}


def main(words: list[str] | None = None) -> int:
    """Write or compare the fingerprints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default="", help="groups to make, separated by commas: " + ", ".join(GROUPS))
    given = parser.parse_args(words)
    groups = [name for name in GROUPS if not given.only or name in given.only.split(",")]
    found: dict[str, str] = {}
    for group in groups:
        for name, value in GROUPS[group]():
            found[f"{group}/{name}"] = value
            print(f"{group}/{name} {value}", file=sys.stderr, flush=True)
    if given.action == "write":
        given.file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return 0
    before = json.loads(given.file.read_text(encoding="utf-8"))
    before = {name: value for name, value in before.items() if name.split("/")[0] in groups}
    changed = sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
    for name in changed:
        print(f"CHANGED {name}: {before.get(name, 'absent')} -> {found.get(name, 'absent')}")
    print(f"{len(found)} fingerprints, {len(changed)} changed")
    return 1 if changed else 0


def digest(*arrays: np.ndarray) -> str:
    """SHA-256 of the values, shapes and types of arrays."""
    total = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()[:16]


def labels() -> Iterator[tuple[str, str]]:
    """Labels, confidence and superpoints of three clouds, by s4token-mini in its own precision and in fp32."""
    clouds = {"room": lambda: samples.load().xyz}
    if DATA.is_dir():
        clouds["scannet"] = lambda: np.load(DATA / "scannet_full" / "scene0000_00_vert_all.npy")[:, :3]
        clouds["kitti"] = lambda: semantickitti.load_sweep(DATA / "semantickitti", "00/000000").xyz
    for precision in ("auto", "fp32"):
        model = Segmenter.load("s4token-mini", _mini_config(precision))
        for name, read in clouds.items():
            result = model.segment(read())
            for key in ("labels", "confidence", "superpoints"):
                yield f"{precision}/{name}/{key}", digest(getattr(result, key))


def _mini_config(precision: str):
    from s4token_model import checkpoint

    return configs.replace(checkpoint.read_config("s4token-mini"), {"clip.precision": precision})


def scenes() -> Iterator[tuple[str, str]]:
    """Vertices, triangles and instances of procedural scenes by seed."""
    for kind, make, count in (
        ("room", synthetic.make_room, 10),
        ("street", synthetic.make_street, 4),
        ("object", synthetic.make_object, 20),
    ):
        for seed in range(count):
            scene = make(seed)
            arrays = [value for _, value in sorted(vars(scene).items()) if isinstance(value, np.ndarray)]
            yield f"{kind}{seed}", digest(*arrays)


def prepared() -> Iterator[tuple[str, str]]:
    """One prepared sample of every kind, array by array."""
    config = configs.replace(_mini_config("fp32"), {"sampling.tokens": 128})
    settings = train_mini.parse([]).config
    for seed in range(3):
        yield from _arrays(f"procedural{seed}", next(procedural_samples.make_samples(seed, config, settings)))
    yield from _arrays("clouds", prepare.cloud_sample(samples.load().xyz, prepare.Recipe(config, TrainConfig()), 7))
    if not DATA.is_dir():
        return
    with tempfile.TemporaryDirectory() as folder:
        recipe = _recipe(Path(folder))
        mesh = sorted((DATA / "modelnet").rglob("*.off"))[0]
        for kind, source, more in (
            ("objects", mesh, []),
            ("scenes", DATA / "rgbd_7scenes", ["--every", "4"]),
        ):
            out = Path(folder) / kind
            prepare.main([recipe, kind, str(source), "--out", str(out), *more])
            for path in sorted(out.glob("*.safetensors")):
                yield from _arrays(kind, token_samples.load_sample(path))


def _model(folder: Path) -> str:
    """A checkpoint whose CLIP takes pictures, as that of s4token-mini does not, at random weights."""
    sys.path.insert(0, str(ROOT / "test" / "helpers"))
    from gpu_check import random_checkpoint

    return str(random_checkpoint(folder, "model"))


def _recipe(folder: Path) -> str:
    """A file of the settings that samples are made with."""
    path = folder / "recipe.yaml"
    path.write_text(f"{{init: {_model(folder)}, clip.precision: fp32, sampling.tokens: 128}}")
    return str(path)


def _arrays(name: str, content: TokenSample) -> Iterator[tuple[str, str]]:
    for key, value in sorted(token_samples.to_arrays(content).items()):
        yield f"{name}/{ARRAYS.get(key, key.removeprefix('pictures.'))}", digest(np.asarray(value))


def losses() -> Iterator[tuple[str, str]]:
    """The losses of three steps of every trainer, at a seed."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        train_mini.HELD_OUT_SCENES = 4
        words = {"run": run / "mini", "out": run / "mini" / "out", "scenes": 6, "clip_scenes": 4, "text_steps": 3}
        words |= {"clip_steps": 3, "steps": 3, "save_every": 1, "batch": 4, "tokens": 64, "precision": "fp32"}
        train_mini.main([f"{key}={value}" for key, value in words.items()])
        for name in ("clip", "tokenizer"):
            yield from _log(f"mini_{name}", run / "mini" / f"{name}.jsonl")
        out = run / "samples"
        source = run / "clouds"
        source.mkdir()
        for seed in range(4):
            np.save(source / f"{seed}.npy", _boxes(seed))
        prepare.main([_recipe(run), "objects", str(source), "--out", str(out)])
        yaml = run / "train.yaml"
        yaml.write_text(
            f"{{init: {_model(run)}, steps: 3, batch: 4, tokens: 64, points: 256, clusters: 8, save_every: 1,"
            " validate_every: 2, held_out: 0.25, precision: fp32, decoder_layers: 2, sampling.tokens: 128}"
        )
        train.main([str(yaml), f"data={out}", f"run={run / 'self'}"])
        yield from _log("self", run / "self" / "state.jsonl")
        if DATA.is_dir():
            yaml.write_text(
                "{task: parts, init: s4token-mini, steps: 3, batch: 2, points: 256, save_every: 1, tokens: 64}"
            )
            root = run / "shapes"
            root.mkdir()
            for split in ("train", "test"):
                (root / split).symlink_to(DATA / "shapenetpart_cap" / "test")
            train.main([str(yaml), f"data={root}", f"run={run / 'parts'}", "sampling.tokens=64"])
            yield from _log("parts", run / "parts" / "state.jsonl")


def _boxes(seed: int) -> np.ndarray:
    """The surfaces of five boxes and a floor."""
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(0, 1, (4000, 3)) * [4, 4, 0]]
    for _ in range(5):
        box = rng.uniform(0, 1, (1000, 3))
        box[np.arange(1000), rng.integers(3, size=1000)] = 1
        parts.append(box * rng.uniform(0.2, 1, 3) + [*rng.uniform(0, 3, 2), 0])
    return np.concatenate(parts).astype(np.float32)


def _log(name: str, path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        step = values.pop("step")
        for key, value in sorted(values.items()):
            if not key.startswith("seconds/"):
                yield f"{name}/{step}/{key}", str(value)


GROUPS: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "labels": labels,
    "scenes": scenes,
    "prepared": prepared,
    "losses": losses,
}

if __name__ == "__main__":
    raise SystemExit(command_line.guard("fingerprint", main))
