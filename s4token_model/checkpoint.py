"""Checkpoints: a directory with the tokenizer's weights, the config and their provenance.

config.json            {"format": 1, "config": {dotted path: value}, "provenance": {data, command, figures}}
tokenizer.safetensors  weights of the tokenizer
clip/                  optional: the frozen CLIP as an open_clip directory, if config clip.name is "clip"
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.pipeline.clip import FrozenClip, clip_directory
from s4token_model.pipeline.clip import load as load_clip
from s4token_model.pipeline.tokenizer import Tokenizer

FORMAT = 1
MINI = "s4token-mini"
WEIGHTS = Path(__file__).parent / "weights"


def resolve(model: str | Path) -> Path:
    """Return the directory of a checkpoint: a path, or the name of one in the package such as s4token-mini."""
    for candidate in (Path(model), WEIGHTS / str(model)):
        if (candidate / "config.json").is_file():
            return candidate
    known = sorted(p.parent.name for p in WEIGHTS.glob("*/config.json"))
    raise ValueError(
        f"no checkpoint {str(model)!r}: neither a directory with config.json nor one of the built-in: "
        f"{', '.join(known) or 'none'}"
    )


def read_config(model: str | Path) -> Config:
    """Return the config saved in a checkpoint, the base that overrides apply to; reads no weights."""
    path = resolve(model) / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); the checkpoint is damaged, copy it again") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(
            f"{path} has format {found}, this version reads format {FORMAT}; use a matching s4token or retrain"
        )
    if not isinstance(content.get("config"), dict):
        raise ValueError(f"{path} holds no config; the checkpoint is damaged, copy it again")
    try:
        return configs.from_dict(content["config"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}; correct that key, or use the s4token that saved it") from error


def save(directory: str | Path, tokenizer: Tokenizer, config: Config, provenance: dict[str, Any]) -> None:
    """Write a checkpoint; every file appears complete or not at all, config.json last."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tokenizer.state_dict().items()}
    partial = directory / "tokenizer.safetensors.partial"
    safetensors.torch.save_file(tensors, partial)
    os.replace(partial, directory / "tokenizer.safetensors")
    content = {"format": FORMAT, "config": configs.to_dict(config), "provenance": provenance}
    partial = directory / "config.json.partial"
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, directory / "config.json")


def bundle_clip(directory: Path, config: Config, root: Path | None) -> Config:
    """Copy a CLIP that is a directory into the checkpoint, to make it self-contained; returns the changed config."""
    source = clip_directory(config.clip.name, root)
    if source is None:
        return config
    shutil.copytree(source, directory / "clip", dirs_exist_ok=True)
    return configs.replace(config, {"clip.name": "clip", "clip.pretrained": ""})


def load(
    model: str | Path, config: Config | None = None, device: str | torch.device = "cpu"
) -> tuple[Tokenizer, FrozenClip, Config]:
    """Load tokenizer, CLIP and config of a checkpoint, by directory or built-in name, in evaluation mode.

    `config` replaces the saved one; the keys that the weights depend on (tokenizer.*, clip.name and clip.pretrained)
    must be the same. ValueError if it does not fit the weights, or a file is missing or damaged.
    """
    directory, saved = resolve(model), read_config(model)
    config = saved if config is None else config
    _check_compatible(directory, saved, config)
    clip = load_clip(config.clip, directory, device)
    tokenizer = Tokenizer(config.tokenizer, clip.width)
    path = directory / "tokenizer.safetensors"
    try:
        tokenizer.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot read {path}: {error}; the checkpoint is damaged, copy it again") from error
    except RuntimeError as error:  # load_state_dict's report of missing or misshapen tensors
        problems = [line.strip() for line in str(error).splitlines()[1:]]
        more = f" and {len(problems) - 2} more" if len(problems) > 2 else ""
        reason = "; ".join(problems[:2]) + more
        raise ValueError(f"{path} does not fit its config: {reason}; copy the whole checkpoint again") from error
    return tokenizer.eval().to(device), clip, config


def _check_compatible(directory: Path, saved: Config, wanted: Config) -> None:
    old, new = configs.to_dict(saved), configs.to_dict(wanted)
    fixed = [key for key in old if key.startswith("tokenizer.") or key in ("clip.name", "clip.pretrained")]
    differing = [f"{key}: {new[key]!r}, trained with {old[key]!r}" for key in fixed if new[key] != old[key]]
    if differing:
        reason = "; ".join(differing)
        raise ValueError(f"the weights in {directory} do not fit this config ({reason}); use the checkpoint's values")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
