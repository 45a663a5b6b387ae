"""Settings of the trainers: every key of their YAML files that does not belong to the pipeline's own config."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from s4token_model import atomic, bounded_files, checkpoint, stored_config, tokenizer_variants
from s4token_model import config as configs
from s4token_model.config import Config, option

DENSE = "dense"  # 2D targets of pixels
STATE = "state.pt"  # in the folder of a run: what is resumed
EVALUATION = ("evaluate", "evaluate_split", "evaluate_every", "evaluate_clouds")
CHANGEABLE = ("save_every", "validate_every", "device", "init", "workers", *EVALUATION)  # when a run is resumed
# What samples in the folder of a run depend on, beside the pipeline
SAMPLED = ("task", "data", "points", "redraw", "targets", "block")
TASKS = ("self", "parts", "semantic")

ASSIGNED = ("masked", "visible", "all")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `s4token train`; the defaults are the paper's where it gives them."""

    task: str = option("self", "self: no labels; supervised are parts (ShapeNetPart), semantic (S3DIS)", choices=TASKS)
    data: str = option("", "folders of prepared samples (s4token prepare), or bags and clouds, separated by commas")
    run: str = option("runs/train", "folder of states, log and the trained model")
    init: str = option("", "checkpoint to start from; its pipeline config is the base. Empty: train from scratch")
    steps: int = option(10000, "optimizer steps", 1, 100000000)
    batch: int = option(128, "clouds per step, over all processes and micro-batches", 1, 1000000)
    accumulate: int = option(1, "micro-batches that each process splits its clouds of a step into", 1, 10000)
    rate: float = option(5e-4, "peak learning rate", 1e-9, 1.0)
    weight_decay: float = option(0.05, "weight decay of AdamW", 0.0, 1.0)
    tokens: int = option(128, "tokens per cloud and step; a random choice of the prepared ones", 8, 16384)
    patch_points: int = option(32, "points drawn from each patch", 1, 1024)
    context_points: int = option(48, "points drawn from each wide patch", 1, 1024)
    points: int = option(1024, "points per cloud that the losses are computed on", 16, 65536)
    redraw: bool = option(False, "draw points, first center and patches anew whenever a cloud is drawn")
    other_tokens: bool = option(False, "with redraw: also samples prepared with other sampling.* and patches.*")
    targets: str = option("standard", "2D targets; dense: values of CLIP's last block", choices=("standard", DENSE))
    split: str = option("train", "train: no samples of val or test; any: all of data=", choices=("train", "any"))
    mask_ratio: float = option(0.6, "fraction of the tokens hidden from the student", 0.0, 0.95)
    decoder_layers: int = option(4, "layers of the query decoder", 1, 32)
    clusters: int = option(24, "clusters per cloud, K", 1, 4096)
    rounds: int = option(20, "rounds of the spatially constrained clustering", 1, 1000)
    temperature: float = option(0.1, "tau of the student's assignment", 1e-3, 10.0)
    assigned: str = option("masked", "tokens of the student that L_assign is about", choices=ASSIGNED)
    student_reach: bool = option(True, "L_assign: students assign tokens only to clusters within reach; false: Eq. 6")
    decoder_steps: int = option(0, "first of the steps, which train the query decoder alone", 0, 100000000)
    decoder_rate: float = option(1e-3, "peak learning rate of the first decoder_steps", 1e-9, 1.0)
    momentum: float = option(0.996, "first momentum of the teacher, rising to 1", 0.0, 1.0)
    momentum_steps: int = option(
        0, "steps that momentum= is for: fewer make it momentum ^ (momentum_steps / steps); 0: of any", 0, 100000000
    )
    assign_weight: float = option(1.0, "weight of L_assign", 0.0, 100.0)
    local_weight: float = option(0.5, "weight of the local distillation", 0.0, 100.0)
    global_weight: float = option(0.5, "weight of the global distillation", 0.0, 100.0)
    precision: str = option("auto", "auto: bf16 if the device supports it", choices=("auto", "fp32", "bf16"))
    held_out: float = option(0.05, "fraction of the samples kept for validation", 0.0, 0.9)
    validate_every: int = option(500, "steps between validations; the first is before any step", 1, 100000000)
    evaluate: str = option("", "folder of ModelNet40, ScanObjectNN or ScanNet to label zero-shot while training")
    evaluate_split: str = option("val", "its split; val of objects is test", choices=("train", "val", "test", "all"))
    evaluate_every: int = option(1000, "steps between evaluations; the first is before any step", 1, 100000000)
    evaluate_clouds: int = option(200, "clouds to evaluate on, evenly spread over the split; 0: all", 0, 1000000)
    save_every: int = option(200, "steps between saved states", 1, 100000000)
    head: str = option("epcl", "supervised: what labels the points", choices=("epcl", "point-bert"))
    dropout: float = option(0.5, "head=point-bert: fraction of the last features dropped in training", 0.0, 0.9)
    tune_clip: bool = option(False, "supervised: also train CLIP's image tower (the paper's fully trained)")
    rotate: bool = option(False, "supervised: turn clouds about z and mirror them, as task=self always does")
    axis_scale: float = option(0.0, "supervised: scale each axis of a cloud by 1 - this to 1 + this", 0.0, 0.9)
    jitter: float = option(0.0, "supervised: standard deviation of noise on patch points, in radii", 0.0, 1.0)
    block: float = option(1.0, "task=semantic: edge of the columns that rooms are cut into, m", 0.1, 100.0)
    workers: int = option(0, "processes that draw batches, and make supervised samples; 0: by the device", 0, 1024)
    seed: int = option(0, "seed of weights, draws and masks", 0, 2**31 - 1)
    device: str = option("cpu", "cpu, or cuda for one GPU per process")


