"""What `s4token train` is told: every key of its YAML file that is not part of the pipeline's own config."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from s4token_model import checkpoint, tokenizer_variants
from s4token_model import config as configs
from s4token_model.config import Config, option

MAY_CHANGE = ("save_every", "validate_every", "device", "init", "workers")  # on resuming


@dataclass(frozen=True)
class TrainConfig:
    """Self-supervised training (method: Sec. 6); defaults are the paper's where it gives them."""

    task: str = option("self", "self: without labels; parts: supervised, data=ShapeNetPart", choices=("self", "parts"))
    data: str = option("", "folders of prepared samples (s4token prepare), or bags and clouds, separated by commas")
    run: str = option("runs/train", "folder of states, log and the trained model")
    init: str = option("", "checkpoint to go on from; its pipeline config is the base. Empty: from nothing")
    steps: int = option(10000, "optimizer steps", 1, 100000000)
    batch: int = option(128, "clouds per step, over all processes and micro-batches", 1, 1000000)
    accumulate: int = option(1, "micro-batches that a process splits its share of a step into", 1, 10000)
    rate: float = option(5e-4, "peak learning rate", 1e-9, 1.0)
    weight_decay: float = option(0.05, "weight decay of AdamW", 0.0, 1.0)
    tokens: int = option(128, "tokens per cloud and step; a random choice of the prepared ones", 8, 16384)
    patch_points: int = option(32, "points drawn from each patch", 1, 1024)
    context_points: int = option(48, "points drawn from each wide patch", 1, 1024)
    points: int = option(1024, "points per cloud that the losses look at", 16, 65536)
    mask_ratio: float = option(0.6, "share of the tokens the student does not see", 0.0, 0.95)
    decoder_layers: int = option(4, "layers of the query decoder", 1, 32)
    clusters: int = option(24, "clusters per cloud, K", 1, 4096)
    rounds: int = option(20, "rounds of the spatially constrained clustering", 1, 1000)
    temperature: float = option(0.1, "tau of the student's assignment", 1e-3, 10.0)
    momentum: float = option(0.996, "first momentum of the teacher, rising to 1", 0.0, 1.0)
    assign_weight: float = option(1.0, "weight of L_assign", 0.0, 100.0)
    local_weight: float = option(0.5, "weight of the local distillation", 0.0, 100.0)
    global_weight: float = option(0.5, "weight of the global distillation", 0.0, 100.0)
    precision: str = option("auto", "auto: bf16 where the device has it", choices=("auto", "fp32", "bf16"))
    held_out: float = option(0.05, "share of the samples kept for validation", 0.0, 0.9)
    validate_every: int = option(500, "steps between validations; the first comes before any step", 1, 100000000)
    save_every: int = option(200, "steps between saved states", 1, 100000000)
    tune_clip: bool = option(False, "of task=parts: train CLIP's image tower, too (the paper's fully trained)")
    workers: int = option(1, "of task=parts: processes that cut the shapes into tokens, once", 1, 1024)
    seed: int = option(0, "seed of weights, draws and masks", 0, 2**31 - 1)
    device: str = option("cpu", "cpu, or cuda for one GPU per process")


def read(path: str | Path, pairs: list[str]) -> tuple[TrainConfig, Config]:
    """Return both configs of a YAML file with key=value changes applied; the pipeline's keys hold a dot, or are nested
    mappings, or `variant`. ValueError names the bad key, value or file."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}; give the path of a YAML file") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold keys and values, not a {type(content).__name__}")
    values = configs.flatten(content)
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not found:
            raise ValueError(f"{pair}: not understood; write key=value")
        values[key] = value
    if isinstance(values.get("data"), list):
        values["data"] = ",".join(map(str, values["data"]))
    pipeline = {k: values.pop(k) for k in list(values) if "." in k or k == tokenizer_variants.KEY}
    train = configs.replace(TrainConfig(), values)
    base = checkpoint.read_config(train.init) if train.init else Config()
    return train, configs.replace(base, pipeline)


def keep(folder: Path, train: TrainConfig, config: Config) -> None:
    """Write the resolved config beside the results; refuse to resume a run that was begun with another."""
    path = folder / "config.yaml"
    resolved: dict[str, Any] = configs.to_dict(config) | dataclasses.asdict(train)
    resolved = json.loads(json.dumps(resolved))
    if path.is_file():
        before = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        before = (
            configs.to_dict(Config()) | dataclasses.asdict(TrainConfig()) | before
        )  # keys that are newer than the run
        other = [k for k in resolved if k not in MAY_CHANGE and before.get(k) != resolved[k]]
        if other:
            listed = ", ".join(f"{k}: {before.get(k)!r} -> {resolved[k]!r}" for k in other[:4])
            raise ValueError(f"{folder} was begun with another config ({listed}); choose another run=DIR or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(yaml.safe_dump(resolved, sort_keys=True), encoding="utf-8")
    partial.replace(path)
