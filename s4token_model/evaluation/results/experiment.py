"""What an experiment of `make results` is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s4token_model.evaluation.results.effort import Effort


@dataclass(frozen=True)
class Lab:
    """Where and how large: folder of cached runs and weights, the effort, and rooms of ScanNet and S3DIS, or None."""

    folder: Path
    effort: Effort
    scannet: Path | None = None
    s3dis: Path | None = None

    def effort_of(self, experiment: Experiment) -> Effort:
        """The effort that an experiment's figures are kept under: a new CLIP leaves those that use none as they are."""
        return self.effort if experiment.of_clip else replace(self.effort, clip="")


@dataclass(frozen=True)
class Experiment:
    """One table of the document.

    settings, its rows; figures {key: title}, its columns, shares of 1 unless the title says otherwise; paper {setting:
    what the paper reports}; expected, pairs (better, worse) of settings that the paper orders, compared by the figure
    `compared`; drawing: "bars" per setting, "curves" per setting over the columns, "panels" over settings "key=value";
    compute(setting, seed, lab) -> {key: figure or None where it could not be measured}; of_clip, whether the mini
    model's CLIP takes part.
    """

    name: str
    title: str
    about: str
    settings: tuple[str, ...]
    figures: dict[str, str]
    paper: dict[str, str]
    expected: tuple[tuple[str, str], ...]
    compared: str
    drawing: str
    compute: Callable[[str, int, Lab], dict[str, Any]]
    of_clip: bool = True
