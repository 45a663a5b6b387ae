"""`s4token label FOLDER`: label many files and bags, in several processes or on a cluster, and resume after a stop."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import s4token_model
from s4token_model import checkpoint, jobs, word_files
from s4token_model import config as configs
from s4token_model import vocabulary as vocabularies
from s4token_model.command_line import one_line
from s4token_model.config import Config
from s4token_model.io import bags, files, folders, label_files, manifest
from s4token_model.io.errors import error
from s4token_model.io.label_files import Summary

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter
    from s4token_model.vocabulary import Vocabulary


class Labeler(NamedTuple):
    """How every file is labeled."""

    model: str
    config: Config
    device: str = "cpu"
    topics: tuple[str, ...] = ()  # of bags, those of these that a bag has; empty: its only one
    mesh_points: int | None = None
    bin_columns: int | None = None


class Pool(NamedTuple):
    """Where the work is done, see `jobs.run`, and whether outputs made with other settings are replaced."""

    workers: int = 1
    ray: str | None = None
    overwrite: bool = False


class Task(NamedTuple):
    """One file or bag: where it is, the folder of all outputs, the name of its own, and how to label it."""

    source: Path
    out: Path
    name: str
    labeler: Labeler
    settings: str  # digest, see manifest.save_settings
    overwrite: bool

    @property
    def target(self) -> Path:
        """The output."""
        return self.out / self.name


@dataclasses.dataclass
class Total:
    """What was counted in all outputs of a folder, beside warnings about the class names."""

    words: Sequence[str] = ()  # those warnings, which every file repeats
    report: dict[str, Any] = dataclasses.field(default_factory=dict)  # what the model knows of the names
    summary: Summary = dataclasses.field(default_factory=Summary)
    counts: Counter = dataclasses.field(default_factory=Counter)  # of files: labeled, kept of an earlier run, failed
    failures: dict[str, str] = dataclasses.field(default_factory=dict)  # {name: reason}
    warned: Counter = dataclasses.field(default_factory=Counter)  # of files, by the key of Summary.warnings

    def add(self, found: jobs.Outcome) -> None:
        """Count what came of one file."""
        if found.error:
            self.counts["failed"] += 1
            self.failures[found.name] = found.error
            return
        kind, summary = found.result
        self.counts[kind] += 1
        self.summary.merge(summary)
        for text in set(summary["warnings"]).difference(map(one_line, self.words)):
            key = label_files.warning_key(text)
            self.warned[key] += 1
            self.summary.warnings.setdefault(key, f"{found.name}: {text}")

    def to_dict(self, model: str) -> dict[str, Any]:
        """Return what `s4token label --json` prints of a folder."""
        result = self.summary.to_dict(model)
        warnings = self.summary.warnings.items()
        others = {key: f" (and {count - 1} more)" for key, count in self.warned.items() if count > 1}
        result["warnings"] = [*self.words, *(f"{text}{others.get(key, '')}" for key, text in warnings)]
        counts = {kind: self.counts[kind] for kind in ("labeled", "kept", "failed")}
        return result | {"clouds": self.summary.clouds, "files": counts, "failures": self.failures} | self.report


def label_folder(folder: Path, out: Path, labeler: Labeler, pool: Pool) -> Total:
    """Label the files and bags of a folder and those below; outputs have the same names in the folder `out`.

    An output that is complete and made of the same input with the same model, words and settings is kept, see
    io/manifest.py. Nothing else that is there is replaced, unless with pool.overwrite. ValueError before any work if
    there is no input, or the model, the words or an option are wrong; later failures are reported and counted.
    """
    # Find all that can be wrong before the work; processes and machines load the model themselves
    sources = folders.list_inputs(folder)
    names = _output_names(folder, sources)
    check_out(folder, out)
    labeler = _portable(labeler)
    vocabulary = load_segmenter(labeler).vocabulary
    if pool.ray or pool.workers > 1:
        load_segmenter.cache_clear()
    # Write down how, and label
    total = Total(vocabulary.warnings, vocabulary.report())
    with manifest.only_run(out):
        digest = manifest.save_settings(out, settings(labeler, vocabulary))
        pairs = zip(sources, names, strict=True)
        tasks = [Task(one.absolute(), out.resolve(), name, labeler, digest, pool.overwrite) for one, name in pairs]
        work = [jobs.Job(str(one.relative_to(folder)), (task,)) for one, task in zip(sources, tasks, strict=True)]
        for found in jobs.outcomes(label_one, work, "files", pool.workers, pool.ray):
            total.add(found)
    return total


def check_out(folder: Path, out: Path) -> None:
    """Raise ValueError unless outputs can go to the folder `out`, and will not be found as inputs."""
    if out.exists() and not out.is_dir():
        raise error(out, "is a file", f"the labels of a folder go to a folder, e.g. -o {folder.name}_labeled")
    if out.resolve().is_relative_to(folder.resolve()):
        raise error(out, f"lies in {folder}, whose files are the input", "name a folder beside it")


@lru_cache(maxsize=1)
def load_segmenter(labeler: Labeler) -> Segmenter:
    """Load the model, once per process."""
    from s4token_model.segmenter import Segmenter

    return Segmenter.load(labeler.model, labeler.config, labeler.device)


def settings(labeler: Labeler, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return what the labels depend on beside the input, {dotted key: value}: outputs that agree in it are alike."""
    found = {
        "version": s4token_model.__version__,
        **{f"model.{name}": digest for name, digest in checkpoint.digests(labeler.model).items()},
        **configs.to_dict(labeler.config),
        "vocabulary.names": list(vocabulary.names),
        "vocabulary.templates": list(vocabulary.templates),
        "topics": list(labeler.topics),
        "mesh_points": labeler.mesh_points,
        "bin_columns": labeler.bin_columns,
    }
    del found["vocabulary.labels"]  # where the names are from
    return found


