"""s4token train CONFIG.yaml [key=value ...]: train a tokenizer on users' data, in one process or under torchrun.

task=self (default) is the paper's self-supervised recipe, see pretrain.py; task=parts and task=semantic are supervised,
see supervised_parts.py and supervised_rooms.py. The shipped s4token-mini was trained by none of them, but by
train_mini.py, with labels.

Writes into run=DIR: config.yaml (resolved), state.pt (resumed if present), the losses in state.jsonl and tensorboard/,
and model/ (the trained checkpoint, for s4token label --model DIR/model or the node).
"""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path

from s4token_model import checkpoint, command_line, tokenizer_variants
from s4token_model.config import Config
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.clip_digest import image_tower_digest
from s4token_model.segmenter import checked_device
from s4token_model.training import prepare, pretrain, provenance, redraw, settings, zero_shot
from s4token_model.training.loop import process_group
from s4token_model.training.sampler import Sampler
from s4token_model.training.token_samples import find_samples, targets_folder

USAGE = "s4token train CONFIG.yaml [key=value ...]"


def main(arguments: list[str] | None = None) -> int:
    """Train as the YAML file says."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or settings.asks_for_help(words):
        settings.print_usage(USAGE, settings.TrainConfig())
        return 0 if words else command_line.USER_ERROR
    config, pipeline = settings.read(words[0], words[1:])
    checked_device(config.device)
    if config.redraw and config.task != "self":
        raise ValueError(f"redraw=true has no effect with task={config.task}; leave it out")
    if config.evaluate and config.task != "self":
        raise ValueError(f"evaluate={config.evaluate} has no effect with task={config.task}; leave it out")
    with process_group(config.device) as (rank, processes):
        if config.task == "self":
            run(config, pipeline, rank, processes, words)
        else:
            from s4token_model.training import supervised, supervised_parts, supervised_rooms

            task = supervised_parts.TASK if config.task == "parts" else supervised_rooms.TASK
            supervised.run(task, config, pipeline, rank, processes, _command(words))
    return 0


def run(config: settings.TrainConfig, pipeline: Config, rank: int, processes: int, words: list[str]) -> None:
    """Train on the samples, bags and clouds of config.data and write the model; `words` are the command line."""
    folder = Path(config.run)
    if config.redraw:
        redraw.check_redrawable(pipeline)
    data_set = zero_shot.find(Path(config.evaluate), config.evaluate_split) if config.evaluate else None
    if rank == 0:
        checkpoint.check_folder(folder / "model")
        settings.save_config(folder, config, pipeline)
    root, frozen, tokenizer = pretrain.start(config, pipeline)
    paths = prepared_samples(config, pipeline, rank)
    check_samples(paths, config, pipeline, frozen, words)
    training, held_out = split(paths, config.held_out)
    again = partial(redraw.redraw, config=pipeline, points=config.points) if config.redraw else None
    samples = Sampler(training, frozen.dim, again)
    validation = Sampler(held_out, frozen.dim, again) if held_out else None
    trainer = pretrain.Trainer(tokenizer, frozen, config, rank, processes)
    if data_set is not None:
        trainer.zero_shot = zero_shot.ZeroShot(data_set, config, pipeline, tokenizer, frozen, rank, processes)
    pretrain.train(samples, validation, trainer)
    last = {} if trainer.zero_shot is None else {str(config.steps): trainer.zero_shot.scores()}
    if rank == 0:
        record = {"command": _command(words), "data": f"{len(training)} samples of {config.data}"}
        record |= {"steps": config.steps, "skipped": len(trainer.damaged)}
        record |= {"zero_shot": trainer.progress.evaluations | last} if last else {}
        checkpoint.save(folder / "model", tokenizer, pipeline, record, root)
        print(f"wrote {folder / 'model'}; try: s4token label CLOUD -o out.ply --model {folder / 'model'}")


def prepared_samples(config: settings.TrainConfig, pipeline: Config, rank: int) -> list[Path]:
    """Return the samples of config.data; rank 0 prepares bags and clouds first."""
    if not config.data:
        raise ValueError("data= is empty; give folders of prepared samples, bags or cloud files")
    found = {Path(part.strip()): list[Path]() for part in config.data.split(",")}
    found |= {source: find_samples(source) for source in found if source.is_dir()}
    if not any(found.values()) and all(source.exists() for source in found):
        refuse_distillation(config, f"{config.data} is not prepared, and clouds that are prepared here have")
    for source, paths in found.items():
        if not paths and rank == 0:
            paths += prepare.prepare([source], Path(config.run) / "samples", prepare.Recipe(pipeline, config))
        elif not paths:
            raise ValueError(f"{source} is not prepared; under torchrun give data= prepared by `s4token prepare`")
    return [path for paths in found.values() for path in paths]


def check_samples(
    paths: list[Path], config: settings.TrainConfig, pipeline: Config, frozen: FrozenClip, words: list[str]
) -> None:
    """Raise ValueError, with the command that makes them again, unless the samples were made for this training."""
    wanted = provenance.settings_of(config, pipeline)
    expected = provenance.Provenance(wanted, clip=prepare.clip_name(pipeline.clip))
    changes = [f"--set {shlex.quote(word)}" for word in words[1:] if _shapes_samples(word.partition("=")[0])]
    fix = f"Make them again: s4token prepare {words[0]} {{kind}} {{inputs}} --out NEW {' '.join(changes)}".rstrip()
    ignored = provenance.REDRAWN if config.redraw and config.other_tokens else ()
    splits = None if config.split == "any" else provenance.TRAINABLE
    provenance.check(paths, expected._replace(clip_sha256=image_tower_digest(frozen)), fix, splits, ignored)
    if paths and _distillation(config) and not any(map(_may_have_targets, paths)):
        refuse_distillation(config, f"{len(paths)} samples have")


def refuse_distillation(config: settings.TrainConfig, what: str) -> None:
    """Raise ValueError if there is to be distillation, which teaches nothing where `what` has no 2D targets."""
    if used := _distillation(config):
        fix = f"prepare objects or scenes in place of clouds, or set {' '.join(f'{key}=0' for key in used)}"
        raise ValueError(f"{what} no 2D targets, which {' and '.join(used)} are for; {fix}")


def _distillation(config: settings.TrainConfig) -> list[str]:
    """The weights of the losses that need 2D targets, if they are not 0."""
    return [key for key in ("local_weight", "global_weight") if getattr(config, key)]


def _may_have_targets(path: Path) -> bool:
    """Whether a sample has 2D targets, or is damaged, which the sampler tells."""
    record = provenance.read_metadata(path)
    return record is None or bool(record.get("clip_sha256")) or (targets_folder(path) / path.name).is_file()


def split(paths: list[Path], fraction: float) -> tuple[list[Path], list[Path]]:
    """Keep about `fraction` of the samples, evenly spread, for validation: (training, held out)."""
    if not paths:
        raise ValueError("no prepared samples (*.safetensors) found; make some with `s4token prepare`")
    every = round(1 / fraction) if fraction > 0 else 0
    held_out = paths[every - 1 :: every] if every and len(paths) >= every else []
    return [path for path in paths if path not in set(held_out)] or paths, held_out


def _command(words: list[str]) -> str:
    return f"s4token train {' '.join(words)}"


def _shapes_samples(key: str) -> bool:
    """Whether a setting has an effect on samples."""
    return "." in key or key in (tokenizer_variants.KEY, "init", *provenance.MINIMA, provenance.TARGETS)


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token train", main))
