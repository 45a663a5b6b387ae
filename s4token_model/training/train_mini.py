"""Train the embedded default: python -m s4token_model.training.train_mini [key=value ...] [run=DIR] [out=DIR]

Scenes -> small CLIP -> 2D targets -> tokenizer -> checkpoint. Every stage leaves files in the run folder and is skipped
or resumed when they are there. Keys are those of MiniConfig, and of Config for the pipeline, e.g. steps=100
tokenizer.width=64.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import torch

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.config import Config, MiniConfig
from s4token_model.pipeline import clip
from s4token_model.training import mini_clip, mini_tokenizer, procedural_samples, targets
from s4token_model.training.token_samples import Samples

PIPELINE = {"clip.name": "clip", "clip.pretrained": "", "clip.precision": "fp32", "tokenizer.width": 32}
# Between the strengths that suit rooms and streets.
PIPELINE |= {"tokenizer.layers": 6, "superpoints.regularization": 0.4, "input.level": 25.0, "vocabulary.vote": True}
HELD_OUT_SCENES = 48
CLIP_SEED = 500_000_000
HELD_OUT_SEED = 1_000_000_000  # far from any training seed


def main(arguments: list[str] | None = None) -> None:
    """Run all stages."""
    run, out, config, mini = parse(sys.argv[1:] if arguments is None else arguments)
    run.mkdir(parents=True, exist_ok=True)
    _keep_settings(run, config, mini)
    started = time.time()
    held_out = procedural_samples.prepare(run / "held_out", _seeds(HELD_OUT_SEED, HELD_OUT_SCENES), config, mini)
    if mini.start and not (run / "clip").exists():
        partial = run / "clip.partial"  # a copy that was stopped half-way is not taken for a whole one
        shutil.copytree(checkpoint.resolve(mini.start) / "clip", partial, dirs_exist_ok=True)
        partial.replace(run / "clip")
    if not (run / "clip" / "open_clip_config.json").is_file():
        pictures = procedural_samples.prepare(
            run / "pictures", _seeds(mini.seed + CLIP_SEED, mini.clip_scenes), config, mini, True
        )
        mini_clip.train(pictures, run / "clip", run, mini)
    frozen = clip.load(config.clip, run)
    accuracy = mini_clip.region_accuracy(frozen.model.visual, frozen.encode_text, held_out)
    print(f"small CLIP: {100 * accuracy:.1f} % of held-out regions named right, mean over classes", flush=True)
    paths = procedural_samples.prepare(run / "scenes", _seeds(mini.seed, mini.scenes), config, mini)
    targets.prepare(paths, run / "targets", frozen)
    targets.prepare(held_out, run / "held_out_targets", frozen)
    trained = mini_tokenizer.train(
        Samples(paths, run / "targets"), Samples(held_out, run / "held_out_targets"), frozen, config, mini, run
    )
    shutil.copytree(run / "clip", out / "clip", dirs_exist_ok=True)
    provenance = {
        "command": "make mini-model",
        "data": f"{len(paths)} procedural scenes, seeds {mini.seed} to {mini.seed + mini.scenes - 1}",
        "training": configs.to_dict(mini),
        "torch": torch.__version__,
        "clip_region_accuracy": round(accuracy, 4),
        "minutes_this_run": round((time.time() - started) / 60, 1),
        "clip_sha256": checkpoint.digest(out / "clip" / "open_clip_model.safetensors"),
    }
    if mini.start:
        provenance["start_sha256"] = checkpoint.digest(checkpoint.resolve(mini.start) / "tokenizer.safetensors")
    # Trained in the precision of `config`; the labels agree to 99.7 % in any, so it runs in the quickest.
    checkpoint.save(out, trained, configs.replace(config, {"clip.precision": "auto"}), provenance)
    print(f"wrote {out}; tokenizer sha256 {checkpoint.digest(out / 'tokenizer.safetensors')}")


def parse(arguments: list[str]) -> tuple[Path, Path, Config, MiniConfig]:
    """Split key=value arguments into run folder, output folder, pipeline config and training config."""
    pairs = dict(argument.split("=", 1) if "=" in argument else (argument, "") for argument in arguments)
    run = Path(pairs.pop("run", "runs/mini"))
    out = Path(pairs.pop("out", checkpoint.WEIGHTS / checkpoint.MINI))
    pipeline = {key: value for key, value in pairs.items() if "." in key}
    mini = configs.replace(MiniConfig(), {key: value for key, value in pairs.items() if "." not in key})
    return run, out, configs.replace(Config(), PIPELINE | pipeline), mini


def _seeds(first: int, count: int) -> range:
    return range(first, first + count)


def _keep_settings(run: Path, config: Config, mini: MiniConfig) -> None:
    """Refuse to go on in a folder begun with other settings of the data; lengths of training may change."""
    path = run / "settings.json"
    data_keys = ("seed", "views", "view_pixels", "points")
    fixed = {"pipeline": configs.to_dict(config)} | {key: getattr(mini, key) for key in data_keys}
    if path.is_file():
        before = json.loads(path.read_text())
        if before != json.loads(json.dumps(fixed)):
            raise ValueError(f"{run} was begun with other settings (see {path}); choose another run=DIR or delete it")
    path.write_text(json.dumps(fixed, indent=2))


if __name__ == "__main__":
    main()
