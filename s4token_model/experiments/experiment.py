"""What an experiment of `make results` is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s4token_model.experiments.effort import Effort


@dataclass(frozen=True)
class Lab:
    """Where and how large: folder of cached runs and weights, the effort, and rooms of ScanNet and S3DIS, or None."""

    folder: Path
    effort: Effort
    scannet: Path | None = None
    s3dis: Path | None = None


@dataclass(frozen=True)
class Experiment:
    """One table of the document.

    settings, its rows; figures {key: title}, its columns, shares of 1 unless the title says otherwise; paper {setting:
    what the paper reports}; expected, pairs (better, worse) of settings that the paper orders, compared by the figures
    `compared`; drawing: "bars" per setting, "curves" per setting over the columns, "panels" over settings "key=value";
    note, why the order does not appear where it does not, with what was measured apart;
    compute(setting, seed, lab) -> {key: figure or None where it could not be measured}.
    """

    name: str
    title: str
    about: str
    settings: tuple[str, ...]
    figures: dict[str, str]
    paper: dict[str, str]
    expected: tuple[tuple[str, str], ...]
    compared: tuple[str, ...]
    drawing: str
    note: str
    compute: Callable[[str, int, Lab], dict[str, Any]]
