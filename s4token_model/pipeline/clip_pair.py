"""A CLIP as open_clip names it: an architecture, and a tag of pretrained weights or a file of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
from torch import Tensor, nn

from s4token_model.config import ClipConfig
from s4token_model.pipeline import clip_config, clip_weights, plain_clip, stored_weights
from s4token_model.pipeline.clip_activation import QUICKGELU, check_activation, known_weights
from s4token_model.pipeline.clip_config import ClipArchitecture, save_directory

OTHER_TEXT = ("hf_model_name", "hf_tokenizer_name")  # of a text tower that needs the library transformers


class ClipPair(NamedTuple):
    """A CLIP with its weights, and how texts and colors become its inputs."""

    model: nn.Module
    tokenize: Callable[[list[str]], Tensor]
    mean: tuple[float, ...]  # of the color channels, in [0, 1]
    std: tuple[float, ...]


def load(config: ClipConfig) -> ClipPair:
    """Load an architecture of open_clip with a tag or a file of weights, in fp32 on the CPU.

    ValueError if its image tower is no plain ViT, the activation is not that of the weights, they cannot be downloaded,
    or the file does not fit or is damaged.
    """
    settings = _settings(config)
    check_activation(config.name, config.pretrained)  # before anything is downloaded
    if any(settings["text_cfg"].get(key) for key in OTHER_TEXT) and not Path(config.pretrained).is_file():
        return _with_other_text(config)
    architecture = clip_config.checked_model(settings)
    path = weights_file(config) or _download(config)
    tensors, is_openai = clip_weights.read(path)
    known = check_activation(config.name, config.pretrained, is_openai)
    if not known and config.name + QUICKGELU in open_clip.list_models():
        other = f"use clip.name={config.name + QUICKGELU} for weights of OpenAI, MetaCLIP or DFN"
        warnings.warn(
            f"nothing tells the activation that {path} was trained with: GELU is computed; {other}", stacklevel=2
        )
    model = stored_weights.fill(lambda: plain_clip.build(architecture), tensors, path)
    colors = known_weights(config.name, config.pretrained)
    mean, std = colors.get("mean") or clip_config.MEAN, colors.get("std") or clip_config.STD
    return ClipPair(model, open_clip.get_tokenizer(config.name), tuple(mean), tuple(std))


def is_architecture(name: str) -> bool:
    """Return whether open_clip knows an architecture of this name."""
    return name in open_clip.list_models()


def is_tag(config: ClipConfig) -> bool:
    """Return whether open_clip knows pretrained weights of this name for the architecture."""
    return bool(open_clip.get_pretrained_cfg(config.name, config.pretrained))


def weights_file(config: ClipConfig) -> Path | None:
    """Return the file of weights that an open_clip pair names in place of a tag."""
    path = Path(config.pretrained)
    return path if is_architecture(config.name) and not is_tag(config) and path.is_file() else None


def check_portable(config: ClipConfig) -> None:
    """Raise ValueError if a pair names a file of weights whose architecture no checkpoint may hold."""
    if weights_file(config):
        clip_config.checked_model(open_clip.get_model_config(config.name) or {})


def export(config: ClipConfig, directory: Path) -> None:
    """Write an open_clip pair as a directory."""
    architecture = clip_config.checked_model(open_clip.get_model_config(config.name) or {})
    pair = load(config)
    save_directory(directory, ClipArchitecture(architecture, pair.mean, pair.std), pair.model.state_dict())


def _settings(config: ClipConfig) -> dict[str, Any]:
    if is_architecture(config.name):
        settings = open_clip.get_model_config(config.name)
        clip_config.check_image_tower(config.name, settings)
        return settings
    fix = "neither a directory nor an open_clip model such as ViT-B-16-quickgelu"
    if Path(config.name).is_dir():
        fix = (
            f"a directory without {clip_config.FILE}; set clip.name to open_clip's name of the architecture, such as "
            "ViT-B-16-quickgelu, and clip.pretrained to the file of weights, such as model.safetensors"
        )
    raise ValueError(f"clip.name={config.name!r} is {fix}")


def _download(config: ClipConfig) -> Path:
    """Return the file of a tag's weights, in open_clip's cache."""
    weights = open_clip.get_pretrained_cfg(config.name, config.pretrained)
    try:
        if not weights:
            tags = ", ".join(open_clip.list_pretrained_tags_by_model(config.name)) or "none"
            raise ValueError(f"clip.pretrained={config.pretrained} is neither a file nor one of its tags, {tags}")
        return Path(open_clip.download_pretrained(weights))
    except Exception as error:  # open_clip passes on whatever its download raises
        raise _cannot_load(config, error) from error


def _with_other_text(config: ClipConfig) -> ClipPair:
    """Load a CLIP whose text tower or tokenizer is one of the library transformers, by open_clip."""
    try:
        model, preprocess = open_clip.create_model_from_pretrained(
            config.name, pretrained=config.pretrained, device="cpu", precision="fp32", weights_only=True
        )
        tokenize = open_clip.get_tokenizer(config.name)
    except Exception as error:  # whatever the download, transformers or the weights raise
        raise _cannot_load(config, error) from error
    norm = next(t for t in preprocess.transforms if hasattr(t, "mean"))
    return ClipPair(model, tokenize, tuple(norm.mean), tuple(norm.std))


def _cannot_load(config: ClipConfig, error: Exception) -> ValueError:
    why = clip_weights.reason(error)
    return ValueError(
        f"cannot load CLIP {config.name} / {config.pretrained or '-'}: {why}. With network, open_clip "
        "downloads it on first use; without, copy the weights here and set clip.pretrained to the file, or "
        f"clip.name to a directory with {clip_config.FILE} and {clip_config.WEIGHTS[0]}"
    )