@dataclass(frozen=True)
class MiniConfig:
    """Settings of `make mini-model`: procedural scenes, a small CLIP, then the tokenizer in front of it."""

    scenes: int = option(3600, "procedural scenes to train on", 1, 1000000)
    first_scenes: int = option(0, "train as soon as so many are made, while others follow; 0: all", 0, 1000000)
    street_scans: int = option(1, "scans of each street, from other places and by other sensors", 1, 100)
    scene_minutes: float = option(0.0, "time limit for making them, fewer if it is reached; 0: none", 0.0, 1e6)
    workers: int = option(0, "processes that make scenes; 0: one per processor", 0, 1024)
    seed: int = option(1, "first seed; scene k uses seed + k", 0, 2**31 - 1)
    clip_scenes: int = option(1200, "further scenes, pictures only, to train the small CLIP on", 1, 1000000)
    shapes: str = option("", "folder of a bank of CAD models (make shapes) that most things come from; empty: none")
    plain_rooms: float = option(0.0, "fraction of the rooms that have no CAD models, in spite of `shapes`", 0.0, 1.0)
    street_share: float = option(0.2, "fraction of the scenes that are streets, scanned by LiDAR", 0.0, 1.0)
    views: int = option(6, "pictures rendered per scene", 1, 64)
    view_pixels: int = option(128, "edge of a rendered picture, pixels", 32, 1024)
    points: int = option(2048, "labeled points kept of each scene", 16, 65536)
    step_points: int = option(768, "points per cloud and step that the losses are computed on", 16, 65536)
    text_steps: int = option(500, "first steps, that train only the text tower, caption against caption", 0, 10000000)
    clip_steps: int = option(2000, "further steps, that train only the image tower", 1, 10000000)
    clip_images: int = option(32, "pictures per step", 2, 4096)
    clip_regions: int = option(3, "groups of regions per step; a class occurs at most once in each", 1, 64)
    clip_rate: float = option(1e-3, "peak learning rate of the small CLIP", 1e-7, 1.0)
    clip: str = option("", "folder of a CLIP to train in front of; empty: that of `start`, or a new one")
    start: str = option("", "checkpoint whose tokenizer to start from; empty: train from scratch")
    start_weight: float = option(0.0, "weight of `start` in the mean of it and the trained tokenizer", 0.0, 1.0)
    teacher: str = option("", "checkpoint whose features of tokens are learned at the start; empty: none")
    teacher_part: float = option(0.3, "fraction of the steps, at the start, that have a teacher", 0.0, 1.0)
    teacher_rooms: bool = option(False, "rooms have the teacher in all steps, at full weight, and streets in none")
    steps: int = option(9000, "steps of training the tokenizer", 1, 10000000)
    train_minutes: float = option(0.0, "train the tokenizer for so long, whatever `steps` is; 0: no limit", 0.0, 1e6)
    device: str = option("cpu", "where the tokenizer is trained: cpu or cuda", choices=("cpu", "cuda"))
    scene_balance: float = option(1.0, "how strongly rooms with rare classes are preferred; 0: all alike", 0.0, 1.0)
    street_steps: float = option(0.2, "fraction of the steps that see only streets, if there are streets", 0.0, 1.0)
    batch: int = option(6, "clouds per step", 1, 4096)
    rate: float = option(1.3e-3, "peak learning rate of the tokenizer", 1e-7, 1.0)
    last_rate: float = option(0.3, "learning rate of the last step, as a fraction of the peak", 0, 1)
    weight_decay: float = option(0.05, "weight decay of AdamW", 0.0, 1.0)
    tokens: int = option(256, "tokens drawn from each cloud in a step; the last steps use all", 8, 16384)
    full_share: float = option(0.1, "fraction of the steps, at the end, that use all tokens", 0.0, 1.0)
    skip_share: float = option(0.5, "fraction of the steps, at the start, that skip CLIP's blocks", 0.0, 1.0)
    patch_points: int = option(16, "points drawn from each patch in a step", 1, 1024)
    context_points: int = option(24, "points drawn from each wide patch in a step", 1, 1024)
    blur: float = option(3.0, "strength of the noise on patches and descriptors in training; 0: none", 0.0, 10.0)
    mix: float = option(0.0, "fraction of the steps in which every cloud is two scenes in one", 0.0, 1.0)
    distill_weight: float = option(0.0, "weight of both distillations (Eq. 8, 9); 0: no pictures", 0.0, 100.0)
    text_weight: float = option(1.0, "weight of the text target", 0.0, 100.0)
    precision: str = option("auto", "auto: bf16 if the device supports it", choices=("auto", "fp32", "bf16"))
    save_every: int = option(250, "steps between saved states", 1, 1000000)


