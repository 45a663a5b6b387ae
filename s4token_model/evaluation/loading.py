"""Samples of a benchmark read one after the other: what cannot be read is reported, counted and left out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tqdm import tqdm


class Readable:
    """Iterates over load(name) for all names; a ValueError of one is kept in `skipped` [{name, reason}].

    ValueError at the end when not a single one could be read.
    """

    def __init__(self, names: Iterable[Any], load: Callable[[Any], Any], what: str = "samples"):
        self.names, self.load, self.what = names, load, what
        self.skipped: list[dict[str, str]] = []

    def __iter__(self) -> Iterator[Any]:
        self.skipped.clear()
        read = 0
        for name in tqdm(self.names, self.what, disable=None):
            try:
                item = self.load(name)
            except ValueError as reason:
                label = str(name[0] if isinstance(name, tuple) else name)
                self.skipped.append({"name": label, "reason": " ".join(str(reason).split())})
                tqdm.write(f"left out: {reason}", file=sys.stderr)
                continue
            read += 1
            yield item
        if not read and self.skipped:
            raise ValueError(f"none of the {self.what} could be read; the first: {self.skipped[0]['reason']}")


def skipped_line(skipped: list[dict[str, str]]) -> list[str]:
    """A line for the end of a table; none when nothing was skipped."""
    return [f"left out, not in these figures: {len(skipped)}, e.g. {skipped[0]['reason']}"] if skipped else []
