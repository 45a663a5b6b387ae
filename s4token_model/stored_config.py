"""The config.json of a checkpoint: what it may say, and what is written into it. It names no file of a disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from s4token_model import bounded_files, vocabulary, word_files
from s4token_model import config as configs
from s4token_model.config import Config, VocabularyConfig
from s4token_model.pipeline import clip_config

FORMAT = 1
FILE = "config.json"


class StoredConfig(NamedTuple):
    """A config and the SHA-256 of the checkpoint's other files."""

    config: Config
    digests: dict[str, str]  # {name below the checkpoint: hexadecimal}; empty in those of before there were any


def read(directory: Path) -> StoredConfig:
    """Read the config of a checkpoint. ValueError names what is damaged, unknown, out of range or not contained."""
    path, fix = bounded_files.inside(directory, FILE), "the checkpoint is damaged, copy it again"
    try:
        content = bounded_files.read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; {fix}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if isinstance(found, bool) or found != FORMAT:
        found, fix = str(found)[:40], "use a matching s4token or retrain"
        raise ValueError(f"{path} has format {found}, this version reads format {FORMAT}; {fix}")
    if not isinstance(content.get("config"), dict):
        raise ValueError(f"{path} holds no config; {fix}")
    digests = content.get("sha256", {})
    if not isinstance(digests, dict) or not all(re.fullmatch("[0-9a-f]{64}", str(one)) for one in digests.values()):
        raise ValueError(f"{path} holds digests that are none; {fix}")
    try:
        config = configs.from_dict(content["config"])
        if not {"clip.name", "clip.pretrained"} <= {*configs.flatten(content["config"])}:
            raise ValueError("it does not say clip.name and clip.pretrained")  # the default would be downloaded
        _check_contained(directory, config)
    except (OSError, ValueError) as error:  # a name may be too long for the file system
        reason = str(error)[:500]
        raise ValueError(f"{path}: {reason}; correct that key, or use the s4token that saved it") from error
    return StoredConfig(config, digests)


def to_bytes(config: Config, provenance: dict[str, Any], digests: dict[str, str]) -> bytes:
    """Return the content of config.json; figures of the provenance that are not finite become null."""
    figures = json.loads(json.dumps(provenance), parse_constant=lambda _: None)
    content = {"format": FORMAT, "config": configs.to_dict(config), "provenance": figures, "sha256": digests}
    return (json.dumps(content, indent=2) + "\n").encode()


def portable(config: Config) -> Config:
    """Return a config that a checkpoint may hold: with class names in place of a labels file.

    ValueError if it names a file of prompt templates, or weights of a CLIP that no checkpoint can hold.
    """
    labels, templates = config.vocabulary.labels, config.vocabulary.templates
    if not _is_installed("labels", labels):
        names = config.vocabulary.names or vocabulary.read_names(labels)
        changes = {"vocabulary.names": names, "vocabulary.labels": VocabularyConfig().labels}
        config = configs.replace(config, changes)
    if not _is_installed("templates", templates):
        fix = "train without it, and name it when you label"
        raise ValueError(f"vocabulary.templates={templates} is a file, which a checkpoint may not name; {fix}")
    if clip_config.clip_directory(config.clip.name) is None:
        from s4token_model.pipeline import clip_pair  # late: open_clip takes seconds and 200 MB

        clip_pair.check_portable(config.clip)
    return config


def _check_contained(directory: Path, config: Config) -> None:
    """Raise ValueError if a saved config names files outside of its checkpoint and the installation."""
    for kind in ("labels", "templates"):
        value = getattr(config.vocabulary, kind)
        if not _is_installed(kind, value):
            raise ValueError(f"vocabulary.{kind}={value!r} is not in config/{kind}, and a checkpoint may name no file")
    name, pretrained = config.clip.name, config.clip.pretrained
    if Path(name).is_absolute():
        raise ValueError(f"clip.name={name!r} lies outside of the checkpoint, which may name no file elsewhere")
    if clip_config.clip_directory(name, directory) is not None:
        return
    from s4token_model.pipeline import clip_pair  # late: open_clip takes seconds and 200 MB

    if not clip_pair.is_architecture(name):
        missing = f"{directory / name} holds no {clip_config.FILE}; copy the whole checkpoint"
        raise ValueError(f"clip.name={name!r} is neither a directory nor an open_clip model: {missing}")
    if not clip_pair.is_tag(config.clip):
        raise ValueError(f"clip.pretrained={pretrained!r} is no tag of open_clip, and a checkpoint may name no file")


def _is_installed(kind: str, name: str) -> bool:
    """Whether a list of class names or of templates is one of the installation."""
    roots = word_files.config_roots()
    return Path(name).name == name and any((root / kind / f"{name}.txt").is_file() for root in roots)
