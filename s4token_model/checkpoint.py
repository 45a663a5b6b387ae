"""Checkpoints: a directory with the tokenizer's weights, the config and their provenance. Loading one runs no code.

config.json            {"format": 1, "config": {dotted path: value}, "provenance": {data, command, figures},
                       "sha256": {file: digest}}
tokenizer.safetensors  weights of the tokenizer
clip/                  optional: the frozen CLIP as an open_clip directory, if config clip.name is "clip"
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from s4token_model import atomic, bounded_files, stored_config
from s4token_model import config as configs
from s4token_model.config import ClipConfig, Config
from s4token_model.pipeline import clip as clips
from s4token_model.pipeline import clip_config, known_words, stored_weights
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer

MINI = "s4token-mini"
WEIGHTS = Path(__file__).parent / "weights"
TOKENIZER, CLIP = "tokenizer.safetensors", "clip"
SIZE_LIMITS = {  # bytes of the files that may have a digest
    TOKENIZER: 1 << 30,
    f"{CLIP}/{clip_config.FILE}": bounded_files.JSON_LIMIT,
    f"{CLIP}/{known_words.FILE}": known_words.LIMIT,
    **{f"{CLIP}/{name}": bounded_files.WEIGHTS_LIMIT for name in clip_config.WEIGHTS},
}


def resolve(model: str | Path) -> Path:
    """Return the directory of a checkpoint: a path, or the name of one in the package such as s4token-mini."""
    for candidate in (Path(model), WEIGHTS / str(model)):
        candidate = atomic.recovered(candidate)
        if (candidate / stored_config.FILE).is_file():
            return candidate
    known = sorted(p.parent.name for p in WEIGHTS.glob(f"*/{stored_config.FILE}"))
    raise ValueError(
        f"no checkpoint {str(model)!r}: neither a directory with config.json nor one of the built-in: "
        f"{', '.join(known) or 'none'}"
    )


def read_config(model: str | Path) -> Config:
    """Return the config saved in a checkpoint, the base that overrides apply to; reads no weights."""
    return stored_config.read(resolve(model)).config


def digests(model: str | Path) -> dict[str, str]:
    """Return the SHA-256 of the files of a checkpoint but for config.json, {name: hexadecimal}."""
    with atomic.reading(resolve(model)) as directory:
        known = stored_config.read(directory).digests
        return known or _digests_now(directory)


def save(
    directory: str | Path, tokenizer: Tokenizer, config: Config, provenance: dict[str, Any], root: Path | None = None
) -> None:
    """Write a checkpoint in one step; one that is there is replaced, and its other files, such as a README, are kept.

    A CLIP that is a directory, config.clip.name below the checkpoint `root` that it was loaded from, or in `directory`,
    is copied into it, and so are weights in a file. ValueError if the config names files that cannot be copied, or
    `directory` holds other folders.
    """
    directory, config = Path(directory), stored_config.portable(config)
    source = clip_config.clip_directory(config.clip.name, root or directory)
    if source is None and root is None:
        source = clip_config.clip_directory(config.clip.name)
    others = _other_files(directory)
    with atomic.folder(directory) as new:
        # What is kept, and the CLIP
        for path in others:
            shutil.copy2(path, new / path.name, follow_symlinks=False)
        if source is not None:
            (new / CLIP).mkdir()
            for name in clip_config.file_names(source):
                shutil.copyfile(source / name, new / CLIP / name)
        else:
            from s4token_model.pipeline import clip_pair  # late: open_clip takes seconds and 200 MB

            if clip_pair.weights_file(config.clip):
                clip_pair.export(config.clip, new / CLIP)
        if (new / CLIP).exists():
            config = configs.replace(config, {"clip.name": CLIP, "clip.pretrained": ""})
        # The tokenizer, and the config with all digests
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tokenizer.state_dict().items()}
        safetensors.torch.save_file(tensors, new / TOKENIZER)
        (new / stored_config.FILE).write_bytes(stored_config.to_bytes(config, provenance, _digests_now(new)))


def add_digests(directory: Path) -> None:
    """Write the digests of a checkpoint's files into its config.json, after they were changed or if it has none."""
    path = directory / stored_config.FILE
    content = bounded_files.read_json(path) | {"sha256": _digests_now(directory)}
    with atomic.file(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def load(
    model: str | Path, config: Config | None = None, device: str | torch.device = "cpu"
) -> tuple[Tokenizer, FrozenClip, Config]:
    """Load tokenizer, CLIP and config of a checkpoint, by directory or built-in name, in evaluation mode.

    `config` replaces the saved one; the keys that the weights depend on (tokenizer.*, clip.name and clip.pretrained)
    must be the same. ValueError if it does not fit the weights, or a file is missing, damaged or of another checkpoint.
    """
    with atomic.reading(resolve(model)) as directory:
        saved, digests = stored_config.read(directory)
        config = saved if config is None else config
        _check_compatible(directory, saved, config)
        if not digests:
            warnings.warn(f"{directory} has no digests: damage would go unnoticed; save it again", stacklevel=2)
        _verify(directory, digests, f"{CLIP}/")
        clip = clips.load(config.clip, directory, device)
        _verify(directory, digests, TOKENIZER)
        path, settings = bounded_files.inside(directory, TOKENIZER), config.tokenizer
        tokenizer = stored_weights.load(lambda: Tokenizer(settings, clip.width), path)
    return tokenizer.eval().to(device), clip, config


def load_clip(model: str | Path, config: ClipConfig, device: str | torch.device = "cpu") -> FrozenClip:
    """Load the CLIP of a checkpoint alone, or another one that `config` names."""
    with atomic.reading(resolve(model)) as directory:
        saved = stored_config.read(directory)
        if config.name == saved.config.clip.name:
            _verify(directory, saved.digests, f"{CLIP}/")
        return clips.load(config, directory, device)


def check_folder(directory: str | Path) -> None:
    """Raise ValueError if no checkpoint can be saved to a directory; call it before a training."""
    atomic.check_folder(directory)
    _other_files(Path(directory))


def digest(path: Path, limit: int = bounded_files.WEIGHTS_LIMIT) -> str:
    """Return the SHA-256 of a file of at most `limit` bytes in hexadecimal."""
    return bounded_files.sha256(path, limit)


def _digests_now(directory: Path) -> dict[str, str]:
    """Compute the digests of a checkpoint's files, {name: hexadecimal}."""
    return {name: digest(directory / name) for name in _file_names(directory)}


def _other_files(directory: Path) -> list[Path]:
    """Return the files of a folder that are none of a checkpoint; ValueError if it holds other folders."""
    found = list(directory.iterdir()) if directory.is_dir() else []
    folders = sorted(path.name for path in found if path.is_dir() and not path.is_symlink() and path.name != CLIP)
    if folders:
        raise ValueError(f"{directory} holds other folders ({folders[0]}); give a folder for the checkpoint alone")
    return [path for path in found if path.is_file() and path.name not in (stored_config.FILE, TOKENIZER)]


def _file_names(directory: Path) -> list[str]:
    """Return the names of all files that loading reads, but for config.json."""
    clip = directory / CLIP
    return [TOKENIZER] + [f"{CLIP}/{name}" for name in (clip_config.file_names(clip) if clip.is_dir() else [])]


def _verify(directory: Path, digests: dict[str, str], prefix: str) -> None:
    """Compare the files whose names begin with `prefix` with their digests, if the checkpoint has digests at all."""
    listed = {name for name in digests if name.startswith(prefix) and name in SIZE_LIMITS}
    there = {name for name in _file_names(directory) if name.startswith(prefix)} if digests else set()
    part, fix = "the tokenizer" if prefix == TOKENIZER else "CLIP", "copy the whole checkpoint again"
    for name in sorted(listed | there):
        path = bounded_files.inside(directory, name)
        if name not in digests:
            raise ValueError(f"cannot load {part}: {path} is not of this checkpoint; {fix}, into an empty folder")
        try:
            found = digest(path, SIZE_LIMITS[name])
        except OSError as error:
            raise ValueError(f"cannot load {part}: cannot read {path}: {error.strerror}; {fix}") from error
        if found != digests[name]:
            reason = f"its SHA-256 begins with {found[:12]}, that in config.json with {digests[name][:12]}"
            raise ValueError(f"cannot load {part}: {path} is damaged or of another checkpoint: {reason}; {fix}")


def _check_compatible(directory: Path, saved: Config, wanted: Config) -> None:
    old, new = configs.to_dict(saved), configs.to_dict(wanted)
    fixed = [key for key in old if key.startswith("tokenizer.") or key in ("clip.name", "clip.pretrained")]
    differing = [f"{key}: {new[key]!r}, trained with {old[key]!r}" for key in fixed if new[key] != old[key]]
    if differing:
        reason = "; ".join(differing)
        raise ValueError(f"the weights in {directory} do not fit this config ({reason}); use the checkpoint's values")
