"""How much is computed for a cloud: points, tokens and windows, from all that is configured down to what is quick."""

from __future__ import annotations

import csv
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from s4token_model import bounded_files
from s4token_model.config import Config

FILE = "efforts.csv"  # of a checkpoint: what each level costs in accuracy, written by scripts/effort_costs.py
LIMIT = 100_000  # bytes of the file


class Effort(NamedTuple):
    """What a cloud gets."""

    max_points: int  # input.max_points
    tokens: int  # sampling.tokens
    windows: int = 1  # windows.maximum

    def changes(self) -> dict[str, Any]:
        """Return the values of the config's options, {dotted path: value}."""
        return dict(zip(("input.max_points", "sampling.tokens", "windows.maximum"), self, strict=True))


LEVELS = (  # below a configured one
    *(Effort(200_000, 512, windows) for windows in (6, 3, 2, 1)),
    *(Effort(points, 512) for points in (60_000, 40_000)),
    *(Effort(points, 256) for points in (40_000, 20_000)),
    *(Effort(points, 128) for points in (20_000, 10_000)),
    Effort(5_000, 64),
)


def configured(config: Config) -> Effort:
    """Return the effort of a config."""
    return Effort(config.input.max_points, config.sampling.tokens, config.windows.maximum)


def levels(config: Config) -> tuple[Effort, ...]:
    """Return the levels from the configured one down: no other has more points, tokens or windows."""
    first = configured(config)
    return (first, *(e for e in LEVELS if e != first and all(np.less_equal(e, first))))


def read_costs(checkpoint: Path) -> dict[Effort, dict[str, float]]:
    """Return the mIoU in percent of each level that was measured with a checkpoint, by data; {} if none was."""
    try:
        with bounded_files.open_regular(checkpoint / FILE, LIMIT) as file:
            rows = list(csv.DictReader(TextIOWrapper(file, encoding="utf-8")))
        costs = {}
        for row in rows:
            effort = Effort(*(int(row.pop(name)) for name in Effort._fields))
            costs[effort] = {data: _percent(miou) for data, miou in row.items()}
        return costs
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{checkpoint / FILE} is damaged ({type(error).__name__}); remove it") from error


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:  # nor NaN
        raise ValueError("an mIoU outside of 0 to 100")
    return value
