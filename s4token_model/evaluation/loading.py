"""What a benchmark is run with: the model, and samples of which unreadable ones are reported and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from s4token_model import checkpoint, jobs, prompts
from s4token_model import config as configs
from s4token_model.command_line import describe
from s4token_model.prompts import Prompts

METHODS = ("s4token", "projection")
VIEWS = "views"  # the 2D targets of posed frames


class ProjectionOptions(NamedTuple):
    """Options of the method projection."""

    view_weights: tuple[float, ...] = ()  # of the ten views, as PointCLIPv2 has them; empty: all 1
    dense: bool = False  # patches take their own values in CLIP's last block

    def named(self) -> dict[str, Any]:
        """What is not as by default, as entries of a result."""
        entries = {"view_weights": list(self.view_weights), "dense": self.dense}
        return {name: value for name, value in entries.items() if value}


UPRIGHT = {"input.up": "z"}  # for objects, which stand upright in their data sets and have no floor
Result = tuple[dict[str, Any], str]  # of a benchmark: what is written as JSON, and its table


@dataclass(frozen=True)
class Setup:
    """The model to measure, by name or folder or already loaded (`segmenter`), and the folder for pictures.

    `changes` of its config, KEY=VALUE, take precedence over those that a benchmark makes.
    """

    model: str | Path = checkpoint.MINI
    device: str = "cpu"
    out: Path | None = None
    segmenter: Any = None
    changes: tuple[str, ...] = ()
    sentences: Path | None = None  # file of prompts in place of the frozen ones
    projection: ProjectionOptions = ProjectionOptions()

    def prompts(self, benchmark: str, classes: Sequence[str]) -> Prompts:
        """The prompts of a benchmark: the frozen ones, or the sentences of a file."""
        frozen = prompts.load(benchmark, classes)
        return frozen if self.sentences is None else prompts.with_sentences(frozen, classes, self.sentences)

    def labeler(self, method: str = METHODS[0], changes: dict[str, Any] | None = None) -> Any:
        """Load a Segmenter of the model, with `changes` of its config, or a DepthProjection with the model's CLIP."""
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
        if method != "projection" and self.projection.named():
            name = next(iter(self.projection.named())).replace("_", "-")
            raise ValueError(f"--{name} has no effect without --method projection; leave it out")
        if self.segmenter is not None:
            return self.segmenter
        changes = (changes or {}) | configs.pairs(self.changes)
        if method == "projection":
            if self.changes:
                raise ValueError(f"--set {self.changes[0]} has no effect with --method projection; leave one out")
            from s4token_model.evaluation.baselines import DepthProjection

            return DepthProjection.load(self.model, self.device, *self.projection)
        from s4token_model.segmenter import Segmenter

        config = configs.replace(checkpoint.read_config(self.model), changes)
        return Segmenter.load(self.model, config, self.device)

    def view_labeler(self, options: Any) -> Any:
        """Load a ViewLabeler, of `view_labels.ViewOptions`, with the model's CLIP, or the one that `changes` name."""
        from s4token_model.evaluation.view_labels import ViewLabeler
        from s4token_model.segmenter import checked_device

        config = configs.replace(checkpoint.read_config(self.model), configs.pairs(self.changes))
        encoder = checkpoint.load_clip(self.model, config.clip, checked_device(self.device))
        encoder.check_pictures()
        return ViewLabeler(encoder, config, options)

    def title(self, method: str = METHODS[0]) -> str:
        """The heading of the model's column in a table."""
        return str(self.model) if method == METHODS[0] else f"{method} with the CLIP of {self.model}"


class SampleLoader:
    """Iterate over load(name); `skipped` [{name, reason}] has those that cannot be read, an error if none can.

    Only a ValueError or OSError of load() is about the sample; anything else is a fault of the program, and ends it.
    """

    def __init__(self, names: Iterable[Any], load: Callable[[Any], Any], unit: str = "samples"):
        self.names, self.load, self.unit = list(names), load, unit
        self.skipped: list[dict[str, str]] = []

    def __iter__(self) -> Iterator[Any]:
        self.skipped.clear()
        try:
            for name in tqdm(self.names, self.unit, disable=not self.names):
                try:
                    loaded = self.load(name)
                except (ValueError, OSError) as error:
                    title = str(name[0] if isinstance(name, tuple) else name)
                    self.skipped.append({"name": title, "reason": describe(error)})
                    continue
                yield loaded
        finally:
            failed = [jobs.Outcome(one["name"], error=one["reason"]) for one in self.skipped]
            jobs.print_failures(failed, len(self.names), self.unit)
        if self.names and len(self.skipped) == len(self.names):
            raise ValueError(f"none of the {self.unit} could be read; the first: {self.skipped[0]['reason']}")


def skipped_lines(skipped: list[dict[str, str]]) -> list[str]:
    """One line for the end of a table, or none when nothing was skipped."""
    return [f"left out, not in these figures: {len(skipped)}, e.g. {skipped[0]['reason']}"] if skipped else []