def asks_for_help(words: list[str]) -> bool:
    """Whether one of the words of a command without a parser is -h or --help."""
    return any(word in ("-h", "--help") for word in words)


def print_usage(usage: str, config: TrainConfig | MiniConfig) -> None:
    """Print how a command is called, and its keys with their defaults."""
    print(f"usage: {usage}")
    for name, (value, item) in configs.options(config).items():
        print(f"  {name}={value}: {item.metadata['doc']}")
    print("and the keys of the pipeline, which s4token_model/config.py lists, e.g. sampling.tokens=256")


def read(path: str | Path, words: list[str]) -> tuple[TrainConfig, Config]:
    """Return the training and the pipeline config of a YAML file, changed by key=value words.

    Keys of the pipeline hold a dot, are nested mappings, or are `variant`. ValueError names a bad key, value or file.
    """
    values = read_yaml(path) | configs.pairs(words)
    if isinstance(values.get("data"), list):
        values["data"] = ",".join(map(str, values["data"]))
    pipeline = pop_pipeline(values)
    config = configs.replace(TrainConfig(), values)
    base = checkpoint.read_config(config.init) if config.init else Config()
    return config, stored_config.portable(configs.replace(base, pipeline))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return {dotted key: value} of a YAML file. ValueError if it cannot be read or holds anything else."""
    try:
        content = bounded_files.read_yaml(Path(path)) or {}
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}; give the path of a YAML file") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold keys and values, not a {type(content).__name__}")
    return configs.flatten(content)


def pop_pipeline(values: dict[str, Any]) -> dict[str, Any]:
    """Remove the keys of the pipeline from `values` and return them."""
    return {key: values.pop(key) for key in list(values) if "." in key or key == tokenizer_variants.KEY}


def save_config(folder: Path, config: TrainConfig, pipeline: Config) -> None:
    """Write folder/config.yaml; ValueError if a state or samples in that folder were made with another config.

    A run that failed before it made any may be repeated with other settings.
    """
    path, of_pipeline = folder / "config.yaml", configs.to_dict(pipeline)
    resolved = json.loads(json.dumps(of_pipeline | dataclasses.asdict(config)))
    bound = [*of_pipeline, *SAMPLED] if any((folder / "samples").rglob("*.safetensors")) else []
    bound = [key for key in resolved if key not in CHANGEABLE] if (folder / STATE).is_file() else bound
    if bound and path.is_file():
        # Keys that are newer than the run had their defaults
        defaults = configs.to_dict(Config()) | dataclasses.asdict(TrainConfig())
        before = defaults | (bounded_files.read_yaml(path) or {})
        changed = [k for k in bound if before.get(k) != resolved[k]]
        if changed:
            listed = ", ".join(f"{k}: {before.get(k)!r} -> {resolved[k]!r}" for k in changed[:4])
            raise ValueError(f"{folder} was begun with another config ({listed}); choose another run=DIR or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as file:
        file.write(yaml.safe_dump(resolved, sort_keys=True).encode())
