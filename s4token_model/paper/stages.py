"""What the tables are made of: samples, trainings and measurements, each made once and found again afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from s4token_model import atomic, bounded_files, checkpoint
from s4token_model.evaluation import benchmarks
from s4token_model.training import prepare, pretrain, settings, sources, token_samples, train
from s4token_model.word_files import config_roots

RECIPES = {"shapenet55": "pretrain.yaml", "scannet": "paper/scannet.yaml"}  # data -> recipe without labels
KINDS = {"shapenet55": "objects", "scannet": "scenes"}
COMPLETE = "complete"  # a file beside samples of which none is missing


class Run(NamedTuple):
    """Where the data are, where everything goes, and what every training is changed by."""

    data: Path
    out: Path
    changes: tuple[str, ...] = ()  # KEY=VALUE of every preparation and training
    device: str = "cpu"
    gpus: int = 1  # processes of every training
    workers: int = 1
    every: int = 20  # frames of a scan, of which one is taken


def folder_of(run: Run, name: str) -> Path:
    """The folder of a data set. ValueError if it is not there."""
    folder = run.data / name
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing: put the data set there, or a link to it; docs/train.md has the layouts")
    return folder


def recipe(name: str) -> Path:
    """The path of a file in config/."""
    path = next((root / name for root in config_roots() if (root / name).is_file()), None)
    if path is None:
        raise ValueError(f"no {name} in {', '.join(map(str, config_roots()))}; install s4token again")
    return path


def prepared(run: Run, data: str) -> Path:
    """The folder of the samples of a data set, which are those of all variants: training draws their tokens anew."""
    folder = run.out / "samples" / data
    if not (folder / COMPLETE).is_file():
        words = [str(recipe(RECIPES[data])), KINDS[data], str(folder_of(run, data)), "--out", str(folder)]
        words += [word for change in run.changes for word in ("--set", change)]
        words += ["--device", run.device, "--workers", str(run.workers), "--every", str(run.every)]
        prepare.main(words)
        wanted = sources.list_sources(folder_of(run, data), KINDS[data], "train", report=False)
        made = len(token_samples.find_samples(folder))
        if made >= len(wanted):
            (folder / COMPLETE).touch()
        else:
            found = f"only {made} of {len(wanted)} samples of {data} could be made, and are trained on"
            print(
                f"{found}; the same command tries the others again, and trains anew in another --out", file=sys.stderr
            )
    return folder


def pretrained(run: Run, data: str, *changes: str) -> Path:
    """The model that the recipe without labels, with `changes`, gives on a data set."""
    given = [f"data={prepared(run, data)}", "other_tokens=true", *changes]
    return trained(run, recipe(RECIPES[data]), "-".join([data, *changes]), given) / "model"


def untrained(run: Run, data: str) -> Path:
    """A model with the CLIP of that recipe and a tokenizer that has learned nothing."""
    model = run.out / "runs" / f"{data}-untrained" / "model"
    if not (model / "config.json").is_file():
        config, pipeline = settings.read(recipe(RECIPES[data]), list(run.changes))
        root, _, tokenizer = pretrain.start(config, pipeline)
        checkpoint.save(model, tokenizer, pipeline, {}, root)
    return model


def fine_tuned(run: Run, name: str, file: str, data: str, *changes: str) -> dict[str, Any]:
    """The figures of a supervised training on a data set."""
    folder = trained(run, recipe(file), name, [f"data={folder_of(run, data)}", *changes])
    return bounded_files.read_json(folder / "results.json")


def trained(run: Run, path: Path, name: str, changes: list[str]) -> Path:
    """The folder of a finished training; with `gpus` it runs under torchrun."""
    folder = run.out / "runs" / name
    if not (folder / "model" / "config.json").is_file():
        words = [str(path), *run.changes, *changes, f"run={folder}", f"device={run.device}"]
        print(f"training {name}", file=sys.stderr)
        if run.gpus > 1:
            launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={run.gpus}"]
            if subprocess.run([*launch, "-m", train.__name__, *words]).returncode:
                raise ValueError(f"the training {name} failed, see above; the same command resumes it")
        else:
            train.main(words)
    return folder


def measured(run: Run, benchmark: str, data: str, model: Path, **options: Any) -> dict[str, Any]:
    """The result of a benchmark of a model, as `s4token evaluate` writes it; of an older model it is measured again."""
    method = options.get("method", "s4token")
    path = run.out / "results" / f"{model.parent.name}-{benchmark}-{method}.json"
    if not path.is_file() or path.stat().st_mtime < (model / "config.json").stat().st_mtime:
        result = benchmarks.run(benchmark, root=folder_of(run, data), model=model, device=run.device, **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.file(path) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
    return bounded_files.read_json(path)
