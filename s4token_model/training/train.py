"""s4token train CONFIG.yaml [key=value ...]: self-supervised training, alone or under torchrun.

With task=parts: supervised part segmentation instead, see `supervised.py`.

Writes into run=DIR: config.yaml (resolved), state.pt (resumed from when present), the losses in state.jsonl and
tensorboard/, and model/ (the trained checkpoint, for s4token label --model DIR/model or the node).
"""

from __future__ import annotations

import sys
from pathlib import Path

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.pipeline import clip
from s4token_model.training import prepare, pretrain, settings
from s4token_model.training.distributed import processes
from s4token_model.training.prepared import Prepared, split
from s4token_model.training.procedural_samples import samples_in
from s4token_model.training.settings import TrainConfig

USAGE = "s4token train CONFIG.yaml [key=value ...]; keys and defaults: s4token_model/training/settings.py"


def main(arguments: list[str] | None = None) -> int:
    """Train as the YAML file says."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: {USAGE}")
        for name, (value, item) in configs.options(TrainConfig()).items():
            print(f"  {name}={value}: {item.metadata['doc']}")
        return 0 if words else 2
    how, config = settings.read(words[0], words[1:])
    with processes(how.device) as (rank, count):
        if how.task == "parts":
            from s4token_model.training import supervised_parts

            supervised_parts.run(how, config, count, f"s4token train {' '.join(words)}")
            return 0
        run(how, config, rank, count, f"s4token train {' '.join(words)}")
    return 0


def run(how: TrainConfig, config: Config, rank: int, count: int, command: str) -> None:
    """Train on the data of `how` and write the model."""
    folder = Path(how.run)
    if rank == 0:
        settings.keep(folder, how, config)
    root = checkpoint.resolve(how.init) if how.init else None
    frozen = clip.load(configs.replace(config.clip, {"precision": "fp32"}), root)
    paths = gather(how, config, rank)
    training, held = split(paths, how.held_out)
    tokenizer = (
        checkpoint.load(how.init, config)[0].train() if how.init else pretrain.new_tokenizer(config, frozen, how.seed)
    )
    samples = Prepared(training, frozen.dim)
    others = Prepared(held, frozen.dim) if held else None
    pretrain.train(samples, others, tokenizer, frozen, how, rank, count)
    if rank == 0:
        provenance = {
            "command": command,
            "data": f"{len(training)} samples of {how.data}",
            "steps": how.steps,
            "skipped": samples.skipped,
        }
        saved = checkpoint.bundle_clip(folder / "model", config, root)
        checkpoint.save(folder / "model", tokenizer, saved, provenance)
        print(f"wrote {folder / 'model'}; try: s4token label CLOUD -o out.ply --model {folder / 'model'}")


def gather(how: TrainConfig, config: Config, rank: int) -> list[Path]:
    """Return the prepared samples of `data`; bags and clouds are prepared first, by rank 0."""
    if not how.data:
        raise ValueError("data= is empty; give folders of prepared samples, bags or cloud files")
    paths: list[Path] = []
    for source in (Path(part.strip()) for part in how.data.split(",")):
        if source.is_dir() and (found := samples_in(source)):
            paths += found
        elif rank == 0:
            paths += prepare.clouds([source], Path(how.run) / "samples", config, how.points)
        else:
            raise ValueError(f"{source} is not prepared; under torchrun give data= prepared by `s4token prepare`")
    return paths
