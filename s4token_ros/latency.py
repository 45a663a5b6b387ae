"""Keep clouds within latency.budget_ms: choose their points, tokens and windows by the times of the stages."""

from __future__ import annotations

import threading
from collections import deque
from functools import cache
from statistics import median
from typing import Any, NamedTuple

from s4token_model.config import Config
from s4token_model.effort import Effort, levels, read_costs

PER_POINT, PER_TOKEN = ("superpoints", "sampling"), ("patches", "encoder")  # stages; the time of all others is fixed
SEEN = 9  # clouds whose median counts
LATE = 5  # clouds before a level that takes too long is left
PATIENCE = 20  # clouds before a higher level is tried; twice as many each time that it has turned out too slow
MAX_PATIENCE = PATIENCE << 10
DOWN, UP = 0.9, 0.75  # of the budget: what a level may take, by prediction, to be chosen on the way down and up


class Times(NamedTuple):
    """What one cloud took [ms]."""

    point: float  # for each point that went through the network
    token: float  # for each token
    fixed: float
    total: float


class Pace:
    """The level of the clouds of one topic. It goes down when clouds are late, and up when there is time for it.

    A level that was too slow is tried again after twice as many clouds, so that the number of changes grows like the
    logarithm of the number of clouds.
    """

    def __init__(self, count: int) -> None:
        self.level = 0  # 0 is what is configured, count - 1 the least
        self._tried = [False] * count
        self._patience = [PATIENCE] * count
        self._tokens: dict[int, int] = {}  # of a cloud at a level, all windows together
        self._recent: deque[Times] = deque(maxlen=SEEN)
        self._count = 0  # of clouds at this level

    @property
    def total(self) -> float:
        """The time of a cloud at this level [ms]; 0 before there is one."""
        return median(times.total for times in self._recent) if self._recent else 0.0

    def add(self, times: Times, tokens: int, available: int, efforts: tuple[Effort, ...], budget: float) -> None:
        """Count a cloud of this level with so many `tokens` and `available` points, and choose the next level."""
        self._tokens[self.level] = tokens
        self._recent.append(times)
        self._count += 1
        last = len(efforts) - 1
        if self._count >= LATE and self.total > budget and self.level < last:
            below = range(self.level + 1, last + 1)
            fits = (n for n in below if self._predicted(n, available, efforts) <= DOWN * budget)
            for number in range(self.level + 1):
                if self._tried[number]:
                    self._patience[number] = min(2 * self._patience[number], MAX_PATIENCE)
            self._go(next(fits, last))
            return
        due = (n for n in range(self.level) if self._count >= self._patience[n])
        fits = (n for n in due if self._predicted(n, available, efforts) <= UP * budget)
        if (higher := next(fits, None)) is not None:
            self._go(higher)

    def _predicted(self, number: int, available: int, efforts: tuple[Effort, ...]) -> float:
        """What a cloud would take at another level [ms]."""
        needed = max(self._tokens.values())  # of all windows that a cloud needs, as soon as level 0 was seen
        tokens = self._tokens.get(number, min(efforts[number].tokens * efforts[number].windows, needed))
        points = min(efforts[number].max_points, available)
        return median(t.point * points + t.token * tokens + t.fixed for t in self._recent)

    def _go(self, number: int) -> None:
        self._tried[number] = True
        self.level, self._count = number, 0
        self._recent.clear()


class Latency:
    """The level of every topic. Clouds are built in one thread and counted in another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._for: tuple[float, tuple[Effort, ...]] = (0.0, ())  # what the paces are for: budget and levels
        self._paces: dict[str, Pace] = {}

    def effort(self, topic: str, config: Config, budget: float) -> Effort | None:
        """Return what the next cloud of a topic gets within `budget` [ms]; None if that is 0."""
        with self._lock:
            efforts = levels(config) if budget else ()
            if self._for != (budget, efforts):
                self._for, self._paces = (budget, efforts), {}
            if not budget:
                return None
            return efforts[self._paces.setdefault(topic, Pace(len(efforts))).level]

    def count(self, topic: str, effort: Effort | None, encoded: Any, stages_ms: dict[str, float]) -> None:
        """Count an EncodedCloud that got `effort`, by its tokens in the end and the time of its stages."""
        with self._lock:
            budget, efforts = self._for
            pace = self._paces.get(topic)
            if effort is None or pace is None or pace.level >= len(efforts) or efforts[pace.level] != effort:
                return  # it was on its way when the level changed
            working, tokens = encoded.geometry.working, len(encoded.tokens)
            points = len(working.kept)
            if not points or not tokens:
                return
            per_point, per_token = (sum(stages_ms.get(n, 0.0) for n in names) for names in (PER_POINT, PER_TOKEN))
            total = sum(stages_ms.values())
            times = Times(per_point / points, per_token / tokens, total - per_point - per_token, total)
            pace.add(times, tokens, len(working.xyz), efforts, budget)

    def problem(self, topic: str) -> str:
        """Say that the clouds of a topic take longer than the budget at the lowest level."""
        with self._lock:
            budget, efforts = self._for
            pace = self._paces.get(topic)
            if not budget or pace is None or pace.level < len(efforts) - 1 or pace.total <= budget:
                return ""
            return f"latency.budget_ms {budget:g} cannot be kept: a cloud takes {pace.total:.0f} ms at the lowest level"

    def figures(self, model: str) -> dict[str, str]:
        """Return what the clouds of each topic get, and what that costs the model in mIoU, as text."""
        with self._lock:
            budget, efforts = self._for
            found = {}
            for topic, pace in sorted(self._paces.items()) if budget else ():
                now = efforts[pace.level]
                chosen = ", ".join(f"{path} {value}" for path, value in now.changes().items())
                found[f"latency.level.{topic}"] = chosen if pace.level else f"{chosen}, as configured"
                if pace.level:
                    found[f"latency.cost.{topic}"] = _cost(model, efforts[0], now)
            return found


def _cost(model: str, first: Effort, now: Effort) -> str:
    try:
        costs = _costs(model)
    except ValueError as error:
        return str(error)
    if first not in costs or now not in costs:
        return "not measured for this model and these parameters"
    names = [name for name in costs[first] if name in costs[now]]
    return ", ".join(f"{costs[now][name] - costs[first][name]:+.1f} mIoU on {name}" for name in names)


@cache
def _costs(model: str) -> dict[Effort, dict[str, float]]:
    from s4token_model.checkpoint import resolve  # imports torch

    return read_costs(resolve(model))
