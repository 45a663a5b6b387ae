"""How a sample was made: the record in its file, and whether that is what a training, or an output folder, expects."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets.splits import NONE
from s4token_model.training.settings import TrainConfig

FORMAT = "1"
# What samples depend on. input.up is how the data lies, and another seed gives other samples that are as good.
OF_CLOUD, OF_TOKENS = ("input.", "superpoints."), ("sampling.", "patches.", "tokenizer.context")
SINGLE = ("tokenizer.position_scaled", "tokenizer.features")
REDRAWN = (*OF_TOKENS, "tokenizer.position_scaled")  # what follows from the points when tokens are drawn anew
FREE = ("input.up", "sampling.seed", "sampling.passes")
MINIMA = ("points", "redraw")  # of the training: samples may have more
TARGETS = "targets"  # of the training: what the 2D targets are, of samples that have any
EVERY = "every"  # of `s4token prepare`: which frames of a scene its targets are of; older samples do not know theirs
SHOWN = 5  # differing keys in an error
TRAINABLE = ("train", NONE)  # splits


class Provenance(NamedTuple):
    """How a sample was made."""

    settings: dict[str, Any]  # dotted key -> value, of all that it depends on
    kind: str = ""  # clouds, objects or scenes, as `s4token prepare` calls them
    split: str = NONE
    inputs: tuple[str, ...] = ()  # files and folders, as the command line named them
    clip: str = ""  # name and pretrained weights of the CLIP of its 2D targets; "" without targets
    clip_sha256: str = ""  # of its image tower, see image_tower_digest


def settings_of(config: TrainConfig, pipeline: Config) -> dict[str, Any]:
    """Return {dotted key: value} of the settings that samples depend on."""
    values = configs.to_dict(pipeline)
    kept = [k for k in values if k.startswith((*OF_CLOUD, *OF_TOKENS)) or k in SINGLE]
    found = {key: values[key] for key in kept if key not in FREE}
    if not pipeline.tokenizer.context:
        found = {key: value for key, value in found.items() if not key.startswith("tokenizer.context_")}
    return found | {key: getattr(config, key) for key in (*MINIMA, TARGETS)}


def to_metadata(made: Provenance) -> dict[str, str]:
    """Return the record of a sample as the metadata of its .safetensors file."""
    settings = json.dumps(made.settings, sort_keys=True)
    texts = {"settings": settings, "settings_sha256": hashlib.sha256(settings.encode()).hexdigest()}
    texts |= {"kind": made.kind, "split": made.split, "inputs": json.dumps(made.inputs)}
    return {"format": FORMAT, **texts, "clip": made.clip, "clip_sha256": made.clip_sha256}


def read_metadata(path: Path) -> dict[str, str] | None:
    """Read the metadata of a .safetensors file, {} without any; None if the file is damaged."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            return file.metadata() or {}
    except (OSError, safetensors.SafetensorError):
        return None


def from_metadata(metadata: dict[str, str]) -> Provenance:
    """Return the record of a sample. ValueError if there is none, or it is of another format or changed."""
    if metadata.get("format") != FORMAT:
        found = metadata.get("format")
        raise ValueError("nothing says how" if found is None else f"format: {found} there, {FORMAT} here")
    try:
        text, values = metadata["settings"], dict(metadata)
        if hashlib.sha256(text.encode()).hexdigest() != metadata["settings_sha256"]:
            raise ValueError("its settings and their SHA-256 differ")
        values |= {"settings": json.loads(text), "inputs": tuple(map(str, json.loads(metadata["inputs"])))}
        return Provenance(*(values[name] for name in Provenance._fields))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"their record is damaged ({error})") from error


def differences(found: Provenance, expected: Provenance, ignored: tuple[str, ...] = ()) -> list[str]:
    """Return "KEY: value there, value here" for all that differs; keys with an `ignored` prefix do not count.

    Keys that are newer than the sample had their defaults; the CLIP counts only if both have one, and the kind only if
    one is expected.
    """
    defaults = configs.to_dict(Config()) | configs.to_dict(TrainConfig())
    listed = list[str]()
    if expected.kind and found.kind != expected.kind:
        listed.append(f"kind: {found.kind} there, {expected.kind} here")
    if found.clip_sha256 and expected.clip_sha256 and found.clip_sha256 != expected.clip_sha256:
        there, here = (f"{one.clip} (SHA-256 {one.clip_sha256[:8]})" for one in (found, expected))
        listed.append(f"clip: {there} there, {here} here")
    for key, ours in expected.settings.items():
        theirs = found.settings.get(key, defaults.get(key, ours))
        same = theirs >= ours if key in MINIMA else theirs == ours or (key == TARGETS and not found.clip_sha256)
        if not same and not key.startswith(ignored or ("\0",)):
            listed.append(f"{key}: {theirs!r} there, {ours!r} here")
    return listed


def check(
    paths: Sequence[Path], expected: Provenance, fix: str, splits: Collection[str] | None = None,
    ignored: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Raise ValueError unless all samples were made as `expected`, of one of the `splits`, if they are given.

    The error names each differing key, its value in the samples and here, and ends with `fix`, in which {kind} and
    {inputs} stand for those of the samples. Damaged files are left to whoever reads them.
    """
    records: Counter[str] = Counter()
    example: dict[str, Path] = {}
    for path in paths:
        if (metadata := read_metadata(path)) is not None:
            record = json.dumps(metadata, sort_keys=True)
            records[record] += 1
            example.setdefault(record, path)
    for record, count in records.items():
        where = f"{count} of {len(paths)} samples, e.g. {example[record]},"
        try:
            found = from_metadata(json.loads(record))
        except ValueError as error:
            raise ValueError(f"{where} were not made for this: {error}; make them by s4token prepare") from error
        if splits is not None and found.split not in splits:
            advice = "take others, or set split=any if nothing will be tested on them"
            raise ValueError(f"{where} are of the split {found.split}, on which nothing is trained; {advice}")
        if listed := differences(found, expected, ignored):
            more = f"; and {len(listed) - SHOWN} more keys" if len(listed) > SHOWN else ""
            frames = [f"--every={found.settings[EVERY]}"] if EVERY in found.settings else []
            advice = fix.replace("{kind}", found.kind).replace("{inputs}", shlex.join([*found.inputs, *frames]))
            raise ValueError(f"{where} were made with other settings: {'; '.join(listed[:SHOWN])}{more}. {advice}")
