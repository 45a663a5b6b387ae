"""s4token train CONFIG.yaml [key=value ...]: train a tokenizer on users' data, in one process or under torchrun.

task=self (default) is the paper's self-supervised recipe, see pretrain.py; task=parts is supervised part segmentation,
see supervised_parts.py. The shipped s4token-mini was trained by neither, but by train_mini.py, with labels.

Writes into run=DIR: config.yaml (resolved), state.pt (resumed if present), the losses in state.jsonl and tensorboard/,
and model/ (the trained checkpoint, for s4token label --model DIR/model or the node).
"""

from __future__ import annotations

import sys
from pathlib import Path

from s4token_model import checkpoint, command_line
from s4token_model import config as configs
from s4token_model.segmenter import checked_device
from s4token_model.training import prepare, pretrain, settings
from s4token_model.training.loop import process_group
from s4token_model.training.sampler import Sampler
from s4token_model.training.token_samples import find_samples

USAGE = "s4token train CONFIG.yaml [key=value ...]"


def main(arguments: list[str] | None = None) -> int:
    """Train as the YAML file says."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or settings.asks_for_help(words):
        settings.print_usage(USAGE, settings.TrainConfig())
        return 0 if words else command_line.USER_ERROR
    config, pipeline = settings.read(words[0], words[1:])
    checked_device(config.device)
    command = f"s4token train {' '.join(words)}"
    with process_group(config.device) as (rank, processes):
        if config.task == "parts":
            from s4token_model.training import supervised_parts

            supervised_parts.run(config, pipeline, processes, command)
        else:
            run(config, pipeline, rank, processes, command)
    return 0


def run(config: settings.TrainConfig, pipeline: configs.Config, rank: int, processes: int, command: str) -> None:
    """Train on the samples, bags and clouds of config.data and write the model."""
    folder = Path(config.run)
    if rank == 0:
        checkpoint.check_folder(folder / "model")
        settings.save_config(folder, config, pipeline)
    root, frozen, tokenizer = pretrain.start(config, pipeline)
    training, held_out = split(prepared_samples(config, pipeline, rank), config.held_out)
    samples = Sampler(training, frozen.dim)
    validation = Sampler(held_out, frozen.dim) if held_out else None
    trainer = pretrain.Trainer(tokenizer, frozen, config, rank, processes)
    pretrain.train(samples, validation, trainer)
    if rank == 0:
        provenance = {"command": command, "data": f"{len(training)} samples of {config.data}"}
        provenance |= {"steps": config.steps, "skipped": len(trainer.damaged)}
        checkpoint.save(folder / "model", tokenizer, pipeline, provenance, root)
        print(f"wrote {folder / 'model'}; try: s4token label CLOUD -o out.ply --model {folder / 'model'}")


def prepared_samples(config: settings.TrainConfig, pipeline: configs.Config, rank: int) -> list[Path]:
    """Return the samples of config.data; rank 0 prepares bags and clouds first."""
    if not config.data:
        raise ValueError("data= is empty; give folders of prepared samples, bags or cloud files")
    paths: list[Path] = []
    for source in (Path(part.strip()) for part in config.data.split(",")):
        if source.is_dir() and (found := find_samples(source)):
            paths += found
        elif rank == 0:
            paths += prepare.prepare([source], Path(config.run) / "samples", prepare.Recipe(pipeline, config.points))
        else:
            raise ValueError(f"{source} is not prepared; under torchrun give data= prepared by `s4token prepare`")
    return paths


def split(paths: list[Path], fraction: float) -> tuple[list[Path], list[Path]]:
    """Keep about `fraction` of the samples, evenly spread, for validation: (training, held out)."""
    if not paths:
        raise ValueError("no prepared samples (*.safetensors) found; make some with `s4token prepare`")
    every = round(1 / fraction) if fraction > 0 else 0
    held_out = paths[every - 1 :: every] if every and len(paths) >= every else []
    return [path for path in paths if path not in set(held_out)] or paths, held_out