def label_one(task: Task) -> tuple[str, dict[str, Any]]:
    """Label one file or bag, unless that is done: ("labeled" or "kept", its summary). ValueError says why not."""
    try:
        known, exists = manifest.read(task.out, task.name), os.path.lexists(task.target)
        # What is complete is kept; what a killed run was at is made again; other files are not ours
        if exists and (known is None or known.output is not None):
            reason = _difference(task, known)
            if not reason and known:
                return "kept", known.summary or {}
            if not task.overwrite:
                raise error(task.target, reason, "remove it, name another folder, or add --overwrite")
        return "labeled", _label_and_record(task, exists)
    except ValueError as reason:  # the table of failures names the file
        text = str(reason).removeprefix(f"{task.source}: ").removeprefix(f"{task.target}: ")
        raise ValueError(text) from reason


def _label_and_record(task: Task, replace: bool) -> dict[str, Any]:
    task.target.parent.mkdir(parents=True, exist_ok=True)
    record = manifest.Record(manifest.fingerprint(task.source), task.settings)
    with manifest.being_made(task.out, task.name, record):
        found = _label(task, replace)
        summary = found.to_dict(task.labeler.model) | {"clouds": found.clouds}
        summary["warnings"] = [one_line(text) for text in summary["warnings"]]
        manifest.write(task.out, task.name, record._replace(output=manifest.fingerprint(task.target), summary=summary))
    return summary


def _difference(task: Task, known: manifest.Record | None) -> str:
    """Return why an output is not what this run would write; empty if it is."""
    if known is None:
        return "is there, and no run that its folder knows of wrote it"
    if known.settings != task.settings:
        keys = manifest.differing_settings(task.out, known.settings, task.settings)
        listed = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
        return f"was made with other settings{f' ({listed})' if keys else ''}"
    if not manifest.matches(task.target, known.output or []):
        return "was changed after it was written"
    if not manifest.matches(task.source, known.source):
        return f"was made before {task.source.name} was changed"
    return ""


def _label(task: Task, replace: bool) -> Summary:
    labeler, segmenter = task.labeler, load_segmenter(task.labeler)
    if bags.is_bag(task.source):
        there = bags.cloud_topics(task.source)
        topics = [topic for topic in labeler.topics if topic in there] or labeler.topics
        summary = label_files.label_bag(task.source, task.target, segmenter, topics, replace)
        if count := len(summary.skipped):
            summary.warnings["skipped"] = f"{count} malformed clouds were skipped, e.g. {summary.skipped[0]}"
        return summary
    cloud = files.read_one_of(task.source, labeler.bin_columns, labeler.mesh_points)
    label_files.check_has_points(task.source, cloud)
    return label_files.label_cloud(cloud, task.target, segmenter)


def _output_names(folder: Path, sources: list[Path]) -> list[str]:
    """Return the names of the outputs below the output folder: those of the inputs, with .ply if need be."""
    names = []
    for source in sources:
        name = str(source.relative_to(folder))
        is_kept = bags.is_bag(source) or source.suffix.lower() in files.WRITERS
        names.append(name if is_kept else f"{name}.ply")
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise error(folder / repeated[0], "two inputs would have this output", "rename one of them")
    return names


def _portable(labeler: Labeler) -> Labeler:
    """Name the model in full, and class names themselves, for processes that run elsewhere, or later."""
    found = checkpoint.resolve(labeler.model)
    model = labeler.model if found.parent == checkpoint.WEIGHTS else str(found.resolve())
    words = labeler.config.vocabulary
    changes: dict[str, Any] = {"vocabulary.names": words.names or vocabularies.read_names(words.labels)}
    if word_files.is_file(Path(words.templates)):
        changes["vocabulary.templates"] = str(Path(words.templates).resolve())
    return labeler._replace(model=model, config=configs.replace(labeler.config, changes))
