"""s4token mini-model [key=value ...] [run=DIR] [out=DIR]: train the embedded default s4token-mini again.

Small CLIP -> scenes -> tokenizer -> checkpoint. Unlike the paper's self-supervised recipe (pretrain.py), s4token-mini
learns from labels of procedural scenes, and from 2D targets if distill_weight is set; no masked modeling.

Every stage leaves files in the run folder and is skipped or resumed if they are there. Keys are those of MiniConfig,
and of the pipeline's Config, e.g. steps=100 tokenizer.width=64; config/mini.yaml holds their values for s4token-mini.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from s4token_model import atomic, checkpoint, command_line, segmenter, stored_config, word_files
from s4token_model import config as configs
from s4token_model.pipeline import clip, known_words
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.training import (
    growing_scenes,
    mini_clip,
    mini_tokenizer,
    procedural_samples,
    settings,
    targets,
    word_frequencies,
)
from s4token_model.training.procedural_samples import TrainingScenes
from s4token_model.training.synonyms import TRAINED_WORDS

YAML = "mini.yaml"  # in config/
HELD_OUT_SCENES = 48
CLIP_SEED = 500_000_000
HELD_OUT_SEED = 1_000_000_000  # far from any training seed


class MiniRun(NamedTuple):
    """What to train, and where."""

    run: Path  # folder of all stages
    out: Path  # folder of the checkpoint
    pipeline: configs.Config
    config: settings.MiniConfig


def main(arguments: list[str] | None = None) -> int:
    """Parse the words and run all stages, or print the keys."""
    words = sys.argv[1:] if arguments is None else arguments
    if settings.asks_for_help(words):
        settings.print_usage("s4token mini-model [key=value ...] [run=DIR] [out=DIR]", settings.MiniConfig())
        return 0
    train(parse(words))
    return 0


def train(given: MiniRun) -> None:
    """Run all stages."""
    run, out, pipeline, config = given
    checkpoint.check_folder(out)
    segmenter.checked_device(config.device)
    run.mkdir(parents=True, exist_ok=True)
    _save_settings(given)
    started = time.time()
    # Small CLIP: copied, or trained on pictures of further scenes
    _make_clip(given)
    frozen = clip.load(pipeline.clip, run, config.device)
    if config.distill_weight and not frozen.pictures:
        raise ValueError("distill_weight= distills pictures, which this CLIP does not take; give clip= or leave it out")
    known = known_words.encode_again(TRAINED_WORDS, frozen.encode_text, frozen.known_words)
    known_words.save(run / "clip", known)
    # Scenes, and their 2D targets where they are distilled
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + HELD_OUT_SCENES)
    held_out = procedural_samples.prepare(run / "held_out", seeds, pipeline, replace(config, distill_weight=0.0))
    validation = procedural_samples.load_scenes(held_out, config.device)
    fit = _train_while_scenes_are_made if config.first_scenes else _train_after_all_are_made
    trained, paths = fit(given, frozen, validation)
    _mix_with_start(trained, config)
    frequency, outdoors = word_frequencies.frequencies(paths), word_frequencies.outdoors()
    known_words.save(run / "clip", known._replace(frequency=frequency, outdoors=outdoors))
    seeds = sorted({path.stem.split("-")[0] for path in paths})
    # Checkpoint, in one step: until here, nothing was written to `out`
    provenance = {
        "command": "make mini-model",
        "data": f"{len(paths)} clouds of procedural scenes, seeds {seeds[0]} to {seeds[-1]}",
        "training": configs.to_dict(config),
        "torch": torch.__version__,
        "minutes_this_run": round((time.time() - started) / 60, 1),
        "clip_sha256": checkpoint.digest(run / "clip" / "open_clip_model.safetensors"),
    }
    if config.start:
        provenance["start_sha256"] = checkpoint.digest(checkpoint.resolve(config.start) / "tokenizer.safetensors")
    # The labels hardly depend on the precision, so the fastest is the default
    checkpoint.save(out, trained, configs.replace(pipeline, {"clip.precision": "auto"}), provenance, run)
    print(f"wrote {out}; tokenizer sha256 {checkpoint.digest(out / 'tokenizer.safetensors')}")


def _maker(given: MiniRun) -> Callable[[], list[Path]]:
    """What makes the scenes of the training; another process can call it."""
    run, _, pipeline, config = given
    seeds = range(config.seed, config.seed + config.scenes)
    return partial(procedural_samples.prepare, run / "scenes", seeds, pipeline, config, minutes=config.scene_minutes)


def _train_after_all_are_made(
    given: MiniRun, frozen: clip.FrozenClip, validation: TrainingScenes
) -> tuple[Tokenizer, list[Path]]:
    """Make all scenes, and the 2D targets where they are distilled, then train; returns the files, too."""
    run, _, pipeline, config = given
    paths = _maker(given)()
    dim = frozen.dim if config.distill_weight else 0
    if dim:
        targets.prepare(paths, run / "targets", frozen)
    samples = procedural_samples.load_scenes(paths, config.device, run / "targets", dim, config.scene_balance)
    return mini_tokenizer.train(samples, validation, frozen, pipeline, config, run), paths


def _train_while_scenes_are_made(
    given: MiniRun, frozen: clip.FrozenClip, validation: TrainingScenes
) -> tuple[Tokenizer, list[Path]]:
    """Begin with the first scenes, and take in the others as they come; without 2D targets."""
    run, _, pipeline, config = given
    gather = partial(procedural_samples.gather_scenes, device=config.device, balance=config.scene_balance)
    with growing_scenes.made_beside(run / "scenes", _maker(given)) as scenes:
        first = gather(scenes.wait(config.first_scenes))

        def renewed() -> TrainingScenes | None:
            found = scenes.look()
            return gather(found) if found else None

        trained = mini_tokenizer.train(first, validation, frozen, pipeline, config, run, renewed)
        return trained, list(scenes.samples)


def _mix_with_start(trained: Tokenizer, config: settings.MiniConfig) -> None:
    """Take the mean of the weights and those of the start, which keeps what a further training forgets (WiSE-FT)."""
    if config.start_weight:
        start = checkpoint.load(config.start)[0].state_dict()
        own = trained.state_dict()
        trained.load_state_dict({name: torch.lerp(own[name], start[name], config.start_weight) for name in own})


def parse(words: list[str]) -> MiniRun:
    """Read config/mini.yaml and apply key=value words; run= and out= are folders."""
    installed = (root / YAML for root in word_files.config_roots())
    path = next(filter(Path.is_file, installed), Path("config") / YAML)
    values = settings.read_yaml(path) | configs.pairs(words)
    run, out = Path(values.pop("run")), Path(values.pop("out", checkpoint.WEIGHTS / checkpoint.MINI))
    pipeline = stored_config.portable(configs.replace(configs.Config(), settings.pop_pipeline(values)))
    config = configs.replace(settings.MiniConfig(), values)
    for name, needs in (("teacher_rooms", "teacher"), ("plain_rooms", "shapes"), ("start_weight", "start")):
        if getattr(config, name) and not getattr(config, needs):
            raise ValueError(f"{name}= has no effect without {needs}=; give both or leave it out")
    if config.start_weight and checkpoint.read_config(config.start).tokenizer != pipeline.tokenizer:
        raise ValueError("start_weight= needs a start with the tokenizer of this size; leave it out")
    if config.start_weight and checkpoint.resolve(config.start).resolve() == out.resolve():
        raise ValueError("start_weight= would mix its start in again when it is repeated; give another out=")
    features = pipeline.tokenizer.features
    if config.teacher and checkpoint.read_config(config.teacher).tokenizer.features != features:
        raise ValueError(f"tokenizer.features={features} needs a teacher= with the same; give another or leave it out")
    if config.first_scenes and config.distill_weight:
        raise ValueError("first_scenes= trains without 2D targets; leave it or distill_weight= out")
    return MiniRun(run, out, pipeline, config)


def _make_clip(given: MiniRun) -> None:
    """Copy the CLIP of config.clip or config.start to run/clip, or train it there, unless it is there already."""
    run, _, pipeline, config = given
    if (run / "clip" / "open_clip_config.json").is_file():
        return
    if config.clip or config.start:
        source = Path(config.clip) if config.clip else checkpoint.resolve(config.start) / "clip"
        if not (source / "open_clip_config.json").is_file():
            raise ValueError(f"{source} holds no open_clip_config.json; clip= takes the folder of a CLIP")
        with atomic.folder(run / "clip") as new:
            shutil.copytree(source, new, dirs_exist_ok=True)
        return
    first = config.seed + CLIP_SEED
    pictures = partial(procedural_samples.prepare, pipeline=pipeline, config=config, pictures_only=True)
    mini_clip.train(pictures(run / "pictures", range(first, first + config.clip_scenes)), run / "clip", run, config)
    held_out = pictures(run / "held_out_pictures", range(HELD_OUT_SEED, HELD_OUT_SEED + HELD_OUT_SCENES))
    frozen = clip.load(pipeline.clip, run)
    accuracy = mini_clip.region_accuracy(frozen.model.visual, frozen.encode_text, held_out)
    print(f"small CLIP: {100 * accuracy:.1f} % of held-out regions named right, mean over classes", flush=True)


def _save_settings(given: MiniRun) -> None:
    """Refuse to resume a folder begun with other settings of the data; lengths of training may change."""
    path = given.run / "settings.json"
    keys = ("seed", "views", "view_pixels", "points", "shapes", "plain_rooms")
    fixed = {key: getattr(given.config, key) for key in keys}
    fixed["pipeline"] = configs.to_dict(given.pipeline)
    before = {"shapes": "", "plain_rooms": 0.0} | json.loads(path.read_text()) if path.is_file() else None
    if before is not None and before != json.loads(json.dumps(fixed)):
        raise ValueError(f"{given.run} was begun with other settings (see {path}); choose another run=DIR or delete it")
    with atomic.file(path) as file:
        file.write(json.dumps(fixed, indent=2).encode())


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token mini-model", main))
